"""What UCP 2026-08-25 requires of a profile and of a checkout, as JSON Schema of our own writing.

Made from the tables of required fields in the specification's pages; sums are checked in code, as
no schema can.
"""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

Schema = dict[str, Any]
_DATE = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
_NAME = r"^[a-z][a-z0-9]*(\.[a-z][a-z0-9_]*)+$"
_URL = {"type": "string", "pattern": "^https://"}
_TEXT = {"type": "string", "minLength": 1}
_PATH = {"type": "string", "pattern": r"^\$"}


def _object(required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _all(kind: Schema, **facts: Any) -> Schema:
    return {"type": "array", "items": kind, **facts}


def _registry(entry: Schema) -> Schema:
    return {
        "type": "object",
        "propertyNames": {"pattern": _NAME},
        "additionalProperties": _all(entry, minItems=1),
    }


_HANDLER = _object(
    "id version",
    id=_TEXT,
    version=_DATE,
    available_instruments=_all(_object("type", type=_TEXT), minItems=1),
    config={"type": "object"},
)
_SERVICE = _object(
    "version spec transport endpoint schema",
    version=_DATE,
    spec=_URL,
    schema=_URL,
    transport={"enum": ["rest", "mcp", "a2a", "embedded"]},
    endpoint={"type": "string", "pattern": r"^https?://[^/]+.*[^/]$"},
)
_CAPABILITY = _object("version spec schema", version=_DATE, spec=_URL, schema=_URL)
PROFILE = _object(
    "ucp",
    ucp=_object(
        "version services payment_handlers",
        version=_DATE,
        services=_registry(_SERVICE),
        capabilities=_registry(_CAPABILITY),
        payment_handlers=_registry(_HANDLER),
    ),
)

_SIGNS = {
    "allOf": [
        {
            "if": {"properties": {"type": {"enum": ["discount", "items_discount"]}}},
            "then": {"properties": {"amount": {"exclusiveMaximum": 0}}},
        },
        {
            "if": {"properties": {"type": {"enum": ["subtotal", "fulfillment", "tax", "fee"]}}},
            "then": {"properties": {"amount": {"minimum": 0}}},
        },
    ]
}
_TOTAL = _object("type amount", type=_TEXT, amount={"type": "integer"}) | _SIGNS
_ONE_TOTAL = {
    "contains": {"properties": {"type": {"const": "total"}}},
    "minContains": 1,
    "maxContains": 1,
}
_LINE = _object(
    "id item quantity totals",
    id=_TEXT,
    item=_object("id title price", id=_TEXT, title=_TEXT, price={"type": "integer", "minimum": 0}),
    quantity={"type": "integer", "minimum": 1},
    totals=_all(_TOTAL) | _ONE_TOTAL,
)
_MESSAGE: Schema = {
    "oneOf": [
        _object(
            "type code content severity",
            type={"const": "error"},
            code=_TEXT,
            content=_TEXT,
            path=_PATH,
            severity={
                "enum": [
                    "recoverable",
                    "requires_buyer_input",
                    "requires_buyer_review",
                    "unrecoverable",
                ]
            },
        ),
        _object(
            "type code content",
            type={"const": "warning"},
            code=_TEXT,
            content=_TEXT,
            path=_PATH,
        ),
        _object("type content", type={"const": "info"}, content=_TEXT, path=_PATH),
    ]
}
_OPTION = _object("id title totals", id=_TEXT, title=_TEXT, totals=_all(_TOTAL))
_OPTION["properties"]["description"] = {"type": "object", "minProperties": 1}
_DESTINATION: Schema = {
    "oneOf": [
        _object("type id", type={"const": "shipping_address"}, id=_TEXT),
        _object("type id name", type={"const": "business_location"}, id=_TEXT, name=_TEXT),
    ]
}
_METHOD = _object(
    "id type line_item_ids",
    id=_TEXT,
    type={"enum": ["shipping", "pickup"]},
    line_item_ids=_all(_TEXT),
    destinations=_all(_DESTINATION),
    selected_destination_id={"type": ["string", "null"]},
    groups=_all(
        _object(
            "id line_item_ids",
            id=_TEXT,
            line_item_ids=_all(_TEXT),
            options=_all(_OPTION),
            selected_option_id={"type": ["string", "null"]},
        ),
        maxItems=1,
    ),
)
_APPLIED = _object(
    "title amount",
    title=_TEXT,
    code=_TEXT,
    amount={"type": "integer", "minimum": 0},
    automatic={"type": "boolean"},
    allocations=_all(_object("path amount", path=_PATH, amount={"type": "integer", "minimum": 0})),
)
_ENVELOPE = _object(
    "version status capabilities payment_handlers",
    version=_DATE,
    status={"const": "success"},
    capabilities=_registry(_object("version", version=_DATE)),
    payment_handlers=_registry(_HANDLER),
)
SESSION = _object(
    "ucp id line_items status currency totals links",
    ucp=_ENVELOPE,
    id=_TEXT,
    line_items=_all(_LINE, minItems=1),
    status={
        "enum": [
            "incomplete",
            "requires_escalation",
            "ready_for_complete",
            "complete_in_progress",
            "completed",
            "canceled",
        ]
    },
    currency={"type": "string", "pattern": "^[A-Z]{3}$"},
    totals=_all(_TOTAL) | _ONE_TOTAL,
    links=_all(_object("type url", type=_TEXT, url=_URL)),
    messages=_all(_MESSAGE),
    expires_at={"type": "string", "format": "date-time"},
    continue_url=_URL,
    buyer={"type": "object", "additionalProperties": {"type": "string"}},
    fulfillment=_object(
        "methods",
        methods=_all(_METHOD),
        available_methods=_all(_object("type line_item_ids", type=_TEXT)),
    ),
    discounts=_object("codes applied", codes=_all({"type": "string"}), applied=_all(_APPLIED)),
    order=_object("id permalink_url", id=_TEXT, permalink_url=_URL, label=_TEXT),
    payment=_object(
        "instruments",
        instruments=_all(_object("id handler_id type", id=_TEXT, handler_id=_TEXT, type=_TEXT)),
    ),
)


_PRICE = _object(
    "amount currency",
    amount={"type": "integer", "minimum": 0},
    currency={"type": "string", "pattern": "^[A-Z]{3}$"},
)
_DESCRIPTION = {"type": "object", "minProperties": 1, "additionalProperties": _TEXT}
_VARIANT = _object(
    "id title description price",
    id=_TEXT,
    title=_TEXT,
    description=_DESCRIPTION,
    price=_PRICE,
    list_price=_PRICE,
    availability=_object("available status", available={"type": "boolean"}, status=_TEXT),
    inputs=_all(_object("id match", id=_TEXT, match={"enum": ["exact", "featured"]}), minItems=1),
)
_PRODUCT = _object(
    "id title description price_range variants",
    id=_TEXT,
    handle=_TEXT,
    title=_TEXT,
    description=_DESCRIPTION,
    price_range=_object("min max", min=_PRICE, max=_PRICE),
    categories=_all(_object("value", value=_TEXT)),
    media=_all(_object("type url", type=_TEXT, url={"type": "string", "pattern": "^https?://"})),
    variants=_all(_VARIANT, minItems=1),
)
_CATALOG_ENVELOPE = _object(
    "version status capabilities",
    version=_DATE,
    status={"const": "success"},
    capabilities=_registry(_object("version", version=_DATE)),
)
PRODUCTS = _object(
    "ucp products",
    ucp=_CATALOG_ENVELOPE,
    products=_all(_PRODUCT),
    pagination=_object("has_next_page", has_next_page={"type": "boolean"}, cursor=_TEXT),
    messages=_all(_MESSAGE),
)
PRODUCT = _object("ucp product", ucp=_CATALOG_ENVELOPE, product=_PRODUCT)


def check(document: dict[str, Any], schema: Schema) -> None:
    """Fail with every place where ``document`` is not as the protocol has it."""
    found = Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(document)
    wrong = [f"{error.json_path}: {error.message}" for error in found]
    assert not wrong, "\n".join(wrong)


def check_session(session: dict[str, Any]) -> None:
    """Form, sums, and what each status asks for."""
    check(session, SESSION)
    _check_sums(session)
    status, messages = session["status"], session["messages"]
    graves = {m["severity"] for m in messages if m["type"] == "error"}
    if status == "requires_escalation":
        assert graves & {"requires_buyer_input", "requires_buyer_review"}
    if status == "ready_for_complete":
        assert not graves, messages
    if status == "incomplete":
        assert graves == {"recoverable"}, messages
    is_over = status in ("completed", "canceled")
    assert ("continue_url" in session) is not is_over
    assert ("order" in session) is (status == "completed")
    for method in session.get("fulfillment", {}).get("methods", ()):
        chosen = method["selected_destination_id"]
        ids = [d["id"] for d in method["destinations"]]
        assert chosen is None or ids.count(chosen) == 1, method


def _check_sums(session: dict[str, Any]) -> None:
    whole = {t["type"]: t["amount"] for t in session["totals"]}
    assert sum(v for k, v in whole.items() if k != "total") == whole["total"]
    lines = [{t["type"]: t["amount"] for t in line["totals"]} for line in session["line_items"]]
    for line, sums in zip(session["line_items"], lines, strict=True):
        assert sums["subtotal"] == line["item"]["price"] * line["quantity"]
        assert sums["total"] == sums["subtotal"] + sums.get("items_discount", 0)
    for kind in ("subtotal", "items_discount"):
        assert whole.get(kind, 0) == sum(sums.get(kind, 0) for sums in lines)
    for use in session.get("discounts", {}).get("applied", ()):
        assert sum(part["amount"] for part in use["allocations"]) == use["amount"]
