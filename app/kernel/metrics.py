"""GET /metrics in Prometheus' text format (exposition format 0.0.4), for who may scrape.

Requests, pools, the loop and vendors are this process's own: scrape every process (one per
container, or a port each) and sum. Jobs are counted in the database, alike in every process: take
their max. The numbers lie in memory anyway, so writing them needs no library; labels are
bounded: path templates, never paths, and no tenants.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from fastapi import APIRouter, Request, Response

from app.core.problems import Forbidden, problems
from app.core.vitals import BOUNDS_S, Requests, Vitals
from app.kernel.access import public
from app.kernel.request import Meta
from app.kernel.work import Runtime, runtime_of

router = APIRouter(tags=["health"])
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = dict[str, str]
Sample = tuple[Labels, float]

_JOBS = """
SELECT entrypoint, status::text AS status, count(*) AS jobs,
  coalesce(extract(epoch FROM max(now() - greatest(execute_after, created))
    FILTER (WHERE execute_after <= now())), 0)::float8 AS age
FROM pgqueuer GROUP BY 1, 2 ORDER BY 1, 2
"""


class MetricsClosed(Forbidden):
    code = "metrics-closed"
    title = "Metrics need METRICS_TOKEN as Bearer, or a request from the machine itself."


@router.get(
    "/metrics",
    dependencies=[public()],
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus' text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **problems(MetricsClosed),
    },
)
async def read_metrics(request: Request) -> Response:
    """Counters and gauges of this process, and the job queue."""
    runtime = runtime_of(request)
    token = runtime.settings.metrics_token.get_secret_value()
    if not may_scrape(request.scope["meta"], token):
        raise MetricsClosed()
    lines = [*_requests(runtime.vitals.requests), *_own(runtime), *await _jobs(runtime)]
    return Response("\n".join(lines) + "\n", media_type=MEDIA_TYPE)


def may_scrape(meta: Meta, token: str) -> bool:
    """With a token: who sends it. Without: this machine, unless a proxy speaks for another."""
    if token:
        given = meta.headers.get(b"authorization", b"")
        return hmac.compare_digest(given, b"Bearer " + token.encode())
    if b"x-forwarded-for" in meta.headers or b"forwarded" in meta.headers:
        return False
    try:
        return ip_address(meta.client_ip).is_loopback
    except ValueError:
        return False


def _requests(seen: Requests) -> Iterator[str]:
    name = "largo_http_request_seconds"
    yield f"# HELP {name} Time until the answer was sent, by path template."
    yield f"# TYPE {name} histogram"
    for (method, route, status), row in sorted(seen.counts.items()):
        labels = {"method": method, "route": route, "status": str(status)}
        total = 0
        for bound, count in zip((*BOUNDS_S, "+Inf"), row, strict=False):
            total += int(count)
            yield _line(f"{name}_bucket", {**labels, "le": str(bound)}, total)
        yield _line(f"{name}_sum", labels, row[-1])
        yield _line(f"{name}_count", labels, total)


def _own(runtime: Runtime) -> Iterator[str]:
    vitals = runtime.vitals
    yield from _family("largo_event_loop_lag_seconds", "gauge", _lag(vitals))
    yield from _family("largo_redis_up", "gauge", [({}, float(runtime.bus.connected))])
    yield from _family("largo_pool_connections", "gauge", _pools(runtime))
    beat = vitals.beaten_s_ago()
    if beat is not None:
        yield from _family("largo_worker_beat_age_seconds", "gauge", [({}, beat)])
    calls = [
        ({"vendor": name, "outcome": "ok" if ok else "failed"}, float(count))
        for name, vendor in sorted(vitals.vendors.items())
        for ok, count in vendor.calls.items()
    ]
    yield from _family("largo_vendor_calls_total", "counter", calls)
    breaches = [({"invariant": name}, float(n)) for name, n in sorted(vitals.findings.items())]
    yield from _family("largo_invariant_breaches_total", "counter", breaches)


def _lag(vitals: Vitals) -> list[Sample]:
    worst, vitals.worst_lag_s = vitals.worst_lag_s, 0.0
    return [({"kind": "last"}, vitals.lag_s), ({"kind": "worst"}, worst)]


def _pools(runtime: Runtime) -> list[Sample]:
    return [
        ({"pool": pool, "state": state}, value)
        for pool, states in runtime.database.pools().items()
        for state, value in states.items()
    ]


async def _jobs(runtime: Runtime) -> list[str]:
    """Depth and age of the queue by kind; ``failed`` jobs are the dead ones held for a person."""
    async with runtime.database.system_driver() as driver:
        rows = await driver.fetch(_JOBS)
    depth = [
        ({"entrypoint": row["entrypoint"], "status": row["status"]}, float(row["jobs"]))
        for row in rows
    ]
    waiting = [row for row in rows if row["status"] == "queued"]
    due = [({"entrypoint": row["entrypoint"]}, row["age"]) for row in waiting]
    return [
        *_family("largo_jobs", "gauge", depth),
        *_family("largo_jobs_oldest_due_seconds", "gauge", due),
    ]


def _family(name: str, kind: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield _line(name, labels, value)


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
