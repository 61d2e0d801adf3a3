"""HTTP for API keys."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.apikeys.problems import ApiKeyNotFound, ScopeBeyondYours, TooManyApiKeys
from app.kernel.apikeys.schemas import ApiKeyCreate, ApiKeyCreated, ApiKeyRead
from app.kernel.apikeys.service import ApiKeyService
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/api-keys", tags=["api-keys"])
Keys = Annotated[ApiKeyService, service(ApiKeyService)]


@router.get("", dependencies=[require_module("platform", "api-keys:read")])
async def list_api_keys(keys: Keys, page: Paging) -> PageRead[ApiKeyRead]:
    """API keys with their scopes and last use, newest first; never their secrets."""
    return PageRead[ApiKeyRead].model_validate(await keys.listed(page))


@router.post(
    "",
    status_code=201,
    dependencies=[require_module("platform", "api-keys:write")],
    responses=problems(ScopeBeyondYours, TooManyApiKeys),
)
async def create_api_key(request: Request, body: ApiKeyCreate, keys: Keys) -> ApiKeyCreated:
    """Make a key for a program: send it as `Authorization: Bearer lgk_…` or as `X-Api-Key`.

    It does what its scopes say as long as whoever made it may do that, too.
    """
    made = await keys.create(request.scope["meta"].identity, body)
    known = ApiKeyRead.model_validate(made.row).model_dump()
    return ApiKeyCreated(**known, key=made.secret)


@router.delete(
    "/{key_id}",
    status_code=204,
    dependencies=[require_module("platform", "api-keys:write")],
    responses=problems(ApiKeyNotFound),
)
async def revoke_api_key(key_id: UUID, keys: Keys) -> None:
    """Revoke a key; it opens nothing from the next second on."""
    await keys.revoke(key_id)
