"""A checkout that its buyer goes on with by hand, as the storefront's own page takes it."""

from __future__ import annotations

from uuid import UUID

from app.commerce.stores.service import StoreService
from app.commerce.ucp.asked import METHOD, read
from app.commerce.ucp.protocol import EVERYTHING
from app.commerce.ucp.repository import ItemRepository, SessionRepository
from app.commerce.ucp.schemas import UcpCartItemRead, UcpCartRead, Wanted
from app.commerce.ucp.service import require_open
from app.commerce.ucp.shop import STORES, UcpSettingsService
from app.kernel.work import Work


class HandoffService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.sessions = SessionRepository(work.session)

    async def cart(self, session_id: UUID) -> UcpCartRead:
        """What ``continue_url`` leads to; whoever was given that address may go on with it.

        Raises UcpOff, UcpSessionNotFound, UcpSessionEnded.
        """
        shop = await UcpSettingsService(self.work).shop()
        row = await self.sessions.get(session_id)
        require_open(row, await self.sessions.order_of(session_id))
        wanted = Wanted.model_validate(row.asked)
        page = await StoreService(self.work).storefront_page(STORES)
        stores = {store.slug: store for store in page.items}
        asked = read(wanted, EVERYTHING, stores, shop.store, self.work.language)
        names = [line.item.id for line in wanted.line_items]
        meant = await ItemRepository(self.work.session).meant(names)
        is_whole = not any(m["path"].startswith(f"{METHOD}.dest") for m in asked.messages)
        return UcpCartRead(
            cart_id=row.id,
            store=asked.store,
            fulfilment=asked.channel,
            address=asked.address if is_whole else None,
            scheduled_for=asked.scheduled_for,
            items=[
                UcpCartItemRead(
                    product_id=UUID(str(meant[line.item.id].product_id)),
                    variant_id=meant[line.item.id].variant_id,
                    quantity=line.quantity,
                )
                for line in wanted.line_items
                if line.item.id in meant
            ],
            coupons=asked.codes,
            customer_name=asked.name,
            customer_phone=asked.phone,
            customer_email=asked.email,
        )
