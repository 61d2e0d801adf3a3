"""The Universal Commerce Protocol as this shop speaks it: version, capabilities, who negotiates.

Version 2026-08-25 (ucp.dev/2026-08-25/specification), the newest that is published as stable: the
shopping service over REST with checkout, fulfillment, discount and the catalogue. Carts, orders,
signatures and mandates are not offered, and so not advertised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.core.model import Json

VERSION = "2026-08-25"
CHECKOUT, FULFILLMENT, DISCOUNT = (
    "dev.ucp.shopping.checkout",
    "dev.ucp.shopping.fulfillment",
    "dev.ucp.shopping.discount",
)
SEARCH, LOOKUP = "dev.ucp.shopping.catalog.search", "dev.ucp.shopping.catalog.lookup"
PATH = "/api/v1/ucp"
"""The shopping service's endpoint, behind the host that was asked."""

EVERYTHING = frozenset({CHECKOUT, FULFILLMENT, DISCOUNT})
"""What a session may hold, whoever asked for it."""
_HOME = f"https://ucp.dev/{VERSION}"
_EXTENSIONS = (FULFILLMENT, DISCOUNT)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_PROFILE = re.compile(r'(?:^|,)[ \t]*profile=("(?P<url>[ !#-\[\]-~]{1,500})")[ \t]*(?=[,;]|$)')

PAY_LATER, PIX = "app.largo.pay_on_delivery", "app.largo.pix"
"""Our own payment handlers: nobody else's vault or tokens take part in them."""
PAY_LATER_ID, PIX_ID = "pay_on_delivery", "pix"
HANDLERS_VERSION = "2026-11-23"


class NotAProfile(ValueError):
    """The document is no profile; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a platform says of itself."""

    version: str
    capabilities: Mapping[str, frozenset[str]]
    """Versions by the capability's name."""

    def active(self, root: str) -> frozenset[str]:
        """This capability of ours and its extensions, as far as both speak them; without it no
        extension of it."""
        names = (root, *_EXTENSIONS) if root == CHECKOUT else (root,)
        both = frozenset(n for n in names if VERSION in self.capabilities.get(n, ()))
        return both if root in both else frozenset()


def profile_url(header: str | None) -> str | None:
    """The profile that a ``UCP-Agent`` names (RFC 8941 dictionary); None when it names none."""
    found = _PROFILE.search(header[:2000]) if header else None
    return found["url"] if found else None


def read_profile(document: Any) -> Profile:
    """A platform's profile. Raises NotAProfile."""
    ucp = document.get("ucp") if isinstance(document, dict) else None
    if not isinstance(ucp, dict):
        raise NotAProfile("it has no object ucp")
    version = ucp.get("version")
    if not isinstance(version, str) or _DATE.fullmatch(version) is None:
        raise NotAProfile("ucp.version is no date")
    for name in ("services", "payment_handlers"):
        if not isinstance(ucp.get(name), dict):
            raise NotAProfile(f"ucp.{name} is no object")
    capabilities = ucp.get("capabilities", {})
    if not isinstance(capabilities, dict):
        raise NotAProfile("ucp.capabilities is no object")
    return Profile(version, {str(n): _versions(n, e) for n, e in capabilities.items()})


def _versions(name: str, entries: Any) -> frozenset[str]:
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise NotAProfile(f"ucp.capabilities[{name!r}] is no array of objects")
    return frozenset(e["version"] for e in entries if isinstance(e.get("version"), str))


def business_profile(endpoint: str, methods: frozenset[str]) -> Json:
    """What ``/.well-known/ucp`` answers; ``methods`` are the payments that any store takes."""
    return {
        "ucp": {
            "version": VERSION,
            "services": {
                "dev.ucp.shopping": [
                    {
                        "version": VERSION,
                        "spec": f"{_HOME}/specification/overview/",
                        "transport": "rest",
                        "endpoint": endpoint,
                        "schema": f"{_HOME}/services/shopping/rest.openapi.json",
                    }
                ]
            },
            "capabilities": {
                CHECKOUT: [_capability("specification/shopping/checkout", "checkout")],
                FULFILLMENT: [_extension("fulfillment")],
                DISCOUNT: [_extension("discount")],
                SEARCH: [_capability("specification/shopping/catalog/search", "catalog_search")],
                LOOKUP: [_capability("specification/shopping/catalog/lookup", "catalog_lookup")],
            },
            "payment_handlers": handlers(methods),
        }
    }


def envelope(active: frozenset[str]) -> Json:
    """The member ``ucp`` of an answer that both have agreed to speak of in this way."""
    return {
        "version": VERSION,
        "status": "success",
        "capabilities": {name: [{"version": VERSION}] for name in sorted(active)},
    }


def handlers(methods: frozenset[str]) -> Json:
    """The payment handlers for these ways of ours to pay."""
    found: Json = {}
    later = [{"type": m} for m in ("cash", "card_on_delivery") if m in methods]
    if "pix" in methods:
        found[PIX] = [_handler(PIX_ID, [{"type": "pix"}])]
    if later:
        found[PAY_LATER] = [_handler(PAY_LATER_ID, later)]
    return found


def method_of(handler_id: str, kind: str, methods: frozenset[str]) -> str | None:
    """Which of ``methods`` an instrument stands for; None: it is none of ours."""
    handler = PIX_ID if kind == "pix" else PAY_LATER_ID
    return kind if kind in methods and handler_id == handler else None


def _handler(handler_id: str, instruments: list[Json]) -> Json:
    return {
        "id": handler_id,
        "version": HANDLERS_VERSION,
        "available_instruments": instruments,
        "config": {},
    }


def _capability(page: str, schema: str) -> Json:
    return {
        "version": VERSION,
        "spec": f"{_HOME}/{page}",
        "schema": f"{_HOME}/schemas/shopping/{schema}.json",
    }


def _extension(name: str) -> Json:
    page = f"specification/shopping/extensions/{name}"
    return _capability(page, name) | {"extends": CHECKOUT}
