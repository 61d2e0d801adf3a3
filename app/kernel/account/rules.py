"""A member as they and their colleagues see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class MemberView:
    id: UUID
    email: str
    name: str
    role: str
    phone: str | None
    status: str
    status_at: datetime | None
    last_login_at: datetime | None
    created_at: datetime
    last_seen_at: datetime | None
    avatar_key: str | None
    department_ids: list[UUID]

    @property
    def avatar_url(self) -> str | None:
        return None if self.avatar_key is None else f"/media/{self.avatar_key}"
