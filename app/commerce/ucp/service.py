"""Checkouts of software agents: the storefront's own computation, and its own way to the order.

A session holds what an agent wants, and nothing of what that costs: each answer is computed anew
by ``CheckoutService.preview``, and completed by ``CheckoutService.place``, with the session as the
cart that becomes one order at most.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import orjson

from app.commerce.checkout.asked import Terms
from app.commerce.checkout.schemas import CartIn, CheckoutIn
from app.commerce.checkout.service import PlacedOrder
from app.commerce.orders.models import Order
from app.commerce.orders.tracking import tracking_token
from app.commerce.payments.service import PaymentService
from app.commerce.shipping.roads import Way, way_to
from app.commerce.ucp import protocol, refusals, shown
from app.commerce.ucp.asked import way_wanted
from app.commerce.ucp.models import CANCELED, COMPLETED, OPEN, UcpSession
from app.commerce.ucp.platforms import profile_of
from app.commerce.ucp.problems import InvalidProfileUrl, UcpSessionEnded, UcpSessionNotFound
from app.commerce.ucp.repository import SessionRepository
from app.commerce.ucp.schemas import UcpInstrument, UcpPayment, Wanted
from app.commerce.ucp.shop import Shop, UcpSettingsService
from app.commerce.ucp.viewing import Agent, View, Viewer
from app.commerce.ucp.words import error, info, warning, words
from app.core.clock import now
from app.core.language import preferred
from app.core.model import Json
from app.core.problems import Busy, Problem
from app.kernel.idempotency import Intent
from app.kernel.work import Caller, UnitOfWork

LIFE = timedelta(hours=6)
_TERMS = Terms("agent")
_INSTRUMENT = "$.payment.instruments[0]"
_GONE = "destination_unknown"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, and whether it is one given before."""

    status: int
    body: bytes
    is_old: bool = False


@dataclass(frozen=True, slots=True)
class Talk:
    """Who speaks with which shop, and what the session they speak of holds so far."""

    shop: Shop
    agent: Agent
    wanted: Wanted | None = None
    revision: int = 0


class Desk:
    """Answers agents; opens its Works itself, for profiles and ways are asked outside of them."""

    def __init__(self, works: Caller, agent: str | None, intent: Intent | None = None) -> None:
        """``agent`` is the ``UCP-Agent`` header as it came."""
        self.works, self.url, self.intent = works, protocol.profile_url(agent), intent

    async def create(self, wanted: Wanted) -> Told:
        """Begin a checkout.

        Raises UcpOff and what ``profile_of`` raises, as all of these do, and IdempotencyKeyReused.
        """
        return await self._say(None, wanted, lambda desk, _: desk.create(wanted))

    async def show(self, session_id: UUID) -> Told:
        """The checkout as it stands, or as it ended. Raises UcpSessionNotFound."""
        return await self._say(session_id, None, lambda desk, _: desk.show(session_id))

    async def update(self, session_id: UUID, wanted: Wanted) -> Told:
        """Replace what is wanted. Raises UcpSessionNotFound, UcpSessionEnded."""
        return await self._say(session_id, wanted, lambda desk, _: desk.update(session_id, wanted))

    async def complete(self, session_id: UUID, payment: UcpPayment) -> Told:
        """Place the order, once. Raises UcpSessionNotFound, UcpSessionEnded, Busy."""
        return await self._say(
            session_id, None, lambda desk, talk: desk.complete(session_id, payment, talk.revision)
        )

    async def cancel(self, session_id: UUID) -> Told:
        """End the checkout. Raises UcpSessionNotFound, UcpSessionEnded."""
        return await self._say(session_id, None, lambda desk, _: desk.cancel(session_id))

    async def _say(
        self,
        session_id: UUID | None,
        wanted: Wanted | None,
        act: Callable[[UcpService, Talk], Awaitable[tuple[int, Json]]],
    ) -> Told:
        talk = await begun(self.works, self.url, protocol.CHECKOUT, session_id)
        if not talk.agent.active:
            return incompatible(talk.shop)
        holds = wanted or talk.wanted
        way = await self._way(talk, holds) if holds is not None else None
        asked = holds.context.language if holds and holds.context else None
        async with speaking(self.works, talk, asked)() as work:
            given = await self.intent.answered(work) if self.intent else None
            if given is not None:
                return Told(given.status, given.body, is_old=True)
            status, body = await act(UcpService(work, talk.shop, talk.agent, way), talk)
            told = Told(status, orjson.dumps(body))
            if self.intent is not None:
                work.keep_answer(self.intent.answer(status, told.body))
        return told

    async def _way(self, talk: Talk, wanted: Wanted) -> Way | None:
        ends = way_wanted(wanted, talk.agent.active, talk.shop.store)
        return await way_to(self.works, *ends) if ends is not None else None


async def begun(works: Caller, url: str | None, root: str, session_id: UUID | None = None) -> Talk:
    """Whether there is anything to speak of, then who speaks, and what of ``root`` they know.

    Raises UcpOff, UcpSessionNotFound, and what ``profile_of`` raises.
    """
    kept, revision = None, 0
    async with works() as work:
        shop = await UcpSettingsService(work).shop()
        if session_id is not None:
            row = await SessionRepository(work.session).get(session_id)
            if url is not None and row.platform != url:
                raise UcpSessionNotFound()
            kept, revision = Wanted.model_validate(row.asked), row.revision
    if url is None:
        raise InvalidProfileUrl()
    profile = await profile_of(works.runtime, url, works.actor.ip or "")
    return Talk(shop, Agent(url, profile.active(root)), kept, revision)


def speaking(works: Caller, talk: Talk, asked: str | None) -> Caller:
    """In the language that was asked for, and under the platform's name."""
    actor = replace(works.actor, name=urlsplit(talk.agent.url).hostname or "agent")
    language = preferred(asked) if asked else None
    return replace(works, actor=replace(actor, language=language or actor.language))


def incompatible(shop: Shop) -> Told:
    """The answer to a platform that does not speak what it asks for."""
    told = words("negotiation", "en", version=protocol.VERSION)
    gone = error("capabilities_incompatible", "$", told, "unrecoverable")
    return Told(200, orjson.dumps(refusal(shop, [gone])))


class UcpService(Viewer):
    """What can be done with a session, within one Work."""

    def __init__(self, work: UnitOfWork, shop: Shop, agent: Agent, way: Way | None) -> None:
        super().__init__(work, shop, agent, way)
        self.sessions = SessionRepository(work.session)

    async def create(self, wanted: Wanted) -> tuple[int, Json]:
        """Begin a checkout; 200 and a refusal when nothing of it can be sold here."""
        kept, messages = await self._known(wanted)
        if kept is None:
            return 200, refusal(self.shop, messages)
        row = UcpSession(
            id=uuid4(),
            platform=self.agent.url,
            state=OPEN,
            asked=kept.model_dump(mode="json", exclude_none=True),
            revision=1,
            expires_at=now() + LIFE,
        )
        view = (await self.view(row, kept)).tell(*messages)
        row.told_cents = view.total_cents
        await self.sessions.add(row)
        return 201, view.body

    async def show(self, session_id: UUID) -> tuple[int, Json]:
        """The checkout as it stands now, or as it ended. Raises UcpSessionNotFound."""
        row = await self.sessions.get(session_id)
        if row.answer is not None:
            return 200, row.answer
        view = await self.view(row, _kept(row))
        if (order := await self.sessions.order_of(session_id)) is not None:
            return 200, await self._by_hand(session_id, view, order)
        if _is_open(row):
            return 200, view.body
        told = words("expired", self.language)
        return 200, _canceled(view, [info("session_expired", "$", told)])

    async def update(self, session_id: UUID, wanted: Wanted) -> tuple[int, Json]:
        """Replace what is wanted; what names nothing that exists changes nothing.

        Raises UcpSessionNotFound, UcpSessionEnded.
        """
        row = await self._open(session_id)
        kept, messages = await self._known(wanted)
        if kept is None:
            refused = [m | {"severity": "recoverable"} for m in messages]
            return await self._told(row, await self.view(row, _kept(row)), refused)
        view = await self.view(row, kept)
        if refused := [m for m in view.body["messages"] if m["code"] == _GONE]:
            return await self._told(row, await self.view(row, _kept(row)), refused)
        row.asked = kept.model_dump(mode="json", exclude_none=True)
        row.revision += 1
        return await self._told(row, view, messages)

    async def cancel(self, session_id: UUID) -> tuple[int, Json]:
        """End the checkout. Raises UcpSessionNotFound, UcpSessionEnded."""
        row = await self._open(session_id)
        row.answer, row.state = _canceled(await self.view(row, _kept(row)), []), CANCELED
        await self.sessions.flush()
        return 200, row.answer

    async def complete(
        self, session_id: UUID, payment: UcpPayment, revision: int
    ) -> tuple[int, Json]:
        """Place the order, or say why not. Raises UcpSessionNotFound, UcpSessionEnded, Busy."""
        row = await self._open(session_id)
        if row.revision != revision:
            raise Busy()  # the way was looked up for another address
        view = await self.view(row, _kept(row))
        instrument, messages = self._instrument(payment, view.methods)
        if instrument is None or view.body["status"] != "ready_for_complete" or view.cart is None:
            return await self._told(row, view, messages)
        order = self._order(row, view, view.cart, instrument)
        try:
            async with self.work.aside():
                placed = await self.checkout.place(order, self.way, _TERMS)
        except Problem as problem:
            fresh = await self.view(row, _kept(row))
            said = {m["code"] for m in fresh.body["messages"]}
            why = [m for m in refusals.told(problem, view.scene) if m["code"] not in said]
            return await self._told(row, fresh, why)
        row.answer = await self._completed(view, placed, instrument)
        row.state, row.order_id = COMPLETED, placed.id
        await self.sessions.flush()
        return 200, row.answer

    async def _known(self, wanted: Wanted) -> tuple[Wanted | None, list[Json]]:
        """What is wanted without what nobody sells here, and the words about that."""
        meant = await self.items.meant([line.item.id for line in wanted.line_items])
        strange = [w.item.id for w in wanted.line_items if w.item.id not in meant]
        lines = [line for line in wanted.line_items if line.item.id in meant]
        told = words("not_sold", self.language, names=", ".join(dict.fromkeys(strange)))
        if not lines:
            return None, [error("item_unavailable", "$.line_items", told, "unrecoverable")]
        taken: set[str] = set()
        for number, line in enumerate(lines, 1):
            if line.id is None or line.id in taken:
                line.id = f"li_{number}" if f"li_{number}" not in taken else uuid4().hex
            taken.add(line.id)
        kept = Wanted.model_validate(
            wanted.model_dump(include=set(Wanted.model_fields)) | {"line_items": lines}
        )
        return kept, [warning("item_unavailable", "$.line_items", told)] if strange else []

    def _instrument(
        self, payment: UcpPayment, methods: frozenset[str]
    ) -> tuple[UcpInstrument | None, list[Json]]:
        given = payment.instruments
        chosen = [i for i in given if i.selected] or (given if len(given) == 1 else [])
        if len(chosen) != 1:
            told = words("missing_payment", self.language)
            return None, [error("missing", "$.payment.instruments", told)]
        if protocol.method_of(chosen[0].handler_id, chosen[0].type, methods) is None:
            told = words("payment_refused", self.language)
            return None, [error("payment_method_not_accepted", _INSTRUMENT, told)]
        return chosen[0], []

    def _order(
        self, row: UcpSession, view: View, cart: CartIn, instrument: UcpInstrument
    ) -> CheckoutIn:
        """The order at the total that the agent was shown, without codes known to be in vain."""
        asked, draft = view.asked, view.draft
        vain = {c["code"] for c in draft.refused_coupons()} if draft else set()
        change = instrument.credential.change_for if instrument.credential else None
        return CheckoutIn.model_validate(
            cart.model_dump(mode="json")
            | {
                "customer": {"name": asked.name, "phone": asked.phone, "email": asked.email},
                "payment": {"method": instrument.type, "change_for_cents": change},
                "coupons": [c for c in cart.coupons if refusals.normalised(c) not in vain],
                "expected_total_cents": row.told_cents,
                "cart_id": str(row.id),
            }
        )

    async def _completed(self, view: View, placed: PlacedOrder, instrument: UcpInstrument) -> Json:
        """The checkout as it ended, with the order and, by Pix, what is to be paid."""
        priced = shown.Priced(placed.draft, dict(enumerate(placed.draft.lines)))
        lines = shown.lines(view.asked.wanted.line_items, view.things, priced)
        body = _without_page(view) | {
            "line_items": lines,
            "totals": shown.totals(lines, priced),
            **self._placed(placed.id, placed.number, placed.token),
        }
        if "discounts" in body:
            body["discounts"] = shown.discounts(view.asked.codes, priced)
        paid: Json = instrument.model_dump(include={"id", "handler_id", "type"})
        page = await PaymentService(self.work).shown(placed.id)
        if page is not None and page.pix is not None:
            code = page.pix.copy_paste
            paid["display"] = {"br_code": code, "amount": page.amount_cents}
            if page.expires_at is not None:
                paid["display"]["expires_at"] = shown.instant(page.expires_at)
            told = words("pix", self.language, code=code)
            body["messages"] = [*body["messages"], info("pix_code", _INSTRUMENT, told)]
        return body | {"payment": {"instruments": [paid | {"selected": True}]}}

    async def _by_hand(self, session_id: UUID, view: View, order: Order) -> Json:
        """The buyer went on at ``continue_url`` and ordered there: so the checkout ended."""
        row = await self.sessions.get(session_id, lock=True)
        if row.answer is None:
            token = tracking_token(self.work.runtime.tracking, order.id)
            body = _without_page(view) | shown.ordered(order) | {"messages": []}
            for extension in ("fulfillment", "discounts"):
                body.pop(extension, None)  # what was asked of us, not what was ordered
            row.answer = body | self._placed(order.id, order.number, token)
            row.state, row.order_id = COMPLETED, order.id
            await self.sessions.flush()
        return row.answer

    def _placed(self, order_id: UUID, number: int, token: str) -> Json:
        page = self.shop.page(order=order_id, token=token)
        order = {"id": str(order_id), "label": f"#{number}", "permalink_url": page}
        return {"status": "completed", "order": order}

    async def _told(
        self, row: UcpSession, view: View, messages: Sequence[Json]
    ) -> tuple[int, Json]:
        """Answer an open checkout, and remember the total that the agent sees with it."""
        row.told_cents = view.tell(*messages).total_cents
        await self.sessions.flush()
        return 200, view.body

    async def _open(self, session_id: UUID) -> UcpSession:
        row = await self.sessions.get(session_id, lock=True)
        require_open(row, await self.sessions.order_of(session_id))
        return row


def refusal(shop: Shop, messages: list[Json]) -> Json:
    """An answer without a checkout."""
    return {
        "ucp": {"version": protocol.VERSION, "status": "error", "capabilities": {}},
        "messages": messages,
        "continue_url": shop.storefront_url,
    }


def require_open(row: UcpSession, order: Order | None) -> None:
    """Raises UcpSessionEnded for what can no longer be changed."""
    if not _is_open(row) or order is not None:
        raise UcpSessionEnded()


def _kept(row: UcpSession) -> Wanted:
    return Wanted.model_validate(row.asked)


def _is_open(row: UcpSession) -> bool:
    return row.state == OPEN and row.expires_at > now()


def _canceled(view: View, messages: list[Json]) -> Json:
    return _without_page(view) | {"status": "canceled", "messages": messages}


def _without_page(view: View) -> Json:
    """An end needs no page to go on at."""
    return {name: part for name, part in view.body.items() if name != "continue_url"}
