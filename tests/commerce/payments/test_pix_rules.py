"""The BR Code: the Central Bank's own examples, every code read back, any damage noticed."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.commerce.payments.pix import (
    InvalidBrCode,
    InvalidPixKey,
    KeyType,
    PixCode,
    br_code,
    crc16,
    folded,
    normalised_key,
    parsed,
)

EVP = "123e4567-e12b-12d1-a456-426655440000"
# "Manual de Padrões para Iniciação do Pix" (Banco Central), static and dynamic example.
STATIC = (
    "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-4266554400005204000053039865802BR"
    "5913Fulano de Tal6008BRASILIA62070503***63041D3D"
)
DYNAMIC = (
    "00020101021226700014br.gov.bcb.pix2548pix.example.com/8b3da2f39a4140d1a91abd93113bd441"
    "5204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***630464E4"
)


def test_the_official_static_example_is_made_byte_for_byte() -> None:
    assert br_code(PixCode(EVP, "Fulano de Tal", "BRASILIA", None, "***")) == STATIC
    assert parsed(STATIC) == PixCode(EVP, "Fulano de Tal", "BRASILIA", None, "***")


def test_the_check_sum_is_that_of_the_official_examples() -> None:
    assert crc16("123456789") == "29B1"  # the catalogue's check value of CRC-16/CCITT-FALSE
    for example in (STATIC, DYNAMIC):
        assert crc16(example[:-4]) == example[-4:]


def test_names_are_folded_and_cut() -> None:
    code = parsed(br_code(PixCode(EVP, "Açaí & Cia. — Ribeirão Preto Ltda", "São José dos Campos",
                                  1, "A1")))  # fmt: skip
    assert code == PixCode(EVP, "Acai Cia. Ribeirao Preto", "Sao Jose dos Ca", 1, "A1")
    assert folded("日本", 25) == ""


TEXT = st.text(min_size=1, max_size=60)
CODES = st.builds(
    PixCode,
    key=st.sampled_from([EVP, "12345678909", "11222333000181", "+5511987654321", "a@b.example"]),
    name=TEXT,
    city=TEXT,
    amount_cents=st.none() | st.integers(1, 9_999_999_999),
    txid=st.text(string.ascii_letters + string.digits, min_size=1, max_size=25),
)


@given(CODES)
def test_every_code_reads_back(code: PixCode) -> None:
    name, city = folded(code.name, 25), folded(code.city, 15)
    if not name or not city:
        with pytest.raises(ValueError, match="keep a letter"):
            br_code(code)
        return
    text = br_code(code)
    assert text.isascii()
    assert len(name) <= 25
    assert len(city) <= 15
    assert parsed(text) == PixCode(code.key, name, city, code.amount_cents, code.txid)


@given(CODES, st.data())
def test_any_one_changed_character_is_noticed(code: PixCode, data: st.DataObject) -> None:
    text = br_code(PixCode(code.key, "Loja", "Recife", code.amount_cents, code.txid))
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(sorted(set(string.printable[:94]) - {text[place]})))
    with pytest.raises(InvalidBrCode):
        parsed(text[:place] + other + text[place + 1 :])


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(InvalidBrCode):
        parsed(text)


@pytest.mark.parametrize(
    ("kind", "given_key", "kept"),
    [
        ("cpf", "123.456.789-09", "12345678909"),
        ("cnpj", "11.222.333/0001-81", "11222333000181"),
        ("cnpj", "12.ABC.345/01DE-35", "12ABC34501DE35"),  # the example of the Receita Federal
        ("phone", "(11) 98765-4321", "+5511987654321"),
        ("phone", "+55 11 98765-4321", "+5511987654321"),
        ("email", " Caixa@Loja.example ", "caixa@loja.example"),
        ("evp", EVP.upper(), EVP),
    ],
)
def test_keys_are_kept_as_the_directory_has_them(kind: str, given_key: str, kept: str) -> None:
    assert normalised_key(KeyType(kind), given_key) == kept


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("cpf", "123.456.789-08"), ("cpf", "111.111.111-11"), ("cpf", "1234567890"),
        ("cnpj", "11.222.333/0001-80"), ("cnpj", "12.ABC.345/01DE-34"), ("cnpj", "1" * 14),
        ("phone", "11 8765-432"), ("phone", "+1 212 555 0100"), ("phone", "(01) 98765-4321"),
        ("email", "caixa@"), ("email", "josé@loja.example"), ("email", f"{'a' * 70}@loja.example"),
        ("evp", "123e4567"), ("evp", EVP[:-1] + "g"),
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused(kind: str, text: str) -> None:
    with pytest.raises(InvalidPixKey):
        normalised_key(KeyType(kind), text)


@pytest.mark.parametrize("cents", [0, -1, 10_000_000_000])
def test_impossible_amounts_are_refused(cents: int) -> None:
    with pytest.raises(ValueError, match="amount"):
        br_code(PixCode(EVP, "Loja", "Recife", cents, "A"))
