"""Generated codes of a campaign: made by the thousand, listed with their use, revoked."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.commerce.promotions.problems import CampaignNotByCodes, CodesNotFound, TooManyCodes
from app.commerce.promotions.repository import CodeRepository, PromotionRepository
from app.commerce.promotions.schemas import CodeFilter, CodesCreate, CodesMade, CodesRevoke
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.tabular import csv_lines
from app.kernel.work import Work

ALPHABET = "CDFGHJKMNPQRTVWXY34679"
"""No letter that is read as another or as a digit, and no vowel: no code is a word by accident."""
MOST = 50_000
"""Codes of one campaign."""
_SAMPLE = 10
_COLUMNS = (
    "code", "label", "state", "usage_limit", "used_count", "created_at", "revoked_at",
    "last_used_at", "last_order_number",
)  # fmt: skip


class CodeService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.promotions = PromotionRepository(work.session)
        self.codes = CodeRepository(work.session)

    async def generate(self, campaign_id: UUID, body: CodesCreate) -> CodesMade:
        """Make a batch of new codes, none of which anybody else has or had.

        Raises CampaignNotFound, CampaignArchived, CampaignNotByCodes, TooManyCodes.
        """
        promotion = await self.promotions.current(campaign_id)
        if not promotion.by_codes:
            raise CampaignNotByCodes()
        generated = await self.codes.count(campaign_id)
        if generated + body.quantity > MOST:
            raise TooManyCodes(limit=MOST, generated=generated)
        batch, made = new_id(), list[str]()
        while len(made) < body.quantity:
            made += await self.codes.add_codes(
                campaign_id, batch, body.label, body.uses_per_code, _fresh(body, len(made))
            )
        self.work.record(
            "commerce.coupon_codes_generated",
            "promotion",
            campaign_id,
            batch_id=str(batch),
            quantity=body.quantity,
            uses_per_code=body.uses_per_code,
        )
        return CodesMade(
            batch_id=batch,
            quantity=body.quantity,
            uses_per_code=body.uses_per_code,
            sample=sorted(made)[:_SAMPLE],
        )

    async def page(
        self, campaign_id: UUID, only: CodeFilter, page: PageRequest
    ) -> Page[Mapping[str, Any]]:
        """Codes with their use, newest first. Raises CampaignNotFound."""
        await self.promotions.alive(campaign_id)
        found = await self.codes.listed(campaign_id, only, page.limit + 1, page.cursor)
        items = found[: page.limit]
        return Page(items, items[-1]["id"] if len(found) > page.limit else None)

    async def csv(self, campaign_id: UUID, only: CodeFilter) -> bytes:
        """All of them as a file. Raises CampaignNotFound."""
        await self.promotions.alive(campaign_id)
        found = await self.codes.listed(campaign_id, only, MOST)
        return csv_lines([_COLUMNS, *([_cell(row[name]) for name in _COLUMNS] for row in found)])

    async def revoke(self, campaign_id: UUID, body: CodesRevoke) -> int:
        """Let these work no more; orders that used them keep their discount.

        Answers how many worked until now. Raises CampaignNotFound, CodesNotFound.
        """
        # Locked, as a checkout that looks at a code has the campaign locked until it is done.
        await self.promotions.alive(campaign_id, lock=True)
        await self._require_known(campaign_id, body)
        revoked = await self.codes.revoke(campaign_id, body.batch_id, body.codes)
        if revoked:
            self.work.record(
                "commerce.coupon_codes_revoked",
                "promotion",
                campaign_id,
                revoked=revoked,
                batch_id=str(body.batch_id) if body.batch_id else None,
                codes=body.codes[:_SAMPLE],
            )
        return revoked

    async def _require_known(self, campaign_id: UUID, body: CodesRevoke) -> None:
        if body.batch_id is not None:
            if not await self.codes.has_batch(campaign_id, body.batch_id):
                raise CodesNotFound(missing=[str(body.batch_id)])
            return
        missing = await self.codes.unknown(campaign_id, body.codes)
        if missing:
            raise CodesNotFound(missing=missing)


def _fresh(body: CodesCreate, made: int) -> Sequence[str]:
    """As many different codes as are missing."""
    start = f"{body.prefix}-" if body.prefix else ""
    found: set[str] = set()
    while len(found) < body.quantity - made:
        found.add(start + "".join(secrets.choice(ALPHABET) for _ in range(body.length)))
    return sorted(found)


def _cell(value: Any) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else value
