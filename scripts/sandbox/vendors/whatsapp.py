"""The WhatsApp Cloud API: takes messages, then reports their fate by signed webhooks."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import ClassVar

from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scripts.sandbox.callbacks import Callbacks
from scripts.sandbox.knobs import ErrorKnob
from scripts.sandbox.recorder import Callback, Received, Recorder
from scripts.sandbox.settings import SandboxSettings
from scripts.sandbox.vendors.base import Reply, Vendor, parsed_body
from scripts.sandbox.vendors.whatsapp_account import Account, Limits, refused
from scripts.sandbox.vendors.whatsapp_notices import (
    Sent,
    WhatsAppConfig,
    message_of,
    notices,
    review_of,
    sign,
    wamid,
)
from scripts.sandbox.vendors.whatsapp_rules import (
    Object,
    Refused,
    check,
    kind_of,
)

_VERSION = re.compile(r"v\d{1,2}\.\d")


class WhatsApp(Vendor):
    """Plays every phone number at once; the message's fate is what the knobs say."""

    name: ClassVar[str] = "whatsapp"
    config: WhatsAppConfig

    def __init__(self, settings: SandboxSettings, recorder: Recorder, callbacks: Callbacks) -> None:
        super().__init__(settings, recorder, callbacks)
        self.account = Account()

    @classmethod
    def configured(cls, settings: SandboxSettings) -> WhatsAppConfig:
        return WhatsAppConfig(
            callback_url=settings.whatsapp_callback_url, app_secret=settings.whatsapp_app_secret
        )

    def routes(self) -> list[Route]:
        root = "/graph/{version}/{node}"
        edges = {
            "/messages": ["POST"],
            "/media": ["POST"],
            "/bytes": ["GET"],
            "/uploads": ["POST"],
            "/message_templates": ["GET", "POST", "DELETE"],
            "/phone_numbers": ["GET"],
            "/register": ["POST"],
            "/block_users": ["POST", "DELETE"],
            "": ["GET", "POST", "DELETE"],
        }
        played = [Route(root + edge, self.endpoint, methods=on) for edge, on in edges.items()]
        return [*played, Route("/_sandbox/whatsapp/messages", self.typed, methods=["POST"])]

    async def body_of(self, request: Request) -> JsonValue:
        """An upload is kept as what it says of itself."""
        if "octet-stream" in request.headers.get("content-type", ""):
            request.state.content = await request.body()
            return f"{len(request.state.content)} bytes"
        if "multipart" not in request.headers.get("content-type", ""):
            return await parsed_body(request)
        await request.body()
        kept: Object = {}
        async with request.form() as form:
            for key, value in form.items():
                if isinstance(value, str):
                    kept[key] = value
                    continue
                request.state.content = await value.read()
                kept |= {"file": value.filename or "", "content_type": value.content_type or ""}
        return kept

    async def typed(self, request: Request) -> Response:
        """A person writes to a number: the application is told as the vendor tells it."""
        given = await parsed_body(request)
        if not isinstance(given, dict) or not str(given.get("from", "")).isdecimal():
            return JSONResponse({"error": "from: a phone in digits"}, 422)
        self.account.typed[str(given["from"])] = time.time()
        config = self.config.model_copy()
        message, body = message_of(given, config)
        entry = self.recorder.open(self.name, "TYPED", request.url.path, {}, dict(message))
        entry.to, entry.verdict = str(given["from"]), "typed"
        entry.preview = preview_of(message)
        if config.callback_url:
            plan = [("message", body)] * self.knobs.duplicates
            self.callbacks.start(self._deliver(plan, config, 0, entry))
        return JSONResponse(message, 202)

    def failure(self, error: ErrorKnob) -> Reply:
        return refused(int(error.code))

    def describe(self, entry: Received) -> None:
        body = entry.body if isinstance(entry.body, dict) else {}
        entry.to = str(body.get("to") or body.get("recipient") or "")
        entry.preview = preview_of(body) if entry.to else str(body.get("name", ""))

    def receive(self, request: Request, entry: Received) -> Reply:
        node = request.path_params["node"]
        stranger = self._stranger(request)
        if stranger is not None:
            return stranger
        if node.startswith("upload:") or (node == "app" and request.method == "POST"):
            return self._sample(request, node)
        if not _VERSION.fullmatch(request.path_params["version"]) or not node.isdecimal():
            return refused(100, f"Unsupported post request. Object with ID '{node}' does not exist")
        edge = request.url.path.rpartition("/")[2]
        try:
            if edge == "messages":
                return self._message(node, entry)
            if edge in ("message_templates", "phone_numbers"):
                return self._waba(request, node, edge, entry)
            if edge == node:
                return self._node(request, node, entry)
            return self._number(request, node, edge, entry)
        except Refused as found:
            return refused(found.code, found.details)

    def _stranger(self, request: Request) -> Reply | None:
        """The refusal of who brings no token that holds."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return refused(104, "An access token is required to request this resource.")
        if "wrong" in token or (self.config.tokens and token not in self.config.tokens):
            return refused(190, f"Malformed access token {token}")
        return None

    def _sample(self, request: Request, node: str) -> Reply:
        """A resumable upload: begun, continued from an offset, asked how far it got."""
        samples, query = self.account.samples, request.query_params
        if node == "app":
            return samples.begin(query.get("file_length", ""), query.get("file_type", ""))
        if request.method == "GET":
            return samples.told(node)
        cut = self.config.upload_cuts > 0
        self.config.upload_cuts -= cut
        offset = request.headers.get("file_offset", "")
        return samples.go_on(node, offset, getattr(request.state, "content", b""), cut=cut)

    def _message(self, phone: str, entry: Received) -> Reply:
        message = check(entry.body)
        if message.get("status") == "read":
            return Reply(200, {"success": True}, "accepted")
        config = self.config
        limits = Limits(
            config.pair_limit,
            config.per_second,
            config.window,
            tuple(config.unreachable),
            tuple(config.spam),
        )
        to = str(message.get("recipient") or re.sub(r"\D", "", str(message.get("to", ""))))
        self.account.admit(phone, to, kind_of(message), limits)
        return self._accept(phone, message, entry)

    def _number(self, request: Request, node: str, edge: str, entry: Received) -> Reply:
        if edge == "media":
            return self.account.upload(entry.body, getattr(request.state, "content", b""))
        if edge == "bytes":
            return self.account.bytes_of(node, request.query_params.get("oe", ""), self.config)
        body = entry.body if isinstance(entry.body, dict) else {}
        if edge == "register":
            pin = str(body.get("pin", ""))
            if not re.fullmatch(r"\d{6}", pin):
                return refused(100, "(#100) Param pin must be 6 digits")
            return Reply(200, {"success": True}, "accepted")
        people = body.get("block_users")
        users = [str(u.get("user", "")) for u in people or [] if isinstance(u, dict)]  # type: ignore[union-attr]
        change = self.account.blocked.update if request.method == "POST" else None
        (change or self.account.blocked.difference_update)(users)
        done: list[JsonValue] = [{"input": user, "wa_id": user} for user in users]
        key = "added_users" if request.method == "POST" else "removed_users"
        return Reply(200, {"messaging_product": "whatsapp", "block_users": {key: done}}, "accepted")

    def _node(self, request: Request, node: str, entry: Received) -> Reply:
        account = self.account
        if node in account.templates and request.method == "POST":
            row = account.edit(node, entry.body)
            return Reply(200, {"success": True}, "accepted", after=lambda: self._review(row, entry))
        if node in account.media and request.method == "GET":
            root = self.config.media_host or str(request.base_url).rstrip("/")
            address = f"{root}/graph/{request.path_params['version']}"
            return account.described(node, address, self.config.media_url_s)
        if node in account.media and request.method == "DELETE":
            return account.forget(node)
        if request.method == "GET" and "display_phone_number" in request.query_params.get(
            "fields", ""
        ):
            return Reply(200, self._shown_number(node), "accepted")
        return refused(100, f"Unsupported request. Object with ID '{node}' does not exist")

    def _waba(self, request: Request, waba: str, edge: str, entry: Received) -> Reply:
        query = request.query_params
        if edge == "phone_numbers":
            shown: list[JsonValue] = [self._shown_number("109876543210987")]
            return Reply(200, {"data": shown, "paging": {"cursors": {}}}, "accepted")
        if request.method == "GET":
            return self.account.listed(waba, query.get("after", ""), query.get("limit", ""))
        if request.method == "DELETE":
            return self.account.delete(waba, query.get("name", ""), query.get("hsm_id", ""))
        row = self.account.submit(waba, entry.body)
        body: Object = {k: row[k] for k in ("id", "status", "category")}
        return Reply(200, body, "accepted", after=lambda: self._review(row, entry))

    def _shown_number(self, node: str) -> Object:
        return {
            "id": node,
            "display_phone_number": "+" + self.config.display_phone_number,
            "verified_name": "Pizzaria Bella Massa",
            "quality_rating": self.config.quality,
            "name_status": "APPROVED",
            "status": "CONNECTED",
            "throughput": {"level": "STANDARD"},
            "whatsapp_business_manager_messaging_limit": self.config.limit_tier,
        }

    def _review(self, template: Object, entry: Received) -> None:
        config = self.config.model_copy()
        if config.review != "hold":
            self.callbacks.start(self._judge(template, config, entry))

    async def _judge(self, template: Object, config: WhatsAppConfig, entry: Received) -> None:
        await asyncio.sleep(config.review_ms / 1000)
        verdict = "APPROVED" if config.review == "approve" else "REJECTED"
        template["status"] = verdict
        if config.callback_url:
            body = review_of(template, verdict, config)
            await self._deliver([(verdict.lower(), body)], config, 0, entry)

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
            if self.knobs.take_loss():
                continue
            signature = sign(config.app_secret, body)
            callback = Callback(kind, config.callback_url, body, signature)
            entry.callbacks.append(callback)
            headers = {"content-type": "application/json", "user-agent": "facebookexternalua"}
            if signature:
                headers["x-hub-signature-256"] = signature
            await self.callbacks.deliver(callback, headers, config.attempts, config.retry_delay_ms)


def preview_of(message: Object) -> str:
    """What a person would read of a message."""
    match message.get(kind_of(message)):
        case {"body": str(text)}:
            return text
        case {"body": {"text": str(text)}, **rest}:
            return f"{text}{_pix_of(rest)}"
        case {"button_reply": {"title": str(title)}} | {"list_reply": {"title": str(title)}}:
            return title
        case {"product_items": list(items)}:
            return "\n".join(_item(item) for item in items)
        case {"name": str(name), **rest}:
            return f"{name} {json.dumps(rest.get('components', []), ensure_ascii=False)}"
        case content if content is not None:
            return json.dumps(content, ensure_ascii=False)
    return ""


def _pix_of(interactive: object) -> str:
    """The code that a person copies into a bank's application, where an order is to be paid."""
    match interactive:
        case {
            "action": {
                "parameters": {"payment_settings": [{"pix_dynamic_code": {"code": str(code)}}, *_]}
            }
        }:
            return f"\nPIX: {code}"
    return ""


def _item(item: JsonValue) -> str:
    match item:
        case {"product_retailer_id": name, "quantity": quantity}:
            return f"{quantity} x {name}"
    return json.dumps(item, ensure_ascii=False)
