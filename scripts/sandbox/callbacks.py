"""Delivers the vendors' notices to the application under test, with a few retries."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import httpx

from scripts.sandbox.recorder import Callback


class Callbacks:
    """Background deliveries; ``close`` and ``cancel`` leave none behind."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._running: set[asyncio.Task[None]] = set()

    def start(self, delivery: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(delivery)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def cancel(self) -> None:
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        await self.cancel()
        await self._http.aclose()

    async def deliver(
        self, callback: Callback, headers: dict[str, str], attempts: int, delay_ms: int
    ) -> None:
        """POST until a 2xx, waiting ``delay_ms``, then twice that, and so on."""
        for attempt in range(attempts):
            if attempt:
                await asyncio.sleep(delay_ms / 1000 * 2 ** (attempt - 1))
            callback.attempts = attempt + 1
            if await self._post(callback, headers):
                callback.state = "delivered"
                return
        callback.state = "failed"

    async def _post(self, callback: Callback, headers: dict[str, str]) -> bool:
        try:
            answer = await self._http.post(
                callback.url, content=callback.body.encode(), headers=headers
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            callback.last = type(error).__name__
            return False
        callback.last = f"HTTP {answer.status_code}"
        return answer.is_success
