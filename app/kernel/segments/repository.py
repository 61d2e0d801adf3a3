"""Queries over segments and score rules, and the set-based writes they decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, case, cast, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from app.core.repository import Repository
from app.kernel.consents.models import ConsentEntry
from app.kernel.contacts.conditions import condition
from app.kernel.contacts.models import Contact, seen_at, stage_now
from app.kernel.segments.models import ScoreRule, Segment
from app.kernel.segments.problems import (
    ScoreRuleNameTaken,
    ScoreRuleNotFound,
    SegmentNameTaken,
    SegmentNotFound,
)
from app.kernel.segments.schemas import EXPRESSION

Condition = ColumnElement[bool]


def asks(expression: Any, now: datetime) -> Condition:
    """The condition of a stored expression."""
    return condition(EXPRESSION.validate_python(expression), now)


class SegmentRepository(Repository[Segment]):
    model = Segment
    missing = SegmentNotFound
    conflicts: ClassVar = {"segments_tenant_id_name_key": SegmentNameTaken}


class ScoreRuleRepository(Repository[ScoreRule]):
    model = ScoreRule
    missing = ScoreRuleNotFound
    conflicts: ClassVar = {"score_rules_tenant_id_name_key": ScoreRuleNameTaken}

    async def active(self) -> Sequence[ScoreRule]:
        return await self.all(self.query().where(ScoreRule.is_active).order_by(ScoreRule.id))

    async def rescore(self, rules: Sequence[ScoreRule], now: datetime) -> int:
        """Write every contact's score anew in one statement; how many differ."""
        points: ColumnElement[int] = Contact.score_adjustment + literal(0)
        for rule in rules:
            holds = asks(rule.expression, now)
            points = points + case((holds, literal(rule.points)), else_=literal(0))
        wanted = select(Contact.id, points.label("points")).subquery()
        done = await self.session.execute(
            update(Contact)
            .where(Contact.id == wanted.c.id, Contact.score != wanted.c.points)
            .values(score=wanted.c.points)
            .returning(Contact.id)
            .execution_options(synchronize_session=False)
        )
        return len(done.all())


class AudienceRepository:
    """Contacts taken together."""

    def __init__(self, session: Any) -> None:
        self.session = session

    async def people(self, contact_ids: Sequence[UUID]) -> list[UUID]:
        """Those of the ids that are people of this tenant, locked by id."""
        found = await self.session.scalars(
            select(Contact.id)
            .where(Contact.id.in_(contact_ids), Contact.merged_into_id.is_(None))
            .order_by(Contact.id)
            .with_for_update(key_share=True)
        )
        return list(found)

    async def set_stage(self, contact_ids: Sequence[UUID], stage: str, at: datetime) -> int:
        """Set the stage by hand where it is another one now; how many."""
        done = await self.session.execute(
            update(Contact)
            .where(Contact.id.in_(contact_ids), stage_now() != stage)
            .values(stage=stage, stage_at=at)
            .returning(Contact.id)
            .execution_options(synchronize_session=False)
        )
        return len(done.all())

    async def figures(self, now: datetime) -> Mapping[str, Any]:
        """One pass over all people."""
        people = Contact.merged_into_id.is_(None)

        def since(days: int, column: Any) -> Any:
            return func.count().filter(column >= now - timedelta(days=days))

        average = func.coalesce(func.round(func.avg(Contact.score)), 0)
        row = await self.session.execute(
            select(
                func.count().label("contacts"),
                func.count().filter(Contact.is_blocked).label("blocked"),
                since(30, Contact.created_at).label("new_30_days"),
                *(since(d, seen_at()).label(f"seen_{d}_days") for d in (7, 30, 90)),
                func.count().filter(seen_at().is_(None)).label("never_seen"),
                cast(average, Integer).label("average_score"),
            ).where(people)
        )
        stages = await self.session.execute(
            select(stage_now().label("now"), func.count()).where(people).group_by("now")
        )
        return {**row.one()._mapping, "stages": {stage: count for stage, count in stages}}

    async def consents(self) -> Sequence[tuple[str, int, int]]:
        """By channel: people whose newest decision about marketing is yes, and no."""
        person = func.coalesce(Contact.merged_into_id, Contact.id)
        newest = (
            select(ConsentEntry.channel, ConsentEntry.is_opt_in)
            .join(Contact, Contact.id == ConsentEntry.contact_id)
            .where(or_(ConsentEntry.category == "marketing", ConsentEntry.category == "all"))
            .ext(distinct_on(ConsentEntry.channel, person))
            .order_by(
                ConsentEntry.channel,
                person,
                ConsentEntry.decided_at.desc(),
                ConsentEntry.id.desc(),
            )
            .subquery()
        )
        rows = await self.session.execute(
            select(
                newest.c.channel,
                func.count().filter(newest.c.is_opt_in),
                func.count().filter(~newest.c.is_opt_in),
            )
            .group_by(newest.c.channel)
            .order_by(newest.c.channel)
        )
        return [(channel, yes, no) for channel, yes, no in rows]
