"""Imports of files of every shape: counts add up, wrong rows are named, orders are whole."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import select

from app.commerce.catalog.models import Category, Product, StoreProduct
from app.commerce.customers.models import CustomerAddress
from app.commerce.imports.problems import ImportColumnsMissing
from app.commerce.shipping.models import PostalArea
from app.kernel.contacts.models import Contact
from scripts import import_postal_areas
from scripts.imports.reader import Refused
from tests.conftest import ROOT
from tests.scripts.desk import CUSTOMERS, PEOPLE, PRODUCTS, Desk

CATALOG = (
    "id;nome;categoria;preço;descrição\n"
    "A1;Pão de queijo;padaria;4,50;Mineiro\n"
    "A2;Café;bebidas;1.234,56;\n"
)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("latin-1", "latin-1"), ("utf-16", "utf-16")],
)
async def test_products_of_any_encoding(desk: Desk, encoding: str, shown: str) -> None:
    code, said = await desk.run(PRODUCTS, desk.file("p.csv", CATALOG, encoding))
    assert code == 0, said
    assert f"{shown}, semicolon, 2 rows" in said
    assert "read 2 = created 2 + updated 0 + unchanged 0 + failed 0" in said
    async with desk.world.work() as work:
        bread = await work.session.scalar(select(Product).where(Product.external_ref == "A1"))
        coffee = await work.session.scalar(select(Product).where(Product.external_ref == "A2"))
        categories = set(await work.session.scalars(select(Category.name)))
    assert bread is not None
    assert coffee is not None
    assert (bread.name, bread.slug, bread.description) == (
        "Pão de queijo",
        "pao-de-queijo",
        "Mineiro",
    )
    assert (bread.price_cents, coffee.price_cents) == (450, 123456)
    assert categories == {"Padaria", "Bebidas"}


async def test_a_second_run_changes_nothing_and_a_changed_file_only_what_it_says(
    desk: Desk,
) -> None:
    await desk.run(PRODUCTS, desk.file("p.csv", CATALOG))
    _, said = await desk.run(PRODUCTS, desk.file("p.csv", CATALOG))
    assert "created 0 + updated 0 + unchanged 2 + failed 0" in said
    _, said = await desk.run(PRODUCTS, desk.file("p.csv", "id,price\nA1,5.00\nA2,1234.56\n"))
    assert "created 0 + updated 1 + unchanged 1 + failed 0" in said
    async with desk.world.work() as work:
        bread = await work.session.scalar(select(Product).where(Product.external_ref == "A1"))
    assert bread is not None
    assert (bread.price_cents, bread.name, bread.description) == (500, "Pão de queijo", "Mineiro")


async def test_products_of_one_name_get_slugs_of_their_own(desk: Desk) -> None:
    rows = "id,name,price\n1,Caneca,10\n2,Caneca,12\n3,CANECA,14\n"
    code, _ = await desk.run(PRODUCTS, desk.file("p.csv", rows))
    assert code == 0
    async with desk.world.work() as work:
        slugs = set(await work.session.scalars(select(Product.slug)))
    assert len(slugs) == 3
    assert "caneca" in slugs


async def test_a_product_without_name_or_price_is_switched_off(desk: Desk) -> None:
    rows = (
        "product_id,product_category_name,product_weight_g\nabcdef0123456789,cama_mesa_banho,300\n"
    )
    _, said = await desk.run(PRODUCTS, desk.file("p.csv", rows))
    assert "note: 1 no price known" in said
    async with desk.world.work() as work:
        product = await work.session.scalar(select(Product))
    assert product is not None
    assert product.name == "Cama Mesa Banho abcdef01"
    assert (product.is_active, product.price_cents) == (False, 0)
    assert product.attributes == {"weight_g": 300}


async def test_prices_are_the_median_of_the_items(desk: Desk) -> None:
    items = "order_id,product_id,price\no1,A,10.00\no2,A,99.90\no3,A,12.50\n"
    desk.file("order_items.csv", items)
    _, said = await desk.run(PRODUCTS, desk.file("p.csv", "product_id\nA\n"))
    assert "Using order_items.csv beside p.csv." in said
    async with desk.world.work() as work:
        product = await work.session.scalar(select(Product))
    assert product is not None
    assert (product.price_cents, product.is_active) == (1250, True)


async def test_a_stores_own_prices_leave_the_catalogue_alone(desk: Desk) -> None:
    await desk.run(PRODUCTS, desk.file("p.csv", "id,price\nA,10\n"))
    changed = desk.file("p.csv", "id,price\nA,8\n")
    _, said = await desk.run(PRODUCTS, changed, "--store", "loja")
    assert "updated 1" in said
    _, said = await desk.run(PRODUCTS, changed, "--store", "loja")
    assert "unchanged 1" in said
    async with desk.world.work() as work:
        assert await work.session.scalar(select(Product.price_cents)) == 1000
        assert await work.session.scalar(select(StoreProduct.price_cents)) == 800


WRONG_PRODUCTS = (
    "id,name,price\n"
    "A,Bom,10.00\n"
    ",Sem chave,10.00\n"
    "B,Preço ruim,dez\n"
    "C,Ambíguo,1.234\n"
    "D,Negativo,-1\n"
    "A,Outro nome,10.00\n"
    "E,curta\n"
    "A,Bom,10.00\n"
    '"F","de duas\nlinhas",7\n'
    "G,três decimais,1.005\n"
)


async def test_wrong_rows_are_named_and_the_others_imported(desk: Desk) -> None:
    code, said = await desk.run(PRODUCTS, desk.file("p.csv", WRONG_PRODUCTS))
    assert code == 2
    assert "read 10 = created 2 + updated 0 + unchanged 1 + failed 7" in said
    reasons = {row["line"]: row["reason"] for row in desk.errors()}
    assert reasons.keys() == {"3", "4", "5", "6", "7", "8", "12"}
    assert reasons["3"] == "id is empty"
    assert "'dez' is not an amount" in reasons["4"]
    assert "has 2 cells where the header has 3" in reasons["8"]
    assert "line 2 already, with other facts" in reasons["7"]
    assert await desk.count(Product) == 2


async def test_a_dry_run_writes_nothing(desk: Desk) -> None:
    code, said = await desk.run(PRODUCTS, desk.file("p.csv", CATALOG), "--dry-run")
    assert code == 0
    assert "would be created 2" in said
    assert await desk.count(Product) == 0 == await desk.count(Category)


async def test_a_row_that_the_database_refuses_falls_out_alone(desk: Desk) -> None:
    rows = "".join(f"P{n},{n}.00\n" for n in range(1, 41))
    await desk.run(PRODUCTS, desk.file("p.csv", "id,price\n" + rows))
    async with desk.world.work() as work:
        product = await work.session.scalar(select(Product).where(Product.external_ref == "P7"))
        assert product is not None
        product.compare_at_cents = 900
    rows = "".join(f"P{n},{n}.50\n" for n in range(1, 41)).replace("P7,7.50", "P7,9.50")
    code, said = await desk.run(PRODUCTS, desk.file("p.csv", "id,price\n" + rows))
    assert code == 2
    assert "updated 39 + unchanged 0 + failed 1" in said
    assert desk.errors()[0]["line"] == "8"


async def test_files_that_cannot_be_imported_are_refused(desk: Desk) -> None:
    with pytest.raises(Refused, match="save it as CSV"):
        await desk.run(PRODUCTS, desk.file("p.csv", "PK\x03\x04 spreadsheet"))
    with pytest.raises(Refused, match="empty"):
        await desk.run(PRODUCTS, desk.file("p.csv", ""))
    with pytest.raises(Refused, match="appear twice: id"):
        await desk.run(PRODUCTS, desk.file("p.csv", "id,ID\n1,2\n"))
    with pytest.raises(ImportColumnsMissing, match="Missing: key"):
        await desk.run(PRODUCTS, desk.file("p.csv", "titulo\nx\n"))
    with pytest.raises(Refused, match="No such file"):
        await desk.run(PRODUCTS, desk.folder / "absent.csv")
    assert await desk.count(Product) == 0


async def test_a_mapping_overrules_the_presets(desk: Desk) -> None:
    path = desk.file("p.csv", "ref\ttitulo\tvalor\nX1\tVaso\t39,90\n")
    code, said = await desk.run(PRODUCTS, path, "--mapping", "key=ref", "name=titulo")
    assert code == 0
    assert "utf-8, tab, 1 rows" in said
    async with desk.world.work() as work:
        product = await work.session.scalar(select(Product))
    assert product is not None
    assert (product.external_ref, product.name, product.price_cents) == ("X1", "Vaso", 3990)


async def test_customers_by_key_with_their_addresses(desk: Desk) -> None:
    rows = PEOPLE.replace("c3,u1,Maria Silva,11987654321", "c3,u3,,")
    code, said = await desk.run(CUSTOMERS, desk.file("c.csv", rows))
    assert code == 0, said
    assert "read 3 = created 3" in said
    _, said = await desk.run(CUSTOMERS, desk.file("c.csv", rows))
    assert "created 0 + updated 0 + unchanged 3 + failed 0" in said
    async with desk.world.work() as work:
        people = {c.external_ref: c for c in await work.session.scalars(select(Contact))}
        addresses = {a.postal_code: a for a in await work.session.scalars(select(CustomerAddress))}
    assert people["c1"].phone == "+5511987654321"
    assert people["c2"].name == "Cliente c2"
    assert addresses["20231000"].city == "Rio de Janeiro"
    assert addresses.keys() == {"01310000", "20231000", "05422000"}


async def test_one_phone_is_one_customer(desk: Desk) -> None:
    code, said = await desk.run(CUSTOMERS, desk.file("c.csv", PEOPLE))
    assert code == 2
    assert "created 2 + updated 0 + unchanged 0 + failed 1" in said
    assert "is another customer's" in desk.errors()[0]["reason"]
    assert await desk.count(Contact) == 2


async def test_customers_by_person_gather_addresses(desk: Desk) -> None:
    path = desk.file("c.csv", PEOPLE)
    code, said = await desk.run(CUSTOMERS, path, "--mapping", "key=customer_unique_id")
    assert code == 0, said
    assert "read 3 = created 2 + updated 1 + unchanged 0" in said
    _, said = await desk.run(CUSTOMERS, path, "--mapping", "key=customer_unique_id")
    assert "created 0 + updated 0 + unchanged 3" in said
    assert await desk.count(CustomerAddress) == 3


async def test_a_customer_of_the_storefront_receives_the_key(desk: Desk) -> None:
    async with desk.world.work() as work:
        work.session.add(Contact(name="Maria", phone="+5511987654321"))
    _, said = await desk.run(CUSTOMERS, desk.file("c.csv", PEOPLE.rsplit("c3", 1)[0]))
    assert "created 1 + updated 1" in said
    async with desk.world.work() as work:
        maria = await work.session.scalar(select(Contact).where(Contact.external_ref == "c1"))
    assert maria is not None
    assert maria.source == "storefront"


async def test_wrong_customers(desk: Desk) -> None:
    rows = "id,phone,cep,email\na,123,,\nb,,99,\nc,,,nobody\nd,,,d@example.com\n"
    code, said = await desk.run(CUSTOMERS, desk.file("c.csv", rows))
    assert code == 2
    assert "created 1 + updated 0 + unchanged 0 + failed 3" in said
    assert [row["line"] for row in desk.errors()] == ["2", "3", "4"]


async def test_postal_areas_are_the_median_of_their_points(desk: Desk) -> None:
    rows = (
        "geolocation_zip_code_prefix,geolocation_lat,geolocation_lng,geolocation_city,geolocation_state\n"
        "99001,-28.10,-52.40,passo fundo,rs\n99001,-28.20,-52.50,passo fundo,rs\n"
        "99001,-9.00,-52.50,passo fundo,rs\n99002,45.0,-52.0,passo fundo,rs\n"
    )
    execute = import_postal_areas.execute
    path = desk.file("geo.csv", rows)
    code, said = await desk.run(execute, path, "--dry-run")
    assert "would be created 1" in said
    code, said = await desk.run(execute, path)
    assert code == 2
    assert "created 1 + updated 0 + unchanged 0 + failed 1" in said
    _, said = await desk.run(execute, path)
    assert "created 0 + updated 0 + unchanged 1" in said
    async with desk.world.runtime.database.system_session() as session:
        area = await session.scalar(select(PostalArea).where(PostalArea.prefix == "99001"))
    assert area is not None
    assert (area.latitude, area.longitude, area.city, area.state) == (
        -28.1,
        -52.5,
        "Passo Fundo",
        "RS",
    )


def test_the_command_line(desk: Desk, environment: dict[str, str]) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own program
            [sys.executable, str(ROOT / "scripts" / "import_products.py"), *arguments],
            cwd=desk.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    path = str(desk.file("p.csv", WRONG_PRODUCTS))
    done = command(path, "--tenant", desk.world.tenant.slug)
    assert done.returncode == 2, done.stderr
    assert "failed 7" in done.stdout
    assert (desk.folder / "p.errors.csv").is_file()
    refused = command(path, "--tenant", "nobody")
    assert refused.returncode == 1
    assert refused.stderr.strip() == "There is no tenant 'nobody'."
