"""What commerce adds to a contact: where to deliver, and what a merge moved to another one."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped

from app.core.ddl import one_of
from app.core.model import Json, TenantModel, unique_within_tenant, within_tenant


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


class CustomerMove(TenantModel):
    """A row that belongs to a merged contact and stands with who stays, until that is undone.

    Written by the trigger ``settle_merged`` (revision 0020), whoever moves or adds such a row:
    an order with the merged contact's telephone among them.
    """

    __tablename__ = "customer_moves"
    __table_args__ = (
        within_tenant("merged_id", "contacts", ondelete="CASCADE"),
        unique_within_tenant("merged_id", "kind", "row_id"),
        CheckConstraint(one_of("kind", ("order", "address", "redemption")), name="kind"),
    )

    merged_id: Mapped[UUID]
    kind: Mapped[str]
    row_id: Mapped[UUID]
