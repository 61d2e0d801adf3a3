"""A mail server: takes every letter over SMTP, delivers none, and shows them on the page.

A knob's error code is the SMTP reply (``450`` defers, ``550`` refuses); codes about mailboxes are
given to RCPT as servers do, the rest to the letter itself. ``drop_answer`` takes the letter and
cuts the line before the reply.
"""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as readable
from typing import ClassVar, cast

from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import JsonValue
from starlette.routing import Route

from scripts.sandbox.recorder import Received
from scripts.sandbox.settings import SandboxSettings
from scripts.sandbox.vendors.base import Played, VendorConfig

_ABOUT_MAILBOX = {450, 550, 551, 553}
_TEXTS = {
    421: "Service not available, closing transmission channel",
    450: "Mailbox busy, try again later",
    451: "Local error in processing",
    452: "Insufficient system storage",
    550: "No such mailbox here",
    552: "Message too large",
    554: "Transaction failed",
}


class MailServer(Played):
    name: ClassVar[str] = "smtp"
    _server: asyncio.Server | None = None

    @classmethod
    def configured(cls, settings: SandboxSettings) -> VendorConfig:
        return VendorConfig()

    def routes(self) -> list[Route]:
        return []

    async def start(self, settings: SandboxSettings) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname="sandbox", enable_SMTPUTF8=True, loop=loop),
            "127.0.0.1",
            settings.smtp_port,
        )

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    def facts(self) -> dict[str, JsonValue]:
        port = self._server.sockets[0].getsockname()[1] if self._server else None
        return {"smtp_port": port}

    async def handle_RCPT(  # noqa: N802 - the library looks handlers up by this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        error = self.knobs.error
        if error is not None and error.code.isdecimal() and int(error.code) in _ABOUT_MAILBOX:
            taken = self.knobs.take_error()
            if taken is not None:
                entry = self._entry({"from": envelope.mail_from}, address, "")
                return _ended(entry, _reply(taken.code))
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.original_content or b""
        letter = message_from_bytes(content, policy=readable)
        body = _readable(letter, envelope.mail_from or "")
        preview = f"{body['subject']}\n\n{body['text']}"
        entry = self._entry(body, ", ".join(envelope.rcpt_tos), preview)
        if self.knobs.latency_ms:
            await asyncio.sleep(self.knobs.latency_ms / 1000)
        error = self.knobs.take_error()
        reply = _ended(entry, _reply(error.code) if error else "250 OK")
        if error is None and self.knobs.take_drop():
            entry.verdict = "answer dropped"
            cast("asyncio.Transport", server.transport).abort()
        return reply

    def _entry(self, body: dict[str, JsonValue], to: str, preview: str) -> Received:
        entry = self.recorder.open(self.name, "SMTP", "DATA" if preview else "RCPT", {}, body)
        entry.to, entry.preview = to, preview
        return entry


def _readable(letter: EmailMessage, sender: str) -> dict[str, JsonValue]:
    def part(kind: str) -> str:
        found = letter.get_body((kind,))
        return str(found.get_content()).rstrip().replace("\r\n", "\n") if found else ""

    headers = {name.lower(): str(value) for name, value in letter.items()}
    return {
        "from": sender,
        "subject": headers.get("subject", ""),
        "message_id": headers.get("message-id", ""),
        "text": part("plain"),
        "html": part("html"),
        "headers": dict(headers),
    }


def _reply(code: str) -> str:
    number = int(code.removeprefix("http-"))
    return f"{number} {_TEXTS.get(number, 'Refused on request')}"


def _ended(entry: Received, reply: str) -> str:
    entry.status, entry.answer = int(reply[:3]), reply
    entry.verdict = "accepted" if entry.status < 400 else "refused"
    return reply
