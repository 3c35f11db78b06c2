"""The tree of errors: each refusal has its status, its code and its sentence, whatever door it leaves by."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterator

import pytest

import loyalty
import opsconsole
from opsconsole.core import errors
from opsconsole.core.errors import Conflict, DomainError, Unavailable
from opsconsole.core.problems import handle, problem
from opsconsole.core.requests import bind_request_id

BRANCHES = {
    errors.Invalid: 400,
    errors.Denied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.RuleBroken: 422,
    errors.Unavailable: 503,
}


# Errors that carry what somebody else's answer said.
ELSEWHERE = {"opsconsole.console.caller.Refused"}


def every_error() -> list[type[DomainError]]:
    """Every error of the product, once all of it is imported."""
    packages = ((opsconsole, "opsconsole."), (loyalty, "loyalty."))
    for module in (one for package, prefix in packages for one in pkgutil.walk_packages(package.__path__, prefix)):
        if ".migrations" not in module.name and module.name not in ("opsconsole.wsgi",):
            importlib.import_module(module.name)

    def below(error: type[DomainError]) -> Iterator[type[DomainError]]:
        for child in error.__subclasses__():
            yield child
            yield from below(child)

    ours = [error for error in below(DomainError) if error.__module__.startswith(("opsconsole.", "loyalty."))]
    return [error for error in ours if f"{error.__module__}.{error.__qualname__}" not in ELSEWHERE]


def test_every_error_hangs_on_one_branch_with_its_status_and_a_code() -> None:
    for error in every_error():
        branches = [branch for branch in BRANCHES if issubclass(error, branch)]
        assert len(branches) == 1, error
        assert error.status == BRANCHES[branches[0]], error
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code), error
        assert error.__doc__, error


def test_a_code_means_one_status() -> None:
    statuses = defaultdict(set)
    for error in every_error():
        statuses[error.code].add(error.status)
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


def test_an_error_of_its_own_has_a_code_of_its_own() -> None:
    for error in every_error():
        if error not in BRANCHES:
            assert "code" in vars(error), f"{error.__qualname__} goes by the code of its branch"


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_door_says_what_the_error_says(branch: type[DomainError]) -> None:
    bind_request_id("r-1")
    answer = handle(branch("Not so.", plan="7"), {})
    assert answer is not None
    assert answer.status_code == answer.data["status"] == BRANCHES[branch]
    assert answer.content_type == "application/problem+json"
    assert (answer.data["detail"], answer.data["plan"], answer.data["request_id"]) == ("Not so.", "7", "r-1")
    assert ("Retry-After" in answer) == (branch is Unavailable)


def test_a_fact_cannot_hide_a_member_of_the_form() -> None:
    body = problem(409, "wrong_state", "No.", status="staged", detail="x", type="y", request_id="z", code="w")
    assert (body["status"], body["state"], body["detail"], body["code"]) == (409, "staged", "No.", "wrong_state")
    assert body["type"].startswith("urn:")


def test_a_fact_that_has_no_json_form_is_told_as_text() -> None:
    assert problem(409, "x", "No.", fact={1.5})["fact"] == "{1.5}"


def test_a_fault_is_not_hidden_from_the_log() -> None:
    assert handle(ZeroDivisionError(), {}) is None


def test_an_error_reads_as_its_sentence() -> None:
    assert str(Conflict("Somebody else is at it.", plan=1)) == "Somebody else is at it."
