"""Imports of products, customers and orders, one batch of rows a Work, matched by their key.

The caller reads a file with ``core.tabular`` and ``rules``, then gives its rows to
``run_batches``: each batch commits by itself, so an import that was cut short continues when it
is run again, and a row that Postgres refuses falls out alone. No batch tells ``OrderPlaced`` or
``OrderStatusChanged``: nobody wants a WhatsApp message about an order of last year.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from asyncpg import DataError, IntegrityConstraintViolationError, PostgresError

from app.commerce.imports.order_batch import OrderBatch
from app.commerce.imports.problems import ImportStoreNotFound, ImportStoreUnclear
from app.commerce.imports.repository import ImportRepository, KnownContact, Record
from app.commerce.imports.rules import readable, slug_of, slug_with_key
from app.commerce.imports.schemas import (
    BatchResult,
    CustomerRow,
    Failure,
    OrderRow,
    ProductRow,
    R,
    StoreRef,
)
from app.contracts.commerce import CatalogChanged
from app.core.ids import new_id
from app.kernel.work import Work, WorkFactory

_NO_CATEGORY = "Sem categoria"
_UNPRICED = "no price known: added switched off, at 0.00"


class ImportService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.found = ImportRepository(work.session)

    async def store(self, slug: str | None) -> StoreRef:
        """The store of this slug, or the only one.

        Raises ImportStoreNotFound, ImportStoreUnclear.
        """
        stores = [StoreRef(*row) for row in await self.found.stores()]
        slugs = ", ".join(store.slug for store in stores) or "none"
        named = [store for store in stores if slug is None or store.slug == slug]
        if not named:
            raise ImportStoreNotFound(f"Its stores: {slugs}.")
        if len(named) > 1:
            raise ImportStoreUnclear(f"Its stores: {slugs}.")
        return named[0]

    async def products(self, rows: Sequence[ProductRow], store: StoreRef | None) -> BatchResult:
        """Add or change products. With a store, prices are that store's own."""
        known = await self.found.products([row.key for row in rows])
        fresh = [row for row in rows if row.key not in known]
        categories = await self._categories(rows)
        await self.found.add_products(await self._new_products(fresh, categories))
        changed = await self.found.change_products(
            [_change(row, categories, store) for row in rows if row.key in known]
        )
        if store is not None:
            changed |= await self._store_prices(rows, store) - {row.key for row in fresh}
        result = BatchResult(len(fresh), len(changed), len(rows) - len(fresh) - len(changed))
        result.notes[_UNPRICED] += sum(row.price_cents is None for row in fresh)
        if fresh or changed:
            await self._tell_catalog(rows[0], len(fresh) + len(changed))
        self._record("products", result)
        return result

    async def _categories(self, rows: Sequence[ProductRow]) -> dict[str, UUID]:
        names = {slug_of(row.category or _NO_CATEGORY): row.category for row in rows}
        return await self.found.add_categories(
            [
                {"id": new_id(), "name": name or _NO_CATEGORY, "slug": slug}
                for slug, name in names.items()
            ]
        )

    async def _new_products(
        self, rows: Sequence[ProductRow], categories: Mapping[str, UUID]
    ) -> list[Record]:
        names = {row.key: row.name or f"{row.category or 'Produto'} {row.key[:8]}" for row in rows}
        taken = await self.found.slugs_taken([slug_of(name) for name in names.values()])
        found: list[Record] = []
        for row in rows:
            name = names[row.key]
            slug = slug_of(name)
            if slug in taken:
                slug = slug_with_key(name, row.key)
            taken.add(slug)
            found.append(
                {
                    **_facts(row),
                    "id": new_id(),
                    "category_id": categories[slug_of(row.category or _NO_CATEGORY)],
                    "name": name,
                    "slug": slug,
                }
            )
        return found

    async def _store_prices(self, rows: Sequence[ProductRow], store: StoreRef) -> set[str]:
        known = await self.found.products([row.key for row in rows])
        keys = {known[row.key].id: row.key for row in rows}
        changed = await self.found.set_store_prices(
            store.id,
            [
                {"id": new_id(), "product_id": known[row.key].id, "price_cents": row.price_cents}
                for row in rows
                if row.price_cents is not None
            ],
        )
        return {keys[product_id] for product_id in changed}

    async def _tell_catalog(self, row: ProductRow, count: int) -> None:
        product = (await self.found.products([row.key]))[row.key]
        self.work.publish(
            CatalogChanged(
                kind="product",
                change="updated",
                item_id=product.id,
                item_name=f"{product.name} (+{count - 1})" if count > 1 else product.name,
            )
        )
        self.work.ring("catalog")

    async def customers(self, rows: Sequence[CustomerRow]) -> BatchResult:
        """Add or change customers by key; one known by its phone alone receives the key."""
        contacts, result = await self._match(rows)
        by_key: dict[str, CustomerRow] = {}
        for row in rows:
            if row.key in contacts:
                by_key.setdefault(row.key, row)
        fresh = {row.key for row in by_key.values() if contacts[row.key] is None}
        ids = {
            key: known.id if (known := contacts[key]) is not None else new_id() for key in by_key
        }
        await self.found.add_contacts([_contact(by_key[key], ids[key]) for key in fresh])
        written = await self.found.change_contacts(
            [_change_contact(row, ids[key]) for key, row in by_key.items() if key not in fresh]
        )
        changed = {key for key in by_key if ids[key] in written}
        moved = await self._addresses([row for row in rows if row.key in by_key], ids)
        for row in rows:
            if row.key not in by_key:
                continue
            if row is by_key[row.key] and row.key in fresh:
                result.created += 1
            elif row.line in moved or (row is by_key[row.key] and row.key in changed):
                result.updated += 1
            else:
                result.unchanged += 1
        self._record("customers", result)
        return result

    async def _match(
        self, rows: Sequence[CustomerRow]
    ) -> tuple[dict[str, KnownContact | None], BatchResult]:
        """Each key's contact (None: to be added); rows whose phone is another's fail."""
        phones = [row.phone for row in rows if row.phone is not None]
        known = await self.found.contacts([row.key for row in rows], phones)
        by_key = {contact.key: contact for contact in known}
        by_phone = {contact.phone: contact for contact in known if contact.phone}
        owners: dict[str, str] = {}
        matched: dict[str, KnownContact | None] = {}
        result = BatchResult()
        for row in rows:
            contact = by_key.get(row.key)
            holder = by_phone.get(row.phone) if row.phone else None
            if contact is None and holder is not None and holder.key is None:
                contact = holder
            other = owners.setdefault(row.phone, row.key) if row.phone else row.key
            if (holder is not None and holder is not contact) or other != row.key:
                reason = f"the phone {row.phone} is another customer's"
                result.failures.append(Failure(row.line, row.key, reason))
                continue
            matched[row.key] = contact
        return matched, result

    async def _addresses(self, rows: Sequence[CustomerRow], ids: Mapping[str, UUID]) -> set[int]:
        """Add the rows' addresses; the lines whose address was new."""
        lines: dict[UUID, int] = {}
        records: list[Record] = []
        seen: set[tuple[str, str]] = set()
        for row in rows:
            if row.address is None or (row.key, repr(row.address)) in seen:
                continue
            seen.add((row.key, repr(row.address)))
            row_id = new_id()
            lines[row_id] = row.line
            records.append(
                {
                    "id": row_id,
                    "contact_id": ids[row.key],
                    "postal_code": row.address.postal_code,
                    "address": row.address.address,
                }
            )
        return {lines[row_id] for row_id in await self.found.add_addresses(records)}

    async def orders(
        self, rows: Sequence[OrderRow], store: StoreRef, customers: Mapping[str, CustomerRow]
    ) -> BatchResult:
        """Add or change orders, each with its lines, payments, delivery and history.

        ``customers`` by any of their keys: those not stored yet are added with their order.
        """
        wanted = {row.customer_key for row in rows}
        known = await self.found.contacts(
            [*wanted, *(found.key for key in wanted if (found := customers.get(key)))], []
        )
        stored = {contact.key for contact in known}
        missing = {
            customers[key].key: customers[key]
            for key in wanted
            if key in customers and not {key, customers[key].key} & stored
        }
        if missing:
            await self.customers(list(missing.values()))
        result = await OrderBatch(self.found, rows, store, customers).apply()
        self._record("orders", result)
        return result

    def _record(self, what: str, result: BatchResult) -> None:
        if result.created or result.updated:
            self.work.record(
                f"imports.{what}", "import", None, created=result.created, updated=result.updated
            )


class _DryRun(Exception):
    """Leaves a Work without committing it."""


def _facts(row: ProductRow) -> dict[str, object]:
    return {
        "ref": row.key,
        "description": row.description,
        "sku": row.sku,
        "price_cents": row.price_cents,
        "attributes": row.attributes,
    }


def _change(row: ProductRow, categories: Mapping[str, UUID], store: StoreRef | None) -> Record:
    category_id = categories[slug_of(row.category)] if row.category else None
    facts = {**_facts(row), "name": row.name, "category_id": category_id}
    return facts if store is None else {**facts, "price_cents": None}


def _contact(row: CustomerRow, contact_id: UUID) -> Record:
    # Exports without names: the first letters of the key tell such customers apart.
    name = readable(row.name) if row.name else f"Cliente {row.key[:8]}"
    return {**_change_contact(row, contact_id), "name": name}


def _change_contact(row: CustomerRow, contact_id: UUID) -> Record:
    return {
        "id": contact_id,
        "ref": row.key,
        "name": row.name and readable(row.name),
        "phone": row.phone,
        "email": row.email,
    }


Apply = Callable[[ImportService, Sequence[R]], Awaitable[BatchResult]]


async def run_batches(
    works: WorkFactory,
    rows: Sequence[R],
    apply: Apply[R],
    *,
    size: int,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> BatchResult:
    """Apply ``rows`` in batches of ``size``, each in a Work of its own; ``progress`` per batch.

    A dry run does all the work of each batch and rolls it back.
    """
    total = BatchResult()
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        result = await _apply(works, batch, apply, dry_run)
        if result.total != len(batch):
            raise AssertionError(f"{len(batch)} rows were given and {result.total} accounted for")
        total.add(result)
        progress(len(batch))
    return total


async def _apply(
    works: WorkFactory, rows: Sequence[R], apply: Apply[R], dry_run: bool
) -> BatchResult:
    result = BatchResult()
    try:
        async with works() as work:
            result = await apply(ImportService(work), rows)
            if dry_run:
                raise _DryRun
    except _DryRun:
        return result
    except (IntegrityConstraintViolationError, DataError) as error:
        if len(rows) == 1:
            return BatchResult(failures=[Failure(rows[0].line, rows[0].key, _said(error))])
        # Halves, until the row that Postgres refuses stands alone.
        middle = len(rows) // 2
        result = await _apply(works, rows[:middle], apply, dry_run)
        result.add(await _apply(works, rows[middle:], apply, dry_run))
    return result


def _said(error: PostgresError) -> str:
    return f"refused by the database: {str(error).splitlines()[0]}"
