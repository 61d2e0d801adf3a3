"""HTTP for contacts from a file."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.addressbook.problems import ContactsUnreadable
from app.kernel.addressbook.schemas import ContactsImport, ImportRead
from app.kernel.addressbook.service import AddressbookService, Report
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/contacts", tags=["contacts"], route_class=ReplayableRoute)
Addressbook = Annotated[AddressbookService, service(AddressbookService)]
_MANAGE = require_module("conversations", "contacts:manage")


@router.post(
    "/imports/preview",
    response_model=ImportRead,
    responses=problems(ContactsUnreadable),
    dependencies=[_MANAGE],
)
async def preview_contacts_import(body: ContactsImport, book: Addressbook) -> Report:
    """What an import would do with every line; nothing is written."""
    return await book.preview(body)


@router.post(
    "/imports",
    response_model=ImportRead,
    responses=problems(ContactsUnreadable, IdempotencyKeyReused),
    dependencies=[_MANAGE, Idempotent],
)
async def import_contacts(body: ContactsImport, book: Addressbook) -> Report:
    """Add new contacts and fill in known ones, by phone or e-mail; a second run changes nothing."""
    return await book.apply(body)
