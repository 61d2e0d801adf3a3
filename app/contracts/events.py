"""What an event is: a fact in the past tense, told across domains as rows of one transaction."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """A fact, named in the past tense; immutable and JSON-serialisable."""

    model_config = ConfigDict(frozen=True)

    name: ClassVar[str]
    """``domain.fact``: the audit action, the realtime event type, the outbound webhook type."""
    resource: ClassVar[str]
    """What kind of thing it happened to, e.g. ``order``."""
    topic: ClassVar[str | None] = None
    """Realtime topic that hears it; None: nobody watches this live."""

    @property
    def resource_id(self) -> UUID | None:
        """Id of the thing it happened to, read from ``<resource>_id``."""
        found: UUID | None = getattr(self, f"{self.resource}_id", None)
        return found
