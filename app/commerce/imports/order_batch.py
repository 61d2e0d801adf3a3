"""One batch of imported orders: matched, numbered in order of purchase, written whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.commerce.imports.repository import (
    ImportRepository,
    KnownContact,
    KnownOrder,
    KnownProduct,
    Record,
)
from app.commerce.imports.schemas import (
    BatchResult,
    CustomerRow,
    Failure,
    OrderRow,
    StatusStep,
    StoreRef,
)
from app.core.ids import id_at, new_id

_KEPT = "changed here since they were imported: left as they are"
_EMPTY = "without any item: kept with a total of their freight, 0.00"
_UNEVEN = "paid an amount other than their total: both kept"


@dataclass(frozen=True, slots=True)
class _Resolved:
    """An order whose customer and products are known."""

    row: OrderRow
    contact: KnownContact
    items: tuple[tuple[KnownProduct, int, int], ...]
    """Product, unit price in cents, quantity."""


class OrderBatch:
    def __init__(
        self,
        found: ImportRepository,
        rows: Sequence[OrderRow],
        store: StoreRef,
        customers: Mapping[str, CustomerRow],
    ) -> None:
        self._found, self._rows, self._store = found, rows, store
        self._customers = customers
        self._result = BatchResult()

    async def apply(self) -> BatchResult:
        """Write what is new or differs; what became of every row."""
        resolved = await self._resolve()
        known = await self._found.orders([order.row.key for order in resolved])
        fresh = [order for order in resolved if order.row.key not in known]
        changed: list[tuple[_Resolved, KnownOrder]] = []
        for order in resolved:
            stored = known.get(order.row.key)
            if stored is None:
                continue
            if stored.is_touched or stored.source != "import":
                self._result.notes[_KEPT] += 1
            elif _differs(order, stored):
                changed.append((order, stored))
        await self._change(changed)
        await self._add(fresh)
        written = [*fresh, *(order for order, _ in changed)]
        if written:
            await self._found.note_last_orders([order.contact.id for order in written])
        for order in written:
            self._remark(order.row)
        result = self._result
        result.created, result.updated = len(fresh), len(changed)
        result.unchanged = len(resolved) - len(written)
        return result

    def _remark(self, row: OrderRow) -> None:
        self._result.notes[_EMPTY] += not row.lines
        paid = sum(payment.amount_cents for payment in row.payments)
        self._result.notes[_UNEVEN] += bool(row.payments) and paid != row.total_cents

    async def _resolve(self) -> list[_Resolved]:
        aliases = {row.customer_key: self._customers.get(row.customer_key) for row in self._rows}
        keys = [*aliases, *(found.key for found in aliases.values() if found)]
        contacts = {c.key: c for c in await self._found.contacts(keys, [])}
        products = await self._found.products(
            list({line.product_key for row in self._rows for line in row.lines})
        )
        resolved = []
        for row in self._rows:
            alias = aliases[row.customer_key]
            contact = contacts.get(row.customer_key) or contacts.get(alias.key if alias else None)
            unknown = [line.product_key for line in row.lines if line.product_key not in products]
            if contact is None or unknown:
                reason = (
                    f"unknown customer {row.customer_key}: import the customers first"
                    if contact is None
                    else f"unknown product {unknown[0]}: import the products first"
                )
                self._result.failures.append(Failure(row.line, row.key, reason))
                continue
            items = tuple(
                (products[line.product_key], line.unit_price_cents, line.quantity)
                for line in row.lines
            )
            resolved.append(_Resolved(row, contact, items))
        return resolved

    async def _change(self, changed: Sequence[tuple[_Resolved, KnownOrder]]) -> None:
        if not changed:
            return
        await self._found.change_orders(
            [
                {"id": stored.id, **_facts(order.row), "minutes": _minutes(order.row)}
                for order, stored in changed
            ]
        )
        await self._parts([(order, stored.id) for order, stored in changed])
        await self._found.add_steps(
            [
                # Ids of now: the history is read in their order, and this is its newest part.
                {**_part(new_id(), stored.id, step.at), "before": step.before, "after": step.after}
                for order, stored in changed
                for step in _moved(order.row, stored.status)
            ]
        )

    async def _add(self, fresh: Sequence[_Resolved]) -> None:
        if not fresh:
            return
        fresh = sorted(fresh, key=lambda order: (order.row.placed_at, order.row.key))
        # Sorted, so that of two orders of one moment the lower number has the lower id.
        ids = sorted(id_at(order.row.placed_at) for order in fresh)
        addresses = await self._found.addresses([order.contact.id for order in fresh])
        # As late as possible: a checkout of this tenant waits for the counter until our commit.
        numbers = await self._found.take_numbers(new_id(), len(fresh))
        orders: list[Record] = [
            {
                **_facts(order.row),
                "id": order_id,
                "number": number,
                "contact_id": order.contact.id,
                "customer_name": order.contact.name,
                "customer_phone": order.contact.phone,
                "ref": order.row.key,
                "placed_at": order.row.placed_at,
            }
            for order, order_id, number in zip(fresh, ids, numbers, strict=True)
        ]
        await self._found.add_orders(self._store.id, orders)
        pairs = list(zip(fresh, ids, strict=True))
        await self._parts(pairs)
        await self._found.add_steps(
            [step for order, order_id in pairs for step in _steps(order.row, order_id)]
        )
        await self._found.add_deliveries(
            [self._delivery(order, order_id, addresses) for order, order_id in pairs]
        )

    def _delivery(
        self,
        order: _Resolved,
        order_id: UUID,
        addresses: Mapping[UUID, tuple[str, object]],
    ) -> Record:
        stated = self._customers.get(order.row.customer_key)
        if stated is not None and stated.address is not None:
            postal_code: str = stated.address.postal_code
            address: object = stated.address.address
        else:
            postal_code, address = addresses.get(order.contact.id, ("", {}))
        return {
            "id": new_id(),
            "order_id": order_id,
            "postal_code": postal_code,
            "address": address,
            "fee_cents": order.row.shipping_cents,
            "minutes": _minutes(order.row),
            "at": order.row.placed_at,
        }

    async def _parts(self, orders: Sequence[tuple[_Resolved, UUID]]) -> None:
        items: list[Record] = []
        payments: list[Record] = []
        for order, order_id in orders:
            row, at = order.row, order.row.placed_at
            for position, (product, cents, quantity) in enumerate(order.items):
                items.append(
                    {
                        **_part(new_id(), order_id, at),
                        "position": position,
                        "product_id": product.id,
                        "name": product.name,
                        "unit_price_cents": cents,
                        "quantity": quantity,
                    }
                )
            for part_id, payment in zip(_ids(at, len(row.payments)), row.payments, strict=True):
                payments.append(
                    {
                        **_part(part_id, order_id, at),
                        "method": payment.method,
                        "amount_cents": payment.amount_cents,
                        "status": payment.status,
                    }
                )
        await self._found.add_parts(items, payments)


def _steps(row: OrderRow, order_id: UUID) -> list[Record]:
    # Sorted: the history is read in the order of its ids.
    ids = sorted(id_at(step.at) for step in row.steps)
    return [
        {**_part(step_id, order_id, step.at), "before": step.before, "after": step.after}
        for step_id, step in zip(ids, row.steps, strict=True)
    ]


def _moved(row: OrderRow, status: str) -> tuple[StatusStep, ...]:
    """The steps of the file that lead on from ``status``; one leap when it is not among them."""
    if row.status == status:
        return ()
    passed = [step.after for step in row.steps]
    if status in passed:
        return row.steps[passed.index(status) + 1 :]
    return (StatusStep(status, row.status, row.steps[-1].at),)


def _part(part_id: UUID, order_id: UUID, at: datetime) -> dict[str, object]:
    return {"id": part_id, "order_id": order_id, "at": at}


def _ids(at: datetime, count: int) -> list[UUID]:
    """Ids of one moment, in the order in which they are used."""
    return sorted(id_at(at) for _ in range(count))


def _facts(row: OrderRow) -> dict[str, object]:
    return {
        "status": row.status,
        "promised_at": row.promised_at,
        "subtotal_cents": row.subtotal_cents,
        "shipping_cents": row.shipping_cents,
    }


def _minutes(row: OrderRow) -> int:
    if row.promised_at is None:
        return 0
    return max(0, int((row.promised_at - row.placed_at).total_seconds()) // 60)


def _differs(order: _Resolved, stored: KnownOrder) -> bool:
    row = order.row
    items = [[str(product.id), cents, quantity] for product, cents, quantity in order.items]
    payments = [[p.method, p.amount_cents, p.status] for p in row.payments]
    return (
        (row.status, row.promised_at, row.shipping_cents, row.subtotal_cents)
        != (stored.status, stored.promised_at, stored.shipping_cents, stored.subtotal_cents)
        or sorted(map(repr, items)) != sorted(map(repr, stored.items))
        or sorted(map(repr, payments)) != sorted(map(repr, stored.payments))
    )
