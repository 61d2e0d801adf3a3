"""Images and videos of a product: order, alternative text, thumbnails, and what is refused."""

from __future__ import annotations

from typing import Any

import httpx

from tests.commerce.catalog.storefront import ADMIN, by_id, read_menu
from tests.factories.commerce import Shop, key
from tests.factories.images import image

FILES = "/api/v1/admin/files"
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41" + b"\x04" * 300
WEBM = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm" + b"\x05" * 300
PDF = b"%PDF-1.7\n" + b"x" * 200


async def send(owner: httpx.AsyncClient, name: str, content: bytes, kind: str) -> dict[str, Any]:
    answer = await owner.post(FILES, files={"file": (name, content, kind)})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_images_and_videos_are_shown_in_order_with_text_and_thumbnails(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    cover = await send(owner, "a.png", image(color=(1, 9, 9)), "image/png")
    slice_ = await send(owner, "b.png", image(color=(2, 9, 9)), "image/png")
    oven = await send(owner, "forno.mp4", MP4, "video/mp4")
    table = await send(owner, "mesa.webm", WEBM, "video/webm")
    body = {
        "category_id": str(shop.category_id),
        "name": "Pizza",
        "price_cents": 4990,
        "image_file_ids": [slice_["id"], cover["id"]],
        "video_file_ids": [table["id"], oven["id"]],
        "media_alts": {cover["id"]: "Pizza inteira vista de cima", oven["id"]: "Forno a lenha"},
    }
    made = (await owner.post(f"{ADMIN}/products", json=body, headers=key())).json()
    assert [m["id"] for m in made["images"]] == body["image_file_ids"]
    assert [m["id"] for m in made["videos"]] == body["video_file_ids"]
    assert made["images"][1]["thumbnails"] == cover["thumbnails"]
    assert made["media_alts"] == body["media_alts"]

    [shown] = by_id(await read_menu(shopper)).values()
    assert shown["images"] == [slice_["url"], cover["url"]]
    assert [(m["kind"], m["url"], m["alt"]) for m in shown["media"]] == [
        ("image", slice_["url"], ""),
        ("image", cover["url"], "Pizza inteira vista de cima"),
        ("video", table["url"], ""),
        ("video", oven["url"], "Forno a lenha"),
    ]
    assert shown["media"][1]["thumbnails"] == cover["thumbnails"]
    assert shown["media"][2]["thumbnails"] == {}
    for url in (*cover["thumbnails"].values(), oven["url"]):
        assert (await shopper.get(url)).status_code == 200

    url = f"{ADMIN}/products/{made['id']}"
    changed = (await owner.patch(url, json={"image_file_ids": [cover["id"]]})).json()
    assert [m["id"] for m in changed["images"]] == [cover["id"]]
    assert len(changed["videos"]) == 2, "what is not sent stays"
    copy = (await owner.post(f"{url}/duplicate", headers=key())).json()
    assert copy["videos"] == changed["videos"]
    assert copy["media_alts"] == body["media_alts"]
    refused = await owner.delete(f"{FILES}/{oven['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "file-in-use")


async def test_an_image_is_no_video_and_a_document_neither(
    owner: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product("Pizza")
    url = f"{ADMIN}/products/{product}"
    picture = (await send(owner, "a.png", image(color=(3, 9, 9)), "image/png"))["id"]
    video = (await send(owner, "a.mp4", MP4, "video/mp4"))["id"]
    paper = (await send(owner, "a.pdf", PDF, "application/pdf"))["id"]
    before = (await owner.get(url)).json()
    for body, wrong in (
        ({"image_file_ids": [picture, video]}, [video]),
        ({"video_file_ids": [picture]}, [picture]),
        ({"image_file_ids": [paper]}, [paper]),
        ({"video_file_ids": [paper]}, [paper]),
    ):
        answer = await owner.patch(url, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "wrong-medium"), answer.text
        assert answer.json()["ids"] == wrong
    many = await owner.patch(url, json={"video_file_ids": [video] * 4})
    assert many.status_code == 422
    assert (await owner.get(url)).json() == before
