"""Slugs and search words, and that the database folds as the code does."""

from __future__ import annotations

import pytest

from app.commerce.catalog.rules import SLUG_LENGTH, free_slug, search_words, slugify
from app.core.fold import fold
from tests.factories.commerce import make_shop
from tests.factories.tenants import World


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Pizza Calabresa", "pizza-calabresa"),
        ("Açaí 500 ml — com granola!", "acai-500-ml-com-granola"),
        ("  PÃO de Queijo (½ kg) ", "pao-de-queijo-1-2-kg"),
        ("☕", "item"),
        ("a" * 200, "a" * SLUG_LENGTH),
    ],
)
def test_slug_of_a_name(name: str, slug: str) -> None:
    assert slugify(name) == slug


def test_free_slug_takes_the_first_free_number() -> None:
    assert free_slug("pizza", set()) == "pizza"
    assert free_slug("pizza", {"pizza", "pizza-2", "pizza-4"}) == "pizza-3"
    long = "a" * SLUG_LENGTH
    assert free_slug(long, {long}) == "a" * (SLUG_LENGTH - 2) + "-2"


def test_words_of_a_query_are_folded() -> None:
    assert search_words("Pão 100%_a\\b") == ["pao", "100%_a\\b"]
    assert search_words("  ") == []
    assert len(search_words("a " * 20)) == 8


async def test_the_column_folds_as_the_code_does(world: World) -> None:
    shop = await make_shop(world)
    names = ["AÇAÍ À Moda da Casa", "Pa\u0303o decomposto", "Crème brûlée ½", "Ñandu Über Šiška"]
    for number, name in enumerate(names):
        await shop.product(name, sku=f"SKU-É{number}")
    async with world.work() as work:
        rows = await (await work.raw()).fetch("SELECT name, sku, search_text FROM products")
    assert len(rows) == len(names)
    for row in rows:
        assert row["search_text"] == fold(f"{row['name']} {row['sku']}")
