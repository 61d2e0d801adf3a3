"""The contract of file storage, once for a directory and once for S3, served over HTTP by moto."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import boto3
import httpx
import pytest
from pydantic import ValidationError

from app.contracts.gateways.storage import FileStorage, StorageFailed
from app.core.clock import now
from app.core.settings import Settings
from app.integrations.s3.client import S3Storage
from app.kernel.files.storage import LocalStorage
from app.main import Largo
from app.vendors import storage_of
from tests.factories.images import image, opened
from tests.faults.server import free_port

CONTENT = bytes(range(256)) * 4000  # about a megabyte: several pieces
KEY = "t/x/file.jpg"


class Broken(io.BytesIO):
    """A sender that is gone after the first half."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= len(CONTENT) // 2:
            raise OSError("gone")
        return super().read(65536)


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """The settings of a bucket in an S3 of its own process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(  # noqa: S603 - our own program
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    found = {
        "STORAGE_BACKEND": "s3",
        "S3_BUCKET": "largo",
        "S3_ENDPOINT_URL": url,
        "S3_ACCESS_KEY_ID": "tests",
        "S3_SECRET_ACCESS_KEY": "tests-secret",
    }
    try:
        for _ in range(200):
            try:
                httpx.get(url, timeout=1)
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="tests",
            aws_secret_access_key="tests-secret",
        ).create_bucket(Bucket="largo")
        yield found
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def s3_config(environment: dict[str, str], s3: dict[str, str]) -> Settings:
    fields = {k.lower(): v for k, v in (environment | s3).items()}
    return Settings.model_validate({k: v for k, v in fields.items() if k in Settings.model_fields})


@pytest.fixture(params=["local", "s3"])
async def storage(
    request: pytest.FixtureRequest, tmp_path: Path, s3_config: Settings
) -> AsyncIterator[FileStorage]:
    if request.param == "local":
        yield LocalStorage(tmp_path)
    else:
        store = storage_of(s3_config)
        assert isinstance(store, S3Storage)
        await store.remove(KEY)
        yield store


async def _read(storage: FileStorage, key: str, start: int, length: int) -> bytes:
    return b"".join([chunk async for chunk in storage.read(key, start, length)])


async def _put(storage: FileStorage, source: io.BytesIO) -> None:
    await storage.put(KEY, source, media_type="image/jpeg")


async def test_what_is_put_is_read(storage: FileStorage) -> None:
    assert await storage.size(KEY) is None
    source = io.BytesIO(CONTENT)
    source.seek(77)  # somebody has looked into it before
    await _put(storage, source)
    assert await storage.size(KEY) == len(CONTENT)
    assert await _read(storage, KEY, 0, len(CONTENT)) == CONTENT
    assert await _read(storage, KEY, 3, 5) == CONTENT[3:8]
    assert await _read(storage, KEY, len(CONTENT) - 1, 1) == CONTENT[-1:]
    assert await storage.size("t/x/other.jpg") is None


async def test_putting_again_and_together_is_putting_once(storage: FileStorage) -> None:
    await asyncio.gather(*(_put(storage, io.BytesIO(CONTENT)) for _ in range(4)))
    await _put(storage, io.BytesIO(CONTENT))
    assert await _read(storage, KEY, 0, len(CONTENT)) == CONTENT


async def test_whole_or_not_at_all(storage: FileStorage) -> None:
    with pytest.raises((OSError, StorageFailed)):
        await _put(storage, Broken(CONTENT))
    assert await storage.size(KEY) is None
    await _put(storage, io.BytesIO(CONTENT))
    assert await storage.size(KEY) == len(CONTENT)


async def test_removing_twice_is_removing(storage: FileStorage) -> None:
    await _put(storage, io.BytesIO(CONTENT))
    await storage.remove(KEY)
    assert await storage.size(KEY) is None
    await storage.remove(KEY)
    with pytest.raises(StorageFailed):
        await _read(storage, KEY, 0, 10)


async def test_tidying_leaves_what_is_whole(storage: FileStorage) -> None:
    await _put(storage, io.BytesIO(CONTENT))
    assert await storage.tidy("t/x", now() + timedelta(hours=1)) == 0
    assert await storage.size(KEY) == len(CONTENT)


async def test_local_writes_that_were_killed_are_tidied(tmp_path: Path) -> None:
    folder = tmp_path / "t/x"
    folder.mkdir(parents=True)
    old, new = folder / ".killed.part", folder / ".writing.part"
    for side in (old, new):
        side.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    storage = LocalStorage(tmp_path)
    assert await storage.tidy("t/x", now() - timedelta(hours=1)) == 1
    assert [side.name for side in folder.iterdir()] == [new.name]
    assert await storage.tidy("t/nobody", now()) == 0


async def test_a_store_that_does_not_answer_is_a_typed_failure() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    store = S3Storage(
        bucket="b", endpoint_url=nowhere, region="us-east-1", access_key="a", secret_key="s"
    )
    with pytest.raises(StorageFailed):
        await store.size(KEY)
    with pytest.raises(StorageFailed):
        await _put(store, io.BytesIO(CONTENT))
    with pytest.raises(StorageFailed):
        await store.remove(KEY)


async def test_missing_settings_stop_the_start(environment: dict[str, str]) -> None:
    fields = {k.lower(): v for k, v in environment.items() if k.lower() in Settings.model_fields}
    with pytest.raises(ValidationError, match="S3_BUCKET"):
        Settings.model_validate(fields | {"storage_backend": "s3"})
    with pytest.raises(ValidationError, match="go together"):
        Settings.model_validate(fields | {"s3_access_key_id": "only"})


async def test_the_api_on_s3(
    owner: httpx.AsyncClient, app: Largo, s3_config: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upload, read a part, see that the bytes are in the bucket, outlive the store's absence."""
    monkeypatch.setattr(app.runtime, "storage", storage_of(s3_config))
    part = {"file": ("a.jpg", image("JPEG"), "image/jpeg")}
    made = (await owner.post("/api/v1/admin/files", files=part)).json()
    served = await owner.get(made["url"])
    assert opened(served.content).size == (40, 30)
    piece = await owner.get(made["url"], headers={"Range": "bytes=2-5"})
    assert (piece.status_code, piece.content) == (206, served.content[2:6])
    assert await app.runtime.storage.size(made["key"]) == made["size_bytes"]
    before = await _counted(owner)
    assert before > made["size_bytes"]

    nowhere = s3_config.model_copy(update={"s3_bucket": "no-such-bucket"})
    monkeypatch.setattr(app.runtime, "storage", storage_of(nowhere))
    other = {"file": ("b.jpg", image("JPEG", color=(1, 2, 3)), "image/jpeg")}
    failed = await owner.post("/api/v1/admin/files", files=other)
    assert (failed.status_code, failed.json()["code"]) == (503, "storage-unavailable")
    listed = (await owner.get("/api/v1/admin/files")).json()["items"]
    assert [item["id"] for item in listed] == [made["id"]]
    assert await _counted(owner) == before, "what was not stored is not counted"


async def _counted(owner: httpx.AsyncClient) -> int:
    items = (await owner.get("/api/v1/usage")).json()["items"]
    used: int = next(i["used"] for i in items if i["limit"] == "storage_bytes")
    return used
