"""The words of approval: the states of a request, what a person may say to it, and what a decision leads to."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from opsconsole.core.states import States


class RequestState(States):
    """A request waits, is agreed to, and is used once; or it ends unused.

    It is suspended while its subject is taken back to be edited: the same content again brings it back with its
    approvals, any other ends it.
    """

    PENDING = "pending", pgettext_lazy("a request", "pending")
    APPROVED = "approved", _("approved")
    SUSPENDED = "suspended", _("suspended")
    CONSUMED = "consumed", _("consumed")
    REJECTED = "rejected", _("rejected")
    EXPIRED = "expired", _("expired")
    VOID = "void", _("void")

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every request is born pending."""
        return frozenset({cls.PENDING.value})

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Only approved leads to consumed; approved goes back to pending when an approval falls away."""
        gone = {cls.EXPIRED.value, cls.VOID.value}
        return {
            cls.PENDING.value: frozenset({cls.APPROVED.value, cls.SUSPENDED.value, cls.REJECTED.value, *gone}),
            cls.APPROVED.value: frozenset(
                {cls.PENDING.value, cls.CONSUMED.value, cls.SUSPENDED.value, cls.REJECTED.value, *gone}
            ),
            cls.SUSPENDED.value: frozenset({cls.PENDING.value, cls.APPROVED.value, *gone}),
        }


OPEN = (RequestState.PENDING.value, RequestState.APPROVED.value)  # people can decide
LIVE = (*OPEN, RequestState.SUSPENDED.value)  # it has not ended


class DecisionKind(models.TextChoices):
    """What a person can say to a request."""

    APPROVE = "approve", pgettext_lazy("a decision", "approve")
    REJECT = "reject", pgettext_lazy("a decision", "reject")
    REVOKE = "revoke", pgettext_lazy("a decision", "revoke")
    COMMENT = "comment", pgettext_lazy("a decision", "comment")


class Outcome(StrEnum):
    """What a decision, or a recount, did to the request; told to the subject's hooks."""

    PROGRESSED = "progressed"  # an approval came or went, and the request is still pending
    APPROVED = "approved"  # the last open slot was filled
    REOPENED = "reopened"  # it was approved, and an approval fell away
    REJECTED = "rejected"  # it has ended


class ReviewState(States):
    """A review waits for people, longer than it should perhaps, until enough have looked, or one of them objects."""

    OPEN = "open", _("open")
    OVERDUE = "overdue", _("overdue")
    REVIEWED = "reviewed", _("reviewed")
    OBJECTED = "objected", _("objected to")

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every review is born open."""
        return frozenset({cls.OPEN.value})

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """An overdue review can still be answered; it stays on record that it was late."""
        ends = frozenset({cls.REVIEWED.value, cls.OBJECTED.value})
        return {cls.OPEN.value: ends | {cls.OVERDUE.value}, cls.OVERDUE.value: ends}


WAITING_REVIEWS = (ReviewState.OPEN.value, ReviewState.OVERDUE.value)  # people are still to look


class ReviewCause(models.TextChoices):
    """Why something is looked at after the fact."""

    BREAK_GLASS = "break_glass", _("break-glass")
    POLICY = "policy", _("asked for by the policy")


class ReviewVerdict(models.TextChoices):
    """What a reviewer says."""

    APPROVE = "approve", _("approve")
    OBJECT = "object", _("object")
