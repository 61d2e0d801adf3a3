"""What a process needs to run jobs, and the runner alone: ``python -m app.worker``."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from app import news, vendors, wiring
from app.core import logging as logs
from app.core.crypto import Signer, Vault
from app.core.database import Database, verify_isolation
from app.core.guard import Guard
from app.core.http import new_http_client, user_agent
from app.core.lazy import lazy
from app.core.passwords import Passwords
from app.core.ratelimit import SharedLimiter
from app.core.redis import Bus
from app.core.settings import Settings, settings
from app.core.tokens import Tokens
from app.core.vitals import Vitals
from app.kernel.jobs.service import Worker
from app.kernel.keyring import Keyring
from app.kernel.tenancy import TenantDirectory
from app.kernel.work import Runtime

if TYPE_CHECKING:
    from app.core import tracing
else:
    tracing = lazy("app.core.tracing")


def build_runtime(config: Settings) -> Runtime:
    """What the web process and the worker share; the caller closes it with ``close_runtime``."""
    database = Database(config.database_url, pool_size=config.database_pool_size)
    bus = Bus(config.redis_url)
    vitals = Vitals(config.vendors())
    spans = spans_of(config)
    tokens = Tokens(config.auth_secrets, config.auth_algorithm, config.access_token_expire_minutes)
    return Runtime(
        settings=config,
        database=database,
        bus=bus,
        tenants=TenantDirectory(database, bus, wiring.HEARD_WHEN),
        tokens=tokens,
        keys=Keyring(database, bus),
        passwords=Passwords(rounds=4 if config.environment == "test" else 12),
        vault=Vault(config.encryption_keys),
        limiter=SharedLimiter(bus.redis),
        quotes=Signer(config.order_tracking_secret, "quote"),
        tracking=Signer(config.order_tracking_secret, "tracking"),
        http=new_http_client(vitals=vitals, spans=spans),
        vitals=vitals,
        guard=Guard.of(config),
        storage=vendors.storage_of(config),
        ports=wiring.PORTS,
        subscribers=wiring.SUBSCRIBERS,
        schedulable=wiring.SCHEDULABLE,
        notices=news.NOTICES,
        spans=spans,
    )


def spans_of(config: Settings) -> tracing.Spans | None:
    """What makes traces; None, and nothing loaded for it, unless a collector is configured."""
    if not config.otel_exporter_otlp_endpoint:
        return None
    version = user_agent().partition("/")[2]
    return tracing.Spans(config.otel_exporter_otlp_endpoint, config.otel_service_name, version)


async def close_runtime(runtime: Runtime) -> None:
    """Let go of every connection and thread."""
    await runtime.bus.stop()
    await runtime.http.aclose()
    await runtime.guard.aclose()
    await runtime.database.close()
    runtime.passwords.close()
    if runtime.spans is not None:
        await asyncio.to_thread(runtime.spans.close)
    logs.ACCESS.flush()


async def main() -> None:
    """Run jobs until SIGTERM or SIGINT; what runs is finished first."""
    config = settings()
    logs.configure(config.log_level)
    runtime = build_runtime(config)
    await verify_isolation(runtime.database)
    await runtime.bus.start()
    worker = Worker(runtime, wiring.JOBS, beats=wiring.BEATS)
    await worker.start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await worker.stop(30)
    await close_runtime(runtime)


if __name__ == "__main__":
    asyncio.run(main())
