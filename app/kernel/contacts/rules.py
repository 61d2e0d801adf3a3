"""How what names a contact is written, and how a page of its timeline is named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from app.core.phone import InvalidPhone, normalise_phone, phone_from_wa_id, phone_match_keys
from app.core.problems import Invalid
from app.core.schema import Instant
from app.kernel.contacts.problems import ContactPhoneInvalid

Key = tuple[str, str]
"""Kind and value of an identity."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Somebody was met: everything that one message or form proves to be of one person."""

    name: str = ""
    phone: str | None = None
    wa_id: str | None = None
    bsuid: str | None = None
    email: str | None = None
    source: str = "whatsapp"

    def e164(self) -> str | None:
        """Their number, from the WhatsApp id when none is given. Raises ContactPhoneInvalid."""
        if self.phone:
            return e164(self.phone)
        try:
            return phone_from_wa_id(self.wa_id) if self.wa_id else None
        except InvalidPhone:
            return None  # an id that is no number still names somebody

    def keys(self) -> list[Key]:
        """Their identities beside the telephone, the surest first."""
        found = [("bsuid", self.bsuid), ("wa_id", self.wa_id), ("email", email(self.email))]
        return [(kind, value.strip()) for kind, value in found if value and value.strip()]


def e164(phone: str) -> str:
    """Raises ContactPhoneInvalid."""
    try:
        return normalise_phone(phone)
    except InvalidPhone as error:
        raise ContactPhoneInvalid(reason=error.reason) from error


def canonical(phone: str) -> str:
    """The form with the ninth digit of a number that may be stored without it."""
    return phone_match_keys(phone)[0]


def email(text: str | None) -> str | None:
    return text.strip().lower() or None if text else None


def identity_value(kind: str, value: str) -> str:
    """``value`` as it is stored. Raises Invalid, ContactPhoneInvalid."""
    text = value.strip()
    if kind == "phone":
        return e164(text)
    if kind == "email":
        text = text.lower()
        local, _, domain = text.partition("@")
        fits = bool(local) and "." in domain and not any(c.isspace() for c in text)
        said = "Send an e-mail address."
    elif kind == "wa_id":
        text = text.removeprefix("+")
        fits, said = text.isdecimal() and text.isascii(), "Send the digits of the WhatsApp id."
    else:
        fits, said = text.isprintable() and " " not in text, "Send the id as WhatsApp gives it."
    if not fits:
        raise Invalid(errors=[{"pointer": "/body/value", "detail": said}])
    return text


def timeline_cursor(at: datetime, id: UUID) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}~{id}"


def timeline_place(cursor: str) -> tuple[datetime, UUID]:
    """What ``timeline_cursor`` named. Raises Invalid."""
    at, _, id = cursor.partition("~")
    try:
        return _AT.validate_python(at), UUID(id)
    except (ValueError, ValidationError):
        wrong = {"pointer": "/query/cursor", "detail": "Send next_cursor of the page before."}
        raise Invalid(errors=[wrong]) from None


_AT: TypeAdapter[datetime] = TypeAdapter(Instant)
