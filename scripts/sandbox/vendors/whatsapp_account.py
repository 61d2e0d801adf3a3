"""The rest of a played WhatsApp account: media with expiring addresses, templates, numbers."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count

from pydantic import JsonValue
from starlette.responses import StreamingResponse

from scripts.sandbox.vendors.base import Reply
from scripts.sandbox.vendors.whatsapp_notices import WhatsAppConfig
from scripts.sandbox.vendors.whatsapp_rules import ERRORS, Object, Refused, error_body

_PAIR_S = 6.0
_DAY_S = 86_400
_MB = 1024 * 1024
_LARGEST = {"image": 5 * _MB, "audio": 16 * _MB, "video": 16 * _MB}
_PAGE = 100
_BUTTONS = 10
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What the account enforces; 0 and empty: nothing."""

    pair: int = 0
    per_second: int = 0
    window: bool = False
    unreachable: tuple[str, ...] = ()
    spam: tuple[str, ...] = ()


@dataclass(slots=True)
class Samples:
    """Upload sessions of samples for templates' headers."""

    sizes: dict[str, int] = field(default_factory=dict)
    held: dict[str, bytes] = field(default_factory=dict)

    def begin(self, size: str, media_type: str) -> Reply:
        if not size.isdecimal() or "/" not in media_type:
            return refused(100, "(#100) file_length and file_type are required")
        session = f"upload:{secrets.token_urlsafe(18)}"
        self.sizes[session], self.held[session] = int(size), b""
        return Reply(200, {"id": session}, "accepted")

    def told(self, session: str) -> Reply:
        if session not in self.sizes:
            return refused(100, "Upload session does not exist")
        return Reply(200, {"id": session, "file_offset": len(self.held[session])}, "accepted")

    def go_on(self, session: str, offset: str, content: bytes, *, cut: bool) -> Reply:
        if session not in self.sizes or offset != str(len(self.held[session])):
            return refused(100, "(#100) The parameter file_offset is not where the upload stands.")
        self.held[session] += content[: len(content) // 2] if cut else content
        if cut:
            return Reply(502, "<html><body>Bad gateway</body></html>", "refused")
        if len(self.held[session]) != self.sizes[session]:
            return refused(100, "(#100) The file is not as long as file_length said.")
        digest = hashlib.sha256(self.held[session]).hexdigest()
        return Reply(200, {"h": f"4::{digest[:40]}"}, "accepted")


@dataclass(slots=True)
class Account:
    """What outlives one request; numbers and WABAs exist as soon as somebody names them."""

    media: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    templates: dict[str, Object] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    typed: dict[str, float] = field(default_factory=dict)
    """When each person last wrote."""
    samples: Samples = field(default_factory=Samples)
    _pairs: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    _numbers: dict[str, deque[float]] = field(default_factory=dict)
    _ids: count[int] = field(default_factory=lambda: count(1_000_000_000_000_001))

    def admit(self, phone: str, to: str, kind: str, limits: Limits) -> None:
        """Refuse a send as the vendor does: who, how fast, how long after the last word."""
        if to in limits.unreachable:
            raise Refused(131026, "")
        if phone in limits.spam and kind == "template":
            raise Refused(131048, "")
        if limits.per_second:
            _count(self._numbers.setdefault(phone, deque()), limits.per_second, 1.0, 130429)
        if limits.pair:
            _count(self._pairs.setdefault((phone, to), deque()), limits.pair, _PAIR_S, 131056)
        free = limits.window and kind not in ("template", "reaction")
        if free and time.time() - self.typed.get(to, 0.0) > _DAY_S:
            raise Refused(131047, "")

    def upload(self, form: JsonValue, content: bytes) -> Reply:
        given = form if isinstance(form, dict) else {}
        media_type = str(given.get("type") or given.get("content_type") or "")
        if given.get("messaging_product") != "whatsapp" or "/" not in media_type:
            return refused(100, "(#100) Param file must be a file of a supported type.")
        if len(content) > _LARGEST.get(media_type.partition("/")[0], 100 * _MB):
            return refused(131053, "Media file size too big.")
        media_id = str(next(self._ids))
        self.media[media_id] = (content, media_type)
        return Reply(200, {"id": media_id}, "accepted")

    def described(self, media_id: str, address: str, good_s: float) -> Reply:
        content, media_type = self.media[media_id]
        expires = int((time.time() + good_s) * 1000)
        body: Object = {
            "messaging_product": "whatsapp",
            "url": f"{address}/{media_id}/bytes?oe={expires}",
            "mime_type": media_type,
            "sha256": hashlib.sha256(content).hexdigest(),
            "file_size": str(len(content)),
            "id": media_id,
        }
        return Reply(200, body, "accepted")

    def bytes_of(self, media_id: str, expires: str, play: WhatsAppConfig) -> Reply:
        known = self.media.get(media_id)
        if known is None or not expires.isdecimal() or int(expires) / 1000 < time.time():
            return Reply(404, "<html><body>URL signature expired</body></html>", "refused")
        if play.media_errors:
            play.media_errors -= 1
            return Reply(503, "<html><body>Try again</body></html>", "refused")
        content, media_type = known
        if play.media_wrong:
            play.media_wrong -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        content += bytes(play.media_extra)
        pieces = dripping(content, play.media_slow_ms)
        return Reply(
            200,
            f"{len(content)} bytes",
            "accepted",
            respond=lambda: StreamingResponse(pieces, media_type=media_type),
        )

    def forget(self, media_id: str) -> Reply:
        del self.media[media_id]
        return Reply(200, {"success": True}, "accepted")

    def listed(self, waba: str, after: str, limit: str) -> Reply:
        """A page of the account's templates by age; its cursor is the last id."""
        rows = [row for row in self.templates.values() if row["waba"] == waba]
        rows = [row for row in rows if not after or str(row["id"]) > after]
        size = int(limit) if limit.isdecimal() else _PAGE
        page = rows[:size]
        data: list[JsonValue] = [{k: v for k, v in row.items() if k != "waba"} for row in page]
        paging: Object = {"cursors": {"after": str(page[-1]["id"])}} if page else {}
        if len(rows) > size:
            paging["next"] = "https://graph.facebook.com/next"
        return Reply(200, {"data": data, "paging": paging}, "accepted")

    def submit(self, waba: str, body: JsonValue) -> Object:
        """A new template, PENDING. Raises Refused."""
        given = body if isinstance(body, dict) else {}
        check_template(given)
        name, language = given["name"], given["language"]
        for row in self.templates.values():
            if (row["waba"], row["name"], row["language"]) == (waba, name, language):
                raise Refused(100, "There is already content in this language for the template.")
        row = {"parameter_format": "POSITIONAL", "quality_score": {"score": "UNKNOWN"}}
        row |= {k: given[k] for k in ("name", "language", "category", "components")}
        if given.get("parameter_format"):
            row["parameter_format"] = str(given["parameter_format"]).upper()
        row |= {"id": str(next(self._ids)), "status": "PENDING", "waba": waba}
        self.templates[str(row["id"])] = row
        return row

    def edit(self, template_id: str, body: JsonValue) -> Object:
        """Its new content, to be reviewed again. Raises Refused."""
        row, given = self.templates[template_id], body if isinstance(body, dict) else {}
        check_template({**row, **given})
        row |= {k: v for k, v in given.items() if k in ("category", "components")}
        row["status"] = "PENDING"
        return row

    def delete(self, waba: str, name: str, template_id: str) -> Reply:
        gone = [
            key
            for key, row in self.templates.items()
            if row["waba"] == waba and row["name"] == name and template_id in ("", key)
        ]
        if not gone:
            return refused(100, "(#100) Message template name is not found")
        for key in gone:
            del self.templates[key]
        return Reply(200, {"success": True}, "accepted")


async def dripping(content: bytes, pause_ms: int) -> AsyncIterator[bytes]:
    """The bytes in pieces, with a pause before each."""
    for start in range(0, len(content), _PIECE):
        await asyncio.sleep(pause_ms / 1000)
        yield content[start : start + _PIECE]


def check_template(given: Object) -> None:
    """Refuse what the review would never see. Raises Refused."""
    for needed in ("name", "language", "category", "components"):
        if not given.get(needed):
            raise Refused(100, f"(#100) The parameter {needed} is required.")
    if str(given["category"]).upper() not in ("MARKETING", "UTILITY", "AUTHENTICATION"):
        raise Refused(100, "(#100) Param category is not valid")
    components = given["components"] if isinstance(given["components"], list) else []
    parts = [part for part in components if isinstance(part, dict)]
    if not any(str(part.get("type")).upper() == "BODY" for part in parts):
        raise Refused(100, "(#100) A template needs a component of type BODY")
    for part in parts:
        check_sample(part)
        buttons = part.get("buttons")
        if isinstance(buttons, list) and len(buttons) > _BUTTONS:
            raise Refused(100, "(#100) A template takes at most 10 buttons")
        if len(str(part.get("text", ""))) > 1024:
            raise Refused(100, "(#100) A component's text is too long")


def check_sample(part: Object) -> None:
    """A header of a medium shows one that was uploaded. Raises Refused."""
    if str(part.get("format", "")).upper() not in ("IMAGE", "VIDEO", "DOCUMENT"):
        return
    match part.get("example"):
        case {"header_handle": [str(handle), *_]} if handle.startswith("4::"):
            return
    raise Refused(100, "(#100) The header needs an example of header_handle")


def refused(code: int, details: str = "") -> Reply:
    """The vendor's refusal."""
    status = ERRORS.get(code, (400, ""))[0]
    return Reply(status, error_body(code, details), "refused")


def _count(times: deque[float], most: int, within_s: float, code: int) -> None:
    at = time.monotonic()
    while times and times[0] <= at - within_s:
        times.popleft()
    if len(times) >= most:
        raise Refused(code, "")
    times.append(at)
