"""The warnings of an impact: stored in English, told in the viewer's language where they are what was approved."""

from __future__ import annotations

import pytest
from django.utils.translation import gettext_lazy, ngettext_lazy, override

from opsconsole.core.texts import english
from opsconsole.plans import warnings
from opsconsole.plans.types import Impact, registered

# Texts of the catalogue, with placeholders for facts.
ONCE = gettext_lazy("The calendar “{name}” ({reason}) keeps this plan from being executed from {starts} to {ends} UTC.")
FACTS = {"name": "Year’s end", "reason": "audit", "starts": "1", "ends": "2"}


@pytest.fixture(autouse=True)
def _own_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "_templates", {})


def test_a_warning_is_stored_in_english_whoever_stages() -> None:
    template = warnings.declare("held", ONCE)
    with override("fr"):
        stored = template.of(**FACTS, also={"calendar": "c-1"})
    sentence = "The calendar “Year’s end” (audit) keeps this plan from being executed from 1 to 2 UTC."
    assert stored == {"code": "held", "message": sentence, "facts": FACTS, "calendar": "c-1"}
    told = warnings.told(stored)
    assert english(told) == sentence
    with override("fr"):
        assert str(told).startswith("Le calendrier")


def test_a_count_chooses_its_form_in_the_viewers_language() -> None:
    many = ngettext_lazy("{count} step is left", "{count} steps are left", "count")
    template = warnings.declare("left", many)
    assert [template.of(count=count)["message"] for count in (0, 1, 2)] == [
        "0 steps are left",
        "1 step is left",
        "2 steps are left",
    ]
    assert str(warnings.told(template.of(count=2))) == "2 steps are left"


def test_one_code_with_several_templates_tells_the_one_that_was_stored() -> None:
    other = warnings.declare("held", gettext_lazy("It is held by {plans}."))
    held = warnings.declare("held", ONCE)
    assert english(warnings.told(other.of(plans="p-1"))) == "It is held by p-1."
    with override("fr"):
        assert str(warnings.told(held.of(**FACTS))).startswith("Le calendrier «\xa0Year’s end\xa0»")


@pytest.mark.parametrize(
    "stored",
    [
        {"code": "held", "message": "Held by the calendar."},  # of an older version, without facts
        {"code": "held", "message": "Held.", "facts": {"name": "x"}},  # its facts do not fill the template
        {"code": "held", "message": "Held until 3.", "facts": FACTS},  # what was approved is another sentence
        {"code": "nobody_knows", "message": "Held.", "facts": FACTS},
    ],
)
def test_anything_else_is_shown_as_it_was_approved(stored: dict[str, object]) -> None:
    warnings.declare("held", ONCE)
    warnings.declare("held", ngettext_lazy("{count} is held", "{count} are held", "count"))
    with override("fr"):
        assert warnings.told(stored) == stored["message"]


def test_what_cannot_be_undone_is_translated_where_a_type_says_it_so() -> None:
    for plan_type in registered():
        with override("fr"):
            stored = Impact(irreversible=plan_type.irreversible).as_json(steps=1)["irreversible"]
            assert stored == english(plan_type.irreversible)
            told = str(warnings.told_irreversible(stored))
        assert told != stored or not stored, plan_type.name
    assert warnings.told_irreversible("What is done is done.") == "What is done is done."
