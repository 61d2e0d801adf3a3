"""What those who run the platform are told of its jobs."""

from __future__ import annotations

from app.contracts.notices import Wording
from app.contracts.platform import JobHeld


def held_notice(event: JobHeld) -> Wording:
    """A job that failed for good and waits for a person."""
    return Wording(
        f"Tarefa parada: {event.entrypoint}",
        f"A tarefa {event.number} do cliente {event.tenant_id or 'desconhecido'} falhou de vez: "
        f"{event.error}",
        "/central",
    )
