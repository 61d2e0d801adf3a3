"""What the WhatsApp Cloud API accepts, and the error bodies it answers with otherwise.

Source: the vendor's published API description (Cloud API v23.0) and its error-code reference.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from pydantic import JsonValue

Object = dict[str, JsonValue]
_ORDER_STATES = {
    "pending", "processing", "partially_shipped", "shipped", "completed", "canceled",
}  # fmt: skip

# code -> (HTTP status, title)
ERRORS: dict[int, tuple[int, str]] = {
    0: (401, "AuthException"),
    1: (400, "API Unknown"),
    2: (503, "API Service"),
    3: (500, "API Method"),
    4: (400, "API Too Many Calls"),
    10: (403, "API Permission Denied"),
    33: (400, "Parameter value is not valid"),
    100: (400, "Invalid parameter"),
    190: (401, "Access token has expired"),
    200: (403, "API Permission"),
    368: (403, "Temporarily blocked for policies violations"),
    613: (400, "Calls to this api have exceeded the rate limit"),
    80007: (400, "Rate limit issues"),
    130429: (400, "Rate limit hit"),
    130472: (400, "User's number is part of an experiment"),
    131000: (500, "Something went wrong"),
    131005: (403, "Access denied"),
    131008: (400, "Required parameter is missing"),
    131009: (400, "Parameter value is not valid"),
    131016: (500, "Service unavailable"),
    131021: (400, "Recipient cannot be sender"),
    131026: (400, "Message undeliverable"),
    131030: (400, "Recipient phone number not in allowed list"),
    131031: (403, "Business account has been locked"),
    131042: (400, "Business eligibility payment issue"),
    131047: (400, "Re-engagement message"),
    131048: (400, "Spam rate limit hit"),
    131049: (400, "Message was not delivered to maintain healthy ecosystem engagement"),
    131050: (400, "User has stopped marketing messages from this business"),
    131051: (400, "Unsupported message type"),
    131052: (400, "Media download error"),
    131053: (400, "Media upload error"),
    131056: (400, "(Business Account, Consumer Account) pair rate limit hit"),
    131057: (500, "Business account is in maintenance mode"),
    132000: (400, "Template param count mismatch"),
    132001: (404, "Template does not exist"),
    132015: (400, "Template is paused"),
    132016: (400, "Template is disabled"),
}
DETAILS: dict[int, str] = {
    131047: "Message failed to send because more than 24 hours have passed since the customer "
    "last replied to this number.",
    131056: "Message failed to send because there were too many messages sent from this number "
    "to the same recipient in a short period of time.",
    130429: "Cloud API message throughput has been reached.",
    131026: "Receiver is incapable of receiving this message.",
}

KINDS = (
    *("text", "image", "audio", "video", "document", "sticker", "location", "contacts"),
    *("interactive", "template", "reaction"),
)
_PHONE = re.compile(r"\+?[\d\s().-]{7,24}")
_LONGEST_TEXT = 4096
_LONGEST_REFERENCE = 512


class Refused(Exception):
    """The request is not acceptable: the vendor's code and its explanation."""

    def __init__(self, code: int, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


def error_body(code: int, details: str = "") -> Object:
    """The vendor's error object for a code."""
    title = ERRORS.get(code, (400, "Something went wrong"))[1]
    error: Object = {
        "message": f"(#{code}) {title}",
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": "A" + secrets.token_urlsafe(16),
    }
    if code > 1000:
        error["error_data"] = {
            "messaging_product": "whatsapp",
            "details": details or DETAILS.get(code, title),
        }
    elif details:
        error["message"] = details
    return {"error": error}


def check(body: JsonValue) -> Object:
    """Refuse what the vendor refuses; answers the body as an object."""
    message = body if isinstance(body, dict) else {}
    if message.get("messaging_product") != "whatsapp":
        raise Refused(100, "(#100) The parameter messaging_product is required.")
    if message.get("status") == "read":
        _need(message, "message_id")
        return message
    _check_recipient(message)
    reference = message.get("biz_opaque_callback_data", "")
    if not isinstance(reference, str) or len(reference) > _LONGEST_REFERENCE:
        raise Refused(100, "(#100) Param biz_opaque_callback_data must be at most 512 characters")
    kind = kind_of(message)
    if kind not in KINDS:
        raise Refused(100, f"(#100) Param type must be one of {{{', '.join(KINDS).upper()}}}")
    content = message.get(kind)
    if not isinstance(content, list if kind == "contacts" else dict) or not content:
        raise Refused(131008, f"Parameter '{kind}' is mandatory for type '{kind}'")
    if isinstance(content, dict) and kind in _CHECKS:
        _CHECKS[kind](content)
    return message


def kind_of(message: Object) -> str:
    """The message's type; published examples leave it out, and then the content tells."""
    told = next((kind for kind in KINDS if kind in message), "text")
    return str(message.get("type", told))


def _check_recipient(message: Object) -> None:
    if isinstance(message.get("recipient"), str) and message["recipient"]:
        return
    to = message.get("to")
    if not to:
        raise Refused(100, "(#100) The parameter to is required.")
    if not isinstance(to, str) or not _PHONE.fullmatch(to):
        raise Refused(131009, "Recipient phone number is not valid")


def _check_text(text: Object) -> None:
    body = text.get("body")
    if not isinstance(body, str) or not body:
        raise Refused(131008, "Parameter 'body' is mandatory for type 'text'")
    if len(body) > _LONGEST_TEXT:
        details = f"Param text['body'] must be at most {_LONGEST_TEXT} characters long."
        raise Refused(100, f"(#100) {details}")
    if not isinstance(text.get("preview_url", False), bool):
        raise Refused(131009, "Param text['preview_url'] must be a boolean")


def _check_media(media: Object) -> None:
    if not (media.get("id") or media.get("link")):
        raise Refused(131008, "One of 'id' or 'link' is mandatory for media messages")


def _check_template(template: Object) -> None:
    _need(template, "name")
    language = template.get("language")
    if not isinstance(language, dict) or not language.get("code"):
        raise Refused(131008, "Parameter 'language.code' is mandatory for type 'template'")
    components = template.get("components", [])
    if not isinstance(components, list):
        raise Refused(100, "(#100) Param template['components'] must be an array.")
    for component in components:
        kind = component.get("type") if isinstance(component, dict) else None
        if str(kind).lower() not in {"header", "body", "button", "carousel", "limited_time_offer"}:
            raise Refused(132012, "A template component's type is not valid")


def _check_interactive(interactive: Object) -> None:
    _need(interactive, "type", "action")
    action = interactive["action"]
    if not isinstance(action, dict):
        raise Refused(131009, "Param interactive['action'] must be an object")
    if interactive["type"] == "button":
        _check_items(action.get("buttons"), most=3, title=20, inside="reply")
    if interactive["type"] == "list":
        sections = action.get("sections")
        rows: list[JsonValue] = []
        for section in sections if isinstance(sections, list) else []:
            found = section.get("rows") if isinstance(section, dict) else None
            rows += found if isinstance(found, list) else []
        _check_items(rows, most=10, title=24, inside="")
    if interactive["type"] == "order_details":
        _check_order(action.get("parameters"))
    if interactive["type"] == "order_status":
        _check_order_status(action.get("parameters"))


def _check_order(found: JsonValue) -> None:
    """An order to pay: named shortly, with a way to pay it, and sums that agree."""
    if not isinstance(found, dict):
        raise Refused(131009, "Param action['parameters'] must be an object")
    _need(found, "reference_id", "type", "currency", "total_amount")
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,35}", str(found["reference_id"])):
        raise Refused(131009, "reference_id takes 35 letters, digits, '_', '-' or '.'")
    order = found.get("order")
    if not isinstance(order, dict):
        return
    _need(order, "status", "items", "subtotal", "tax")
    items = order["items"] if isinstance(order["items"], list) else []
    bought = sum((_cents(i, "sale_amount") or _cents(i, "amount")) * _times(i) for i in items)
    if bought != _cents(order, "subtotal"):
        raise Refused(131009, "The subtotal is not the sum of the items")
    total = bought + _cents(order, "tax") + _cents(order, "shipping") - _cents(order, "discount")
    if total != _cents(found, "total_amount"):
        raise Refused(131009, "total_amount is not subtotal + tax + shipping - discount")


def _check_order_status(found: JsonValue) -> None:
    order = found.get("order") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(order, dict):
        raise Refused(131009, "Param action['parameters'] must name an order")
    _need(found, "reference_id")
    if order.get("status") not in _ORDER_STATES:
        raise Refused(131009, f"order['status'] must be one of {sorted(_ORDER_STATES)}")


def _cents(holder: JsonValue, name: str) -> int:
    amount = holder.get(name) if isinstance(holder, dict) else None
    if amount is None:
        return 0
    value = amount.get("value") if isinstance(amount, dict) else None
    if not isinstance(value, int) or not isinstance(amount, dict) or amount.get("offset") != 100:
        raise Refused(131009, f"{name} takes a whole value and the offset 100")
    return value


def _times(item: JsonValue) -> int:
    found = item.get("quantity") if isinstance(item, dict) else None
    return found if isinstance(found, int) else 0


def _check_items(items: JsonValue, *, most: int, title: int, inside: str) -> None:
    """Buttons or rows: how many, with an id and a title that is not too long."""
    if not isinstance(items, list) or not 1 <= len(items) <= most:
        raise Refused(131009, f"Between 1 and {most} items are allowed")
    for item in items:
        found = item.get(inside) if inside and isinstance(item, dict) else item
        if not isinstance(found, dict):
            raise Refused(131009, "An item is not an object")
        _need(found, "id", "title")
        if len(str(found["title"])) > title:
            raise Refused(131009, f"A title must be at most {title} characters long")


def _check_reaction(reaction: Object) -> None:
    _need(reaction, "message_id")


def _check_location(location: Object) -> None:
    _need(location, "latitude", "longitude")


def _need(found: Object, *names: str) -> None:
    for name in names:
        if found.get(name) in (None, "", {}, []):
            raise Refused(131008, f"Parameter '{name}' is mandatory")


_CHECKS: dict[str, Callable[[Object], None]] = {
    "text": _check_text,
    "image": _check_media,
    "audio": _check_media,
    "video": _check_media,
    "document": _check_media,
    "sticker": _check_media,
    "template": _check_template,
    "interactive": _check_interactive,
    "reaction": _check_reaction,
    "location": _check_location,
}
