"""What people do to a fraud rule: change it, try it on the past, switch it on and off, have it look now, copy it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any, Final

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from loyalty.admin.rule_sections import limits_in_words, tried_section
from loyalty.fraud.patterns import PATTERNS
from loyalty.models import FraudRule
from loyalty.services import fraud, fraud_rules
from loyalty.services.fraud_rules import MAX_CODE, MAX_FLAG, MOST_HOURS, PATIENCE, TRIED_ON
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, RevisionForm, done, then
from opsconsole.core.admin.pages import Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text

OF_LIMIT: Final = "limit_"  # before the name of a limit, that of its field


class RuleForm(ReasonForm):
    """What a rule looks for and does; the fields of its limits are added by its kind."""

    allowed_networks = forms.CharField(
        label=_("Networks that are left out"),
        help_text=_("Addresses that many members share honestly: one on a line, such as 203.0.113.0/24."),
        required=False,
        widget=forms.Textarea({"rows": 4, "spellcheck": "false", "class": "ops-mono"}),
    )
    flag = forms.CharField(label=_("flag"), help_text=_("It is put on whom the rule hits."), max_length=MAX_FLAG)
    locks = forms.BooleanField(label=_("Lock the points of whom it hits"), required=False)
    review_hours = forms.IntegerField(
        label=_("Hours until a verdict is due"), min_value=1, max_value=MOST_HOURS, required=True
    )

    def clean_allowed_networks(self) -> list[str]:
        """As a list."""
        return [line.strip() for line in self.cleaned_data["allowed_networks"].splitlines() if line.strip()]


class EditForm(RevisionForm, RuleForm):
    """The same of a rule that there is."""


class CopyForm(RuleForm):
    """The same, with a name."""

    code = forms.CharField(label=_("Name"), max_length=MAX_CODE, strip=True)


class TryForm(ActionForm):
    """The days to try a rule on."""

    since = forms.DateField(
        label=_("From"), widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"), help_text=_("In UTC.")
    )
    until = forms.DateField(
        label=_("Up to"),
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        help_text=_("That day is left out. Empty: up to now."),
        required=False,
    )


class _OnRule(Action[FraudRule]):
    permission = fraud_rules.PERMISSION


class _Written(_OnRule):
    """A form with the limits of the rule's kind."""

    form = RuleForm

    def initial(self, row: FraudRule) -> dict[str, Any]:
        """As it is."""
        return {
            "allowed_networks": "\n".join(row.allowed_networks),
            **{name: getattr(row, name) for name in ("flag", "locks", "review_hours")},
            **{f"{OF_LIMIT}{name}": value for name, value in row.limits.items()},
        }

    def make_form(self, actor: Actor, row: FraudRule, data: Any = None, files: Any = None) -> ActionForm:
        """The limits first."""
        form = super().make_form(actor, row, data, files)
        pattern = PATTERNS[row.kind]
        for limit in pattern.limits:
            form.fields[f"{OF_LIMIT}{limit.name}"] = forms.IntegerField(
                label=str(limit.label).capitalize(),
                min_value=limit.least,
                max_value=limit.most,
                show_hidden_initial=isinstance(form, RevisionForm),
            )
        if not pattern.has_networks:
            del form.fields["allowed_networks"]
        limits = [f"{OF_LIMIT}{limit.name}" for limit in pattern.limits]
        form.order_fields(["code", *limits, "allowed_networks", "flag", "locks", "review_hours", "reason"])
        return form


def _written(data: dict[str, Any]) -> dict[str, Any]:
    """What the form says, as the services take it."""
    limits = {name.removeprefix(OF_LIMIT): value for name, value in data.items() if name.startswith(OF_LIMIT)}
    names = ("allowed_networks", "flag", "locks", "review_hours")
    return {"limits": limits, **{name: data[name] for name in names if name in data}}


class ChangeRule(_Written):
    """Another version."""

    name = "edit"
    label = _("Change")
    icon = "edit"
    form = EditForm

    def question(self, row: FraudRule) -> Text:
        """That it is switched off by it."""
        if row.active:
            return now_("Change %(rule)s? It is switched off until the new version has been tried out.") % {
                "rule": row.code
            }
        return now_("Change %(rule)s? The new version is to be tried out before it is switched on.") % {
            "rule": row.code
        }

    def perform(self, press: Press[FraudRule]) -> Answer:
        """Change it."""
        return fraud_rules.change_fraud_rule.once(
            press.key,
            then(lambda _row: now_("The rule is changed. Try it out, then switch it on."), display.row_url),
            rule_id=press.row.pk,
            changes=_written({name: press.data[name] for name in press.data["changed"]}),
            reason=press.data["reason"],
            actor=press.actor,
        )


class CopyRule(_Written):
    """Another rule of the same kind."""

    name = "copy"
    label = _("Copy")
    icon = "content_copy"
    form = CopyForm

    def question(self, row: FraudRule) -> Text:
        """What it begins as."""
        return now_("Make another rule like %(rule)s? It is switched off at first.") % {"rule": row.code}

    def perform(self, press: Press[FraudRule]) -> Answer:
        """Make it."""
        return fraud_rules.create_fraud_rule.once(
            press.key,
            then(lambda _row: now_("The rule is made. Try it out, then switch it on."), display.row_url),
            code=press.data["code"],
            kind=press.row.kind,
            **_written(press.data),
            reason=press.data["reason"],
            actor=press.actor,
        )


class TryOut(_OnRule):
    """See whom it would have hit."""

    name = "try-out"
    label = _("Try out")
    icon = "science"
    tone = "primary"
    form = TryForm

    def question(self, row: FraudRule) -> Text:
        """That nobody is hit, and how long it may take."""
        return now_(
            "Try %(rule)s on the past? Nobody is flagged or locked. It reads for %(seconds)s seconds at most, and says"
            " so where that is not enough."
        ) % {"rule": row.code, "seconds": int(PATIENCE.total_seconds())}

    def initial(self, _row: FraudRule) -> dict[str, Any]:
        """The days on which a rule is tried where nobody says which."""
        return {"since": (timezone.now() - TRIED_ON).date()}

    def perform(self, press: Press[FraudRule]) -> Answer:
        """Try it."""

        def told(rule: FraudRule) -> str:
            count = (rule.backtest or {})["members"]
            return ngettext("It would have hit %(count)s member.", "It would have hit %(count)s members.", count) % {
                "count": display.number(count)
            }

        until = press.data["until"]
        return fraud_rules.back_test_rule.once(
            press.key,
            then(told, display.row_url),
            rule_id=press.row.pk,
            since=datetime.combine(press.data["since"], time.min, tzinfo=UTC),
            until=None if until is None else datetime.combine(until, time.min, tzinfo=UTC),
            actor=press.actor,
        )


class SwitchOn(_OnRule):
    """Have it look."""

    name = "on"
    label = _("Switch on")
    icon = "toggle_on"
    tone = "go"
    form = ReasonForm

    def offered(self, _actor: Actor, row: FraudRule) -> bool:
        """Which is off."""
        return not row.active

    def obstacle(self, _actor: Actor, row: FraudRule) -> Text:
        """Nobody has seen whom it would hit."""
        tried = (row.backtest or {}).get("version") == row.version
        return "" if tried else now_("Try this version out first: nobody has seen whom it would hit.")

    def question(self, row: FraudRule) -> Text:
        """What it does."""
        told = now_("Have %(rule)s look every five minutes? %(limits)s.")
        if row.locks:
            told = now_("Have %(rule)s look every five minutes, and lock the points of whom it hits? %(limits)s.")
        return told % {"rule": row.code, "limits": limits_in_words(row)}

    def sections(self, _actor: Actor, row: FraudRule) -> Sequence[Section]:
        """Whom it would have hit."""
        return tried_section(row)

    def perform(self, press: Press[FraudRule]) -> Answer:
        """Switch it on."""
        return _switched(press, now_("The rule is switched on."), active=True)


class SwitchOff(_OnRule):
    """Have it look no more."""

    name = "off"
    label = _("Switch off")
    icon = "toggle_off"
    tone = "danger"
    form = ReasonForm

    def offered(self, _actor: Actor, row: FraudRule) -> bool:
        """Which is on."""
        return row.active

    def question(self, row: FraudRule) -> Text:
        """What stays."""
        return now_("Have %(rule)s look no more? The hits that wait stay.") % {"rule": row.code}

    def perform(self, press: Press[FraudRule]) -> Answer:
        """Switch it off."""
        return _switched(press, now_("The rule is switched off."), active=False)


def _switched(press: Press[FraudRule], told: str, *, active: bool) -> Answer:
    return fraud_rules.switch_fraud_rule.once(
        press.key,
        then(lambda _row: told, display.row_url),
        rule_id=press.row.pk,
        active=active,
        reason=press.data["reason"],
        actor=press.actor,
    )


class LookNow(_OnRule):
    """Look now, and not only within five minutes."""

    name = "look"
    label = _("Look now")
    icon = "search"

    def offered(self, _actor: Actor, row: FraudRule) -> bool:
        """Which is on."""
        return row.active

    def question(self, row: FraudRule) -> Text:
        """What comes of it."""
        return now_("Have %(rule)s look now? Whom it hits is flagged and stands in the queue.") % {"rule": row.code}

    def perform(self, press: Press[FraudRule]) -> Answer:
        """Look."""
        to = display.row_url(press.row)

        def told(found: Any) -> Answer:
            count = found.hits
            text = ngettext("%(count)s new hit.", "%(count)s new hits.", count) % {"count": display.number(count)}
            return done(text, to=to)

        return fraud.look_for.once(press.key, told, rule_id=press.row.pk, actor=press.actor)
