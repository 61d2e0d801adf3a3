"""Postal codes end in one form and compare as ranges."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.postal import InvalidCep, cep_in_range, format_cep, normalise_cep

CEPS = st.integers(min_value=1_000_000, max_value=99_999_999).map(lambda number: f"{number:08d}")


@pytest.mark.parametrize("raw", ["01310-100", "01310100", "01.310-100", " 01310-100 ", "01310 100"])
def test_reads_every_written_form(raw: str) -> None:
    assert normalise_cep(raw) == "01310100"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("1310-100", "not-eight-digits"),
        ("013101000", "not-eight-digits"),
        ("0131O-100", "not-eight-digits"),
        ("01310--100", "not-eight-digits"),
        ("\u0660\u0661310-100", "not-eight-digits"),
        ("00000-000", "not-in-use"),
        ("00999-999", "not-in-use"),
    ],
)
def test_refuses_with_a_reason(raw: str, reason: str) -> None:
    with pytest.raises(InvalidCep) as caught:
        normalise_cep(raw)
    assert caught.value.reason == reason


@given(CEPS)
@settings(deadline=None)
def test_writing_and_reading_are_inverse(cep: str) -> None:
    assert len(format_cep(cep)) == 9
    assert normalise_cep(format_cep(cep)) == cep


@given(CEPS, CEPS, CEPS)
@settings(deadline=None)
def test_a_range_holds_what_lies_between_its_ends(cep: str, first: str, last: str) -> None:
    assert cep_in_range(format_cep(cep), first, last) == (int(first) <= int(cep) <= int(last))
    assert cep_in_range(cep, cep, format_cep(cep))
