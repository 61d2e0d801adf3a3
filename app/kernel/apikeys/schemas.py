"""Wire models of API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schema import Input, Output
from app.kernel.groups.schemas import Grant


class ApiKeyCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "ERP da contabilidade",
                    "scopes": ["commerce.orders:read", "commerce.inventory:read"],
                    "expires_in_days": 365,
                }
            ]
        }
    )

    name: Annotated[str, Field(min_length=1, max_length=80)]
    scopes: Annotated[list[Grant], Field(min_length=1, max_length=200)]
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = Field(
        365, description="Null: it never expires; prefer a date."
    )


class ApiKeyRead(Output):
    id: UUID
    name: str
    prefix: str = Field(description="How the key begins; the rest is known to its holder alone.")
    scopes: list[str]
    created_by: UUID
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None


class ApiKeyCreated(ApiKeyRead):
    key: str = Field(description="The secret. Keep it now: it is never shown again.")
