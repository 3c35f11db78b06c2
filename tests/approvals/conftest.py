"""A subject of approvals to test with: a real row that is locked and follows its request."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from opsconsole.approvals import kernel, subjects
from opsconsole.approvals.models import Decision, Policy, Request, SignerKey
from opsconsole.approvals.states import DecisionKind, Outcome
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.canonical import digest
from opsconsole.core.models import OutboxEvent, User
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry
from tests.signing import give_key

KIND = "sample"
PAYOUT = "plan.payout_batch"
SYSTEM_TEST = SYSTEM("test")
People = Callable[..., Actor]


# The subject is a row of the outbox: it has an id and a JSON column, and nothing else touches it.
def _lock(subject_id: str) -> None:
    OutboxEvent.objects.select_for_update().get(pk=UUID(subject_id))


def _follow(subject_id: str, word: str) -> None:
    row = OutboxEvent.objects.get(pk=UUID(subject_id))
    row.data = {"followed": [*row.data.get("followed", []), word]}
    row.save(update_fields=["data"])


def _decided(request: Request, outcome: Outcome, _actor: Actor) -> None:
    _follow(request.subject_id, outcome.value)


def _expired(request: Request) -> None:
    _follow(request.subject_id, "expired")


subjects.register(KIND, subjects.SubjectHooks(lock=_lock, decided=_decided, expired=_expired))


@operation
def make_subject(*, actor: Actor) -> str:
    return str(OutboxEvent.objects.create(topic="test", subject_kind=KIND, subject_id="").pk)


def followed(request: Request) -> list[str]:
    """What the subject was told, in order."""
    return OutboxEvent.objects.get(pk=UUID(request.subject_id)).data.get("followed", [])


def set_policy(action: str, **facts: Any) -> Policy:
    """A new version of an action's policy."""
    return _set_policy(action=action, facts=facts, actor=SYSTEM_TEST)


@operation
def _set_policy(*, action: str, facts: dict[str, Any], actor: Actor) -> Policy:
    old = Policy.objects.filter(action=action, active=True).first()
    if old is not None:
        old.active = False
        old.save(update_fields=["active"])
    facts = {"ttl": timedelta(hours=1), "executors": ["finance_ops", "pay_admin"], **facts}
    return Policy.objects.create(action=action, version=old.version + 1 if old else 1, **facts)


@operation
def ask(
    *,
    actor: Actor,
    action: str = PAYOUT,
    subject_id: str,
    amount: str = "1000",
    editors: Iterable[UUID] = (),
    required_approvals: int | None = None,
) -> Request:
    policy = kernel.policy_for(action, sums={"EUR": Decimal(amount)}, required_approvals=required_approvals)
    content = {"amount": amount, "policy": policy.as_json()}
    return kernel.open_request(
        subject_kind=KIND,
        subject_id=subject_id,
        title=f"Pay {amount}",
        content=content,
        digest=digest(content),
        policy=policy,
        requested_by=actor.user,
        editors=editors,
        actor=actor,
    )


@operation
def decide(*, request: Request, kind: DecisionKind, said: dict[str, Any], actor: Actor) -> Request:
    return kernel.decide(request, kind=kind, actor=actor, **said)


def approve(request: Request, actor: Actor, **said: Any) -> Request:
    return decide(request=request, kind=DecisionKind.APPROVE, said=said, actor=actor)


def reject(request: Request, actor: Actor, **said: Any) -> Request:
    return decide(request=request, kind=DecisionKind.REJECT, said={"reason": "no", **said}, actor=actor)


def revoke(request: Request, actor: Actor) -> Request:
    return decide(request=request, kind=DecisionKind.REVOKE, said={}, actor=actor)


@operation
def use(*, request: Request, actor: Actor, digest: str | None = None) -> Request:
    return kernel.consume(request, digest=digest or request.digest, actor=actor)


def change(row: Any, **values: Any) -> None:
    """Change columns of a row as some other service would."""
    _change(row=row, values=values, actor=SYSTEM_TEST)


@operation
def _change(*, row: Any, values: dict[str, Any], actor: Actor) -> None:
    type(row).objects.filter(pk=row.pk).update(**values)


@operation
def take_role(*, user: User, role: str, actor: Actor) -> None:
    user.groups.remove(*user.groups.filter(name=role))


def let_time_pass(request: Request) -> None:
    """Put the end of the request's time to live into the past."""
    change(request, expires_at=request.created_at - timedelta(hours=1))


@dataclass
class Pen:
    """A private key that never leaves its owner, and what is registered of it."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    registered: SignerKey | None = None

    @property
    def public(self) -> str:
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def sign(self, text: str) -> str:
        return base64.b64encode(self.private.sign(text.encode())).decode()


def pen_of(actor: Actor) -> Pen:
    """A registered key of this person."""
    pen = Pen()
    pen.registered = give_key(name="pen", public_key=pen.public, actor=actor)
    return pen


@dataclass
class Unchanged:
    """Holds everything approvals know, to see that a refusal changed none of it."""

    before: Any

    @staticmethod
    def look() -> Any:
        return (
            list(Request.objects.order_by("id").values()),
            list(Decision.objects.order_by("id").values()),
            list(SignerKey.objects.order_by("id").values()),
            list(OutboxEvent.objects.order_by("id").values()),
            Entry.objects.count(),
        )

    def __enter__(self) -> None:
        self.before = self.look()

    def __exit__(self, *_: object) -> None:
        assert self.look() == self.before


@pytest.fixture
def unchanged() -> Callable[[], Unchanged]:
    """`with unchanged():` asserts that the block changed neither requests, decisions, keys, subjects nor journal."""
    return lambda: Unchanged(None)


@pytest.fixture
def subject(db: None) -> str:
    return make_subject(actor=SYSTEM_TEST)


@pytest.fixture
def requester(person: People) -> Actor:
    return person("asker", "finance_ops")


@pytest.fixture
def request_(requester: Actor, subject: str) -> Request:
    """A pending request for 1 finance_ops and 1 pay_admin."""
    return ask(actor=requester, subject_id=subject)


def verbs(request: Request) -> list[str]:
    """The journal's entries about the request's subject, in order."""
    return list(
        Entry.objects.filter(subject_kind=KIND, subject_id=request.subject_id)
        .order_by("seq")
        .values_list("verb", flat=True)
    )
