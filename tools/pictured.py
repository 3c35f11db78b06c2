"""Which pages the pictures are of, by who looks at them."""

from __future__ import annotations

from typing import Final

from tools.stage import Console

Pages = dict[str, str]  # name -> address

# Of every list the page itself, and what its first row leads to; `name: list, pages of a row`. By who sees it.
LISTS: Final[dict[str, dict[str, tuple[str, tuple[str, ...]]]]] = {
    "pay_admin": {
        "runs": ("plans/run", ()),
        "steps": ("plans/step", ("change",)),
        "calendars": ("plans/calendar", ("change",)),
        "reviews": ("approvals/review", ("review",)),
        "policies": ("approvals/policy", ("change", "change-policy")),
        "requests": ("approvals/request", ()),
        "banks": ("treasury/bank", ("change-gateway",)),
        "accounts": ("treasury/account", ("change-iban",)),
        "instructions": ("treasury/instruction", ("change",)),
        "sweeps": ("treasury/sweep", ("change",)),
        "bank-files": ("treasury/bankfile", ("change",)),
        "breaks": ("treasury/break", ("change", "resolve")),
        "routes": ("treasury/route", ("change",)),
        "freezes": ("treasury/freeze", ("change",)),
        "transfers": ("treasury/transfer", ("change",)),
        "checkpoints": ("journal/checkpoint", ("change",)),
        "my-notifications": ("notifications/subscription", ()),
        "payouts": ("treasury/payout", ("change", "hold", "change-beneficiary")),
    },
    "ops_marketing": {
        "programs": ("loyalty/program", ("change", "budget", "suspend")),
        "budget-alerts": ("loyalty/budgetalert", ("change", "acknowledge")),
        "campaigns": ("loyalty/campaign", ("change", "edit", "preview")),
        "members": ("loyalty/balance", ("change", "adjust", "freeze")),
        "points": ("loyalty/transaction", ("change", "reverse")),
        "rules": ("loyalty/rule", ("change", "edit")),
        "tiers": ("loyalty/tier", ("change", "edit")),
        "tier-changes": ("loyalty/tiersnapshot", ("change",)),
        "voucher-batches": ("loyalty/voucherbatch", ("change", "export", "withdraw")),
        "vouchers": ("loyalty/voucher", ("change",)),
        "rewards": ("loyalty/reward", ("change", "edit")),
        "redemptions": ("loyalty/redemption", ("change", "take-back")),
        "disputes": ("loyalty/dispute", ("change", "adjust")),
    },
    "risk_manager": {
        "fraud-queue": ("loyalty/fraudhit", ("change", "confirm")),
        "fraud-rules": ("loyalty/fraudrule", ("change", "edit", "try-out")),
        "fraud-verdicts": ("loyalty/sirafeedback", ()),
    },
    "admin": {
        "users": ("core/user", ("change", "change-roles", "change-grant", "offboard")),
        "second-factors": ("identity/secondfactor", ()),
        "notifications": ("notifications/subscription", ("change", "edit")),
        "channels": ("notifications/channel", ("change",)),
        "deliveries": ("notifications/delivery", ("change",)),
        "signer-keys": ("approvals/signerkey", ()),
        "workers": ("core/workerheartbeat", ("change",)),
        "outbox": ("core/outboxevent", ("change",)),
        "backups": ("backups/backup", ("change",)),
        "tokens": ("knox/authtoken", ()),
    },
    "auditor": {},
}

# One of five types each, and the form for whoever writes JSON.
FORMS: Final = ("payout-batch", "sweep", "failover", "freeze", "pause-bank", "json")


def pages(here: Console) -> dict[str, Pages]:
    """The pages with an address that is known beforehand, by who sees them."""
    return {
        "pay_admin": of_pay_admin(here),
        "admin": of_admin(here),
        "auditor": of_auditor(here),
        "ops_marketing": {
            "campaign-new": "/admin/loyalty/campaign/new/",
            "voucher-batch-new": "/admin/loyalty/voucherbatch/new/",
            "tiers-evaluate": "/admin/loyalty/tier/evaluate/",
            "points-that-expire": "/admin/loyalty/program/liability/",
            "dispute-new": "/admin/loyalty/dispute/new/",
        },
        "risk_manager": {"fraud-several": "/admin/loyalty/fraudhit/dismiss-several/"},
        "dev": of_nobody(),
    }


def of_pay_admin(here: Console) -> Pages:
    """What goes on: plans in every state, approvals, treasury, watch."""
    plan = {name: f"/admin/plans/plan/{one['id']}" for name, one in here.plans.items()}
    staged, failed = here.plans["staged"]["id"], here.plans["failed"]["id"]
    request = here.get(f"ops/plans/{staged}")["approval_id"]
    payout = here.get(f"ops/payouts?plan={here.plans['paid']['id']}")["results"][0]["id"]
    bank = next(one["id"] for one in here.get("ops/banks")["results"] if one["code"] == "sandbox")
    account = next(one["id"] for one in here.get("ops/accounts")["results"] if one["kind"] == "settlement")
    change = here.get("changes")["results"][0]["id"]
    incident = next(one["id"] for one in here.get("incidents")["results"] if one["subject_kind"])
    review = here.get("ops/reviews")["results"][0]["id"]
    went = here.get(f"ops/plans/{failed}/runs")["results"][0]["id"]
    return {
        "home": "/admin/",
        "app": "/admin/plans/",
        "not-found": "/admin/plans/plan/00000000-0000-7000-8000-000000000000/change/",
        "plans": "/admin/plans/plan/",
        "plans-none": "/admin/plans/plan/?q=nothing-like-it",
        "plan-draft": f"{plan['draft']}/change/",
        "plan-staged": f"{plan['staged']}/change/",
        "plan-content": f"{plan['staged']}/content/",
        "plan-paid": f"{plan['paid']}/change/",
        "plan-undone": f"{plan['undone']}/change/",
        "plan-failed": f"{plan['failed']}/change/",
        "plan-cancelled": f"{plan['cancelled']}/change/",
        "plan-sweep": f"{plan['sweep']}/change/",
        "plan-failover": f"{plan['failover']}/change/",
        "plan-freeze": f"{plan['freeze']}/change/",
        "plan-pause": f"{plan['pause']}/change/",
        **{f"plan-new-{form}": f"/admin/plans/plan/new-{form}/" for form in FORMS},
        "plan-stage": f"{plan['draft']}/stage/",
        "plan-edit": f"{plan['draft']}/edit/",
        "plan-approve": f"{plan['staged']}/approve/",
        "plan-reject": f"{plan['staged']}/reject/",
        "plan-cancel": f"{plan['staged']}/cancel/",
        "plan-break-glass": f"{plan['failover']}/break-glass/",
        "plan-execute": f"{plan['approved']}/execute/",
        "plan-rollback": f"{plan['paid']}/rollback/",
        "plan-duplicate": f"{plan['paid']}/duplicate/",
        "run-failed": f"/admin/plans/run/{went}/change/",
        "run-retry": f"/admin/plans/run/{went}/retry/",
        "calendar-new": "/admin/plans/calendar/new/",
        "inbox": "/admin/approvals/request/?mine=1",
        "request": f"/admin/approvals/request/{request}/change/",
        "request-approve": f"/admin/approvals/request/{request}/approve/",
        "bank": f"/admin/treasury/bank/{bank}/change/",
        "account": f"/admin/treasury/account/{account}/change/",
        "payout": f"/admin/treasury/payout/{payout}/change/",
        "payout-import": "/admin/treasury/payout/import/",
        "bank-file-import": "/admin/treasury/bankfile/import/",
        "journal": "/admin/journal/entry/",
        "incidents": "/admin/monitoring/incident/",
        "incident": f"/admin/monitoring/incident/{incident}/change/",
        "incident-resolve": f"/admin/monitoring/incident/{incident}/resolve/",
        "incident-open": "/admin/monitoring/incident/open/",
        "checklist": "/admin/monitoring/check/",
        "changes": "/admin/changes/change/",
        "change": f"/admin/changes/change/{change}/change/",
        "change-approve": f"/admin/changes/change/{change}/approve/",
        "change-bank": "/admin/treasury/bank/change-bank/",
        "change-account": "/admin/treasury/account/change-account/",
        "review": f"/admin/approvals/review/{review}/change/",
        "notification-me": "/admin/notifications/subscription/me/",
    }


def of_admin(here: Console) -> Pages:
    """People, and what is under the floor."""
    who = here.get("users", "admin")["results"][0]["id"]
    return {
        "user-new": "/admin/core/user/change-user/",
        "user-token": f"/admin/core/user/{who}/change-token/",
        "user-take-away": f"/admin/core/user/{who}/take-away/",
        "notification-role": "/admin/notifications/subscription/role/",
        "channel-new": "/admin/notifications/channel/add-webhook/",
        "signer-key-new": "/admin/approvals/signerkey/register/",
        "passkey-new": "/admin/approvals/signerkey/register-passkey/",
        "token-new": "/admin/knox/authtoken/new/",
        "password": "/admin/knox/authtoken/password/",
    }


def of_auditor(here: Console) -> Pages:
    """The journal, and taking it along; runbooks."""
    entry = here.get(f"ops/plans/{here.plans['paid']['id']}/journal")["results"][-1]["id"]
    return {
        "runbooks": "/admin/runbooks/",
        "runbooks-none": "/admin/runbooks/?q=nothing-like-it",
        "runbook-alerts": "/admin/runbooks/alerts/",
        "runbook-alert": "/admin/runbooks/alerts/LoyaltyCampaignStuck/",
        "runbook-launch": "/admin/runbooks/loyalty-campaign-launch/",
        "runbook-budget": "/admin/runbooks/loyalty-budget-exhaustion/?run=diagnostic-budgets-nearly-spent&percent=1",
        "runbook-database": "/admin/runbooks/loyalty-database-migration/?run=diagnostic-tables",
        "entry": f"/admin/journal/entry/{entry}/change/",
        "exports": "/admin/journal/entry/exports/",
        "export": "/admin/journal/entry/export/",
    }


def of_nobody() -> Pages:
    """What is said to whoever may not."""
    return {"refused": "/admin/core/user/"}
