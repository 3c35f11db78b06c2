"""The pages of fraud and disputes: what they show, and what their buttons do."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from loyalty.admin.fraud_hits import FraudHitAdmin
from loyalty.errors import FraudRuleInvalid
from loyalty.fraud import detection, picture
from loyalty.fraud.severity import Severity, limits_then
from loyalty.jobs import fraud as jobs
from loyalty.models import Balance, Dispute, FraudHit, FraudRule, Program, SiraFeedback, Transaction
from loyalty.services import disputes, fraud, fraud_rules
from opsconsole.approvals.models import Request
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import Actor
from opsconsole.journal.models import Entry
from tests.loyalty.history import happened

pytestmark = pytest.mark.django_db(transaction=True)

Browse = Callable[..., Client]
Member = Callable[..., Balance]


@pytest.fixture
def looking(risk: Actor) -> Callable[..., FraudRule]:
    """A shipped rule, tried out, switched on, and having looked: `looking("frequent_earner")`."""

    def look(code: str) -> FraudRule:
        rule = FraudRule.objects.get(code=code)
        fraud_rules.back_test_rule(rule_id=rule.pk, since=timezone.now() - timedelta(days=3), actor=risk)
        fraud_rules.switch_fraud_rule(rule_id=rule.pk, active=True, reason="seen", actor=risk)
        fraud.look_for(rule_id=rule.pk, actor=jobs.FRAUD)
        rule.refresh_from_db()
        return rule

    return look


def listed(client: Client, model: type[Model], **narrowed: str) -> list[str]:
    """The rows of a list as the page has them, in its order."""
    answer = client.get(reverse(f"admin:loyalty_{model._meta.model_name}_changelist"), narrowed)
    assert answer.status_code == 200
    rows = answer.context["cl"].result_list
    return [row.balance.user_id if hasattr(row, "balance") else str(row) for row in rows]


def page(client: Client, row: Model, name: str = "change") -> str:
    """The page of a row, or of one of its buttons."""
    answer = client.get(reverse(f"admin:loyalty_{row._meta.model_name}_{name}", args=[row.pk]))
    assert answer.status_code == 200, (name, answer.status_code)
    return answer.content.decode()


def press(client: Client, target: Model | type[Model], name: str, **said: Any) -> str:
    """Send the form of a button as it stands, with what is said; the page that it leads to."""
    row = [] if isinstance(target, type) else [target.pk]
    url = reverse(f"admin:loyalty_{target._meta.model_name}_{name}", args=row)
    form = client.get(url).context["form"]
    initial = {field: form.get_initial_for_field(shown, field) for field, shown in form.fields.items()}
    given = {field: value for field, value in initial.items() if value not in (None, False)}
    answer = client.post(url, {**given, "reason": "because", "comment": "because", **said}, follow=True)
    assert answer.status_code in (200, 400, 409, 422), answer.status_code
    return answer.content.decode()


# --- the queue ------------------------------------------------------------------------------------------------------


def test_the_queue_shows_the_worst_first(
    browse: Browse, member: Member, looking: Callable[..., FraudRule], risk: Actor
) -> None:
    for name, earned in (("a-little", 12_000), ("far", 90_000), ("clearly", 30_000), ("fine", 9_000)):
        member(name, earned)
    looking("frequent_earner")
    clerk = browse("risk_manager")
    assert listed(clerk, FraudHit) == ["far", "clearly", "a-little"]
    assert listed(clerk, FraudHit, severity="high", standing="open", rule="frequent_earner") == ["far"]
    assert listed(clerk, FraudHit, severity="medium") == ["clearly"]
    assert listed(clerk, FraudHit, q="a-little") == ["a-little"]
    assert listed(clerk, FraudHit, standing="overdue") == []
    FraudHit.objects.filter(balance__user_id="clearly").update(due_at=timezone.now() - timedelta(hours=1))
    assert listed(clerk, FraudHit, standing="overdue") == ["clearly"]
    assert "A verdict was due" in page(clerk, FraudHit.objects.get(balance__user_id="clearly"))
    fraud.dismiss_hits(hit_ids=[FraudHit.objects.get(balance__user_id="far").pk], comment="a wedding", actor=risk)
    assert listed(clerk, FraudHit) == ["clearly", "a-little", "far"]


def test_a_hit_says_why_and_who_else_was_there(
    browse: Browse, member: Member, looking: Callable[..., FraudRule], risk: Actor
) -> None:
    for number in range(7):
        member(f"m{number}", 10 + number, ip_address="203.0.113.7")
    member("elsewhere", 10, ip_address="203.0.113.8")
    rule = looking("shared_address")
    hit = FraudHit.objects.get(balance__user_id="m3")
    shown = page(browse("risk_manager"), hit)
    for told in ("203.0.113.7", "members behind the address", "1.4 ×", "24 hours before", "+13", "m6"):
        assert told in shown
    assert "elsewhere" not in shown
    assert reverse("admin:loyalty_balance_freeze", args=[hit.balance_id]) in shown
    course = picture.course_of(hit, rule.limits)
    assert course is not None
    assert (course.values[-1], course.limit, sum(course.values[:-1])) == (7.0, 5.0, 0.0)
    assert reverse("admin:loyalty_balance_freeze", args=[hit.balance_id]) not in page(browse("auditor"), hit)
    # The limits that it was found by stay known when the rule is changed.
    fraud_rules.change_fraud_rule(
        rule_id=rule.pk, changes={"limits": {"hours": 24, "max_members": 50}}, reason="a fair", actor=risk
    )
    hit.refresh_from_db()
    hit.rule.refresh_from_db()
    assert limits_then(hit.rule, hit.rule_version) == {"hours": 24, "max_members": 5}
    assert "limit today" in page(browse("risk_manager"), hit).lower()


def test_the_picture_counts_window_by_window_up_to_the_hit(member: Member, looking: Callable[..., FraudRule]) -> None:
    alice = member("alice", 1)
    now = timezone.now()
    for days, earned in ((0, 15_000), (1, 700), (5, 300), (40, 99)):
        happened([(alice.pk, "earn", earned, now - timedelta(days=days, hours=2), None)])
    rule = looking("frequent_earner")
    course = picture.course_of(FraudHit.objects.get(), rule.limits)
    assert course is not None
    assert course.values[-1] == 15_001
    assert [value for value in course.values if value] == [300, 700, 15_001]
    assert (course.limit, len(course.values), Severity.of(15_001 / course.limit)) == (10_000, 28, Severity.LOW)


def test_verdicts_by_mouse(
    browse: Browse, member: Member, looking: Callable[..., FraudRule], monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = member("alice", 20_000), member("bob", 20_000)
    for number in range(3):
        member(f"guest{number}", 11_000)
    rule = looking("frequent_earner")
    clerk = browse("risk_manager")
    of = {hit.balance.user_id: hit for hit in FraudHit.objects.select_related("balance")}
    assert "the member is frozen" in press(clerk, of["alice"], "confirm", comment="stolen card")
    assert "The hit is dismissed." in press(clerk, of["bob"], "dismiss", comment="a wedding")
    alice.refresh_from_db()
    bob.refresh_from_db()
    assert (alice.is_frozen, alice.locked, bob.is_frozen, bob.fraud_flags) == (True, 20_000, False, [])
    assert "stolen card" in page(clerk, of["alice"])
    assert "confirm" not in [button.action.name for button in buttons(clerk, of["alice"])]
    # Those ticked in the list stand in the form, and no others.
    ticked = [str(of["guest0"].pk), str(of["guest1"].pk)]
    led = clerk.post(
        reverse("admin:loyalty_fraudhit_changelist"), {"action": "dismiss_ticked", "_selected_action": ticked}
    )
    form = clerk.get(led["Location"]).context["form"]
    assert {key for key, _label in form.fields["hits"].choices} == set(ticked)
    with monkeypatch.context() as few:
        few.setattr(FraudHitAdmin, "most_ticked", 1)
        cut = clerk.post(
            reverse("admin:loyalty_fraudhit_changelist"),
            {"action": "dismiss_ticked", "_selected_action": ticked},
            follow=True,
        )
    assert "At most 1 at a time: these are the first ones." in cut.content.decode()
    assert "2 hits are dismissed." in press(clerk, FraudHit, "dismiss-several", hits=ticked, comment="a fair")
    refused = press(clerk, FraudHit, "confirm-several", hits=[*ticked, str(of["guest2"].pk)], comment="late")
    assert "it cannot become confirmed" in refused
    assert not Balance.objects.get(user_id="guest2").is_frozen
    assert FraudHit.objects.filter(status="open").count() == 1
    verdicts = {row.balance.user_id: (row.verdict, row.comment) for row in SiraFeedback.objects.all()}
    assert verdicts == {
        "alice": ("confirmed", "stolen card"),
        "bob": ("dismissed", "a wedding"),
        "guest0": ("dismissed", "a fair"),
        "guest1": ("dismissed", "a fair"),
    }
    assert sorted(listed(clerk, SiraFeedback, verdict="dismissed")) == ["bob", "guest0", "guest1"]
    assert "25 %, at least 5 %" in clerk.get(reverse("admin:loyalty_fraudrule_changelist")).content.decode()
    assert "a fair" in page(clerk, SiraFeedback.objects.get(balance__user_id="guest0"))
    assert browse("ops_marketing").get(reverse("admin:loyalty_fraudhit_confirm-several")).status_code == 403
    assert rule.active


def buttons(client: Client, row: Model) -> list[Any]:
    return list(client.get(reverse(f"admin:loyalty_{row._meta.model_name}_change", args=[row.pk])).context["buttons"])


# --- rules ----------------------------------------------------------------------------------------------------------


def test_a_rule_from_its_limits_to_the_first_hit(browse: Browse, member: Member) -> None:
    member("alice", 5_000)
    clerk, rule = browse("risk_manager"), FraudRule.objects.get(code="shared_address")
    assert "Not tried out" in page(clerk, rule)
    assert "1.2.3.4/5 is no network" in press(clerk, rule, "edit", allowed_networks="1.2.3.4/5")
    told = press(clerk, rule, "edit", allowed_networks="203.0.113.0/24\n198.51.100.0/24", limit_max_members="7")
    assert "The rule is changed." in told
    rule.refresh_from_db()
    assert (rule.version, rule.limits["max_members"], rule.allowed_networks) == (
        2,
        7,
        ["203.0.113.0/24", "198.51.100.0/24"],
    )
    assert "The rule is made." in press(clerk, FraudRule.objects.get(code="frequent_earner"), "copy",
                                        code="small_earner", limit_max_points="4000", locks="on")  # fmt: skip
    copied = FraudRule.objects.get(code="small_earner")
    assert (copied.kind, copied.limits["max_points"], copied.locks, copied.active) == ("earns", 4_000, True, False)
    assert "Try this version out first" in page(clerk, copied, "on")
    assert "It would have hit 1 member." in press(clerk, copied, "try-out")
    assert "The rule is switched on." in press(clerk, copied, "on")
    assert "1 new hit." in press(clerk, copied, "look")
    assert Balance.objects.get(user_id="alice").locked == 5_000
    assert listed(clerk, FraudHit) == ["alice"]
    assert "The rule is switched off." in press(clerk, copied, "off")
    assert json.loads(Entry.objects.get(verb="fraud_rule.switched_off").body)["reason"] == "because"


def test_a_try_that_takes_too_long_is_refused_and_changes_nothing(
    browse: Browse, member: Member, monkeypatch: pytest.MonkeyPatch, risk: Actor
) -> None:
    member("alice", 20_000)
    rule = FraudRule.objects.get(code="frequent_earner")
    monkeypatch.setattr(fraud_rules, "PATIENCE", timedelta(milliseconds=150))
    slow = "select b.id as balance_id, '{}'::jsonb as facts from loyalty_balances b, pg_sleep(1) where m.at < now()"
    pattern = detection.PATTERNS["earns"]
    monkeypatch.setattr(detection, "PATTERNS", {"earns": _with_query(pattern, slow)})
    with pytest.raises(FraudRuleInvalid, match="too much to read"):
        fraud_rules.back_test_rule(rule_id=rule.pk, actor=risk)
    assert "begin later" in press(browse("risk_manager"), rule, "try-out")
    rule.refresh_from_db()
    assert rule.backtest is None
    assert not Entry.objects.filter(verb="fraud_rule.tried").exists()


def _with_query(pattern: Any, query: str) -> Any:
    return type(pattern)(pattern.kind, pattern.label, pattern.limits, pattern.measures, query)


# --- disputes -------------------------------------------------------------------------------------------------------


def test_a_dispute_from_the_form_to_the_points(
    browse: Browse, member: Member, program: Program, finance: Actor
) -> None:
    alice = member("alice", 500)
    member("bob", 70, origin_txn_id="order-3")
    marketing = browse("ops_marketing")
    said = {"program": str(program.pk), "ticket": "T-1", "origin_txn_id": "order-3"}
    happened_at = f"{timezone.now():%Y-%m-%dT%H:%M}"
    wrong = press(marketing, Dispute, "new", user_id="nobody", happened_at=happened_at, **said)
    assert "There is no member nobody in this program." in wrong
    told = press(marketing, Dispute, "new", user_id="alice", happened_at=happened_at, **said)
    assert "The purchase earned points for another member." in told
    assert "bob" in told
    dispute = Dispute.objects.get()
    assert "Others must agree first" in press(marketing, dispute, "adjust", amount="20000")
    asked = Request.objects.get(action="loyalty.adjust")
    shown = page(marketing, dispute)
    assert asked.title in shown
    assert "carry-out" not in shown
    decide_request(request_id=asked.pk, approved=True, comments="", signature="", actor=finance)
    assert "carry-out" in page(marketing, dispute)
    assert "carry-out" not in page(browse("finance_ops"), dispute)
    assert "the dispute has ended" in press(marketing, dispute, "carry-out", typed="T-1")
    dispute.refresh_from_db()
    alice.refresh_from_db()
    assert (dispute.status, alice.points_balance) == ("adjusted", 20_500)
    ended = page(marketing, dispute)
    assert "+20,000" in ended
    assert [button.action.name for button in buttons(marketing, dispute)] == []


def test_what_was_agreed_to_for_a_dispute_ends_it_from_the_members_page_too(
    browse: Browse, member: Member, marketing: Actor, finance: Actor
) -> None:
    alice = member("alice", 500)
    clerk = browse("ops_marketing")
    press(clerk, alice, "dispute", ticket="T-2", origin_txn_id="order-9", happened_at="2026-01-01T00:00")
    dispute = Dispute.objects.get()
    disputes.adjust_dispute(dispute_id=dispute.pk, amount=20_000, reason="lost", actor=marketing)
    asked = Request.objects.get(action="loyalty.adjust")
    decide_request(request_id=asked.pk, approved=True, comments="", signature="", actor=finance)
    assert "the dispute has ended" in press(clerk, alice, "carry-out", typed="alice")
    dispute.refresh_from_db()
    assert (dispute.status, Transaction.objects.filter(event_type="adjust").count()) == ("adjusted", 1)


def test_a_refusal_says_why(browse: Browse, member: Member, marketing: Actor) -> None:
    alice = member("alice", 500, origin_txn_id="order-1")
    clerk = browse("ops_marketing")
    opened = press(clerk, alice, "dispute", ticket="T-3", origin_txn_id="order-1", happened_at="2026-01-01T00:00")
    assert "The purchase earned points." in opened
    again = press(clerk, alice, "dispute", ticket="T-4", origin_txn_id="order-1", happened_at="2026-01-01T00:00")
    assert "There is an open dispute about this purchase already." in again
    dispute = Dispute.objects.get()
    assert listed(clerk, Dispute, standing="open") == listed(clerk, Dispute, q="order-1") == ["alice"]
    assert "The dispute is refused." in press(clerk, dispute, "refuse", reason="booked on Monday")
    assert "booked on Monday" in page(clerk, dispute)
    assert listed(clerk, Dispute, standing="open") == []
    assert Balance.objects.get().points_balance == 500
    assert Entry.objects.filter(verb="dispute.refused", subject_id=str(alice.pk)).exists()
