"""HTTP for customers, under /admin/customers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.commerce.customers.models import CustomerAddress
from app.commerce.customers.problems import AddressNotFound
from app.commerce.customers.schemas import (
    AddressCreate,
    AddressRead,
    AddressUpdate,
    CustomerCreate,
    CustomerDetail,
    CustomerRead,
    CustomerUpdate,
    ShopStatisticsRead,
)
from app.commerce.customers.service import Customer, CustomerService
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.contacts.problems import ContactExists, ContactMerged, ContactNotFound
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
from app.kernel.merging.models import ContactMerge
from app.kernel.merging.problems import MergeIntoItself, MergeNotFound, MergeUndone
from app.kernel.merging.schemas import DuplicateRead, MergeCreate, MergeRead
from app.kernel.merging.service import Duplicate
from app.kernel.work import service

router = APIRouter(
    prefix="/api/v1/admin/customers", tags=["customers"], route_class=ReplayableRoute
)
Customers = Annotated[CustomerService, service(CustomerService)]
READ = require_module("commerce", "customers:read")
WRITE = require_module("commerce", "customers:write")


@router.get("", dependencies=[READ])
async def list_customers(
    customers: Customers,
    page: Paging,
    query: Annotated[
        str | None, Query(max_length=120, description="Part of the name, phone or e-mail.")
    ] = None,
    is_blocked: bool | None = None,
) -> PageRead[CustomerRead]:
    """Customers, newest first; accents, case and the way a phone is written do not matter."""
    found = await customers.search(page, query, is_blocked)
    return PageRead[CustomerRead].model_validate(found)


@router.post(
    "",
    status_code=201,
    response_model=CustomerDetail,
    responses=problems(ContactExists, IdempotencyKeyReused),
    dependencies=[WRITE, Idempotent],
)
async def create_customer(body: CustomerCreate, customers: Customers) -> Customer:
    """Register somebody who has not ordered yet."""
    return await customers.create(body)


@router.get("/statistics", dependencies=[READ])
async def customer_statistics(customers: Customers) -> ShopStatisticsRead:
    """How many customers there are, how many return, and who ordered for most."""
    return ShopStatisticsRead.model_validate(await customers.shop_statistics())


@router.get("/duplicates", response_model=list[DuplicateRead], dependencies=[READ])
async def list_customer_duplicates(customers: Customers) -> Sequence[Duplicate]:
    """Customers who may be one person: the same number in two forms, the same e-mail."""
    return await customers.duplicates()


@router.get(
    "/{contact_id}",
    response_model=CustomerDetail,
    responses=problems(ContactNotFound, ContactMerged),
    dependencies=[READ],
)
async def get_customer(contact_id: UUID, customers: Customers) -> Customer:
    """One customer with addresses and order statistics."""
    return await customers.detail(contact_id)


@router.patch(
    "/{contact_id}",
    response_model=CustomerDetail,
    responses=problems(ContactNotFound, ContactMerged),
    dependencies=[WRITE],
)
async def change_customer(contact_id: UUID, body: CustomerUpdate, customers: Customers) -> Customer:
    """Correct name or e-mail, block or unblock."""
    return await customers.change(contact_id, body)


@router.get(
    "/{contact_id}/addresses",
    response_model=list[AddressRead],
    responses=problems(ContactNotFound, ContactMerged),
    dependencies=[READ],
)
async def list_addresses(contact_id: UUID, customers: Customers) -> Sequence[CustomerAddress]:
    """The customer's addresses, newest first."""
    return await customers.addresses(contact_id)


@router.post(
    "/{contact_id}/addresses",
    status_code=201,
    response_model=AddressRead,
    responses=problems(ContactNotFound, ContactMerged, IdempotencyKeyReused),
    dependencies=[WRITE, Idempotent],
)
async def add_address(
    contact_id: UUID, body: AddressCreate, customers: Customers
) -> CustomerAddress:
    """Add an address."""
    return await customers.add_address(contact_id, body)


@router.patch(
    "/{contact_id}/addresses/{address_id}",
    response_model=AddressRead,
    responses=problems(AddressNotFound),
    dependencies=[WRITE],
)
async def change_address(
    contact_id: UUID, address_id: UUID, body: AddressUpdate, customers: Customers
) -> CustomerAddress:
    """Correct an address."""
    return await customers.change_address(contact_id, address_id, body)


@router.delete(
    "/{contact_id}/addresses/{address_id}",
    status_code=204,
    responses=problems(AddressNotFound),
    dependencies=[WRITE],
)
async def remove_address(contact_id: UUID, address_id: UUID, customers: Customers) -> None:
    """Remove an address; orders keep their own copy."""
    await customers.remove_address(contact_id, address_id)


@router.get(
    "/{contact_id}/merges",
    response_model=list[MergeRead],
    responses=problems(ContactNotFound, ContactMerged),
    dependencies=[READ],
)
async def list_customer_merges(contact_id: UUID, customers: Customers) -> Sequence[ContactMerge]:
    """Who was merged into this customer, newest first; undone merges included."""
    return await customers.merged(contact_id)


@router.post(
    "/{contact_id}/merges",
    status_code=201,
    response_model=CustomerDetail,
    responses=problems(ContactNotFound, ContactMerged, MergeIntoItself, IdempotencyKeyReused),
    dependencies=[WRITE, Idempotent],
)
async def merge_customer(contact_id: UUID, body: MergeCreate, customers: Customers) -> Customer:
    """Merge another customer into this one: orders, addresses and redemptions follow."""
    return await customers.merge(contact_id, body.merged_id, body.reason)


@router.post(
    "/{contact_id}/merges/{merge_id}/undo",
    response_model=CustomerDetail,
    responses=problems(
        ContactNotFound, ContactMerged, MergeNotFound, MergeUndone, IdempotencyKeyReused
    ),
    dependencies=[WRITE, Idempotent],
)
async def undo_customer_merge(contact_id: UUID, merge_id: UUID, customers: Customers) -> Customer:
    """Part the two again; the answer is who stayed, with what is theirs."""
    return await customers.undo_merge(contact_id, merge_id)
