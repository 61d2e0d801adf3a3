"""Money as people read it: integer cents in, an amount in their language out."""

from __future__ import annotations

from app.core.language import Language

_SIGNS = {"BRL": "R$", "USD": "US$", "EUR": "€"}


def format_money(cents: int, currency: str = "BRL", language: Language = "pt") -> str:
    """``123456`` as ``R$ 1.234,56``, in English ``R$ 1,234.56``.

    A currency without a known sign shows its ISO 4217 code.
    """
    whole, rest = divmod(abs(cents), 100)
    amount = f"{whole:,}.{rest:02d}"
    if language == "pt":
        amount = amount.replace(",", " ").replace(".", ",").replace(" ", ".")
    return f"{'-' if cents < 0 else ''}{_SIGNS.get(currency, currency)} {amount}"
