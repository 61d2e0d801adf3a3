"""A tenant's number, and the vendor who delivers for it."""

from __future__ import annotations

import pytest

from tests.conversations.inbound.line import Line, make_line
from tests.factories.tenants import World


@pytest.fixture
async def line(world: World) -> Line:
    return await make_line(world)
