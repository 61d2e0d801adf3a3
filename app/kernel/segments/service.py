"""Saved segments, scores by rules, and changes to many contacts at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.kernel.contacts.conditions import condition, filtered
from app.kernel.contacts.expressions import Expression, ScoreIs, walked
from app.kernel.contacts.models import STAGES
from app.kernel.contacts.schemas import ContactFilter
from app.kernel.contacts.service import ContactService, ContactView
from app.kernel.segments.models import ScoreRule, Segment
from app.kernel.segments.problems import ScoreRuleCircular
from app.kernel.segments.repository import (
    AudienceRepository,
    ScoreRuleRepository,
    SegmentRepository,
    asks,
)
from app.kernel.segments.schemas import (
    BulkChange,
    ScoreRuleCreate,
    ScoreRuleUpdate,
    SegmentCreate,
    SegmentUpdate,
)
from app.kernel.tags.service import TagService
from app.kernel.work import Work

MOST = 10_000
_SAMPLE = 10


@dataclass(frozen=True, slots=True)
class Preview:
    contacts: int
    sample: Sequence[ContactView]


@dataclass(frozen=True, slots=True)
class BulkDone:
    contacts: int
    tagged: int
    untagged: int
    staged: int


class SegmentService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.segments = SegmentRepository(work.session)
        self.people = ContactService(work)
        self.contacts = self.people.contacts
        self.audience = AudienceRepository(work.session)

    async def page(self, page: PageRequest) -> Page[Segment]:
        return await self.segments.page(self.segments.query(), page)

    async def get(self, segment_id: UUID) -> Segment:
        """Raises SegmentNotFound."""
        return await self.segments.get(segment_id)

    async def create(self, body: SegmentCreate) -> Segment:
        """Raises SegmentNameTaken."""
        row = await self.segments.add(Segment(name=body.name, expression=_stored(body.expression)))
        await self.work.session.refresh(row)
        self.work.record("segment.created", "segment", row.id, after=_facts(row))
        return row

    async def change(self, segment_id: UUID, body: SegmentUpdate) -> Segment:
        """Raises SegmentNotFound, SegmentNameTaken."""
        row = await self.segments.get(segment_id, lock=True)
        before = _facts(row)
        row.name = body.name or row.name
        if body.expression is not None:
            row.expression = _stored(body.expression)
        if _facts(row) != before:
            await self.segments.flush()
            self.work.record("segment.updated", "segment", row.id, before=before, after=_facts(row))
        return row

    async def delete(self, segment_id: UUID) -> None:
        """Raises SegmentNotFound."""
        row = await self.segments.get(segment_id, lock=True)
        self.work.record("segment.deleted", "segment", row.id, before=_facts(row))
        await self.segments.delete(row)

    async def preview(self, expression: Expression) -> Preview:
        """How many contacts an expression selects now, and the newest of them."""
        where = condition(expression, now())
        found = await self.contacts.search(PageRequest(_SAMPLE), None, where)
        return Preview(await self.contacts.count(where), await self.people.views(found.items))

    async def members(
        self, page: PageRequest, wanted: ContactFilter, segment_id: UUID | None = None
    ) -> Page[ContactView]:
        """Contacts that the filter and the segment hold for, newest first.

        Raises SegmentNotFound.
        """
        if segment_id is None:
            return await self.people.page(page, wanted)
        asked = asks((await self.get(segment_id)).expression, now())
        found = await self.contacts.search(page, wanted.query, *filtered(wanted), asked)
        return Page(await self.people.views(found.items), found.next_cursor)

    async def change_many(self, body: BulkChange) -> BulkDone:
        """Tag, untag or move many contacts in one go; ids of nobody are passed over.

        Raises SegmentNotFound, Invalid (an unknown tag).
        """
        wanted: Sequence[UUID] = body.contact_ids
        if body.segment_id is not None:
            asked = asks((await self.get(body.segment_id)).expression, now())
            wanted = await self.contacts.ids(MOST, asked)
        ids = await self.audience.people(wanted)
        tags = TagService(self.work)
        done = BulkDone(
            len(ids),
            await tags.give(ids, body.add_tag_ids),
            await tags.take(ids, body.remove_tag_ids),
            await self.audience.set_stage(ids, body.stage, now()) if body.stage else 0,
        )
        self.work.record(
            "contacts.changed", "contact", None, **body.model_dump(exclude={"contact_ids"}),
            contacts=done.contacts, tagged=done.tagged, untagged=done.untagged,
            staged=done.staged,
        )  # fmt: skip
        return done

    async def statistics(self) -> dict[str, Any]:
        """Figures over all contacts, as they stand."""
        figures = await self.audience.figures(now())
        stages: Mapping[str, int] = figures["stages"]
        consents = [
            {"channel": channel, "opted_in": yes, "opted_out": no}
            for channel, yes, no in await self.audience.consents()
        ]
        return {
            **figures,
            "stages": {stage: stages.get(stage, 0) for stage in STAGES},
            "consents": consents,
        }


class ScoreService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.rules = ScoreRuleRepository(work.session)

    async def page(self, page: PageRequest) -> Page[ScoreRule]:
        return await self.rules.page(self.rules.query(), page)

    async def create(self, body: ScoreRuleCreate) -> ScoreRule:
        """Add a rule and score everybody anew. Raises ScoreRuleNameTaken, ScoreRuleCircular."""
        _straight(body.expression)
        row = await self.rules.add(
            ScoreRule(
                name=body.name,
                expression=_stored(body.expression),
                points=body.points,
                is_active=body.is_active,
            )
        )
        await self.work.session.refresh(row)
        self.work.record("score_rule.created", "score_rule", row.id, name=row.name)
        await self.rescore()
        return row

    async def change(self, rule_id: UUID, body: ScoreRuleUpdate) -> ScoreRule:
        """Raises ScoreRuleNotFound, ScoreRuleNameTaken, ScoreRuleCircular."""
        row = await self.rules.get(rule_id, lock=True)
        sent = body.model_fields_set
        row.name = body.name or row.name
        if body.expression is not None:
            _straight(body.expression)
            row.expression = _stored(body.expression)
        row.points = body.points if "points" in sent else row.points
        row.is_active = body.is_active if "is_active" in sent else row.is_active
        await self.rules.flush()
        self.work.record("score_rule.updated", "score_rule", row.id, name=row.name)
        await self.rescore()
        return row

    async def delete(self, rule_id: UUID) -> None:
        """Raises ScoreRuleNotFound."""
        row = await self.rules.get(rule_id, lock=True)
        self.work.record("score_rule.deleted", "score_rule", row.id, name=row.name)
        await self.rules.delete(row)
        await self.rescore()

    async def rescore(self) -> int:
        """Every contact's score from the rules and what was given by hand; how many changed.

        The same contacts, rules and moment give the same scores, however often it runs.
        """
        return await self.rules.rescore(await self.rules.active(), now())


def _straight(expression: Expression) -> None:
    if any(isinstance(leaf, ScoreIs) for _, leaf in walked(expression)):
        raise ScoreRuleCircular(
            errors=[{"pointer": "/body/expression", "detail": ScoreRuleCircular.title}]
        )


def _stored(expression: Expression) -> dict[str, Any]:
    found: dict[str, Any] = expression.model_dump(mode="json", exclude_unset=True)
    return found


def _facts(row: Segment) -> dict[str, object]:
    return {"name": row.name, "expression": row.expression}
