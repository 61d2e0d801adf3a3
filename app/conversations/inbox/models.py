"""Conversations and their messages; every race of deliveries is closed by an index here.

A timeline is ordered by the provider's instant, then by arrival, which is the order of ids.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, Index, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text, Uuid

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant, within_tenant

STATUSES = ("open", "pending", "closed", "archived")
LIVE = ("open", "pending")
IS_LIVE = text("status IN ('open', 'pending')")
"""Of the index that holds one live conversation of a person and number; where a statement names it
(ON CONFLICT), the values must be written out: Postgres's sixth, general plan cannot read them
from parameters and fails."""
PRIORITIES = ("low", "medium", "high", "urgent")
DIRECTIONS = ("in", "out")
AUTHORS = ("contact", "user", "bot", "campaign", "system", "phone_app")
MESSAGE_STATUSES = (
    "received", "queued", "sending", "accepted", "sent", "delivered", "read", "played",
    "failed", "unknown", "cancelled",
)  # fmt: skip
MEDIA_STATES = ("pending", "ready", "failed", "too_large", "expired", "invalid")
ATTEMPT_STATES = ("sending", "accepted", "refused", "unavailable", "unknown")
STRATEGIES = ("manual", "round_robin", "least_busy")

# Spelled as Postgres prints it back, so that ``alembic check`` finds no difference.
SEARCH_TEXT = (
    "lower(regexp_replace(NORMALIZE(COALESCE(text, ''::text), NFKD), "
    "'[\\u0300-\\u036f]'::text, ''::text, 'g'::text))"
)


class Conversation(TenantModel):
    """What a contact and a number have going; at most one of theirs is live."""

    __tablename__ = "conversations"
    __table_args__ = (
        Index(
            "conversations_live_key",
            "tenant_id",
            "contact_id",
            "number_id",
            unique=True,
            postgresql_where=IS_LIVE,
        ),
        within_tenant("contact_id", "contacts"),
        within_tenant("number_id", "whatsapp_numbers"),
        within_tenant("department_id", "departments"),
        within_tenant("assignee_id", "users"),
        Index("conversations_tenant_id_status_idx", "tenant_id", "status", "last_message_at", "id"),
        Index(
            "conversations_tenant_id_assignee_id_idx",
            "tenant_id",
            "assignee_id",
            "status",
            "last_message_at",
            "id",
        ),
        Index("conversations_tenant_id_last_message_at_idx", "tenant_id", "last_message_at", "id"),
        Index("conversations_tenant_id_contact_id_idx", "tenant_id", "contact_id", "id"),
        # Small: what is late and untold. The beat that tells it reads it whole.
        Index(
            "conversations_clocks_idx",
            "tenant_id",
            "first_reply_due_at",
            "resolution_due_at",
            postgresql_where=text(
                "status IN ('open', 'pending') AND (first_reply_told_at IS NULL "
                "OR resolution_told_at IS NULL)"
            ),
        ),
        CheckConstraint(one_of("status", STATUSES), name="status"),
        CheckConstraint(one_of("priority", PRIORITIES), name="priority"),
        CheckConstraint("unread_count >= 0", name="unread_count"),
    )

    contact_id: Mapped[UUID]
    number_id: Mapped[UUID]
    status: Mapped[str] = mapped_column(server_default="open")
    priority: Mapped[str] = mapped_column(server_default="medium")
    department_id: Mapped[UUID | None]
    assignee_id: Mapped[UUID | None]
    assigned_at: Mapped[datetime | None]
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text()), server_default="{}")
    version: Mapped[int] = mapped_column(server_default="1")
    unread_count: Mapped[int] = mapped_column(server_default="0")
    last_message_at: Mapped[datetime | None]
    """Provider's instant of the newest message."""
    last_message_text: Mapped[str | None]
    last_inbound_at: Mapped[datetime | None]
    """Provider's instant of the contact's last message: 24 h of free words begin here."""
    waiting_since: Mapped[datetime | None]
    """The contact's first message that nobody has answered."""
    first_reply_at: Mapped[datetime | None]
    first_reply_due_at: Mapped[datetime | None]
    resolution_due_at: Mapped[datetime | None]
    first_reply_told_at: Mapped[datetime | None]
    resolution_told_at: Mapped[datetime | None]
    """When somebody was told that the clock ran out."""
    sends_resume_at: Mapped[datetime | None]
    """The vendor refused this pair for now; nothing is sent to this contact before."""
    snoozed_until: Mapped[datetime | None]
    away_told_at: Mapped[datetime | None]
    """When the contact was told last that nobody was there."""
    bot_paused_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class ConversationNote(TenantModel):
    __tablename__ = "conversation_notes"
    __table_args__ = (
        within_tenant("conversation_id", "conversations", ondelete="CASCADE"),
        Index("conversation_notes_tenant_id_conversation_id_idx", "tenant_id", "conversation_id"),
    )

    conversation_id: Mapped[UUID]
    author_id: Mapped[UUID | None]
    author_name: Mapped[str]
    text: Mapped[str]
    mentions: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()), server_default="{}")


class AssignmentSetting(TenantModel):
    """How a department's conversations find somebody, and by when; one row without a department
    is for all others."""

    __tablename__ = "assignment_settings"
    __table_args__ = (
        UniqueConstraint("tenant_id", "department_id", postgresql_nulls_not_distinct=True),
        within_tenant("department_id", "departments", ondelete="CASCADE"),
        CheckConstraint(one_of("strategy", STRATEGIES), name="strategy"),
        CheckConstraint("capacity BETWEEN 1 AND 1000", name="capacity"),
    )

    department_id: Mapped[UUID | None]
    strategy: Mapped[str] = mapped_column(server_default="manual")
    capacity: Mapped[int] = mapped_column(server_default="10")
    """Live conversations that one agent may be given."""
    first_reply_minutes: Mapped[int | None]
    resolution_minutes: Mapped[int | None]


class AgentTurn(TenantModel):
    """An agent's place in the round; locked by whoever assigns, so that no two do at once."""

    __tablename__ = "agent_turns"
    __table_args__ = (
        unique_within_tenant("user_id"),
        within_tenant("user_id", "users", ondelete="CASCADE"),
    )

    user_id: Mapped[UUID]
    last_assigned_at: Mapped[datetime | None]


class CannedReply(TenantModel):
    """A reply kept ready under a short name."""

    __tablename__ = "canned_replies"
    __table_args__ = (
        unique_within_tenant("shortcut"),
        within_tenant("department_id", "departments"),
    )

    shortcut: Mapped[str]
    text: Mapped[str]
    department_id: Mapped[UUID | None]


class Message(TenantModel):
    __tablename__ = "messages"
    __table_args__ = (
        # One row for one message, however often and in whatever company it is delivered.
        Index(
            "messages_number_id_wamid_key",
            "tenant_id",
            "number_id",
            "wamid",
            unique=True,
            postgresql_where=text("wamid IS NOT NULL"),
        ),
        within_tenant("conversation_id", "conversations", ondelete="CASCADE"),
        # A number's last day: its health, and what is left of the account's limit.
        Index("messages_tenant_id_number_id_idx", "tenant_id", "number_id", "provider_at"),
        Index(
            "messages_tenant_id_conversation_id_idx",
            "tenant_id",
            "conversation_id",
            "provider_at",
            "id",
        ),
        Index(
            "messages_changes_idx",
            "tenant_id",
            "number_id",
            "reply_to",
            postgresql_where=text("kind IN ('reaction', 'edit', 'revoke')"),
        ),
        Index(
            "messages_unsettled_idx",
            "tenant_id",
            "status",
            "id",
            postgresql_where=text("status IN ('queued', 'sending', 'unknown')"),
        ),
        # Who of a conversation waits to be sent.
        Index(
            "messages_queue_idx",
            "tenant_id",
            "conversation_id",
            "id",
            postgresql_where=text("status IN ('queued', 'sending')"),
        ),
        # People whom a day's templates reached first: over the account's numbers, and one of them.
        Index(
            "messages_opened_idx",
            "tenant_id",
            "number_id",
            "opened_at",
            postgresql_where=text("opened_at IS NOT NULL"),
        ),
        Index(
            "messages_opened_contact_idx",
            "tenant_id",
            "contact_id",
            "opened_at",
            postgresql_where=text("opened_at IS NOT NULL"),
        ),
        # Used by find_messages() alone: LIKE may use no index under row level security.
        Index(
            "messages_search_idx",
            "tenant_id",
            "search_text",
            postgresql_using="gin",
            postgresql_ops={"search_text": "gin_trgm_ops"},
        ),
        CheckConstraint(one_of("direction", DIRECTIONS), name="direction"),
        CheckConstraint(one_of("author", AUTHORS), name="author"),
        CheckConstraint(one_of("status", MESSAGE_STATUSES), name="status"),
    )

    conversation_id: Mapped[UUID]
    number_id: Mapped[UUID]
    contact_id: Mapped[UUID]
    direction: Mapped[str]
    author: Mapped[str]
    user_id: Mapped[UUID | None]
    kind: Mapped[str]
    """The vendor's type: text, image, interactive, template...; ``unsupported`` for the rest."""
    text: Mapped[str | None]
    """What a person reads of it."""
    content: Mapped[dict[str, Any]] = mapped_column(JSONB(), server_default="{}")
    """The rest in the vendor's shape, unknown fields included."""
    wamid: Mapped[str | None]
    reply_to: Mapped[str | None]
    """The wamid it answers or reacts to."""
    status: Mapped[str]
    provider_at: Mapped[datetime]
    """When the vendor says it was sent; ours until it says."""
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    played_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    error_code: Mapped[str | None]
    error: Mapped[str | None]
    edited_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    reactions: Mapped[dict[str, Any]] = mapped_column(JSONB(), server_default="{}")
    """Emoji by who reacted: ``contact`` or ``business``."""
    needs_decision_at: Mapped[datetime | None]
    """Its sending stayed unknown: a person must resend it or give it up."""
    send_after: Mapped[datetime | None]
    """Not before: the vendor, or what is left of a limit, asked for a wait."""
    opened_at: Mapped[datetime | None]
    """When it took one of the account's people of a day: a template outside the window."""
    search_text: Mapped[str] = mapped_column(
        Computed(SEARCH_TEXT, persisted=True), deferred=True, deferred_raiseload=True
    )


class MessageStatus(TenantModel):
    """Every status event as it came, also one whose message is not known yet."""

    __tablename__ = "message_statuses"
    __table_args__ = (
        unique_within_tenant("number_id", "wamid", "status", "provider_at"),
        within_tenant("number_id", "whatsapp_numbers", ondelete="CASCADE"),
    )

    number_id: Mapped[UUID]
    wamid: Mapped[str]
    status: Mapped[str]
    provider_at: Mapped[datetime]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB(), server_default="{}")
    """Errors, pricing, conversation and our own reference, as they came."""


class MessageAttempt(TenantModel):
    """A send that was begun; its id goes along and comes back with the status."""

    __tablename__ = "message_attempts"
    __table_args__ = (
        within_tenant("message_id", "messages", ondelete="CASCADE"),
        Index("message_attempts_tenant_id_message_id_idx", "tenant_id", "message_id"),
        CheckConstraint(one_of("state", ATTEMPT_STATES), name="state"),
    )

    message_id: Mapped[UUID]
    state: Mapped[str] = mapped_column(server_default="sending")
    wamid: Mapped[str | None]
    error_code: Mapped[str | None]
    error: Mapped[str | None]
    finished_at: Mapped[datetime | None]


class MessageMedia(TenantModel):
    """A message's attachment, and how far we are with fetching it."""

    __tablename__ = "message_media"
    __table_args__ = (
        unique_within_tenant("message_id"),
        within_tenant("message_id", "messages", ondelete="CASCADE"),
        Index(
            "message_media_pending_idx",
            "tenant_id",
            "id",
            postgresql_where=text("state = 'pending'"),
        ),
        within_tenant("upload_id", "message_uploads"),
        Index("message_media_tenant_id_upload_id_idx", "tenant_id", "upload_id"),
        CheckConstraint(one_of("state", MEDIA_STATES), name="state"),
    )

    message_id: Mapped[UUID]
    vendor_media_id: Mapped[str | None]
    """Good for seven days when it came in, thirty when we sent it up."""
    media_type: Mapped[str | None]
    sha256: Mapped[str | None]
    original_name: Mapped[str | None]
    size_bytes: Mapped[int | None]
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")
    tried_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When it was last begun, or its job queued."""
    reason: Mapped[str | None]
    """Why there is no file, as one of ``media.rules.REASONS``."""
    error: Mapped[str | None]
    """What the vendor said, for whoever looks closely."""
    stored_file_id: Mapped[UUID | None]
    upload_id: Mapped[UUID | None]
    """What of ours it carries, when we send it."""
    expires_at: Mapped[datetime | None]
