"""Brazilian postal codes (CEP): one stored form, eight digits, and their ranges."""

from __future__ import annotations

import re

_WRITTEN = re.compile(r"(\d{2})\.?(\d{3})[-\s]?(\d{3})", re.ASCII)
_LOWEST = "01000000"  # Correios assign 01000-000 to 99999-999


class InvalidCep(ValueError):
    """A text that is no CEP; ``reason`` is ``empty``, ``not-eight-digits`` or ``not-in-use``."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid CEP: {reason}")
        self.reason = reason


def normalise_cep(raw: str) -> str:
    """Return a CEP written as ``01310-100``, ``01.310-100`` or ``01310100`` as eight digits.

    A leading zero that a spreadsheet ate is not guessed. Raises :class:`InvalidCep`.
    """
    text = raw.strip()
    if not text:
        raise InvalidCep("empty")
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise InvalidCep("not-eight-digits")
    cep = "".join(written.groups())
    if cep < _LOWEST:
        raise InvalidCep("not-in-use")
    return cep


def format_cep(cep: str) -> str:
    """Return a CEP as people write it, ``01310-100``. Raises :class:`InvalidCep`."""
    digits = normalise_cep(cep)
    return f"{digits[:5]}-{digits[5:]}"


def cep_in_range(cep: str, first: str, last: str) -> bool:
    """Say whether ``cep`` lies between ``first`` and ``last``, both included.

    Any written form will do; a range whose ends are swapped holds nothing. Raises
    :class:`InvalidCep`.
    """
    return normalise_cep(first) <= normalise_cep(cep) <= normalise_cep(last)
