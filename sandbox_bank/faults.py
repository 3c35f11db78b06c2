"""Faults on demand: what goes wrong, for which requests, how often; and how often each one has fired."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox_bank.problems import BankProblem
from sandbox_bank.store import Store

# Faults of the line answer, delay or cut a request; faults of the payment decide what becomes of a new order.
LINE_KINDS = frozenset(
    {
        "delay",
        "error_5xx",
        "drop_before_accept",
        "drop_after_accept",
        "timeout",
        "refuse_probes",
        "unavailable",
    }
)
PAYMENT_KINDS = frozenset({"reject_account", "return_later"})
OPERATIONS = frozenset({"submit", "probe", "recall", "balance", "any"})
# These last until they are disarmed, unless told how often.
LASTING = frozenset({"refuse_probes", "unavailable", "reject_account"})
_DEFAULT_SECONDS = {"delay": 1.0, "unavailable": 5.0, "timeout": 600.0}


@dataclass(slots=True)
class Fault:
    """One armed fault: it lets `after` matching requests pass, then fires `times` times (None: always)."""

    kind: str
    on: str = "submit"
    times: int | None = 1
    after: int = 0
    match: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    status: int = 500
    accept: bool = False
    id: int = 0
    seen: int = 0
    fired: int = 0
    opened_at: float | None = None

    def concerns(self, operation: str, facts: Mapping[str, str]) -> bool:
        """Whether this request is one of those the fault was armed for."""
        return self.on in {operation, "any"} and all(facts.get(name) == text for name, text in self.match.items())

    def fires(self, now: float) -> bool:
        """Count a request that matched, and tell whether the fault strikes it."""
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.fired >= self.times):
            return False
        if self.kind == "unavailable":
            self.opened_at = self.opened_at or now
            if now >= self.opened_at + self.seconds:
                return False
        self.fired += 1
        return True


def parse_fault(body: Any) -> Fault:
    """The fault that this body arms; raises a 400 problem that names what is wrong with it."""
    if not isinstance(body, dict):
        raise BankProblem(400, "bad_fault", "A fault is an object.")
    unknown = body.keys() - {"kind", "on", "times", "after", "match", "seconds", "status", "accept"}
    if unknown:
        raise BankProblem(400, "bad_fault", f"A fault has no {', '.join(sorted(unknown))}.")
    kind = body.get("kind")
    if kind not in LINE_KINDS | PAYMENT_KINDS:
        raise BankProblem(400, "bad_fault", f"kind must be one of {', '.join(sorted(LINE_KINDS | PAYMENT_KINDS))}.")
    spec: dict[str, Any] = {
        "on": {"refuse_probes": "probe", "unavailable": "any"}.get(kind, "submit"),
        "times": None if kind in LASTING else 1,
        "seconds": _DEFAULT_SECONDS.get(kind, 0.0),
        "accept": kind in {"timeout", "drop_after_accept"},
    }
    fault = Fault(**(spec | body))
    _check(fault)
    return fault


def _check(fault: Fault) -> None:
    counts = [fault.after, *([] if fault.times is None else [fault.times])]
    if any(isinstance(count, bool) or not isinstance(count, int) or count < 0 for count in counts):
        raise BankProblem(400, "bad_fault", "times and after are whole numbers.")
    if fault.on not in OPERATIONS or (fault.kind in PAYMENT_KINDS and fault.on != "submit"):
        raise BankProblem(400, "bad_fault", f"on must be one of {', '.join(sorted(OPERATIONS))}.")
    if not isinstance(fault.match, dict) or not all(isinstance(text, str) for text in fault.match.values()):
        raise BankProblem(400, "bad_fault", "match maps names of facts to strings.")
    if isinstance(fault.seconds, bool) or not isinstance(fault.seconds, int | float) or fault.seconds < 0:
        raise BankProblem(400, "bad_fault", "seconds is a number, not negative.")
    if not isinstance(fault.status, int) or not 500 <= fault.status <= 599:  # noqa: PLR2004 - the 5xx range
        raise BankProblem(400, "bad_fault", "status is between 500 and 599.")
    if not isinstance(fault.accept, bool):
        raise BankProblem(400, "bad_fault", "accept is true or false.")


class FaultBoard:
    """The armed faults; kept in the store, so that they and their counts outlive the process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._faults = [
            Fault(**json.loads(spec), id=fault_id, seen=seen, fired=fired, opened_at=opened_at)
            for fault_id, spec, seen, fired, opened_at in store.load_faults()
        ]

    @property
    def empty(self) -> bool:
        """Whether nothing is armed."""
        return not self._faults

    def arm(self, fault: Fault) -> Fault:
        """Arm it; returns it with its id."""
        spec = {
            name: value for name, value in asdict(fault).items() if name not in {"id", "seen", "fired", "opened_at"}
        }
        fault.id = self._store.add_fault(json.dumps(spec))
        self._faults.append(fault)
        return fault

    def strike(self, kinds: frozenset[str], operation: str, facts: Mapping[str, str], now: float) -> Fault | None:
        """The first armed fault of these kinds that fires for this request; its count is written at once."""
        for fault in self._faults:
            if fault.kind in kinds and fault.concerns(operation, facts):
                fires = fault.fires(now)
                self._store.count_fault(fault.id, fault.seen, fault.fired, fault.opened_at)
                if fires:
                    return fault
        return None

    def shown(self) -> list[dict[str, Any]]:
        """Every armed fault with how often it was seen and has fired."""
        return [asdict(fault) for fault in self._faults]

    def clear(self) -> None:
        """Disarm everything and forget the counts."""
        self._faults.clear()
        self._store.clear_faults()
