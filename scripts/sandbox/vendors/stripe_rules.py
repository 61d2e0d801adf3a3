"""Which parameters Stripe takes where, of those subscriptions could use; others are refused."""

from __future__ import annotations

import re
from typing import Any

from scripts.sandbox.vendors import stripe_intents
from scripts.sandbox.vendors.stripe_world import Refused

_METADATA = re.compile(r"(subscription_data\[)?metadata\]?\[[^\]]{1,40}\]")
_ADDRESS = re.compile(r"https?://\S+")

PARAMETERS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "customers": (frozenset(), frozenset({"name", "email", "phone", "description"})),
    "prices": (
        frozenset({"currency", "unit_amount", "product", "recurring[interval]"}),
        frozenset({"lookup_key", "nickname"}),
    ),
    "checkout/sessions": (
        frozenset({"mode", "success_url", "line_items[0][price]", "line_items[0][quantity]"}),
        frozenset({"customer", "cancel_url", "client_reference_id", "locale", "customer_email"}),
    ),
    **stripe_intents.PARAMETERS,
    "billing_portal/sessions": (frozenset({"customer"}), frozenset({"return_url", "locale"})),
}
"""By path: what must be there, and what may."""


def check(path: str, fields: dict[str, str]) -> None:
    """Raises Refused as the vendor does: unknown, missing and impossible parameters."""
    needed, allowed = PARAMETERS[path]
    for name in fields:
        if name not in needed | allowed and not _METADATA.fullmatch(name):
            raise Refused(400, "parameter_unknown", f"Received unknown parameter: {name}", name)
    for name in sorted(needed):
        if not fields.get(name):
            raise Refused(400, "parameter_missing", f"Missing required param: {name}.", name)
    for name in ("success_url", "cancel_url", "return_url"):
        if fields.get(name) and not _ADDRESS.fullmatch(fields[name]):
            raise Refused(400, "url_invalid", f"Not a valid URL: {fields[name]}", name)
    if fields.get("mode", "subscription") not in ("subscription", "payment", "setup"):
        raise Refused(400, "", "Invalid mode", "mode")


def flag(subscription: dict[str, Any]) -> bool:
    """Whether a list without ``status`` shows it: all that are not ended."""
    return subscription["status"] not in ("canceled", "incomplete_expired")
