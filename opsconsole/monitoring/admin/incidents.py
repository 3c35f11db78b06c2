"""Incidents: what is wrong, who looks after it, and the buttons that move it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, then
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.filters import Since
from opsconsole.core.admin.pages import Facts, Notice, Section, Table
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import SHOWN_ON_PAGES, all_entries_of, subject_link, timeline
from opsconsole.journal.selectors import entries_of
from opsconsole.monitoring import access
from opsconsole.monitoring.models import Alert, Incident
from opsconsole.monitoring.services import incidents
from opsconsole.monitoring.services.incidents import MAX_TEXT, MAX_TITLE
from opsconsole.monitoring.states import IncidentState, Severity
from opsconsole.runbooks.admin.pages import runbook_link

TONES = {Severity.CRITICAL: "bad", Severity.WARNING: "warn", Severity.INFO: "info"}
STATE_TONES = {IncidentState.OPEN: "bad", IncidentState.ACKNOWLEDGED: "warn", IncidentState.RESOLVED: "good"}
ALERTS_SHOWN = 50

LINKS = {"runbook": _("runbook"), "alertmanager": _("Alertmanager"), "prometheus": _("Prometheus")}


def severity_label(incident: Incident) -> SafeString:
    """How bad it is, in its colour."""
    severity = Severity(incident.severity)
    return display.label(severity.label, TONES[severity])


def state_label(incident: Incident) -> SafeString:
    """Its state, in its colour."""
    state = IncidentState(incident.status)
    return display.label(state.label, STATE_TONES[state])


class NewIncidentForm(ActionForm):
    """What is wrong, and how bad it is."""

    title = forms.CharField(label=_("Title"), max_length=MAX_TITLE)
    severity = forms.ChoiceField(label=_("Severity"), choices=Severity.choices, initial=Severity.WARNING)
    description = forms.CharField(
        label=_("Description"), max_length=MAX_TEXT, required=False, widget=forms.Textarea({"rows": 4})
    )


class CommentForm(ActionForm):
    """A remark."""

    comment = forms.CharField(
        label=_("Comment"),
        help_text=_("It goes into the journal."),
        max_length=MAX_TEXT,
        widget=forms.Textarea({"rows": 3}),
    )


class ConclusionForm(ActionForm):
    """What it was."""

    conclusion = forms.CharField(
        label=_("What it was"),
        help_text=_("The root cause and what was done. It goes into the journal."),
        max_length=MAX_TEXT,
        widget=forms.Textarea({"rows": 4}),
    )
    although_firing = forms.BooleanField(label=_("I know that alerts of it still fire"), required=False)


class OpenIncident(Action[None]):
    """Open one by hand."""

    name = "open"
    label = _("Open an incident")
    icon = "add_alert"
    tone = "primary"
    permission = "monitoring.handle_incident"
    form = NewIncidentForm

    def question(self, _row: None) -> Text:
        """Who will hear of it."""
        return now_("Whoever is subscribed to incidents is told at once.")

    def perform(self, press: Press[None]) -> Answer:
        """Open it, or join the live one of that title."""
        return incidents.open_incident.once(
            press.key,
            then(
                lambda incident: now_("The incident “%(title)s” is open.") % {"title": incident.title}, display.row_url
            ),
            title=press.data["title"],
            severity=Severity(press.data["severity"]),
            description=press.data["description"],
            actor=press.actor,
        )


class Acknowledge(Action[Incident]):
    """Take it up."""

    name = "acknowledge"
    label = _("Take it up")
    icon = "front_hand"
    tone = "primary"
    permission = "monitoring.handle_incident"

    def offered(self, _actor: Actor, row: Incident) -> bool:
        """While nobody has."""
        return row.status == IncidentState.OPEN

    def question(self, row: Incident) -> Text:
        """Whose it will be."""
        return now_("From now on %(title)s is yours: others see that you look after it.") % {"title": row.title}

    def perform(self, press: Press[Incident]) -> Answer:
        """It is theirs."""
        return incidents.acknowledge_incident.once(
            press.key,
            then(lambda _incident: now_("It is yours."), display.row_url),
            incident_id=press.row.pk,
            actor=press.actor,
        )


class Comment(Action[Incident]):
    """Write something into its timeline."""

    name = "comment"
    label = _("Comment")
    icon = "comment"
    permission = "monitoring.handle_incident"
    form = CommentForm

    def question(self, _row: Incident) -> Text:
        """Where it goes."""
        return now_("What you see and do, for those who come after you.")

    def perform(self, press: Press[Incident]) -> Answer:
        """Write it."""
        return incidents.comment_incident.once(
            press.key,
            then(lambda _incident: now_("It stands in the timeline."), display.row_url),
            incident_id=press.row.pk,
            comment=press.data["comment"],
            actor=press.actor,
        )


class Resolve(Action[Incident]):
    """End it."""

    name = "resolve"
    label = _("Resolve")
    icon = "task_alt"
    permission = "monitoring.handle_incident"
    form = ConclusionForm

    def offered(self, _actor: Actor, row: Incident) -> bool:
        """While it lives."""
        return row.status != IncidentState.RESOLVED

    def question(self, row: Incident) -> Text:
        """What is asked."""
        return now_("What was it, and what was done? “%(title)s” ends with this.") % {"title": row.title}

    def perform(self, press: Press[Incident]) -> Answer:
        """End it."""
        return incidents.resolve_incident.once(
            press.key,
            then(lambda _incident: now_("The incident is resolved."), display.row_url),
            incident_id=press.row.pk,
            conclusion=press.data["conclusion"],
            although_firing=press.data["although_firing"],
            actor=press.actor,
        )


@admin.register(Incident)
class IncidentAdmin(ConsoleAdmin[Incident]):
    """Incidents, newest first."""

    list_display = ("titled", "how_bad", "stands", "opened", "whose")
    nothing = _("No incident: the console opens one when something fails, and so can you.")
    list_filter = (Since.by("opened_at"), "status", "severity", "source")
    list_select_related = ("acknowledged_by",)
    ordering = ("-opened_at", "-id")
    search_fields = ("title",)
    row_actions = (Acknowledge(), Comment(), Resolve())

    def visible(self, actor: Actor) -> QuerySet[Incident]:
        """The incidents the actor may see."""
        return access.visible_incidents(actor)

    def list_actions(self) -> Sequence[Action[None]]:
        """A new one."""
        return (OpenIncident(),)

    @admin.display(description=_("incident"))
    def titled(self, incident: Incident) -> str:
        """What is wrong."""
        return incident.title

    @admin.display(description=_("severity"))
    def how_bad(self, incident: Incident) -> SafeString:
        """How bad it is."""
        return severity_label(incident)

    @admin.display(description=_("state"))
    def stands(self, incident: Incident) -> SafeString:
        """Its state."""
        return state_label(incident)

    @admin.display(description=_("opened"))
    def opened(self, incident: Incident) -> Any:
        """Since when."""
        return display.moment(incident.opened_at)

    @admin.display(description=_("taken up by"))
    def whose(self, incident: Incident) -> str:
        """Who looks after it."""
        return incident.acknowledged_by.username if incident.acknowledged_by else display.NOTHING

    def badge(self, row: Incident) -> Text:
        """Its state."""
        return state_label(row)

    def sections(self, request: HttpRequest, row: Incident) -> Sequence[Section]:
        """What is wrong, its alerts, and what happened."""
        sections: list[Section] = []
        if row.status == IncidentState.OPEN:
            sections.append(Notice(_("Nobody has taken it up yet."), "warn"))
        if row.conclusion:
            sections.append(Notice(row.conclusion, "info", _("What it was")))
        if description := row.details.get("description"):
            sections.append(Notice(description, "info", _("Description")))
        alerts = list(row.alerts.order_by("-starts_at", "-id")[:ALERTS_SHOWN])
        if alerts:
            sections.append(_alerts(alerts))
        sections.append(
            timeline(request, entries_of(row)[:SHOWN_ON_PAGES], more=all_entries_of("ops_incidents", row.pk))
        )
        return sections

    def side(self, request: HttpRequest, row: Incident) -> Sequence[Section]:
        """The facts beside it."""
        about: Any = display.NOTHING
        if row.subject_kind:
            about = subject_link(request, row.subject_kind, row.subject_id)
        links = row.details.get("links") or {}
        return [
            Facts(
                _("Incident"),
                [
                    (_("severity"), severity_label(row)),
                    (_("opened by"), row.get_source_display()),
                    (_("about"), about),
                    (_("opened"), display.moment(row.opened_at)),
                    (_("taken up by"), row.acknowledged_by.username if row.acknowledged_by else display.NOTHING),
                    (_("taken up"), display.moment(row.acknowledged_at)),
                    (_("no alert fires since"), display.moment(row.quiet_since)),
                    (_("resolved"), display.moment(row.resolved_at)),
                    *((LINKS[name], display.link(url, url)) for name, url in links.items() if name in LINKS),
                ],
            )
        ]


def _alerts(alerts: list[Alert]) -> Section:
    return Table(
        _("Alerts"),
        [_("alert"), _("what it says"), _("labels"), _("since"), _("until")],
        [
            [
                runbook_link(alert.name),
                alert.annotations.get("description") or alert.annotations.get("summary", ""),
                ", ".join(
                    f"{name}={value}"
                    for name, value in sorted(alert.labels.items())
                    if name not in ("alertname", "severity")
                )
                or display.NOTHING,
                display.moment(alert.starts_at),
                display.moment(alert.ends_at) if alert.ends_at else display.label(_("firing"), "bad"),
            ]
            for alert in alerts
        ],
    )
