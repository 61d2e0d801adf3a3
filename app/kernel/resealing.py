"""Moves every sealed value to the first key of the ring, so that an older key can be retired.

Batches commit by themselves and a row is written only if its envelope is still the one that was
read: it may be killed and started again, and the application may write meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any
from uuid import UUID

import orjson

from app.core.crypto import Sealed, SecretUnreadable, Vault, kid_of
from app.core.database import Database, RawConnection

BATCH = 500
_START = UUID(int=0)


@dataclass(slots=True)
class Resealed:
    """What a run did; ``left`` counts rows that still hang on another key."""

    moved: int = 0
    unreadable: int = 0
    """Rows whose key left the ring: enter those secrets again, or bring the key back."""
    left: int = 0


class _Column:
    """The statements of one sealed column; the names are ours, never a caller's."""

    def __init__(self, sealed: Sealed, first: str) -> None:
        self.sealed = sealed
        table, column = sealed.table, sealed.column
        named = {n for c in sealed.contexts for _, n, _, _ in Formatter().parse(c) if n}
        self.scoped = "tenant_id" in named
        self.key = "tenant_id, id" if self.scoped else "id"
        kind = "jsonb" if sealed.in_object else "text"
        # A key id holds no quote: settings split the ring at ":" and ",", the rest is checked here.
        if not first.replace("-", "").replace("_", "").isalnum():
            raise ValueError("ENCRYPTION_KEYS: a key id is letters, digits, - and _")
        old = (
            f"EXISTS (SELECT FROM jsonb_each_text({column}) e WHERE {_kid('e.value')} <> '{first}')"
            if sealed.in_object
            else f"{_kid(column)} <> '{first}'"
        )
        columns = ", ".join(sorted({"id", *named} | ({"tenant_id"} if self.scoped else set())))
        after = "($1, $2)" if self.scoped else "$1"
        self.count = f"SELECT count(*) FROM {table} WHERE {old}"  # noqa: S608
        self.batch = (
            f"SELECT {columns}, {column}::text AS sealed_value FROM {table} "  # noqa: S608
            f"WHERE ({self.key}) > {after} AND {old} ORDER BY {self.key} LIMIT {BATCH}"
        )
        scope = "AND t.tenant_id = v.tenant_id " if self.scoped else ""
        self.write = (
            f"UPDATE {table} t SET {column} = v.fresh::{kind} "  # noqa: S608
            "FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) "
            "AS v(tenant_id, id, old, fresh) "
            f"WHERE t.id = v.id {scope}AND t.{column} = v.old::{kind}"
        )


def _kid(envelope: str) -> str:
    return f"split_part({envelope}, '.', 2)"


async def reseal_all(
    database: Database,
    vault: Vault,
    columns: Sequence[Sealed],
    progress: Callable[[int], object] = lambda _: None,
) -> Resealed:
    """Reseal what another key than the first one seals; ``progress`` hears of rows done."""
    told = Resealed()
    async with database.system_driver() as driver:
        for sealed in columns:
            column = _Column(sealed, vault.first)
            await _column(driver, vault, column, told, progress)
            told.left += await driver.fetchval(column.count)
    return told


async def count_old(database: Database, vault: Vault, columns: Sequence[Sealed]) -> int:
    """Rows that hang on another key than the first."""
    async with database.system_driver() as driver:
        return sum([await driver.fetchval(_Column(s, vault.first).count) for s in columns])


async def _column(
    driver: RawConnection,
    vault: Vault,
    column: _Column,
    told: Resealed,
    progress: Callable[[int], object],
) -> None:
    after: tuple[UUID, ...] = (_START, _START) if column.scoped else (_START,)
    while rows := await driver.fetch(column.batch, *after):
        changes: list[tuple[UUID, UUID, str, str]] = []
        for row in rows:
            try:
                fresh = _fresh(vault, column.sealed, row)
            except SecretUnreadable:
                told.unreadable += 1
                continue
            changes.append((row.get("tenant_id") or _START, row["id"], row["sealed_value"], fresh))
        if changes:
            done = await driver.execute(column.write, *map(list, zip(*changes, strict=True)))
            told.moved += int(done.rpartition(" ")[2])
        progress(len(rows))
        last = rows[-1]
        after = (last["tenant_id"], last["id"]) if column.scoped else (last["id"],)


def _fresh(vault: Vault, sealed: Sealed, row: Any) -> str:
    contexts = sealed.bound_to(row)
    if not sealed.in_object:
        return vault.reseal(row["sealed_value"], *contexts) or str(row["sealed_value"])
    values: dict[str, str] = orjson.loads(row["sealed_value"])
    fresh = {k: v if _is_first(vault, v) else vault.reseal(v, *contexts) for k, v in values.items()}
    return orjson.dumps(fresh).decode()


def _is_first(vault: Vault, envelope: str) -> bool:
    return kid_of(envelope) == vault.first
