"""`python -m sandbox_bank --port 8090 --store var/sandbox-bank`: run the bank in the foreground.

`python -m sandbox_bank answer FILE --store DIR --out DIR`: answer a file of payments as a bank of files would.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
from pathlib import Path

from sandbox_bank.answering import add_arguments, answer_file
from sandbox_bank.control import parse_accounts
from sandbox_bank.files import NotAFile
from sandbox_bank.problems import BankProblem
from sandbox_bank.server import BACKLOG, Bank
from sandbox_bank.signing import Keyring
from sandbox_bank.store import Store, StoreInUse


def main() -> int:
    """Answer a file, or serve until told to stop; 1 when that cannot be."""
    return _answer(sys.argv[2:]) if sys.argv[1:2] == ["answer"] else _serve()


def _answer(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox_bank answer", description="Answer a file of payments.")
    add_arguments(parser)
    try:
        for path in answer_file(parser.parse_args(arguments)):
            print(path)  # noqa: T201 - a command's output
    except (OSError, ValueError, BankProblem, NotAFile, StoreInUse) as error:
        print(f"sandbox bank: {error}", file=sys.stderr)  # noqa: T201 - a command's error
        return 1
    return 0


def _serve() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox_bank", description="A bank to practise on.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090, help="0 takes a free one and prints it")
    parser.add_argument("--store", type=Path, required=True, help="folder of the bank's books")
    parser.add_argument(
        "--execute-after", type=float, default=60.0, metavar="SECONDS", help="from accepted to executed"
    )
    parser.add_argument("--settle-after", type=float, default=60.0, metavar="SECONDS", help="from executed to settled")
    parser.add_argument("--key-id", default=os.environ.get("SANDBOX_BANK_KEY_ID", "sandbox"))
    parser.add_argument(
        "--secret",
        default=os.environ.get("SANDBOX_BANK_SECRET", "sandbox-secret"),
        help="better by SANDBOX_BANK_SECRET",
    )
    parser.add_argument(
        "--accounts",
        type=Path,
        metavar="FILE",
        help='accounts to open at the start: {"accounts": [{"iban", "currency", "opening_balance"}]}',
    )
    options = parser.parse_args()
    try:
        accounts = parse_accounts(json.loads(options.accounts.read_bytes())) if options.accounts else []
        listener = socket.create_server((options.host, options.port), backlog=BACKLOG)
        store = Store(options.store, execute_after=options.execute_after, settle_after=options.settle_after)
    except (OSError, ValueError, BankProblem, StoreInUse) as error:
        print(f"sandbox bank: {error}", file=sys.stderr)  # noqa: T201 - a command's error
        return 1
    bank = Bank(store=store, keyring=Keyring(options.key_id, options.secret.encode()))
    asyncio.run(bank.serve(listener, accounts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
