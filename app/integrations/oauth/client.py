"""OAuth 2.0 with PKCE at Google, Microsoft and HubSpot: one client, a description per vendor.

Written on the shared HTTP client rather than on an OAuth library: three form posts are all there
is to it, and a library would bring an HTTP session of its own past our deadlines, our TLS context
and the rule that no failure carries a credential.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlencode

import httpx
from pydantic import JsonValue

from app.contracts.gateways.oauth import (
    Account,
    Grant,
    GrantEnded,
    VendorRefused,
    VendorUnavailable,
)
from app.core.http import Answer, CallNotSent, CallUnanswered, send

DEADLINE_S = 10.0
_NO_LIFE_S = 300
"""A token whose life the vendor does not tell is renewed after five minutes."""
_HINT_REFRESH = {"token_type_hint": "refresh_token"}
_HINT_ACCESS = {"token_type_hint": "access_token"}


@dataclass(frozen=True, slots=True)
class Whoami:
    """The call that says whose a token is, and where in its answer."""

    method: Literal["GET", "POST"]
    url: str
    id: tuple[str, ...]
    name: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OAuthVendor:
    """What differs between vendors."""

    name: str
    label: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: str
    authorize: str
    token: str
    whoami: Whoami
    revoke: str | None = None
    authorize_extra: Mapping[str, str] = field(default_factory=dict)
    names_scopes_at_refresh: bool = False
    """Microsoft wants the scopes again with every token request."""


class OAuthClient:
    """Satisfies ``OAuthGateway``."""

    def __init__(self, http: httpx.AsyncClient, vendor: OAuthVendor) -> None:
        self._http, self._vendor = http, vendor

    @property
    def is_configured(self) -> bool:
        return bool(self._vendor.client_id and self._vendor.client_secret)

    def authorize_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        """Where a person consents (RFC 6749 §4.1.1, RFC 7636 §4.3)."""
        query = {
            "response_type": "code",
            "client_id": self._vendor.client_id,
            "redirect_uri": redirect_uri,
            "scope": self._vendor.scopes,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **self._vendor.authorize_extra,
        }
        return f"{self._vendor.authorize}?{urlencode(query)}"

    async def exchange(self, *, code: str, verifier: str, redirect_uri: str) -> Grant:
        """Tokens for a code. Raises GrantEnded, VendorUnavailable, VendorRefused."""
        grant = await self._token(
            grant_type="authorization_code",
            code=code,
            code_verifier=verifier,
            redirect_uri=redirect_uri,
        )
        if grant.refresh_token is None:
            raise VendorRefused(f"{self._vendor.label} gave no refresh token: connect once more.")
        return grant

    async def refresh(self, refresh_token: str) -> Grant:
        """New tokens. Raises GrantEnded, VendorUnavailable, VendorRefused."""
        return await self._token(grant_type="refresh_token", refresh_token=refresh_token)

    async def revoke(self, refresh_token: str) -> bool:
        """Give the consent back (RFC 7009). Raises VendorUnavailable, VendorRefused."""
        if self._vendor.revoke is None:
            return False
        answer = await self._form(self._vendor.revoke, token=refresh_token, **_HINT_REFRESH)
        # A token that the vendor no longer knows is as good as revoked (RFC 7009 §2.2).
        if answer.status < 300 or _error_of(answer) in ("invalid_token", "invalid_grant"):
            return True
        raise self._failure(answer)

    async def account(self, access_token: str) -> Account:
        """Whose tokens these are. Raises GrantEnded, VendorUnavailable, VendorRefused."""
        asked = self._vendor.whoami
        if asked.method == "POST":
            answer = await self._form(asked.url, token=access_token, **_HINT_ACCESS)
        else:
            answer = await self._send("GET", asked.url, bearer=access_token)
        facts = answer.body if isinstance(answer.body, dict) else {}
        if answer.status == 401 or facts.get("active") is False:
            raise GrantEnded(f"{self._vendor.label} no longer accepts our token.")
        found = _first(facts, asked.id)
        if answer.status >= 300 or not found:
            raise self._failure(answer)
        return Account(found, _first(facts, asked.name) or found)

    async def _token(self, **fields: str) -> Grant:
        if self._vendor.names_scopes_at_refresh:
            fields["scope"] = self._vendor.scopes
        answer = await self._form(self._vendor.token, **fields)
        match answer.body:
            case {"access_token": str(access), **rest} if answer.status == 200 and access:
                refresh, life, scope = (
                    rest.get(k) for k in ("refresh_token", "expires_in", "scope")
                )
                return Grant(
                    access,
                    refresh if isinstance(refresh, str) and refresh else None,
                    life if isinstance(life, int) and life > 0 else _NO_LIFE_S,
                    tuple(scope.split()) if isinstance(scope, str) else (),
                )
        raise self._failure(answer)

    async def _form(self, url: str, **fields: str) -> Answer:
        own = {"client_id": self._vendor.client_id, "client_secret": self._vendor.client_secret}
        return await self._send("POST", url, form={**own, **fields})

    async def _send(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, bearer: str = ""
    ) -> Answer:
        headers = {"accept": "application/json"}
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        try:
            return await send(
                self._http, method, url, form=form, headers=headers, deadline_s=DEADLINE_S
            )
        except (CallNotSent, CallUnanswered) as failure:
            raise VendorUnavailable(
                f"{self._vendor.label} did not answer ({failure}): try again in a minute."
            ) from failure

    def _failure(self, answer: Answer) -> GrantEnded | VendorUnavailable | VendorRefused:
        label, error = self._vendor.label, _error_of(answer)
        if error == "invalid_grant":
            return GrantEnded(f"{label} ended the consent: connect the account again.")
        if answer.status == 429 or answer.status >= 500 or answer.body is None:
            return VendorUnavailable(f"{label} answered {answer.status}: try again in a minute.")
        code = error or f"status {answer.status}"
        return VendorRefused(f"{label} refused us ({code}): check our registration there.")


def _error_of(answer: Answer) -> str:
    """The code of RFC 6749 §5.2; HubSpot also knows a word of its own for it."""
    match answer.body:
        case {"error": str(code)}:
            return code[:60]
        case {"status": "BAD_REFRESH_TOKEN"}:
            return "invalid_grant"
    return ""


def _first(facts: Mapping[str, JsonValue], names: tuple[str, ...]) -> str:
    for name in names:
        value = facts.get(name)
        if isinstance(value, str | int) and str(value):
            return str(value)
    return ""
