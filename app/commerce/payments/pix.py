"""PIX codes made here: keys as the Central Bank's directory knows them, the BR Code, its CRC.

Source: Banco Central, "Manual de Padrões para Iniciação do Pix" and "Manual do BR Code" (EMV QRCPS,
merchant-presented mode). A static code with amount and txid: no provider is needed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

GUI = "br.gov.bcb.pix"
NAME_LENGTH, CITY_LENGTH, TXID_LENGTH = 25, 15, 25
MOST_CENTS = 9_999_999_999
"""EMV field 54 holds 13 characters; ten digits of cents leave no doubt."""
_ACCOUNT, _AMOUNT, _NAME, _CITY, _MORE, _CRC = "26", "54", "59", "60", "62", "63"
_CRC_START = f"{_CRC}04"
_UNSAFE = re.compile(r"[^A-Za-z0-9 $%*+\-./:]")
_EMAIL = re.compile(r"[a-z0-9.!#$&'*+/=?^_`{|}~-]+@[a-z0-9-]+(\.[a-z0-9-]+)+")
_EVP = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PHONE = re.compile(r"\+55[1-9]{2}(9\d{8}|[2-5]\d{7})")
_CPF_WEIGHTS = (range(10, 1, -1), range(11, 1, -1))
_CNPJ_WEIGHTS = ((5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2), (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))


class KeyType(StrEnum):
    CPF = "cpf"
    CNPJ = "cnpj"
    PHONE = "phone"
    EMAIL = "email"
    EVP = "evp"


class InvalidPixKey(ValueError):
    """The text is no key of that type; the message says what one looks like."""


class InvalidBrCode(ValueError):
    """The text is no BR Code, or was damaged on the way."""


@dataclass(frozen=True, slots=True)
class PixCode:
    """What a static PIX code says; ``amount_cents`` None lets the payer choose."""

    key: str
    name: str
    city: str
    amount_cents: int | None
    txid: str


def normalised_key(kind: KeyType, text: str) -> str:
    """A key in the directory's own form (DICT). Raises InvalidPixKey."""
    text = text.strip()
    if kind is KeyType.CPF:
        return _checked(re.sub(r"[.\-\s]", "", text), 11, _CPF_WEIGHTS, "a CPF of 11 digits")
    if kind is KeyType.CNPJ:
        plain = re.sub(r"[.\-/\s]", "", text).upper()
        return _checked(plain, 14, _CNPJ_WEIGHTS, "a CNPJ of 14 characters")
    if kind is KeyType.PHONE:
        digits = re.sub(r"[()\-.\s]", "", text)
        return _matching(_PHONE, digits if digits.startswith("+") else f"+55{digits}", "+55 DDD n")
    if kind is KeyType.EMAIL:
        if len(text) > 77:
            raise InvalidPixKey("an e-mail key has at most 77 characters")
        return _matching(_EMAIL, text.lower(), "an e-mail address without accents")
    return _matching(_EVP, text.lower(), "a random key as the bank shows it (a UUID)")


def _matching(pattern: re.Pattern[str], text: str, wanted: str) -> str:
    if not pattern.fullmatch(text):
        raise InvalidPixKey(f"not a key of this type: send {wanted}")
    return text


def _checked(
    text: str, length: int, weights: tuple[range | tuple[int, ...], ...], wanted: str
) -> str:
    """Both check digits, modulo 11; letters of the CNPJ of 2026 count as their code less 48."""
    is_shaped = bool(re.fullmatch(rf"[0-9A-Z]{{{length - 2}}}[0-9]{{2}}", text, re.ASCII))
    if length == 11:
        is_shaped = is_shaped and text.isdecimal()
    if not is_shaped or len(set(text)) == 1:
        raise InvalidPixKey(f"not a key of this type: send {wanted}")
    for row in weights:
        total = sum((ord(c) - 48) * w for c, w in zip(text, row, strict=False))
        digit = 0 if total % 11 < 2 else 11 - total % 11
        if int(text[len(row)]) != digit:
            raise InvalidPixKey("its check digits are wrong")
    return text


def folded(text: str, length: int) -> str:
    """Text as the code may hold it: ASCII without accents, single spaces, cut to ``length``."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(_UNSAFE.sub(" ", plain).split())[:length].strip()


def crc16(text: str) -> str:
    """CRC-16/CCITT-FALSE (polynomial 1021, start FFFF), four upper-case hex digits."""
    crc = 0xFFFF
    for byte in text.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return f"{crc:04X}"


def br_code(code: PixCode) -> str:
    """The "copia e cola". Raises ValueError for an amount, name or txid that it cannot hold."""
    name, city = folded(code.name, NAME_LENGTH), folded(code.city, CITY_LENGTH)
    if not name or not city:
        raise ValueError("name and city must keep a letter without accents")
    if not re.fullmatch(rf"[A-Za-z0-9]{{1,{TXID_LENGTH}}}|\*\*\*", code.txid):
        raise ValueError("a txid has 1 to 25 letters and digits")
    amount = ""
    if code.amount_cents is not None:
        if not 0 < code.amount_cents <= MOST_CENTS:
            raise ValueError("the amount is more than nothing and has at most ten digits")
        amount = _field(_AMOUNT, f"{code.amount_cents // 100}.{code.amount_cents % 100:02d}")
    text = (
        _field("00", "01")
        + _field(_ACCOUNT, _field("00", GUI) + _field("01", code.key))
        + "52040000"
        + "5303986"
        + amount
        + "5802BR"
        + _field(_NAME, name)
        + _field(_CITY, city)
        + _field(_MORE, _field("05", code.txid))
        + _CRC_START
    )
    return text + crc16(text)


def parsed(text: str) -> PixCode:
    """Read a static BR Code back. Raises InvalidBrCode."""
    body, found = text[:-4], text[-4:]
    if not body.endswith(_CRC_START) or crc16(body) != found:
        raise InvalidBrCode("the check sum is wrong")
    fields = _fields(text)
    account = _fields(fields.get(_ACCOUNT, ""))
    if account.get("00", "").lower() != GUI or "01" not in account:
        raise InvalidBrCode("it names no PIX key")
    amount = fields.get(_AMOUNT)
    return PixCode(
        key=account["01"],
        name=fields.get(_NAME, ""),
        city=fields.get(_CITY, ""),
        amount_cents=None if amount is None else _cents(amount),
        txid=_fields(fields.get(_MORE, "")).get("05", ""),
    )


def _field(id_: str, value: str) -> str:
    if len(value) > 99:
        raise ValueError(f"field {id_} holds at most 99 characters")
    return f"{id_}{len(value):02d}{value}"


def _fields(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    while text:
        id_, length = text[:2], text[2:4]
        if not re.fullmatch(r"\d{2}", length, re.ASCII) or len(text) < 4 + int(length):
            raise InvalidBrCode("its fields do not add up")
        found[id_], text = text[4 : 4 + int(length)], text[4 + int(length) :]
    return found


def _cents(amount: str) -> int:
    if not re.fullmatch(r"\d{1,10}(\.\d{1,2})?", amount, re.ASCII):
        raise InvalidBrCode("its amount is no number")
    whole, _, rest = amount.partition(".")
    return int(whole) * 100 + int(rest.ljust(2, "0"))
