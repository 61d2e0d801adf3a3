"""Wire models of the counter: the board, internal notes, the timeline."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.commerce.orders.rules import OrderStatus
from app.commerce.orders.schemas import OrderSummaryRead
from app.core.schema import Input, Output


class ColumnRead(Output):
    """One status of one store."""

    store_id: UUID
    status: OrderStatus
    count: int
    late: int = Field(description="Of them, beyond their promise.")
    newest: list[OrderSummaryRead]


class BoardRead(Output):
    """Every open status of every store that has orders in it."""

    columns: list[ColumnRead]


class NoteIn(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"body": "cliente pediu para ligar antes de sair"}]}
    )

    body: str = Field(min_length=1, max_length=1000)


class MomentRead(Output):
    """One thing that happened to an order."""

    at: datetime
    kind: Literal["status", "edit", "payment", "message", "note"]
    who: str | None = Field(description="Who did it; null: the system.")
    text: str = Field(description="In Portuguese, as the shop reads it.")
    facts: dict[str, Any]


class TimelineRead(Output):
    moments: list[MomentRead]
