"""Secrets at rest and signatures: AES-256-GCM envelopes bound to their row, HMAC-signed values.

Envelope ``v2.{kid}.{nonce+wrapped key}.{nonce+ciphertext}`` (base64url): a fresh data key per
secret, wrapped by the ring's key ``kid``; the context (tenant, table, row) is authenticated,
so a ciphertext copied to another row does not open (NIST SP 800-38D; spec/kernel-facts B.8).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from app.core.settings import Secrets

_NONCE = 12


class SecretUnreadable(Exception):
    """A stored secret does not open: another context, a dropped key or damaged bytes."""


class SignatureInvalid(Exception):
    """A signed value was tampered with, or signed by a key that left the ring."""


class Vault:
    """Encrypts and opens stored secrets with a key ring; the first key encrypts."""

    def __init__(self, ring: Sequence[SecretStr]) -> None:
        self._keys = dict(Secrets.key_pair(entry) for entry in ring)
        self.first = next(iter(self._keys))
        """Id of the key that encrypts."""

    def encrypt(self, plain: str, context: str) -> str:
        """The envelope of ``plain``; ``context`` names its row and must be given to open it."""
        data_key = AESGCM.generate_key(256)
        wrapped = _seal(self._keys[self.first], data_key, context)
        sealed = _seal(data_key, plain.encode(), context)
        return f"v2.{self.first}.{_b64(wrapped)}.{_b64(sealed)}"

    def decrypt(self, envelope: str, *contexts: str) -> str:
        """Open an envelope that is bound to one of ``contexts``. Raises SecretUnreadable."""
        for context in contexts:
            try:
                version, kid, wrapped, sealed = envelope.split(".")
                if version != "v2":
                    raise SecretUnreadable(f"unknown envelope version {version!r}")
                data_key = _open(self._keys[kid], _unb64(wrapped), context)
                return _open(data_key, _unb64(sealed), context).decode()
            except InvalidTag:
                continue
            except (ValueError, KeyError) as error:
                raise SecretUnreadable("the secret does not open with this ring") from error
        raise SecretUnreadable("the secret does not open with this ring")

    def reseal(self, envelope: str, *contexts: str) -> str | None:
        """The same secret under the first key and context; None when the key seals it already.

        Raises SecretUnreadable.
        """
        if kid_of(envelope) == self.first:
            return None
        return self.encrypt(self.decrypt(envelope, *contexts), contexts[0])


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column that holds envelopes; whatever the vault seals is listed in ``tables.SEALED``."""

    table: str
    column: str
    contexts: tuple[str, ...]
    """What the envelope is bound to, as templates of the row's columns: today's, then older."""
    in_object: bool = False
    """The column is a JSON object whose values are envelopes."""

    def bound_to(self, row: Mapping[str, object]) -> tuple[str, ...]:
        """The contexts of one row's envelopes."""
        return tuple(context.format_map(row) for context in self.contexts)


def kid_of(envelope: str) -> str:
    """The id of the key an envelope was sealed with; empty when it is no envelope."""
    return envelope.split(".")[1] if envelope.startswith("v2.") else ""


class Signer:
    """Signs small JSON values so that a client can carry them unchanged; first key signs."""

    def __init__(self, ring: Sequence[SecretStr], purpose: str) -> None:
        # A key per purpose: a freight quote never passes as a tracking token.
        self._keys = [
            hmac.digest(key.get_secret_value().encode(), purpose.encode(), "sha256") for key in ring
        ]

    def sign(self, value: dict[str, Any]) -> str:
        """``base64url(json).base64url(mac)``."""
        body = orjson.dumps(value)
        return f"{_b64(body)}.{_b64(hmac.digest(self._keys[0], body, 'sha256'))}"

    def tag(self, value: bytes) -> str:
        """An unguessable name for ``value`` that needs no storing (HMAC-SHA256, base64url)."""
        return _b64(hmac.digest(self._keys[0], value, "sha256"))

    def check(self, value: bytes, tag: str) -> None:
        """Raises SignatureInvalid unless ``tag`` names ``value`` under a key of the ring."""
        given = tag.encode("utf-8", "replace")
        if not any(
            hmac.compare_digest(_b64(hmac.digest(key, value, "sha256")).encode(), given)
            for key in self._keys
        ):
            raise SignatureInvalid("the tag does not match")

    def open(self, token: str) -> dict[str, Any]:
        """The value back. Raises SignatureInvalid."""
        try:
            head, tail = token.split(".")
            body, mac = _unb64(head), _unb64(tail)
        except (ValueError, binascii.Error) as error:
            raise SignatureInvalid("malformed") from error
        if not any(
            hmac.compare_digest(hmac.digest(key, body, "sha256"), mac) for key in self._keys
        ):
            raise SignatureInvalid("the signature does not match")
        value: dict[str, Any] = orjson.loads(body)
        return value


def token_hash(token: str) -> bytes:
    """What is stored of an unguessable token: its SHA-256."""
    return hashlib.sha256(token.encode()).digest()


def _seal(key: bytes, plain: bytes, context: str) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, context.encode())


def _open(key: bytes, sealed: bytes, context: str) -> bytes:
    return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode())


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    if not text.isascii():
        raise ValueError("not base64url")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
