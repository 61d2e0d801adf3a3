"""What a checkout reads before it computes."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.commerce.checkout.rows import Row


@dataclass(frozen=True, slots=True)
class Basis:
    """Everything a checkout depends on, as it stood in one snapshot."""

    store: str | None
    """JSON text: parsed and cached by its content."""
    products: dict[UUID, Row]
    variants: dict[UUID, Row]
    groups: dict[UUID, list[Row]]
    stock: dict[UUID, int]
    promotions: list[Row]
    shipping: list[Row]
    area: tuple[float, float] | None
    contact: Row | None
