"""A conversation at the sandbox, and a vendor that holds media for it."""

from __future__ import annotations

import pytest

from app.kernel.work import Runtime
from tests.conversations.media.vendor import Vendor
from tests.factories.conversations import at_sandbox, make_chat
from tests.factories.tenants import World
from tests.sandbox.server import SandboxServer


@pytest.fixture
def here(runtime: Runtime, sandbox: SandboxServer) -> Runtime:
    return at_sandbox(runtime, sandbox.url)


@pytest.fixture
async def vendor(world: World, sandbox: SandboxServer, here: Runtime) -> Vendor:
    async with world.runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")
    return Vendor(await make_chat(world), sandbox, here)
