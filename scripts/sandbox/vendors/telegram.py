"""Telegram's Bot API: ``sendMessage`` and ``getMe``, checked and answered as the vendor does.

Source: core.telegram.org/bots/api (making requests, ResponseParameters, sendMessage).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from itertools import count
from typing import ClassVar

from pydantic import JsonValue
from starlette.requests import Request
from starlette.routing import Route

from scripts.sandbox.knobs import ErrorKnob
from scripts.sandbox.recorder import Received, mask
from scripts.sandbox.settings import SandboxSettings
from scripts.sandbox.vendors.base import Reply, Vendor, VendorConfig

_TOKEN = re.compile(r"(\d+):[\w-]{3,}")
_CHAT = re.compile(r"-?\d{1,20}|@\w{4,}")
_LONGEST_TEXT = 4096
_PARSE_MODES = {"", "HTML", "Markdown", "MarkdownV2"}
_DESCRIPTIONS = {
    400: "Bad Request: chat not found",
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    404: "Not Found",
    409: "Conflict: terminated by other getUpdates request",
    500: "Internal Server Error",
    502: "Bad Gateway",
}


class Telegram(Vendor):
    """Plays every bot at once: any well-formed token is a bot of its own."""

    name: ClassVar[str] = "telegram"
    _message_ids: ClassVar[Iterator[int]] = count(1)

    @classmethod
    def configured(cls, settings: SandboxSettings) -> VendorConfig:
        return VendorConfig()

    def routes(self) -> list[Route]:
        path = "/telegram/bot{token}/{method}"
        return [Route(path, self.endpoint, methods=["GET", "POST"])]

    def masked_path(self, request: Request) -> str:
        token = request.path_params["token"]
        return f"/telegram/bot{mask(token)}/{request.path_params['method']}"

    def failure(self, error: ErrorKnob) -> Reply:
        code = int(error.code)
        if code == 429:
            wait = error.retry_after_s if error.retry_after_s is not None else 5
            return _refused(429, f"Too Many Requests: retry after {wait}", retry_after=wait)
        if code == 1400:
            text = "Bad Request: group chat was upgraded to a supergroup chat"
            return _refused(400, text, migrate_to_chat_id=-1001234567890)
        return _refused(code, _DESCRIPTIONS.get(code, "Bad Request"))

    def describe(self, entry: Received) -> None:
        fields = _object(entry.body)
        entry.to = str(fields.get("chat_id") or "")
        entry.preview = str(fields.get("text") or "")

    def receive(self, request: Request, entry: Received) -> Reply:
        token, method = request.path_params["token"], request.path_params["method"]
        bot = _TOKEN.fullmatch(token)
        if bot is None:
            return _refused(404, "Not Found")
        if self.config.tokens and token not in self.config.tokens:
            return _refused(401, "Unauthorized")
        fields = dict(request.query_params) | _object(entry.body)
        match method.lower():  # method names are case-insensitive
            case "sendmessage":
                return self._send(int(bot[1]), fields)
            case "getme":
                return Reply(200, {"ok": True, "result": _bot(int(bot[1]))}, "accepted")
        return _refused(404, "Not Found")

    def _send(self, bot: int, fields: dict[str, JsonValue]) -> Reply:
        chat, text = str(fields.get("chat_id") or ""), fields.get("text")
        if fault := _fault(chat, text, fields):
            return _refused(400, f"Bad Request: {fault}")
        result: JsonValue = {
            "message_id": next(self._message_ids),
            "from": _bot(bot),
            "chat": _chat(chat),
            "date": int(time.time()),
            "text": str(text),
        }
        return Reply(200, {"ok": True, "result": result}, "accepted")


def _fault(chat: str, text: JsonValue, fields: dict[str, JsonValue]) -> str:
    if not chat:
        return "chat_id is empty"
    if not _CHAT.fullmatch(chat):
        return "chat not found"
    if not isinstance(text, str) or not text.strip():
        return "message text is empty"
    if len(text) > _LONGEST_TEXT:
        return "message is too long"
    if str(fields.get("parse_mode") or "") not in _PARSE_MODES:
        return "unsupported parse_mode"
    return ""


def _object(body: JsonValue) -> dict[str, JsonValue]:
    return body if isinstance(body, dict) else {}


def _bot(bot: int) -> JsonValue:
    return {"id": bot, "is_bot": True, "first_name": "Largo", "username": f"largo_{bot}_bot"}


def _chat(chat: str) -> JsonValue:
    if chat.startswith("@"):
        return {"id": -1009876543210, "type": "channel", "username": chat[1:], "title": chat[1:]}
    kind = "supergroup" if chat.startswith("-100") else "group" if chat[0] == "-" else "private"
    name = {"first_name": "Cliente"} if kind == "private" else {"title": "Equipe da loja"}
    return {"id": int(chat), "type": kind, **name}


def _refused(code: int, description: str, **parameters: int) -> Reply:
    body: dict[str, JsonValue] = {"ok": False, "error_code": code, "description": description}
    if parameters:
        body["parameters"] = dict(parameters)
    return Reply(code, body, "refused")
