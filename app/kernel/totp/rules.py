"""Time-based one-time passwords (RFC 6238), their QR code, and recovery codes; no I/O."""

from __future__ import annotations

import base64
import hmac
import io
import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from app.core.lazy import lazy

if TYPE_CHECKING:
    import segno
else:
    segno = lazy("segno")  # 90 ms that only an enrolment needs

STEP_S = 30
DIGITS = 6
RECOVERY_CODES = 10
_DRIFT = 1
"""Steps that a clock may be off, and that a code stays good after its own (RFC 6238 §5.2)."""


def new_secret() -> bytes:
    """160 bits, as RFC 4226 §4 recommends."""
    return secrets.token_bytes(20)


def code_at(secret: bytes, unix_s: float) -> str:
    """The six digits that an app shows at this moment."""
    # SHA-1 is what authenticator apps take for granted; HMAC does not need it collision-free.
    return TOTP(secret, DIGITS, SHA1(), STEP_S).generate(int(unix_s)).decode()  # noqa: S303


def accepted_step(secret: bytes, code: str, unix_s: float, *, after: int) -> int | None:
    """The time step ``code`` belongs to, when it is near now and later than ``after``."""
    here = int(unix_s) // STEP_S
    hotp = HOTP(secret, DIGITS, SHA1())  # noqa: S303 - as above
    fits = None
    for step in range(here - _DRIFT, here + _DRIFT + 1):
        # Every step is compared, so the time tells nothing about which one it was.
        same = hmac.compare_digest(hotp.generate(step), code.encode("utf-8", "replace"))
        if same and step > after:
            fits = step
    return fits


def encoded(secret: bytes) -> str:
    """The secret as people type it into an app: base32 without padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def otpauth_uri(secret: bytes, issuer: str, account: str) -> str:
    """What the QR code holds (Key URI Format)."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    facts = {
        "secret": encoded(secret),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": DIGITS,
        "period": STEP_S,
    }
    return f"otpauth://totp/{label}?{urlencode(facts, quote_via=quote)}"


def qr_svg(uri: str) -> str:
    """A QR code as an SVG image; slow at its first call, so call it off the event loop."""
    out = io.BytesIO()
    segno.make_qr(uri, error="m").save(out, kind="svg", scale=4, xmldecl=False)
    return out.getvalue().decode()


def new_recovery_codes() -> list[str]:
    """Ten codes of 120 random bits: enough that a plain hash keeps them (ASVS 6.5.2)."""
    return [_grouped(base64.b32encode(secrets.token_bytes(15))) for _ in range(RECOVERY_CODES)]


def normalized(code: str) -> str:
    """A code as it was meant: without the spaces and dashes that people type or leave out."""
    return "".join(c for c in code if c.isalnum()).lower()


def _grouped(raw: bytes) -> str:
    text = raw.decode().lower()
    return "-".join(text[at : at + 6] for at in range(0, len(text), 6))
