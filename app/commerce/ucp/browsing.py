"""The catalogue for agents: the storefront's own search, and things by their identifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from app.commerce.catalog.menu_schemas import MenuProduct
from app.commerce.catalog.storefront import MenuService
from app.commerce.stores.problems import StoreNotFound
from app.commerce.ucp import protocol
from app.commerce.ucp.goods import Shelf, featured, product
from app.commerce.ucp.problems import RequestTooLarge
from app.commerce.ucp.repository import ItemRepository, Meant
from app.commerce.ucp.schemas import (
    UcpContext,
    UcpFilters,
    UcpLookupIn,
    UcpProductIn,
    UcpSearchIn,
)
from app.commerce.ucp.service import Talk, Told, begun, incompatible, refusal, speaking
from app.commerce.ucp.words import error, info, warning, words
from app.core.model import Json
from app.core.pagination import PageRead, PageRequest
from app.kernel.work import Caller, UnitOfWork

MOST_IDS, MOST_ITEMS = 50, 50
_PAGE = TypeAdapter(PageRead[MenuProduct])


class Browsing:
    """Answers agents that look around; ``origin`` is where media are served."""

    def __init__(self, works: Caller, agent: str | None, origin: str) -> None:
        self.works, self.url, self.origin = works, protocol.profile_url(agent), origin

    async def search(self, asked: UcpSearchIn) -> Told:
        """What a store sells, the best match first. Raises UcpOff and what ``begun`` raises."""
        talk = await begun(self.works, self.url, protocol.SEARCH)
        if not talk.agent.active:
            return incompatible(talk.shop)
        async with self._work(talk, asked.context)() as work:
            shelf, messages = self._shelf(work, asked.context, asked.filters)
            pages, categories = asked.pagination, asked.filters.categories if asked.filters else []
            page = PageRequest(
                min(pages.limit, MOST_ITEMS) if pages else 10, pages.cursor if pages else None
            )
            query, category = asked.query or "", categories[0] if categories else ""
            menu, store = MenuService(work), _store(asked.context, talk)
            try:
                found = await menu.search(store, query, category, page)
            except StoreNotFound:
                found = await menu.search(talk.shop.store, query, category, page)
        sold = _PAGE.validate_json(found)
        pages_left: Json = {"has_next_page": sold.next_cursor is not None}
        if sold.next_cursor is not None:
            pages_left["cursor"] = str(sold.next_cursor)
        shown = [p for p in (product(item, shelf) for item in sold.items) if p is not None]
        return _products(talk, shown, messages, pagination=pages_left)

    async def lookup(self, asked: UcpLookupIn) -> Told:
        """Products by identifiers of theirs or of their variants, each with the variants meant.

        Raises RequestTooLarge, UcpOff and what ``begun`` raises.
        """
        if len(asked.ids) > MOST_IDS:
            raise RequestTooLarge()
        talk = await begun(self.works, self.url, protocol.LOOKUP)
        if not talk.agent.active:
            return incompatible(talk.shop)
        async with self._work(talk, asked.context)() as work:
            shelf, messages = self._shelf(work, asked.context, asked.filters)
            meant, sold = await self._meant(work, talk, asked.context, asked.ids)
            language = work.language
        inputs: dict[str, list[Json]] = {}
        for name, thing in meant.items():
            item = sold.get(thing.product_id)
            if item is not None:
                is_whole = thing.variant_id is None and bool(item.variants)
                variant = str(thing.variant_id) if thing.variant_id else featured(item)
                match = "featured" if is_whole else "exact"
                inputs.setdefault(variant, []).append({"id": name, "match": match})
        known = {one["id"] for found in inputs.values() for one in found}
        messages += [
            info("not_found", "$.products", words("not_found", language, id=name))
            for name in dict.fromkeys(asked.ids)
            if name not in known
        ]
        shown = []
        for item in sold.values():
            body = product(item, shelf, inputs.__contains__)
            if body is not None:
                for variant_body in body["variants"]:
                    variant_body["inputs"] = inputs[variant_body["id"]]
                shown.append(body)
        return _products(talk, shown, messages)

    async def product(self, asked: UcpProductIn) -> Told:
        """One product with everything that can be bought of it; 200 and a refusal if there is none.

        Raises UcpOff and what ``begun`` raises.
        """
        talk = await begun(self.works, self.url, protocol.LOOKUP)
        if not talk.agent.active:
            return incompatible(talk.shop)
        async with self._work(talk, asked.context)() as work:
            shelf, _ = self._shelf(work, asked.context, None)
            meant, sold = await self._meant(work, talk, asked.context, [asked.id])
            language = work.language
        thing = meant.get(asked.id)
        item = sold.get(thing.product_id) if thing else None
        body = product(item, shelf) if item is not None else None
        if thing is None or item is None or body is None:
            told = words("not_found", language, id=asked.id)
            gone = error("not_found", "$.id", told, "unrecoverable")
            return Told(200, orjson.dumps(refusal(talk.shop, [gone])))
        first = str(thing.variant_id) if thing.variant_id else featured(item)
        body["variants"].sort(key=lambda v: v["id"] != first)
        return Told(
            200, orjson.dumps({"ucp": protocol.envelope(talk.agent.active), "product": body})
        )

    def _work(self, talk: Talk, context: UcpContext | None) -> Caller:
        return speaking(self.works, talk, context.language if context else None)

    def _shelf(
        self, work: UnitOfWork, context: UcpContext | None, filters: UcpFilters | None
    ) -> tuple[Shelf, list[Json]]:
        """The prices asked for, where it is said in which money."""
        currency, asked = work.tenant.currency, filters.price if filters else None
        shelf = Shelf(currency, self.origin)
        if asked is None:
            return shelf, []
        if context is not None and context.currency == currency:
            return replace(shelf, least=asked.min, most=asked.max), []
        told = words("price_currency", work.language, currency=currency)
        return shelf, [warning("price_filter_ignored", "$", told)]

    async def _meant(
        self, work: UnitOfWork, talk: Talk, context: UcpContext | None, names: Sequence[str]
    ) -> tuple[dict[str, Meant], dict[UUID, MenuProduct]]:
        """What the identifiers stand for, and what the store sells of it."""
        found = await ItemRepository(work.session).meant(names)
        meant = {name: found[name] for name in dict.fromkeys(names) if name in found}
        ids = list(dict.fromkeys(thing.product_id for thing in meant.values()))
        menu = MenuService(work)
        try:
            body = await menu.named(_store(context, talk), ids)
        except StoreNotFound:
            body = await menu.named(talk.shop.store, ids)
        return meant, {item.id: item for item in _PAGE.validate_json(body).items}


def _store(context: UcpContext | None, talk: Talk) -> str:
    return (context.location if context else None) or talk.shop.store


def _products(talk: Talk, shown: list[Json], messages: list[Json], **more: Json) -> Told:
    body = {"ucp": protocol.envelope(talk.agent.active), "products": shown, "messages": messages}
    return Told(200, orjson.dumps(body | more))
