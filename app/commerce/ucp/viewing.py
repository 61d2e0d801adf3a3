"""A checkout as it stands at this moment: read, priced by the checkout's rules, and shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from app.commerce.checkout.draft import Draft
from app.commerce.checkout.problems import ItemsUnavailable
from app.commerce.checkout.schemas import CartIn
from app.commerce.checkout.service import CheckoutService
from app.commerce.checkout.trial import TrialService
from app.commerce.orders.rules import FulfilmentType
from app.commerce.shipping.roads import Way
from app.commerce.stores.service import StoreService
from app.commerce.ucp import protocol, refusals, shown
from app.commerce.ucp.asked import METHOD, OPTION, Asked, read
from app.commerce.ucp.models import UcpSession
from app.commerce.ucp.repository import ItemRepository, Meant
from app.commerce.ucp.schemas import Wanted
from app.commerce.ucp.shop import STORES, Shop, payable
from app.commerce.ucp.words import BY_HAND, error, status_of, words
from app.core.language import Language
from app.core.model import Json
from app.core.problems import Problem
from app.kernel.work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Agent:
    """Who asks: the platform's profile, and the capabilities both speak."""

    url: str
    active: frozenset[str]


@dataclass(slots=True)
class View:
    """A checkout as it stands."""

    body: Json
    cart: CartIn | None
    """None: it cannot be ordered like this."""
    draft: Draft | None
    asked: Asked
    methods: frozenset[str]
    things: list[shown.Thing]
    scene: refusals.Scene

    @property
    def total_cents(self) -> int:
        return int(next(t["amount"] for t in self.body["totals"] if t["type"] == "total"))

    def is_ready(self) -> bool:
        return bool(self.body["status"] == "ready_for_complete" and self.cart is not None)

    def tell(self, *messages: Json) -> View:
        """The same with more to say."""
        self.body["messages"] = [*messages, *self.body["messages"]]
        self.body["status"] = status_of(self.body["messages"])
        return self


class Viewer:
    def __init__(self, work: UnitOfWork, shop: Shop, agent: Agent, way: Way | None) -> None:
        self.work, self.shop, self.agent, self.way = work, shop, agent, way
        self.items = ItemRepository(work.session)
        self.checkout = CheckoutService(work)

    @property
    def language(self) -> Language:
        return self.work.language

    async def view(self, row: UcpSession, wanted: Wanted) -> View:
        """What this would be as an order at this moment."""
        meant = await self.items.meant([line.item.id for line in wanted.line_items])
        page = await StoreService(self.work).storefront_page(STORES)
        stores = {store.slug: store for store in page.items}
        asked = read(wanted, self.agent.active, stores, self.shop.store, self.language)
        store = stores.get(asked.store)
        found = [meant.get(line.item.id) or _gone(line.item.id) for line in wanted.line_items]
        things = [shown.Thing(m.name, m.price_cents) for m in found]
        scene = refusals.Scene(
            self.language,
            store.timezone if store else self.work.tenant.timezone,
            self.shop.currency,
            [refusals.Line(m.name, _counted(m)) for m in found],
            asked.at,
        )
        cart, priced = await self._priced(asked, found, scene)
        methods = await payable(self.work, shown.accepted(store, asked.channel))
        if store is not None and not methods:
            told = words("no_payment", self.language)
            asked.messages.append(error("payment_unavailable", "$.payment", told, BY_HAND))
        if protocol.FULFILLMENT in self.agent.active:
            ways = shown.fulfillment(asked, store, stores.values(), priced, self.language)
            asked.messages += _unchosen(ways, self.language)
        else:
            ways = None
        body = self._body(row, asked, priced, methods, things, ways)
        return View(body, cart, priced.draft, asked, methods, things, scene)

    async def _priced(
        self, asked: Asked, found: Sequence[Meant], scene: refusals.Scene
    ) -> tuple[CartIn | None, shown.Priced]:
        """The order's price by the checkout's own rules, else the best guess at it."""
        fields = _cart(asked, found)
        if asked.channel is not None and (
            asked.channel is FulfilmentType.PICKUP or asked.address is not None
        ):
            cart = CartIn.model_validate(fields)
            try:
                draft = await self.checkout.preview(cart, self.way)
            except Problem as problem:
                asked.messages += refusals.told(problem, scene)
            else:
                asked.messages += refusals.refused_codes(draft.refused_coupons(), asked.codes)
                return cart, shown.Priced(draft, dict(enumerate(draft.lines)))
            if (guess := await self._guess(fields)).draft is not None:
                return None, guess
        picked = {"fulfilment": "pickup", "address": None, "scheduled_for": None}
        return None, await self._guess(fields | picked)

    async def _guess(self, fields: dict[str, Any]) -> shown.Priced:
        """The price without opening hours, stock and minimum, of the lines that have one."""
        keep = list(range(len(fields["items"])))
        for _ in range(2):
            cart = fields | {"items": [fields["items"][n] for n in keep]}
            try:
                draft = await TrialService(self.work).tried(CartIn.model_validate(cart), self.way)
            except ItemsUnavailable as refused:
                wrong = {int(line["index"]) for line in refused.extra["lines"]}
                keep = [n for at, n in enumerate(keep) if at not in wrong]
                if keep:
                    continue
            except Problem:
                pass
            else:
                return shown.Priced(draft, dict(zip(keep, draft.lines, strict=True)))
            break
        return shown.Priced()

    def _body(
        self,
        row: UcpSession,
        asked: Asked,
        priced: shown.Priced,
        methods: frozenset[str],
        things: Sequence[shown.Thing],
        ways: Json | None,
    ) -> Json:
        active = self.agent.active
        lines = shown.lines(asked.wanted.line_items, things, priced)
        body: Json = {
            "ucp": protocol.envelope(active) | {"payment_handlers": protocol.handlers(methods)},
            "id": str(row.id),
            "line_items": lines,
            "currency": self.shop.currency,
            "totals": shown.totals(lines, priced),
            "links": [{"type": kind, "url": url} for kind, url in self.shop.links],
            "expires_at": shown.instant(row.expires_at),
            "continue_url": self.shop.page(ucp_session=row.id),
        }
        if asked.wanted.buyer is not None:
            body["buyer"] = asked.wanted.buyer.model_dump(exclude_none=True)
        if ways is not None:
            body["fulfillment"] = ways
        if protocol.DISCOUNT in active:
            body["discounts"] = shown.discounts(asked.codes, priced)
        body |= {"messages": asked.messages, "status": status_of(asked.messages)}
        return body


def _gone(name: str) -> Meant:
    """Of a session that is older than its item's end: a thing that nobody can order."""
    return Meant(uuid4(), None, name, 0)


def _counted(meant: Meant) -> frozenset[str]:
    return frozenset(str(i) for i in (meant.product_id, meant.variant_id) if i is not None)


def _cart(asked: Asked, found: Sequence[Meant]) -> dict[str, Any]:
    """The cart as the checkout takes it."""
    return {
        "store": asked.store,
        "fulfilment": asked.channel or FulfilmentType.PICKUP,
        "address": asked.address,
        "scheduled_for": asked.scheduled_for,
        "items": [
            {
                "product_id": str(m.product_id),
                "variant_id": str(m.variant_id) if m.variant_id else None,
                "quantity": line.quantity,
            }
            for line, m in zip(asked.wanted.line_items, found, strict=True)
        ],
        "coupons": asked.codes,
        "customer_phone": asked.phone,
    }


def _unchosen(fulfillment: Json, language: Language) -> list[Json]:
    """What is still to be chosen of what is offered."""
    for method in fulfillment["methods"]:
        if method["type"] == "pickup" and method["selected_destination_id"] is None:
            told = words("missing_store", language)
            return [error("missing", f"{METHOD}.selected_destination_id", told)]
        for group in method.get("groups", ()):
            if group["options"] and group["selected_option_id"] is None:
                told = words("missing_option", language)
                return [error("missing", OPTION, told)]
    return []
