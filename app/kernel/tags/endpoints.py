"""HTTP for tags and for the attributes that a tenant defines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
from app.kernel.tags.models import ContactAttribute, Tag
from app.kernel.tags.problems import (
    AttributeInvalid,
    AttributeKeyTaken,
    AttributeNotFound,
    TagNameTaken,
    TagNotFound,
)
from app.kernel.tags.schemas import (
    AttributeCreate,
    AttributeRead,
    AttributeUpdate,
    TagCount,
    TagCreate,
    TagRead,
    TagUpdate,
)
from app.kernel.tags.service import AttributeService, TagService
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/tags", tags=["contacts"], route_class=ReplayableRoute)
attributes_router = APIRouter(
    prefix="/api/v1/contact-attributes", tags=["contacts"], route_class=ReplayableRoute
)
Tags = Annotated[TagService, service(TagService)]
Attributes = Annotated[AttributeService, service(AttributeService)]
_READ = require_module("conversations", "contacts:read")
_WRITE = require_module("conversations", "contacts:write")
_MANAGE = require_module("conversations", "contacts:manage")


@router.get("", dependencies=[_READ])
async def list_tags(tags: Tags, page: Paging) -> PageRead[TagCount]:
    """Tags with how many contacts carry each, newest first."""
    return PageRead[TagCount].model_validate(await tags.page(page))


@router.post(
    "",
    status_code=201,
    response_model=TagRead,
    responses=problems(TagNameTaken, IdempotencyKeyReused),
    dependencies=[_WRITE, Idempotent],
)
async def create_tag(body: TagCreate, tags: Tags) -> Tag:
    """Add a tag; its name is one's own in any spelling of accents and case."""
    return await tags.create(body)


@router.patch(
    "/{tag_id}",
    response_model=TagRead,
    responses=problems(TagNotFound, TagNameTaken),
    dependencies=[_WRITE],
)
async def change_tag(tag_id: UUID, body: TagUpdate, tags: Tags) -> Tag:
    """Rename or recolour a tag."""
    return await tags.change(tag_id, body)


@router.delete(
    "/{tag_id}", status_code=204, responses=problems(TagNotFound), dependencies=[_MANAGE]
)
async def delete_tag(tag_id: UUID, tags: Tags) -> None:
    """Take a tag from everybody and away."""
    await tags.delete(tag_id)


@attributes_router.get("", response_model=list[AttributeRead], dependencies=[_READ])
async def list_contact_attributes(attributes: Attributes) -> Sequence[ContactAttribute]:
    """The facts that this tenant keeps of its contacts, the oldest first."""
    return await attributes.defined()


@attributes_router.post(
    "",
    status_code=201,
    response_model=AttributeRead,
    responses=problems(AttributeKeyTaken, IdempotencyKeyReused),
    dependencies=[_MANAGE, Idempotent],
)
async def create_contact_attribute(
    body: AttributeCreate, attributes: Attributes
) -> ContactAttribute:
    """Define a fact; its key and kind stay what they are."""
    return await attributes.create(body)


@attributes_router.patch(
    "/{attribute_id}",
    response_model=AttributeRead,
    responses=problems(AttributeNotFound, AttributeInvalid),
    dependencies=[_MANAGE],
)
async def change_contact_attribute(
    attribute_id: UUID, body: AttributeUpdate, attributes: Attributes
) -> ContactAttribute:
    """Change its label or choices; facts given before stay."""
    return await attributes.change(attribute_id, body)


@attributes_router.delete(
    "/{attribute_id}",
    status_code=204,
    responses=problems(AttributeNotFound),
    dependencies=[_MANAGE],
)
async def delete_contact_attribute(attribute_id: UUID, attributes: Attributes) -> None:
    """Take a fact from every contact, and its definition away."""
    await attributes.delete(attribute_id)
