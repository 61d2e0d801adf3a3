"""Asking for the second factor: is it on, does this code pass, take it off a user."""

from __future__ import annotations

import base64
import time
from typing import Literal
from uuid import UUID

from app.core.crypto import token_hash
from app.kernel.totp.models import FACTOR_SECRET, TotpFactor
from app.kernel.totp.problems import TotpNotOn
from app.kernel.totp.repository import TotpRepository
from app.kernel.totp.rules import DIGITS, accepted_step, normalized
from app.kernel.work import Work

Kind = Literal["totp", "recovery"]


class TotpService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.factors = TotpRepository(work.session)

    async def is_on(self, user_id: UUID) -> bool:
        """Whether the login must ask for a code."""
        found = await self.factors.of(user_id)
        return found is not None and found.confirmed_at is not None

    async def spend(self, user_id: UUID, code: str) -> Kind | None:
        """Use up a code of the app or a recovery code: which it was, or None when it is none.

        The row is locked, so of one code sent twice at once one passes.
        """
        factor = await self.factors.of(user_id, lock=True)
        if factor is None or factor.confirmed_at is None:
            return None
        given = normalized(code)
        if len(given) == DIGITS:
            return "totp" if await self.accept(factor, given) else None
        digest = token_hash(given).hex()
        if digest not in factor.recovery_hashes:
            return None
        factor.recovery_hashes = [h for h in factor.recovery_hashes if h != digest]
        await self.factors.flush()
        self.work.record(
            "auth.recovery_code_used", "user", user_id, left=len(factor.recovery_hashes)
        )
        return "recovery"

    async def accept(self, factor: TotpFactor, code: str) -> bool:
        """Spend a code of the app against a locked factor; a code is good once (RFC 6238 §5.2)."""
        sealed = self.work.runtime.vault.decrypt(factor.secret, self.context(factor.id))
        step = accepted_step(
            base64.b64decode(sealed), normalized(code), time.time(), after=factor.last_step
        )
        if step is None:
            return False
        factor.last_step = step
        await self.factors.flush()
        return True

    async def take_off(self, user_id: UUID, *, by: str) -> None:
        """Remove the factor; the password alone logs in again. Raises TotpNotOn."""
        factor = await self.factors.of(user_id, lock=True)
        if factor is None or factor.confirmed_at is None:
            raise TotpNotOn()
        await self.factors.delete(factor)
        self.work.record("auth.totp_disabled", "user", user_id, by=by)

    def context(self, factor_id: UUID) -> str:
        """What the sealed secret is bound to."""
        return FACTOR_SECRET.bound_to({"tenant_id": self.work.tenant.id, "id": factor_id})[0]
