"""A tenant's WhatsApp numbers, and the routes by which a delivery finds its tenant."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.crypto import Sealed
from app.core.ddl import one_of
from app.core.model import Model, TenantModel, unique_within_tenant, within_tenant

QUALITIES = ("green", "yellow", "red", "unknown")


class WhatsAppNumber(TenantModel):
    __tablename__ = "whatsapp_numbers"
    __table_args__ = (
        unique_within_tenant("phone_number_id"),
        within_tenant("department_id", "departments"),
        Index("whatsapp_numbers_tenant_id_waba_id_idx", "tenant_id", "waba_id"),
        CheckConstraint(one_of("quality", QUALITIES), name="quality"),
    )

    name: Mapped[str]
    """What the team calls it."""
    waba_id: Mapped[str]
    phone_number_id: Mapped[str]
    display_phone: Mapped[str]
    """E.164; quality notices name the number by it alone."""
    verified_name: Mapped[str | None]
    token: Mapped[str]
    """``core.crypto`` envelope, as the next three; write-only for the API."""
    app_secret: Mapped[str]
    app_secret_previous: Mapped[str | None]
    """Signs still while the secret is being changed."""
    verify_token: Mapped[str]
    base_url: Mapped[str | None]
    """Of the Graph API, where it is not the vendor's own."""
    api_version: Mapped[str | None]
    quality: Mapped[str] = mapped_column(server_default="unknown")
    status: Mapped[str] = mapped_column(server_default="unknown")
    """The vendor's own word: connected, pending, banned, restricted..."""
    messaging_limit: Mapped[int | None]
    """People who may be written to first in a moving day, for the whole portfolio; None: no end."""
    per_second: Mapped[int] = mapped_column(server_default="80")
    is_coexistent: Mapped[bool] = mapped_column(server_default=text("false"))
    """Also lives in the phone's own app: 20 messages a second, and echoes."""
    default_bot_id: Mapped[UUID | None]
    department_id: Mapped[UUID | None]
    """Who answers what comes in here."""
    cart_store: Mapped[str | None]
    """Slug of the store that sells what people put into a cart in this number's chats."""
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    campaigns_stopped_at: Mapped[datetime | None]
    campaigns_stopped_why: Mapped[str | None]
    """The vendor's code and word; replies go on."""
    last_webhook_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    check_error: Mapped[str | None]


class WhatsAppRoute(Model):
    """A system table: whose a phone number id is, asked before any tenant is known."""

    __tablename__ = "whatsapp_routes"
    __table_args__ = (UniqueConstraint("phone_number_id"),)

    phone_number_id: Mapped[str]
    waba_id: Mapped[str] = mapped_column(index=True)
    # Not ``tenant_id``: that is the name of what row level security guards.
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    """The tenant."""


_CONTEXT = ("whatsapp_numbers:{tenant_id}:{id}",)
TOKEN = Sealed("whatsapp_numbers", "token", _CONTEXT)
APP_SECRET = Sealed("whatsapp_numbers", "app_secret", _CONTEXT)
APP_SECRET_PREVIOUS = Sealed("whatsapp_numbers", "app_secret_previous", _CONTEXT)
VERIFY_TOKEN = Sealed("whatsapp_numbers", "verify_token", _CONTEXT)
SEALED = (TOKEN, APP_SECRET, APP_SECRET_PREVIOUS, VERIFY_TOKEN)
