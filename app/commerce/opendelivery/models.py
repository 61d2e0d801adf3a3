"""Credentials by which points of sale ask for tokens, and the events that each has taken."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, LargeBinary, Uuid, func
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import TenantModel, unique_within_tenant, within_tenant


class OpenDeliveryCredential(TenantModel):
    __tablename__ = "open_delivery_credentials"
    __table_args__ = (within_tenant("created_by", "users", ondelete="CASCADE"),)

    name: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    store_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid()))
    """The stores whose orders it sees; None: all, those of tomorrow too."""
    created_by: Mapped[UUID]
    events_from: Mapped[datetime] = mapped_column(server_default=func.now())
    """Of earlier events none is waiting: a poll need not look at them."""
    last_used_at: Mapped[datetime | None]
    """When it last asked for a token."""
    revoked_at: Mapped[datetime | None]

    @property
    def client_id(self) -> str:
        """Says whose it is, so that a token can be asked for without naming a tenant."""
        return f"{self.tenant_id.hex}.{self.id.hex}"

    def sees(self, store_id: UUID) -> bool:
        return self.store_ids is None or store_id in self.store_ids


class OpenDeliveryAck(TenantModel):
    """An event that a credential has acknowledged; deleted once ``events_from`` is beyond it."""

    __tablename__ = "open_delivery_acks"
    __table_args__ = (
        within_tenant("credential_id", "open_delivery_credentials", ondelete="CASCADE"),
        unique_within_tenant("credential_id", "event_id"),
    )

    credential_id: Mapped[UUID]
    event_id: Mapped[UUID]
    """A change of an order's status."""
