"""Every event that the code emits has words of its own, and nobody needs the outbox to be told of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from opsconsole.approvals.states import ReviewCause
from opsconsole.notifications.kinds import OUTBOX, kind_of, severity_of
from opsconsole.notifications.models import Notice
from opsconsole.notifications.texts import message_of
from tests.architecture.source import modules

TOPIC = re.compile(r"[a-z_]+\.[a-z_]+")
EMITTERS = {"emit", "announce", "tell", "_tell", "_announce"}


def emitted() -> Iterator[tuple[str, str]]:
    """Topics that stand in the code as such, with where."""
    for module in modules():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name not in EMITTERS:
                continue
            for given in node.args[:2]:
                if isinstance(given, ast.Constant) and TOPIC.fullmatch(str(given.value)):
                    yield str(given.value), module.name


def test_every_event_of_the_code_is_told_in_plain_words() -> None:
    found = dict(emitted())
    assert {"approval.requested", "plan.step_unknown", "approval.expiring"} <= found.keys()
    wordless = {topic: where for topic, where in found.items() if kind_of(topic).permission == OUTBOX}
    assert wordless == {}, "neither in opsconsole/notifications/catalogue.py nor registered by its app"


def test_an_unknown_event_is_told_by_its_topic() -> None:
    assert str(kind_of("moon.broken").title).startswith("%(topic)s")
    assert kind_of("moon.broken").severity == "warning"
    assert kind_of("moon.rises").severity == "info"
    assert kind_of("plan.something_new").pattern == "plan.*"


@pytest.mark.parametrize(
    ("topic", "cause", "severity", "said"),
    [
        ("review.opened", "break_glass", "critical", "Glass was broken, and two people must review it: Payouts"),
        ("review.opened", "policy", "warning", "Done, and to be reviewed because its policy says so: Payouts"),
        ("review.objected", "break_glass", "warning", "Review of broken glass: Payouts (review.objected)"),
        ("review.overdue", "policy", "warning", "Review that a policy asks for: Payouts (review.overdue)"),
    ],
)
def test_a_review_says_why_there_is_one(topic: str, cause: str, severity: str, said: str) -> None:
    data = {"cause": ReviewCause(cause).value, "title": "Payouts"}
    assert severity_of(kind_of(topic), data) == severity
    notice = Notice(topic=topic, severity=severity, subject_kind="plan", subject_id="", data=data)
    assert message_of(notice).title == said
