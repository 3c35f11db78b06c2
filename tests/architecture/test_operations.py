"""Writes are operations: services are, nothing else writes, and what is named by a string is there."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator

from django.apps import apps
from django.utils.module_loading import import_string, module_has_submodule

from opsconsole.core import schedule
from opsconsole.core.operations import Operation
from opsconsole.core.queue import QUEUES
from tests.architecture.source import FUNCTIONS, Module, decorated_with, dotted, modules

# --- services -------------------------------------------------------------------------------------------------------

# Public functions of services modules that are no operations, and why.
NO_OPERATION = {
    "opsconsole.plans.services.decisions.follow_decision": "called by approvals in the operation of the decision",
    "opsconsole.plans.services.decisions.follow_expiry": "called by approvals in the operation of the sweeper",
    "opsconsole.plans.services.decisions.lock_subject": "called by approvals in the operation of the decision",
    "opsconsole.plans.services.decisions.take_part": "called once, when the app is ready",
    "opsconsole.plans.services.running.close": "joins the operation that ends a run, a worker's or a person's",
    "opsconsole.treasury.services.bank_files.import_bank_file": "each chunk of the file is an operation",
    "loyalty.services.expiry.expire_points": "each chunk of members is an operation",
    "loyalty.services.purchases.import_purchases": "each chunk of the file is an operation",
    "opsconsole.treasury.services.imports.import_payouts": "each chunk of the file is an operation",
}


def is_service(module: Module) -> bool:
    """Whether the module is a room of services."""
    return "services" in module.rooms


def services() -> Iterator[tuple[str, object]]:
    """Every public function or operation defined in a services module."""
    for module in modules():
        if not is_service(module):
            continue
        loaded = importlib.import_module(module.name)
        for name, value in vars(loaded).items():
            mine = getattr(value, "__module__", None) == module.name
            if mine and not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, Operation)):
                yield f"{module.name}.{name}", value


def reads_only(function: object) -> bool:
    """Whether a plain function takes no actor: then it is a read, and the source has no write in it."""
    return inspect.isfunction(function) and "actor" not in inspect.signature(function).parameters


def test_every_public_service_is_an_operation() -> None:
    found = dict(services())
    assert len([value for value in found.values() if isinstance(value, Operation)]) > 30
    for name, value in found.items():
        if name in NO_OPERATION or isinstance(value, Operation):
            continue
        assert reads_only(value), f"{name} is public, takes an actor, and is no operation"
    assert (
        sorted(NO_OPERATION.keys() - {name for name, value in found.items() if not isinstance(value, Operation)}) == []
    )


def test_an_operation_is_keyword_only_annotated_and_says_what_it_promises() -> None:
    for name, value in services():
        if not isinstance(value, Operation):
            continue
        signature = inspect.signature(value.service)
        assert {parameter.kind for parameter in signature.parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}, name
        assert signature.parameters["actor"].annotation == "Actor", name
        assert signature.parameters["actor"].default is inspect.Parameter.empty, name
        assert signature.return_annotation is not inspect.Signature.empty, name
        assert (value.__doc__ or "").strip().endswith((".", ".)")) or "\n" in (value.__doc__ or ""), name


# --- writes ---------------------------------------------------------------------------------------------------------

DOORS = {"api", "admin", "serializers", "jobs", "management", "urls", "selectors", "access", "gateways", "metrics"}
ORM_WRITES = {
    "save", "create", "bulk_create", "update_or_create", "get_or_create", "bulk_update", "delete", "add", "set",
    "remove", "aupdate", "acreate",
}  # fmt: skip
OF_ROWS = re.compile(r"\bobjects\b|\.filter\(\)|_set\b|\.all\(\)|\.groups\b|user_permissions")
SQL_WRITE = re.compile(r"^\s*(with\b.*\b)?(insert\s+into|update\s+\w+\s+(\w+\s+)?set|delete\s+from)\b", re.I | re.S)

# A door that writes, and why that is right.
WRITES = {
    "opsconsole.core.admin": "the admin's base journals plain configuration that is edited in a form, in Django's own"
    " transaction (10-kernel): the one door that may save",
}


def writes(module: Module) -> Iterator[str]:
    """Every statement of a module that writes to the database."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        chain, name = dotted(node.func.value), node.func.attr
        if (name in ORM_WRITES or name == "update") and OF_ROWS.search(chain):
            yield f"{module.path}:{node.lineno} {chain}.{name}"
        elif name == "save" and any(keyword.arg == "update_fields" for keyword in node.keywords):
            yield f"{module.path}:{node.lineno} {chain}.save"
        elif name in ("execute", "executemany") and node.args:
            texts = [part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)]
            if any(isinstance(text, str) and SQL_WRITE.match(text) for text in texts):
                yield f"{module.path}:{node.lineno} {chain}.{name}"


def is_door(module: Module) -> bool:
    """Whether the module translates and decides nothing."""
    return bool(DOORS & set(module.rooms)) and not is_service(module)


def test_doors_do_not_write() -> None:
    found = [
        line
        for module in modules()
        if is_door(module) and not any(module.name.startswith(name) for name in WRITES)
        for line in writes(module)
    ]
    assert found == []


def test_the_search_for_writes_finds_some() -> None:
    found = [line for module in modules() if not is_door(module) for line in writes(module)]
    assert len(found) > 40
    assert any(".execute" in line for line in found)
    assert any("objects.create" in line for line in found)


def test_nobody_but_core_and_the_tests_opens_a_transaction_of_an_operation() -> None:
    """`durable` belongs to the operation; elsewhere `atomic` is a savepoint inside one, or a snapshot to read."""
    allowed = {"opsconsole.core.operations", "opsconsole.journal.selectors"}
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.keyword) and node.arg == "durable":
                assert module.name in allowed, module.name


# --- strings --------------------------------------------------------------------------------------------------------

JOB = re.compile(r"^(opsconsole|loyalty)(\.\w+)*\.jobs(\.\w+)+$")


def test_every_job_named_by_a_string_is_there() -> None:
    named = {
        node.value
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and JOB.match(node.value)
    }
    assert len(named) >= 4
    for path in named:
        assert callable(import_string(path)), path


def test_what_is_enqueued_is_named_and_not_called() -> None:
    """The first argument of after_commit and enqueue is a string, or a name that stands for one."""
    for module in modules():
        if module.name == "opsconsole.core.queue":
            continue
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or dotted(node.func).rpartition(".")[2] not in (
                "after_commit",
                "enqueue",
            ):
                continue
            job = node.args[0]
            assert isinstance(job, ast.Constant) or (isinstance(job, ast.Name) and job.id.isupper()), module.name
            for keyword in node.keywords:
                if keyword.arg == "queue" and isinstance(keyword.value, ast.Constant):
                    assert keyword.value.value in QUEUES


def test_every_periodic_function_is_where_the_scheduler_looks() -> None:
    rooms = {f"{config.name}.jobs" for config in apps.get_app_configs() if module_has_submodule(config.module, "jobs")}
    for room in rooms:
        importlib.import_module(room)
    run = {task.name for task in schedule.registered()}
    declared = {f"{module.name}.{function.name}" for module, function in decorated_with("periodic")}
    assert [name for name in declared if not name.startswith(tuple(f"{room}." for room in rooms))] == []
    assert declared == {name for name in run if name.startswith(("opsconsole.", "loyalty."))}


def test_a_periodic_function_takes_nothing() -> None:
    for module, function in decorated_with("periodic"):
        assert not function.args.args, f"{module.name}.{function.name}"


def test_no_test_of_ours_is_in_the_product() -> None:
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not any(name.split(".")[0] in ("tests", "pytest", "unittest") for name in names), module.name
            assert not (isinstance(node, FUNCTIONS) and node.name.startswith("test_")), module.name
