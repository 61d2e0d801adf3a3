"""HTTP for contacts: the person, what names them, notes, consent and the timeline."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.core.pagination import Page, PageRead, Paging
from app.core.problems import problems
from app.core.schema import Instant
from app.kernel.access import grants_of, require_module
from app.kernel.addressbook.service import export
from app.kernel.consents.models import ConsentEntry
from app.kernel.consents.rules import Permission
from app.kernel.consents.schemas import (
    Category,
    Channel,
    ConsentCreate,
    ConsentRead,
    PermissionRead,
)
from app.kernel.consents.service import ConsentService
from app.kernel.contacts.expressions import Stage
from app.kernel.contacts.models import ContactNote
from app.kernel.contacts.problems import (
    ContactExists,
    ContactInUse,
    ContactMerged,
    ContactNotFound,
    ContactPhoneInvalid,
    IdentityNotFound,
    IdentityTaken,
    NoteNotFound,
)
from app.kernel.contacts.schemas import (
    ContactCard,
    ContactCreate,
    ContactDetail,
    ContactFilter,
    ContactUpdate,
    IdentityCreate,
    IdentityRead,
    NoteCreate,
    NoteRead,
    TagsSet,
    TimelineRead,
)
from app.kernel.contacts.service import ContactService, ContactView, IdentityView, Timeline
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
from app.kernel.identity import current_identity
from app.kernel.segments.problems import SegmentNotFound
from app.kernel.segments.service import SegmentService
from app.kernel.tags.problems import AttributeInvalid
from app.kernel.work import Works, service

router = APIRouter(prefix="/api/v1/contacts", tags=["contacts"], route_class=ReplayableRoute)
Contacts = Annotated[ContactService, service(ContactService)]
Consents = Annotated[ConsentService, service(ConsentService)]
READ = require_module("conversations", "contacts:read")
WRITE = require_module("conversations", "contacts:write")
MANAGE = require_module("conversations", "contacts:manage")
Ids = Annotated[list[UUID] | None, Query(max_length=20)]


async def wanted_contacts(
    query: Annotated[
        str | None, Query(max_length=120, description="Part of the name, phone or e-mail.")
    ] = None,
    tags_all: Ids = None,
    tags_any: Ids = None,
    tags_none: Ids = None,
    stage: Stage | None = None,
    owner_id: UUID | None = None,
    is_blocked: bool | None = None,
    seen_after: Instant | None = None,
    seen_before: Instant | None = None,
    attribute: Annotated[
        str | None,
        Query(pattern="^[a-z][a-z0-9_]{0,39}:.{1,200}$", description="key:value"),
    ] = None,
) -> ContactFilter:
    return ContactFilter(
        query, tags_all or (), tags_any or (), tags_none or (), stage, owner_id, is_blocked,
        seen_after, seen_before, attribute,
    )  # fmt: skip


Wanted = Annotated[ContactFilter, Depends(wanted_contacts)]


@router.get("", dependencies=[READ], responses=problems(SegmentNotFound))
async def list_contacts(
    segments: Annotated[SegmentService, service(SegmentService)],
    page: Paging,
    wanted: Wanted,
    segment_id: UUID | None = None,
) -> PageRead[ContactCard]:
    """Contacts that every given filter holds for, newest first; accents and case aside."""
    found = await segments.members(page, wanted, segment_id)
    return PageRead[ContactCard].model_validate(found)


@router.post(
    "",
    status_code=201,
    response_model=ContactDetail,
    responses=problems(ContactExists, IdentityTaken, AttributeInvalid, IdempotencyKeyReused),
    dependencies=[WRITE, Idempotent],
)
async def create_contact(body: ContactCreate, contacts: Contacts) -> ContactView:
    """Add somebody; their e-mail address then names them as their telephone does."""
    return await contacts.register(body)


@router.get(
    "/export",
    dependencies=[MANAGE],
    response_class=Response,
    responses={
        200: {
            "description": "CSV, UTF-8.",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        },
        **problems(SegmentNotFound),
    },
)
async def export_contacts(
    works: Works, wanted: Wanted, segment_id: UUID | None = None
) -> StreamingResponse:
    """All contacts that the filters hold for as a CSV file, streamed; the export is audited."""
    return StreamingResponse(
        await export(works, wanted, segment_id),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="contatos.csv"'},
    )


@router.get(
    "/{contact_id}",
    response_model=ContactDetail,
    responses=problems(ContactNotFound, ContactMerged),
    dependencies=[READ],
)
async def get_contact(contact_id: UUID, contacts: Contacts) -> ContactView:
    """One contact with tags, attributes and all that names it."""
    return await contacts.view(await contacts.get(contact_id))


@router.patch(
    "/{contact_id}",
    response_model=ContactDetail,
    responses=problems(ContactNotFound, ContactMerged, AttributeInvalid),
    dependencies=[WRITE],
)
async def change_contact(contact_id: UUID, body: ContactUpdate, contacts: Contacts) -> ContactView:
    """Change the profile, stage, owner, points given by hand, attributes; block or unblock."""
    return await contacts.update(contact_id, body)


@router.delete(
    "/{contact_id}",
    status_code=204,
    responses=problems(ContactNotFound, ContactMerged, ContactInUse),
    dependencies=[MANAGE],
)
async def delete_contact(contact_id: UUID, contacts: Contacts) -> None:
    """Forget somebody nothing was done with; who has orders can be blocked or merged."""
    await contacts.delete(contact_id)


@router.put(
    "/{contact_id}/tags",
    response_model=ContactDetail,
    responses=problems(ContactNotFound, ContactMerged),
    dependencies=[WRITE],
)
async def set_contact_tags(contact_id: UUID, body: TagsSet, contacts: Contacts) -> ContactView:
    """Make these, and no others, the contact's tags."""
    contact = await contacts.get(contact_id, lock=True)
    await contacts.tags.set(contact.id, body.tag_ids)
    return await contacts.view(contact)


@router.post(
    "/{contact_id}/identities",
    status_code=201,
    response_model=IdentityRead,
    responses=problems(
        ContactNotFound, ContactMerged, IdentityTaken, ContactPhoneInvalid, IdempotencyKeyReused
    ),
    dependencies=[WRITE, Idempotent],
)
async def add_contact_identity(
    contact_id: UUID, body: IdentityCreate, contacts: Contacts
) -> IdentityView:
    """Note a further number, WhatsApp id or e-mail address of the same person."""
    return await contacts.add_identity(contact_id, body.kind, body.value)


@router.delete(
    "/{contact_id}/identities/{identity_id}",
    status_code=204,
    responses=problems(ContactNotFound, ContactMerged, IdentityNotFound),
    dependencies=[WRITE],
)
async def remove_contact_identity(contact_id: UUID, identity_id: UUID, contacts: Contacts) -> None:
    """Take a further number or another identity away; the primary number stays."""
    await contacts.remove_identity(contact_id, identity_id)


@router.get(
    "/{contact_id}/notes",
    responses=problems(ContactNotFound, ContactMerged),
    dependencies=[READ],
)
async def list_contact_notes(
    contact_id: UUID, contacts: Contacts, page: Paging
) -> PageRead[NoteRead]:
    """The team's notes, newest first."""
    found: Page[ContactNote] = await contacts.notes_of(contact_id, page)
    return PageRead[NoteRead].model_validate(found)


@router.post(
    "/{contact_id}/notes",
    status_code=201,
    response_model=NoteRead,
    responses=problems(ContactNotFound, ContactMerged, IdempotencyKeyReused),
    dependencies=[WRITE, Idempotent],
)
async def add_contact_note(contact_id: UUID, body: NoteCreate, contacts: Contacts) -> ContactNote:
    """Write a note; the contact never sees it."""
    return await contacts.add_note(contact_id, body.text)


@router.delete(
    "/{contact_id}/notes/{note_id}",
    status_code=204,
    responses=problems(ContactNotFound, ContactMerged, NoteNotFound),
    dependencies=[WRITE],
)
async def remove_contact_note(contact_id: UUID, note_id: UUID, contacts: Contacts) -> None:
    """Take a note away; the audit trail keeps its words."""
    await contacts.remove_note(contact_id, note_id)


@router.get(
    "/{contact_id}/timeline",
    response_model=TimelineRead,
    responses=problems(ContactNotFound, ContactMerged),
    dependencies=[READ],
)
async def contact_timeline(
    contact_id: UUID,
    contacts: Contacts,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[
        str | None, Query(max_length=80, description="`next_cursor` of the page before.")
    ] = None,
) -> Timeline:
    """Orders, messages, notes and consent of one person, newest first.

    Orders and messages are for those who may read orders and messages: without them a page may
    hold less than `limit`, and there is more as long as `next_cursor` says so.
    """
    grants = grants_of(await current_identity(request))
    return await contacts.timeline(contact_id, limit, cursor, grants)


@router.get(
    "/{contact_id}/consents",
    responses=problems(ContactNotFound, ContactMerged),
    dependencies=[READ],
)
async def list_contact_consents(
    contact_id: UUID, consents: Consents, page: Paging
) -> PageRead[ConsentRead]:
    """Every decision of the contact, as it was noted, newest first."""
    return PageRead[ConsentRead].model_validate(await consents.history(contact_id, page))


@router.post(
    "/{contact_id}/consents",
    status_code=201,
    response_model=ConsentRead,
    responses=problems(ContactNotFound, ContactMerged, IdempotencyKeyReused),
    dependencies=[WRITE, Idempotent],
)
async def add_contact_consent(
    contact_id: UUID, body: ConsentCreate, consents: Consents
) -> ConsentEntry:
    """Note what the contact agreed to or refused; the ledger only grows."""
    return await consents.note(
        contact_id,
        body.channel,
        body.category,
        is_opt_in=body.is_opt_in,
        source=body.source,
        evidence=body.evidence,
        decided_at=body.decided_at,
    )


@router.get(
    "/{contact_id}/may-send",
    response_model=PermissionRead,
    responses=problems(ContactNotFound),
    dependencies=[READ],
)
async def may_send_to_contact(
    contact_id: UUID, consents: Consents, channel: Channel, category: Category
) -> Permission:
    """Whether this kind of message may be sent now, and why."""
    return await consents.may_send(contact_id, channel, category)
