"""What this process remembers of every store's prices, as long as Postgres agrees.

A remembered price is never believed: the statement that writes an order compares the version
(``models.PriceVersion``) and writes nothing when it moved. So the memory may be lost or old at
any moment; all that costs is a checkout that goes the long way and refills it.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from app.commerce.checkout.basis import Basis, PriceBook
from app.kernel.work import Runtime

MAX_PRODUCTS = 20_000
"""Of all stores together: some 20 MB. Beyond it everything is forgotten and asked again."""
PREFETCH = 500
"""So many products of a store come along when it is read for the first time."""


class PriceBooks:
    """The books of one process, by tenant and store; get it with ``price_books``."""

    def __init__(self) -> None:
        self._books: dict[tuple[UUID, str], PriceBook] = {}
        self._size = 0
        self.at_once = 0
        """How many orders were placed by what was remembered, since the start."""

    def book(self, tenant_id: UUID, store: str) -> PriceBook | None:
        """What is remembered of a store."""
        return self._books.get((tenant_id, store))

    def learn(
        self, tenant_id: UUID, store: str, basis: Basis, codes: Iterable[str], area: str | None
    ) -> None:
        """Remember what was just read; what an older version said is forgotten."""
        if basis.store is None:
            return
        key = (tenant_id, store)
        book = self._books.get(key)
        if book is None or book.version < basis.version:
            self._forget(key)
            book = self._books[key] = PriceBook(basis.version, basis.store)
        if book.version != basis.version:
            return
        before = len(book.products)
        book.learn(basis, codes, area)
        self._size += len(book.products) - before
        if self._size > MAX_PRODUCTS:
            self._books.clear()
            self._size = 0

    def _forget(self, key: tuple[UUID, str]) -> None:
        book = self._books.pop(key, None)
        if book is not None:
            self._size -= len(book.products)


def price_books(runtime: Runtime) -> PriceBooks:
    """The books of this process."""
    books: PriceBooks = runtime.caches.setdefault("checkout", PriceBooks())
    return books
