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
)
from app.commerce.customers.service import Customer, CustomerService
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.contacts.problems import ContactExists, ContactNotFound
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
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


@router.get(
    "/{contact_id}",
    response_model=CustomerDetail,
    responses=problems(ContactNotFound),
    dependencies=[READ],
)
async def get_customer(contact_id: UUID, customers: Customers) -> Customer:
    """One customer with addresses and order statistics."""
    return await customers.detail(contact_id)


@router.patch(
    "/{contact_id}",
    response_model=CustomerDetail,
    responses=problems(ContactNotFound),
    dependencies=[WRITE],
)
async def change_customer(contact_id: UUID, body: CustomerUpdate, customers: Customers) -> Customer:
    """Correct name or e-mail, block or unblock."""
    return await customers.change(contact_id, body)


@router.get(
    "/{contact_id}/addresses",
    response_model=list[AddressRead],
    responses=problems(ContactNotFound),
    dependencies=[READ],
)
async def list_addresses(contact_id: UUID, customers: Customers) -> Sequence[CustomerAddress]:
    """The customer's addresses, newest first."""
    return await customers.addresses(contact_id)


@router.post(
    "/{contact_id}/addresses",
    status_code=201,
    response_model=AddressRead,
    responses=problems(ContactNotFound, IdempotencyKeyReused),
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
