"""`manage.py notify_test CHANNEL`: send a test message through a channel, and say what came of it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from opsconsole.core.commands import ConsoleCommand
from opsconsole.notifications import access, sending
from opsconsole.notifications.errors import ChannelNotFound
from opsconsole.notifications.services.channels import make_test_message
from opsconsole.notifications.states import NotificationState


class Command(ConsoleCommand):
    """Sends one message, waits for the answer, and exits 1 when it did not arrive."""

    help = "Send a test message through a channel (--as somebody who manages channels) and show the answer."
    demo_user = "admin"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which channel."""
        parser.add_argument("channel", metavar="CHANNEL", help="its name")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the message, send it, tell the outcome."""
        actor = self.actor(options)
        channel = access.visible_channels(actor).filter(name=options["channel"]).first()
        if channel is None:
            raise ChannelNotFound(f"There is no channel {options['channel']}.", channel=options["channel"])
        sent = sending.send_now(make_test_message(channel_id=channel.pk, actor=actor).pk)
        answer = f" (HTTP {sent.answer_status})" if sent.answer_status else ""
        if sent.status == NotificationState.DELIVERED:
            self.stdout.write(f"{channel.name}: delivered in {sent.seconds} s{answer}")
            return
        self.stderr.write(self.style.ERROR(f"{channel.name}: {sent.error}{answer}"))
        sys.exit(1)
