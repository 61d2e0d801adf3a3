"""One written form for telephone numbers, E.164, with Brazil's ninth digit settled."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber

MAX_RAW_LENGTH = 40
_BRAZIL = 55
_WRITTEN = re.compile(r"[(\s]*\+?[\d\s().\-/]*")
# Area code (two digits), then eight digits that start as mobile numbers did before the ninth digit.
_OLD_MOBILE = re.compile(r"([1-9][1-9])([6-9]\d{7})")
_LOCAL_ONLY = re.compile(r"9?[2-9]\d{7}")
_NEW_MOBILE = re.compile(r"([1-9][1-9])9([6-9]\d{7})")


# What nearly every Brazilian customer types: area code, nine digits, the country perhaps.
_USUAL = re.compile(r"(?:\+55 ?)?\(?([1-9][1-9])\)? ?(9\d{4})[- ]?(\d{4})", re.ASCII)


class InvalidPhone(ValueError):
    """A text that is no telephone number; ``reason`` says why in one kebab-case word.

    Reasons: ``empty``, ``not-a-number``, ``too-short``, ``too-long``, ``missing-area-code``,
    ``not-in-use`` (no numbering plan assigns it).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid phone number: {reason}")
        self.reason = reason


def normalise_phone(raw: str, region: str = "BR") -> str:
    """Return ``raw`` as E.164 (``+5511987654321``); ``region`` rules numbers without a country.

    Reads what people and systems write: ``(11) 98765-4321``, ``011 8765-4321``, ``+55 11 ...``,
    ``0055 ...`` and the region's own numbers with the country code but no plus. A Brazilian
    number of eight digits that starts with 6 to 9 is an old mobile number and receives the ninth
    digit (Anatel, resolution 553/2010). The result is stable: normalising it again changes
    nothing. Raises :class:`InvalidPhone`.
    """
    usual = _USUAL.fullmatch(raw) if region == "BR" else None
    if usual is not None and _mobiles().fullmatch("".join(usual.groups())):
        return f"+{_BRAZIL}{usual[1]}{usual[2]}{usual[3]}"
    text = _cleaned(raw)
    digits = re.sub(r"\D", "", text)
    if "+" in text:
        return _accepted([f"+{digits}"], region)
    if digits.startswith("00"):
        return _accepted([f"+{digits[2:]}"], region)
    readings = [digits]
    calling_code = str(phonenumbers.country_code_for_region(region))
    if digits.startswith(calling_code):
        readings.append(f"+{digits}")
    return _accepted(readings, region)


def phone_from_wa_id(wa_id: str) -> str:
    """Return the E.164 form of a WhatsApp id, which is international but carries no plus.

    Raises :class:`InvalidPhone`.
    """
    return normalise_phone(f"+{wa_id.strip().removeprefix('+')}")


def phone_match_keys(e164: str) -> tuple[str, ...]:
    """Return every form under which this number may be stored elsewhere, canonical form first.

    WhatsApp still knows many Brazilian mobiles without their ninth digit, so such a number has a
    twin. Mobiles issued later (ninth digit followed by 1 to 5) have none: without the ninth digit
    they would be somebody's land line.
    """
    if not e164.startswith(f"+{_BRAZIL}"):
        return (e164,)
    national = e164.removeprefix(f"+{_BRAZIL}")
    if new := _NEW_MOBILE.fullmatch(national):
        return (e164, f"+{_BRAZIL}{new[1]}{new[2]}")
    if old := _OLD_MOBILE.fullmatch(national):
        return (f"+{_BRAZIL}{old[1]}9{old[2]}", e164)
    return (e164,)


@cache
def _mobiles() -> re.Pattern[str]:
    """Brazil's mobile numbers as the numbering plan of the library knows them."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region("BR")
    pattern = metadata.mobile.national_number_pattern if metadata and metadata.mobile else None
    if pattern is None:
        raise LookupError("phonenumbers knows no mobile numbers of Brazil")
    return re.compile(pattern)


def _cleaned(raw: str) -> str:
    if len(raw) > MAX_RAW_LENGTH:
        raise InvalidPhone("too-long")
    # Numbers pasted from address books carry invisible direction marks and typographic dashes.
    visible = "".join(
        "-" if unicodedata.category(char) == "Pd" else char
        for char in unicodedata.normalize("NFKC", raw)
        if unicodedata.category(char) != "Cf"
    ).strip()
    if not visible:
        raise InvalidPhone("empty")
    if not _WRITTEN.fullmatch(visible) or not re.search(r"\d", visible):
        raise InvalidPhone("not-a-number")
    return visible


def _accepted(readings: list[str], region: str) -> str:
    """Return the first reading that a numbering plan assigns, else the first one's refusal."""
    refusal: InvalidPhone | None = None
    for reading in readings:
        try:
            number = phonenumbers.parse(reading, region)
        except NumberParseException as error:
            refusal = refusal or InvalidPhone(_parse_reason(error))
            continue
        number = _with_ninth_digit(number)
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        refusal = refusal or InvalidPhone(_possible_reason(number))
    raise refusal or InvalidPhone("not-a-number")


def _with_ninth_digit(number: PhoneNumber) -> PhoneNumber:
    if number.country_code != _BRAZIL:
        return number
    old = _OLD_MOBILE.fullmatch(str(number.national_number))
    if old is None:
        return number
    return PhoneNumber(country_code=_BRAZIL, national_number=int(f"{old[1]}9{old[2]}"))


def _parse_reason(error: NumberParseException) -> str:
    return {
        NumberParseException.INVALID_COUNTRY_CODE: "not-in-use",
        NumberParseException.TOO_SHORT_NSN: "too-short",
        NumberParseException.TOO_SHORT_AFTER_IDD: "too-short",
        NumberParseException.TOO_LONG: "too-long",
    }.get(error.error_type, "not-a-number")


def _possible_reason(number: PhoneNumber) -> str:
    if number.country_code == _BRAZIL and _LOCAL_ONLY.fullmatch(str(number.national_number)):
        return "missing-area-code"
    return {
        phonenumbers.ValidationResult.TOO_SHORT: "too-short",
        phonenumbers.ValidationResult.TOO_LONG: "too-long",
        phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "missing-area-code",
    }.get(phonenumbers.is_possible_number_with_reason(number), "not-in-use")
