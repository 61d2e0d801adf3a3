"""Which encryption keys a backup hangs on: named and recognisable in it, never inside it."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, SecretStr

from app.core.crypto import Sealed
from app.core.database import RawConnection
from app.core.settings import Secrets

_IS_THERE = """
SELECT EXISTS (SELECT FROM pg_attribute
  WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped)
"""


class KeyUse(BaseModel):
    """What one key seals."""

    values: int
    fingerprint: str | None
    """Recognises the key; None when the one who made the backup did not have it."""


async def uses(
    connection: RawConnection, sealed: Sequence[Sealed], ring: Sequence[SecretStr]
) -> dict[str, KeyUse]:
    """By key id, what hangs on it."""
    counted: Counter[str] = Counter()
    for column in sealed:
        if not await connection.fetchval(_IS_THERE, column.table, column.column):
            continue  # a schema that awaits its migration is backed up, too
        for row in await connection.fetch(_statement(column)):
            counted[row["kid"]] += row["held"]
    known = fingerprints(ring)
    return {
        kid: KeyUse(values=held, fingerprint=known.get(kid))
        for kid, held in sorted(counted.items())
    }


def fingerprints(ring: Sequence[SecretStr]) -> dict[str, str]:
    """By key id, what recognises the key; 64 bits of a MAC tell nothing of a random key."""
    pairs = (Secrets.key_pair(entry) for entry in ring)
    return {kid: hmac.digest(key, b"largo backup", "sha256").hex()[:16] for kid, key in pairs}


def warnings(needed: Mapping[str, KeyUse], ring: Sequence[SecretStr]) -> list[str]:
    """A sentence per key without which stored secrets will not open here."""
    held = fingerprints(ring)
    told = []
    for kid, use in needed.items():
        what = f"{use.values:,} stored secrets (vendors' keys, second factors, webhooks)"
        if kid not in held:
            told.append(f"{what} are sealed with key {kid!r}, which ENCRYPTION_KEYS lacks.")
        elif use.fingerprint is not None and use.fingerprint != held[kid]:
            told.append(f"{what} are sealed with another key {kid!r} than that of ENCRYPTION_KEYS.")
    return told


def _statement(sealed: Sealed) -> str:
    # The names are ours, never a caller's.
    values = f"SELECT {sealed.column} AS envelope FROM {sealed.table}"  # noqa: S608
    if sealed.in_object:
        values = (
            f"SELECT e.value AS envelope FROM {sealed.table}, "  # noqa: S608
            f"jsonb_each_text({sealed.column}) e"
        )
    return (
        "SELECT split_part(v.envelope, '.', 2) AS kid, count(*) AS held "  # noqa: S608
        f"FROM ({values}) v WHERE v.envelope LIKE 'v2.%' GROUP BY 1"
    )
