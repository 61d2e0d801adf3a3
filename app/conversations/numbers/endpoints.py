"""HTTP for WhatsApp numbers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from app.conversations.numbers import checks
from app.conversations.numbers.news import NumberNews, shown
from app.conversations.numbers.problems import (
    CartStoreUnknown,
    NoSecretToEnd,
    NumberInUse,
    NumberNotFound,
    NumberTaken,
    NumberUrlRefused,
    TokenNeeded,
    WhatsAppRefused,
    WhatsAppUnavailable,
    WhatsAppUncertain,
)
from app.conversations.numbers.schemas import (
    NumberCheck,
    NumberCreate,
    NumberHealth,
    NumberRead,
    NumberUpdate,
    Registration,
    SecretRotation,
)
from app.conversations.numbers.service import NumberService
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.departments.problems import DepartmentNotFound
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.limits import LimitReached
from app.kernel.work import Works, service

router = APIRouter(
    prefix="/api/v1/whatsapp/numbers", tags=["whatsapp"], route_class=ReplayableRoute
)
Numbers = Annotated[NumberService, service(NumberService)]
News = Annotated[NumberNews, service(NumberNews)]
_READ = require_module("conversations", "numbers:read")
_WRITE = require_module("conversations", "numbers:write")


@router.get("", dependencies=[_READ])
async def list_numbers(numbers: Numbers, page: Paging) -> PageRead[NumberRead]:
    """The tenant's numbers, newest first; never a secret."""
    found = await numbers.listed(page)
    return PageRead(items=[shown(row) for row in found.items], next_cursor=found.next_cursor)


@router.post(
    "",
    status_code=201,
    dependencies=[_WRITE, Idempotent],
    responses=problems(NumberTaken, LimitReached, DepartmentNotFound, NumberUrlRefused),
)
async def connect_number(body: NumberCreate, numbers: Numbers) -> NumberRead:
    """Connect a number with its secrets, which are write-only."""
    return shown(await numbers.create(body))


@router.get("/{number_id}", dependencies=[_READ], responses=problems(NumberNotFound))
async def get_number(number_id: UUID, numbers: Numbers) -> NumberRead:
    """One number."""
    return shown(await numbers.get(number_id))


@router.patch(
    "/{number_id}",
    dependencies=[_WRITE],
    responses=problems(
        NumberNotFound, DepartmentNotFound, NumberUrlRefused, TokenNeeded, CartStoreUnknown
    ),
)
async def update_number(number_id: UUID, body: NumberUpdate, numbers: Numbers) -> NumberRead:
    """Change a number; fields left out stay, a new address needs the token again."""
    return shown(await numbers.update(number_id, body))


@router.delete(
    "/{number_id}",
    status_code=204,
    dependencies=[_WRITE],
    responses=problems(NumberNotFound, NumberInUse),
)
async def disconnect_number(number_id: UUID, numbers: Numbers) -> None:
    """Disconnect a number that never had a conversation; others are switched off."""
    await numbers.delete(number_id)


@router.get("/{number_id}/health", dependencies=[_READ], responses=problems(NumberNotFound))
async def get_number_health(number_id: UUID, news: News) -> NumberHealth:
    """The health card: quality, limit used in the last 24 hours, last webhook, errors."""
    return await news.health(number_id)


@router.post("/{number_id}/test", dependencies=[_WRITE], responses=problems(NumberNotFound))
async def test_number(number_id: UUID, works: Works) -> NumberCheck:
    """Ask WhatsApp with the stored token; name, quality, limit and status are refreshed."""
    return await checks.look(works, number_id)


@router.post(
    "/{number_id}/register",
    dependencies=[_WRITE],
    responses=problems(NumberNotFound, WhatsAppRefused, WhatsAppUncertain, WhatsAppUnavailable),
)
async def register_number(number_id: UUID, body: Registration, works: Works) -> NumberCheck:
    """Register the number for the Cloud API with its two-step PIN."""
    return await checks.register(works, number_id, body.pin)


@router.post(
    "/{number_id}/rotate-secret", dependencies=[_WRITE], responses=problems(NumberNotFound)
)
async def rotate_app_secret(number_id: UUID, body: SecretRotation, numbers: Numbers) -> NumberRead:
    """Take a new app secret; the previous one is accepted, too, until it is ended."""
    return shown(await numbers.rotate(number_id, body.app_secret))


@router.post(
    "/{number_id}/end-rotation",
    dependencies=[_WRITE],
    responses=problems(NumberNotFound, NoSecretToEnd),
)
async def end_secret_rotation(number_id: UUID, numbers: Numbers) -> NumberRead:
    """Forget the previous app secret."""
    return shown(await numbers.end_rotation(number_id))


@router.post(
    "/{number_id}/resume-campaigns", dependencies=[_WRITE], responses=problems(NumberNotFound)
)
async def resume_campaigns(number_id: UUID, numbers: Numbers) -> NumberRead:
    """Let campaigns use the number again after the vendor's warning was dealt with."""
    return shown(await numbers.resume_campaigns(number_id))
