"""The OpenAPI document is true: version, validity, examples, and what the API really answers; and its page is ours."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from jsonschema import Draft202012Validator, FormatChecker
from rest_framework.test import APIClient

from opsconsole.journal.downloads import CONTENT_TYPES
from opsconsole.plans.types import registered
from tests.api.conftest import RUNBOOK_PLAN
from tests.api.servers import Web


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document as `manage.py spectacular` writes it; a warning fails."""
    output = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=output)
    return dict(json.loads(output.getvalue()))


# What is answered with a file.
FILES = {
    "/api/ops/plans/{plan_id}/evidence": ["application/zip"],
    "/api/voucher-batches/{batch_id}/export": ["text/csv"],
    "/api/journal/export": [kind.partition(";")[0] for kind in CONTENT_TYPES.values()],
}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every path and method with its operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def problems_with(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with a value by a schema of the document."""
    rooted = {"components": document["components"], **schema}
    return [error.message for error in Draft202012Validator(rooted, format_checker=FormatChecker()).iter_errors(value)]


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_it_is_served_to_everybody_in_both_forms(visitor: Client, document: dict[str, Any]) -> None:
    assert visitor.get("/api/schema", headers={"Accept": "application/json"}).json() == document
    assert yaml.safe_load(visitor.get("/api/schema").content)["paths"] == document["paths"]


def test_every_door_is_in_it_with_its_problems(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for path, method, operation in operations(document):
        if path == "/api/schema":
            continue
        where = f"{method} {path}"
        assert operation["summary"], where
        answers = operation["responses"]
        assert list(answers["default"]["content"]) == ["application/problem+json"], where
        for status, answer in answers.items():
            if status == "204":
                assert "content" not in answer, where
                continue
            good = FILES.get(path, ["application/json"])
            wanted = good if status < "400" else ["application/problem+json"]
            assert list(answer["content"]) == wanted, f"{where} {status}"
        named = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert ("Idempotency-Key" in named) == (method in ("post", "put", "patch")), where
        who = "alertmanager" if path == "/api/alerts" else "bearer"
        assert operation["security"] == [{who: []}], where


def test_states_have_one_name_each(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("PlanState", "RunState", "StepState"):
        assert schemas[name]["type"] == "string"
    assert not [name for name in schemas if re.search(r"Status[0-9A-F]\w*Enum", name)]


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    seen = 0
    for path, method, operation in operations(document):
        bodies = [("request", operation.get("requestBody", {}))]
        bodies += [(status, answer) for status, answer in operation["responses"].items()]
        for which, body in bodies:
            for media in body.get("content", {}).values():
                for name, example in media.get("examples", {}).items():
                    wrong = problems_with(document, media["schema"], example["value"])
                    assert wrong == [], f"{method} {path} {which} {name}"
                    seen += 1
    assert seen >= 25


def test_the_runbooks_plan_is_an_example(document: dict[str, Any]) -> None:
    body = document["paths"]["/api/ops/plans"]["post"]["requestBody"]["content"]["application/json"]
    plans = [example["value"] for example in body["examples"].values()]
    assert RUNBOOK_PLAN in plans
    assert {plan["plan_type"] for plan in plans} == {plan_type.name for plan_type in registered()}


def test_what_is_answered_is_what_is_documented(
    document: dict[str, Any], api: Callable[..., APIClient], approved: Callable[..., dict[str, Any]]
) -> None:
    plan = approved()
    clients = {name: api(name) for name in ("ops", "finance_ops", "pay_admin")}
    base = "/api/ops/plans/{plan_id}"
    run = clients["finance_ops"].post(f"/api/ops/plans/{plan['id']}/execute", headers={"Idempotency-Key": "k"}).json()
    calls = [
        ("get", "/api/ops/plan-types", None, 200),
        ("get", "/api/ops/plans", None, 200),
        ("post", "/api/ops/plans", RUNBOOK_PLAN, 200),
        ("post", "/api/ops/plans", {}, 400),
        ("get", base, None, 200),
        ("patch", base, {"name": "x"}, 409),
        ("post", f"{base}/stage", None, 409),
        ("get", f"{base}/steps", None, 200),
        ("get", f"{base}/runs", None, 200),
        ("get", f"{base}/runs/{{run_id}}", None, 200),
        ("get", f"{base}/runs/{{run_id}}/steps", None, 200),
        ("post", f"{base}/runs/{{run_id}}/pause", {"reason": "lunch"}, 200),
        ("get", f"{base}/journal", None, 200),
        ("post", f"{base}/rollback", None, 409),
        ("get", "/api/approvals", None, 200),
        ("get", "/api/approvals/{request_id}", None, 200),
        ("get", "/api/signer-keys", None, 200),
        ("get", "/api/journal", None, 200),
        ("get", "/api/ops/payouts", None, 200),
        ("get", "/api/ops/banks", None, 200),
        ("get", "/api/ops/accounts", None, 200),
        ("get", "/api/ops/routes", None, 200),
    ]
    for method, path, body, status in calls:
        url = path.format(plan_id=plan["id"], run_id=run["run_id"], request_id=plan["approval_id"])
        answer = getattr(clients["finance_ops"], method)(url, body)
        assert answer.status_code == status, (method, path, answer.content)
        responses = document["paths"][path][method]["responses"]
        content = responses.get(str(status), responses["default"])["content"]
        schema = content[answer["Content-Type"]]["schema"]
        assert problems_with(document, schema, answer.json()) == [], f"{method} {path}"


def test_swagger_comes_from_our_own_host(web: Web) -> None:
    answer = web.ask("GET", "/api/docs")
    page = answer.data.decode()
    assert answer.status == 200
    assert "text/html" in answer.headers["Content-Type"]
    assets = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert len(assets) >= 4
    assert all(asset.startswith(("/static/", "/api/docs?script=")) for asset in assets), assets
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+", page) == []
    for asset in assets:
        loaded = web.ask("GET", asset)
        assert (loaded.status, len(loaded.data) > 100) == (200, True), asset
    (script,) = [asset for asset in assets if asset.startswith("/api/docs")]
    assert re.search(r"""url: ["']/api/schema""", web.ask("GET", script).data.decode())


def test_a_problem_has_one_form(document: dict[str, Any]) -> None:
    problem = document["components"]["schemas"]["Problem"]
    assert set(problem["required"]) == {"type", "title", "status", "detail", "code", "request_id"}
