"""A tenant's accounts at vendors: public configuration in the open, secrets in an envelope."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.crypto import Sealed
from app.core.ddl import one_of
from app.core.model import Json, TenantModel, unique_within_tenant, within_tenant
from app.kernel.connections.rules import PROVIDERS, Kind

ACTIVE, EXPIRED, ERROR = "active", "expired", "error"
STATUSES = (ACTIVE, EXPIRED, ERROR)


class Connection(TenantModel):
    __tablename__ = "connections"
    __table_args__ = (
        unique_within_tenant("provider", "name"),
        CheckConstraint(one_of("status", STATUSES), name="status"),
        Index(
            "connections_tenant_id_purpose_idx",
            "tenant_id",
            "purpose",
            unique=True,
            postgresql_where=text("is_default"),
        ),
    )

    provider: Mapped[str]
    purpose: Mapped[str]
    """Within what one is the default: ``ai`` and ``signature``, where vendors stand for each
    other; the provider itself everywhere else."""
    name: Mapped[str]
    config: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    secret: Mapped[str]
    """``core.crypto`` envelope; write-only for the API."""
    is_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    is_default: Mapped[bool] = mapped_column(server_default=text("false"))
    status: Mapped[str] = mapped_column(server_default=ACTIVE)
    """``expired``: a person must consent again; ``error``: the last check failed."""
    status_reason: Mapped[str | None]
    checked_at: Mapped[datetime | None]
    account_id: Mapped[str | None]
    """Whose account it is, in the vendor's own id; of connections made by consent."""
    account_name: Mapped[str | None]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text()), server_default="{}")
    token_expires_at: Mapped[datetime | None]
    """Of the access token; None for credentials that are keys."""
    refresh_until: Mapped[datetime | None]
    """Somebody renews the token until then at most: everybody else waits for the outcome."""

    @property
    def kind(self) -> Kind:
        """What the provider is for."""
        return PROVIDERS[self.provider].kind

    def note(self, status: str, reason: str | None, at: datetime) -> None:
        """Keep how the connection fares, as of ``at``."""
        self.status, self.status_reason, self.checked_at = status, reason, at


class OAuthState(TenantModel):
    """A consent that was asked for: single use, ten minutes, for the session that asked."""

    __tablename__ = "oauth_states"
    __table_args__ = (
        within_tenant("session_id", "user_sessions", ondelete="CASCADE"),
        unique_within_tenant("state_hash"),
        Index("oauth_states_tenant_id_session_id_idx", "tenant_id", "session_id"),
    )

    session_id: Mapped[UUID]
    provider: Mapped[str]
    state_hash: Mapped[bytes] = mapped_column(LargeBinary)
    verifier: Mapped[str]
    """``core.crypto`` envelope of the PKCE verifier."""
    name: Mapped[str | None]
    """How a new connection is to be called."""
    return_to: Mapped[str | None]
    expires_at: Mapped[datetime]


# The second context is that of the first release, which knew one connection per provider.
CONNECTION_SECRET = Sealed(
    "connections",
    "secret",
    ("connections:{tenant_id}:{id}", "connections:{tenant_id}:{provider}"),
)
OAUTH_VERIFIER = Sealed("oauth_states", "verifier", ("oauth_states:{tenant_id}:{id}",))
SEALED = (CONNECTION_SECRET, OAUTH_VERIFIER)
