"""Opens stores for tests through the API, as a merchant would."""

from __future__ import annotations

from typing import Any

import httpx

ADMIN = "/api/v1/admin/stores"
ADDRESS = {
    "postal_code": "05435-000",
    "street": "Rua Harmonia",
    "number": "271",
    "district": "Vila Madalena",
    "city": "São Paulo",
    "state": "SP",
}
DAILY = [{"weekday": day, "opens": "18:00", "closes": "23:00"} for day in range(7)]


def a_store(**changes: Any) -> dict[str, Any]:
    """The body that opens a store, with ``changes``."""
    return {
        "name": "Pizzaria São João",
        "address": ADDRESS,
        "latitude": -23.5535,
        "longitude": -46.6912,
        "hours": DAILY,
    } | changes


async def open_store(owner: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    """A store of the client's tenant, as the API answers it."""
    answer = await owner.post(ADMIN, json=a_store(**changes))
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created
