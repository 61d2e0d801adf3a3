"""The WhatsApp Cloud API: takes messages, then reports their fate by signed webhooks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field, JsonValue
from starlette.requests import Request
from starlette.routing import Route

from scripts.sandbox.knobs import ErrorKnob, Knobs
from scripts.sandbox.recorder import Callback, Received
from scripts.sandbox.settings import SandboxSettings
from scripts.sandbox.vendors.base import Reply, Vendor, VendorConfig
from scripts.sandbox.vendors.whatsapp_rules import (
    ERRORS,
    Object,
    Refused,
    check,
    error_body,
    kind_of,
)

_VERSION = re.compile(r"v\d{1,2}\.\d")
_DAY_S = 86_400


class WhatsAppConfig(VendorConfig):
    """Where the notices go, what signs them, and how stubbornly they are delivered."""

    callback_url: str = ""
    app_secret: str = ""
    waba_id: str = "200000000000001"
    display_phone_number: str = "551140028922"
    attempts: int = Field(default=5, ge=1, le=10)
    retry_delay_ms: int = Field(default=500, ge=0, le=60_000)


@dataclass(frozen=True, slots=True)
class Sent:
    """An accepted message, as its notices need it."""

    phone_number_id: str
    wamid: str
    recipient: str
    scoped: bool
    reference: str
    category: str


class WhatsApp(Vendor):
    """Plays every phone number at once; the message's fate is what the knobs say."""

    name: ClassVar[str] = "whatsapp"
    config: WhatsAppConfig

    @classmethod
    def configured(cls, settings: SandboxSettings) -> WhatsAppConfig:
        return WhatsAppConfig(
            callback_url=settings.whatsapp_callback_url, app_secret=settings.whatsapp_app_secret
        )

    def routes(self) -> list[Route]:
        return [Route("/graph/{version}/{phone}/messages", self.endpoint, methods=["POST"])]

    def failure(self, error: ErrorKnob) -> Reply:
        return _refused(int(error.code))

    def describe(self, entry: Received) -> None:
        body = entry.body if isinstance(entry.body, dict) else {}
        entry.to = str(body.get("to") or body.get("recipient") or "")
        match body.get(kind_of(body)):
            case {"body": str(text)}:
                entry.preview = text
            case {"name": str(name), **rest}:
                entry.preview = (
                    f"{name} {json.dumps(rest.get('components', []), ensure_ascii=False)}"
                )
            case content if content is not None:
                entry.preview = json.dumps(content, ensure_ascii=False)

    def receive(self, request: Request, entry: Received) -> Reply:
        phone = request.path_params["phone"]
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return _refused(104, "An access token is required to request this resource.")
        if self.config.tokens and token not in self.config.tokens:
            return _refused(190, f"Malformed access token {token}")
        if not _VERSION.fullmatch(request.path_params["version"]) or not phone.isdecimal():
            return _refused(
                100, f"Unsupported post request. Object with ID '{phone}' does not exist"
            )
        try:
            message = check(entry.body)
        except Refused as refused:
            return _refused(refused.code, refused.details)
        if message.get("status") == "read":
            return Reply(200, {"success": True}, "accepted")
        return self._accept(phone, message, entry)

    def _accept(self, phone: str, message: Object, entry: Received) -> Reply:
        scoped = not message.get("to")
        given = str(message.get("recipient") if scoped else message["to"])
        recipient = given if scoped else re.sub(r"\D", "", given)
        template = kind_of(message) == "template"
        sent = Sent(
            phone_number_id=phone,
            wamid=wamid(recipient),
            recipient=recipient,
            scoped=scoped,
            reference=str(message.get("biz_opaque_callback_data", "")),
            category="utility" if template else "service",
        )
        contact: Object = {"input": given, "user_id" if scoped else "wa_id": recipient}
        accepted: Object = {"id": sent.wamid}
        if template:
            accepted["message_status"] = "accepted"
        body: Object = {
            "messaging_product": "whatsapp",
            "contacts": [contact],
            "messages": [accepted],
        }
        return Reply(200, body, "accepted", after=lambda: self._notify(sent, entry))

    def _notify(self, sent: Sent, entry: Received) -> None:
        config = self.config.model_copy()
        if config.callback_url:
            plan = notices(sent, config, self.knobs)
            self.callbacks.start(self._deliver(plan, config, self.knobs.status_delay_ms, entry))

    async def _deliver(
        self, plan: list[tuple[str, str]], config: WhatsAppConfig, delay_ms: int, entry: Received
    ) -> None:
        for kind, body in plan:
            await asyncio.sleep(delay_ms / 1000)
            signature = sign(config.app_secret, body)
            callback = Callback(kind, config.callback_url, body, signature)
            entry.callbacks.append(callback)
            headers = {"content-type": "application/json", "user-agent": "facebookexternalua"}
            if signature:
                headers["x-hub-signature-256"] = signature
            await self.callbacks.deliver(callback, headers, config.attempts, config.retry_delay_ms)


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


def _envelope(sent: Sent, config: WhatsAppConfig, statuses: list[JsonValue]) -> str:
    value: Object = {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": config.display_phone_number,
            "phone_number_id": sent.phone_number_id,
        },
        "statuses": statuses,
    }
    change: Object = {"value": value, "field": "messages"}
    body: Object = {
        "object": "whatsapp_business_account",
        "entry": [{"id": config.waba_id, "changes": [change]}],
    }
    # As the vendor writes it: \u00e9 for é and \/ for /, so that whoever re-serialises before
    # checking the signature is found out.
    return json.dumps(body, ensure_ascii=True, separators=(",", ":")).replace("/", "\\/")


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


def _refused(code: int, details: str = "") -> Reply:
    status = ERRORS.get(code, (400, ""))[0]
    return Reply(status, error_body(code, details), "refused")
