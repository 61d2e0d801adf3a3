"""What staff do with campaigns; the checkout redeems and a cancellation releases them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.commerce.catalog.menu import file_keys
from app.commerce.catalog.rules import kind_of_medium
from app.commerce.promotions.models import Promotion, PromotionRedemption
from app.commerce.promotions.problems import (
    CampaignHasCodes,
    CampaignImageUnknown,
    CampaignInvalid,
    CampaignTargetNotFound,
    CouponCodeTaken,
    LimitBelowUse,
)
from app.commerce.promotions.repository import (
    CodeRepository,
    PromotionRepository,
    RedemptionRepository,
)
from app.commerce.promotions.schemas import CampaignCopy, CampaignCreate, CampaignUpdate
from app.contracts.commerce import CatalogChanged
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.kernel.files.service import FileService
from app.kernel.work import Work

_EVERYTHING_OFF = 10_000
_LONGEST_NAME, _LONGEST_CODE = 120, 32
_SAME_AGAIN = (
    "kind", "value", "by_codes", "scope", "target_ids", "buy_quantity", "get_quantity",
    "min_subtotal_cents", "max_discount_cents", "starts_at", "ends_at", "weekdays", "hour_from",
    "hour_to", "usage_limit", "per_customer_limit", "budget_cents", "priority", "combinable",
    "image_file_id",
)  # fmt: skip
"""What a copy has of its original: all that staff can set but its name, code and switch."""


class PromotionService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.promotions = PromotionRepository(work.session)
        self.codes = CodeRepository(work.session)

    async def search(
        self, page: PageRequest, is_active: bool | None, code: str | None, *, is_archived: bool
    ) -> Page[Promotion]:
        return await self.promotions.search(
            page, is_active=is_active, code=code, is_archived=is_archived
        )

    async def get(self, campaign_id: UUID) -> Promotion:
        """Raises CampaignNotFound."""
        return await self.promotions.alive(campaign_id)

    async def redemptions(self, campaign_id: UUID, page: PageRequest) -> Page[PromotionRedemption]:
        """Who used it, newest first. Raises CampaignNotFound."""
        await self.promotions.alive(campaign_id)
        return await RedemptionRepository(self.work.session).of(campaign_id, page)

    async def create(self, body: CampaignCreate) -> Promotion:
        """Raises CampaignInvalid, CampaignTargetNotFound, CouponCodeTaken."""
        promotion = drafted(body)
        await self.check(promotion)
        return await self._begin(promotion, body.model_dump())

    async def _begin(self, promotion: Promotion, facts: dict[str, Any]) -> Promotion:
        await self._require_free(promotion.code)
        await self.promotions.add(promotion)
        await self.work.session.refresh(promotion)
        self._tell("created", promotion)
        self.work.record("commerce.campaign_created", "promotion", promotion.id, after=facts)
        return promotion

    async def duplicate(self, campaign_id: UUID, body: CampaignCopy) -> Promotion:
        """The same again, switched off, without uses and without generated codes.

        Raises CampaignNotFound, CampaignInvalid, CouponCodeTaken.
        """
        original = await self.promotions.alive(campaign_id)
        fields = {name: getattr(original, name) for name in _SAME_AGAIN}
        name = body.name or f"{original.name[: _LONGEST_NAME - 8]} (cópia)"
        code = body.code or (await self._free_code(original.code) if original.code else None)
        copy = Promotion(**fields, name=name, code=code, is_active=False)
        self._require_sound(copy)
        return await self._begin(copy, {"name": name, "code": code, "copy_of": original.id})

    async def _free_code(self, code: str) -> str:
        tries = [f"{code[: _LONGEST_CODE - 3]}-{n}" for n in range(2, 100)]
        taken = await self.promotions.codes_taken(tries)
        free = [candidate for candidate in tries if candidate not in taken]
        if not free:
            raise CouponCodeTaken()
        return free[0]

    async def _require_free(self, code: str | None) -> None:
        """No two promotions are meant by one code, neither a chosen nor a generated one."""
        if code is not None and await self.promotions.codes_taken([code]):
            raise CouponCodeTaken()

    async def change(self, campaign_id: UUID, body: CampaignUpdate) -> Promotion:
        """Raises CampaignNotFound, CampaignInvalid, CampaignTargetNotFound, CouponCodeTaken,
        LimitBelowUse, CampaignArchived, CampaignHasCodes."""
        promotion = await self.promotions.current(campaign_id)
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for field, value in body.model_dump(exclude_unset=True).items():
            if getattr(promotion, field) != value:
                before[field], after[field] = getattr(promotion, field), value
        if not after:
            return promotion
        with self.work.session.no_autoflush:
            for field, value in after.items():
                setattr(promotion, field, value)
            _check_use(promotion)
            await self.check(promotion)
            if "code" in after:
                await self._require_free(after["code"])
            if "by_codes" in before and before["by_codes"] and await self.codes.any_of(campaign_id):
                raise CampaignHasCodes()
        await self.promotions.flush()
        self._tell("updated", promotion)
        self.work.record(
            "commerce.campaign_updated", "promotion", promotion.id, before=before, after=after
        )
        return promotion

    async def switch(self, campaign_id: UUID, *, is_active: bool) -> Promotion:
        """Pause it, or let it go on; what is so already stays so.

        Raises CampaignNotFound, CampaignArchived.
        """
        promotion = await self.promotions.current(campaign_id)
        if promotion.is_active != is_active:
            promotion.is_active = is_active
            await self._changed(promotion, "resumed" if is_active else "paused")
        return promotion

    async def archive(self, campaign_id: UUID) -> Promotion:
        """Put it away: it never applies again, its uses and figures stay, its code is free.

        Raises CampaignNotFound.
        """
        promotion = await self.promotions.alive(campaign_id, lock=True)
        if promotion.archived_at is None:
            promotion.archived_at, promotion.is_active = now(), False
            await self._changed(promotion, "archived")
        return promotion

    async def _changed(self, promotion: Promotion, how: str) -> None:
        await self.promotions.flush()
        self._tell("updated", promotion)
        self.work.record(f"commerce.campaign_{how}", "promotion", promotion.id)

    async def remove(self, campaign_id: UUID) -> None:
        """End it for good; its code is free again, its redemptions stay.

        Raises CampaignNotFound.
        """
        promotion = await self.promotions.alive(campaign_id, lock=True)
        promotion.deleted_at = now()
        promotion.is_active = False
        await self.promotions.flush()
        self._tell("deleted", promotion)

    async def release(self, order_id: UUID) -> int:
        """Give back what a cancelled order redeemed, exactly once; answers how many uses."""
        return await self.promotions.release(order_id)

    async def redeem(self, order_id: UUID, contact_id: UUID, uses: list[dict[str, Any]]) -> None:
        """Let an order use these, whose rows the caller has locked, in id order.

        A use is {id, promotion_id, name, code, amount_cents, shipping_cents}.
        """
        if uses:
            await self.promotions.redeem(order_id, contact_id, uses)

    async def take_codes(self, uses: list[dict[str, Any]]) -> int:
        """Use up the generated codes of an order's uses; answers how many could be.

        The caller has locked their promotions, and gives up when it is not all of them.
        """
        return await self.codes.take(uses)

    def _require_sound(self, promotion: Promotion) -> None:
        flaws = promotion.flaws()
        if flaws:
            raise CampaignInvalid(
                errors=[{"pointer": f"/body/{field}", "detail": what} for field, what in flaws]
            )

    async def check(self, promotion: Promotion) -> None:
        """Raises CampaignInvalid, CampaignTargetNotFound, CampaignImageUnknown."""
        self._require_sound(promotion)
        missing = await self.promotions.missing_targets(promotion.scope, promotion.target_ids)
        if missing:
            raise CampaignTargetNotFound(missing=missing)
        image = promotion.image_file_id
        if image is not None:
            keys = await file_keys(self.work.session, await FileService(self.work).held([image]))
            if kind_of_medium(keys.get(image, "")) != "image":
                raise CampaignImageUnknown(
                    errors=[{"pointer": "/body/image_file_id", "detail": "no uploaded image"}]
                )

    def _tell(self, change: str, promotion: Promotion) -> None:
        self.work.publish(
            CatalogChanged(
                kind="promotion", change=change, item_id=promotion.id, item_name=promotion.name
            )
        )
        self.work.ring("catalog")


def drafted(body: CampaignCreate) -> Promotion:
    """The promotion that was described; nothing is added or checked."""
    fields = body.model_dump()
    if fields["value"] is None:
        fields["value"] = _EVERYTHING_OFF if body.kind == "buy_x_get_y" else 0
    return Promotion(**fields)


def _check_use(promotion: Promotion) -> None:
    limit, budget = promotion.usage_limit, promotion.budget_cents
    if (limit is not None and limit < promotion.used_count) or (
        budget is not None and budget < promotion.spent_cents
    ):
        raise LimitBelowUse(used_count=promotion.used_count, spent_cents=promotion.spent_cents)
