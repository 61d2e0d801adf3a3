"""GET /events: one multiplexed live stream per member, with resume."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from app.core.problems import problems
from app.kernel.access import tenant_member
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
        **problems(TooManyStreams),
    },
)
async def stream_events(
    request: Request,
    works: Works,
    topics: Annotated[
        str, Query(description="Comma-separated topics, e.g. orders,catalog; empty: all.")
    ] = "",
    after: Annotated[int | None, Query(ge=0, description="Resume after this id.")] = None,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> EventStream:
    """The tenant's live events as they commit; a client that lost the line resumes where it was."""
    meta = request.scope["meta"]
    identity = meta.identity
    streams: Streams = request.app.state.streams
    streams.enter(identity.user_id, identity.tenant_id)
    cursor = int(last_event_id) if last_event_id and last_event_id.isdigit() else after
    wanted = frozenset(t.strip() for t in topics.split(",") if t.strip())

    async def still_allowed() -> object:
        return await request.app.state.sessions.identity(identity)

    return EventStream(
        Feed(works, streams, identity.tenant_id, wanted).events(cursor),
        streams,
        still_allowed,
        lambda: streams.leave(identity.user_id, identity.tenant_id),
    )
