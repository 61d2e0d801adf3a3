"""What staff do with customers: find, correct and block them, and keep their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.commerce.customers.models import CustomerAddress
from app.commerce.customers.repository import (
    CustomerRepository,
    OrderStatistics,
    ShopStatistics,
)
from app.commerce.customers.schemas import (
    AddressCreate,
    AddressUpdate,
    CustomerCreate,
    CustomerUpdate,
)
from app.contracts.contacts import TimelineEntry
from app.core.clock import now
from app.core.money import format_money
from app.core.pagination import Page, PageRequest
from app.kernel.contacts.models import Contact
from app.kernel.contacts.service import ContactService
from app.kernel.merging.models import ContactMerge
from app.kernel.merging.service import Duplicate, MergeService
from app.kernel.work import UnitOfWork, Work


@dataclass(frozen=True, slots=True)
class Customer:
    """A contact with what commerce knows of it."""

    id: UUID
    name: str
    phone: str | None
    email: str | None
    source: str
    is_blocked: bool
    last_order_at: datetime | None
    created_at: datetime
    addresses: Sequence[CustomerAddress]
    orders: OrderStatistics


class CustomerService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.contacts = ContactService(work)
        self.merges = MergeService(work)
        self.customers = CustomerRepository(work.session)

    async def search(
        self, page: PageRequest, query: str | None, is_blocked: bool | None
    ) -> Page[Contact]:
        return await self.contacts.search(page, query, is_blocked=is_blocked)

    async def create(self, body: CustomerCreate) -> Customer:
        """Raises ContactExists with the id of whoever has the number."""
        contact = await self.contacts.create(body.name, body.phone, body.email, "admin")
        return await self._detail(contact)

    async def detail(self, contact_id: UUID) -> Customer:
        """Raises ContactNotFound."""
        return await self._detail(await self.contacts.get(contact_id))

    async def change(self, contact_id: UUID, body: CustomerUpdate) -> Customer:
        """Raises ContactNotFound."""
        sent = body.model_fields_set
        contact = await self.contacts.change(
            contact_id,
            name=body.name if "name" in sent else None,
            email=body.email,
            clear_email="email" in sent and body.email is None,
            is_blocked=body.is_blocked if "is_blocked" in sent else None,
        )
        return await self._detail(contact)

    async def shop_statistics(self) -> ShopStatistics:
        """How many customers there are, who returns, and who ordered for most."""
        return await self.customers.shop_statistics(now())

    async def duplicates(self) -> Sequence[Duplicate]:
        return await self.merges.duplicates()

    async def merged(self, contact_id: UUID) -> Sequence[ContactMerge]:
        """Raises ContactNotFound, ContactMerged."""
        return await self.merges.of(contact_id)

    async def merge(self, contact_id: UUID, merged_id: UUID, reason: str) -> Customer:
        """Make one customer of two: orders, addresses and redemptions follow.

        Raises ContactNotFound, ContactMerged, MergeIntoItself.
        """
        await self.merges.merge(contact_id, merged_id, reason)
        return await self.detail(contact_id)

    async def undo_merge(self, contact_id: UUID, merge_id: UUID) -> Customer:
        """Raises ContactNotFound, ContactMerged, MergeNotFound, MergeUndone."""
        await self.merges.undo(contact_id, merge_id)
        return await self.detail(contact_id)

    async def addresses(self, contact_id: UUID) -> Sequence[CustomerAddress]:
        """Raises ContactNotFound."""
        await self.contacts.get(contact_id)
        return await self.customers.addresses(contact_id)

    async def add_address(self, contact_id: UUID, body: AddressCreate) -> CustomerAddress:
        """Raises ContactNotFound."""
        await self.contacts.get(contact_id)
        address = await self.customers.add(
            CustomerAddress(
                contact_id=contact_id,
                postal_code=body.postal_code,
                address=_spelled(body.model_dump(exclude={"postal_code"})),
            )
        )
        await self.work.session.refresh(address)
        self._record("created", address)
        return address

    async def change_address(
        self, contact_id: UUID, address_id: UUID, body: AddressUpdate
    ) -> CustomerAddress:
        """Raises AddressNotFound."""
        address = await self.customers.address(contact_id, address_id)
        sent = body.model_dump(exclude_unset=True)
        address.postal_code = sent.pop("postal_code", address.postal_code)
        address.address = _spelled({**address.address, **sent})
        await self.customers.flush()
        self._record("updated", address)
        return address

    async def remove_address(self, contact_id: UUID, address_id: UUID) -> None:
        """Orders keep their own copy. Raises AddressNotFound."""
        address = await self.customers.address(contact_id, address_id)
        await self.customers.delete(address)
        self._record("deleted", address)

    async def _detail(self, contact: Contact) -> Customer:
        return Customer(
            id=contact.id,
            name=contact.name,
            phone=contact.phone,
            email=contact.email,
            source=contact.source,
            is_blocked=contact.is_blocked,
            last_order_at=contact.last_order_at,
            created_at=contact.created_at,
            addresses=await self.customers.addresses(contact.id),
            orders=await self.customers.statistics(contact.id),
        )

    def _record(self, change: str, address: CustomerAddress) -> None:
        self.work.record(
            f"commerce.customer_address_{change}",
            "contact",
            address.contact_id,
            address_id=address.id,
            postal_code=address.postal_code,
        )


def _spelled(parts: dict[str, str | None]) -> dict[str, str | None]:
    state = parts.get("state")
    return {**parts, "state": state.upper() if state else state}


class CustomerTimeline:
    """Answers ``TimelineSource`` with the customer's orders."""

    def __init__(self, work: UnitOfWork) -> None:
        self.customers = CustomerRepository(work.session)

    async def entries(
        self, contact_ids: Sequence[UUID], before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[TimelineEntry]:
        orders = await self.customers.story(contact_ids, before, limit)
        return [
            TimelineEntry(
                at=order.placed_at,
                id=order.id,
                kind="order.placed",
                text=f"Pedido {order.number}, {format_money(order.total_cents)}: {order.status}",
                resource="order",
                resource_id=order.id,
                grant="commerce.orders:read",
            )
            for order in orders
        ]
