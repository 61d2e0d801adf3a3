"""HTTP for the counter: board, notes, timeline, paper, export."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse

from app.commerce.counter.printing import CodePage, Width, escpos, page
from app.commerce.counter.problems import NoteNotFound
from app.commerce.counter.schemas import BoardRead, NoteIn, TimelineRead
from app.commerce.counter.service import CounterService, export
from app.commerce.orders.asking import Filter
from app.commerce.orders.problems import OrderNotFound
from app.commerce.orders.schemas import NoteRead
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.work import Works, service

router = APIRouter(
    prefix="/api/v1/admin/orders", tags=["orders (staff)"], route_class=ReplayableRoute
)
Counter = Annotated[CounterService, service(CounterService)]
READ = require_module("commerce", "orders:read")
Columns = Annotated[Width, Query(description="Characters per line: 58 mm paper 32, 80 mm 48.")]

_PAPER = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
"""Allows the page its own style and nothing else, whatever a customer typed."""


def _file(kind: str, text: str) -> dict[int | str, dict[str, object]]:
    return {200: {"description": text, "content": {kind: {"schema": {"type": "string"}}}}}


@router.get("/board", dependencies=[READ])
async def read_board(
    counter: Counter,
    store_id: UUID | None = None,
    each: Annotated[int, Query(ge=0, le=50, description="Newest orders per status.")] = 10,
) -> BoardRead:
    """Open orders by store and status: how many, how many late, and the newest."""
    return await counter.board(store_id, each)


@router.get(
    "/export", dependencies=[READ], response_class=Response, responses=_file("text/csv", "CSV.")
)
async def export_orders(works: Works, only: Filter) -> StreamingResponse:
    """The filtered list as a CSV file, streamed; the export itself is audited."""
    return StreamingResponse(
        await export(works, only),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="pedidos.csv"'},
    )


@router.get("/{order_id}/timeline", dependencies=[READ], responses=problems(OrderNotFound))
async def read_timeline(order_id: UUID, counter: Counter) -> TimelineRead:
    """Status changes, edits, payments, messages and notes in one list, oldest first."""
    return await counter.timeline(order_id)


@router.get(
    "/{order_id}/print",
    dependencies=[READ],
    response_class=HTMLResponse,
    responses=_file("text/html", "A page for 80 mm paper.") | problems(OrderNotFound),
)
async def print_order(
    request: Request, order_id: UUID, counter: Counter, width: Columns = Width.WIDE
) -> HTMLResponse:
    """The order as a page to print from the browser."""
    number, lines = await counter.ticket(order_id, width)
    request.scope["meta"].content = "file"
    return HTMLResponse(page(lines, f"Pedido {number}"), headers=_PAPER)


@router.get(
    "/{order_id}/ticket",
    dependencies=[READ],
    response_class=Response,
    responses=_file("application/octet-stream", "ESC/POS bytes.") | problems(OrderNotFound),
)
async def print_ticket(
    order_id: UUID,
    counter: Counter,
    width: Columns = Width.WIDE,
    code_page: Annotated[CodePage, Query(description="What the printer is set to.")] = "cp860",
) -> Response:
    """The order as bytes for a thermal printer."""
    _, lines = await counter.ticket(order_id, width)
    return Response(escpos(lines, code_page), media_type="application/octet-stream")


@router.post(
    "/{order_id}/notes",
    status_code=201,
    dependencies=[require_module("commerce", "orders:update"), Idempotent],
    responses=problems(OrderNotFound),
)
async def write_note(order_id: UUID, body: NoteIn, counter: Counter) -> NoteRead:
    """Tell the other staff something about an order; the customer never sees it."""
    return NoteRead.model_validate(await counter.note(order_id, body.body))


@router.delete(
    "/{order_id}/notes/{order_note_id}",
    status_code=204,
    dependencies=[require_module("commerce", "orders:update")],
    responses=problems(NoteNotFound),
)
async def remove_note(order_id: UUID, order_note_id: UUID, counter: Counter) -> None:
    """Take a note away; the audit trail keeps what it said."""
    await counter.remove_note(order_id, order_note_id)
