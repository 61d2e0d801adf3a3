"""Which language a reader gets, and money written in it."""

from __future__ import annotations

import pytest

from app.core.language import of_locale, preferred
from app.core.money import format_money


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("pt-BR", "pt"),
        ("en-US,en;q=0.9", "en"),
        ("pt-BR,pt;q=0.9,en-US;q=0.8,en;q=0.7", "pt"),
        ("en;q=0.5, pt;q=0.8", "pt"),
        ("EN-gb", "en"),
        ("fr-FR,en;q=0.4", "en"),
        ("en;q=0, pt;q=0.1", "pt"),
        ("en ; q=0.3, pt-PT ; q=0.2", "en"),
        ("de, fr", None),
        ("*", None),
        ("", None),
        ("en;q=zwei", None),
        ("en;q=7", None),
        ("english", None),
    ],
)
def test_the_preferred_language(header: str, expected: str | None) -> None:
    assert preferred(header) == expected


def test_a_locale_is_portuguese_unless_it_is_english() -> None:
    assert [of_locale(code) for code in ("pt-BR", "en-US", "es-AR")] == ["pt", "en", "pt"]


@pytest.mark.parametrize(
    ("cents", "currency", "pt", "en"),
    [
        (123_456_789, "BRL", "R$ 1.234.567,89", "R$ 1,234,567.89"),
        (-5, "USD", "-US$ 0,05", "-US$ 0.05"),
        (100, "CHF", "CHF 1,00", "CHF 1.00"),
    ],
)
def test_money_in_both(cents: int, currency: str, pt: str, en: str) -> None:
    assert format_money(cents, currency) == pt
    assert format_money(cents, currency, "en") == en
