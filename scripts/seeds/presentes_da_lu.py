"""Presentes da Lu: a gift shop in Pinheiros with counted stock and office hours."""

from __future__ import annotations

from scripts.seeds.blueprint import Blueprint, Extras, Item, Offer, Person, Rule, Shop

WRAP = ("Embalagem para presente",)

PINHEIROS = Shop(
    name="Presentes da Lu",
    slug="pinheiros",
    phone="+551130624410",
    address={
        "street": "Rua dos Pinheiros",
        "number": "498",
        "district": "Pinheiros",
        "city": "São Paulo",
        "state": "SP",
        "postal_code": "05422000",
    },
    latitude=-23.5657,
    longitude=-46.6824,
    hours=(*((day, "09:00", "19:00") for day in range(5)), (5, "10:00", "16:00")),
    exceptions=(("2026-12-24", (("09:00", "15:00"),)), ("2026-12-25", ())),
    rules=(
        Rule(fee_cents=900, minutes=40, kilometres=3),
        Rule(fee_cents=1500, minutes=60, kilometres=8),
        Rule(fee_cents=2500, minutes=90, kilometres=15),
    ),
    min_order_cents=2000,
    free_shipping_above_cents=25000,
    preparation_minutes=20,
)

MENU: dict[str, tuple[Item, ...]] = {
    "Canecas e copos": (
        Item("Caneca de cerâmica azul", "Esmaltada à mão, 300 ml.", 4990, extras=WRAP, stock=40),
        Item("Caneca Melhor Mãe", "Porcelana branca, 325 ml.", 3990, extras=WRAP, stock=60),
        Item(
            "Copo térmico 473 ml",
            "Aço inox, mantém quente por 6 horas.",
            8990,
            extras=WRAP,
            stock=35,
        ),
        Item(
            "Jogo de taças",
            "Quatro taças de vidro, 400 ml.",
            12990,
            extras=WRAP,
            stock=18,
            compare_at_cents=14990,
        ),
    ),
    "Velas e aromas": (
        Item(
            "Vela de lavanda",
            "Cera de soja, 180 g, 40 horas.",
            5990,
            extras=WRAP,
            tags=("vegano",),
            stock=50,
        ),
        Item(
            "Vela de capim-limão",
            "Cera de soja, 180 g, 40 horas.",
            5990,
            extras=WRAP,
            tags=("vegano",),
            stock=50,
        ),
        Item("Difusor de bambu", "250 ml, com varetas.", 7990, extras=WRAP, stock=30),
        Item("Sachê perfumado", "Trio de algodão para gavetas.", 2990, extras=WRAP, stock=80),
    ),
    "Papelaria": (
        Item("Caderno pontilhado A5", "160 páginas, capa de linho.", 4590, extras=WRAP, stock=70),
        Item("Planner semanal", "52 semanas sem data.", 6990, extras=WRAP, stock=45),
        Item("Kit de canetas pastel", "Seis cores, ponta de 0,5 mm.", 3490, extras=WRAP, stock=90),
        Item("Cartão artesanal", "Papel semente, com envelope.", 1290, stock=200),
    ),
    "Casa e decoração": (
        Item("Vaso de cimento", "Mini vaso de 9 cm com suculenta.", 3990, extras=WRAP, stock=40),
        Item("Porta-retrato de madeira", "Para fotos 10 x 15 cm.", 4490, extras=WRAP, stock=38),
        Item("Manta de tricô", "1,20 x 1,50 m, algodão.", 18990, extras=WRAP, stock=12),
        Item("Almofada bordada", "45 x 45 cm, com enchimento.", 8990, extras=WRAP, stock=22),
    ),
    "Cestas e doces": (
        Item("Cesta café da manhã", "Pães, geleia, frutas, suco e flores.", 15990, stock=10),
        Item("Caixa de brigadeiros", "Doze sabores da casa.", 4990, stock=30),
        Item(
            "Trio de geleias",
            "Morango, figo e laranja.",
            5490,
            extras=WRAP,
            tags=("vegano",),
            stock=33,
        ),
        Item("Chá de ervas", "Lata com 15 sachês.", 3290, extras=WRAP, tags=("vegano",), stock=48),
    ),
}

PRESENTES_DA_LU = Blueprint(
    slug="presentes-da-lu",
    name="Presentes da Lu",
    people=(
        Person("dono@presentes-da-lu.example", "Luciana Amaral", "owner"),
        Person("atendimento@presentes-da-lu.example", "Bianca Torres", "agent"),
        Person("consulta@presentes-da-lu.example", "Otávio Reis", "viewer"),
    ),
    shops=(PINHEIROS,),
    extras=(
        Extras(
            "Embalagem para presente",
            2,
            (("Papel kraft com fita", 490), ("Caixa rígida", 1490), ("Cartão escrito à mão", 690)),
        ),
    ),
    menu=MENU,
    offers=(
        Offer(
            "10% na primeira compra",
            "first_order",
            1000,
            code="PRIMEIRA10",
            per_customer_limit=1,
        ),
        Offer(
            "Semana das velas",
            "percent",
            2000,
            code="VELAS20",
            categories=("Velas e aromas",),
            usage_limit=200,
        ),
    ),
    connections={
        "whatsapp": (
            {"phone_number_id": "100000000000002"},
            {"access_token": "sandbox-presentes-da-lu-token"},
        ),
        "telegram": (
            {"chat_id": "-1001000000002"},
            {"bot_token": "1000000002:sandbox-presentes-da-lu"},
        ),
    },
)
