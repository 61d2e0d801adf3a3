"""Where a postal code lies and how far the road there is, as a maps provider says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Place:
    """Decimal degrees (WGS 84)."""

    latitude: float
    longitude: float


class MapsFailure(Exception):
    """The provider gave no usable answer; ``reason`` is ``unavailable``, ``rate-limited`` or
    ``credentials-refused``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Geocoder(Protocol):
    """Never called inside a transaction."""

    async def place(self, postal_code: str) -> Place | None:
        """Where a Brazilian postal code of eight digits lies; None: nobody knows it.

        Raises MapsFailure.
        """
        ...


class Roads(Geocoder, Protocol):
    """A provider that also knows the roads."""

    async def metres(self, origin: Place, destination: Place) -> int | None:
        """The way by road; None: no road leads there. Raises MapsFailure."""
        ...


class RoadsFor(Protocol):
    """Makes the provider's client for somebody's key."""

    def of(self, key: str) -> Roads:
        """Cheap: the client is kept by key."""
        ...
