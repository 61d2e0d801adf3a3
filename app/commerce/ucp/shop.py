"""How a shop takes part: its settings, its pages, and the payments that agents may choose."""

from __future__ import annotations

from dataclasses import dataclass

from app.commerce.payments.service import PaymentService
from app.commerce.stores.service import StoreService
from app.commerce.ucp.models import UcpSettings
from app.commerce.ucp.problems import UcpOff
from app.commerce.ucp.repository import SettingsRepository
from app.commerce.ucp.schemas import UcpSettingsPut, UcpSettingsRead
from app.core.pagination import PageRequest
from app.kernel.work import UnitOfWork, Work

STORES = PageRequest(100)
_TAKEN = frozenset({"cash", "card_on_delivery", "pix"})


@dataclass(frozen=True, slots=True)
class Shop:
    """How this shop takes part: the store that delivers by default, and its pages."""

    store: str
    storefront_url: str
    links: tuple[tuple[str, str], ...]
    currency: str

    def page(self, **facts: object) -> str:
        """The storefront, told what it is about."""
        told = "&".join(f"{name}={value}" for name, value in facts.items())
        return f"{self.storefront_url}{'&' if '?' in self.storefront_url else '?'}{told}"


class UcpSettingsService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.settings = SettingsRepository(work.session)

    async def shown(self) -> UcpSettingsRead:
        """The channel's settings; none yet: it is off."""
        found = await self.settings.current()
        if found is None:
            return UcpSettingsRead(
                is_enabled=False, store=None, storefront_url=None, terms_url=None, privacy_url=None
            )
        row, store = found
        return _settings(row, store.slug)

    async def put(self, body: UcpSettingsPut) -> UcpSettingsRead:
        """Switch the channel on or off. Raises StoreNotFound."""
        store = await StoreService(self.work).active(body.store)
        values = body.model_dump(exclude={"store"}) | {"store_id": store.id}
        row_id = await self.settings.put(values)
        self.work.record("ucp_settings.put", "ucp_settings", row_id, after=body.model_dump())
        return UcpSettingsRead.model_validate(body.model_dump())

    async def shop(self) -> Shop:
        """How this shop takes part. Raises UcpOff."""
        found = await self.settings.current()
        if found is None or not found[0].is_enabled:
            raise UcpOff()
        row, store = found
        pages = (("terms_of_service", row.terms_url), ("privacy_policy", row.privacy_url))
        links = tuple((kind, url) for kind, url in pages if url is not None)
        return Shop(store.slug, row.storefront_url, links, self.work.tenant.currency)

    async def methods(self) -> frozenset[str]:
        """Every way of paying that agents may choose at any store of the tenant."""
        page = await StoreService(self.work).storefront_page(STORES)
        taken = frozenset(m for store in page.items for m in store.payment_methods)
        return await payable(self.work, taken)


async def payable(work: UnitOfWork, methods: frozenset[str]) -> frozenset[str]:
    """Of these ways of paying those that an agent may choose: what needs no card in between."""
    found = methods & _TAKEN
    if "pix" in found and (
        work.tenant.currency != "BRL" or (await PaymentService(work).configured()).pix_key is None
    ):
        found -= {"pix"}
    return found


def _settings(row: UcpSettings, slug: str) -> UcpSettingsRead:
    return UcpSettingsRead(
        is_enabled=row.is_enabled,
        store=slug,
        storefront_url=row.storefront_url,
        terms_url=row.terms_url,
        privacy_url=row.privacy_url,
    )
