"""Traces in OpenTelemetry's format, sent to a collector over OTLP/HTTP.

Loaded only when a collector is configured: everybody else holds ``None`` instead of ``Spans``.
A span tells methods, path templates, statuses, names of jobs and vendors, and the tenant's id;
never a URL (some vendors put the token in it), an address, a message of an exception or a payload.
Sampling, headers and batches follow the standard ``OTEL_*`` variables, which the SDK reads itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Token
from threading import Timer
from uuid import UUID

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_W3C = TraceContextTextMapPropagator()
_HEADER = "traceparent"
CLOSING_S = 2.0

Facts = Mapping[str, str]


class Request:
    """The span of one request, current from its first step to its last."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._token: Token[Context] = contexts.attach(trace.set_span_in_context(span))

    def end(self, method: str, route: str, status: int, tenant_id: UUID | None) -> None:
        """Name it by its path template and let it go; 5xx and no answer at all are errors."""
        known = method if method in _METHODS else "_OTHER"
        self._span.update_name(f"{known} {route}")
        self._span.set_attributes(
            {"http.request.method": known, "http.route": route, "http.response.status_code": status}
        )
        if tenant_id is not None:
            self._span.set_attribute("largo.tenant_id", str(tenant_id))
        if status == 0 or status >= 500:
            self._span.set_status(StatusCode.ERROR)
        contexts.detach(self._token)
        self._span.end()


class Transaction:
    """The span of one Work's transaction; nothing is a child of it."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def end(self, *, is_committed: bool) -> None:
        """Say how it ended; a rollback is an outcome and not an error."""
        outcome = "committed" if is_committed else "rolled back"
        self._span.set_attribute("largo.transaction", outcome)
        self._span.end()


class Spans:
    """Makes spans and sends them in batches, from a thread of its own."""

    def __init__(self, endpoint: str, service: str, version: str) -> None:
        resource = Resource.create({"service.name": service, "service.version": version})
        # Closed with the process's other things, and not by an exit handler of the SDK.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("largo")

    def close(self) -> None:
        """Send what is left, for as long as ``CLOSING_S``; blocks."""
        # A collector that is away would hold up the end of the process for all of its retries.
        cut = Timer(CLOSING_S, self._exporter.shutdown)
        cut.start()
        self._provider.shutdown()
        cut.cancel()

    def request(self, traceparent: str | None) -> Request:
        """Begin a request's span, in the caller's trace when one is named (W3C Trace Context)."""
        span = self._tracer.start_span("request", _remote(traceparent), SpanKind.SERVER)
        return Request(span)

    def transaction(self) -> Transaction | None:
        """Begin a transaction's span; None outside of anything traced, such as the beat."""
        if not trace.get_current_span().is_recording():
            return None
        facts = {"db.system.name": "postgresql"}
        return Transaction(self._tracer.start_span("transaction", attributes=facts))

    @contextmanager
    def job(
        self,
        name: str,
        facts: Facts,
        delivery: int,
        traceparent: str | None,
        expected: type[Exception],
    ) -> Iterator[None]:
        """The span of one run of a job, in the trace of whatever queued it.

        ``expected`` is what a job raises without having failed.
        """
        with self._current(f"job {name}", SpanKind.CONSUMER, facts, traceparent) as span:
            span.set_attribute("largo.delivery", delivery)
            try:
                yield
            except expected:
                raise
            except Exception as error:
                _fail(span, error)
                raise

    @contextmanager
    def call(self, method: str, vendor: str, host: str) -> Iterator[Span]:
        """The span of one call to a vendor, until its answer begins."""
        facts = {"http.request.method": method, "server.address": host, "largo.vendor": vendor}
        with self._current(f"{method} {vendor}", SpanKind.CLIENT, facts, None) as span:
            try:
                yield span
            except Exception as error:
                _fail(span, error)
                raise

    def traceparent(self) -> str | None:
        """The current span for whoever goes on with it; None when nothing is traced here."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier.get(_HEADER)

    @contextmanager
    def _current(
        self, name: str, kind: SpanKind, facts: Facts, traceparent: str | None
    ) -> Iterator[Span]:
        with self._tracer.start_as_current_span(
            name,
            _remote(traceparent),
            kind,
            facts,
            # The SDK would record the exception's message, and that may name a person.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span


def _remote(traceparent: str | None) -> Context | None:
    """The context that a header names, without its state; an ill-formed one names none."""
    return _W3C.extract({_HEADER: traceparent}) if traceparent else None


def _fail(span: Span, error: Exception) -> None:
    span.set_status(StatusCode.ERROR)
    span.set_attribute("error.type", type(error).__name__)
