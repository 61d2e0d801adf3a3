"""Wire models of what is done to many products, to their order, and to the deleted ones."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field, field_validator

from app.commerce.catalog.schemas import MAX_CENTS, ProductSummary, Tag
from app.core.schema import Input, Output

_ID = "01931b2e-7c00-7000-8000-000000000001"


def _once_each(found: list[UUID]) -> list[UUID]:
    if len(set(found)) != len(found):
        raise ValueError("a product is listed twice")
    return found


class PriceEdit(Input):
    by: Literal["percent", "amount", "set"]
    value: int = Field(
        ge=-MAX_CENTS,
        le=MAX_CENTS,
        description="percent: in hundredths of a percent (1050 is 10.5 %); else in cents.",
    )
    round_to_cents: int = Field(1, ge=1, le=10_000, description="To the nearest, halves up.")


class BulkEdit(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "product_ids": [_ID],
                    "price": {"by": "percent", "value": 1000, "round_to_cents": 10},
                    "add_tags": ["vegetariano"],
                }
            ]
        }
    )

    product_ids: list[UUID] = Field(min_length=1, max_length=200)
    price: PriceEdit | None = None
    is_active: bool | None = None
    category_id: UUID | None = None
    add_tags: list[Tag] = Field(default_factory=list, max_length=20)
    remove_tags: list[Tag] = Field(default_factory=list, max_length=20)

    _unique = field_validator("product_ids")(_once_each)


class BulkOutcome(Output):
    product_id: UUID
    status: Literal["changed", "unchanged", "refused"]
    code: str | None = Field(description="Why it was refused; a refused product stays whole.")


class BulkRead(Output):
    items: list[BulkOutcome] = Field(description="One for each product, in the order sent.")


class ProductOrder(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"product_ids": [_ID]}]})

    product_ids: list[UUID] = Field(
        min_length=1, max_length=1000, description="In menu order; those left out come after."
    )

    _unique = field_validator("product_ids")(_once_each)


class ProductRestore(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"category_id": _ID}]})

    category_id: UUID | None = Field(None, description="Needed when its own was deleted.")


class DeletedProduct(ProductSummary):
    deleted_at: datetime
