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

    # What the JSON may hold; an import may know less of an address than our own forms ask.
    @property
    def street(self) -> str | None:
        return self._part("street")

    @property
    def number(self) -> str | None:
        return self._part("number")

    @property
    def complement(self) -> str | None:
        return self._part("complement")

    @property
    def district(self) -> str | None:
        return self._part("district")

    @property
    def city(self) -> str | None:
        return self._part("city")

    @property
    def state(self) -> str | None:
        return self._part("state")

    def _part(self, key: str) -> str | None:
        found = self.address.get(key)
        return None if found is None else str(found)
