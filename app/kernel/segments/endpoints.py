"""HTTP for segments, score rules, bulk changes and figures over contacts."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
from app.kernel.segments.models import ScoreRule, Segment
from app.kernel.segments.problems import (
    ScoreRuleCircular,
    ScoreRuleNameTaken,
    ScoreRuleNotFound,
    SegmentNameTaken,
    SegmentNotFound,
)
from app.kernel.segments.schemas import (
    BulkChange,
    BulkRead,
    PreviewRead,
    RescoreRead,
    ScoreRuleCreate,
    ScoreRuleRead,
    ScoreRuleUpdate,
    SegmentCreate,
    SegmentPreview,
    SegmentRead,
    SegmentUpdate,
    StatisticsRead,
)
from app.kernel.segments.service import BulkDone, Preview, ScoreService, SegmentService
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/segments", tags=["contacts"], route_class=ReplayableRoute)
scores_router = APIRouter(
    prefix="/api/v1/score-rules", tags=["contacts"], route_class=ReplayableRoute
)
audience_router = APIRouter(
    prefix="/api/v1/contacts", tags=["contacts"], route_class=ReplayableRoute
)
Segments = Annotated[SegmentService, service(SegmentService)]
Scores = Annotated[ScoreService, service(ScoreService)]
_READ = require_module("conversations", "contacts:read")
_WRITE = require_module("conversations", "contacts:write")
_MANAGE = require_module("conversations", "contacts:manage")


@router.get("", dependencies=[_READ])
async def list_segments(segments: Segments, page: Paging) -> PageRead[SegmentRead]:
    """Saved segments, newest first."""
    return PageRead[SegmentRead].model_validate(await segments.page(page))


@router.post(
    "",
    status_code=201,
    response_model=SegmentRead,
    responses=problems(SegmentNameTaken, IdempotencyKeyReused),
    dependencies=[_WRITE, Idempotent],
)
async def create_segment(body: SegmentCreate, segments: Segments) -> Segment:
    """Save an expression; who it selects is asked anew each time."""
    return await segments.create(body)


@router.post("/preview", response_model=PreviewRead, dependencies=[_WRITE])
async def preview_segment(body: SegmentPreview, segments: Segments) -> Preview:
    """How many contacts an expression selects now, and the newest ten of them."""
    return await segments.preview(body.expression)


@router.get(
    "/{segment_id}",
    response_model=SegmentRead,
    responses=problems(SegmentNotFound),
    dependencies=[_READ],
)
async def get_segment(segment_id: UUID, segments: Segments) -> Segment:
    """One segment; ``GET /contacts?segment_id=`` lists who is in it."""
    return await segments.get(segment_id)


@router.patch(
    "/{segment_id}",
    response_model=SegmentRead,
    responses=problems(SegmentNotFound, SegmentNameTaken),
    dependencies=[_WRITE],
)
async def change_segment(segment_id: UUID, body: SegmentUpdate, segments: Segments) -> Segment:
    """Rename a segment or ask something else."""
    return await segments.change(segment_id, body)


@router.delete(
    "/{segment_id}",
    status_code=204,
    responses=problems(SegmentNotFound),
    dependencies=[_MANAGE],
)
async def delete_segment(segment_id: UUID, segments: Segments) -> None:
    """Forget a segment; its contacts stay."""
    await segments.delete(segment_id)


@scores_router.get("", dependencies=[_READ])
async def list_score_rules(scores: Scores, page: Paging) -> PageRead[ScoreRuleRead]:
    """What gives contacts points, newest first."""
    return PageRead[ScoreRuleRead].model_validate(await scores.page(page))


@scores_router.post(
    "",
    status_code=201,
    response_model=ScoreRuleRead,
    responses=problems(ScoreRuleNameTaken, ScoreRuleCircular, IdempotencyKeyReused),
    dependencies=[_MANAGE, Idempotent],
)
async def create_score_rule(body: ScoreRuleCreate, scores: Scores) -> ScoreRule:
    """Add a rule; everybody is scored anew with it."""
    return await scores.create(body)


@scores_router.patch(
    "/{rule_id}",
    response_model=ScoreRuleRead,
    responses=problems(ScoreRuleNotFound, ScoreRuleNameTaken, ScoreRuleCircular),
    dependencies=[_MANAGE],
)
async def change_score_rule(rule_id: UUID, body: ScoreRuleUpdate, scores: Scores) -> ScoreRule:
    """Change a rule or switch it off; everybody is scored anew."""
    return await scores.change(rule_id, body)


@scores_router.delete(
    "/{rule_id}",
    status_code=204,
    responses=problems(ScoreRuleNotFound),
    dependencies=[_MANAGE],
)
async def delete_score_rule(rule_id: UUID, scores: Scores) -> None:
    """Take a rule away; everybody is scored anew without it."""
    await scores.delete(rule_id)


@scores_router.post("/recompute", response_model=RescoreRead, dependencies=[_MANAGE])
async def recompute_scores(scores: Scores) -> dict[str, int]:
    """Score everybody anew now: what counts days changes by itself. A job can do it daily."""
    return {"changed": await scores.rescore()}


@audience_router.get("/statistics", response_model=StatisticsRead, dependencies=[_READ])
async def contact_statistics(segments: Segments) -> dict[str, Any]:
    """How many contacts there are, where they stand, and when they were last heard of."""
    return await segments.statistics()


@audience_router.post(
    "/bulk",
    response_model=BulkRead,
    responses=problems(SegmentNotFound, IdempotencyKeyReused),
    dependencies=[_MANAGE, Idempotent],
)
async def change_contacts(body: BulkChange, segments: Segments) -> BulkDone:
    """Tag, untag or move many contacts at once: by id, or all of a segment."""
    return await segments.change_many(body)
