"""`python -m sandbox_bank answer FILE`: a bank that is spoken to by files takes one, pays, and writes its answers."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox_bank.control import parse_accounts
from sandbox_bank.files import (
    Answered,
    Submission,
    answers_of,
    notification,
    read_submission,
    statement,
    status_report,
)
from sandbox_bank.orders import Order
from sandbox_bank.problems import BankProblem
from sandbox_bank.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a pain.001")
    parser.add_argument("--store", type=Path, required=True, help="folder of the bank's books, of no running bank")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the answers are written")
    parser.add_argument(
        "--accounts",
        type=Path,
        metavar="FILE",
        help='accounts to open: {"accounts": [{"iban", "currency", "opening_balance"}]}',
    )
    parser.add_argument(
        "--reject", action="append", default=[], metavar="IBAN", help="refuse payments to this account (AC04)"
    )
    parser.add_argument(
        "--return",
        action="append",
        default=[],
        metavar="IBAN",
        dest="give_back",
        help="pay this account, and get it back",
    )
    parser.add_argument("--batch", action="store_true", help="book a file as one entry with many transactions")


def answer_file(options: argparse.Namespace) -> list[Path]:
    """Take the file in, and write pain.002, camt.053 and, where something came back, camt.054; their paths."""
    accounts = parse_accounts(json.loads(options.accounts.read_bytes())) if options.accounts else []
    submission = read_submission(options.file.read_bytes())
    return asyncio.run(_answer(submission, accounts, options))


async def _answer(
    submission: Submission, accounts: Sequence[tuple[str, str, int]], options: argparse.Namespace
) -> list[Path]:
    store = Store(options.store, execute_after=0.0, settle_after=0.0)
    try:
        for account in accounts:
            store.open_account(*account)
        problems = {
            end_to_end_id: problem
            for end_to_end_id, order in submission.orders
            if (problem := _take(store, submission, end_to_end_id, order, options)) is not None
        }
        store.execute(now=time.time())
        await store.written()
        at = datetime.now(UTC)
        booked = _standing(store, submission, problems)
        balances = _balances(store, booked)
        store.settle(now=time.time())
        await store.written()
        ended = _standing(store, submission, problems)
    finally:
        store.close()
    paid = [one for one in booked if one.status != "rejected"]
    returned = [one for one in ended if one.status == "returned"]
    files = {"pain.002": status_report(submission.message_id, booked, at=at)}
    if paid:
        files["camt.053"] = statement(submission.message_id, balances, paid, at=at, batch=options.batch)
    if returned:
        files["camt.054"] = notification(submission.message_id, returned, at=at)
    options.out.mkdir(parents=True, exist_ok=True)
    written = []
    for kind, content in files.items():
        path = options.out / f"{submission.message_id}.{kind}.xml"
        path.write_bytes(content)
        written.append(path)
    return written


def _take(
    store: Store, submission: Submission, end_to_end_id: str, order: Order | BankProblem, options: argparse.Namespace
) -> BankProblem | None:
    """Accept one transaction; what is refused, and remembered as such, comes back."""
    key = submission.key(end_to_end_id)
    try:
        if isinstance(order, BankProblem):
            raise order
        if order.creditor_account in options.reject:
            raise BankProblem(422, "account_closed", f"The account {order.creditor_account} is closed.")
        accepted = store.accept(order, key=key, now=time.time())
    except BankProblem as problem:
        store.refuse(key=key, end_to_end_id=end_to_end_id, code=problem.code, now=time.time())
        return problem
    if order.creditor_account in options.give_back and not accepted.replayed:
        store.mark_return(accepted.payment_id, seconds=0.0)
    return None


def _standing(store: Store, submission: Submission, problems: dict[str, BankProblem]) -> list[Answered]:
    found: list[tuple[str, dict[str, Any] | BankProblem]] = []
    for end_to_end_id, _ in submission.orders:
        payment = store.find(key=submission.key(end_to_end_id))
        found.append((end_to_end_id, payment if payment is not None else problems[end_to_end_id]))
    return answers_of(submission, found)


def _balances(store: Store, answers: Sequence[Answered]) -> list[dict[str, str]]:
    ibans = {iban for one in answers for iban in (one.debtor_account, one.creditor_account)}
    return [balance for iban in sorted(ibans) if (balance := store.balance(iban)) is not None]
