"""The cheapest call of each vendor whose credentials are keys: is this key one of ours?

A key that says ``wrong`` anywhere is refused, as an unknown one would be; ``tokens`` in the
configuration narrows what is accepted to its list.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import ClassVar

from pydantic import JsonValue
from starlette.requests import Request
from starlette.routing import Route

from scripts.sandbox.knobs import ErrorKnob
from scripts.sandbox.recorder import Received, mask
from scripts.sandbox.settings import SandboxSettings
from scripts.sandbox.vendors.base import Reply, Vendor, VendorConfig

_MODELS: JsonValue = {"object": "list", "data": [{"id": "sandbox-model", "object": "model"}]}
_GET: dict[str, JsonValue] = {
    "/openai/v1/models": _MODELS,
    "/anthropic/v1/models": {"data": [{"type": "model", "id": "sandbox-model"}]},
    "/gemini/v1beta/models": {"models": [{"name": "models/sandbox-model"}]},
    "/clicksign/api/v3/envelopes": {"data": []},
    "/docusign/oauth/userinfo": {"sub": "u", "name": "Ana", "accounts": []},
    "/graph/{version}/{phone}": {"id": "1", "display_phone_number": "+55 11 4002-8922"},
}
_POST = ("/docusign/oauth/token", "/zoom/oauth/token")
_DOCUSIGN = "token-of-docusign"
_HEADERS = ("x-api-key", "x-goog-api-key", "authorization")


class KeysConfig(VendorConfig):
    """What the vendors' token servers say beyond yes and no."""

    consent_required: bool = False


class Keys(Vendor):
    """Vendors that have no module of their own here yet, reduced to "who am I"."""

    name: ClassVar[str] = "keys"
    config: KeysConfig

    @classmethod
    def configured(cls, settings: SandboxSettings) -> KeysConfig:
        return KeysConfig()

    def routes(self) -> list[Route]:
        asked = [Route(path, self.endpoint, methods=["GET"]) for path in _GET]
        return [*asked, *(Route(path, self.endpoint, methods=["POST"]) for path in _POST)]

    def failure(self, error: ErrorKnob) -> Reply:
        return Reply(int(error.code), {"error": "forced"}, "forced error")

    def describe(self, entry: Received) -> None:
        for name in ("x-api-key", "x-goog-api-key"):
            if name in entry.headers:
                entry.headers[name] = mask(entry.headers[name])
        entry.to = entry.path

    def receive(self, request: Request, entry: Received) -> Reply:
        path = request.url.path
        if path == "/docusign/oauth/token":
            return self._assertion(request, entry)
        if not self._accepts(_key(request)):
            return Reply(401, {"error": "invalid key"}, "refused")
        if path == "/zoom/oauth/token":
            token: JsonValue = {"access_token": "zoom", "token_type": "bearer", "expires_in": 3599}
            return Reply(200, token, "accepted")
        route = next(p for p in _GET if p == path or p.startswith("/graph/"))
        return Reply(200, _GET[path if path in _GET else route], "accepted")

    def _assertion(self, request: Request, entry: Received) -> Reply:
        fields = entry.body if isinstance(entry.body, dict) else {}
        claims = _claims(str(fields.get("assertion", "")))
        if claims.get("aud") != "account-d.docusign.com" or not self._accepts(
            str(claims.get("iss", ""))
        ):
            return Reply(400, {"error": "invalid_grant"}, "refused")
        if self.config.consent_required:
            return Reply(400, {"error": "consent_required"}, "refused")
        token: JsonValue = {"access_token": _DOCUSIGN, "token_type": "Bearer", "expires_in": 3600}
        return Reply(200, token, "accepted")

    def _accepts(self, key: str) -> bool:
        if key == _DOCUSIGN:
            return True
        return bool(key) and "wrong" not in key and key in (self.config.tokens or [key])


def _key(request: Request) -> str:
    found = next((request.headers[n] for n in _HEADERS if n in request.headers), "")
    if found.startswith("Basic "):
        return base64.b64decode(found.removeprefix("Basic ")).decode("utf-8", "replace")
    return found.removeprefix("Bearer ") or request.query_params.get("key", "")


def _claims(token: str) -> Mapping[str, JsonValue]:
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
