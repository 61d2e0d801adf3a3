"""What whoever comes too late is told, and how soon: one product, a hundred of it, many buyers."""

from __future__ import annotations

import asyncio

import asyncpg

from scripts.benchmarks import data, pg
from scripts.benchmarks.contests import (
    BUYERS,
    Bench,
    Outcome,
    limit,
    make_shops,
    product,
    turn,
    warm_up,
)
from scripts.benchmarks.report import Series

LEFT = 100
LOSER_GATE_MS = 100.0
"""spec/commerce §10: losers are answered within it, and wait in no queue of locks."""


async def leave(url: str, shop: data.Shop, left: int) -> None:
    """Let so many be left of the shop's first product."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await connection.execute(
            "UPDATE stock_levels SET on_hand = $2 WHERE item_id = $1", shop.products[0], left
        )
    finally:
        await connection.close()


def sold_out(bench: Bench) -> Outcome:
    """POST /checkout of the last hundred of something, asked for again and again."""
    print("\nSold out", flush=True)
    make_shops(bench)
    shop = bench.shops[-1]
    server = product(bench)
    other = data.Shop(shop.slug, shop.products[1:])
    warm_up(bench.target(server, data.checkouts([other], 50), BUYERS), 1.0)
    url = pg.database_url(bench.maintenance_url, pg.OURS)
    asyncio.run(leave(url, shop, LEFT))
    wanted = data.Shop(shop.slug, shop.products[:1])
    mine = Series("sold out: POST /api/v1/checkout")
    mine.rounds.append(turn(bench, bench.target(server, data.checkouts([wanted], 200), BUYERS)))
    bench.stop_servers()
    answers = mine.rounds[0].answers
    wrong = abs(answers.statuses.get("201", 0) - LEFT)
    wrong += sum(n for status, n in answers.statuses.items() if status not in ("201", "409"))
    return Outcome(
        [mine],
        [
            limit("sold out: p99 of 16 at once", answers.p99_ms, LOSER_GATE_MS, " ms"),
            limit("sold out: answers but 100 orders and 409", wrong, 0.0, ""),
        ],
    )
