"""Whether a vendor accepts the credentials of a connection: one cheap call, one clear answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Check:
    """How a check ended. ``reason`` is for programs, ``detail`` says what a person does next."""

    reason: str
    """``ok``, ``credentials-refused``, ``consent-required``, ``not-found``, ``rate-limited``,
    ``unavailable``, ``url-refused`` or ``unexpected-answer``."""
    detail: str = ""
    account: str | None = None
    """Whom the credentials belong to, when the vendor says it."""

    @property
    def is_ok(self) -> bool:
        return self.reason == "ok"


class CredentialCheck(Protocol):
    """Asks one vendor whether it knows us; never called inside a transaction."""

    async def check(self, credentials: Mapping[str, str]) -> Check:
        """Public configuration and secrets go in; never raises for what the vendor does."""
        ...
