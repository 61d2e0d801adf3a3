"""Carts that people filled in a chat, and what became of each."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Uuid

from app.core.ddl import one_of
from app.core.model import TenantModel, within_tenant

STATES = ("offered", "ordered", "dropped", "refused")


class WhatsAppCart(TenantModel):
    """One cart, under the id of the message it came in: it is offered once, and becomes one order
    at most."""

    __tablename__ = "whatsapp_carts"
    __table_args__ = (
        within_tenant("id", "messages", ondelete="CASCADE"),
        Index(
            "whatsapp_carts_tenant_id_order_id_idx",
            "tenant_id",
            "order_id",
            postgresql_where=text("order_id IS NOT NULL"),
        ),
        CheckConstraint(one_of("state", STATES), name="state"),
    )

    store: Mapped[str]
    state: Mapped[str]
    offered: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    """Cents of the total by way of handing over, as the person was told."""
    reason: Mapped[str | None]
    order_id: Mapped[UUID | None]
    """Commerce's, as its number."""
    order_number: Mapped[int | None]
    has_details: Mapped[bool] = mapped_column(server_default=text("false"))
    """The order is shown in the chat as the vendor shows orders, and follows its status there."""
    answers: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()), server_default="{}")
    """Messages in which somebody chose; each is heeded once."""
