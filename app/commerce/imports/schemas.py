"""What files call things, what an imported row says, and what became of a batch of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from app.commerce.orders.models import STATUSES as ORDER_STATUSES
from app.core.model import Json

Fields = Mapping[str, tuple[str, ...]]
"""Our field and the column names it is known by; the first one present is taken."""

PRODUCTS: Fields = {
    "key": ("external_ref", "product_id", "id", "codigo", "código", "sku"),
    "name": ("name", "nome", "product_name", "produto"),
    "category": ("category", "categoria", "product_category_name"),
    "price": ("price", "preco", "preço", "valor"),
    "description": ("description", "descricao", "descrição"),
    "sku": ("sku",),
    "weight_g": ("weight_g", "product_weight_g", "peso_g"),
    "length_cm": ("length_cm", "product_length_cm", "comprimento_cm"),
    "height_cm": ("height_cm", "product_height_cm", "altura_cm"),
    "width_cm": ("width_cm", "product_width_cm", "largura_cm"),
}
CUSTOMERS: Fields = {
    # customer_id, though it is one per order in Olist's data: it is what its orders refer to.
    "key": ("external_ref", "customer_id", "id", "codigo", "código"),
    "alias": ("customer_unique_id",),
    "name": ("name", "nome", "customer_name", "cliente"),
    "phone": ("phone", "telefone", "celular", "whatsapp", "customer_phone"),
    "email": ("email", "e-mail", "customer_email"),
    "postal_code": ("postal_code", "cep", "customer_zip_code_prefix"),
    "street": ("street", "rua", "logradouro", "endereco", "endereço"),
    "number": ("number", "numero", "número"),
    "complement": ("complement", "complemento"),
    "district": ("district", "bairro"),
    "city": ("city", "cidade", "customer_city"),
    "state": ("state", "estado", "uf", "customer_state"),
}
ORDERS: Fields = {
    "key": ("external_ref", "order_id", "id", "pedido"),
    "customer": ("customer_id", "customer", "cliente"),
    "status": ("status", "order_status", "situacao", "situação"),
    "placed_at": ("placed_at", "order_purchase_timestamp", "data"),
    "confirmed_at": ("confirmed_at", "order_approved_at"),
    "shipped_at": ("shipped_at", "order_delivered_carrier_date"),
    "delivered_at": ("delivered_at", "order_delivered_customer_date"),
    "promised_at": ("promised_at", "order_estimated_delivery_date"),
}
ITEMS: Fields = {
    "order": ("order_id", "order", "pedido"),
    "product": ("product_id", "product", "produto", "sku"),
    "price": ("unit_price", "price", "preco", "preço"),
    "shipping": ("shipping", "freight_value", "frete"),
    "quantity": ("quantity", "quantidade"),
}
PAYMENTS: Fields = {
    "order": ("order_id", "order", "pedido"),
    "method": ("method", "payment_type", "forma"),
    "amount": ("amount", "payment_value", "valor"),
}
STATUSES = {
    "created": "pending",
    "approved": "confirmed",
    "invoiced": "preparing",
    "processing": "preparing",
    "shipped": "out_for_delivery",
    "canceled": "cancelled",
    "unavailable": "cancelled",
    **{own: own for own in ORDER_STATUSES},
}
METHODS = {
    "cash": "cash",
    "dinheiro": "cash",
    "pix": "pix",
    "card_on_delivery": "card_on_delivery",
    "maquininha": "card_on_delivery",
}
"""Everything else (credit_card, boleto, voucher) was paid elsewhere: ``other``."""


class Row(Protocol):
    """Anything that came from one line of a file and has the key it is matched by."""

    @property
    def line(self) -> int: ...

    @property
    def key(self) -> str: ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that was not imported. ``file`` is empty for the main file."""

    line: int
    key: str
    reason: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Parsed(Generic[R]):
    """A file's rows; read = rows + failures + repeats (rows said before, word for word)."""

    read: int
    rows: list[R]
    failures: list[Failure]
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class ProductRow:
    """None: the file does not say, so what is stored stays."""

    line: int = field(compare=False)
    key: str
    name: str | None
    category: str | None
    price_cents: int | None
    description: str | None
    sku: str | None
    attributes: Json


@dataclass(frozen=True, slots=True)
class AddressRow:
    postal_code: str
    address: Json


@dataclass(frozen=True, slots=True)
class CustomerRow:
    line: int = field(compare=False)
    key: str
    alias: str | None = field(compare=False)
    """The other key of the same file; orders may name the customer by either."""
    name: str | None
    phone: str | None
    email: str | None
    address: AddressRow | None = field(compare=False)


@dataclass(frozen=True, slots=True)
class OrderLine:
    product_key: str
    unit_price_cents: int
    quantity: int


@dataclass(frozen=True, slots=True)
class OrderPayment:
    method: str
    amount_cents: int
    status: str


@dataclass(frozen=True, slots=True)
class StatusStep:
    before: str | None
    after: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OrderRow:
    line: int = field(compare=False)
    key: str
    customer_key: str
    placed_at: datetime
    promised_at: datetime | None
    steps: tuple[StatusStep, ...]
    lines: tuple[OrderLine, ...]
    payments: tuple[OrderPayment, ...]
    shipping_cents: int

    @property
    def status(self) -> str:
        return self.steps[-1].after

    @property
    def subtotal_cents(self) -> int:
        return sum(line.unit_price_cents * line.quantity for line in self.lines)

    @property
    def total_cents(self) -> int:
        return self.subtotal_cents + self.shipping_cents


@dataclass(frozen=True, slots=True)
class StoreRef:
    id: UUID
    slug: str
    timezone: str


@dataclass(slots=True)
class BatchResult:
    """What became of rows: created + updated + unchanged + failures is their number."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failures: list[Failure] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    """Remarks with how many rows they concern."""

    @property
    def total(self) -> int:
        return self.created + self.updated + self.unchanged + len(self.failures)

    def add(self, other: BatchResult) -> None:
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.failures += other.failures
        self.notes += other.notes
