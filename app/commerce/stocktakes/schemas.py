"""Wire models of counts of stock."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.commerce.inventory.schemas import ItemKind
from app.core.schema import Input, Output

Status = Literal["open", "closed", "cancelled"]
Only = Literal["all", "uncounted", "differing"]


class CountOpen(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "store_id": "01931b2e-7c00-7000-8000-000000000001",
                    "note": "Balanço de novembro",
                }
            ]
        }
    )

    store_id: UUID
    note: str | None = Field(None, min_length=2, max_length=120)


class LineIn(Input):
    item_id: UUID
    counted: int = Field(ge=0, le=1_000_000, description="Units seen; replaces an earlier entry.")


class LinesIn(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"lines": [{"item_id": "01931b2e-7c00-7000-8000-0000000000a1", "counted": 17}]}
            ]
        }
    )

    lines: Annotated[list[LineIn], Field(min_length=1, max_length=200)]


class SummaryRead(Output):
    lines: int
    counted: int
    differing: int
    surplus: int = Field(description="Units above the books.")
    missing: int = Field(description="Units below the books.")


class CountRead(Output):
    id: UUID
    created_at: datetime
    store_id: UUID
    status: Status
    note: str | None
    opened_by: str
    ended_by: str | None
    ended_at: datetime | None


class CountDetailRead(CountRead):
    summary: SummaryRead


class LineRead(Output):
    id: UUID
    item_kind: ItemKind
    item_id: UUID
    item_name: str
    opened_on_hand: int = Field(description="In the books when the count was opened.")
    expected: int | None = Field(description="In the books when it was counted.")
    counted: int | None
    difference: int | None
    counted_at: datetime | None
    counted_by: str | None
    applied: int | None = Field(description="What closing did to the level.")
