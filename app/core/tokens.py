"""Access tokens: JWT signed by the first key of the ring, verified by all, cached two seconds.

The only module that imports python-jose (named by the product's card; upstream is quiet): the
algorithm list is fixed and every claim we read is required, so a swap touches this file alone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from jose import JWTError, jwt
from pydantic import SecretStr

_AUDIENCE = "largo"
_CACHED_S = 2.0
_CACHE_SIZE = 10_000


class TokenInvalid(Exception):
    """The access token is malformed, expired, or signed by nobody we know."""


@dataclass(frozen=True, slots=True)
class Claims:
    user_id: UUID
    tenant_id: UUID
    role: str
    session_id: UUID
    expires_at: int
    """Unix seconds."""


class Tokens:
    def __init__(self, ring: Sequence[SecretStr], algorithm: str, minutes: int) -> None:
        self._ring = {_kid(k): k.get_secret_value() for k in ring}
        self._first = next(iter(self._ring))
        self._algorithm = algorithm
        self._life_s = minutes * 60
        # Verifying costs more than the session look-up after it (spec/kernel-facts A.5).
        self._seen: dict[bytes, tuple[float, Claims]] = {}

    def issue(
        self,
        user_id: UUID,
        tenant_id: UUID,
        role: str,
        session_id: UUID,
        *,
        life_s: int | None = None,
    ) -> tuple[str, int]:
        """A signed access token and its life in seconds: the settings', unless one is given."""
        life_s = self._life_s if life_s is None else life_s
        issued = int(time.time())
        claims = {
            "sub": str(user_id),
            "tenant_id": str(tenant_id),
            "role": role,
            "sid": str(session_id),
            "aud": _AUDIENCE,
            "iat": issued,
            "exp": issued + life_s,
        }
        key = self._ring[self._first]
        token: str = jwt.encode(claims, key, self._algorithm, headers={"kid": self._first})
        return token, life_s

    def verify(self, token: str) -> Claims:
        """The claims of a valid token. Raises TokenInvalid."""
        digest = hashlib.sha256(token.encode()).digest()
        clock = time.monotonic()
        hit = self._seen.get(digest)
        if hit is not None and hit[0] > clock and hit[1].expires_at > time.time():
            return hit[1]
        claims = self._decode(token)
        if len(self._seen) >= _CACHE_SIZE:
            self._seen.clear()
        self._seen[digest] = (clock + _CACHED_S, claims)
        return claims

    def _decode(self, token: str) -> Claims:
        try:
            key = self._ring[jwt.get_unverified_header(token)["kid"]]
            found = jwt.decode(
                token,
                key,
                algorithms=[self._algorithm],
                audience=_AUDIENCE,
                options={f"require_{c}": True for c in ("sub", "exp", "iat", "aud")},
            )
            return Claims(
                UUID(found["sub"]),
                UUID(found["tenant_id"]),
                str(found["role"]),
                UUID(found["sid"]),
                int(found["exp"]),
            )
        except (JWTError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise TokenInvalid("not a valid access token") from error


def _kid(secret: SecretStr) -> str:
    return hashlib.sha256(b"kid:" + secret.get_secret_value().encode()).hexdigest()[:12]
