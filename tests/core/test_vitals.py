"""Whose address a URL is, as the settings know the vendors."""

from __future__ import annotations

import pytest

from app.core.vitals import Vitals

VITALS = Vitals(
    [
        ("https://graph.vendor.example", "whatsapp"),
        ("http://127.0.0.1:8100/telegram/", "telegram"),
        ("http://127.0.0.1:8100", "rest"),
    ]
)


@pytest.mark.parametrize(
    ("url", "vendor"),
    [
        ("https://graph.vendor.example/v1/messages", "whatsapp"),
        ("https://graph.vendor.example", "whatsapp"),
        ("https://graph.vendor.example?x=1", "whatsapp"),
        ("https://graph.vendor.example.evil.example/v1", None),
        ("https://graph.vendor.example@evil.example/v1", None),
        ("https://graph.vendor.example:evil@evil.example/v1", None),
        ("http://127.0.0.1:8100/telegram/bot1/sendMessage", "telegram"),
        ("http://127.0.0.1:8100/telegrams", "rest"),
        ("http://127.0.0.1:81000/telegram/", None),
    ],
)
def test_a_vendor_is_known_by_its_whole_base(url: str, vendor: str | None) -> None:
    assert VITALS.vendor_of(url) == vendor
