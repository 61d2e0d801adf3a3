"""A web push service: takes encrypted messages for browsers that the sandbox plays, too.

``POST /webpush/subscriptions`` makes a browser and answers what ``PushSubscription.toJSON()``
would; its messages are decrypted for the list. Messages to other endpoints below
``/webpush/send/`` are taken as well, and stay closed. Written from RFC 8030 (delivery), RFC 8188
and 8291 (encryption) and RFC 8292 (identification of the sender).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import time
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scripts.sandbox.knobs import ErrorKnob
from scripts.sandbox.recorder import Received, mask
from scripts.sandbox.settings import SandboxSettings
from scripts.sandbox.vendors.base import Reply, Vendor, VendorConfig

_LARGEST_BODY = 4096
_LONGEST_TOKEN_S = 24 * 3600
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_MOST_BROWSERS = 10_000
_REASONS = {
    400: "bad request",
    403: "the key does not belong to this subscription",
    404: "no such subscription",
    410: "the subscription has ended",
    413: "payload too large",
    429: "too many requests",
}


@dataclass(frozen=True, slots=True)
class Browser:
    """The half of a subscription that never leaves the device."""

    private: ec.EllipticCurvePrivateKey
    auth: bytes


class WebPush(Vendor):
    """One push service; a subscription belongs to the first key that sends to it."""

    name: ClassVar[str] = "webpush"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._browsers: dict[str, Browser] = {}
        self._senders: dict[str, str] = {}
        self._ids = count(1)

    @classmethod
    def configured(cls, settings: SandboxSettings) -> VendorConfig:
        return VendorConfig()

    def routes(self) -> list[Route]:
        return [
            Route("/webpush/subscriptions", self.subscribe, methods=["POST"]),
            Route("/webpush/send/{token}", self.endpoint, methods=["POST"]),
        ]

    def masked_path(self, request: Request) -> str:
        return f"/webpush/send/{mask(request.path_params['token'])}"

    async def body_of(self, request: Request) -> JsonValue:
        raw = await request.body()
        return {"bytes": len(raw), "base64": base64.b64encode(raw).decode()}

    async def subscribe(self, request: Request) -> Response:
        """A new browser; the answer is what it would hand to the application."""
        if len(self._browsers) >= _MOST_BROWSERS:
            self._browsers.clear()
        token = secrets.token_urlsafe(24)
        browser = Browser(ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16))
        self._browsers[token] = browser
        keys = {"p256dh": _b64(_point(browser.private.public_key())), "auth": _b64(browser.auth)}
        endpoint = str(request.base_url).rstrip("/") + f"/webpush/send/{token}"
        return JSONResponse({"endpoint": endpoint, "expirationTime": None, "keys": keys}, 201)

    def failure(self, error: ErrorKnob) -> Reply:
        code = int(error.code)
        headers = {"retry-after": str(error.retry_after_s or 1)} if code == 429 else None
        return _refused(code, _REASONS.get(code, "error"), headers)

    def describe(self, entry: Received) -> None:
        entry.to = entry.path.rpartition("/")[2]

    def receive(self, request: Request, entry: Received) -> Reply:
        token = request.path_params["token"]
        body = base64.b64decode(str(_fields(entry.body)["base64"]))
        if fault := _fault(request, body):
            return _refused(413 if len(body) > _LARGEST_BODY else 400, fault)
        origin = str(request.base_url).rstrip("/")
        sender, fault = _sender(request.headers.get("authorization", ""), origin)
        if fault:
            return _refused(403, fault)
        if self._senders.setdefault(token, sender) != sender:
            return _refused(403, _REASONS[403])
        browser = self._browsers.get(token)
        if browser is not None:
            try:
                entry.preview = opened(browser, body).decode()
            except (ValueError, InvalidTag):
                # A real service cannot see this; a browser would drop it without a word.
                return _refused(400, "the browser cannot decrypt this")
        location = {"location": f"{origin}/webpush/message/{next(self._ids)}", "ttl": "0"}
        return Reply(201, "", "accepted", location)


def opened(browser: Browser, body: bytes) -> bytes:
    """The plain text of an ``aes128gcm`` body (RFC 8291 §3.4). Raises ValueError, InvalidTag."""
    salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
    sender = body[21 : 21 + length]
    if length != 65 or size < 18 or len(body) - 86 > size:
        raise ValueError("one record of a P-256 sender is what push messages are made of")
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
    shared = browser.private.exchange(ec.ECDH(), public)
    mine = _point(browser.private.public_key())
    secret = _derived(32, browser.auth, b"WebPush: info\0" + mine + sender, shared)
    key = _derived(16, salt, b"Content-Encoding: aes128gcm\0", secret)
    nonce = _derived(12, salt, b"Content-Encoding: nonce\0", secret)
    plain = AESGCM(key).decrypt(nonce, body[86:], None).rstrip(b"\0")
    if plain[-1:] != b"\2":
        raise ValueError("the last record ends with the delimiter 2 (RFC 8188 §2)")
    return plain[:-1]


def _fault(request: Request, body: bytes) -> str:
    headers = request.headers
    if not headers.get("ttl", "").isdecimal():
        return "TTL is required (RFC 8030 §5.2)"
    if headers.get("content-encoding") != "aes128gcm":
        return "Content-Encoding must be aes128gcm (RFC 8291 §4)"
    if headers.get("urgency", "normal") not in {"very-low", "low", "normal", "high"}:
        return "unknown Urgency (RFC 8030 §5.3)"
    if "topic" in headers and not _TOPIC.fullmatch(headers["topic"]):
        return "Topic takes 32 base64url characters (RFC 8030 §5.4)"
    if len(body) > _LARGEST_BODY:
        return _REASONS[413]
    return "" if len(body) > 86 else "the body holds no message"


def _sender(authorization: str, origin: str) -> tuple[str, str]:
    """The sender's public key, and what is wrong with its claim (RFC 8292 §2)."""
    scheme, _, rest = authorization.partition(" ")
    found = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    token, public = found.get("t", ""), found.get("k", "")
    if scheme.lower() != "vapid" or not token or not public:
        return "", "authorize with: vapid t=..., k=..."
    try:
        signed, _, signature = token.rpartition(".")
        _verify(public, signed.encode(), _unb64(signature))
        claims = json.loads(_unb64(signed.partition(".")[2]))
        left = int(claims["exp"]) - time.time()
    except (ValueError, KeyError, TypeError, InvalidSignature):
        return "", "the token's signature is not the key's"
    if claims.get("aud") != origin:
        return "", f"the token is for {claims.get('aud')}"
    if not 0 < left <= _LONGEST_TOKEN_S:
        return "", "the token has expired, or lives for more than 24 hours"
    if not str(claims.get("sub", "")).startswith(("mailto:", "https://")):
        return "", "the token names no contact"
    return public, ""


def _verify(public: str, signed: bytes, signature: bytes) -> None:
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _unb64(public))
    half = [int.from_bytes(signature[at : at + 32], "big") for at in (0, 32)]
    if len(signature) != 64:
        raise ValueError("ES256 signatures are 64 bytes (RFC 7518 §3.4)")
    key.verify(encode_dss_signature(*half), signed, ec.ECDSA(SHA256()))


def _derived(length: int, salt: bytes, info: bytes, secret: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def _fields(body: JsonValue) -> dict[str, JsonValue]:
    return body if isinstance(body, dict) else {}


def _refused(status: int, reason: str, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, {"reason": reason}, "refused", headers)
