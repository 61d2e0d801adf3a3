"""Takes deliveries in: judged by their raw bytes, stored for each tenant they concern, answered.

A delivery may name numbers of several tenants. A number's items count only when a secret of its
own tenant signed the body: whoever has a secret cannot speak for somebody else's number.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from uuid import UUID

from pydantic import SecretStr

from app.conversations.inbound.doors import Doors
from app.conversations.inbound.problems import VerifyTokenWrong
from app.conversations.inbound.reading import Names, names_of, parsed
from app.conversations.inbound.schemas import Door
from app.kernel.inbox.problems import WebhookSignatureInvalid
from app.kernel.inbox.service import Share, keep, read_body
from app.kernel.work import Runtime

PROVIDER = "whatsapp"
MAX_BYTES = 3_000_000
_SIGNATURE = "x-hub-signature-256"
_NUMBERS, _ACCOUNTS = "numbers", "accounts"


async def challenge(runtime: Runtime, slug: str | None, mode: str, token: str, answer: str) -> str:
    """What to answer the vendor who subscribes. Raises VerifyTokenWrong."""
    known = [runtime.settings.whatsapp_verify_token]
    if slug is not None:
        tenant = await runtime.tenants.find("slug", slug)
        known = [
            door.verify_token
            for door in (await Doors.of(runtime).of_tenant(tenant.id) if tenant else ())
        ]
    given = token.encode("utf-8", "replace")
    # Every one is compared: which of them matched shows in no timing.
    matches = [
        hmac.compare_digest(given, secret.get_secret_value().encode())
        for secret in known
        if secret.get_secret_value()
    ]
    if mode != "subscribe" or not any(matches):
        raise VerifyTokenWrong()
    return answer


async def take_in(
    runtime: Runtime, slug: str | None, headers: Mapping[str, str], chunks: AsyncIterator[bytes]
) -> int:
    """Store a delivery for each tenant it concerns, with its job: how many rows are new.

    Raises TooLarge, WebhookSignatureInvalid (and then nothing is stored).
    """
    body = await read_body(chunks, headers.get("content-length"), MAX_BYTES)
    signature = headers.get(_SIGNATURE, "")
    names = names_of(parsed(body))
    if slug is None:
        trusted, is_signed = await _by_number(runtime, names, signature, body)
    else:
        trusted, is_signed = await _by_tenant(runtime, slug, signature, body)
    if not is_signed:
        raise WebhookSignatureInvalid()
    digest = hashlib.sha256(body).hexdigest()
    shares = _shares(names, trusted, signature)
    return await keep(runtime, PROVIDER, digest, body, shares)


async def _by_number(
    runtime: Runtime, names: Names, signature: str, body: bytes
) -> tuple[Sequence[Door], bool]:
    """The doors that the delivery names and whose tenant's secret signed it."""
    doors = await Doors.of(runtime).named(names.phones, names.accounts)
    if is_signed(signature, body, [runtime.settings.whatsapp_app_secret]):
        return doors, True
    by_tenant: dict[UUID, list[SecretStr]] = {}
    for door in doors:
        by_tenant.setdefault(door.tenant_id, []).extend(door.secrets)
    good = {id for id, secrets in by_tenant.items() if is_signed(signature, body, secrets)}
    return [door for door in doors if door.tenant_id in good], bool(good)


async def _by_tenant(
    runtime: Runtime, slug: str, signature: str, body: bytes
) -> tuple[Sequence[Door], bool]:
    """The doors of the tenant that the address names, when its secret signed."""
    tenant = await runtime.tenants.find("slug", slug)
    doors = await Doors.of(runtime).of_tenant(tenant.id) if tenant is not None else ()
    secrets = [secret for door in doors for secret in door.secrets]
    return doors, is_signed(signature, body, [*secrets, runtime.settings.whatsapp_app_secret]) and (
        tenant is not None
    )


def is_signed(signature: str, body: bytes, secrets: Iterable[SecretStr]) -> bool:
    """Whether ``sha256=<lowercase hex>`` is the HMAC of the raw bytes by any of the secrets."""
    given = signature.encode("utf-8", "replace")
    plain = {secret.get_secret_value() for secret in secrets}
    matches = [
        hmac.compare_digest(given, signed(secret, body).encode()) for secret in plain if secret
    ]
    return any(matches)


def signed(secret: str, body: bytes) -> str:
    """The header's value; what the vendor computes."""
    return f"sha256={hmac.digest(secret.encode(), body, hashlib.sha256).hex()}"


def trusted_of(headers: Mapping[str, str]) -> tuple[frozenset[str], frozenset[str]]:
    """The numbers and accounts that the signature was good for, as they were kept."""
    return (
        frozenset(filter(None, headers.get(_NUMBERS, "").split(","))),
        frozenset(filter(None, headers.get(_ACCOUNTS, "").split(","))),
    )


def trust(names: Names, doors: Iterable[Door], signature: str) -> dict[UUID, dict[str, str]]:
    """By tenant: what to keep beside the body of what it names of theirs."""
    mine: dict[UUID, tuple[set[str], set[str]]] = {}
    for door in doors:
        phones, accounts = mine.setdefault(door.tenant_id, (set(), set()))
        phones |= names.phones & {door.phone_number_id}
        accounts |= names.accounts & {door.waba_id}
    return {
        tenant_id: {
            _SIGNATURE: signature,
            _NUMBERS: ",".join(sorted(phones)),
            _ACCOUNTS: ",".join(sorted(accounts)),
        }
        for tenant_id, (phones, accounts) in mine.items()
        if phones or accounts
    }


def _shares(names: Names, doors: Sequence[Door], signature: str) -> list[Share]:
    """A part for each tenant, and nobody's for what is left over or cannot be read."""
    type_ = names.fields or "unreadable"
    found: list[Share] = [
        Share(tenant_id, type_, headers)
        for tenant_id, headers in trust(names, doors, signature).items()
    ]
    phones = {door.phone_number_id for door in doors}
    accounts = {door.waba_id for door in doors}
    if not found or names.phones - phones or names.accounts - accounts:
        found.append(Share(None, type_, {_SIGNATURE: signature}))
    return found
