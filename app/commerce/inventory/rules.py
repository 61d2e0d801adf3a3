"""What a change of stock is, what it did, and when that concerns somebody; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.contracts.commerce import StockDrifted, StockLow
from app.contracts.notices import Wording


@dataclass(frozen=True, slots=True)
class StockChange:
    """One intended movement of one item in one store; ``quantity`` is signed units."""

    store_id: UUID
    item_kind: str
    item_id: UUID
    kind: str
    quantity: int
    reason: str | None
    actor_name: str
    order_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class StockMoved:
    """A level right after a change, and before it (None: the change began the tracking)."""

    level_id: UUID
    before: int | None
    on_hand: int
    low_at: int | None

    @property
    def crossed_zero(self) -> bool:
        """Whether the item became available or ceased to be; untracked is available."""
        return (self.before is None or self.before > 0) != (self.on_hand > 0)

    @property
    def fell_low(self) -> bool:
        """Whether this change took the level from above its alert to it or below."""
        if self.low_at is None or self.before is None:
            return False
        return self.on_hand <= self.low_at < self.before


@dataclass(frozen=True, slots=True)
class LevelView:
    id: UUID
    store_id: UUID
    store_name: str
    item_kind: str
    item_id: UUID
    item_name: str
    on_hand: int
    low_at: int | None

    @property
    def is_low(self) -> bool:
        return self.on_hand <= (self.low_at or 0)


@dataclass(frozen=True, slots=True)
class MovementView:
    id: UUID
    created_at: datetime
    store_id: UUID
    item_kind: str
    item_id: UUID
    item_name: str
    kind: str
    quantity: int
    order_id: UUID | None
    reason: str | None
    actor_name: str
    balance: int | None
    """What the ledger says was on hand after this line; None: not asked of one item."""


@dataclass(frozen=True, slots=True)
class DriftView:
    """A level that is not what its ledger adds up to."""

    store_id: UUID
    store_name: str
    item_kind: str
    item_id: UUID
    item_name: str
    on_hand: int | None
    ledger: int

    @property
    def difference(self) -> int:
        return (self.on_hand or 0) - self.ledger


@dataclass(frozen=True, slots=True)
class LevelFilter:
    store_id: UUID | None = None
    low: bool = False
    query: str | None = None


@dataclass(frozen=True, slots=True)
class MovementFilter:
    item_id: UUID | None = None
    store_id: UUID | None = None
    order_id: UUID | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None


COLUMNS = (
    "data", "loja", "tipo de item", "item", "movimento", "quantidade", "saldo", "pedido", "motivo",
    "quem",
)  # fmt: skip
"""The head of the ledger as a file."""


def csv_row(line: MovementView, stores: Mapping[UUID, str]) -> list[object]:
    return [
        line.created_at.isoformat(), stores.get(line.store_id, ""), line.item_kind,
        line.item_name, line.kind, line.quantity, line.balance, line.order_id, line.reason,
        line.actor_name,
    ]  # fmt: skip


def drift_line(drift: DriftView) -> str:
    """A level that does not add up, as the shop's people read it."""
    shown = "sem controle" if drift.on_hand is None else f"{drift.on_hand} em estoque"
    return f"{drift.item_name}, {drift.store_name}: {shown}, {drift.ledger} pelos movimentos"


def drift_notice(event: StockDrifted) -> Wording:
    """What the staff are told when stock and ledger disagree."""
    more = " e outros" if event.more or len(event.lines) > 1 else ""
    return Wording(
        "Estoque não confere", f"{event.lines[0]}{more}. Conte e ajuste.", "/admin/inventory"
    )


def report_line(level: LevelView) -> str:
    """A low item as the shop's people read it."""
    alert = "" if level.low_at is None else f" (alerta em {level.low_at})"
    return f"{level.item_name}, {level.store_name}: {level.on_hand}{alert}"


def low_notice(event: StockLow) -> Wording:
    """What the staff are told when an item runs low."""
    what = event.item_name or "Um item"
    left = "acabou" if event.on_hand <= 0 else f"restam {event.on_hand}"
    return Wording(
        f"Estoque baixo: {what}", f"{what}: {left} (alerta em {event.low_at}).", "/admin/inventory"
    )
