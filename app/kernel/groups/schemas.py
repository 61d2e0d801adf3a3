"""Wire models of groups."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field

from app.core.schema import Input, Output
from app.kernel.access import MODULES


def _known(grant: str) -> str:
    module, _, action = grant.partition(".")
    if action not in MODULES.get(module, ()):
        raise ValueError(f"{grant!r} is not a known module.action, such as commerce.orders:read")
    return grant


Grant = Annotated[str, Field(max_length=100), AfterValidator(_known)]
Grants = Annotated[list[Grant], Field(max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=80)]


class GroupCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Balcão",
                    "grants": ["commerce.orders:read", "commerce.orders:update"],
                }
            ]
        }
    )

    name: Name
    grants: Grants = Field(default_factory=list)


class GroupUpdate(Input):
    """Only what is sent changes."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"grants": ["commerce.orders:read"]}]}
    )

    name: Name | None = None
    grants: Grants | None = None


class GroupMembers(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_ids": ["019a7f5e-8c00-7a3b-9f10-2b7d4c1e9a55"]}]}
    )

    user_ids: list[UUID] = Field(max_length=1000)


class GroupRead(Output):
    id: UUID
    name: str
    grants: list[str]
    user_ids: list[UUID]
    created_at: datetime
