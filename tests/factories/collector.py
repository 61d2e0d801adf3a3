"""A collector of traces: keeps what it is sent over OTLP/HTTP, read with the published schema."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.factories.receiver import Receiver, receiving, reply

SERVER, CLIENT, CONSUMER, ERROR = 2, 3, 5, 2
"""Span kinds and the status of an error, as numbered by opentelemetry-proto."""


@dataclass(frozen=True)
class Seen:
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    facts: dict[str, str | int]
    is_error: bool
    events: int


@dataclass
class Collector:
    receiver: Receiver

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.receiver.port}"

    @property
    def bytes(self) -> bytes:
        return b"".join(one.body for one in self.receiver.got)

    def spans(self, trace: str | None = None) -> list[Seen]:
        """Every span that came, of one trace or of all."""
        found = []
        for one in self.receiver.got:
            assert one.line.startswith("POST /v1/traces "), one.line
            assert one.headers["content-type"] == "application/x-protobuf"
            for resource in ExportTraceServiceRequest.FromString(one.body).resource_spans:
                names = {a.key: a.value.string_value for a in resource.resource.attributes}
                assert names["service.name"] == "largo"
                for scope in resource.scope_spans:
                    found += [_seen(span) for span in scope.spans]
        return [span for span in found if trace in (None, span.trace)]


def _seen(span: Span) -> Seen:
    facts: dict[str, str | int] = {}
    for one in span.attributes:
        is_text = one.value.WhichOneof("value") == "string_value"
        facts[one.key] = one.value.string_value if is_text else one.value.int_value
    return Seen(
        span.name,
        span.kind,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        facts,
        span.status.code == ERROR,
        len(span.events),
    )


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a free port, gone at the end."""
    async with receiving(lambda _: reply(200, b"")) as receiver:
        yield Collector(receiver)
