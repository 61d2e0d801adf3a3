"""uvicorn's HTTP protocol, which asks the application first whether the answer is ready.

Why: a warm catalogue answer takes the layers some 5 us; the task, the cycle of ASGI messages and
the checks of headers that are ours anyway take uvicorn three times that. So ``Layers.answer_now``
is asked before a task is made, and what it has is written at once. Everything else, and whatever
this server was not started with (``uvicorn --http app.server:ReadyProtocol``), goes the usual way
to the same answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from app.kernel.request import Headers

log = logging.getLogger(__name__)


class ReadyProtocol(HttpToolsProtocol):
    """See the module."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Behind a middleware of uvicorn's (proxy headers) there is none: it has to see all.
        self._answer_now: Callable[[Scope], tuple[int, Headers, bytes] | None] | None
        self._answer_now = getattr(self.app, "answer_now", None)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Answer now, if that is possible; else what uvicorn does.

        Pipelined requests wait their turn in ``self.pipeline``: while any does, tasks keep the
        order, and no chain of ready answers can grow into a deep recursion.
        """
        may = (
            self._answer_now is not None
            and app is self.app
            and not self.pipeline
            and not self.flow.write_paused
        )
        found = self._ready(cycle) if may else None
        if found is None:
            super()._start_asgi_task(cycle, app)
            return
        status, headers, body = found
        head = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            head += (name, b": ", value, b"\r\n")
        head.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
        self.transport.writelines((b"".join(head), body))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _ready(self, cycle: RequestResponseCycle) -> tuple[int, Headers, bytes] | None:
        try:
            scope: Scope = cycle.scope  # type: ignore[assignment]
            return self._answer_now(scope) if self._answer_now is not None else None
        except Exception:
            # The usual way meets the same trouble, and knows how to answer for it.
            log.exception("server.not_ready")
            cycle.scope.pop("meta", None)  # type: ignore[typeddict-item]
            return None
