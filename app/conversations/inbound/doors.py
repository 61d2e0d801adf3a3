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
_MOST, _MOST_AT_ONCE = 20_000, 1000
_COLUMNS = """
n.tenant_id, n.id, n.phone_number_id, n.waba_id, n.app_secret, n.app_secret_previous,
  n.verify_token
FROM whatsapp_numbers n
JOIN whatsapp_routes r ON r.owner_id = n.tenant_id AND r.phone_number_id = n.phone_number_id
"""
_BY = {
    "phone": f"SELECT r.phone_number_id AS name, {_COLUMNS} WHERE r.phone_number_id = ANY($1)",
    "account": f"SELECT r.waba_id AS name, {_COLUMNS} WHERE r.waba_id = ANY($1)",
    "tenant": f"SELECT r.owner_id::text AS name, {_COLUMNS} "
    "WHERE r.owner_id = ANY($1::text[]::uuid[])",
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
        doors = [*await self._behind("phone", phones), *await self._behind("account", accounts)]
        return list({door.phone_number_id: door for door in doors}.values())

    async def of_tenant(self, tenant_id: UUID) -> list[Door]:
        """Every door of a tenant."""
        return await self._behind("tenant", [str(tenant_id)])

    async def _behind(self, kind: str, names: Iterable[str]) -> list[Door]:
        """What is not known is read at once: whoever asks has proved nothing yet."""
        found: list[Door] = []
        unknown: dict[str, list[Door]] = {}
        for name in names:
            known = self._known.get((kind, name))
            if known is not None and known[0] > time.monotonic():
                found += known[1]
            else:
                unknown[name] = []
        if unknown:
            async with self._runtime.database.system_driver() as driver:
                rows = await driver.fetch(_BY[kind], list(unknown))
            for row in rows:
                unknown[row["name"]].append(self._door(dict(row)))
            self._remember(kind, unknown)
        return [*found, *(door for doors in unknown.values() for door in doors)]

    def _remember(self, kind: str, read: Mapping[str, list[Door]]) -> None:
        if len(read) > _MOST_AT_ONCE:
            return  # nobody's numbers: what is known is worth more
        if len(self._known) >= _MOST:
            self._known.clear()
        fresh_until = time.monotonic() + _FRESH_S
        for name, doors in read.items():
            self._known[kind, name] = fresh_until, tuple(doors)

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
