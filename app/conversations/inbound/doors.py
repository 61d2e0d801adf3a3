"""Whose a number is and which secrets guard it, remembered by each process until a bell rings."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from app.conversations.inbound.schemas import Door
from app.conversations.numbers.models import APP_SECRET, APP_SECRET_PREVIOUS, VERIFY_TOKEN
from app.core.crypto import Sealed, SecretUnreadable
from app.kernel.work import Runtime

TOPIC = "whatsapp_numbers"
"""Rung by whoever adds, changes or removes a number."""
_FRESH_S = 30.0
"""A lost ring costs at most this long."""
_MOST = 20_000
_COLUMNS = """
SELECT n.tenant_id, n.id, n.phone_number_id, n.waba_id, n.app_secret, n.app_secret_previous,
  n.verify_token
FROM whatsapp_numbers n
JOIN whatsapp_routes r ON r.owner_id = n.tenant_id AND r.phone_number_id = n.phone_number_id
"""
_BY = {
    "phone": _COLUMNS + "WHERE r.phone_number_id = $1",
    "account": _COLUMNS + "WHERE r.waba_id = $1",
    "tenant": _COLUMNS + "WHERE r.owner_id = $1::text::uuid",
}


class Doors:
    """One per process; ``of`` makes it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._known: dict[tuple[str, str], tuple[float, tuple[Door, ...]]] = {}
        runtime.bus.listen(TOPIC, lambda key: self._known.clear())

    @classmethod
    def of(cls, runtime: Runtime) -> Doors:
        found = runtime.caches.get("whatsapp.doors")
        if not isinstance(found, cls):
            found = runtime.caches["whatsapp.doors"] = cls(runtime)
        return found

    async def named(self, phones: Iterable[str], accounts: Iterable[str]) -> list[Door]:
        """The doors of these numbers, and of every number of these accounts."""
        asked = [("phone", p) for p in phones] + [("account", a) for a in accounts]
        found: dict[str, Door] = {}
        for kind, value in asked:
            found |= {door.phone_number_id: door for door in await self._behind(kind, value)}
        return list(found.values())

    async def of_tenant(self, tenant_id: UUID) -> tuple[Door, ...]:
        """Every door of a tenant."""
        return await self._behind("tenant", str(tenant_id))

    async def _behind(self, kind: str, value: str) -> tuple[Door, ...]:
        known = self._known.get((kind, value))
        if known is not None and known[0] > time.monotonic():
            return known[1]
        async with self._runtime.database.system_driver() as driver:
            rows = await driver.fetch(_BY[kind], value)
        doors = tuple(self._door(dict(row)) for row in rows)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[kind, value] = time.monotonic() + _FRESH_S, doors
        return doors

    def _door(self, row: Mapping[str, Any]) -> Door:
        secrets = (self._opened(row, APP_SECRET), self._opened(row, APP_SECRET_PREVIOUS))
        return Door(
            row["tenant_id"],
            row["phone_number_id"],
            row["waba_id"],
            tuple(secret for secret in secrets if secret is not None),
            self._opened(row, VERIFY_TOKEN) or SecretStr(""),
        )

    def _opened(self, row: Mapping[str, Any], sealed: Sealed) -> SecretStr | None:
        envelope = row[sealed.column]
        if not envelope:
            return None
        try:
            plain = self._runtime.vault.decrypt(envelope, *sealed.bound_to(row))
        except SecretUnreadable:
            return None  # the number's health shows it; the others' deliveries come in
        return SecretStr(plain) if plain else None
