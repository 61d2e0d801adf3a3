"""What a campaign brought in a period, and what it would do to a cart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.commerce.campaigns.problems import CampaignPeriodInvalid
from app.commerce.campaigns.repository import CampaignRepository, Window
from app.commerce.campaigns.schemas import DayRead, Figures, SimulationIn, StatisticsRead
from app.commerce.checkout import rows
from app.commerce.checkout.basis import Offer
from app.commerce.checkout.draft import Draft, Refusal
from app.commerce.checkout.trial import Supposed, TrialService
from app.commerce.insights.service import InsightService
from app.commerce.promotions import offers
from app.commerce.promotions.models import Promotion
from app.commerce.promotions.offers import Reason, Unused
from app.commerce.promotions.schemas import CampaignCreate
from app.commerce.promotions.service import PromotionService, drafted
from app.commerce.promotions.words import applied
from app.commerce.shipping.roads import Way
from app.core.clock import now
from app.core.ids import new_id
from app.core.tabular import csv_lines
from app.kernel.work import Work

_ONE_DAY = timedelta(days=1)
_MOST_DAYS, _DEFAULT_DAYS = 366, 30
_MOST_OTHERS = 100
_FIGURES = tuple(Figures.model_fields)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which days, both included (None: the last 30), and which store (None: all)."""

    since: date | None = None
    until: date | None = None
    store_id: UUID | None = None


class StatisticsService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.campaigns = CampaignRepository(work.session)

    async def statistics(self, campaign_id: UUID, asked: Asked) -> StatisticsRead:
        """Raises CampaignNotFound, CampaignPeriodInvalid, StoreNotFound."""
        window = _window(asked, self.work.tenant.timezone)
        sold = await InsightService(self.work).sales(window.first, window.last, asked.store_id)
        promotion = await PromotionService(self.work).get(campaign_id)
        found = await self.campaigns.statistics(campaign_id, window, asked.store_id)
        by_day = {row["day"]: row for row in found if not row["is_whole"]}
        days = {day: _beside(by_day.get(day, {}), *sold.get(day, (0, 0))) for day in _days(window)}
        whole = _beside(
            next(row for row in found if row["is_whole"]),
            sum(orders for orders, _ in sold.values()),
            sum(cents for _, cents in sold.values()),
        )
        return StatisticsRead(
            **_figures(whole),
            campaign_id=campaign_id,
            name=promotion.name,
            currency=self.work.tenant.currency,
            since=window.first,
            until=window.last,
            discount_cents=whole["items_discount_cents"] + whole["shipping_discount_cents"],
            average_ticket_cents=_average(whole["revenue_cents"], whole["redemptions"]),
            average_ticket_without_cents=_average(
                whole["revenue_without_cents"], whole["orders_without"]
            ),
            customers=whole["customers"],
            lost_orders=whole["lost_orders"],
            days=[DayRead(day=day, **_figures(row)) for day, row in days.items()],
        )

    async def csv(self, campaign_id: UUID, asked: Asked) -> bytes:
        """The days as a file. Raises as ``statistics`` does."""
        found = await self.statistics(campaign_id, asked)
        lines = ([day.day, *(getattr(day, name) for name in _FIGURES)] for day in found.days)
        return csv_lines([("day", *_FIGURES), *lines])


class SimulationService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.campaigns = CampaignRepository(work.session)

    async def simulate(self, body: SimulationIn, way: Way | None) -> dict[str, Any]:
        """The cart's total and each campaign's verdict, as a ``SimulationRead``.

        Postgres itself refuses to write in it. Raises what ``TrialService.tried`` raises, and
        CampaignNotFound, CampaignInvalid, CampaignTargetNotFound.
        """
        await self.campaigns.read_only()
        at, cart = body.at or now(), body.cart
        without: set[UUID] = set()
        if body.instead_of is not None:
            without.add((await PromotionService(self.work).get(body.instead_of)).id)
        more = [] if body.draft is None else [await self._offer(body.draft)]
        typed = [offer.rule.code for offer in more if offer.rule.code is not None]
        if typed:
            cart = cart.model_copy(update={"coupons": [*cart.coupons, *typed]})
        draft = await TrialService(self.work).tried(
            cart, way, Supposed(at, more, frozenset(without))
        )
        verdicts = list(_verdicts(draft))
        known = {v["campaign_id"] for v in verdicts if v["campaign_id"]} | without
        others = await self.campaigns.others(sorted(known), _MOST_OTHERS)
        verdicts += [_idle(promotion, draft) for promotion in others]
        made_up = {offer.rule.id for offer in more}
        for verdict in verdicts:
            if verdict["campaign_id"] in made_up:
                verdict["campaign_id"] = None
        return draft.breakdown() | {"at": at, "verdicts": verdicts}

    async def _offer(self, body: CampaignCreate) -> Offer:
        """The draft as the checkout would read it; one by codes as if one had been typed."""
        promotion = drafted(body)
        await PromotionService(self.work).check(promotion)
        facts = body.model_dump(mode="json") | {"value": promotion.value, "by_codes": False}
        unused = {"used_count": 0, "spent_cents": 0, "customer_used": 0, "codes": None}
        return rows.offer(facts | unused | {"id": str(new_id())})


def _window(asked: Asked, timezone: str) -> Window:
    until = asked.until or now().astimezone(ZoneInfo(timezone)).date()
    since = asked.since or until - (_DEFAULT_DAYS - 1) * _ONE_DAY
    if not 1 <= (until - since).days + 1 <= _MOST_DAYS:
        raise CampaignPeriodInvalid()
    return Window(
        since,
        until,
        datetime.combine(since - _ONE_DAY, time(), UTC),
        datetime.combine(until + 2 * _ONE_DAY, time(), UTC),
    )


def _days(window: Window) -> Iterable[date]:
    return (window.first + n * _ONE_DAY for n in range((window.last - window.first).days + 1))


def _beside(row: Mapping[str, Any], orders: int, cents: int) -> dict[str, Any]:
    """The figures of those that used it, and of the others among so many."""
    return {
        **row,
        "orders_without": orders - row.get("redemptions", 0),
        "revenue_without_cents": cents - row.get("revenue_cents", 0),
    }


def _figures(row: Mapping[str, Any]) -> dict[str, int]:
    return {name: row.get(name, 0) for name in _FIGURES}


def _average(cents: int, orders: int) -> int | None:
    """Half a cent up."""
    return (2 * cents + orders) // (2 * orders) if orders else None


def _verdicts(draft: Draft) -> Iterable[dict[str, Any]]:
    """Of every promotion that the computation looked at."""
    for use in draft.redemptions:
        cents = use.items_cents + use.shipping_cents
        yield {
            "campaign_id": use.promotion_id,
            "name": use.name,
            "code": use.code,
            "applies": True,
            "items_cents": use.items_cents,
            "shipping_cents": use.shipping_cents,
            "reason": None,
            "text": applied(cents, draft.reader),
        }
    for refusal in draft.refusals:
        yield _refused(refusal, draft)


def _refused(refusal: Refusal, draft: Draft) -> dict[str, Any]:
    rule = refusal.rule
    return refusal.told(draft.reader) | {
        "campaign_id": rule.id if rule else None,
        "name": rule.name if rule else None,
        "applies": False,
        "items_cents": 0,
        "shipping_cents": 0,
    }


def _idle(promotion: Promotion, draft: Draft) -> dict[str, Any]:
    """The verdict on what was not looked at: switched off, or nobody typed its code."""
    rule = offers.Promotion(
        id=promotion.id,
        name=promotion.name,
        kind=offers.PromotionKind(promotion.kind),
        code=promotion.code,
        by_codes=promotion.by_codes,
    )
    reason = Reason.CODE_MISSING if promotion.is_active else Reason.PAUSED
    return _refused(Refusal(Unused(reason, rule.id, rule.code), rule), draft)
