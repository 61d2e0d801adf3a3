"""Queries over shipping rules and the places of postal codes."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from app.commerce.shipping.models import MapAnswer, PostalArea, ShippingRule
from app.commerce.shipping.problems import ShippingRuleNotFound
from app.core.clock import now
from app.core.ids import new_id
from app.core.model import Json
from app.core.repository import Repository

PREFIX_DIGITS = 5


class ShippingRepository(Repository[ShippingRule]):
    model = ShippingRule
    missing = ShippingRuleNotFound

    async def rules_for(
        self, store_id: UUID, *, active_only: bool = True
    ) -> Sequence[ShippingRule]:
        """The store's rules in the order in which they are tried (``rules.quote``)."""
        statement = self.query().where(ShippingRule.store_id == store_id)
        if active_only:
            statement = statement.where(ShippingRule.is_active.is_(True))
        reach = ShippingRule.max_meters.asc().nulls_last()
        return await self.all(statement.order_by(ShippingRule.position, reach, ShippingRule.id))

    async def map_answer(self, question: str) -> MapAnswer | None:
        """What a maps provider said, while it may still be believed."""
        found = await self.session.execute(
            select(MapAnswer).where(MapAnswer.question == question, MapAnswer.expires_at > now())
        )
        return found.scalar_one_or_none()

    async def keep_map_answer(self, answer: Json) -> None:
        """Remember what a provider said, in place of what was said before."""
        fresh = insert(MapAnswer).values(id=new_id(), **answer)
        await self.session.execute(
            fresh.on_conflict_do_update(
                index_elements=["tenant_id", "question"],
                set_={name: fresh.excluded[name] for name in answer if name != "question"},
            )
        )

    async def area(self, postal_code: str) -> PostalArea | None:
        """Where a postal code of eight digits lies, by its first five; None: unknown."""
        prefix = postal_code[:PREFIX_DIGITS]
        found = await self.session.execute(select(PostalArea).where(PostalArea.prefix == prefix))
        return found.scalar_one_or_none()
