"""Accounts connected by consent (OAuth 2.0 with PKCE): what any vendor must be able to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token server gave; ``refresh_token`` None says that the one we have stays valid."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in_s: int
    scopes: tuple[str, ...]
    """As granted; empty when the vendor does not say."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose account was connected: the vendor's own id, and a name that people recognise."""

    id: str
    name: str


class OAuthFailure(Exception):
    """A call that did not end as hoped; the message is a sentence without any credential."""


class GrantEnded(OAuthFailure):
    """The consent was withdrawn or expired (``invalid_grant``): a person must connect again."""


class VendorUnavailable(OAuthFailure):
    """No usable answer came: nothing is known to have changed, try again later."""


class VendorRefused(OAuthFailure):
    """The vendor answered no to us: our registration or its settings are wrong."""


class OAuthGateway(Protocol):
    """One vendor's authorization server; never called inside a transaction."""

    @property
    def is_configured(self) -> bool:
        """Whether this installation is registered with the vendor."""
        ...

    def authorize_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        """Where a person consents; ``challenge`` is S256 of the verifier."""
        ...

    async def exchange(self, *, code: str, verifier: str, redirect_uri: str) -> Grant:
        """Tokens for a code, once. Raises an OAuthFailure."""
        ...

    async def refresh(self, refresh_token: str) -> Grant:
        """New tokens. Raises GrantEnded, VendorUnavailable, VendorRefused."""
        ...

    async def revoke(self, refresh_token: str) -> bool:
        """Give the consent back; False where the vendor has no call for it. Raises OAuthFailure."""
        ...

    async def account(self, access_token: str) -> Account:
        """Whose tokens these are. Raises an OAuthFailure; GrantEnded for a refused token."""
        ...
