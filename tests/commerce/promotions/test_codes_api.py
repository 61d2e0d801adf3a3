"""Generated codes: made in bulk, each used as often as it may be, listed, exported, revoked."""

from __future__ import annotations

import asyncio
import csv
import io
from collections import Counter
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, text

from app.commerce.checkout.prices import price_books
from app.commerce.promotions import codes as module
from app.commerce.promotions.codes import ALPHABET
from app.commerce.promotions.models import Promotion, PromotionCode, PromotionRedemption
from app.commerce.promotions.schemas import CodeFilter
from app.core.pagination import PageRequest
from app.kernel.work import Runtime
from tests.commerce.checkout.test_checkout import footprint
from tests.commerce.checkout.test_concurrency import buyer
from tests.commerce.life.recount import broken
from tests.commerce.promotions.test_promotions_api import BASE, create
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

CHECKOUT = "/api/v1/checkout"
ORDERS = "/api/v1/admin/orders"


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await make_shop(world)
    await shop.product("Calabresa", 5000, stock=1000)
    return shop


async def campaign(owner: httpx.AsyncClient, **fields: Any) -> str:
    """The path of a campaign by codes that takes 5.00 off."""
    made = await create(owner, **{"kind": "fixed", "value": 500, "by_codes": True, **fields})
    assert (made["by_codes"], made["code"]) == (True, None)
    return f"{BASE}/{made['id']}"


async def generate(owner: httpx.AsyncClient, path: str, **fields: Any) -> dict[str, Any]:
    answer = await owner.post(f"{path}/codes", json={"quantity": 3, **fields}, headers=key())
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def codes(owner: httpx.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    answer = await owner.get(f"{path}/codes", params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def buy(
    shopper: httpx.AsyncClient, shop: Shop, *coupons: str, number: int = 1, **fields: Any
) -> httpx.Response:
    body = shop.cart(shop.products[0], customer=buyer(number), coupons=list(coupons), **fields)
    return await shopper.post(CHECKOUT, json=body, headers=key())


async def uses(world: World) -> dict[str, int]:
    """How often each code counts as used, after comparing it with the redemptions."""
    alive = PromotionRedemption.released_at.is_(None)
    by_code = select(PromotionRedemption.code, func.count()).group_by(PromotionRedemption.code)
    async with world.work() as work:
        codes = await work.session.execute(select(PromotionCode.code, PromotionCode.used_count))
        redeemed = await work.session.execute(by_code.where(alive))
        counted, found = dict(codes.all()), dict(redeemed.all())
    assert {code: n for code, n in counted.items() if n} == found
    return counted


async def test_codes_are_unique_legible_and_made_once(
    owner: httpx.AsyncClient, world: World
) -> None:
    path, again = await campaign(owner), key()
    body = {"quantity": 400, "prefix": " feira ", "label": "=Panfletos", "uses_per_code": 2}
    first = await owner.post(f"{path}/codes", json=body, headers=again)
    assert first.status_code == 201, first.text
    assert (await owner.post(f"{path}/codes", json=body, headers=again)).content == first.content
    plain = await generate(owner, path, quantity=1, length=16)
    async with world.work() as work:
        rows = (await work.session.scalars(select(PromotionCode))).all()
    batch = [r for r in rows if str(r.batch_id) == first.json()["batch_id"]]
    assert (len(rows), len(batch), len({r.code for r in rows})) == (401, 400, 401)
    assert {r.usage_limit for r in batch} == {2}
    for row in batch:
        prefix, _, rest = row.code.partition("-")
        assert (prefix, len(rest), set(rest) <= set(ALPHABET)) == ("FEIRA", 8, True)
    assert set(first.json()["sample"]) < {r.code for r in batch}
    assert len(plain["sample"][0]) == 16
    assert not set(ALPHABET) & set("01258ABEILOSUZ"), "what is read as something else, or a word"


async def test_a_code_out_already_is_never_made_again(
    owner: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alphabet of two signs makes collisions certain: among new, old and chosen codes."""
    monkeypatch.setattr(module, "ALPHABET", "CD")
    await create(owner, code="XX-CCCCCCCC")
    path, other = await campaign(owner), await campaign(owner)
    await generate(owner, path, quantity=120, prefix="XX")
    await generate(owner, other, quantity=120, prefix="XX")
    async with world.work() as work:
        found = (await work.session.scalars(select(PromotionCode.code))).all()
    assert (len(found), len(set(found))) == (240, 240)
    assert "XX-CCCCCCCC" not in found
    taken = await owner.post(
        BASE, json={"name": "Outra", "kind": "fixed", "value": 1, "code": found[0]}
    )
    assert (taken.status_code, taken.json()["code"]) == (409, "coupon-code-taken")


async def test_without_a_code_nobody_gets_it(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    path = await campaign(owner)
    await generate(owner, path)
    assert (await buy(shopper, shop)).json()["discount_cents"] == 0
    assert (await buy(shopper, shop)).json()["discount_cents"] == 0, "nor at once"


async def test_a_code_works_once_and_says_so(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop, runtime: Runtime
) -> None:
    path = await campaign(owner)
    code = (await generate(owner, path))["sample"][0]
    assert (await buy(shopper, shop)).status_code == 201
    at_once = price_books(runtime).at_once
    used = await buy(shopper, shop, code.lower())
    assert used.status_code == 201, used.text
    assert used.json()["discounts"][0]["code"] == code
    assert used.json()["discount_cents"] == 500
    assert price_books(runtime).at_once == at_once, "settled under the lock: the long way"
    before = await footprint(shop.world)
    again = await buy(shopper, shop, code, number=2)
    assert (again.status_code, again.json()["code"]) == (409, "coupon-not-applicable")
    assert again.json()["coupons"] == [
        {
            "code": code,
            "reason": "code-used",
            "text": f"O cupom {code} já foi usado.",
            "missing_cents": None,
            "missing_units": None,
        }
    ]
    assert await footprint(shop.world) == before
    listed = (await codes(owner, path, code=code.lower()))[0]
    assert (listed["state"], listed["used_count"]) == ("used", 1)
    assert listed["last_order_id"] == used.json()["id"]
    assert listed["last_order_number"] == used.json()["number"]
    assert await uses(shop.world) == {
        c["code"]: int(c["code"] == code) for c in await codes(owner, path)
    }


async def test_buyers_at_once_share_what_the_codes_give(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    """Thirty buyers, a code for one and a code for five, and the campaign itself for ten."""
    path = await campaign(owner, usage_limit=5)
    single = (await generate(owner, path, quantity=1))["sample"][0]
    five = (await generate(owner, path, quantity=1, uses_per_code=5))["sample"][0]
    answers = await asyncio.gather(
        *(buy(shopper, shop, five if n % 3 else single, number=n) for n in range(30))
    )
    assert set(Counter(a.status_code for a in answers)) == {201, 409}
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"coupon-not-applicable"}
    counted = await uses(shop.world)
    assert counted[single] <= 1
    assert counted[single] + counted[five] == 5, "all that the campaign gives, and no more"
    assert sum(a.status_code == 201 for a in answers) == 5
    async with shop.world.work() as work:
        promotion = (await work.session.scalars(select(Promotion))).one()
    assert (promotion.used_count, promotion.spent_cents) == (5, 2500)
    assert await broken(shop.world) == {}


async def test_one_order_uses_one_code_of_a_campaign(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    first, second = sorted((await generate(owner, await campaign(owner)))["sample"])[:2]
    body = shop.cart(shop.products[0], coupons=[second, first])
    del body["customer"], body["payment"]
    shown = (await shopper.post(f"{CHECKOUT}/preview", json=body)).json()
    assert (shown["discount_cents"], shown["discounts"][0]["code"]) == (500, first)
    assert [(c["code"], c["reason"]) for c in shown["coupons_not_applied"]] == [
        (second, "superseded")
    ]


async def test_a_cancelled_order_gives_its_code_back(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    path = await campaign(owner)
    code = (await generate(owner, path))["sample"][0]
    placed = (await buy(shopper, shop, code)).json()
    assert (await uses(shop.world))[code] == 1
    move = f"{ORDERS}/{placed['id']}/transitions"
    cancel = {"to": "cancelled", "reason": "desistiu"}
    moved = await asyncio.gather(*(owner.post(move, json=cancel, headers=key()) for _ in range(3)))
    assert Counter(a.status_code for a in moved)[200] == 1
    assert (await uses(shop.world))[code] == 0
    assert (await codes(owner, path, code=code))[0]["last_order_id"] is None
    assert (await buy(shopper, shop, code, number=2)).status_code == 201


async def test_an_edited_order_keeps_its_code(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    code = (await generate(owner, await campaign(owner)))["sample"][0]
    placed = (await buy(shopper, shop, code)).json()
    line = (await owner.get(f"{ORDERS}/{placed['id']}")).json()["items"][0]["id"]
    more = {"change": [{"id": line, "quantity": 3}], "reason": "cliente ligou"}
    edited = await owner.patch(f"{ORDERS}/{placed['id']}", json=more)
    assert edited.status_code == 200, edited.text
    assert edited.json()["order"]["discount_cents"] == 500
    assert (await uses(shop.world))[code] == 1
    without = await owner.patch(
        f"{ORDERS}/{placed['id']}", json={"coupons": [], "reason": "cliente ligou"}
    )
    assert without.json()["order"]["discount_cents"] == 0
    assert (await uses(shop.world))[code] == 0


async def test_revoked_codes_work_no_more(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    path = await campaign(owner)
    batch = await generate(owner, path, quantity=4)
    rest = await generate(owner, path, quantity=2)
    used, gone = batch["sample"][:2]
    kept = await buy(shopper, shop, used)
    wrong = await owner.post(f"{path}/codes/revoke", json={"codes": [gone, "NUNCA-VISTO"]})
    assert (wrong.status_code, wrong.json()["missing"]) == (404, ["NUNCA-VISTO"])
    assert Counter(c["state"] for c in await codes(owner, path)) == {"unused": 5, "used": 1}
    one = await owner.post(f"{path}/codes/revoke", json={"codes": [gone.lower()]})
    assert one.json() == {"revoked": 1}
    refused = await buy(shopper, shop, gone, number=2)
    assert refused.json()["coupons"][0]["reason"] == "code-revoked"
    everything = {"batch_id": batch["batch_id"]}
    assert (await owner.post(f"{path}/codes/revoke", json=everything)).json() == {"revoked": 3}
    assert (await owner.post(f"{path}/codes/revoke", json=everything)).json() == {"revoked": 0}
    states = {c["code"]: c["state"] for c in await codes(owner, path)}
    assert Counter(states.values()) == {"revoked": 4, "unused": 2}
    order = (await owner.get(f"{ORDERS}/{kept.json()['id']}")).json()
    assert order["discount_cents"] == 500, "what was ordered stays"
    assert (await buy(shopper, shop, rest["sample"][0], number=3)).status_code == 201
    for body in ({}, {"batch_id": batch["batch_id"], "codes": [gone]}):
        assert (await owner.post(f"{path}/codes/revoke", json=body)).status_code == 422


async def test_a_revocation_and_a_buyer_race(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    path = await campaign(owner)
    for round_ in range(4):
        code = (await generate(owner, path, quantity=1))["sample"][0]
        bought, revoked = await asyncio.gather(
            buy(shopper, shop, code, number=round_),
            owner.post(f"{path}/codes/revoke", json={"codes": [code]}),
        )
        assert revoked.json() == {"revoked": 1}
        listed = (await codes(owner, path, code=code))[0]
        assert (listed["state"], listed["used_count"]) == (
            "revoked",
            int(bought.status_code == 201),
        )
    await uses(shop.world)


async def test_lists_page_filter_and_cost_the_same(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    path = await campaign(owner)
    old = await generate(owner, path, quantity=7, label="Antigos")
    new = await generate(owner, path, quantity=2, uses_per_code=2)
    for code in (old["sample"][0], new["sample"][0]):
        assert (await buy(shopper, shop, code)).status_code == 201
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = (await owner.get(f"{path}/codes", params=params)).json()
        seen += [c["code"] for c in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert (len(seen), len(set(seen))) == (9, 9)
    assert set(seen[:2]) == set(new["sample"]), "newest first"
    assert [c["code"] for c in await codes(owner, path, state="used")] == [old["sample"][0]]
    assert [c["code"] for c in await codes(owner, path, state="partly")] == [new["sample"][0]]
    assert len(await codes(owner, path, state="unused")) == 7
    assert {c["label"] for c in await codes(owner, path, batch_id=old["batch_id"])} == {"Antigos"}

    async def statements(limit: int) -> int:
        heard: list[Any] = []
        async with world.work() as work:
            driver = await work.raw()
            driver.add_query_logger(heard.append)
            service = module.CodeService(work)
            campaign_id = UUID(path.rpartition("/")[2])
            await service.page(campaign_id, CodeFilter(), PageRequest(limit))
            driver.remove_query_logger(heard.append)
        return len(heard)

    assert await statements(1) == await statements(9) == 1, "beside the look at the campaign"


async def test_the_file_has_them_all(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    path = await campaign(owner)
    made = await generate(owner, path, quantity=120, label="=SOMA(A1)", prefix="LU")
    placed = (await buy(shopper, shop, made["sample"][0])).json()
    answer = await owner.get(f"{path}/codes/export")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len({row["code"] for row in rows}) == 120
    assert {row["label"] for row in rows} == {"'=SOMA(A1)"}, "no formula opens in a spreadsheet"
    used = next(row for row in rows if row["code"] == made["sample"][0])
    assert (used["state"], used["used_count"], used["last_order_number"]) == (
        "used",
        "1",
        str(placed["number"]),
    )
    some = await owner.get(f"{path}/codes/export", params={"state": "used"})
    assert len(some.text.splitlines()) == 2


async def test_refusals_change_nothing(
    owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    automatic = f"{BASE}/{(await create(owner))['id']}"
    path = await campaign(owner)
    await generate(owner, path)

    async def refused(client: httpx.AsyncClient, url: str, body: Any) -> tuple[int, str]:
        answer = await client.post(url, json=body, headers=key())
        return answer.status_code, answer.json()["code"]

    wanted = {"quantity": 3}
    assert await refused(owner, f"{automatic}/codes", wanted) == (409, "campaign-not-by-codes")
    assert await refused(outsider, f"{path}/codes", wanted) == (404, "campaign-not-found")
    assert (await outsider.get(f"{path}/codes")).status_code == 404
    assert (await outsider.get(f"{path}/codes/export")).status_code == 404
    stolen = (await codes(owner, path))[0]["code"]
    revoke = f"{path}/codes/revoke"
    assert await refused(outsider, revoke, {"codes": [stolen]}) == (404, "campaign-not-found")
    for wrong in (
        {"quantity": 10_001},
        {"quantity": 1, "length": 7},
        {"quantity": 1, "prefix": "A"},
    ):
        assert (await refused(owner, f"{path}/codes", wrong))[0] == 422
    monkeypatch.setattr(module, "MOST", 5)
    assert await refused(owner, f"{path}/codes", wanted) == (409, "too-many-coupon-codes")
    both = {"name": "Dois", "kind": "fixed", "value": 1, "by_codes": True, "code": "DOIS"}
    assert await refused(owner, BASE, both) == (422, "campaign-invalid")
    everybodys = await owner.patch(path, json={"by_codes": False})
    assert (everybodys.status_code, everybodys.json()["code"]) == (409, "campaign-has-codes")
    async with world.work() as work:
        count = await work.session.scalar(text("SELECT count(*) FROM promotion_codes"))
        kept = await work.session.scalar(
            text("SELECT count(*) FROM promotion_codes WHERE revoked_at IS NULL")
        )
        by_codes = await work.session.scalar(text("SELECT count(*) FROM promotions WHERE by_codes"))
    assert (count, kept, by_codes) == (3, 3, 1)


async def test_a_member_who_may_not_write_may_look(
    owner: httpx.AsyncClient, world: World, anonymous: httpx.AsyncClient
) -> None:
    path = await campaign(owner)
    await generate(owner, path)
    viewer = await world.member("viewer")
    headers = {"X-Tenant": world.tenant.slug, "Authorization": f"Bearer {viewer.token}"}
    assert (await anonymous.get(f"{path}/codes", headers=headers)).status_code == 200
    for way, body in (("codes", {"quantity": 1}), ("codes/revoke", {"codes": ["AB-CD"]})):
        answer = await anonymous.post(f"{path}/{way}", json=body, headers=headers | key())
        assert (answer.status_code, answer.json()["code"]) == (403, "action-not-allowed")
