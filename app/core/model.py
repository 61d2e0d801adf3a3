"""Declarative bases: Model for every table, TenantModel for every row a tenant owns."""

from __future__ import annotations

import inspect
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    MetaData,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from app.core.ids import new_id

Json = dict[str, Any]
"""A JSON object as stored in a JSONB column."""


class Model(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )
    # int is BIGINT everywhere: cents and counters never meet a 32-bit edge.
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        int: BigInteger(),
        str: Text(),
        list[str]: ARRAY(Text()),
        Json: JSONB(),
    }

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


def _needs_tenant(table: Any) -> bool:
    """Whether a foreign key to ``tenants`` is wanted: it costs a look-up and a row lock on every
    insert, and an order inserts two dozen rows.

    A row that dies with another row of its tenant has that one vouch for the tenant; a reference
    that may be empty vouches for nobody.
    """
    if table.__dict__.get("__goes_by_trigger__", False):
        return False
    written = inspect.get_annotations(table)
    return not any(
        isinstance(c, ForeignKeyConstraint)
        and c.ondelete == "CASCADE"
        and not any("None" in str(written.get(name, "")) for name in c.column_keys)
        for c in table.__dict__.get("__table_args__", ())
    )


class TenantModel(Model):
    """A row under row level security.

    The primary key is ``(tenant_id, id)``: composite foreign keys point at it (plain ones bypass
    row level security, so a reference always carries its tenant), keyset pages scan it, and no
    second unique index is paid for on every insert, as ``id`` plus ``UNIQUE (tenant_id, id)``
    would. The mapper itself goes by ``id``, which is unique by construction (UUIDv7).
    """

    __abstract__ = True
    __goes_by_trigger__: ClassVar[bool] = False
    """Set on what every order writes: ``forget_tenant``, a trigger of ``tenants``, deletes it."""

    @declared_attr
    def tenant_id(cls) -> Mapped[UUID]:
        # Filled by Postgres from the transaction's own scope: code never sets it.
        return mapped_column(
            *([ForeignKey("tenants.id", ondelete="CASCADE")] if _needs_tenant(cls) else []),
            server_default=text("app_tenant_id()"),
            primary_key=True,
            sort_order=-2,
        )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id, sort_order=-1)

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"primary_key": [cls.id], "eager_defaults": False}


def within_tenant(column: str, table: str, *, ondelete: str | None = None) -> ForeignKeyConstraint:
    """A reference that cannot leave the tenant: ``(tenant_id, column) -> (tenant_id, id)``.

    One that does not cascade may be deferred, so that a whole tenant can be deleted at once.
    """
    return ForeignKeyConstraint(
        ["tenant_id", column],
        [f"{table}.tenant_id", f"{table}.id"],
        ondelete=ondelete,
        deferrable=None if ondelete else True,
        initially=None if ondelete else "IMMEDIATE",
    )


def unique_within_tenant(*columns: str, **kwargs: Any) -> UniqueConstraint:
    """A unique constraint that starts with ``tenant_id``, so it is no oracle across tenants."""
    return UniqueConstraint("tenant_id", *columns, **kwargs)
