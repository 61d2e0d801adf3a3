"""What a tenant sorts its contacts by: tags, and facts of its own that it defines."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant, within_tenant

ATTRIBUTE_KINDS = ("text", "number", "boolean", "date", "choice")


class Tag(TenantModel):
    __tablename__ = "tags"
    __table_args__ = (unique_within_tenant("folded"),)

    name: Mapped[str]
    folded: Mapped[str]
    """The name without accents and case: ``VIP`` and ``vip`` are one tag."""
    color: Mapped[str]


class ContactTag(TenantModel):
    __tablename__ = "contact_tags"
    __table_args__ = (
        unique_within_tenant("contact_id", "tag_id"),
        within_tenant("contact_id", "contacts", ondelete="CASCADE"),
        within_tenant("tag_id", "tags", ondelete="CASCADE"),
        Index("contact_tags_tenant_id_tag_id_idx", "tenant_id", "tag_id"),
    )

    contact_id: Mapped[UUID]
    tag_id: Mapped[UUID]


class ContactAttribute(TenantModel):
    """A fact that the tenant keeps of its contacts, e.g. the size of a shirt."""

    __tablename__ = "contact_attributes"
    __table_args__ = (
        unique_within_tenant("key"),
        CheckConstraint(one_of("kind", ATTRIBUTE_KINDS), name="kind"),
    )

    key: Mapped[str]
    label: Mapped[str]
    kind: Mapped[str]
    choices: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
