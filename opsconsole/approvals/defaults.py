"""The policies that a fresh console starts with. They are data: once an action has a policy, this has no say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

_EVERYBODY = ["finance_ops", "ops", "pay_admin"]
_FINANCE = ["finance_ops", "pay_admin"]


def _one(*roles: str, count: int = 1) -> dict[str, Any]:
    return {"roles": sorted(roles), "count": count}


# Above a million in any currency a second pay_admin is needed beside the finance_ops, and everybody signs.
_MOVES_MONEY: Final[dict[str, Any]] = {
    "slots": [_one("finance_ops"), _one("pay_admin")],
    "executors": _FINANCE,
    "thresholds": [
        {
            "of": "any_currency_sum",
            "over": "1000000",
            "slots": [_one("pay_admin", count=2)],
            "signature_required": True,
        }
    ],
}
_STOPS_SOMETHING: Final[dict[str, Any]] = {
    "slots": [_one(*_EVERYBODY)],
    "executors": _EVERYBODY,
    "ttl": timedelta(hours=24),
    "reviewers": 2,  # one approval is quick; two more people look at it afterwards
}
_LETS_IT_GO_ON: Final[dict[str, Any]] = {
    "slots": [_one("finance_ops"), _one("pay_admin")],
    "executors": _EVERYBODY,
}

_WHERE_MONEY_GOES: Final[dict[str, Any]] = {"slots": [_one("finance_ops"), _one("pay_admin")], "executors": _FINANCE}
_WHO_MAY_WHAT: Final[dict[str, Any]] = {
    "slots": [_one("admin"), _one("pay_admin")],
    "executors": ["admin", "pay_admin"],
}
# Whoever keeps the channels and whoever answers for payments: what is told of them leaves the house.
_WHERE_NEWS_GOES: Final = _WHO_MAY_WHAT

# What the runbooks of loyalty have two teams agree to; whoever asks speaks for their own.
_MARKETING_AND_FINANCE: Final[dict[str, Any]] = {
    "slots": [_one("finance_ops"), _one("ops_marketing")],
    "executors": ["finance_ops", "ops_marketing"],
    "requester_may_approve": True,
}
# Whoever is woken at night asks for a program to be stopped, and it is they who stop it once both teams have agreed.
_STOPS_A_PROGRAM: Final[dict[str, Any]] = {
    **_MARKETING_AND_FINANCE,
    "executors": ["finance_ops", "ops", "ops_marketing", "risk_manager"],
}
_LAUNCHES: Final[dict[str, Any]] = {
    **_MARKETING_AND_FINANCE,
    "slots": [_one("finance_ops")],
    "executors": ["admin", "finance_ops", "ops_marketing"],
    "thresholds": [{"of": "points", "over": "100000", "slots": [_one("ops_marketing")], "signature_required": False}],
}

# A rollback is listed where undoing is the dangerous direction; elsewhere it was approved together with the plan.
POLICIES: Final[dict[str, dict[str, Any]]] = {
    "plan.payout_batch": _MOVES_MONEY,
    "plan.sweep": _MOVES_MONEY,
    "plan.failover": {"slots": [_one("ops"), _one("pay_admin")], "executors": _EVERYBODY},
    "plan.freeze": _STOPS_SOMETHING,
    "plan.freeze.rollback": _LETS_IT_GO_ON,
    "plan.pause_bank": _STOPS_SOMETHING,
    "plan.pause_bank.rollback": _LETS_IT_GO_ON,
    **{f"change.{kind}": _WHERE_MONEY_GOES for kind in ("bank", "gateway", "account", "iban", "beneficiary")},
    **{
        f"change.{kind}": _WHO_MAY_WHAT
        for kind in ("policy", "user", "profile", "reactivation", "roles", "grant", "token", "signer_key", "passkey")
    },
    **{f"loyalty.{deed}": _MARKETING_AND_FINANCE for deed in ("adjust", "budget", "earn_rate")},
    **{f"loyalty.{deed}": _STOPS_A_PROGRAM for deed in ("suspend", "resume")},
    "loyalty.launch": _LAUNCHES,
    **{f"change.{kind}": _WHERE_NEWS_GOES for kind in ("channel_set_up", "channel_edit")},
}

TTL: Final = timedelta(hours=72)


def install(policy_model: Any, alias: str = "default") -> list[str]:
    """Add the policy of each action that has none, not even a retired one; returns those actions.

    Takes the model as an argument, since the first migration has its own.
    """
    rows = policy_model.objects.using(alias)
    known = set(rows.values_list("action", flat=True))
    missing = [action for action in POLICIES if action not in known]
    columns = {field.name for field in policy_model._meta.get_fields()}
    rows.bulk_create(
        policy_model(action=action, **{"ttl": TTL, **{k: v for k, v in POLICIES[action].items() if k in columns}})
        for action in missing
    )
    return missing
