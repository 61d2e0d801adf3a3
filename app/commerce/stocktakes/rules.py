"""What a count found, and what closing it does to the levels; no I/O.

A line keeps what the books said when it was counted. What is sold between counting and closing
leaves shelf and books alike, so closing applies the difference and never the number counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Counted:
    """A counted line and its level, which is locked."""

    line_id: UUID
    item_kind: str
    item_id: UUID
    expected: int
    counted: int
    on_hand: int

    @property
    def change(self) -> int:
        """What closing does to the level, which sales may have taken below a loss meanwhile."""
        return max(self.counted - self.expected, -self.on_hand)


@dataclass(frozen=True, slots=True)
class Summary:
    """A count at a glance; ``surplus`` and ``missing`` are units above and below the books."""

    lines: int
    counted: int
    differing: int
    surplus: int
    missing: int


@dataclass(frozen=True, slots=True)
class LineView:
    id: UUID
    item_kind: str
    item_id: UUID
    item_name: str
    opened_on_hand: int
    expected: int | None
    counted: int | None
    counted_at: datetime | None
    counted_by: str | None
    applied: int | None

    @property
    def difference(self) -> int | None:
        if self.counted is None or self.expected is None:
            return None
        return self.counted - self.expected
