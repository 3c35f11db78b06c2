"""Approvals for benchmarks: whoever the policy asks for, each with a signature of their own key."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

APPROVERS = ("finance_ops", "pay_admin", "pay_admin2", "finance_ops2")


def approve_signed(plan: Any) -> None:
    """Approve until the plan is approved; raises RuntimeError when these people are not enough."""
    from opsconsole.approvals import selectors
    from opsconsole.core.actors import Actor
    from opsconsole.core.errors import DomainError
    from opsconsole.core.models import User
    from opsconsole.plans.models import Plan
    from opsconsole.plans.services import decisions

    request = selectors.live_request("plan", plan.pk, f"plan.{plan.plan_type}")
    assert request is not None
    for name in APPROVERS:
        actor = Actor.of(User.objects.get(username=name))
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        give_key(actor, public)
        signature = base64.b64encode(key.sign(selectors.text_to_sign(request, actor).encode())).decode()
        try:
            decisions.approve_plan(plan_id=plan.pk, signature=signature, comment="", actor=actor)
        except DomainError as error:
            print(f"bench: {name}: {error}")
        if Plan.objects.values_list("status", flat=True).get(pk=plan.pk) == "approved":
            return
    raise RuntimeError("the plan is not approved")


def give_key(person: Any, public_key: str) -> None:
    """Give this person a key as if others had agreed to it: what is measured is the signing."""
    from opsconsole.approvals.keys import add_ed25519_key
    from opsconsole.core.operations import operation

    @operation
    def add(*, actor: Any) -> None:
        add_ed25519_key(user=actor.user, name="bench", public_key=public_key, actor=actor)

    add(actor=person)
