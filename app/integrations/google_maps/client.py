"""Google Maps through its official library, which blocks: every call runs in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from app.contracts.gateways.maps import MapsFailure, Place
from app.core.lazy import lazy

if TYPE_CHECKING:
    import googlemaps
else:
    googlemaps = lazy("googlemaps")

_RETRY_WITHIN_S = 0.2
"""Not 0: the library then finds its time over before the first request."""
_REASONS = {
    "OVER_QUERY_LIMIT": "rate-limited",
    "OVER_DAILY_LIMIT": "rate-limited",
    "REQUEST_DENIED": "credentials-refused",
}


class GoogleMaps:
    """Satisfies ``RoadsFor``: one library client per key, kept."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        self._base, self._timeout_s = base_url.rstrip("/"), timeout_s
        self._kept = lru_cache(maxsize=256)(self._made)

    def asks(self, base_url: str) -> bool:
        """Whether it was made for this address."""
        return self._base == base_url.rstrip("/")

    def of(self, key: str) -> GoogleRoads:
        return GoogleRoads(lambda: self._kept(key))

    def _made(self, key: str) -> Any:
        try:
            client = googlemaps.Client(
                key=key,
                base_url=self._base,
                timeout=self._timeout_s,
                # Its retries sleep while a customer waits; we have another provider instead.
                retry_timeout=_RETRY_WITHIN_S,
                retry_over_query_limit=False,
            )
        except ValueError as error:  # a key that does not look like one of theirs
            raise MapsFailure("credentials-refused") from error
        # As all our clients: no proxies from the environment, no redirects to other hosts.
        client.session.trust_env = False
        client.requests_kwargs["allow_redirects"] = False
        return client


class GoogleRoads:
    """Satisfies ``Roads`` for one key."""

    def __init__(self, client: Callable[[], Any]) -> None:
        self._client = client

    async def place(self, postal_code: str) -> Place | None:
        """See ``Geocoder``."""
        found = await self._asked(
            lambda client: client.geocode(
                components={"postal_code": postal_code, "country": "BR"}, language="pt-BR"
            )
        )
        match found:
            case [{"geometry": {"location": {"lat": float(lat), "lng": float(lng)}}}, *_]:
                return Place(lat, lng)
        return None

    async def metres(self, origin: Place, destination: Place) -> int | None:
        """See ``Roads``."""
        found = await self._asked(
            lambda client: client.distance_matrix(
                [(origin.latitude, origin.longitude)],
                [(destination.latitude, destination.longitude)],
                mode="driving",
            )
        )
        match found:
            case {"rows": [{"elements": [{"status": "OK", "distance": {"value": int(metres)}}]}]}:
                return metres
            case {"rows": [{"elements": [{"status": str()}]}]}:
                return None
        raise MapsFailure("unavailable")

    async def _asked(self, call: Callable[[Any], Any]) -> Any:
        return await asyncio.to_thread(self._call, call)

    def _call(self, call: Callable[[Any], Any]) -> Any:
        try:
            return call(self._client())
        except googlemaps.exceptions.ApiError as error:
            raise MapsFailure(_REASONS.get(error.status, "unavailable")) from None
        except (
            googlemaps.exceptions.HTTPError,
            googlemaps.exceptions.Timeout,
            googlemaps.exceptions.TransportError,
            ValueError,
            KeyError,
        ):
            # Without the cause: the library's texts quote the URL, and the URL holds the key.
            raise MapsFailure("unavailable") from None
