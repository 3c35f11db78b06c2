"""E-mail by the SMTP server of the settings: plain and HTML, with a Message-ID that a repetition has as well."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection

from opsconsole.notifications.gateways.outcome import Outcome

PERMANENT_FROM = 500  # SMTP's 5xx: trying again changes nothing


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent, and to whom."""

    message_id: str
    to: Sequence[str]
    subject: str
    plain: str
    html: str


def send(letter: Letter) -> Outcome:
    """Hand the letter to the mail server; an outcome in any case."""
    begin = time.monotonic()
    outcome = _send(letter) if settings.EMAIL_HOST else Outcome(error="EMAIL_URL is not set", permanent=True)
    return Outcome(
        error=outcome.error,
        permanent=outcome.permanent,
        unwell=outcome.unwell,
        answer=outcome.answer,
        seconds=time.monotonic() - begin,
    )


def _send(letter: Letter) -> Outcome:
    message = EmailMultiAlternatives(
        " ".join(letter.subject.split()),
        letter.plain,
        to=list(letter.to),
        connection=get_connection(),
        headers={"Message-ID": letter.message_id, "Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(letter.html, "text/html")
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _text in error.recipients.values()]
        said = "; ".join(f"{address}: {code} {_text(text)}" for address, (code, text) in error.recipients.items())
        return Outcome(
            error=f"the mail server refused every recipient: {said}",
            permanent=all(code >= PERMANENT_FROM for code in codes),
        )
    except smtplib.SMTPResponseException as error:
        said = f"{error.smtp_code} {_text(error.smtp_error)}"
        refused = isinstance(error, smtplib.SMTPDataError | smtplib.SMTPSenderRefused)
        return Outcome(
            error=f"the mail server answered {said}",
            permanent=refused and error.smtp_code >= PERMANENT_FROM,
            unwell=not refused,
        )
    except (smtplib.SMTPException, OSError) as error:
        return Outcome(error=f"the mail server is not to be had: {error}", unwell=True)
    return Outcome(answer="accepted by the mail server")


def _text(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said
