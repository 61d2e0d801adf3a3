"""What the storefront asks beyond the menu that is kept ready."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import orjson

from app.commerce.catalog.menu import MenuRepository
from app.commerce.catalog.rendering import Moment, product_documents
from app.commerce.catalog.rules import search_words
from app.commerce.stores.problems import StoreNotFound
from app.contracts.prices import PriceTags
from app.core.clock import now
from app.core.pagination import PageRequest
from app.kernel.work import Work


class MenuService:
    """The search of the storefront."""

    def __init__(self, work: Work) -> None:
        self.menu = MenuRepository(work.session)
        self.tags = work.port(PriceTags)

    async def search(self, store: str, query: str, category: str, page: PageRequest) -> bytes:
        """What the store sells, by words (best first) and category (slug or id): the JSON of a
        PageRead[MenuProduct], as it is sent. Raises StoreNotFound.
        """
        found = await self.menu.store(store)
        if found is None:
            raise StoreNotFound()
        ids = await self.menu.search(found["id"], search_words(query), category, page)
        items = await self._items(found["id"], found["timezone"], ids.items)
        cursor = str(ids.next_cursor) if ids.next_cursor else None
        return orjson.dumps({"items": items, "next_cursor": cursor})

    async def named(self, store: str, ids: Sequence[UUID]) -> bytes:
        """Of these products what the store sells, as ``search`` shows them and without a next
        page. Raises StoreNotFound."""
        found = await self.menu.store(store)
        if found is None:
            raise StoreNotFound()
        items = await self._items(found["id"], found["timezone"], ids)
        return orjson.dumps({"items": items, "next_cursor": None})

    async def _items(
        self, store_id: UUID, timezone: str, ids: Sequence[UUID]
    ) -> list[orjson.Fragment]:
        parts, at = await self.menu.parts(store_id, ids), now()
        moment = Moment(timezone, at, await self.tags.at(store_id, timezone, at))
        bodies = dict(product_documents(parts, set(), moment))
        # The menu's own order is another; one that left the shelf just now is left out.
        return [orjson.Fragment(bodies[i]) for i in map(str, ids) if i in bodies]
