"""Telephone numbers as people write them end in one form."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.phone import InvalidPhone, normalise_phone, phone_from_wa_id, phone_match_keys

# Area codes in use differ from 11..99; these are some of them, one of each decade.
AREA_CODES = st.sampled_from(["11", "21", "31", "47", "51", "55", "62", "71", "81", "85", "92"])
OLD_SUBSCRIBERS = st.from_regex(r"[689][0-9]{7}", fullmatch=True)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("(11) 98765-4321", "+5511987654321"),
        ("11987654321", "+5511987654321"),
        ("011 8765-4321", "+5511987654321"),
        ("(11) 8765.4321", "+5511987654321"),
        ("+55 11 98765-4321", "+5511987654321"),
        ("+55 (11) 8765-4321", "+5511987654321"),
        ("005511987654321", "+5511987654321"),
        ("00 55 11 8765 4321", "+5511987654321"),
        ("5511987654321", "+5511987654321"),
        ("551187654321", "+5511987654321"),
        ("(+55) 11 98765-4321", "+5511987654321"),
        ("0 15 11 98765-4321", "+5511987654321"),
        ("\u202a+55 11 98765\u20114321\u202c", "+5511987654321"),
        ("\uff11\uff11 98765-4321", "+5511987654321"),
        ("(11) 3456-7890", "+551134567890"),
        ("(55) 99999-1234", "+5555999991234"),
        ("5599991234", "+5555999991234"),
        ("(55) 3222-1234", "+555532221234"),
        ("0800 729 0722", "+558007290722"),
        ("+1 415 555 2671", "+14155552671"),
        ("+351 912 345 678", "+351912345678"),
    ],
)
def test_reads_what_people_write(raw: str, expected: str) -> None:
    assert normalise_phone(raw) == expected


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        (" \u200e ", "empty"),
        ("abc", "not-a-number"),
        ("11 CALL-NOW", "not-a-number"),
        ("11 98765-4321 ramal 3", "not-a-number"),
        ("+", "not-a-number"),
        ("11+98765-4321", "not-a-number"),
        ("++5511987654321", "not-a-number"),
        ("98765-4321", "missing-area-code"),
        ("8765-4321", "missing-area-code"),
        ("3456-7890", "missing-area-code"),
        ("(11) 9876-543", "not-in-use"),
        ("12", "too-short"),
        ("+55 11 9876", "too-short"),
        ("1" * 41, "too-long"),
        ("+55 11 98765-4321 999999", "too-long"),
        ("+999 123456789", "not-in-use"),
        ("(11) 1234-5678", "not-in-use"),
        ("(20) 98765-4321", "not-in-use"),
        ("11 88765-43219", "too-long"),
    ],
)
def test_refuses_with_a_reason(raw: str, reason: str) -> None:
    with pytest.raises(InvalidPhone) as caught:
        normalise_phone(raw)
    assert caught.value.reason == reason


def test_another_region_reads_its_own_numbers() -> None:
    assert normalise_phone("(415) 555-2671", region="US") == "+14155552671"


def test_a_foreign_whatsapp_id_is_read_as_international() -> None:
    assert phone_from_wa_id("14155552671") == "+14155552671"
    assert phone_from_wa_id("554799998888") == "+5547999998888"


@given(AREA_CODES, OLD_SUBSCRIBERS)
@settings(max_examples=100, deadline=None)
def test_old_and_new_mobile_numbers_meet(area: str, subscriber: str) -> None:
    new = f"+55{area}9{subscriber}"
    old = f"+55{area}{subscriber}"
    assert normalise_phone(old) == new
    assert normalise_phone(new) == new
    assert normalise_phone(new[1:]) == new
    assert phone_match_keys(new) == phone_match_keys(old) == (new, old)


@given(st.text(alphabet="0123456789+ ()-.", max_size=20))
@settings(max_examples=200, deadline=None)
def test_what_is_accepted_stays_as_it_is(raw: str) -> None:
    try:
        phone = normalise_phone(raw)
    except InvalidPhone:
        return
    assert phone.startswith("+")
    assert phone[1:].isdigit()
    assert len(phone) <= 16
    assert normalise_phone(phone) == phone


@pytest.mark.parametrize("e164", ["+551134567890", "+5511951234567", "+14155552671"])
def test_numbers_without_a_twin_match_only_themselves(e164: str) -> None:
    assert phone_match_keys(e164) == (e164,)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(11, 99),
    st.from_regex(r"9[0-9]{8}", fullmatch=True),
    st.sampled_from(["{0}{1}", "({0}) {2}-{3}", "{0} {2}-{3}", "+55{0}{1}", "+55 {0} {2}-{3}"]),
)
def test_the_short_way_for_usual_numbers_decides_as_the_long_one(
    area: int, subscriber: str, form: str
) -> None:
    """A no-break space at the end keeps a number off the short way and changes nothing else."""
    written = form.format(area, subscriber, subscriber[:5], subscriber[5:])

    def decided(raw: str) -> str:
        try:
            return normalise_phone(raw)
        except InvalidPhone as refused:
            return refused.reason

    assert decided(written) == decided(written + "\u00a0")
