"""What commerce tells the others (events) and answers for them (ports)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol
from uuid import UUID

from app.contracts.events import Event


class OrderPlaced(Event):
    name: ClassVar[str] = "commerce.order_placed"
    resource: ClassVar[str] = "order"
    topic: ClassVar[str | None] = "orders"
    order_id: UUID
    number: int
    store_id: UUID
    fulfilment: str
    total_cents: int


class OrderStatusChanged(Event):
    name: ClassVar[str] = "commerce.order_status_changed"
    resource: ClassVar[str] = "order"
    topic: ClassVar[str | None] = "orders"
    order_id: UUID
    number: int
    before: str
    after: str
    reason: str | None = None


class OrderWithdrawn(Event):
    """The customer called the order off; who listens to orders hears OrderStatusChanged."""

    name: ClassVar[str] = "commerce.order_withdrawn"
    resource: ClassVar[str] = "order"
    order_id: UUID
    number: int
    reason: str


class OrderEdited(Event):
    """What was ordered changed before anybody prepared it."""

    name: ClassVar[str] = "commerce.order_edited"
    resource: ClassVar[str] = "order"
    topic: ClassVar[str | None] = "orders"
    order_id: UUID
    number: int
    before_cents: int
    after_cents: int
    refund_due_cents: int
    """Paid beyond the new total: what has to be given back."""
    reason: str | None = None


class ImportProgressed(Event):
    """An import began, has more rows behind it, or ended."""

    name: ClassVar[str] = "commerce.import_progressed"
    resource: ClassVar[str] = "import"
    topic: ClassVar[str | None] = "imports"
    import_id: UUID
    kind: str
    status: str
    rows_done: int
    rows_total: int
    """Rows that are applied; the others failed when the file was read, or say nothing new."""


class PaymentEvent(Event):
    """What all news of an order's money say."""

    resource: ClassVar[str] = "payment"
    topic: ClassVar[str | None] = "orders"
    payment_id: UUID
    order_id: UUID
    number: int
    method: str
    amount_cents: int


class PaymentPaid(PaymentEvent):
    name: ClassVar[str] = "commerce.payment_paid"
    received_cents: int


class PaymentFailed(PaymentEvent):
    """An attempt to pay was refused; the customer may try again."""

    name: ClassVar[str] = "commerce.payment_failed"
    error: str


class PaymentFlagged(PaymentEvent):
    """Money came in that does not fit: less, more, too late, in another currency."""

    name: ClassVar[str] = "commerce.payment_flagged"
    received_cents: int
    flag: str


class RefundDue(PaymentEvent):
    """``amount_cents`` must be given back by hand: no vendor moves this method's money."""

    name: ClassVar[str] = "commerce.refund_due"
    refund_id: UUID


class RefundDone(PaymentEvent):
    name: ClassVar[str] = "commerce.refund_done"
    refund_id: UUID


class RefundFailed(PaymentEvent):
    name: ClassVar[str] = "commerce.refund_failed"
    refund_id: UUID
    error: str


class CatalogChanged(Event):
    name: ClassVar[str] = "commerce.catalog_changed"
    resource: ClassVar[str] = "catalog"
    topic: ClassVar[str | None] = "catalog"
    kind: str
    """What changed: product, category, modifier_group, store, promotion, stock."""
    change: str
    """created, updated, deleted."""
    item_id: UUID
    item_name: str

    @property
    def resource_id(self) -> UUID | None:
        return self.item_id


class StoreOperationChanged(Event):
    """A merchant paused a store, took orders again, or changed the minutes of a busy kitchen."""

    name: ClassVar[str] = "commerce.store_operation_changed"
    resource: ClassVar[str] = "store"
    topic: ClassVar[str | None] = "catalog"
    store_id: UUID
    store_name: str
    change: str
    """paused, resumed, busy."""
    paused_until: str | None
    """ISO 8601; orders return then by themselves."""
    reason: str | None
    busy_minutes: int


class StockLow(Event):
    """An item fell to its alert level or below; told once per fall."""

    name: ClassVar[str] = "commerce.stock_low"
    resource: ClassVar[str] = "stock_level"
    topic: ClassVar[str | None] = "inventory"
    stock_level_id: UUID
    store_id: UUID
    item_kind: str
    """product, variant, modifier."""
    item_id: UUID
    item_name: str
    on_hand: int
    low_at: int


class StockReported(Event):
    """What a shop's regular look at its stock found to be low."""

    name: ClassVar[str] = "commerce.stock_reported"
    resource: ClassVar[str] = "stock_report"
    topic: ClassVar[str | None] = "inventory"
    stock_report_id: UUID
    lines: list[str]
    """Human lines such as ``Calabresa (Vila Madalena): 2, alerta em 5``."""
    more: bool
    """Whether there are more low items than lines."""


class StockDrifted(Event):
    """A check of the books found levels that are not the sum of their movements."""

    name: ClassVar[str] = "commerce.stock_drifted"
    resource: ClassVar[str] = "stock_check"
    topic: ClassVar[str | None] = "inventory"
    stock_check_id: UUID
    lines: list[str]
    """Human lines such as ``Calabresa, Vila Madalena: 7 em estoque, 5 pelos movimentos``."""
    more: bool
    """Whether there are more such levels than lines."""


@dataclass(frozen=True, slots=True)
class OrderSummary:
    id: UUID
    number: int
    status: str
    fulfilment: str
    total_cents: int
    currency: str
    store_name: str
    customer_name: str
    customer_phone: str
    lines: tuple[str, ...]
    """Human lines such as ``2 x Calabresa grande``."""


@dataclass(frozen=True, slots=True)
class OrderMessage:
    """Something that was said to somebody because of an order."""

    at: datetime
    channel: str
    state: str
    text: str


class OrderMessages(Protocol):
    """Answers what was sent because of an order of the Work's tenant, oldest first."""

    async def of_order(self, order_id: UUID) -> tuple[OrderMessage, ...]: ...


class OrderLookup(Protocol):
    """Answers about one order of the Work's tenant."""

    async def summary(self, order_id: UUID) -> OrderSummary | None: ...

    async def summary_by_number(self, number: int) -> OrderSummary | None: ...
