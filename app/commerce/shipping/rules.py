"""What a delivery costs and how long it takes: a store's shipping rules, read in order."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import asin, cos, inf, isfinite, radians, sin, sqrt
from uuid import UUID

from app.core.postal import cep_in_range

EARTH_RADIUS_KM = 6371.0088  # mean radius of the earth, IUGG


class ShippingKind(StrEnum):
    DISTANCE = "distance"
    CEP_RANGE = "cep_range"
    DISTRICT = "district"
    FLAT = "flat"


class OutOfAreaReason(StrEnum):
    NO_RULES = "no-shipping-rules"
    LOCATION_UNKNOWN = "location-unknown"
    TOO_FAR = "too-far"
    NOT_SERVED = "area-not-served"


@dataclass(frozen=True, slots=True)
class Point:
    """A place on earth in decimal degrees (WGS 84). Raises ValueError outside the globe."""

    lat: float
    lng: float

    def __post_init__(self) -> None:
        if not (-90 <= self.lat <= 90 and -180 <= self.lng <= 180):
            raise ValueError("latitude must be within 90 and longitude within 180 degrees")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the order goes; whatever is unknown is None and its rules are passed over."""

    cep: str | None = None
    district: str | None = None
    point: Point | None = None


@dataclass(frozen=True, slots=True)
class ShippingRule:
    """One rule; the lowest ``priority`` is read first, equal ones by distance, then id.

    ``distance`` needs ``max_km`` (included), ``cep_range`` both ends, ``district`` a name.
    """

    id: UUID
    kind: ShippingKind
    fee_cents: int
    minutes: int
    priority: int = 0
    max_km: float | None = None
    cep_first: str | None = None
    cep_last: str | None = None
    district: str | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of a delivery; ``eta_minutes`` counts preparation and the way."""

    fee_cents: int
    eta_minutes: int
    distance_km: float | None
    rule_id: UUID


@dataclass(frozen=True, slots=True)
class OutOfArea:
    """The refusal of a delivery, with the distance and the farthest one served, when known."""

    reason: OutOfAreaReason
    distance_km: float | None = None
    max_km: float | None = None


def haversine_km(lat1: float, lng1: float, lat2: float, lng2: float) -> float:
    """Return the great-circle distance in kilometres between two places in decimal degrees."""
    north = sin(radians(lat2 - lat1) / 2)
    east = sin(radians(lng2 - lng1) / 2)
    half = north * north + cos(radians(lat1)) * cos(radians(lat2)) * east * east
    return 2 * EARTH_RADIUS_KM * asin(sqrt(min(1.0, half)))


def quote(
    rules: Iterable[ShippingRule],
    destination: Destination,
    origin: Point | None,
    subtotal_cents: int,
    preparation_minutes: int,
    *,
    free_above_cents: int | None = None,
    distance_km: float | None = None,
) -> Quote | OutOfArea:
    """Return the fee of the first rule that serves ``destination``, or why none does.

    ``distance_km`` is a road distance already looked up; without it the great circle from
    ``origin`` counts. ``free_above_cents`` is the store's: a subtotal of at least that ships free
    (None: never), though only where the store delivers at all. Distances count to the metre.
    Raises ValueError for a distance that is no number and InvalidCep for a CEP that is none.
    """
    ordered = sorted(rules, key=_reading_order)
    distance = _distance(destination, origin, distance_km)
    for rule in ordered:
        if _serves(rule, destination, distance):
            is_free = free_above_cents is not None and subtotal_cents >= free_above_cents
            return Quote(
                fee_cents=0 if is_free else max(0, rule.fee_cents),
                eta_minutes=max(0, preparation_minutes) + max(0, rule.minutes),
                distance_km=distance,
                rule_id=rule.id,
            )
    return _refusal(ordered, distance)


def _reading_order(rule: ShippingRule) -> tuple[int, float, UUID]:
    # Of equal tiers the nearest must be met first, or the farthest would price every address.
    return (rule.priority, inf if rule.max_km is None else rule.max_km, rule.id)


def _distance(
    destination: Destination, origin: Point | None, looked_up_km: float | None
) -> float | None:
    if looked_up_km is not None:
        if not isfinite(looked_up_km) or looked_up_km < 0:
            raise ValueError("a distance is a number of kilometres from 0")
        return round(looked_up_km, 3)
    if origin is None or destination.point is None:
        return None
    there = destination.point
    return round(haversine_km(origin.lat, origin.lng, there.lat, there.lng), 3)


def _serves(rule: ShippingRule, destination: Destination, distance: float | None) -> bool:
    if rule.kind is ShippingKind.DISTANCE:
        return distance is not None and rule.max_km is not None and distance <= rule.max_km
    if rule.kind is ShippingKind.CEP_RANGE:
        if not (destination.cep and rule.cep_first and rule.cep_last):
            return False
        return cep_in_range(destination.cep, rule.cep_first, rule.cep_last)
    if rule.kind is ShippingKind.DISTRICT:
        if not (destination.district and rule.district):
            return False
        return plain_district(destination.district) == plain_district(rule.district)
    return True


def _refusal(rules: list[ShippingRule], distance: float | None) -> OutOfArea:
    if not rules:
        return OutOfArea(OutOfAreaReason.NO_RULES, distance)
    tiers = [
        rule.max_km
        for rule in rules
        if rule.kind is ShippingKind.DISTANCE and rule.max_km is not None
    ]
    if not tiers:
        return OutOfArea(OutOfAreaReason.NOT_SERVED, distance)
    if distance is None:
        return OutOfArea(OutOfAreaReason.LOCATION_UNKNOWN, max_km=max(tiers))
    return OutOfArea(OutOfAreaReason.TOO_FAR, distance, max(tiers))


def plain_district(name: str) -> str:
    """Return a district's name as people compare it: without accents, case, double spaces."""
    decomposed = unicodedata.normalize("NFKD", name)
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(bare.casefold().split())
