"""GET /events: one multiplexed live stream per member, with resume."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from app.core.problems import Invalid, problems
from app.kernel.access import ActionNotAllowed, tenant_member
from app.kernel.realtime.rules import TOPICS, unknown
from app.kernel.realtime.service import EventStream, Feed, Streams, TooManyStreams
from app.kernel.work import Works

router = APIRouter(prefix="/api/v1/events", tags=["realtime"])


@router.get(
    "",
    dependencies=[tenant_member()],
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events; `id` is the cursor for Last-Event-ID or ?after=.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problems(TooManyStreams, ActionNotAllowed, Invalid),
    },
)
async def stream_events(
    request: Request,
    works: Works,
    topics: Annotated[
        str, Query(description="Comma-separated topics, e.g. orders,notices; empty: all.")
    ] = "",
    after: Annotated[int | None, Query(ge=0, description="Resume after this id.")] = None,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> EventStream:
    """The tenant's live events as they commit; a client that lost the line resumes where it was.

    Without ``topics`` everything that the member may read is told.
    """
    meta = request.scope["meta"]
    wanted = frozenset(t.strip() for t in topics.split(",") if t.strip())
    strange = unknown(wanted)
    if strange:
        detail = f"Unknown: {', '.join(strange)}. There are {', '.join(TOPICS)}."
        raise Invalid(errors=[{"pointer": "?topics", "detail": detail}])
    streams: Streams = request.app.state.streams
    seat = await streams.enter(meta.identity, meta.tenant)
    silent = sorted(wanted - seat.audible)
    if silent:
        seat.leave()
        raise ActionNotAllowed(f"You may not read {', '.join(silent)}.")
    given = last_event_id or ""
    cursor = int(given[:20]) if given.isascii() and given.isdecimal() else after
    return EventStream(
        Feed(works, streams, seat, wanted or frozenset(TOPICS)), cursor, streams, seat
    )
