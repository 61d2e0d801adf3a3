"""What a played WhatsApp tells the application: statuses, messages, reviews, as signed bodies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, JsonValue

from scripts.sandbox.knobs import Knobs
from scripts.sandbox.vendors.base import VendorConfig
from scripts.sandbox.vendors.whatsapp_rules import ERRORS, Object

_DAY_S = 86_400


class WhatsAppConfig(VendorConfig):
    """Where the notices go, what signs them, and how stubbornly they are delivered."""

    callback_url: str = ""
    app_secret: str = ""
    waba_id: str = "200000000000001"
    display_phone_number: str = "551140028922"
    attempts: int = Field(default=5, ge=1, le=10)
    retry_delay_ms: int = Field(default=500, ge=0, le=60_000)
    pair_limit: int = Field(default=0, ge=0, description="messages to one person in 6 s; 0: any")
    per_second: int = Field(default=0, ge=0, description="messages of one number; 0: any")
    window: bool = Field(default=False, description="free words only within a person's 24 h")
    spam: list[str] = Field(
        default=[], description="phone number ids whose templates are refused with 131048"
    )
    unreachable: list[str] = Field(default=[], description="phones that answer 131026")
    media_url_s: float = Field(default=300, ge=0, description="how long a medium's address works")
    media_errors: int = Field(default=0, ge=0, description="answer the next n downloads with 503")
    media_wrong: int = Field(default=0, ge=0, description="other bytes for the next n downloads")
    media_extra: int = Field(default=0, ge=0, description="bytes appended beyond what is claimed")
    media_slow_ms: int = Field(default=0, ge=0, le=60_000, description="before each 64 KiB")
    media_host: str = Field(default="", description="origin in a medium's address; empty: ours")
    upload_cuts: int = Field(default=0, ge=0, description="take half of the next n samples")
    review: Literal["approve", "reject", "hold"] = "approve"
    review_ms: int = Field(default=100, ge=0, le=60_000)
    quality: Literal["GREEN", "YELLOW", "RED", "UNKNOWN"] = "GREEN"
    limit_tier: str = "TIER_250"


@dataclass(frozen=True, slots=True)
class Sent:
    """An accepted message, as its notices need it."""

    phone_number_id: str
    wamid: str
    recipient: str
    scoped: bool
    reference: str
    category: str


def notices(sent: Sent, config: WhatsAppConfig, knobs: Knobs) -> list[tuple[str, str]]:
    """The deliveries to make, as (kind, exact body), in the order the knobs ask for."""
    base = time.time()
    plan = [
        (status, _status(sent, status, int(base + at * knobs.status_delay_ms / 1000)))
        for at, status in enumerate(knobs.statuses, start=1)
    ]
    plan = [notice for notice in plan for _ in range(knobs.duplicates)]
    if knobs.reorder:
        plan.reverse()
    if knobs.batch and plan:
        together: list[JsonValue] = [notice for _, notice in plan]
        return [("+".join(kind for kind, _ in plan), _envelope(sent, config, together))]
    return [(kind, _envelope(sent, config, [notice])) for kind, notice in plan]


def envelope(phone_number_id: str, config: WhatsAppConfig, content: Object) -> str:
    """A delivery about one number, in the very bytes that are signed."""
    value: Object = {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": config.display_phone_number,
            "phone_number_id": phone_number_id,
        },
        **content,
    }
    return _written(config.waba_id, {"value": value, "field": "messages"})


def _written(waba_id: str, change: Object) -> str:
    body: Object = {
        "object": "whatsapp_business_account",
        "entry": [{"id": waba_id, "changes": [change]}],
    }
    # As the vendor writes it: \u00e9 for é and \/ for /, so that whoever re-serialises before
    # checking the signature is found out.
    return json.dumps(body, ensure_ascii=True, separators=(",", ":")).replace("/", "\\/")


def _envelope(sent: Sent, config: WhatsAppConfig, statuses: list[JsonValue]) -> str:
    return envelope(sent.phone_number_id, config, {"statuses": statuses})


def _status(sent: Sent, status: str, timestamp: int) -> Object:
    kind, _, code = status.partition(":")
    notice: Object = {"id": sent.wamid, "status": kind, "timestamp": str(timestamp)}
    notice["recipient_user_id" if sent.scoped else "recipient_id"] = sent.recipient
    if sent.reference:
        notice["biz_opaque_callback_data"] = sent.reference
    if kind == "failed":
        notice["errors"] = [_error(int(code or 131026))]
        return notice
    conversation: Object = {
        "id": hashlib.sha256(sent.recipient.encode()).hexdigest()[:32],
        "origin": {"type": sent.category},
    }
    if kind == "sent":
        conversation["expiration_timestamp"] = str(timestamp + _DAY_S)
    notice["conversation"] = conversation
    notice["pricing"] = {
        "billable": sent.category != "service",
        "pricing_model": "PMP",
        "category": sent.category,
        "type": "free_customer_service" if sent.category == "service" else "regular",
    }
    return notice


def _error(code: int) -> Object:
    title = ERRORS.get(code, (400, "Something went wrong"))[1]
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": title},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    }


def sign(app_secret: str, body: str) -> str:
    """``X-Hub-Signature-256`` over the exact bytes; empty without a secret."""
    if not app_secret:
        return ""
    digest = hmac.new(app_secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def wamid(recipient: str) -> str:
    """A message id of the vendor's form: an opaque base64 that happens to hold the recipient."""
    digits = recipient.encode()[:64]
    unique = secrets.token_hex(9).upper().encode()
    raw = b"\x1c\x18" + bytes([len(digits)]) + digits + b"\x15\x02\x00\x11\x18\x12" + unique + b"\0"
    return "wamid." + base64.b64encode(raw).decode()


def message_of(given: Object, config: WhatsAppConfig) -> tuple[Object, str]:
    """A message that a person sends: any kind in the vendor's shape, ``text`` by default.

    ``from`` is the person's phone, ``phone_number_id`` the number written to; answers the message
    and the body of its delivery.
    """
    who = str(given.get("from", ""))
    rest = {k: v for k, v in given.items() if k not in ("name", "phone_number_id")}
    if isinstance(rest.get("text"), str):
        rest |= {"type": "text", "text": {"body": rest["text"]}}
    message: Object = {"id": wamid(who), "timestamp": str(int(time.time())), "type": "text", **rest}
    value: Object = {
        "contacts": [{"profile": {"name": str(given.get("name", "Cliente"))}, "wa_id": who}],
        "messages": [message],
    }
    return message, envelope(str(given.get("phone_number_id", "")), config, value)


def review_of(template: Object, verdict: str, config: WhatsAppConfig) -> str:
    """The body that tells how a template's review ended."""
    value: Object = {
        "event": verdict,
        "message_template_id": int(str(template["id"])),
        "message_template_name": template["name"],
        "message_template_language": template["language"],
        "message_template_category": template["category"],
        "reason": "INVALID_FORMAT" if verdict == "REJECTED" else "NONE",
    }
    return account_notice(str(template["waba"]), "message_template_status_update", value)


def account_notice(waba_id: str, field: str, value: Object) -> str:
    """A delivery about the account."""
    return _written(waba_id, {"value": value, "field": field})
