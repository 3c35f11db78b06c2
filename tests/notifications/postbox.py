"""A mail server in a process of its own: aiosmtpd, keeping what it is given in a file.

A recipient that begins with `nobody` is refused for good, one that begins with `busy` for now.
"""

from __future__ import annotations

import asyncio
import json
import sys
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP


class Postbox:
    """Keeps letters."""

    def __init__(self, kept: Path) -> None:
        self.kept = kept

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("busy"):
            return "451 4.2.1 later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        letter: Any = message_from_bytes(envelope.content, policy=default)
        parts = {part.get_content_type(): part.get_content() for part in letter.walk() if not part.is_multipart()}
        record = {
            "path": ",".join(envelope.rcpt_tos),
            "from": envelope.mail_from,
            "subject": letter["Subject"],
            "id": letter["Message-ID"],
            "plain": parts["text/plain"],
            "html": parts["text/html"],
        }
        with self.kept.open("a") as file:
            file.write(json.dumps(record) + "\n")
        return "250 kept"


async def main() -> None:
    """Listen until killed."""
    postbox = Postbox(Path(sys.argv[1]))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(postbox, loop=loop), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
