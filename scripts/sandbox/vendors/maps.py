"""Google's Geocoding and Distance Matrix, and Nominatim's search, as each answers.

Sources: developers.google.com/maps/documentation (geocoding, distance-matrix), and
nominatim.org/release-docs (search). Postal codes that begin with 99 are known to nobody; an
error knob's codes are 1 OVER_QUERY_LIMIT, 2 REQUEST_DENIED, 3 ZERO_RESULTS, 4 UNKNOWN_ERROR.
"""

from __future__ import annotations

import re
from math import cos, hypot, radians
from typing import ClassVar

from pydantic import JsonValue
from starlette.requests import Request
from starlette.routing import Route

from scripts.sandbox.knobs import ErrorKnob
from scripts.sandbox.recorder import Received, mask
from scripts.sandbox.settings import SandboxSettings
from scripts.sandbox.vendors.base import Reply, Vendor, VendorConfig

_STATUSES = {1: "OVER_QUERY_LIMIT", 2: "REQUEST_DENIED", 3: "ZERO_RESULTS", 4: "UNKNOWN_ERROR"}
_DETOUR = 1.3
"""Roads are so much longer than the straight line."""
_METRES_PER_DEGREE = 111_195


def place_of(postal_code: str) -> tuple[float, float] | None:
    """A made-up but steady place in São Paulo for a postal code; None: unknown."""
    digits = re.sub(r"\D", "", postal_code)
    if len(digits) != 8 or digits.startswith("99"):
        return None
    number = int(digits)
    return round(-23.50 - number % 97 / 1000, 6), round(-46.60 - number % 89 / 1000, 6)


class GoogleMaps(Vendor):
    """What Google Maps says."""

    name: ClassVar[str] = "maps"

    @classmethod
    def configured(cls, settings: SandboxSettings) -> VendorConfig:
        return VendorConfig()

    def routes(self) -> list[Route]:
        return [
            Route(f"/maps/api/{name}/json", self.endpoint, methods=["GET"])
            for name in ("geocode", "distancematrix")
        ]

    def failure(self, error: ErrorKnob) -> Reply:
        status = _STATUSES.get(int(error.code), "UNKNOWN_ERROR")
        rows: JsonValue = [{"elements": [{"status": status}]}] if status == "ZERO_RESULTS" else []
        return Reply(200, {"status": status, "results": [], "rows": rows}, "forced error")

    def describe(self, entry: Received) -> None:
        entry.to = entry.path

    def receive(self, request: Request, entry: Received) -> Reply:
        query = request.query_params
        key = query.get("key", "")
        entry.preview = " ".join(f"{k}={v}" for k, v in query.items() if k != "key")
        entry.headers["key"] = mask(key)
        if not key or "wrong" in key or key not in (self.config.tokens or [key]):
            body: JsonValue = {"status": "REQUEST_DENIED", "error_message": "invalid key"}
            return Reply(200, body, "refused")
        if request.url.path.endswith("geocode/json"):
            return self._geocode(query.get("components", ""), query.get("address", ""))
        return self._matrix(query.get("origins", ""), query.get("destinations", ""))

    def _geocode(self, components: str, address: str) -> Reply:
        found = re.search(r"postal_code:([\d-]+)", components)
        if not components and not address:
            return Reply(200, {"status": "INVALID_REQUEST", "results": []}, "refused")
        place = place_of(found[1]) if found else (-23.5614, -46.6559)
        if place is None:
            return Reply(200, {"status": "ZERO_RESULTS", "results": []}, "accepted")
        result: JsonValue = {"geometry": {"location": {"lat": place[0], "lng": place[1]}}}
        return Reply(200, {"status": "OK", "results": [result]}, "accepted")

    def _matrix(self, origins: str, destinations: str) -> Reply:
        try:
            (lat1, lng1), (lat2, lng2) = (
                tuple(map(float, text.split(","))) for text in (origins, destinations)
            )
        except ValueError:
            return Reply(200, {"status": "INVALID_REQUEST", "rows": []}, "refused")
        straight = hypot(lat2 - lat1, (lng2 - lng1) * cos(radians(lat1))) * _METRES_PER_DEGREE
        metres = round(straight * _DETOUR)
        element: JsonValue = {
            "status": "OK",
            "distance": {"value": metres, "text": f"{metres / 1000:.1f} km"},
            "duration": {"value": metres // 7, "text": f"{metres // 420} min"},
        }
        return Reply(200, {"status": "OK", "rows": [{"elements": [element]}]}, "accepted")


class Nominatim(Vendor):
    """What OpenStreetMap's geocoder says; without a name of one's own it refuses, as theirs."""

    name: ClassVar[str] = "nominatim"

    @classmethod
    def configured(cls, settings: SandboxSettings) -> VendorConfig:
        return VendorConfig()

    def routes(self) -> list[Route]:
        return [Route("/nominatim/search", self.endpoint, methods=["GET"])]

    def failure(self, error: ErrorKnob) -> Reply:
        if int(error.code) == 3:
            return Reply(200, [], "forced error")
        return Reply(429 if int(error.code) == 1 else 500, {"error": "forced"}, "forced error")

    def describe(self, entry: Received) -> None:
        entry.to = entry.path

    def receive(self, request: Request, entry: Received) -> Reply:
        entry.preview = request.query_params.get("postalcode", "")
        agent = request.headers.get("user-agent", "")
        if not agent or agent.startswith(("python-", "curl")):
            return Reply(403, {"error": "Usage policy: name your application"}, "refused")
        place = place_of(entry.preview)
        if place is None:
            return Reply(200, [], "accepted")
        found: JsonValue = {"lat": str(place[0]), "lon": str(place[1]), "type": "postcode"}
        return Reply(200, [found], "accepted")
