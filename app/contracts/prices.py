"""What promotions leave of the catalogue's prices: asked by the menu, answered by promotions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ShelfPrice:
    """What one of a thing costs whoever asks: without a code, a minimum or a limit."""

    cents: int
    promotions: tuple[str, ...]
    """The names of those that made it so."""


class ShelfPrices(Protocol):
    """The prices of one store at one instant."""

    @property
    def changes_at(self) -> datetime | None:
        """The next instant at which they may be others; None: not by the clock."""
        ...

    def of(self, product_id: UUID, category_id: UUID, cents: int) -> ShelfPrice | None:
        """What is left of ``cents``; None: all of it."""
        ...


class PriceTags(Protocol):
    async def at(self, store_id: UUID, timezone: str, at: datetime) -> ShelfPrices:
        """The prices of a store at an instant; reads in one statement."""
        ...
