"""Tokens that travel in letters: each names its tenant, so that its link needs no other name."""

from __future__ import annotations

from uuid import UUID

from app.core.ids import new_token
from app.kernel.tenancy import TenantContext
from app.kernel.work import Runtime


def new_mailed_token(tenant_id: UUID) -> str:
    """``{tenant}.{secret}``; its SHA-256 is what is stored."""
    return f"{tenant_id.hex}.{new_token()}"


async def tenant_of_token(
    runtime: Runtime, token: str, named: TenantContext | None
) -> TenantContext | None:
    """The active tenant that a token is of; None for a malformed one, and for one of another
    tenant than the request names.
    """
    try:
        tenant_id = UUID(hex=token.partition(".")[0])
    except ValueError:
        return None
    found = await runtime.tenants.find("id", str(tenant_id))
    if found is None or found.status != "active" or (named is not None and named.id != found.id):
        return None
    return found
