"""People outside the tenant: one person, one record, keyed by E.164 phone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import TenantModel


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
        CheckConstraint("phone ~ '^\\+[1-9][0-9]{6,14}$'", name="phone_e164"),
    )

    name: Mapped[str]
    phone: Mapped[str | None]
    email: Mapped[str | None]
    source: Mapped[str] = mapped_column(server_default="storefront")
    external_ref: Mapped[str | None]
    """Key of the system it was imported from."""
    is_blocked: Mapped[bool] = mapped_column(server_default=text("false"))
    last_order_at: Mapped[datetime | None]
