"""How far an address is by road: asked of Google Maps, else of Nominatim and the straight line.

Asked before an order's transaction and never within one. A buyer waits ``maps_patience_ms`` at
most, then the straight line to the postal area counts; the question goes on without them and its
answer is kept for the next. Who fails three times in a row is left alone for half a minute, so a
provider that hangs costs three waits and not one per buyer. One question is asked once at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from app.commerce.shipping.models import MapAnswer
from app.commerce.shipping.repository import ShippingRepository
from app.commerce.shipping.rules import haversine_km
from app.commerce.stores.problems import StoreNotFound
from app.commerce.stores.service import StoreService
from app.contracts.gateways.maps import Geocoder, MapsFailure, Place, Roads, RoadsFor
from app.core.clock import now
from app.core.ratelimit import Limit
from app.kernel.connections.models import ERROR
from app.kernel.connections.service import ConnectionService
from app.kernel.work import Caller, Runtime, UnitOfWork

GOOGLE, NOMINATIM = "google-maps", "nominatim"
_KEPT = timedelta(days=30)  # Google Maps Platform terms: coordinates for 30 days at most
_NOTHING_KEPT = timedelta(days=1)
_FAILURES, _REST_S = 3, 30.0
_PACE = Limit("nominatim", 1, 1)  # operations.osmfoundation.org/policies/nominatim
_LOOKUPS = Limit("map-lookups", 120, 60)
"""Per tenant: strangers ask for quotes, and the tenant pays for the answers."""
log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Way:
    """How far it is, and who said so."""

    km: float
    provider: str


@dataclass(slots=True)
class _Breaker:
    failures: int = 0
    rests_until: float = 0.0

    def may_ask(self) -> bool:
        return time.monotonic() >= self.rests_until

    def saw(self, is_ok: bool) -> None:
        self.failures = 0 if is_ok else self.failures + 1
        if self.failures >= _FAILURES:
            self.rests_until = time.monotonic() + _REST_S


@dataclass(slots=True)
class _Maps:
    """What this process knows of providers: who rests, and what is being asked."""

    breakers: dict[str, _Breaker] = field(default_factory=dict)
    asking: dict[tuple[UUID, str], asyncio.Task[Way | None]] = field(default_factory=dict)

    def breaker(self, name: str) -> _Breaker:
        return self.breakers.setdefault(name, _Breaker())


def _maps(runtime: Runtime) -> _Maps:
    found = runtime.caches.get("maps")
    if not isinstance(found, _Maps):
        found = runtime.caches["maps"] = _Maps()
    return found


async def way_to(works: Caller, slug: str, postal_code: str) -> Way | None:
    """The way from a store to a postal code (eight digits), within the patience of a buyer.

    None: the store measures as the crow flies, or nobody could say; never raises for a provider.
    """
    async with works() as work:
        try:
            store = await StoreService(work).active(slug)
        except StoreNotFound:
            return None
        if store.distance_source != "road":
            return None
        origin = Place(store.latitude, store.longitude)
        kept = await _kept_way(ShippingRepository(work.session), origin, postal_code)
    if kept is not None:
        return kept
    runtime = works.runtime
    if not (await runtime.limiter.take(_LOOKUPS, str(works.tenant.id))).allowed:
        return None
    patience = runtime.settings.maps_patience_ms / 1000
    try:
        return await asyncio.wait_for(asyncio.shield(_task(works, origin, postal_code)), patience)
    except TimeoutError:
        return None


def _task(works: Caller, origin: Place, postal_code: str) -> asyncio.Task[Way | None]:
    """The one task of this process that asks this question; it outlives who is impatient."""
    asking = _maps(works.runtime).asking
    key = (works.tenant.id, f"{_point(origin)}>{postal_code}")
    task = asking.get(key)
    if task is None:
        task = asking[key] = asyncio.create_task(_ask(works, origin, postal_code), name="maps")
        task.add_done_callback(lambda _: asking.pop(key, None))
    return task


async def _ask(works: Caller, origin: Place, postal_code: str) -> Way | None:
    try:
        async with works() as work:
            google, connection_id = await _google(work)
            nominatim = work.port(Geocoder, NOMINATIM) if _has_nominatim(work) else None
        asker = _Asker(works, connection_id)
        found = await asker.place(postal_code, google, nominatim)
        if found is None:
            return None
        place, provider = found
        if google is not None:
            way = await asker.way(origin, place, google)
            if way is not None:
                return way
        return Way(_straight(origin, place), provider)
    except Exception:
        log.exception("maps.failed")  # an order is worth more than its distance
        return None


async def _google(work: UnitOfWork) -> tuple[Roads | None, UUID | None]:
    """The tenant's own key, else the platform's."""
    own = await ConnectionService(work).default(GOOGLE)
    key = own.values["api_key"] if own else _platform_key(work)
    if not key:
        return None, None
    return work.port(RoadsFor, GOOGLE).of(key), own.id if own else None


def _platform_key(work: UnitOfWork) -> str:
    return work.runtime.settings.google_maps_api_key.get_secret_value()


def _has_nominatim(work: UnitOfWork) -> bool:
    return bool(work.runtime.settings.nominatim_base_url)


class _Asker:
    """Asks providers in their order, and keeps what they say; holds no Work while it waits."""

    def __init__(self, works: Caller, connection_id: UUID | None) -> None:
        self._works, self._connection_id = works, connection_id

    async def place(
        self, postal_code: str, google: Roads | None, nominatim: Geocoder | None
    ) -> tuple[Place, str] | None:
        """Where it lies, and who said so; what one does not know the next is asked."""
        asked: list[tuple[str, Geocoder]] = []
        if google is not None:
            asked.append((GOOGLE, google))
        if nominatim is not None:
            asked.append((NOMINATIM, nominatim))
        for name, provider in asked:
            is_known, place = await self._try(name, partial(provider.place, postal_code))
            if is_known and place is not None:
                await self._keep(
                    f"place:{postal_code}",
                    name,
                    latitude=place.latitude,
                    longitude=place.longitude,
                )
                return place, name
        return None

    async def way(self, origin: Place, place: Place, google: Roads) -> Way | None:
        is_known, metres = await self._try(GOOGLE, lambda: google.metres(origin, place))
        if not is_known:
            return None
        await self._keep(_road(origin, place), GOOGLE, meters=metres)
        return None if metres is None else Way(metres / 1000, GOOGLE)

    async def _try(self, name: str, call: Callable[[], Awaitable[T]]) -> tuple[bool, T | None]:
        """Whether the provider answered, and what; those that rest are not asked."""
        runtime = self._works.runtime
        mine = f"{name}:{self._works.tenant.id}" if self._connection_id else name
        breaker = _maps(runtime).breaker(name if name == NOMINATIM else mine)
        if not breaker.may_ask():
            return False, None
        if name == NOMINATIM and not (await runtime.limiter.take(_PACE, "all")).allowed:
            return False, None
        try:
            found = await call()
        except MapsFailure as failure:
            breaker.saw(False)
            log.warning("maps.refused", extra={"provider": name, "reason": failure.reason})
            if failure.reason == "credentials-refused" and self._connection_id is not None:
                await self._note(self._connection_id)
            return False, None
        breaker.saw(True)
        return True, found

    async def _note(self, connection_id: UUID) -> None:
        """Say it where the merchant looks: under the connection."""
        async with self._works() as work:
            reason = "Google Maps does not accept this key: enter it again."
            await ConnectionService(work).note(connection_id, ERROR, reason)

    async def _keep(self, question: str, provider: str, **facts: Any) -> None:
        life = _KEPT if any(value is not None for value in facts.values()) else _NOTHING_KEPT
        async with self._works() as work:
            await ShippingRepository(work.session).keep_map_answer(
                {"question": question, "provider": provider, "expires_at": now() + life} | facts
            )


async def _kept_way(answers: ShippingRepository, origin: Place, postal_code: str) -> Way | None:
    """What was said before, of the place and of the road there."""
    at = await answers.map_answer(f"place:{postal_code}")
    place = _place(at)
    if at is None or place is None:
        return None
    road = await answers.map_answer(_road(origin, place))
    if road is not None and road.meters is not None:
        return Way(road.meters / 1000, road.provider)
    if road is not None or at.provider != GOOGLE:
        return Way(_straight(origin, place), at.provider)
    return None


def _place(answer: MapAnswer | None) -> Place | None:
    if answer is None or answer.latitude is None or answer.longitude is None:
        return None
    return Place(answer.latitude, answer.longitude)


def _road(origin: Place, place: Place) -> str:
    return f"road:{_point(origin)}>{_point(place)}"


def _point(place: Place) -> str:
    """To eleven metres: neighbours share an answer."""
    return f"{place.latitude:.4f},{place.longitude:.4f}"


def _straight(origin: Place, place: Place) -> float:
    return haversine_km(origin.latitude, origin.longitude, place.latitude, place.longitude)
