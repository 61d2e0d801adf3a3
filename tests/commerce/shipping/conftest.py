"""What the tests of shipping share: places of postal codes and a store that is always open."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy.dialects.postgresql import insert

from app.commerce.shipping.models import PostalArea
from app.core.ids import new_id
from app.kernel.work import Runtime
from tests.factories.shipping import FAR, NEAR, open_always


@pytest.fixture
async def areas(runtime: Runtime) -> None:
    rows = [
        {"prefix": NEAR[:5], "latitude": -23.5660, "longitude": -46.6950, "city": "São Paulo"},
        {"prefix": FAR[:5], "latitude": -23.5790, "longitude": -46.4460, "city": "São Paulo"},
    ]
    async with runtime.database.system_engine.begin() as connection:
        await connection.execute(
            insert(PostalArea)
            .values([row | {"id": new_id(), "state": "SP"} for row in rows])
            .on_conflict_do_nothing(index_elements=["prefix"])
        )


@pytest.fixture
async def store(owner: httpx.AsyncClient, areas: None) -> dict[str, Any]:
    return await open_always(owner)
