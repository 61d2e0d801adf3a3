"""PIX from the key to the money: settings, the customer's code, what the staff note."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pytest
import segno
from PIL import Image

from app.commerce.payments.pix import parsed
from app.kernel.work import Runtime
from tests.commerce.payments.cashier import ADMIN, Cashier
from tests.factories.commerce import key
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf, client_of

__all__ = ["client_of"]
SETTINGS = f"{ADMIN}/payments/settings"


async def test_the_customer_gets_a_code_for_exactly_this_order(cashier: Cashier) -> None:
    order = await cashier.order()
    page = await cashier.page(order)
    code = parsed(page["pix"]["copy_paste"])
    assert (code.key, code.amount_cents) == ("123e4567-e12b-12d1-a456-426655440000", 4990)
    assert (code.name, code.city) == ("Pizzaria Bella Massa", "Sao Paulo")
    assert code.txid == page["pix"]["txid"]
    assert code.txid.startswith(f"PED{order['number']}X")
    assert page["is_open"]
    assert page["expires_at"] is not None
    tracked = await cashier.shopper.get(
        f"/api/v1/orders/{order['id']}", params={"token": order["tracking_token"]}
    )
    assert tracked.json()["payment"] == page


async def test_the_images_hold_the_code(cashier: Cashier) -> None:
    order = await cashier.order()
    pix = (await cashier.page(order))["pix"]
    token = {"token": order["tracking_token"]}
    wanted = [
        [bool(cell) for cell in row] for row in segno.make_qr(pix["copy_paste"], error="m").matrix
    ]
    png = await cashier.shopper.get(pix["png_path"], params=token)
    assert png.headers["content-type"] == "image/png"
    image = Image.open(io.BytesIO(png.content)).convert("L")
    edge = len(wanted) + 8  # four modules of quiet zone around
    scale = image.width // edge
    assert image.width == edge * scale
    seen = [
        [image.getpixel(((x + 4) * scale, (y + 4) * scale)) == 0 for x in range(len(wanted))]
        for y in range(len(wanted))
    ]
    assert seen == wanted
    svg = await cashier.shopper.get(pix["svg_path"], params=token)
    assert svg.headers["content-type"].startswith("image/svg+xml")
    assert svg.text.startswith("<svg")
    assert "script" not in svg.text


async def test_a_wrong_token_shows_nothing(cashier: Cashier, outsider: httpx.AsyncClient) -> None:
    order = await cashier.order()
    for path in ("payment", "payment/qr-svg", "payment/qr-png"):
        url = f"/api/v1/orders/{order['id']}/{path}"
        assert (await cashier.shopper.get(url, params={"token": "x" * 43})).status_code == 404
        foreign = await outsider.get(url, params={"token": order["tracking_token"]})
        assert foreign.status_code == 404
    assert (await outsider.get(f"{ADMIN}/orders/{order['id']}/payments")).status_code == 404


async def test_marked_paid_once_with_the_version_that_was_read(cashier: Cashier) -> None:
    order = await cashier.order()
    version = (await cashier.money(order))["version"]
    paid = await cashier.received(order, 4990, {"If-Match": f'"{version}"'})
    assert paid.status_code == 200, paid.text
    [payment] = paid.json()["payments"]
    assert (payment["status"], payment["flag"], paid.json()["due_cents"]) == ("paid", None, 0)
    stale = await cashier.received(order, 4990, {"If-Match": f'"{version}"'})
    assert (stale.status_code, stale.json()["code"]) == (409, "payment-changed")
    again = await cashier.received(order, 4990)
    assert (again.status_code, again.json()["code"]) == (409, "payment-not-open")
    assert (await cashier.payment(order))["received_cents"] == 4990
    assert await cashier.told("commerce.payment_paid") == 1
    page = await cashier.page(order)
    assert (page["is_open"], page["pix"], page["expires_at"]) == (False, None, None)
    late = await cashier.shopper.get(
        f"/api/v1/orders/{order['id']}/payment/qr-svg", params={"token": order["tracking_token"]}
    )
    assert (late.status_code, late.json()["code"]) == (409, "payment-not-pix")


async def test_the_same_key_marks_once(cashier: Cashier) -> None:
    order, once = await cashier.order(), key()
    answers = [await cashier.received(order, 2000, once) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert (await cashier.payment(order))["received_cents"] == 2000


async def test_less_stays_open_and_flagged_and_the_rest_completes_it(cashier: Cashier) -> None:
    order = await cashier.order()
    short = (await cashier.received(order, 4000)).json()
    assert short["payments"][0]["status"] == "pending"
    assert (short["payments"][0]["flag"], short["due_cents"]) == ("short", 990)
    assert await cashier.told("commerce.payment_flagged") == 1
    assert await cashier.told("commerce.payment_paid") == 0
    pix = (await cashier.page(order))["pix"]
    assert parsed(pix["copy_paste"]).amount_cents == 990, "the next code asks for the rest"
    done = (await cashier.received(order, 990)).json()["payments"][0]
    assert (done["status"], done["flag"], done["received_cents"]) == ("paid", None, 4990)


async def test_more_is_paid_flagged_and_can_go_back(cashier: Cashier) -> None:
    order = await cashier.order()
    over = (await cashier.received(order, 6000)).json()
    assert (over["payments"][0]["status"], over["payments"][0]["flag"]) == ("paid", "over")
    assert over["excess_cents"] == 1010
    assert (await cashier.refund(order, 6001)).json()["code"] == "nothing-to-refund"
    assert await cashier.refunds(order) == []
    back = (await cashier.refund(order, 1010)).json()
    assert (back["excess_cents"], back["refunds"][0]["status"]) == (0, "pending")
    settled = f"{ADMIN}/payments/refunds/{back['refunds'][0]['id']}/settled"
    assert (await cashier.owner.post(settled, headers=key())).json()["status"] == "done"
    twice = await cashier.owner.post(settled, headers=key())
    assert (twice.status_code, twice.json()["code"]) == (409, "refund-not-manual")
    assert await cashier.told("commerce.refund_done") == 1


async def test_cancelling_a_paid_order_asks_for_its_money_back(cashier: Cashier) -> None:
    order = await cashier.order()
    await cashier.received(order, 4990)
    assert (await cashier.cancel(order)).status_code == 200
    assert await cashier.refunds(order) == [(4990, "pending")]
    assert await cashier.told("commerce.refund_due") == 1
    [refund] = (await cashier.money(order))["refunds"]
    path = f"{ADMIN}/payments/refunds/{refund['id']}/settled"
    assert (await cashier.owner.post(path, headers=key())).status_code == 200
    assert (await cashier.payment(order))["status"] == "refunded"
    shown = await cashier.owner.get(f"{ADMIN}/orders/{order['id']}")
    assert shown.json()["refunds"][0]["status"] == "done"


async def test_cash_wants_a_note_that_is_enough(cashier: Cashier) -> None:
    cart = cashier.shop.cart(
        cashier.shop.products[0], payment={"method": "cash", "change_for_cents": 4989}
    )
    refused = await cashier.shopper.post("/api/v1/checkout", json=cart, headers=key())
    assert (refused.status_code, refused.json()["code"]) == (422, "change-too-small")
    assert await cashier.rows() == (0, 0)
    order = await cashier.order("cash", change_for_cents=5000)
    assert (await cashier.payment(order))["change_for_cents"] == 5000
    not_taken = cashier.shop.cart(cashier.shop.products[0], payment={"method": "card_on_delivery"})
    answer = await cashier.shopper.post("/api/v1/checkout", json=not_taken, headers=key())
    assert answer.json()["code"] == "payment-method-not-accepted"


async def test_settings_are_the_owners_and_audited(
    cashier: Cashier, world: World, client_of: ClientOf
) -> None:
    before = (await cashier.owner.get(SETTINGS)).json()
    for role in ("admin", "manager", "agent"):
        client = await client_of(world, await world.member(role))
        refused = await client.put(SETTINGS, json=before | {"pix_key": "x@y.example"})
        assert refused.status_code == 403, role
    for change in (
        {"pix_key": "123", "pix_key_type": "cpf"},
        {"merchant_name": "日本"},
        {"merchant_city": None},
        {"pix_key_type": None},
        {"unpaid_minutes": 4},
    ):
        refused = await cashier.owner.put(SETTINGS, json=before | change)
        assert refused.status_code == 422, change
    assert (await cashier.owner.get(SETTINGS)).json() == before
    nothing: dict[str, Any] = dict.fromkeys(before)
    assert (await cashier.owner.put(SETTINGS, json=nothing)).json() == nothing
    assert await cashier.told("payment_settings.put") == 2
    order = await cashier.order()
    assert (await cashier.page(order))["pix"] is None
    image = await cashier.shopper.get(
        f"/api/v1/orders/{order['id']}/payment/qr-png", params={"token": order["tracking_token"]}
    )
    assert image.json()["code"] == "pix-not-configured"


@pytest.mark.parametrize("path", ["received", "refunds"])
async def test_money_needs_its_grant(
    cashier: Cashier, world: World, client_of: ClientOf, runtime: Runtime, path: str
) -> None:
    order = await cashier.order()
    payment = await cashier.payment(order)
    client = await client_of(world, await world.member("agent"))
    body = {"received_cents": 4990} if path == "received" else {"reason": "engano"}
    url = f"{ADMIN}/orders/{order['id']}/payments/{payment['id']}/{path}"
    assert (await client.post(url, json=body, headers=key())).status_code == 403
    assert await cashier.payment(order) == payment
