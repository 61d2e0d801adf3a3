"""What the tests of the import programs stand on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.factories.tenants import World
from tests.scripts.desk import Desk, add_store


@pytest.fixture
async def desk(world: World, tmp_path: Path) -> Desk:
    """A new tenant with one store."""
    await add_store(world, "loja")
    return Desk(world, tmp_path)
