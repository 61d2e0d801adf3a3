"""What an agent asks for, read as a cart of ours: how it is handed over, where to, who buys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import EmailStr, TypeAdapter, ValidationError

from app.commerce.orders.rules import FulfilmentType
from app.commerce.ucp.protocol import DISCOUNT, FULFILLMENT
from app.commerce.ucp.schemas import UcpDestination, UcpMethod, Wanted
from app.commerce.ucp.words import BY_HAND, error, words
from app.core.language import Language
from app.core.model import Json
from app.core.phone import InvalidPhone, normalise_phone
from app.core.postal import InvalidCep, normalise_cep

METHOD = "$.fulfillment.methods[0]"
OPTION = f"{METHOD}.groups[0].selected_option_id"
NOW, AT = "now", "at:"
"""Ids of options: as soon as possible, and a slot by its start."""
_TYPES = {"shipping": FulfilmentType.DELIVERY, "pickup": FulfilmentType.PICKUP}
_BRAZIL = {"", "br", "bra", "brasil", "brazil"}
_STATE = re.compile(r"(?:BR-)?([A-Z]{2})")
_NUMBERED = re.compile(
    r"(?P<street>.*\D)[,\s]\s*(?:n[ºo°.]*\s*)?(?P<number>\d{1,8}\w?)", re.IGNORECASE
)
_NO_NUMBER = "s/n"
_EMAIL = TypeAdapter(EmailStr)


@dataclass(slots=True)
class Asked:
    """A checkout's wishes in our words; ``messages`` say what is missing or wrong with them."""

    wanted: Wanted
    store: str
    """Slug of who hands over."""
    channel: FulfilmentType | None = None
    destinations: list[UcpDestination] = field(default_factory=list)
    """Of a delivery, each with an id."""
    at: int | None = None
    """Which of them."""
    is_astray: bool = False
    """The place to pick up at is none of ours."""
    option_id: str | None = None
    address: Json | None = None
    postal_code: str | None = None
    """Eight digits."""
    phone: str | None = None
    """E.164."""
    name: str = ""
    email: str | None = None
    codes: list[str] = field(default_factory=list)
    messages: list[Json] = field(default_factory=list)

    @property
    def scheduled_for(self) -> datetime | None:
        """The start of the slot that was chosen; None: as soon as possible."""
        if self.option_id is None or not self.option_id.startswith(AT):
            return None
        try:
            found = datetime.fromisoformat(self.option_id.removeprefix(AT))
        except ValueError:
            return None
        return found if found.tzinfo is not None else None


def read(
    wanted: Wanted, active: frozenset[str], stores: Mapping[str, Any], home: str, lang: Language
) -> Asked:
    """Read the wishes; ``stores`` are those there are, by slug, ``home`` delivers by default."""
    location = wanted.context.location if wanted.context else None
    asked = Asked(wanted, location if location and location in stores else home)
    if DISCOUNT in active and wanted.discounts is not None:
        asked.codes = wanted.discounts.codes
    _buyer(asked, lang)
    methods = wanted.fulfillment.methods if wanted.fulfillment else []
    if FULFILLMENT not in active:
        asked.messages.append(
            error("fulfillment_required", "$", words("no_fulfillment", lang), BY_HAND)
        )
    elif not methods:
        told = words("missing_fulfillment", lang)
        asked.messages.append(error("missing", "$.fulfillment.methods", told))
    else:
        if len(methods) > 1:
            told = words("split", lang)
            asked.messages.append(
                error("split_fulfillment_unsupported", "$.fulfillment.methods", told)
            )
        _method(asked, methods[0], stores, lang)
    return asked


def way_wanted(wanted: Wanted, active: frozenset[str], home: str) -> tuple[str, str] | None:
    """From which store to which postal code a delivery would go; None: there is none yet."""
    location = wanted.context.location if wanted.context else None
    asked = read(wanted, active, {location: None} if location else {}, home, "pt")
    return (asked.store, asked.postal_code) if asked.postal_code is not None else None


def _buyer(asked: Asked, lang: Language) -> None:
    buyer = asked.wanted.buyer
    asked.name = " ".join(p for p in (buyer and buyer.first_name, buyer and buyer.last_name) if p)
    if len(asked.name) < 2:
        told = words("missing_name", lang)
        asked.messages.append(error("missing", "$.buyer.first_name", told))
    phone = buyer.phone_number if buyer else None
    if not phone:
        told = words("missing_phone", lang)
        asked.messages.append(error("missing", "$.buyer.phone_number", told))
    else:
        try:
            asked.phone = normalise_phone(phone)
        except InvalidPhone:
            told = words("invalid_phone", lang)
            asked.messages.append(error("invalid_phone", "$.buyer.phone_number", told))
    if buyer and buyer.email:
        try:
            asked.email = _EMAIL.validate_python(buyer.email)
        except ValidationError:
            told = words("invalid_email", lang)
            asked.messages.append(error("invalid_email", "$.buyer.email", told))


def _method(asked: Asked, method: UcpMethod, stores: Mapping[str, Any], lang: Language) -> None:
    asked.channel = _TYPES.get(method.type)
    if asked.channel is None:
        told = words("method_unknown", lang)
        asked.messages.append(error("fulfillment_method_unsupported", f"{METHOD}.type", told))
        return
    asked.option_id = method.groups[0].selected_option_id if method.groups else None
    if asked.channel is FulfilmentType.PICKUP:
        _pickup(asked, method, stores, lang)
    else:
        _delivery(asked, method, lang)


def _pickup(asked: Asked, method: UcpMethod, stores: Mapping[str, Any], lang: Language) -> None:
    named = method.selected_destination_id
    if named is not None and named not in stores:
        asked.messages.append(_unknown_destination(lang))
        asked.is_astray = True
        return
    asked.store = named or asked.store


def _delivery(asked: Asked, method: UcpMethod, lang: Language) -> None:
    asked.destinations = [
        d.model_copy(update={"id": d.id or f"dest_{n}"})
        for n, d in enumerate(method.destinations, 1)
    ]
    ids = [d.id for d in asked.destinations]
    named = method.selected_destination_id
    if named is not None and named not in ids:
        asked.messages.append(_unknown_destination(lang))
    elif named is not None or len(ids) == 1:
        asked.at = ids.index(named) if named is not None else 0
        _address(asked, asked.destinations[asked.at], lang)
    else:
        path = f"{METHOD}.selected_destination_id" if ids else f"{METHOD}.destinations"
        asked.messages.append(error("missing", path, words("missing_destination", lang)))


def _unknown_destination(lang: Language) -> Json:
    path = f"{METHOD}.selected_destination_id"
    return error("destination_unknown", path, words("destination_unknown", lang))


def _address(asked: Asked, given: UcpDestination, lang: Language) -> None:
    """Our address of theirs; what is missing stands open, and only the freight may be told."""
    path = f"{METHOD}.destinations[{asked.at}]"
    if (given.address_country or "").lower() not in _BRAZIL:
        told = words("abroad", lang)
        asked.messages.append(error("address_undeliverable", f"{path}.address_country", told))
        return
    for name in ("street_address", "address_locality", "address_region", "postal_code"):
        if not getattr(given, name):
            told = words("missing_field", lang)
            asked.messages.append(error("missing", f"{path}.{name}", told))
    state = _STATE.fullmatch((given.address_region or "").upper())
    if given.address_region and state is None:
        told = words("invalid_region", lang)
        asked.messages.append(error("invalid_region", f"{path}.address_region", told))
    if not given.postal_code:
        return
    try:
        asked.postal_code = normalise_cep(given.postal_code)
    except InvalidCep:
        told = words("invalid_postal_code", lang)
        asked.messages.append(error("invalid_postal_code", f"{path}.postal_code", told))
        return
    street, number = _street(given.street_address or "-")
    asked.address = {
        "postal_code": asked.postal_code,
        "street": street,
        "number": number,
        "complement": given.extended_address or None,
        "city": given.address_locality or "-",
        "state": state[1] if state else "--",
    }


def _street(line: str) -> tuple[str, str]:
    """``Avenida Paulista, 1578`` as street and number; a house may have none."""
    found = _NUMBERED.fullmatch(line)
    if found is None:
        return line, _NO_NUMBER
    return found["street"].strip(" ,") or line, found["number"]
