"""People outside the tenant: one person, one record; a further number of theirs is a row as well.

A contact's telephone is a column with a unique index, because checkouts look there and nowhere
else. A person's second number therefore is a row of its own that is merged into the person's: it
keeps the number unique and found at no cost. What else names a person stands in
``contact_identities``.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    Computed,
    Index,
    and_,
    case,
    func,
    or_,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant, within_tenant

STAGES = ("subscriber", "lead", "qualified", "customer", "evangelist", "churned")
IDENTITY_KINDS = ("wa_id", "bsuid", "email")

# Spelled as Postgres prints it back, so that ``alembic check`` finds no difference.
SEARCH_TEXT = (
    "lower(regexp_replace(NORMALIZE(((((name || ' '::text) || COALESCE(email, ''::text)) || "
    "' '::text) || COALESCE(phone, ''::text)), NFKD), '[\\u0300-\\u036f]'::text, ''::text, "
    "'g'::text))"
)


class Contact(TenantModel):
    __tablename__ = "contacts"
    __table_args__ = (
        # Nullable: since 2026 WhatsApp users may come without a phone number.
        Index("contacts_tenant_id_phone_key", "tenant_id", "phone", unique=True),
        Index(
            "contacts_tenant_id_external_ref_key",
            "tenant_id",
            "external_ref",
            unique=True,
            postgresql_where=text("external_ref IS NOT NULL"),
        ),
        Index(
            "contacts_tenant_id_merged_into_id_idx",
            "tenant_id",
            "merged_into_id",
            postgresql_where=text("merged_into_id IS NOT NULL"),
        ),
        # Rare, so that what an order writes of a contact meets neither.
        Index(
            "contacts_tenant_id_blocked_idx",
            "tenant_id",
            "id",
            postgresql_where=text("is_blocked"),
        ),
        Index(
            "contacts_tenant_id_owner_id_idx",
            "tenant_id",
            "owner_id",
            "id",
            postgresql_where=text("owner_id IS NOT NULL"),
        ),
        Index(
            "contacts_tenant_id_stage_idx",
            "tenant_id",
            "stage",
            "id",
            postgresql_where=text("stage IS NOT NULL"),
        ),
        # Used by find_contacts() alone: LIKE may use no index under row level security.
        Index(
            "contacts_search_idx",
            "tenant_id",
            "search_text",
            postgresql_using="gin",
            postgresql_ops={"search_text": "gin_trgm_ops"},
        ),
        within_tenant("owner_id", "users"),
        CheckConstraint("phone ~ '^\\+[1-9][0-9]{6,14}$'", name="phone_e164"),
        CheckConstraint(one_of("stage", STAGES), name="stage"),
        CheckConstraint("merged_into_id <> id", name="merged_into_id"),
    )

    name: Mapped[str]
    phone: Mapped[str | None]
    email: Mapped[str | None]
    source: Mapped[str] = mapped_column(server_default="storefront")
    external_ref: Mapped[str | None]
    """Key of the system it was imported from."""
    is_blocked: Mapped[bool] = mapped_column(server_default=text("false"))
    last_order_at: Mapped[datetime | None]
    last_seen_at: Mapped[datetime | None]
    """The last message from them; orders count apart, in ``last_order_at``."""
    company: Mapped[str | None]
    language: Mapped[str | None]
    birth_date: Mapped[date | None]
    stage: Mapped[str | None]
    """As somebody set it, at ``stage_at``; ``stage_now`` also minds what was ordered since."""
    stage_at: Mapped[datetime | None]
    owner_id: Mapped[UUID | None]
    """The member of the team who looks after them."""
    attributes: Mapped[dict[str, Any]] = mapped_column(JSONB(), server_default=text("'{}'"))
    """The tenant's own facts, as its definitions allow."""
    score: Mapped[int] = mapped_column(server_default="0")
    """What the rules give plus ``score_adjustment``; written by the rescoring alone."""
    score_adjustment: Mapped[int] = mapped_column(server_default="0")
    merged_into_id: Mapped[UUID | None]
    """This is a further number or an earlier double of that contact, which itself is merged into
    none."""
    search_text: Mapped[str] = mapped_column(
        Computed(SEARCH_TEXT, persisted=True), deferred=True, deferred_raiseload=True
    )

    @property
    def stage_now(self) -> str:
        """Where they stand: an order makes a customer of everybody but an evangelist, and what a
        person sets stands until the next order."""
        ordered = self.last_order_at
        is_newer = ordered is not None and (self.stage_at is None or ordered > self.stage_at)
        return "customer" if is_newer and self.stage != "evangelist" else self.stage or "lead"

    @property
    def seen_at(self) -> datetime | None:
        """When they were last heard of, by a message or an order."""
        return max(filter(None, (self.last_seen_at, self.last_order_at)), default=None)


def stage_now() -> ColumnElement[str]:
    """``Contact.stage_now`` for Postgres."""
    newer = or_(Contact.stage_at.is_(None), Contact.last_order_at > Contact.stage_at)
    ordered = and_(Contact.last_order_at.is_not(None), newer)
    is_customer = and_(ordered, Contact.stage.is_distinct_from("evangelist"))
    return case((is_customer, "customer"), else_=func.coalesce(Contact.stage, "lead"))


def seen_at() -> ColumnElement[datetime | None]:
    """``Contact.seen_at`` for Postgres: greatest() passes over what is unknown."""
    return func.greatest(Contact.last_seen_at, Contact.last_order_at)


class ContactIdentity(TenantModel):
    """What a contact is known by beside its telephone."""

    __tablename__ = "contact_identities"
    __table_args__ = (
        unique_within_tenant("kind", "value"),
        within_tenant("contact_id", "contacts", ondelete="CASCADE"),
        Index("contact_identities_tenant_id_contact_id_idx", "tenant_id", "contact_id"),
        CheckConstraint(one_of("kind", IDENTITY_KINDS), name="kind"),
    )

    contact_id: Mapped[UUID]
    kind: Mapped[str]
    value: Mapped[str]


class ContactNote(TenantModel):
    __tablename__ = "contact_notes"
    __table_args__ = (
        within_tenant("contact_id", "contacts", ondelete="CASCADE"),
        Index("contact_notes_tenant_id_contact_id_idx", "tenant_id", "contact_id", "id"),
    )

    contact_id: Mapped[UUID]
    text: Mapped[str]
    author_name: Mapped[str]
