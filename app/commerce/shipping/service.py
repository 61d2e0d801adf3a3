"""What a delivery costs: quotes that the checkout honours, and the rules behind them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.commerce.shipping import rules as pricing
from app.commerce.shipping.listing import is_same, near_before_far, place_for
from app.commerce.shipping.models import PostalArea, ShippingRule
from app.commerce.shipping.problems import (
    DeliveryClosed,
    OutOfDeliveryArea,
    QuoteExpired,
    QuoteInvalid,
    TooManyShippingRules,
)
from app.commerce.shipping.repository import ShippingRepository
from app.commerce.shipping.roads import Way, way_to
from app.commerce.shipping.rules import OutOfArea, Quote, ShippingKind
from app.commerce.shipping.schemas import (
    MAX_RULES,
    AreaRead,
    QuoteRead,
    QuoteRequest,
    RuleCreate,
    RuleList,
    RuleRead,
    RuleUpdate,
    SimulatedRule,
    SimulationRead,
    SimulationRequest,
    contradiction,
)
from app.commerce.stores.models import Store
from app.commerce.stores.rules import Channel
from app.commerce.stores.service import StoreService
from app.core.clock import now
from app.core.crypto import SignatureInvalid, Signer
from app.core.model import Json
from app.core.problems import Invalid, TooMany
from app.core.ratelimit import Limit
from app.kernel.work import Caller, Work

QUOTE_LIFE = timedelta(minutes=30)
_QUOTES = Limit("shipping-quote", 30, 60)


@dataclass(frozen=True, slots=True)
class SignedQuote:
    """What a customer was promised until ``expires_at``; ``minutes`` include preparation."""

    store_id: UUID
    postal_code: str
    district: str | None
    subtotal_cents: int
    fee_cents: int
    rule_fee_cents: int
    """Of the rule itself, before the store's free delivery."""
    free_above_cents: int | None
    minutes: int
    distance_meters: int | None
    rule_id: UUID
    expires_at: datetime

    def covers(self, store_id: UUID, postal_code: str, district: str | None) -> bool:
        """Whether it was made for this store and this address (CEP as eight digits)."""
        mine = (self.store_id, self.postal_code, pricing.plain_district(self.district or ""))
        return mine == (store_id, postal_code, pricing.plain_district(district or ""))

    def fee_for(self, subtotal_cents: int) -> int:
        """The promised fee in cents for a cart that may have changed since the quote."""
        free_above = self.free_above_cents
        is_free = free_above is not None and subtotal_cents >= free_above
        return 0 if is_free else self.rule_fee_cents


def open_quote(quotes: Signer, token: str) -> SignedQuote:
    """The promise inside a quote. Raises QuoteInvalid, QuoteExpired."""
    try:
        value = quotes.open(token)
        found = SignedQuote(
            store_id=UUID(value["store_id"]),
            postal_code=value["postal_code"],
            district=value["district"],
            subtotal_cents=value["subtotal_cents"],
            fee_cents=value["fee_cents"],
            rule_fee_cents=value["rule_fee_cents"],
            free_above_cents=value["free_above_cents"],
            minutes=value["minutes"],
            distance_meters=value["distance_meters"],
            rule_id=UUID(value["rule_id"]),
            expires_at=datetime.fromtimestamp(value["exp"], UTC),
        )
    except (SignatureInvalid, KeyError, ValueError, TypeError) as error:
        raise QuoteInvalid() from error
    if found.expires_at <= now():
        raise QuoteExpired(expired_at=found.expires_at)
    return found


def compute(
    store: Store,
    rules: Sequence[ShippingRule],
    area: PostalArea | None,
    postal_code: str,
    district: str | None,
    subtotal_cents: int,
    way: Way | None = None,
) -> Quote:
    """Price a delivery over loaded rows; pure, so that quote and checkout cannot differ.

    ``rules`` are the store's active ones, ``area`` where the postal code (eight digits) lies, or
    None, ``way`` the road there. Raises OutOfDeliveryArea with the reason.
    """
    found = _price(store, _reading(rules), area, postal_code, district, subtotal_cents, way)
    if isinstance(found, OutOfArea):
        raise OutOfDeliveryArea(
            reason=found.reason, distance_km=found.distance_km, max_km=found.max_km
        )
    return found


async def quoted(works: Caller, body: QuoteRequest) -> QuoteRead:
    """What ``ShippingService.quote`` answers; providers are asked between two Works.

    Raises what it raises, and TooMany.
    """
    await _throttle(works)
    way = await way_to(works, body.store, body.postal_code)
    async with works() as work:
        return await ShippingService(work).quote(body, way)


async def simulated(works: Caller, body: SimulationRequest) -> SimulationRead:
    """What ``ShippingService.simulate`` answers, by road where the store measures so."""
    async with works() as work:
        store = await StoreService(work).get(body.store_id)
    way = await way_to(works, store.slug, body.postal_code) if store.is_active else None
    async with works() as work:
        return await ShippingService(work).simulate(body, way)


class ShippingService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.shipping = ShippingRepository(work.session)
        self.stores = StoreService(work)

    async def quote(self, body: QuoteRequest, way: Way | None = None) -> QuoteRead:
        """Answer a fee with a signed quote that the checkout honours for half an hour.

        ``way`` is the distance by road, looked up before. Raises StoreNotFound, DeliveryClosed,
        OutOfDeliveryArea.
        """
        store = await self.stores.active(body.store)
        full = await self.stores.full_slots(store.id, store.policy(), Channel.DELIVERY)
        _ensure_delivering(store, full)
        rules = await self.shipping.rules_for(store.id)
        area = await self.shipping.area(body.postal_code)
        found = compute(
            store, rules, area, body.postal_code, body.district, body.subtotal_cents, way
        )
        expires_at = (now() + QUOTE_LIFE).replace(microsecond=0)
        rule_fee = next(rule.fee_cents for rule in rules if rule.id == found.rule_id)
        return QuoteRead(
            fee_cents=found.fee_cents,
            currency=self.work.tenant.currency,
            free_above_cents=store.free_shipping_above_cents,
            eta_minutes=found.eta_minutes,
            distance_km=found.distance_km,
            distance_provider=_provider(found, way),
            rule_id=found.rule_id,
            quote=self._signed(store, body, found, rule_fee, expires_at),
            expires_at=expires_at,
        )

    async def simulate(self, body: SimulationRequest, way: Way | None = None) -> SimulationRead:
        """Price an address and show how every rule answered. Raises StoreNotFound."""
        store = await self.stores.get(body.store_id)
        rows = {rule.id: rule for rule in await self.shipping.rules_for(store.id)}
        area = await self.shipping.area(body.postal_code)
        where = (area, body.postal_code, body.district, body.subtotal_cents, way)
        reading = _reading(rows.values())
        result = _price(store, reading, *where)
        chosen = result if isinstance(result, Quote) else None
        free_above = store.free_shipping_above_cents
        return SimulationRead(
            is_served=chosen is not None,
            reason=result.reason if isinstance(result, OutOfArea) else None,
            fee_cents=chosen.fee_cents if chosen else None,
            is_free=chosen is not None
            and free_above is not None
            and body.subtotal_cents >= free_above,
            eta_minutes=chosen.eta_minutes if chosen else None,
            distance_km=result.distance_km,
            distance_provider=way.provider if way else ("postal-area" if area else None),
            area=AreaRead.model_validate(area) if area else None,
            rules=[
                SimulatedRule(
                    rule=RuleRead.model_validate(rows[rule.id]),
                    serves=isinstance(_price(store, [rule], *where), Quote),
                    is_chosen=chosen is not None and chosen.rule_id == rule.id,
                )
                for rule in reading
            ],
        )

    async def rules(self, store_id: UUID) -> Sequence[ShippingRule]:
        """All rules of a store by position, at most MAX_RULES. Raises StoreNotFound."""
        await self.stores.get(store_id)
        return await self.shipping.rules_for(store_id, active_only=False)

    async def create(self, body: RuleCreate) -> ShippingRule:
        """Add a rule. Raises StoreNotFound, TooManyShippingRules."""
        # The store's row is the lock that keeps the number of rules exact.
        store = await self.stores.get(body.store_id, lock=True)
        others = await self.shipping.rules_for(store.id, active_only=False)
        if len(others) >= MAX_RULES:
            raise TooManyShippingRules(allowed=MAX_RULES)
        facts = body.model_dump() | {"kind": body.kind.value}
        if body.position is None:
            facts["position"] = place_for(body, others)
        rule = await self.shipping.add(ShippingRule(**facts))
        self.work.record("shipping.rule_created", "shipping_rule", rule.id, after=facts)
        return rule

    async def update(self, rule_id: UUID, body: RuleUpdate) -> ShippingRule:
        """Change the fields sent. Raises ShippingRuleNotFound, Invalid."""
        rule = await self.shipping.get(rule_id, lock=True)
        before = {name: getattr(rule, name) for name in body.model_fields_set}
        after = body.model_dump(exclude_unset=True)
        _apply(rule, after)
        wrong = contradiction(rule.kind, rule)
        if wrong:
            raise Invalid(errors=[{"pointer": "/body", "detail": wrong}])
        await self.shipping.flush()
        self.work.record(
            "shipping.rule_updated", "shipping_rule", rule.id, before=before, after=after
        )
        return rule

    async def remove(self, rule_id: UUID) -> None:
        """Delete a rule. Raises ShippingRuleNotFound."""
        rule = await self.shipping.get(rule_id, lock=True)
        await self.shipping.delete(rule)
        self.work.record(
            "shipping.rule_deleted", "shipping_rule", rule.id, before=_audited([rule])[0]
        )

    async def replace(self, store_id: UUID, body: RuleList) -> Sequence[ShippingRule]:
        """Make this the store's whole list, in this order; a rule that stays keeps its id.

        Raises StoreNotFound.
        """
        store = await self.stores.get(store_id, lock=True)
        old = await self.shipping.rules_for(store.id, active_only=False)
        before = _audited(old)
        left = list(old)
        for position, wanted in enumerate(near_before_far(body.rules)):
            same = next((rule for rule in left if is_same(rule, wanted)), None)
            facts = wanted.model_dump() | {"kind": wanted.kind.value, "position": position}
            if same is None:
                self.shipping.session.add(ShippingRule(store_id=store.id, **facts))
            else:
                left.remove(same)
                _apply(same, facts)
        for rule in left:
            await self.shipping.delete(rule)
        await self.shipping.flush()
        rules = await self.shipping.rules_for(store.id, active_only=False)
        self.work.record(
            "shipping.rules_replaced", "store", store.id, before=before, after=_audited(rules)
        )
        return rules

    def _signed(
        self, store: Store, body: QuoteRequest, found: Quote, rule_fee: int, expires_at: datetime
    ) -> str:
        return self.work.runtime.quotes.sign(
            {
                "tenant_id": str(self.work.tenant.id),
                "store_id": str(store.id),
                "postal_code": body.postal_code,
                "district": body.district,
                "subtotal_cents": body.subtotal_cents,
                "fee_cents": found.fee_cents,
                "rule_fee_cents": rule_fee,
                "free_above_cents": store.free_shipping_above_cents,
                "minutes": found.eta_minutes,
                "distance_meters": None
                if found.distance_km is None
                else round(found.distance_km * 1000),
                "rule_id": str(found.rule_id),
                "exp": int(expires_at.timestamp()),
            }
        )


async def _throttle(works: Caller) -> None:
    decision = await works.runtime.limiter.take(_QUOTES, f"{works.tenant.id}:{works.actor.ip}")
    if not decision.allowed:
        problem = TooMany()
        problem.headers = {"Retry-After": str(int(decision.retry_after_s) + 1)}
        raise problem


def _ensure_delivering(store: Store, full: frozenset[datetime]) -> None:
    answer = store.availability(Channel.DELIVERY, now(), full)
    # Closed now, but a slot may be chosen: the customer needs the fee to choose it.
    if not answer.open and answer.next_slot is None:
        raise DeliveryClosed(
            reasons=list(answer.reasons), next_available_at=answer.next_available_at
        )


def _price(
    store: Store,
    reading: Iterable[pricing.ShippingRule],
    area: PostalArea | None,
    postal_code: str,
    district: str | None,
    subtotal_cents: int,
    way: Way | None,
) -> Quote | OutOfArea:
    point = None if area is None else pricing.Point(area.latitude, area.longitude)
    return pricing.quote(
        reading,
        pricing.Destination(postal_code, district, point),
        pricing.Point(store.latitude, store.longitude),
        subtotal_cents,
        store.ready_minutes,
        free_above_cents=store.free_shipping_above_cents,
        distance_km=way.km if way else None,
    )


def _provider(found: Quote, way: Way | None) -> str | None:
    """Who measured the distance that counted; None: there was none to measure."""
    if found.distance_km is None:
        return None
    return way.provider if way else "postal-area"


def _reading(rows: Iterable[ShippingRule]) -> list[pricing.ShippingRule]:
    return [_as_priced(row) for row in rows]


def _as_priced(row: ShippingRule) -> pricing.ShippingRule:
    return pricing.ShippingRule(
        id=row.id,
        kind=ShippingKind(row.kind),
        fee_cents=row.fee_cents,
        minutes=row.minutes,
        priority=row.position,
        max_km=None if row.max_meters is None else row.max_meters / 1000,
        cep_first=row.cep_from,
        cep_last=row.cep_to,
        district=row.district,
    )


def _apply(rule: ShippingRule, facts: Json) -> None:
    for name, value in facts.items():
        setattr(rule, name, value)


def _audited(rules: Iterable[ShippingRule]) -> list[Json]:
    return [RuleRead.model_validate(rule).model_dump(mode="json") for rule in rules]
