"""SMTP as the carrier of e-mail: one connection, one letter, one verdict (RFC 5321, RFC 3207)."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING, Literal

from app.contracts.gateways.email import Email
from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
    GatewayUnavailable,
    Refusal,
)
from app.core.clock import now
from app.core.lazy import lazy
from app.integrations.problems import without

if TYPE_CHECKING:
    import aiosmtplib
else:
    aiosmtplib = lazy("aiosmtplib")

VENDOR = "smtp"
_SHUTTING_DOWN = 421
_AUTH_CODES = frozenset({530, 534, 535, 538})


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where letters are handed in, and as whom."""

    host: str
    port: int
    sender: str
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    timeout_s: float = 15.0
    trust: ssl.SSLContext | None = None
    """Whose certificates are believed; None: those of the system."""


class SmtpClient:
    """Satisfies ``EmailGateway``."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def send(self, email: Email) -> None:
        """Hand the letter in; raises the gateway failures of ``contracts.gateways``.

        Until the letter's last line is sent the server owes nothing, so a lost connection means
        that nothing left; after it, the outcome is unknown (RFC 5321 §4.5.3.2.6).
        """
        if not self._server.host:
            raise GatewayRefused(
                VENDOR,
                "not-configured",
                "no carrier of e-mail: set SMTP_HOST and SMTP_FROM",
                action=Refusal.AUTH,
                scope="account",
            )
        try:
            message = written(email, self._server.sender)
        except ValueError as error:
            raise _refused("address", str(error), Refusal.PERMANENT, "recipient") from error
        # In a thread: the first one loads the library, which takes a tenth of a second.
        connection = await asyncio.to_thread(self._connection)
        try:
            await self._prepare(connection, email.to)
            await self._hand_in(connection, message)
        finally:
            connection.close()

    def _connection(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username or None,
            password=server.password or None,
            use_tls=server.tls == "implicit",
            start_tls=server.tls == "starttls",
            timeout=server.timeout_s,
            tls_context=server.trust,
        )

    async def _prepare(self, connection: aiosmtplib.SMTP, to: str) -> None:
        """Everything before the letter itself: nothing that fails here has sent anything."""
        try:
            await connection.connect()
            await connection.mail(parseaddr(self._server.sender)[1], encoding="utf-8")
            await connection.rcpt(to, encoding="utf-8")
        except aiosmtplib.SMTPResponseException as answer:
            raise self._judged(answer) from answer
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            raise GatewayUnavailable(VENDOR, self._said(error)) from error

    async def _hand_in(self, connection: aiosmtplib.SMTP, message: bytes) -> None:
        try:
            await connection.data(message)
        except aiosmtplib.SMTPResponseException as answer:
            raise self._judged(answer) from answer
        except (aiosmtplib.SMTPException, OSError) as error:
            raise GatewayOutcomeUnknown(VENDOR, self._said(error)) from error
        # It is the server's now, whatever becomes of the farewell.
        with suppress(aiosmtplib.SMTPException, OSError):
            await connection.quit()

    def _judged(self, answer: aiosmtplib.SMTPResponseException) -> GatewayFailure:
        message = without(self._server.password, str(answer.message))
        if answer.code == _SHUTTING_DOWN:
            return GatewayUnavailable(VENDOR, f"{answer.code} {message}")
        action, scope = _meaning(answer)
        return _refused(str(answer.code), message, action, scope)

    def _said(self, error: BaseException) -> str:
        text = without(self._server.password, str(error))
        return f"{type(error).__name__} {text}".strip()


def _refused(code: str, message: str, action: Refusal, scope: str) -> GatewayRefused:
    return GatewayRefused(VENDOR, code, message, action=action, scope=scope)


def _meaning(answer: aiosmtplib.SMTPResponseException) -> tuple[Refusal, str]:
    if isinstance(answer, aiosmtplib.SMTPRecipientRefused):
        scope = "recipient"
    elif isinstance(answer, aiosmtplib.SMTPDataError):
        scope = "message"
    else:
        scope = "account"
    if answer.code in _AUTH_CODES:
        return Refusal.AUTH, "account"
    # RFC 5321 §4.2.1: 4yz asks to come again, 5yz not to.
    return (Refusal.RETRY if 400 <= answer.code < 500 else Refusal.PERMANENT), scope


def written(email: Email, sender: str) -> bytes:
    """The letter as it goes over the wire. Raises ValueError for an address that is none.

    The Message-ID is made of the reference, so two deliveries of one letter are recognised.
    """
    name, address = parseaddr(sender)
    message = EmailMessage(policy=WIRE)
    message["From"] = Address(name, addr_spec=address)
    message["To"] = Address(addr_spec=email.to)
    message["Subject"] = " ".join(email.subject.split())
    message["Date"] = format_datetime(now())
    digest = hashlib.sha256(email.reference.encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{digest}@{address.rpartition('@')[2]}>"
    # Nobody's holiday reply should answer a machine (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(email.text, cte="quoted-printable")
    if email.html is not None:
        message.add_alternative(email.html, subtype="html", cte="quoted-printable")
    return message.as_bytes()
