"""Wire models of stock levels, their ledger and what changes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, model_validator

from app.core.schema import Input, Output

ItemKind = Literal["product", "variant", "modifier"]
MovementKind = Literal["sale", "cancellation", "receipt", "adjustment", "loss", "transfer"]
Quantity = Annotated[int, Field(ge=1, le=1_000_000, description="Units.")]
Reason = Annotated[str, Field(min_length=2, max_length=200)]
_ITEM: dict[str, JsonValue] = {
    "store_id": "01931b2e-7c00-7000-8000-000000000001",
    "item_kind": "product",
    "item_id": "01931b2e-7c00-7000-8000-0000000000a1",
}


class StockItem(Input):
    store_id: UUID
    item_kind: ItemKind
    item_id: UUID


class Receipt(StockItem):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**_ITEM, "quantity": 24, "reason": "Nota 1532, Bebidas do Vale"}]
        }
    )

    quantity: Quantity
    reason: Reason | None = None


class Adjustment(StockItem):
    """Either what was counted or by how much it differs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {**_ITEM, "counted": 17, "reason": "Contagem de domingo"},
                {**_ITEM, "delta": -2, "reason": "Digitado a mais no recebimento"},
            ]
        }
    )

    counted: int | None = Field(
        None, ge=0, le=1_000_000, description="What is there; starts tracking if need be."
    )
    delta: int | None = Field(None, ge=-1_000_000, le=1_000_000, description="Difference, not 0.")
    reason: Reason

    @model_validator(mode="after")
    def _one_of_two(self) -> Adjustment:
        if (self.counted is None) == (self.delta is None):
            raise ValueError("send either counted or delta")
        if self.delta == 0:
            raise ValueError("delta must not be 0")
        return self


class Loss(StockItem):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_ITEM, "quantity": 3, "reason": "Vencido"}]}
    )

    quantity: Quantity
    reason: Reason


class Transfer(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "from_store_id": "01931b2e-7c00-7000-8000-000000000001",
                    "to_store_id": "01931b2e-7c00-7000-8000-000000000002",
                    "item_kind": "product",
                    "item_id": "01931b2e-7c00-7000-8000-0000000000a1",
                    "quantity": 6,
                    "reason": "Reforço para o fim de semana",
                }
            ]
        }
    )

    from_store_id: UUID
    to_store_id: UUID
    item_kind: ItemKind
    item_id: UUID
    quantity: Quantity
    reason: Reason | None = None


class LevelUpdate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"low_at": 5}]})

    low_at: int | None = Field(
        ge=0, le=1_000_000, description="Alert when on_hand falls to this; null: never."
    )


class LevelRead(Output):
    id: UUID
    store_id: UUID
    store_name: str
    item_kind: ItemKind
    item_id: UUID
    item_name: str = Field(examples=["Pizza calabresa - Grande"])
    on_hand: int
    low_at: int | None
    is_low: bool = Field(description="At or below low_at, or sold out.")


class TransferRead(Output):
    source: LevelRead
    destination: LevelRead


class MovementRead(Output):
    id: UUID
    created_at: datetime
    store_id: UUID
    item_kind: ItemKind
    item_id: UUID
    item_name: str
    kind: MovementKind
    quantity: int = Field(description="Signed: what it did to on_hand.")
    order_id: UUID | None
    reason: str | None
    actor_name: str
    balance: int | None = Field(
        None, description="On hand after this line; given when item_id and store_id are asked."
    )


class DriftRead(Output):
    store_id: UUID
    store_name: str
    item_kind: ItemKind
    item_id: UUID
    item_name: str = Field(examples=["Pizza calabresa - Grande"])
    on_hand: int | None = Field(description="What the level says; null: it is not tracked.")
    ledger: int = Field(description="What its movements add up to.")
    difference: int


class DriftsRead(Output):
    """Levels that are not the sum of their movements; empty when the books are exact."""

    items: list[DriftRead]
    more: bool
