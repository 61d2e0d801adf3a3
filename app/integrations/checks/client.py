"""One cheap call per vendor that tells whether it accepts a connection's credentials."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode

import httpx
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.contracts.gateways.checks import Check
from app.core.guard import Guard, NotDelivered, UrlRefused
from app.core.http import Answer, CallNotSent, CallUnanswered, send
from app.core.settings import Settings

DEADLINE_S = 10.0
Credentials = Mapping[str, str]

_ADVICE = {
    "credentials-refused": "{label} does not accept these credentials: enter them again.",
    "not-found": "{label} does not know what was asked for: check the ids and the environment.",
    "rate-limited": "{label} says we ask too often: try again in a few minutes.",
    "unavailable": "{label} did not answer: try again in a minute, or see its status page.",
    "unexpected-answer": "{label} answered something else than documented: check the address.",
}


def _ended(label: str, reason: str) -> Check:
    return Check(reason, _ADVICE[reason].format(label=label))


def _by_status(label: str, status: int) -> Check:
    if 200 <= status < 300:
        return Check("ok")
    if status in (400, 401, 403):
        return _ended(label, "credentials-refused")
    if status == 404:
        return _ended(label, "not-found")
    if status == 429:
        return _ended(label, "rate-limited")
    if status >= 500 or status == 408:
        return _ended(label, "unavailable")
    return _ended(label, "unexpected-answer")


class KeyChecks:
    """Every vendor whose credentials are keys; ``of(provider)`` satisfies ``CredentialCheck``."""

    def __init__(self, http: httpx.AsyncClient, guard: Guard, config: Settings) -> None:
        self._http, self._guard, self._config = http, guard, config

    def of(self, provider: str) -> _Bound:
        """The check of one provider. Raises KeyError for one that has none."""
        label, call = {
            "whatsapp": ("WhatsApp", self._whatsapp),
            "telegram": ("Telegram", self._telegram),
            "openai": ("OpenAI", self._openai),
            "openai-compatible": ("The server", self._compatible),
            "anthropic": ("Anthropic", self._anthropic),
            "gemini": ("Gemini", self._gemini),
            "clicksign": ("ClickSign", self._clicksign),
            "docusign": ("DocuSign", self._docusign),
            "zoom": ("Zoom", self._zoom),
            "stripe": ("Stripe", self._stripe),
            "google-maps": ("Google Maps", self._maps),
        }[provider]
        return _Bound(label, call)

    async def _get(self, url: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await send(self._http, "GET", url, headers=named, deadline_s=DEADLINE_S)

    async def _whatsapp(self, label: str, given: Credentials) -> Check:
        root = f"{self._config.whatsapp_graph_base_url}/{self._config.whatsapp_graph_version}"
        fields = "id,display_phone_number,verified_name"
        answer = await self._get(
            f"{root}/{given['phone_number_id']}?fields={fields}",
            authorization=f"Bearer {given['access_token']}",
        )
        return _named(_by_status(label, answer.status), answer, "display_phone_number")

    async def _telegram(self, label: str, given: Credentials) -> Check:
        base = self._config.telegram_api_base_url
        answer = await self._get(f"{base}/bot{given['bot_token']}/getMe")
        if answer.status == 404:  # the token is part of the path: an unknown bot is "Not Found"
            return _ended(label, "credentials-refused")
        match answer.body:
            case {"ok": True, "result": {"username": str(name)}}:
                return Check("ok", account=f"@{name}")
        return _by_status(label, answer.status)

    async def _openai(self, label: str, given: Credentials) -> Check:
        answer = await self._get(
            f"{self._config.openai_base_url}/models", authorization=f"Bearer {given['api_key']}"
        )
        return _by_status(label, answer.status)

    async def _compatible(self, label: str, given: Credentials) -> Check:
        headers = {"authorization": f"Bearer {given['api_key']}"}
        try:
            answer = await self._guard.get(
                f"{given['base_url'].rstrip('/')}/models", headers=headers
            )
        except UrlRefused as refused:
            return Check("url-refused", f"This address may not be called: {refused}.")
        except NotDelivered:
            return _ended(label, "unavailable")
        return _by_status(label, answer.status)

    async def _anthropic(self, label: str, given: Credentials) -> Check:
        answer = await self._get(
            f"{self._config.anthropic_base_url}/v1/models?limit=1",
            x_api_key=given["api_key"],
            anthropic_version="2023-06-01",
        )
        return _by_status(label, answer.status)

    async def _gemini(self, label: str, given: Credentials) -> Check:
        answer = await self._get(
            f"{self._config.gemini_base_url}/v1beta/models?pageSize=1",
            x_goog_api_key=given["api_key"],
        )
        return _by_status(label, answer.status)

    async def _clicksign(self, label: str, given: Credentials) -> Check:
        config = self._config
        live = given["environment"] == "production"
        base = config.clicksign_base_url if live else config.clicksign_sandbox_base_url
        answer = await self._get(
            f"{base}/api/v3/envelopes?{urlencode({'filter[status]': 'draft'})}",
            authorization=given["access_token"],  # the key alone, without "Bearer"
            accept="application/vnd.api+json",
        )
        return _by_status(label, answer.status)

    async def _docusign(self, label: str, given: Credentials) -> Check:
        config = self._config
        live = given["environment"] == "production"
        base = config.docusign_account_base_url if live else config.docusign_demo_account_base_url
        try:
            # Reading an RSA key checks its primes: tens of milliseconds, off the event loop.
            assertion = await asyncio.to_thread(_assertion, given, live)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return Check("credentials-refused", "The private key is no RSA key in PEM form.")
        grant = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": assertion,
        }
        answer = await send(
            self._http, "POST", f"{base}/oauth/token", form=grant, deadline_s=DEADLINE_S
        )
        match answer.body:
            case {"error": "consent_required"}:
                ask = {
                    "response_type": "code",
                    "scope": "signature impersonation",
                    "client_id": given["integration_key"],
                    "redirect_uri": f"{config.public_base_url}/docs",
                }
                url = f"{base}/oauth/auth?{urlencode(ask)}"
                return Check("consent-required", f"Let the user consent once, at {url}")
            case {"access_token": str(token)}:
                told = await self._get(f"{base}/oauth/userinfo", authorization=f"Bearer {token}")
                return _named(_by_status(label, told.status), told, "name")
        return _by_status(label, answer.status)

    async def _zoom(self, label: str, given: Credentials) -> Check:
        login = base64.b64encode(f"{given['client_id']}:{given['client_secret']}".encode())
        answer = await send(
            self._http,
            "POST",
            f"{self._config.zoom_oauth_base_url}/oauth/token",
            form={"grant_type": "account_credentials", "account_id": given["account_id"]},
            headers={"authorization": f"Basic {login.decode()}"},
            deadline_s=DEADLINE_S,
        )
        return _by_status(label, answer.status)

    async def _stripe(self, label: str, given: Credentials) -> Check:
        answer = await self._get(
            f"{self._config.stripe_api_base_url}/v1/balance",
            authorization=f"Bearer {given['api_key']}",
        )
        return _by_status(label, answer.status)

    async def _maps(self, label: str, given: Credentials) -> Check:
        query = urlencode({"address": "Avenida Paulista, São Paulo", "key": given["api_key"]})
        base = self._config.google_maps_base_url
        answer = await self._get(f"{base}/maps/api/geocode/json?{query}")
        match answer.body:
            case {"status": "OK" | "ZERO_RESULTS"}:
                return Check("ok")
            case {"status": "OVER_QUERY_LIMIT" | "OVER_DAILY_LIMIT"}:
                return _ended(label, "rate-limited")
            case {"status": "REQUEST_DENIED"}:
                return _ended(label, "credentials-refused")
        return _by_status(label, answer.status if answer.status != 200 else 300)


class _Bound:
    def __init__(self, label: str, call: Callable[[str, Credentials], Awaitable[Check]]) -> None:
        self._label, self._call = label, call

    async def check(self, credentials: Credentials) -> Check:
        """Ask the vendor; whatever it does is an answer."""
        try:
            return await self._call(self._label, credentials)
        except (CallNotSent, CallUnanswered):
            return _ended(self._label, "unavailable")


def _named(check: Check, answer: Answer, field: str) -> Check:
    name = answer.body.get(field) if isinstance(answer.body, dict) else None
    return Check("ok", account=str(name)) if check.is_ok and name else check


def _assertion(given: Credentials, live: bool) -> str:
    """The signed claim of the JWT grant (RFC 7523), RS256. Raises ValueError, TypeError."""
    key = load_pem_private_key(given["private_key"].encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("not an RSA key")
    issued = int(time.time())
    claims = {
        "iss": given["integration_key"],
        "sub": given["user_id"],
        "aud": "account.docusign.com" if live else "account-d.docusign.com",
        "iat": issued,
        "exp": issued + 600,
        "scope": "signature impersonation",
    }
    parts = [_b64(orjson.dumps(part)) for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
    text = b".".join(parts)
    return (text + b"." + _b64(key.sign(text, PKCS1v15(), SHA256()))).decode()


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
