"""HTTP for message templates."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.conversations.numbers.problems import (
    NumberNotFound,
    WhatsAppRefused,
    WhatsAppUnavailable,
    WhatsAppUncertain,
)
from app.conversations.templates import review
from app.conversations.templates.models import MessageTemplate
from app.conversations.templates.problems import (
    TemplateExists,
    TemplateInvalid,
    TemplateNotFound,
    TemplateNotSubmitted,
)
from app.conversations.templates.schemas import (
    PreviewRead,
    SyncStarted,
    TemplateCategory,
    TemplateCreate,
    TemplatePreview,
    TemplateRead,
    TemplateUpdate,
)
from app.conversations.templates.service import TemplateService
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.work import Works, service

router = APIRouter(
    prefix="/api/v1/whatsapp/templates", tags=["whatsapp"], route_class=ReplayableRoute
)
Templates = Annotated[TemplateService, service(TemplateService)]
_READ = require_module("conversations", "templates:read")
_WRITE = require_module("conversations", "templates:write")
_VENDOR = (WhatsAppRefused, WhatsAppUncertain, WhatsAppUnavailable)
_Word = Annotated[str | None, Query(max_length=512, pattern=r"^[A-Za-z0-9_]+$")]


@router.get("", dependencies=[_READ])
async def list_templates(
    templates: Templates,
    page: Paging,
    status: _Word = None,
    category: TemplateCategory | None = None,
    language: _Word = None,
    name: _Word = None,
    waba_id: _Word = None,
    deleted: bool = False,
) -> PageRead[TemplateRead]:
    """Templates, newest first; `deleted` shows also those that are gone at WhatsApp."""
    found = await templates.listed(
        page,
        deleted=deleted,
        status=status,
        category=category,
        language=language,
        name=name,
        waba_id=waba_id,
    )
    return PageRead[TemplateRead].model_validate(found)


@router.post(
    "",
    status_code=201,
    response_model=TemplateRead,
    dependencies=[_WRITE, Idempotent],
    responses=problems(NumberNotFound, TemplateExists, TemplateInvalid, *_VENDOR),
)
async def create_template(body: TemplateCreate, works: Works) -> MessageTemplate:
    """Hand a template in for review; `submitting`: WhatsApp has not confirmed it yet."""
    return await review.create(works, body)


@router.post("/sync", status_code=202, dependencies=[_WRITE])
async def sync_templates(templates: Templates) -> SyncStarted:
    """Read all accounts' templates anew, in the background."""
    return await templates.queue_sync()


@router.get(
    "/{template_id}",
    response_model=TemplateRead,
    dependencies=[_READ],
    responses=problems(TemplateNotFound),
)
async def get_template(template_id: UUID, templates: Templates) -> MessageTemplate:
    """One template, also one that is gone at WhatsApp."""
    return await templates.get(template_id)


@router.patch(
    "/{template_id}",
    response_model=TemplateRead,
    dependencies=[_WRITE],
    responses=problems(
        TemplateNotFound, NumberNotFound, TemplateNotSubmitted, TemplateInvalid, *_VENDOR
    ),
)
async def update_template(template_id: UUID, body: TemplateUpdate, works: Works) -> MessageTemplate:
    """Change a template; WhatsApp reviews it again."""
    return await review.edit(works, template_id, body)


@router.delete(
    "/{template_id}",
    status_code=204,
    dependencies=[_WRITE],
    responses=problems(TemplateNotFound, NumberNotFound, TemplateNotSubmitted, *_VENDOR),
)
async def delete_template(template_id: UUID, works: Works) -> None:
    """Delete a template at WhatsApp; what was sent with it stays readable."""
    await review.delete(works, template_id)


@router.post("/{template_id}/preview", dependencies=[_READ], responses=problems(TemplateNotFound))
async def preview_template(
    template_id: UUID, body: TemplatePreview, templates: Templates
) -> PreviewRead:
    """How the template reads with these values, and whether it could be sent so."""
    return await templates.preview(template_id, body.components)
