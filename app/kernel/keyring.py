"""API keys as each process knows them: secret to what it may do, cached one second like sessions.

The look-up also notes the key's use, in the same statement and at most once a minute: a busy
integration costs no write of its own. A key never does more than the member who made it may do
now: who is demoted or leaves takes their keys along.
"""

from __future__ import annotations

import time
from typing import Any

from app.core.crypto import token_hash
from app.core.database import Database
from app.core.redis import Bus
from app.kernel.identity import GROUP_GRANTS, KEY_PREFIX, TOPIC, Identity, KeyFacts

_CACHED_S = 1.0
_PROVEN_S = 900.0
_SIZE = 10_000

# SKIP LOCKED: who revokes the key holds its row, and a request is not to wait for that.
_FIND = f"""
WITH found AS (
  SELECT k.tenant_id, k.id, k.name, k.prefix, k.scopes, u.id AS user_id, u.email,
    u.name AS user_name, u.role, {GROUP_GRANTS} AS grants
  FROM api_keys k JOIN users u ON u.tenant_id = k.tenant_id AND u.id = k.created_by
  WHERE k.key_hash = $1 AND k.revoked_at IS NULL AND u.is_active
    AND (k.expires_at IS NULL OR k.expires_at > now())
), stale AS (
  SELECT k.tenant_id, k.id FROM api_keys k JOIN found f USING (tenant_id, id)
  WHERE k.last_used_at IS NULL OR k.last_used_at < now() - interval '60 seconds'
  FOR UPDATE OF k SKIP LOCKED
), used AS (
  UPDATE api_keys k SET last_used_at = now() FROM stale s
  WHERE k.tenant_id = s.tenant_id AND k.id = s.id
)
SELECT * FROM found
"""  # noqa: S608 - joined from our own text


class Keyring:
    """Live API keys; ``identity`` is asked by the gates and by whoever looks for the tenant."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._cache: dict[bytes, tuple[float, Identity]] = {}
        self._proven: dict[bytes, float] = {}
        bus.listen(TOPIC, lambda key: self._cache.clear())

    async def identity(self, secret: str) -> Identity | None:
        """What a live key may do and for whom; None for every other text."""
        if not secret.startswith(KEY_PREFIX):
            return None
        digest, at = token_hash(secret), time.monotonic()
        hit = self._cache.get(digest)
        if hit is not None and hit[0] > at:
            return hit[1]
        async with self._database.system_driver() as driver:
            row = await driver.fetchrow(_FIND, digest)
        if row is None:
            self._proven.pop(digest, None)
            return None
        if len(self._cache) >= _SIZE:
            self._cache.clear()
            self._proven.clear()
        found = _identity(row)
        self._cache[digest] = (at + _CACHED_S, found)
        self._proven[digest] = at + _PROVEN_S
        return found

    def is_proven(self, secret: str) -> bool:
        """Whether this text was a live key here a while ago: good enough to count its requests.

        It grants nothing; the gate asks again.
        """
        return self._proven.get(token_hash(secret), 0.0) > time.monotonic()


def _identity(row: Any) -> Identity:
    label = f"{row['name']} ({row['prefix']}…)"
    return Identity(
        row["user_id"],
        row["tenant_id"],
        row["id"],
        row["email"],
        row["user_name"],
        row["role"],
        frozenset(row["grants"]),
        KeyFacts(row["id"], label, frozenset(row["scopes"])),
    )
