"""Private files: served to who brings a link that we signed and that has not ended."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from app.core.crypto import Signer
from app.main import Largo
from tests.factories.images import image
from tests.factories.tenants import World

FILES = "/api/v1/admin/files"
CONTRACT = b"%PDF-1.7\nContrato"


async def _private(client: httpx.AsyncClient, content: bytes = CONTRACT) -> dict[str, Any]:
    part = {"file": ("contrato.pdf", content, "application/pdf")}
    answer = await client.post(FILES, files=part, params={"visibility": "private"})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def _refused(client: httpx.AsyncClient, url: str) -> tuple[int, str]:
    answer = await client.get(url)
    return answer.status_code, answer.json()["code"]


async def test_only_a_signed_link_opens_a_private_file(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    made = await _private(owner)
    assert made["key"].startswith("p/")
    served = await anonymous.get(made["url"])
    assert (served.status_code, served.content) == (200, CONTRACT)
    assert served.headers["cache-control"].startswith("private, max-age=")
    assert served.headers["content-disposition"].startswith("attachment")
    part = await anonymous.get(made["url"], headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, CONTRACT[1:4])

    missing = (404, "file-not-found")
    plain = f"/media/{made['key']}"
    query = parse_qs(urlsplit(made["url"]).query)
    expires, signature = int(query["expires"][0]), query["signature"][0]
    assert 0 < expires - time.time() <= 15 * 60
    other = await _private(owner, CONTRACT + b" 2")
    theirs = await _private(outsider)
    for client in (anonymous, owner):
        for url in (
            plain,
            f"{plain}?expires={expires}",
            f"{plain}?signature={signature}",
            f"{plain}?expires={expires}&signature=",
            f"{plain}?expires={expires + 1}&signature={signature}",
            f"{plain}?expires={expires}&signature={signature[:-1]}",
            f"{plain}?expires={expires}&signature={signature}A",
            f"{plain}?expires={expires}&signature=%C3%A9",
            f"/media/{other['key']}?expires={expires}&signature={signature}",
            f"/media/{theirs['key']}?expires={expires}&signature={signature}",
            # The same path among the public ones, where no signature is asked for.
            f"/media/t{made['key'][1:]}",
        ):
            assert await _refused(client, url) == missing, url


async def test_a_link_ends_and_a_new_one_is_to_be_had(
    owner: httpx.AsyncClient, anonymous: httpx.AsyncClient, app: Largo
) -> None:
    made = await _private(owner)
    signer = Signer(app.runtime.settings.order_tracking_secret, "media")
    past = int(time.time()) - 1
    tag = signer.tag(f"{past}\n{made['key']}".encode())
    ended = f"/media/{made['key']}?expires={past}&signature={tag}"
    assert await _refused(anonymous, ended) == (410, "file-link-expired")
    again = (await owner.get(f"{FILES}/{made['id']}")).json()["url"]
    assert (await anonymous.get(again)).content == CONTRACT


async def test_keys_rotate_and_purposes_do_not_mix(
    owner: httpx.AsyncClient, anonymous: httpx.AsyncClient, app: Largo, monkeypatch: Any
) -> None:
    made = await _private(owner)
    ring = app.runtime.settings.order_tracking_secret
    fresh = SecretStr("n" * 48)
    expires = int(time.time()) + 60
    tag = Signer(ring, "tracking").tag(f"{expires}\n{made['key']}".encode())
    foreign = f"/media/{made['key']}?expires={expires}&signature={tag}"
    assert await _refused(anonymous, foreign) == (404, "file-not-found")
    settings = app.runtime.settings
    for keys, works in (((fresh, *ring), True), ((fresh,), False)):
        changed = settings.model_copy(update={"order_tracking_secret": keys})
        monkeypatch.setattr(app.runtime, "settings", changed)
        assert ((await anonymous.get(made["url"])).status_code == 200) == works


async def test_thumbnails_of_private_images_are_private(
    owner: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    part = {"file": ("rg.png", image(), "image/png")}
    made = (await owner.post(FILES, files=part, params={"visibility": "private"})).json()
    for url in [made["url"], *made["thumbnails"].values()]:
        assert (await anonymous.get(url)).status_code == 200
        assert await _refused(anonymous, url.partition("?")[0]) == (404, "file-not-found")


async def test_the_same_content_public_and_private_are_two_files(
    owner: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    hidden = await _private(owner)
    part = {"file": ("contrato.pdf", CONTRACT, "application/pdf")}
    shown = (await owner.post(FILES, files=part)).json()
    assert shown["id"] != hidden["id"]
    assert (await owner.delete(f"{FILES}/{shown['id']}")).status_code == 204
    assert (await anonymous.get(hidden["url"])).content == CONTRACT


@pytest.mark.parametrize("visibility", ["secret", ""])
async def test_there_are_two_visibilities(
    owner: httpx.AsyncClient, world: World, visibility: str
) -> None:
    part = {"file": ("contrato.pdf", CONTRACT, "application/pdf")}
    answer = await owner.post(FILES, files=part, params={"visibility": visibility})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert (await owner.get(FILES)).json()["items"] == []
    folder = world.runtime.settings.media_root
    assert not (folder / "p" / str(world.tenant.id)).exists()
