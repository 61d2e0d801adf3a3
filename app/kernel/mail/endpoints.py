"""HTTP for letters: what was sent to whom, and what could not be."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from app.core.pagination import PageRead, Paging
from app.kernel.access import require_module
from app.kernel.mail.schemas import LetterRead, LetterState
from app.kernel.mail.service import MailService
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/letters", tags=["mail"])
Mail = Annotated[MailService, service(MailService)]


@router.get("", dependencies=[require_module("platform", "letters:read")])
async def list_letters(
    mail: Mail, page: Paging, state: LetterState | None = None
) -> PageRead[LetterRead]:
    """E-mails of this tenant, newest first, with how each one ended; their text is not kept."""
    return PageRead[LetterRead].model_validate(await mail.listed(page, state=state))
