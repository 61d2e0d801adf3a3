"""Credentials of points of sale, and what a point of sale does with its token."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.commerce.opendelivery.models import OpenDeliveryCredential
from app.commerce.opendelivery.problems import (
    CancellationRefused,
    ClientRefused,
    MoveRefused,
    TokenRequired,
    TooManyCredentials,
)
from app.commerce.opendelivery.repository import CredentialRepository
from app.commerce.opendelivery.rules import Call, EventType, Waiting, reason_of, steps, told_by
from app.commerce.opendelivery.schemas import (
    Acknowledged,
    CancellationRequest,
    CredentialCreate,
    OrderDetail,
)
from app.commerce.opendelivery.shape import detail
from app.commerce.orders.models import Order
from app.commerce.orders.problems import OrderNotFound
from app.commerce.orders.rules import FulfilmentType, OrderStatus
from app.commerce.orders.service import OrderService
from app.commerce.stores.problems import StoreNotFound
from app.core.clock import now
from app.core.crypto import token_hash
from app.core.ids import new_token
from app.core.pagination import Page, PageRequest
from app.kernel.apikeys.service import TokenService
from app.kernel.identity import Identity
from app.kernel.work import Work

MOST = 100
LIFE_S = 3600
_PREFIX = "ods_"
_SCOPES = ("commerce.open-delivery:use",)
_SETTLED_EVERY = timedelta(minutes=20)
_CALLED_OFF = (OrderStatus.CANCELLED, OrderStatus.REJECTED)


@dataclass(frozen=True, slots=True)
class NewCredential:
    row: OpenDeliveryCredential
    secret: str


class CredentialService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.credentials = CredentialRepository(work.session)

    async def listed(self, page: PageRequest) -> Page[OpenDeliveryCredential]:
        """All, the revoked ones too, newest first."""
        return await self.credentials.page(self.credentials.query(), page)

    async def create(self, who: Identity, body: CredentialCreate) -> NewCredential:
        """Make one; its secret leaves in this answer alone. It sees what happens from now on.

        Raises StoreNotFound, TooManyCredentials.
        """
        stores = None if body.store_ids is None else sorted(set(body.store_ids))
        if stores is not None and await self.credentials.count_stores(stores) < len(stores):
            raise StoreNotFound()
        if await self.credentials.count_alive() >= MOST:
            raise TooManyCredentials(most=MOST)
        secret = _PREFIX + new_token()
        row = await self.credentials.add(
            OpenDeliveryCredential(
                name=body.name,
                secret_hash=token_hash(secret),
                store_ids=stores,
                created_by=who.user_id,
            )
        )
        await self.work.session.refresh(row)
        self.work.record("open_delivery.created", "open_delivery", row.id, after=_facts(row))
        return NewCredential(row, secret)

    async def revoke(self, credential_id: UUID) -> None:
        """End it and its tokens, within a second everywhere; again does nothing.

        Raises CredentialNotFound.
        """
        row = await self.credentials.get(credential_id, lock=True)
        if row.revoked_at is not None:
            return
        row.revoked_at = now()
        await self.credentials.flush()
        await TokenService(self.work).end(row.id)
        self.work.record("open_delivery.revoked", "open_delivery", row.id, before=_facts(row))

    async def token(self, credential_id: UUID, secret: str) -> str:
        """A token that lives ``LIFE_S`` seconds. Raises ClientRefused."""
        row = await self.credentials.find(credential_id, lock=True)
        if row is None or row.revoked_at is not None:
            raise ClientRefused()
        if not hmac.compare_digest(row.secret_hash, token_hash(secret)):
            raise ClientRefused()
        row.last_used_at = now()
        await self.credentials.flush()
        return await TokenService(self.work).issue(
            row.id, name=row.name, scopes=_SCOPES, made_by=row.created_by, life_s=LIFE_S
        )


class PosService:
    """One point of sale: the credential whose token asks."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.who: OpenDeliveryCredential | None = None
        self.credentials = CredentialRepository(work.session)
        self.orders = OrderService(work)

    async def poll(
        self, stores: Sequence[UUID] | None, kinds: frozenset[EventType]
    ) -> list[Waiting]:
        """The oldest events that wait, at most 100; they wait until they are acknowledged.

        ``stores`` narrows the credential's own. Other ``kinds`` than those asked for are
        acknowledged at once, as the standard has it. Raises TokenRequired.
        """
        who = await self._credential()
        seen = who.store_ids if stores is None else [s for s in stores if who.sees(s)]
        found = await self.credentials.waiting(who, seen)
        if not kinds:
            return found
        unwanted = [(e.id, e.order_id) for e in found if e.kind not in kinds]
        if unwanted:
            await self.credentials.acknowledge(who, unwanted)
        return [e for e in found if e.kind in kinds]

    async def acknowledge(self, events: Sequence[Acknowledged]) -> None:
        """Take events out of what is polled; unknown ones and repeats change nothing.

        Raises TokenRequired.
        """
        who = await self._credential()
        # In one order, as two pollers acknowledge the same.
        await self.credentials.acknowledge(who, sorted({(e.id, e.order_id) for e in events}))
        if who.events_from < now() - _SETTLED_EVERY:
            await self.credentials.settle(who)

    async def order(self, order_id: UUID) -> OrderDetail:
        """Raises OrderNotFound, TokenRequired."""
        await self._admit()
        order = await self.orders.full(order_id)
        if not self._sees(order):
            raise OrderNotFound()
        store = await self.orders.store_of(order)
        codes = await self.credentials.codes(order)
        return detail(order, store, codes, await self.credentials.earlier(order))

    async def tell(self, order_id: UUID, call: Call, reason: str | None = None) -> None:
        """Move an order to where the point of sale says it is.

        Said before, it changes nothing and is answered alike: who repeats it did not read the
        event, which therefore comes again (the standard's guide, "Duplicate Events").
        Raises OrderNotFound, MoveRefused, TokenRequired.
        """
        order = await self._held(order_id)
        status = OrderStatus(order.status)
        path = steps(FulfilmentType(order.fulfilment), status, call)
        if path is None:
            raise MoveRefused(status_now=status, asked=call)
        if not path and self.who is not None:
            await self.credentials.tell_again(self.who, order_id, told_by(call))
        for to in path:
            await self.orders.step(order_id, to, reason, None)

    async def cancel(self, order_id: UUID, body: CancellationRequest) -> None:
        """Call an order off; it is the store's to say. Again changes nothing.

        Raises OrderNotFound, CancellationRefused, TokenRequired.
        """
        order = await self._held(order_id)
        status = OrderStatus(order.status)
        if status in _CALLED_OFF:
            return
        if status is OrderStatus.DELIVERED:
            raise CancellationRefused(status_now=status)
        to = OrderStatus.REJECTED if status is OrderStatus.PENDING else OrderStatus.CANCELLED
        await self.orders.step(order_id, to, reason_of(body.code, body.reason), None)

    async def _held(self, order_id: UUID) -> Order:
        await self._admit()
        order = await self.orders.held(order_id)
        if not self._sees(order):
            raise OrderNotFound()
        return order

    async def _admit(self) -> None:
        """Find out whose stores these are. A member and a key of somebody's own, granted the
        same, see all; a token whose credential has gone does not pass for one of them.
        """
        actor = self.work.actor
        if actor.kind != "api_key" or actor.id is None:
            return
        self.who = await self.credentials.of_token(actor.id)
        if self.who is None and await self.credentials.is_token(actor.id):
            raise TokenRequired()

    def _sees(self, order: Order) -> bool:
        return self.who is None or self.who.sees(order.store_id)

    async def _credential(self) -> OpenDeliveryCredential:
        await self._admit()
        if self.who is None:
            raise TokenRequired()
        return self.who


def _facts(row: OpenDeliveryCredential) -> dict[str, object]:
    stores = None if row.store_ids is None else [str(s) for s in row.store_ids]
    return {"name": row.name, "store_ids": stores}
