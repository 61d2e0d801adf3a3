"""What deliveries read and write, as statements whose indexes close every race."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.conversations.inbound.rules import Change, Changed, Notice, Standing
from app.conversations.inbound.schemas import Kept, Number, Row
from app.core.database import RawConnection, raw
from app.core.ids import new_id

_NUMBERS = """
SELECT n.id, n.phone_number_id, n.department_id,
  coalesce(n.last_webhook_at < now() - interval '1 minute', true) AS is_stale,
  -- The number's own hours, else those of all others.
  (SELECT CASE WHEN h.is_away_told THEN jsonb_build_object('timezone', h.timezone,
      'hours', h.hours, 'exceptions', h.exceptions)::text END
    FROM inbox_hours h WHERE h.number_id = n.id OR h.number_id IS NULL
    ORDER BY h.number_id IS NULL LIMIT 1) AS hours
FROM whatsapp_numbers n WHERE n.phone_number_id = ANY($1)
"""
_HEARD = "UPDATE whatsapp_numbers SET last_webhook_at = now() WHERE id = ANY($1)"
_LOCK = """
SELECT pg_advisory_xact_lock(
  hashtextextended(app_tenant_id()::text || ':' || $1::text || ':' || $2, 23))
"""
# The person whom all of these name, if nothing new is to be learned of them. Locked: a merge waits
# until what they wrote is committed under their name, or is waited for and seen.
_KNOWN = """
SELECT c.id, c.merged_into_id IS NULL AS is_root, c.name <> '' AS named
FROM unnest($1::text[], $2::text[]) AS k(kind, value)
JOIN contact_identities i ON i.kind = k.kind AND i.value = k.value
JOIN contacts c ON c.id = i.contact_id
FOR NO KEY UPDATE OF c
"""
_ROOT = "SELECT coalesce(merged_into_id, id) FROM contacts WHERE id = $1 FOR NO KEY UPDATE"
_BOTH = "SELECT id FROM contacts WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE"
_SEEN = """
UPDATE contacts SET last_seen_at = $2
WHERE id = $1 AND (last_seen_at IS NULL OR last_seen_at < $2)
"""
_HAS = "SELECT true FROM messages WHERE number_id = $1 AND wamid = $2"
# The row lock that it takes puts the messages of a conversation in one line.
_OPEN = """
INSERT INTO conversations (id, contact_id, number_id, department_id)
VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, contact_id, number_id) WHERE status IN ('open', 'pending')
  DO UPDATE SET number_id = excluded.number_id
RETURNING id
"""
_CONVERSATION_OF = """
SELECT conversation_id FROM messages WHERE number_id = $1 AND wamid = $2
"""
_HOLD = "SELECT id FROM conversations WHERE id = $1 FOR UPDATE"
_ADD = """
INSERT INTO messages (id, conversation_id, number_id, contact_id, direction, author, kind, text,
  content, wamid, reply_to, status, provider_at, sent_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::jsonb, $10, $11, $12, $13,
  CASE WHEN $12::text = 'sent' THEN $13::timestamptz END)
ON CONFLICT (tenant_id, number_id, wamid) WHERE wamid IS NOT NULL DO NOTHING
RETURNING id
"""
_ADD_MEDIA = """
INSERT INTO message_media (id, message_id, vendor_media_id, media_type, sha256, original_name,
  expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_CHANGES = """
SELECT kind, direction, provider_at, wamid, content, text FROM messages
WHERE number_id = $1 AND reply_to = $2 AND kind IN ('reaction', 'edit', 'revoke')
"""
_TARGET = """
SELECT id, direction, kind IN ('reaction', 'edit', 'revoke') AS is_change
FROM messages WHERE number_id = $1 AND wamid = $2
"""
_CHANGE = """
UPDATE messages SET reactions = $2::text::jsonb, revoked_at = $3, edited_at = $4,
  text = CASE WHEN $4::timestamptz IS NULL THEN text ELSE $5 END,
  content = CASE WHEN $6::text IS NULL THEN content
    ELSE content || jsonb_build_object('edited', $6::text::jsonb) END
WHERE id = $1
"""
# Everything that follows from the messages is read from them, so that it is the same whatever
# came first; the index on (conversation, provider's instant) has each answer at its end.
_REFRESH = """
UPDATE conversations c SET
  -- Where only changes of unknown messages are, the newest of those: lists go by this instant.
  last_message_at = coalesce(l.provider_at, (
    SELECT max(m.provider_at) FROM messages m WHERE m.conversation_id = c.id), c.last_message_at),
  last_message_text = coalesce(l.shown, c.last_message_text),
  last_inbound_at = greatest(c.last_inbound_at, i.provider_at),
  waiting_since = (
    SELECT min(m.provider_at) FROM messages m
    WHERE m.conversation_id = c.id AND m.author = 'contact'
      AND m.kind NOT IN ('reaction', 'edit', 'revoke') AND m.provider_at > coalesce((
        SELECT max(o.provider_at) FROM messages o
        WHERE o.conversation_id = c.id AND o.direction = 'out' AND o.author <> 'campaign'
          AND o.kind NOT IN ('reaction', 'edit', 'revoke')
          AND o.status NOT IN ('failed', 'cancelled')), '-infinity')),
  unread_count = c.unread_count + $2,
  snoozed_until = CASE WHEN $2 > 0 THEN NULL ELSE c.snoozed_until END,
  bot_paused_at = greatest(c.bot_paused_at, $3),
  first_reply_at = CASE WHEN $3::timestamptz IS NULL THEN c.first_reply_at
    ELSE least(c.first_reply_at, $3) END
FROM (SELECT $1::uuid AS id) x
LEFT JOIN LATERAL (
  SELECT m.provider_at, left(CASE WHEN m.revoked_at IS NULL THEN m.text
    ELSE 'Mensagem apagada' END, 200) AS shown
  FROM messages m
  WHERE m.conversation_id = x.id AND m.kind NOT IN ('reaction', 'edit', 'revoke')
  ORDER BY m.provider_at DESC, m.id DESC LIMIT 1
) l ON true
LEFT JOIN LATERAL (
  SELECT m.provider_at FROM messages m
  WHERE m.conversation_id = x.id AND m.author = 'contact'
    AND m.kind NOT IN ('reaction', 'edit', 'revoke')
  ORDER BY m.provider_at DESC LIMIT 1
) i ON true
WHERE c.id = x.id
"""
_ADD_STATUS = """
INSERT INTO message_statuses (id, number_id, wamid, status, provider_at, facts)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb)
ON CONFLICT (tenant_id, number_id, wamid, status, provider_at) DO NOTHING
"""
_STATUSES = """
SELECT status, provider_at, facts FROM message_statuses WHERE number_id = $1 AND wamid = $2
"""
# A send of ours whose answer never came: the vendor now names it, be it given up meanwhile.
_RESOLVE = """
WITH tried AS (
  UPDATE message_attempts a SET state = 'accepted', wamid = $3, finished_at = now()
  FROM messages m
  WHERE a.id = $1 AND a.state IN ('sending', 'unknown') AND m.id = a.message_id
    AND m.number_id = $2
  RETURNING a.message_id, m.status AS before
)
UPDATE messages m SET wamid = $3, status = 'accepted', error_code = NULL, error = NULL,
  failed_at = NULL, needs_decision_at = NULL
FROM tried WHERE m.id = tried.message_id AND m.wamid IS NULL
  AND (m.status IN ('queued', 'sending', 'unknown')
    OR m.status = 'failed' AND m.error_code = 'given-up')
RETURNING CASE WHEN tried.before = 'failed' THEN m.conversation_id END
"""
_KEPT = """
SELECT id, conversation_id, contact_id, direction, author, status, error_code, failed_at, played_at,
  read_at, delivered_at, sent_at
FROM messages WHERE number_id = $1 AND wamid = $2 FOR NO KEY UPDATE
"""
_STAND = """
UPDATE messages SET status = $2, error_code = $3, error = $4, sent_at = coalesce($5, sent_at),
  delivered_at = coalesce($6, delivered_at), read_at = coalesce($7, read_at),
  played_at = coalesce($8, played_at), failed_at = coalesce($9, failed_at)
WHERE id = $1
"""
# A merge: threads of one person and one number become one, the older one.
_PAIRS = """
SELECT keep.id AS keep_id, gone.id AS gone_id
FROM conversations gone JOIN conversations keep
  ON keep.number_id = gone.number_id AND keep.contact_id = $1
  AND keep.status IN ('open', 'pending')
WHERE gone.contact_id = $2 AND gone.status IN ('open', 'pending')
ORDER BY keep.id FOR UPDATE
"""
_JOIN = (
    "UPDATE messages SET conversation_id = $1 WHERE conversation_id = $2",
    "UPDATE conversation_notes SET conversation_id = $1 WHERE conversation_id = $2",
    """
    UPDATE conversations k SET unread_count = k.unread_count + g.unread_count,
      assignee_id = coalesce(k.assignee_id, g.assignee_id),
      assigned_at = coalesce(k.assigned_at, g.assigned_at),
      department_id = coalesce(k.department_id, g.department_id),
      bot_paused_at = greatest(k.bot_paused_at, g.bot_paused_at),
      first_reply_at = least(k.first_reply_at, g.first_reply_at),
      labels = (SELECT coalesce(array_agg(DISTINCT l ORDER BY l), '{}')
        FROM unnest(k.labels || g.labels) AS l)
    FROM conversations g WHERE k.id = $1 AND g.id = $2
    """,
)
_REMOVE = "DELETE FROM conversations WHERE id = $1"
_FOLLOW = (
    "UPDATE conversations SET contact_id = $1 WHERE contact_id = $2",
    "UPDATE messages SET contact_id = $1 WHERE contact_id = $2",
)
_DECIDED = """
SELECT true FROM consent_entries
WHERE channel = 'whatsapp' AND source = $2 AND evidence = $3 AND contact_id IN (
  SELECT id FROM contacts WHERE id = $1 OR merged_into_id = $1)
LIMIT 1
"""


class InboundRepository:
    """Takes the session of the Work that applies a delivery."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def raw(self) -> RawConnection:
        return await raw(self.session)

    async def numbers(self, phone_number_ids: Sequence[str]) -> dict[str, Number]:
        """Numbers of this tenant, by the vendor's id."""
        rows = await (await self.raw()).fetch(_NUMBERS, list(phone_number_ids))
        return {row["phone_number_id"]: Number(**dict(row)) for row in rows}

    async def heard(self, number_ids: Sequence[UUID]) -> None:
        """Their webhook works."""
        await (await self.raw()).execute(_HEARD, list(number_ids))

    async def lock(self, number_id: UUID, name: str) -> None:
        """Have whoever else acts on this wamid (or person) wait for our commit."""
        await (await self.raw()).execute(_LOCK, str(number_id), name)

    async def known(self, keys: Sequence[tuple[str, str]], name: str) -> UUID | None:
        """Whom all of these name, locked; None when they name nobody, several, a double, or
        teach something."""
        kinds, values = [k for k, _ in keys], [v for _, v in keys]
        rows = await (await self.raw()).fetch(_KNOWN, kinds, values)
        ids = {row["id"] for row in rows}
        if len(rows) != len(keys) or len(ids) != 1 or not rows[0]["is_root"]:
            return None
        return None if name and not rows[0]["named"] else ids.pop()

    async def held(self, contact_id: UUID) -> UUID:
        """The contact, or who it was merged into meanwhile; locked."""
        driver = await self.raw()
        while (root := await driver.fetchval(_ROOT, contact_id)) != contact_id:
            contact_id = root
        return contact_id

    async def seen(self, contact_id: UUID, at: datetime) -> None:
        """They wrote at that instant; never goes back."""
        await (await self.raw()).execute(_SEEN, contact_id, at)

    async def has(self, number_id: UUID, wamid: str) -> bool:
        return await (await self.raw()).fetchval(_HAS, number_id, wamid) is not None

    async def open(
        self, contact_id: UUID, number_id: UUID, department_id: UUID | None
    ) -> tuple[UUID, bool]:
        """The live conversation of the two, locked; and whether it was opened here."""
        id_ = new_id()
        found: UUID = await (await self.raw()).fetchval(
            _OPEN, id_, contact_id, number_id, department_id
        )
        return found, found == id_

    async def conversation_of(self, number_id: UUID, wamid: str) -> UUID | None:
        """The conversation a message is in, locked."""
        driver = await self.raw()
        found = await driver.fetchval(_CONVERSATION_OF, number_id, wamid)
        return None if found is None else await driver.fetchval(_HOLD, found)

    async def add(self, row: Row) -> bool:
        """Whether it is new."""
        made = await (await self.raw()).fetchval(
            _ADD, row.id, row.conversation_id, row.number_id, row.contact_id, row.direction,
            row.author, row.kind, row.text, _json(row.content), row.wamid, row.reply_to,
            row.status, row.at,
        )  # fmt: skip
        return made is not None

    async def add_media(
        self, message_id: UUID, media: dict[str, Any], expires_at: datetime
    ) -> UUID:
        id_ = new_id()
        await (await self.raw()).execute(
            _ADD_MEDIA, id_, message_id, str(media["id"]), _words(media, "mime_type"),
            _words(media, "sha256"), _words(media, "filename"), expires_at,
        )  # fmt: skip
        return id_

    async def target(self, number_id: UUID, wamid: str) -> tuple[UUID, bool] | None:
        """The message that changes are about, and whether the contact wrote it."""
        row = await (await self.raw()).fetchrow(_TARGET, number_id, wamid)
        if row is None or row["is_change"]:
            return None
        return row["id"], row["direction"] == "in"

    async def changes(self, number_id: UUID, wamid: str) -> list[Change]:
        rows = await (await self.raw()).fetch(_CHANGES, number_id, wamid)
        return [
            Change(
                row["kind"], row["direction"] == "in", row["provider_at"], row["wamid"],
                row["content"], row["text"],
            )
            for row in rows
        ]  # fmt: skip

    async def change(self, message_id: UUID, found: Changed) -> None:
        edit = found.edit
        await (await self.raw()).execute(
            _CHANGE, message_id, _json(found.reactions), found.revoked_at,
            edit and edit.at, edit and edit.text,
            edit and _json((edit.content.get("edit") or {}).get("message")),
        )  # fmt: skip

    async def refresh(
        self, conversation_id: UUID, *, unread: int = 0, answered_by_phone: datetime | None = None
    ) -> None:
        """Have a conversation say what its messages do."""
        await (await self.raw()).execute(_REFRESH, conversation_id, unread, answered_by_phone)

    async def add_status(self, number_id: UUID, wamid: str, notice: Notice) -> None:
        """Keep a notice, once."""
        await (await self.raw()).execute(
            _ADD_STATUS, new_id(), number_id, wamid, notice.status, notice.at, _json(notice.facts)
        )

    async def statuses(self, number_id: UUID, wamid: str) -> list[Notice]:
        rows = await (await self.raw()).fetch(_STATUSES, number_id, wamid)
        return [Notice(row["status"], row["provider_at"], row["facts"]) for row in rows]

    async def resolve(self, attempt_id: UUID, number_id: UUID, wamid: str) -> UUID | None:
        """The attempt reached the vendor, who calls the message this: the conversation in which
        it had been given up."""
        driver = await self.raw()
        found: UUID | None = await driver.fetchval(_RESOLVE, attempt_id, number_id, wamid)
        return found

    async def kept(self, number_id: UUID, wamid: str) -> Kept | None:
        row = await (await self.raw()).fetchrow(_KEPT, number_id, wamid)
        return None if row is None else Kept(**dict(row))

    async def stand(self, message_id: UUID, found: Standing) -> None:
        stamps = [
            found.stamps.get(name) for name in ("sent", "delivered", "read", "played", "failed")
        ]
        await (await self.raw()).execute(
            _STAND, message_id, found.status, found.error_code, found.error, *stamps
        )

    async def follow(self, contact_id: UUID, merged_id: UUID) -> None:
        """Give who stays the threads of who was merged; two that are live become one."""
        driver = await self.raw()
        await driver.execute(_BOTH, [contact_id, merged_id])
        for keep_id, gone_id in await driver.fetch(_PAIRS, contact_id, merged_id):
            for statement in _JOIN:
                await driver.execute(statement, keep_id, gone_id)
            await driver.execute(_REMOVE, gone_id)
            await self.refresh(keep_id)
        for statement in _FOLLOW:
            await driver.execute(statement, contact_id, merged_id)

    async def is_decided(self, contact_id: UUID, source: str, evidence: str) -> bool:
        """Whether the ledger has this decision already."""
        found = await (await self.raw()).fetchval(_DECIDED, contact_id, source, evidence)
        return found is not None


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _words(media: dict[str, Any], name: str) -> str | None:
    found = media.get(name)
    return found if isinstance(found, str) else None
