"""Making and revoking the keys by which other people's programs act for a tenant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.core.clock import now
from app.core.crypto import token_hash
from app.core.ids import new_token
from app.core.pagination import Page, PageRequest
from app.kernel import identity as identities
from app.kernel.access import NOT_FOR_KEYS, grants_of
from app.kernel.apikeys.models import ApiKey
from app.kernel.apikeys.problems import ScopeBeyondYours, TooManyApiKeys
from app.kernel.apikeys.repository import ApiKeyRepository
from app.kernel.apikeys.schemas import ApiKeyCreate
from app.kernel.identity import KEY_PREFIX, Identity
from app.kernel.work import Work

MOST = 100
_SHOWN = len(KEY_PREFIX) + 8


@dataclass(frozen=True, slots=True)
class NewKey:
    row: ApiKey
    secret: str


class ApiKeyService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.keys = ApiKeyRepository(work.session)

    async def listed(self, page: PageRequest) -> Page[ApiKey]:
        """All keys, the revoked and expired ones too, newest first."""
        return await self.keys.page(self.keys.query(), page)

    async def create(self, who: Identity, body: ApiKeyCreate) -> NewKey:
        """Make a key; its secret leaves in this answer alone.

        Raises ScopeBeyondYours, TooManyApiKeys.
        """
        beyond = set(body.scopes) - (grants_of(who) - NOT_FOR_KEYS)
        if beyond:
            raise ScopeBeyondYours(scopes=sorted(beyond))
        if await self.keys.count_alive() >= MOST:
            raise TooManyApiKeys(most=MOST)
        secret, days = KEY_PREFIX + new_token(), body.expires_in_days
        row = await self.keys.add(
            ApiKey(
                name=body.name,
                prefix=secret[:_SHOWN],
                key_hash=token_hash(secret),
                scopes=sorted(set(body.scopes)),
                created_by=who.user_id,
                expires_at=None if days is None else now() + timedelta(days=days),
            )
        )
        await self.work.session.refresh(row)
        self.work.record("api_key.created", "api_key", row.id, after=_facts(row))
        return NewKey(row, secret)

    async def revoke(self, key_id: UUID) -> None:
        """End a key for good; every process refuses it within a second.

        Of many at once one does it, the others find it done. Raises ApiKeyNotFound.
        """
        row = await self.keys.get(key_id, lock=True)
        if row.revoked_at is not None:
            return
        row.revoked_at = now()
        await self.keys.flush()
        self.work.record("api_key.revoked", "api_key", row.id, before=_facts(row))
        self.work.ring(identities.TOPIC)


class TokenService:
    """Short-lived keys by which a slice's own credentials are used; no list shows them."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.keys = ApiKeyRepository(work.session)

    async def issue(
        self, issued_for: UUID, *, name: str, scopes: Iterable[str], made_by: UUID, life_s: int
    ) -> str:
        """A key that lives ``life_s`` seconds, and that does no more than ``made_by`` may."""
        await self.keys.drop_expired(issued_for)
        secret = KEY_PREFIX + new_token()
        await self.keys.add(
            ApiKey(
                name=name,
                prefix=secret[:_SHOWN],
                key_hash=token_hash(secret),
                scopes=sorted(scopes),
                created_by=made_by,
                expires_at=now() + timedelta(seconds=life_s),
                issued_for=issued_for,
            )
        )
        return secret

    async def end(self, issued_for: UUID) -> None:
        """End all that were issued for it; every process refuses them within a second."""
        await self.keys.drop_issued(issued_for)
        self.work.ring(identities.TOPIC)


def _facts(row: ApiKey) -> dict[str, object]:
    return {
        "name": row.name,
        "prefix": row.prefix,
        "scopes": list(row.scopes),
        "expires_at": row.expires_at,
    }
