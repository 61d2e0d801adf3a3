"""Files in an S3-compatible store (AWS, MinIO, OCI, R2), through boto3 in threads.

boto3 takes 20 MB and a third of a second to import: it is loaded at the first call, in the thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from app.contracts.gateways.storage import StorageFailed
from app.core.lazy import lazy

if TYPE_CHECKING:
    import boto3
    import botocore.config as boto_config
    import botocore.exceptions as boto_errors
else:
    boto3 = lazy("boto3")
    boto_config = lazy("botocore.config")
    boto_errors = lazy("botocore.exceptions")

T = TypeVar("T")
_CHUNK = 256 * 1024
_ABSENT = {"404", "NoSuchKey", "NotFound"}


class S3Storage:
    """Answers ``FileStorage`` with one bucket, which may stay closed to everybody else.

    Empty keys mean boto3's own search: environment, profile, the machine's role.
    """

    def __init__(
        self, *, bucket: str, endpoint_url: str, region: str, access_key: str, secret_key: str
    ) -> None:
        self._bucket = bucket
        self._account: dict[str, Any] = {
            "endpoint_url": endpoint_url or None,
            "region_name": region,
            "aws_access_key_id": access_key or None,
            "aws_secret_access_key": secret_key or None,
        }
        self._lock = threading.Lock()
        self._made: Any = None

    async def put(self, key: str, source: BinaryIO, *, media_type: str) -> None:
        """Store the bytes under ``key``; S3 shows an object only when all of it has come."""

        def put(client: Any) -> None:
            source.seek(0)
            client.put_object(Bucket=self._bucket, Key=key, Body=source, ContentType=media_type)

        await self._call(f"put {key}", put)

    async def size(self, key: str) -> int | None:
        """The object's size; None when there is none."""

        def size(client: Any) -> int | None:
            try:
                found: int = client.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
            except boto_errors.ClientError as error:
                if error.response.get("Error", {}).get("Code") in _ABSENT:
                    return None
                raise
            return found

        return await self._call(f"size {key}", size)

    async def read(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        """``length`` bytes from ``start`` on."""
        span = f"bytes={start}-{start + length - 1}"
        body = await self._call(
            f"read {key}",
            lambda client: client.get_object(Bucket=self._bucket, Key=key, Range=span)["Body"],
        )
        try:
            while chunk := await self._call(f"read {key}", lambda _: body.read(_CHUNK)):
                yield chunk
        finally:
            body.close()

    async def remove(self, key: str) -> None:
        """Forget ``key``; S3 is silent when it is not there."""
        await self._call(
            f"remove {key}", lambda client: client.delete_object(Bucket=self._bucket, Key=key)
        )

    async def tidy(self, prefix: str, before: datetime) -> int:
        """Nothing to do: a put that broke off leaves nothing, and we start no multipart uploads."""
        return 0

    async def _call(self, what: str, act: Callable[[Any], T]) -> T:
        return await asyncio.to_thread(self._guarded, what, act)

    def _guarded(self, what: str, act: Callable[[Any], T]) -> T:
        client = self._client()
        try:
            return act(client)
        except (boto_errors.ClientError, boto_errors.BotoCoreError) as error:
            raise StorageFailed(f"{what}: {error}") from error

    def _client(self) -> Any:
        # One thread makes it, and imports boto3: neither is safe in several at once.
        with self._lock:
            if self._made is None:
                config = boto_config.Config(
                    connect_timeout=3,
                    read_timeout=20,
                    retries={"max_attempts": 3, "mode": "standard"},
                    max_pool_connections=20,
                    s3={"addressing_style": "path"} if self._account["endpoint_url"] else {},
                    # Stores that imitate S3 often know no other checksums than MD5.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                )
                try:
                    self._made = boto3.client("s3", config=config, **self._account)
                except (boto_errors.BotoCoreError, ValueError) as error:
                    raise StorageFailed(f"configuration: {error}") from error
            return self._made
