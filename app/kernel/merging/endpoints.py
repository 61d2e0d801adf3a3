"""HTTP for duplicates: who may be one person, merging two contacts and parting them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.contacts.problems import ContactMerged, ContactNotFound
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
from app.kernel.merging.models import ContactMerge
from app.kernel.merging.problems import MergeIntoItself, MergeNotFound, MergeUndone
from app.kernel.merging.schemas import DuplicateRead, MergeCreate, MergeRead
from app.kernel.merging.service import Duplicate, MergeService
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/contacts", tags=["contacts"], route_class=ReplayableRoute)
Merges = Annotated[MergeService, service(MergeService)]
_READ = require_module("conversations", "contacts:read")
_MANAGE = require_module("conversations", "contacts:manage")


@router.get("/duplicates", response_model=list[DuplicateRead], dependencies=[_READ])
async def list_duplicates(merges: Merges) -> Sequence[Duplicate]:
    """Contacts that may be one person: the same number in two forms, the same e-mail."""
    return await merges.duplicates()


@router.get(
    "/{contact_id}/merges",
    response_model=list[MergeRead],
    responses=problems(ContactNotFound, ContactMerged),
    dependencies=[_READ],
)
async def list_contact_merges(contact_id: UUID, merges: Merges) -> Sequence[ContactMerge]:
    """Who was merged into this contact, newest first; undone merges included."""
    return await merges.of(contact_id)


@router.post(
    "/{contact_id}/merges",
    status_code=201,
    response_model=MergeRead,
    responses=problems(ContactNotFound, ContactMerged, MergeIntoItself, IdempotencyKeyReused),
    dependencies=[_MANAGE, Idempotent],
)
async def merge_contact(contact_id: UUID, body: MergeCreate, merges: Merges) -> ContactMerge:
    """Merge another contact into this one: orders, tags, identities and messages follow."""
    return await merges.merge(contact_id, body.merged_id, body.reason)


@router.post(
    "/{contact_id}/merges/{merge_id}/undo",
    response_model=MergeRead,
    responses=problems(
        ContactNotFound, ContactMerged, MergeNotFound, MergeUndone, IdempotencyKeyReused
    ),
    dependencies=[_MANAGE, Idempotent],
)
async def undo_contact_merge(contact_id: UUID, merge_id: UUID, merges: Merges) -> ContactMerge:
    """Part the two again: each has what it had, and what has come through it since."""
    return await merges.undo(contact_id, merge_id)
