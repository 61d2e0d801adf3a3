"""Nominatim, OpenStreetMap's geocoder: where a postal code lies, for who has no Google key.

Its usage policy asks for a name that says who we are, one request a second for the whole
application and kept answers; the pace and the keeping are the caller's.
"""

from __future__ import annotations

from urllib.parse import urlencode

import httpx

from app.contracts.gateways.maps import MapsFailure, Place
from app.core.http import CallNotSent, CallUnanswered, send


class Nominatim:
    """Satisfies ``Geocoder``."""

    def __init__(
        self, http: httpx.AsyncClient, base_url: str, agent: str, timeout_s: float
    ) -> None:
        self._http, self._base = http, base_url.rstrip("/")
        self._agent, self._timeout_s = agent, timeout_s

    async def place(self, postal_code: str) -> Place | None:
        """See ``Geocoder``."""
        query = urlencode(
            {
                "postalcode": f"{postal_code[:5]}-{postal_code[5:]}",
                "countrycodes": "br",
                "format": "jsonv2",
                "limit": "1",
            }
        )
        headers = {"user-agent": self._agent, "accept-language": "pt-BR"}
        try:
            answer = await send(
                self._http,
                "GET",
                f"{self._base}/search?{query}",
                headers=headers,
                deadline_s=self._timeout_s,
            )
        except (CallNotSent, CallUnanswered):
            raise MapsFailure("unavailable") from None
        if answer.status == 429:
            raise MapsFailure("rate-limited")
        match answer.status, answer.body:
            case 200, []:
                return None
            case 200, [{"lat": str(lat), "lon": str(lon)}, *_]:
                try:
                    return Place(float(lat), float(lon))
                except ValueError:
                    raise MapsFailure("unavailable") from None
        raise MapsFailure("unavailable")
