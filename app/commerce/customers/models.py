"""What commerce adds to a contact: where to deliver."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from app.core.model import Json, TenantModel, within_tenant


class CustomerAddress(TenantModel):
    __tablename__ = "customer_addresses"
    __table_args__ = (
        within_tenant("contact_id", "contacts", ondelete="CASCADE"),
        Index("customer_addresses_tenant_id_contact_id_idx", "tenant_id", "contact_id"),
    )

    contact_id: Mapped[UUID]
    postal_code: Mapped[str]
    address: Mapped[Json]
