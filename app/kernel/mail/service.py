"""Owing somebody a letter: the intent commits with its cause, a job hands it to the carrier.

The row is the memory: a delivery of the job that finds it ``sending`` knows that an earlier one
died between the carrier and us, and never sends again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from urllib.parse import urlencode
from uuid import UUID

import orjson

from app.contracts.gateways.email import Email
from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
    Refusal,
)
from app.core.clock import now
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.kernel.mail.models import CONTENT, Letter
from app.kernel.mail.repository import LetterRepository
from app.kernel.mail.rules import retry_wait, write
from app.kernel.work import UnitOfWork

SEND = "kernel.mail.send"
_FINAL = frozenset({Refusal.PERMANENT, Refusal.STOP})


class MailService:
    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.letters = LetterRepository(work.session)

    async def send(
        self,
        template: str,
        *,
        to: str,
        reference: str,
        facts: Mapping[str, str],
        page: str = "",
        token: str = "",
    ) -> bool:
        """Owe ``to`` this letter; it leaves after the commit, once per ``reference``.

        ``page`` is the frontend's that its link opens, with ``token`` in the fragment, which no
        server logs; without FRONTEND_URL the letter shows the token itself. Answers whether the
        reference was new. Raises KeyError for a template or a fact that is missing.
        """
        work, id = self.work, new_id()
        url = self._url(page, token)
        written = write(template, work.tenant.locale, facts, url=url, code=token)
        plain = orjson.dumps(asdict(written)).decode()
        made = await self.letters.intend(
            id,
            reference=reference,
            template=template,
            recipient=to,
            content=work.runtime.vault.encrypt(plain, self._row(id)),
        )
        if made:
            work.enqueue(SEND, {"letter_id": id})
        return made

    def _url(self, page: str, token: str) -> str:
        base = self.work.runtime.settings.frontend_url.rstrip("/")
        if not base or not page:
            return ""
        return f"{base}/{page}" + (f"#{urlencode({'token': token})}" if token else "")

    async def listed(self, page: PageRequest, *, state: str | None) -> Page[Letter]:
        return await self.letters.listed(page, state=state)

    async def prepare(self, id: UUID) -> Email | None:
        """Take the letter, to be sent outside any transaction; None: nothing to send (any more).

        Raises LetterNotFound.
        """
        letter = await self.letters.get(id, lock=True)
        if letter.state == "sending":
            self._end(letter, "unknown", "a delivery ended without an answer")
        if letter.state != "pending" or letter.content is None:
            return None
        letter.state, letter.attempts = "sending", letter.attempts + 1
        content = self.work.runtime.vault.decrypt(letter.content, self._row(id))
        return Email(to=letter.recipient, reference=str(id), **orjson.loads(content))

    async def accepted(self, id: UUID) -> None:
        """The carrier took it. Raises LetterNotFound."""
        letter = await self.letters.get(id, lock=True)
        self._end(letter, "sent", None)
        letter.sent_at = now()

    async def ended(self, id: UUID, failure: GatewayFailure) -> float | None:
        """It did not: seconds until it should be tried again, None when never.

        Raises LetterNotFound.
        """
        letter = await self.letters.get(id, lock=True)
        if isinstance(failure, GatewayOutcomeUnknown):
            self._end(letter, "unknown", str(failure))
            return None
        final = isinstance(failure, GatewayRefused) and failure.action in _FINAL
        wait = None if final else retry_wait(letter.attempts)
        if wait is None:
            self._end(letter, "failed", str(failure))
        else:
            letter.state, letter.error = "pending", str(failure)
        return wait

    def _end(self, letter: Letter, state: str, error: str | None) -> None:
        letter.state, letter.error, letter.content = state, error, None
        if error is not None:
            self.work.record(f"mail.{state}", "letter", letter.id, error=error)

    def _row(self, id: UUID) -> str:
        return CONTENT.bound_to({"tenant_id": self.work.tenant.id, "id": id})[0]
