"""Bella Massa: a pizzeria with two stores in São Paulo; Vila Madalena never closes."""

from __future__ import annotations

from scripts.seeds.blueprint import Blueprint, Extras, Item, Offer, Person, Rule, Shop

SALGADAS, DOCES = "Pizzas salgadas", "Pizzas doces"
EVERY_DAY = range(7)
PIZZA = ("Borda recheada", "Adicionais", "Ponto da massa")


def pizza(name: str, description: str, media: int, grande: int, familia: int, *tags: str) -> Item:
    sizes = (
        ("Média (6 fatias)", media),
        ("Grande (8 fatias)", grande),
        ("Família (12 fatias)", familia),
    )
    return Item(name, description, media, sizes=sizes, extras=PIZZA, tags=tags)


TIERS = (
    Rule(fee_cents=590, minutes=15, kilometres=2),
    Rule(fee_cents=890, minutes=25, kilometres=5),
    Rule(fee_cents=1290, minutes=35, kilometres=8),
    Rule(fee_cents=1790, minutes=50, kilometres=12),
)

VILA_MADALENA = Shop(
    name="Bella Massa Vila Madalena",
    slug="vila-madalena",
    phone="+551138151220",
    address={
        "street": "Rua Aspicuelta",
        "number": "345",
        "district": "Vila Madalena",
        "city": "São Paulo",
        "state": "SP",
        "postal_code": "05433010",
    },
    latitude=-23.5563,
    longitude=-46.6888,
    # Around the clock, so that a first order works at whatever hour it is tried.
    hours=tuple((day, "00:00", "00:00") for day in EVERY_DAY),
    rules=(Rule(fee_cents=490, minutes=15, ceps=("05433000", "05436999")), *TIERS),
    min_order_cents=3000,
    free_shipping_above_cents=18000,
    preparation_minutes=30,
)

MOEMA = Shop(
    name="Bella Massa Moema",
    slug="moema",
    phone="+551150517788",
    address={
        "street": "Alameda dos Arapanés",
        "number": "982",
        "complement": "Loja 1",
        "district": "Moema",
        "city": "São Paulo",
        "state": "SP",
        "postal_code": "04524001",
    },
    latitude=-23.6018,
    longitude=-46.6663,
    hours=tuple((day, "18:00", "01:00" if day in (4, 5) else "23:30") for day in EVERY_DAY),
    exceptions=(("2026-12-25", ()), ("2026-12-31", (("18:00", "22:00"),))),
    rules=TIERS,
    min_order_cents=3500,
    free_shipping_above_cents=20000,
    preparation_minutes=35,
)

MENU: dict[str, tuple[Item, ...]] = {
    "Entradas": (
        Item(
            "Pão de alho da casa",
            "Seis unidades no forno a lenha, com creme de alho e parmesão.",
            2490,
        ),
        Item(
            "Bruschetta de tomate",
            "Pão italiano, tomate, manjericão e azeite. Quatro unidades.",
            2890,
            tags=("vegetariano",),
        ),
        Item(
            "Burrata com pesto",
            "Burrata cremosa, pesto de manjericão e tomates confitados.",
            5490,
            tags=("vegetariano",),
        ),
        Item("Bolinho de calabresa", "Dez unidades com geleia de pimenta.", 3290),
    ),
    SALGADAS: (
        pizza(
            "Margherita",
            "Molho de tomate, muçarela, tomate fresco e manjericão.",
            4990,
            6490,
            8490,
            "vegetariano",
        ),
        pizza("Calabresa", "Calabresa fatiada, cebola roxa e azeitonas pretas.", 4790, 6290, 8290),
        pizza(
            "Portuguesa", "Presunto, ovo, cebola, ervilha, palmito e muçarela.", 5390, 6990, 8990
        ),
        pizza(
            "Quatro queijos",
            "Muçarela, gorgonzola, parmesão e catupiry.",
            5590,
            7190,
            9290,
            "vegetariano",
        ),
        pizza(
            "Frango com catupiry",
            "Frango desfiado temperado e catupiry original.",
            5290,
            6890,
            8890,
        ),
        pizza("Pepperoni", "Pepperoni, muçarela e orégano.", 5690, 7390, 9490),
        pizza("Bella Massa", "Muçarela de búfala, rúcula, tomate seco e parma.", 6490, 8290, 10690),
        pizza(
            "Abobrinha e brie",
            "Abobrinha grelhada, brie, mel e nozes.",
            5990,
            7690,
            9890,
            "vegetariano",
        ),
        pizza(
            "Vegana da horta",
            "Molho de tomate, legumes assados e queijo de castanha.",
            5890,
            7590,
            9790,
            "vegano",
        ),
        pizza("Atum", "Atum sólido, cebola e azeitonas.", 5390, 6990, 8990),
    ),
    DOCES: (
        pizza(
            "Chocolate com morango",
            "Chocolate ao leite e morangos frescos.",
            4690,
            5990,
            7890,
            "vegetariano",
        ),
        pizza(
            "Banana com canela",
            "Banana, açúcar, canela e leite condensado.",
            4290,
            5590,
            7390,
            "vegetariano",
        ),
        pizza(
            "Romeu e Julieta", "Goiabada cascão e queijo minas.", 4490, 5790, 7590, "vegetariano"
        ),
        pizza("Prestígio", "Chocolate e coco ralado.", 4590, 5890, 7690, "vegetariano"),
    ),
    "Bebidas": (
        Item("Coca-Cola 2 L", "Garrafa gelada.", 1490, stock=120),
        Item("Coca-Cola Zero lata", "350 ml.", 690, stock=240),
        Item("Guaraná Antarctica 2 L", "Garrafa gelada.", 1290, stock=120),
        Item("Água com gás", "500 ml.", 490, stock=200),
        Item(
            "Suco de uva integral",
            "Garrafa de 1 litro, sem açúcar.",
            2190,
            tags=("vegano",),
            stock=60,
        ),
        Item(
            "Cerveja Heineken long neck",
            "330 ml. Venda proibida para menores de 18 anos.",
            1190,
            stock=180,
        ),
        Item(
            "Vinho tinto da casa",
            "Garrafa de 750 ml. Venda proibida para menores de 18 anos.",
            6990,
            stock=36,
        ),
    ),
}

BELLA_MASSA = Blueprint(
    slug="bella-massa",
    name="Bella Massa Pizzaria",
    people=(
        Person("dono@bellamassa.example", "Marco Bellini", "owner"),
        Person("atendimento@bellamassa.example", "Juliana Prado", "agent"),
        Person("consulta@bellamassa.example", "Renato Lopes", "viewer"),
    ),
    shops=(VILA_MADALENA, MOEMA),
    extras=(
        Extras("Borda recheada", 1, (("Catupiry", 990), ("Cheddar", 890), ("Chocolate", 1090))),
        Extras(
            "Adicionais",
            5,
            (
                ("Muçarela extra", 790),
                ("Bacon", 890),
                ("Azeitona preta", 390),
                ("Cebola roxa", 290),
                ("Rúcula", 490),
                ("Tomate seco", 690),
            ),
        ),
        Extras(
            "Ponto da massa", 1, (("Tradicional", 0), ("Bem assada", 0), ("Fina e crocante", 0))
        ),
    ),
    menu=MENU,
    offers=(
        Offer(
            "Boas-vindas: 10% no primeiro pedido",
            "first_order",
            1000,
            code="BEMVINDO10",
            max_discount_cents=3000,
            per_customer_limit=1,
        ),
        Offer(
            "15% nas pizzas salgadas",
            "percent",
            1500,
            code="PIZZA15",
            categories=(SALGADAS,),
            min_subtotal_cents=8000,
            max_discount_cents=4000,
            usage_limit=1000,
        ),
        Offer(
            "Frete grátis acima de R$ 90",
            "free_shipping",
            code="FRETEGRATIS",
            min_subtotal_cents=9000,
            per_customer_limit=3,
        ),
        Offer(
            "Terça da pizza: 10% nas salgadas",
            "percent",
            1000,
            categories=(SALGADAS,),
            weekdays=(1,),
        ),
    ),
    connections={
        "whatsapp": (
            {"phone_number_id": "100000000000001"},
            {"access_token": "sandbox-bella-massa-token"},
        ),
        "telegram": (
            {"chat_id": "-1001000000001"},
            {"bot_token": "1000000001:sandbox-bella-massa"},
        ),
    },
)
