"""OAuth servers: Google, Microsoft and HubSpot, from the consent page to the revoked token.

Each keeps what a real one would: codes work once and only with their verifier and redirect URI, a
rotated refresh token is dead, a revoked one answers ``invalid_grant``.
"""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar
from urllib.parse import urlencode, urlsplit

from pydantic import Field, JsonValue
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from scripts.sandbox.callbacks import Callbacks
from scripts.sandbox.knobs import ErrorKnob
from scripts.sandbox.recorder import Received, Recorder, mask
from scripts.sandbox.settings import SandboxSettings
from scripts.sandbox.vendors.base import Reply, Vendor, VendorConfig

_CODE_S = 600
_HIDDEN = {"client_secret", "code", "code_verifier", "refresh_token", "access_token", "token"}
_LEGACY_ERRORS = {"1": "invalid_grant", "2": "invalid_client", "3": "temporarily_unavailable"}


class OAuthConfig(VendorConfig):
    """Who consents, how long tokens live, and whether refresh tokens rotate."""

    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-client-secret"  # noqa: S105 - public, for development
    expires_in: int = Field(default=3600, ge=1, le=86_400)
    rotate: bool = False
    account_id: str = "1001"
    account_email: str = "ana@bellamassa.example"
    granted_scopes: str = Field(default="", description="empty: what was asked for")
    ended: list[str] = Field(default=[], description="accounts whose consent was withdrawn")


@dataclass(frozen=True)
class Consent:
    """What one person agreed to for one client."""

    account_id: str
    email: str
    scope: str
    redirect_uri: str
    challenge: str
    made_at: float


class OAuthServer(Vendor):
    """What the three have in common."""

    config: OAuthConfig
    prefix: ClassVar[str]
    authorize_path: ClassVar[str]
    token_path: ClassVar[str]
    revoke_path: ClassVar[str | None] = None
    whoami_path: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, settings: SandboxSettings, recorder: Recorder, callbacks: Callbacks) -> None:
        super().__init__(settings, recorder, callbacks)
        self.codes: dict[str, Consent] = {}
        self.refresh: dict[str, Consent] = {}
        self.access: dict[str, tuple[Consent, float]] = {}

    @classmethod
    def configured(cls, settings: SandboxSettings) -> OAuthConfig:
        return OAuthConfig()

    def routes(self) -> list[Route]:
        played = [
            (self.authorize_path, ["GET"]),
            (self.token_path, ["POST"]),
            (self.whoami_path, ["GET", "POST"]),
        ]
        if self.revoke_path is not None:
            played.append((self.revoke_path, ["POST"]))
        return [Route(f"/{self.prefix}{p}", self.endpoint, methods=m) for p, m in played]

    def failure(self, error: ErrorKnob) -> Reply:
        return _refused(_LEGACY_ERRORS.get(error.code, "server_error"))

    def describe(self, entry: Received) -> None:
        entry.to = entry.path
        entry.preview = str(_object(entry.body).get("grant_type") or "")
        entry.body = self.shown_answer(entry.body)

    def shown_answer(self, body: JsonValue) -> JsonValue:
        if not isinstance(body, dict):
            return body
        return {k: mask(str(v)) if k in _HIDDEN else v for k, v in body.items()}

    async def endpoint(self, request: Request) -> Response:
        await request.body()  # kept by the request: the form and the recorder both read it
        request.state.form = dict(await request.form())
        return await super().endpoint(request)

    def receive(self, request: Request, entry: Received) -> Reply:
        path = "/" + request.url.path.removeprefix("/").partition("/")[2]
        form: Mapping[str, str] = request.state.form
        if path == self.whoami_path:
            return self.whoami(request, form)
        if request.method == "GET":
            return self._consent(request)
        if form.get("client_id") != self.config.client_id or not secrets.compare_digest(
            form.get("client_secret", ""), self.config.client_secret
        ):
            return _refused("invalid_client", 401)
        if path == self.revoke_path:
            return self._revoke(form)
        return self._token(form)

    @abstractmethod
    def whoami(self, request: Request, form: Mapping[str, str]) -> Reply:
        """Whose token this is, in the vendor's own words."""

    def _consent(self, request: Request) -> Reply:
        asked = dict(request.query_params)
        fault = _fault(asked, self.config.client_id)
        if fault:
            return Reply(400, f"<h1>Error 400</h1><p>{html.escape(fault)}</p>", "refused")
        decision = asked.pop("decision", "")
        if not decision:
            return Reply(200, _page(self.title, asked), "consent asked")
        back: dict[str, str] = {"state": asked["state"]}
        if decision == "allow":
            code = secrets.token_urlsafe(24)
            self.codes[code] = Consent(
                self.config.account_id,
                self.config.account_email,
                self.config.granted_scopes or asked["scope"],
                asked["redirect_uri"],
                asked["code_challenge"],
                time.monotonic(),
            )
            back["code"] = code
        else:
            back["error"] = "access_denied"
        target = f"{asked['redirect_uri']}?{urlencode(back)}"
        return Reply(302, "", "accepted", {"location": target})

    def _token(self, form: Mapping[str, str]) -> Reply:
        match form.get("grant_type"):
            case "authorization_code":
                consent = self.codes.pop(form.get("code", ""), None)
                if consent is None or time.monotonic() - consent.made_at > _CODE_S:
                    return _refused("invalid_grant")
                proof = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
                challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
                if challenge != consent.challenge:
                    return _refused("invalid_grant")
                if form.get("redirect_uri") != consent.redirect_uri:
                    return _refused("redirect_uri_mismatch")
                return self._granted(consent, "")
            case "refresh_token":
                given = form.get("refresh_token", "")
                known = self.refresh.get(given)
                if known is None or known.account_id in self.config.ended:
                    return _refused("invalid_grant")
                if self.config.rotate:
                    del self.refresh[given]
                return self._granted(known, given)
        return _refused("unsupported_grant_type")

    def _granted(self, consent: Consent, refreshed: str) -> Reply:
        access, life = f"at-{secrets.token_urlsafe(24)}", self.config.expires_in
        self.access[access] = (consent, time.monotonic() + life)
        body: dict[str, JsonValue] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": life,
            "scope": consent.scope,
        }
        if not refreshed or self.config.rotate:
            fresh = f"rt-{secrets.token_urlsafe(24)}"
            self.refresh[fresh] = replace(consent)
            body["refresh_token"] = fresh
        return Reply(200, body, "accepted")

    def _revoke(self, form: Mapping[str, str]) -> Reply:
        gone = self.refresh.pop(form.get("token", ""), None)
        if gone is None:
            return _refused("invalid_token")
        for token in [t for t, (c, _) in self.access.items() if c == gone]:
            del self.access[token]
        return Reply(200, {}, "accepted")

    def known(self, token: str) -> Consent | None:
        """Whose live access token this is."""
        found = self.access.get(token)
        if found is None or found[1] < time.monotonic():
            return None
        return None if found[0].account_id in self.config.ended else found[0]


class Google(OAuthServer):
    name: ClassVar[str] = "google"
    prefix = "google"
    authorize_path = "/o/oauth2/v2/auth"
    token_path = "/token"  # noqa: S105 - a path
    revoke_path = "/revoke"
    whoami_path = "/oauth2/v3/userinfo"
    title = "Google"

    def whoami(self, request: Request, form: Mapping[str, str]) -> Reply:
        who = self.known(_bearer(request))
        if who is None:
            return _refused("invalid_request", 401)
        body: JsonValue = {"sub": who.account_id, "email": who.email, "email_verified": True}
        return Reply(200, body, "accepted")


class Microsoft(OAuthServer):
    name: ClassVar[str] = "microsoft"
    prefix = "microsoft"
    authorize_path = "/common/oauth2/v2.0/authorize"
    token_path = "/common/oauth2/v2.0/token"  # noqa: S105 - a path
    whoami_path = "/v1.0/me"
    title = "Microsoft"

    @classmethod
    def configured(cls, settings: SandboxSettings) -> OAuthConfig:
        return OAuthConfig(rotate=True)

    def whoami(self, request: Request, form: Mapping[str, str]) -> Reply:
        who = self.known(_bearer(request))
        if who is None:
            code: JsonValue = {"code": "InvalidAuthenticationToken", "message": "expired"}
            return Reply(401, {"error": code}, "refused")
        body: JsonValue = {"id": who.account_id, "mail": who.email, "displayName": "Ana"}
        return Reply(200, body, "accepted")


class HubSpot(OAuthServer):
    name: ClassVar[str] = "hubspot"
    prefix = "hubspot"
    authorize_path = "/oauth/authorize"
    token_path = "/oauth/v3/token"  # noqa: S105 - a path
    revoke_path = "/oauth/v3/token/revoke"
    whoami_path = "/oauth/v3/token/introspect"
    title = "HubSpot"

    def receive(self, request: Request, entry: Received) -> Reply:
        reply = super().receive(request, entry)
        if entry.preview == "refresh_token" and reply.body == _refused("invalid_grant").body:
            reply.body = {"status": "BAD_REFRESH_TOKEN", "message": "unknown refresh token"}
        return reply

    def whoami(self, request: Request, form: Mapping[str, str]) -> Reply:
        who = self.known(form.get("token", ""))
        if who is None:
            return Reply(200, {"active": False}, "refused")
        portal = int(who.account_id) if who.account_id.isdecimal() else 1001
        body: JsonValue = {
            "active": True,
            "hub_id": portal,
            "hub_domain": who.email.partition("@")[2],
            "user": who.email,
            "scopes": list(who.scope.split()),
        }
        return Reply(200, body, "accepted")


def _fault(asked: Mapping[str, str], client_id: str) -> str:
    if asked.get("client_id") != client_id:
        return "unknown client_id"
    if asked.get("response_type") != "code":
        return "response_type must be code"
    if asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != 43:
        return "PKCE with S256 is required"
    if urlsplit(asked.get("redirect_uri", "")).scheme not in ("http", "https"):
        return "redirect_uri is missing"
    return "" if asked.get("state") and asked.get("scope") else "state and scope are required"


def _page(title: str, asked: Mapping[str, str]) -> str:
    buttons = ""
    for decision, text in (("allow", "Permitir"), ("deny", "Negar")):
        target = html.escape(f"?{urlencode({**asked, 'decision': decision})}")
        buttons += f'<p><a href="{target}">{text}</a></p>'
    scopes = html.escape(asked["scope"])
    return (
        f"<!doctype html><meta charset=utf-8><title>{title} (sandbox)</title>"
        f"<h1>{title} (sandbox)</h1><p>Largo pede: {scopes}</p>{buttons}"
    )


def _bearer(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _object(body: JsonValue) -> dict[str, JsonValue]:
    return body if isinstance(body, dict) else {}


def _refused(error: str, status: int = 400) -> Reply:
    return Reply(
        503 if error in ("server_error", "temporarily_unavailable") else status,
        {"error": error, "error_description": f"sandbox: {error}"},
        "refused",
    )
