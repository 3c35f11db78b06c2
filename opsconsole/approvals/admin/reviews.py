"""Reviews after the fact: what was done by break-glass, or is to be looked at afterwards by its policy."""

from __future__ import annotations

from collections.abc import Sequence

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import access, selectors, services, subjects
from opsconsole.approvals.models import Review
from opsconsole.approvals.states import WAITING_REVIEWS, ReviewCause, ReviewState, ReviewVerdict
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import MAX_REASON, Action, ActionForm, Press, then
from opsconsole.core.admin.base import ConsoleAdmin, actor_of
from opsconsole.core.admin.filters import OneOf, Options
from opsconsole.core.admin.pages import Facts, Notice, Section, Table
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import subject_link

TONES = {
    ReviewState.OPEN: "warn",
    ReviewState.OVERDUE: "bad",
    ReviewState.REVIEWED: "good",
    ReviewState.OBJECTED: "bad",
}


class ReviewForm(ActionForm):
    """What one thinks of it, and why."""

    verdict = forms.ChoiceField(
        label=_("What do you say?"),
        choices=[
            (ReviewVerdict.APPROVE.value, _("It was right to do this")),
            (ReviewVerdict.OBJECT.value, _("I object")),
        ],
        widget=forms.RadioSelect,
    )
    comment = forms.CharField(
        label=_("Comment"),
        max_length=MAX_REASON,
        widget=forms.Textarea({"rows": 3}),
        help_text=_("What you looked at, and what came of it. It goes into the journal."),
    )


class AnswerReview(Action[Review]):
    """Say what one thinks of it."""

    name = "review"
    label = _("Review")
    icon = "rate_review"
    tone = "primary"
    permission = "approvals.answer_review"
    form = ReviewForm

    def offered(self, _actor: Actor, row: Review) -> bool:
        """While people are still to look."""
        return row.status in WAITING_REVIEWS

    def obstacle(self, actor: Actor, row: Review) -> Text:
        """Why this person cannot."""
        if row.status not in WAITING_REVIEWS:
            return now_("The review is %(state)s.") % {"state": row.state.label}
        if actor.id in row.barred:
            return now_("You had a part in this; other people must review it.")
        if actor.roles.isdisjoint(row.roles):
            return now_("This takes one of the roles %(roles)s.") % {"roles": ", ".join(row.roles)}
        if actor.user is not None and row.answers.filter(user=actor.user).exists():
            return now_("You have answered this review.")
        return ""

    def question(self, row: Review) -> Text:
        """What is looked at."""
        return now_("Review what was done with “%(title)s”. One objection ends the review.") % {"title": row.title}

    def sections(self, _actor: Actor, row: Review) -> Sequence[Section]:
        """What is known of it."""
        return [Facts(_("What was done"), display.members(row.facts))]

    def perform(self, press: Press[Review]) -> Answer:
        """Answer it."""
        return services.answer_review.once(
            press.key,
            then(lambda review: now_("The review is %(state)s.") % {"state": review.state.label}, display.row_url),
            review_id=press.row.pk,
            verdict=ReviewVerdict(press.data["verdict"]),
            comment=press.data["comment"],
            actor=press.actor,
        )


class ForMe(OneOf):
    """Those the viewer may still answer."""

    title = _("for me")
    parameter_name = "mine"

    def options(self, _request: HttpRequest) -> Options:
        """One choice besides all."""
        return [("1", _("waiting for me"))]

    def narrow(self, request: HttpRequest, rows: QuerySet[Review], _value: str) -> QuerySet[Review]:
        """Those that wait for the viewer."""
        return selectors.answerable_by(rows, actor_of(request))


def review_state(review: Review) -> SafeString:
    """Its state in its colour."""
    return display.label(review.state.label, TONES[ReviewState(review.status)])


def reviews_table(reviews: Sequence[Review], title: Text, empty: Text = "") -> Table:
    """Reviews, a line each."""
    return Table(
        title,
        [_("what"), _("state"), _("why"), _("by"), _("due")],
        [
            [
                display.row_link(review),
                review_state(review),
                ReviewCause(review.cause).label,
                review.opened_by,
                display.moment(review.due_at),
            ]
            for review in reviews
        ],
        empty=empty,
    )


@admin.register(Review)
class ReviewAdmin(ConsoleAdmin[Review]):
    """Reviews, newest first."""

    list_display = ("title", "state", "why", "by", "opened", "due", "answered")
    nothing = _("Nothing was done that is to be reviewed after the fact.")
    list_filter = (ForMe, "status", "cause")
    ordering = ("-opened_at", "-id")
    row_actions = (AnswerReview(),)

    def visible(self, actor: Actor) -> QuerySet[Review]:
        """The reviews the actor may see."""
        return access.visible_reviews(actor)

    @admin.display(description=_("state"))
    def state(self, review: Review) -> SafeString:
        """Its state."""
        return review_state(review)

    @admin.display(description=_("why"))
    def why(self, review: Review) -> str:
        """What it was opened for."""
        return str(ReviewCause(review.cause).label)

    @admin.display(description=_("by"))
    def by(self, review: Review) -> str:
        """Whose deed it is."""
        return review.opened_by

    @admin.display(description=_("opened"))
    def opened(self, review: Review) -> SafeString | str:
        """When it was done."""
        return display.moment(review.opened_at)

    @admin.display(description=_("due"))
    def due(self, review: Review) -> SafeString | str:
        """Until when it is to be answered."""
        return display.moment(review.due_at)

    @admin.display(description=_("answered"))
    def answered(self, review: Review) -> str:
        """By how many, of how many."""
        return f"{review.answers.count()} / {review.needed}"

    def badge(self, row: Review) -> SafeString:
        """Its state."""
        return review_state(row)

    def sections(self, request: HttpRequest, row: Review) -> Sequence[Section]:
        """What was done, and what was said of it."""
        kind = subjects.journal_kind(row.subject_kind)
        late = [Notice(_("Nobody has looked at this within its day."), "bad")] if row.status == "overdue" else []
        return [
            *late,
            Facts(
                _("Review"),
                [
                    (_("about"), subject_link(request, kind, row.subject_id)),
                    (_("why"), ReviewCause(row.cause).label),
                    (_("done by"), row.opened_by),
                    (_("opened"), display.moment(row.opened_at)),
                    (_("due"), display.moment(row.due_at)),
                    (_("ended"), display.moment(row.ended_at)),
                    (_("takes"), _people(row)),
                ],
            ),
            Facts(_("What was done"), display.members(row.facts)),
            Table(
                _("What was said"),
                [_("who"), _("verdict"), _("comment"), _("at")],
                [
                    [
                        answer.user.username,
                        ReviewVerdict(answer.verdict).label,
                        answer.comment,
                        display.moment(answer.at),
                    ]
                    for answer in row.answers.select_related("user").order_by("at")
                ],
                empty=_("Nobody has answered yet."),
            ),
        ]


def _people(review: Review) -> str:
    return now_("%(count)s people of the roles %(roles)s, none of whom had a part in it") % {
        "count": review.needed,
        "roles": ", ".join(review.roles),
    }
