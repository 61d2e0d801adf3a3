"""A member's own second factor: offer it, confirm it with a first code, switch it off."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.clock import now
from app.core.crypto import token_hash
from app.core.ids import new_id
from app.kernel.identity import Identity
from app.kernel.sessions.attempts import count_code
from app.kernel.sessions.service import SessionService, check_password
from app.kernel.totp.models import TotpFactor
from app.kernel.totp.problems import CodeRefused, TotpAlreadyOn, TotpNotOffered
from app.kernel.totp.rules import (
    encoded,
    new_recovery_codes,
    new_secret,
    normalized,
    otpauth_uri,
    qr_svg,
)
from app.kernel.totp.service import TotpService
from app.kernel.users.service import UserService
from app.kernel.work import UnitOfWork, WorkFactory

_ISSUER = "Largo"


@dataclass(frozen=True, slots=True)
class Offer:
    secret: str
    otpauth_uri: str
    qr_svg: str


@dataclass(frozen=True, slots=True)
class State:
    is_on: bool
    confirmed_at: datetime | None
    recovery_codes_left: int


async def state(work: UnitOfWork, who: Identity) -> State:
    """Whether one's own second factor is on, and how many recovery codes remain."""
    found = await TotpService(work).factors.of(who.user_id)
    if found is None or found.confirmed_at is None:
        return State(False, None, 0)
    return State(True, found.confirmed_at, len(found.recovery_hashes))


async def offer(works: WorkFactory, who: Identity, password: str) -> Offer:
    """A new secret for one's authenticator app, good for nothing until confirmed.

    An earlier offer is dropped. Raises TotpAlreadyOn, WrongCurrentPassword, TooManyLogins.
    """
    await check_password(works, who, password)
    secret = new_secret()
    async with works() as work:
        totp = TotpService(work)
        old = await totp.factors.of(who.user_id, lock=True)
        if old is not None and old.confirmed_at is not None:
            raise TotpAlreadyOn()
        if old is not None:
            await totp.factors.delete(old)
        fresh = new_id()
        sealed = work.runtime.vault.encrypt(base64.b64encode(secret).decode(), totp.context(fresh))
        await totp.factors.add(TotpFactor(id=fresh, user_id=who.user_id, secret=sealed))
        work.record("auth.totp_offered", "user", who.user_id)
        issuer = f"{_ISSUER} {work.tenant.name}"
    uri = otpauth_uri(secret, issuer, who.email)
    return Offer(encoded(secret), uri, await asyncio.to_thread(qr_svg, uri))


async def confirm(works: WorkFactory, who: Identity, code: str) -> list[str]:
    """Switch the offered factor on with a first code; answers ten recovery codes, shown once.

    All other sessions of the user end: they were opened with the password alone.
    Raises TotpNotOffered, TotpAlreadyOn, CodeRefused, TooManyLogins.
    """
    async with works() as work:
        await count_code(work, who.user_id)
        totp = TotpService(work)
        factor = await totp.factors.of(who.user_id, lock=True)
        if factor is None:
            raise TotpNotOffered()
        if factor.confirmed_at is not None:
            raise TotpAlreadyOn()
        if not await totp.accept(factor, code):
            raise CodeRefused()
        codes = new_recovery_codes()
        factor.recovery_hashes = [token_hash(normalized(c)).hex() for c in codes]
        factor.confirmed_at = now()
        await totp.factors.flush()
        ended = await SessionService(work).end_others(who, "totp-enabled")
        work.record("auth.totp_enabled", "user", who.user_id, sessions_ended=ended)
    return codes


async def switch_off(works: WorkFactory, who: Identity, password: str) -> None:
    """Take one's own factor off. Raises TotpNotOn, WrongCurrentPassword, TooManyLogins."""
    await check_password(works, who, password)
    async with works() as work:
        await TotpService(work).take_off(who.user_id, by="self")


async def reset_of(work: UnitOfWork, who: Identity, user_id: UUID) -> None:
    """An administrator takes the factor off somebody who lost phone and recovery codes.

    Raises UserNotFound, RoleAboveYours, TotpNotOn.
    """
    await UserService(work).manageable(who, user_id)
    await TotpService(work).take_off(user_id, by="administrator")
