"""Money as people read it: integer cents in, a Brazilian amount out."""

from __future__ import annotations

_SIGNS = {"BRL": "R$", "USD": "US$", "EUR": "€"}


def format_money(cents: int, currency: str = "BRL") -> str:
    """``123456`` as ``R$ 1.234,56``; a currency without a known sign shows its ISO 4217 code."""
    whole, rest = divmod(abs(cents), 100)
    grouped = f"{whole:,}".replace(",", ".")
    return f"{'-' if cents < 0 else ''}{_SIGNS.get(currency, currency)} {grouped},{rest:02d}"
