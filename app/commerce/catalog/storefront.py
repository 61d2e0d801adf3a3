"""What the storefront asks beyond the menu that is kept ready."""

from __future__ import annotations

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
        parts = await self.menu.parts(found["id"], ids.items)
        at, timezone = now(), found["timezone"]
        moment = Moment(timezone, at, await self.tags.at(found["id"], timezone, at))
        bodies = dict(product_documents(parts, set(), moment))
        # The menu's own order is another; one that left the shelf just now is left out.
        items = [orjson.Fragment(bodies[i]) for i in map(str, ids.items) if i in bodies]
        cursor = str(ids.next_cursor) if ids.next_cursor else None
        return orjson.dumps({"items": items, "next_cursor": cursor})
