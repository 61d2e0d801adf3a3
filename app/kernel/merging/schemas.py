"""Wire models of merges and of who may be the same person."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.schema import Input, Output
from app.kernel.contacts.schemas import ContactRead


class MergeCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "merged_id": "01932c07-a0a3-7a10-8c39-0f6f2f9b6f11",
                    "reason": "Mesma pessoa, trocou de número",
                }
            ]
        }
    )

    merged_id: UUID = Field(description="The contact that is merged into this one.")
    reason: str = Field("", max_length=200)


class MergeRead(Output):
    id: UUID
    contact_id: UUID
    merged_id: UUID
    reason: str
    actor_name: str
    created_at: datetime
    undone_at: datetime | None


class DuplicateRead(Output):
    """Contacts that may be one person."""

    reason: Literal["phone", "email"] = Field(
        description="phone: one number with and without its ninth digit."
    )
    value: str
    contacts: list[ContactRead] = Field(description="The oldest first.")
