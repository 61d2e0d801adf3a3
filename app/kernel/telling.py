"""What a request or a job step has to tell: audit lines, live-stream rows, jobs, its own answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from app.contracts.events import Event
from app.core.clock import now
from app.core.ids import new_id
from app.kernel.tenancy import TenantContext

if TYPE_CHECKING:
    from app.kernel.work import Actor, Runtime

WEBHOOK_FAN_OUT = "kernel.webhooks.fan_out"
NOTICE_FAN_OUT = "kernel.notifications.fan_out"
_FAN_OUTS = (NOTICE_FAN_OUT, WEBHOOK_FAN_OUT)
JOBS, EVERYBODY = "jobs", "*"
"""The doorbell that wakes workers, whosesoever the job is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered, kept under its Idempotency-Key."""

    key: str
    fingerprint: bytes
    status: int
    media_type: str
    body: bytes


class Telling:
    """What one request or job step has to tell, gathered until it is written.

    A :class:`UnitOfWork` writes it with its own commit; a statement that is a whole transaction
    in itself takes it along as ``told``.
    """

    def __init__(self, runtime: Runtime, tenant: TenantContext, actor: Actor) -> None:
        self.runtime, self.tenant, self.actor = runtime, tenant, actor
        self._audit: list[dict[str, Any]] = []
        self._stream: list[dict[str, Any]] = []
        self._jobs: list[dict[str, Any]] = []
        self._rings: dict[tuple[str, str], None] = {}
        self._answer: Answer | None = None

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """What is told inside is forgotten when the block fails, as its savepoint is."""
        rooms: tuple[list[Any], ...] = (self._audit, self._stream, self._jobs)
        lengths = [len(room) for room in rooms]
        try:
            yield
        except BaseException:
            for room, length in zip(rooms, lengths, strict=True):
                del room[length:]
            raise

    def publish(self, event: Event) -> None:
        """Tell a fact: an audit line, a live-stream row and one job per subscriber."""
        data = event.model_dump(mode="json")
        line = _line(event.name, event.resource, event.resource_id, data)
        self._audit.append(line)
        if event.topic is not None:
            self._show(line["id"], event.topic, event.name, data)
        # These ride in the commit's one statement; what nobody hears costs nothing at all. Who
        # hears is read by the job: reading it here would cost each checkout a trip.
        for entrypoint in self._heard(self.runtime.subscribers.get(type(event), ())):
            self.enqueue(entrypoint, data)
        is_notice = event.name in self.runtime.notices
        if heard := self._heard(_FAN_OUTS if is_notice else _FAN_OUTS[1:]):
            told = {"event_id": new_id(), "type": event.name, "at": now(), "data": data}
            for entrypoint in heard:
                self.enqueue(entrypoint, told)

    def _heard(self, entrypoints: Sequence[str]) -> list[str]:
        return [name for name in entrypoints if name not in self.tenant.unheard]

    def show(self, user_id: UUID, topic: str, type_: str, data: dict[str, Any]) -> None:
        """A live-stream row for one member alone; no audit line, no subscribers."""
        self._show(new_id(), f"{topic}:{user_id}", type_, data)

    def _show(self, id_: UUID, topic: str, type_: str, data: dict[str, Any]) -> None:
        self._stream.append({"id": id_, "topic": topic, "type": type_, "data": data})
        self.ring("stream")

    def record(self, action: str, resource: str, resource_id: UUID | None, **facts: Any) -> None:
        """Write an audit line for a change that nobody else needs to hear of."""
        self._audit.append(_line(action, resource, resource_id, facts))

    def enqueue(
        self,
        entrypoint: str,
        payload: dict[str, Any],
        *,
        delay: timedelta | None = None,
        dedupe_key: str | None = None,
        priority: int = 0,
    ) -> None:
        """Queue a job of this tenant; it becomes visible with the commit, or never.

        A dedupe key also covers jobs being run: a signal that must not be missed carries its own
        id in the key (DESIGN §9, rule 3).
        """
        self.ring(JOBS, EVERYBODY)
        queued: dict[str, Any] = {"tenant_id": str(self.tenant.id), "payload": payload}
        if self.runtime.spans is not None:
            queued["traceparent"] = self.runtime.spans.traceparent()
        body = orjson.dumps(queued, default=str)
        self._jobs.append(
            {
                "entrypoint": entrypoint,
                "payload": body.decode(),
                "priority": priority,
                "delay": delay.total_seconds() if delay else 0,
                "dedupe_key": f"{self.tenant.id}:{entrypoint}:{dedupe_key}" if dedupe_key else None,
            }
        )

    def ring(self, topic: str, key: str | None = None) -> None:
        """After the commit, tell every process to look again; the key is the tenant's id."""
        self._rings[topic, key or str(self.tenant.id)] = None

    def keep_answer(self, answer: Answer) -> None:
        """Store what this request is answered, for a retry with the same key."""
        self._answer = answer

    def told(self) -> bytes:
        """All of it as the document that ``finish_work`` reads; rooms that are empty are absent."""
        actor = self.actor
        document: dict[str, Any] = {
            "actor_kind": actor.kind,
            "actor_id": actor.id,
            "actor_name": actor.name,
            "request_id": actor.request_id,
            "ip": actor.ip,
            "user_agent": actor.user_agent,
            "answer_id": new_id(),
            "audit": self._audit,
        }
        if actor.impersonator_id is not None:
            document["impersonator_id"] = actor.impersonator_id
            document["impersonator_name"] = actor.impersonator_name
        if self._stream:
            document["stream"] = self._stream
        if self._jobs:
            document["jobs"] = self._jobs
        return orjson.dumps(document, default=str)

    def after_commit(self) -> None:
        """Ring the doorbells; a lost ring costs a delay, never data."""
        for topic, key in self._rings:
            self.runtime.bus.ring_soon(topic, key)


def _line(action: str, resource: str, resource_id: UUID | None, facts: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "action": action,
        "resource": resource,
        "resource_id": resource_id,
        "facts": facts,
    }
