"""The three contests: catalogue against bare bytes, checkout against plain SQL, an idle app."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from scripts.benchmarks import data, load, pg, servers
from scripts.benchmarks.load import Answers, Target
from scripts.benchmarks.report import Gate, Round, Series, compare
from scripts.benchmarks.servers import Cores, Cost, Reading, Server
from scripts.local import environment as env
from scripts.local.console import Failed, step
from scripts.local.processes import Supervisor

READERS, BUYERS = 32, 16
TENANTS = 250
ORDERS = 4000
"""Different request bodies; every one is sent with a key of its own."""
CATALOGUE = f"/api/v1/catalog?store={data.STORE}"
CATALOGUE_GATE, CHECKOUT_GATE = 0.80, 1.0
TAIL_GATE, POSTGRES_GATE = 1.2, 1.5
"""How much longer the slowest in a hundred may take; how much more of Postgres one costs."""
MEMORY_GATE_MB, START_GATE_S = 180.0, 3.0
IDLE_SECONDS = 5.0
WARM_UP_SECONDS = 3.0
UNLIMITED = "1000000000"


@dataclass
class Outcome:
    """What one contest gave."""

    series: list[Series]
    gates: list[Gate]


@dataclass(frozen=True)
class Contender:
    """Somebody who is measured: ``go`` works for so many seconds, ``pid`` pays for it."""

    name: str
    go: Callable[[float], Answers]
    pid: int | None


@dataclass
class Bench:
    """Everything the contests share."""

    supervisor: Supervisor
    directory: Path
    cores: Cores
    postgres: pg.About
    maintenance_url: str
    values: Mapping[str, str]
    seconds: float
    rounds: int
    shops: list[data.Shop] = field(default_factory=list)
    servers: list[Server] = field(default_factory=list)

    def start(
        self,
        name: str,
        application: str,
        path: str,
        values: Mapping[str, str],
        factory: bool,
        protocol: str = "httptools",
    ) -> Server:
        """Start a server that lives until ``stop_servers``."""
        log = self.directory / f"{name.replace(' ', '-')}.log"
        environment = env.for_programs(values, {})
        with step(name.capitalize()) as done:
            server = servers.start(
                self.supervisor,
                name,
                application,
                environment,
                log=log,
                cores=self.cores,
                path=path,
                factory=factory,
                protocol=protocol,
            )
            done.note = f"127.0.0.1:{server.port}"
        self.servers.append(server)
        return server

    def stop_servers(self) -> None:
        """End the servers of one contest, so that they do not disturb the next."""
        while self.servers:
            servers.stop(self.supervisor, self.servers.pop())

    def target(self, server: Server, requests: list[bytes], connections: int) -> Contender:
        """A contender that answers ``requests`` over HTTP."""
        target = Target(server.port, requests, connections)
        return Contender(
            server.running.name,
            partial(load.run, target, core=self.cores.client),
            server.pid,
        )


def product(bench: Bench, *, worker: bool = False) -> Server:
    """Our own server, as in production but for the limits that would stop a load generator."""
    url = pg.database_url(bench.maintenance_url, pg.OURS)
    if worker:
        # The orders of the contests before are not what it is measured with.
        asyncio.run(pg.forget_jobs(url))
    values = {
        **bench.values,
        "DATABASE_URL": url,
        "WORKER_IN_PROCESS": str(worker).lower(),
        "RATE_LIMIT_READS_PER_MINUTE": UNLIMITED,
        "RATE_LIMIT_ANONYMOUS": UNLIMITED,
    }
    protocol = "app.server:ReadyProtocol"
    return bench.start("largo", "app.main:app", "/health", values, False, protocol)


def make_database(bench: Bench) -> str:
    """Our database, migrated and empty; its URL."""
    url = asyncio.run(pg.create(bench.maintenance_url, pg.OURS))
    migrated = subprocess.run(
        [env.PYTHON, "-m", "alembic", "upgrade", "head"],
        env=env.for_programs({**bench.values, "DATABASE_URL": url}, {}),
        cwd=env.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if migrated.returncode != 0:
        raise Failed(f"The migrations failed:\n{migrated.stdout}{migrated.stderr}")
    return url


def make_shops(bench: Bench) -> None:
    """Our database with its shops, once for all contests."""
    if bench.shops:
        return
    with step("Database of ours") as done:
        url = make_database(bench)
        bench.shops = asyncio.run(data.fill(url, TENANTS))
        done.note = f"{TENANTS} shops of {data.PRODUCTS} products"


def contest(bench: Bench, contenders: list[Contender]) -> list[Series]:
    """Measure all, taking turns; a short turn before that fills caches and pools."""
    found = [Series(contender.name) for contender in contenders]
    with step("Rounds") as done:
        for contender in contenders:
            warm_up(contender, min(WARM_UP_SECONDS, bench.seconds))
        for _ in range(bench.rounds):
            for contender, series in zip(contenders, found, strict=True):
                series.rounds.append(turn(bench, contender))
        done.note = f"{bench.rounds} of {len(contenders)} contenders"
    return found


def warm_up(contender: Contender, seconds: float) -> None:
    """Fill caches and pools; raises Failed when no answer is a good one."""
    answers = contender.go(seconds)
    if answers.refused >= answers.completed:
        found = answers.statuses or "nothing"
        raise Failed(f"{contender.name} answers {found} and no order or page.\n{answers.sample}")


def turn(bench: Bench, contender: Contender) -> Round:
    """One stretch of one contender, with what it cost."""
    read = partial(
        Reading.now,
        contender.pid,
        bench.postgres.pid,
        [running.pid for running in bench.supervisor.running],
    )
    before = read()
    answers = contender.go(bench.seconds)
    return Round(answers, Cost.between(before, read()))


def catalogue(bench: Bench) -> Outcome:
    """GET /api/v1/catalog against a bare ASGI application that sends the same bytes."""
    print("\nCatalogue", flush=True)
    make_shops(bench)
    shop = bench.shops[0]
    ours = product(bench)
    answer = read_catalogue(ours, shop)
    body = bench.directory / "catalogue.body"
    body.write_bytes(answer.body)
    values = {"BENCH_BODY": str(body), "BENCH_MEDIA_TYPE": answer.media_type}
    application = "scripts.benchmarks.yardstick:catalogue"
    bare = bench.start("bare bytes", application, "/", values, factory=True)
    print(f"  the answer has {len(answer.body):,} bytes of {answer.media_type}", flush=True)
    request = data.get(CATALOGUE, **{"X-Tenant": shop.slug})
    base, mine = contest(
        bench, [bench.target(bare, [request], READERS), bench.target(ours, [request], READERS)]
    )
    bench.stop_servers()
    base.name, mine.name = "catalogue: bare ASGI, same bytes", "catalogue: GET /api/v1/catalog"
    gates = [
        compare(
            "catalogue req/s : bare ASGI", mine, base, per_second, bound=CATALOGUE_GATE, unit="/s"
        ),
        compare("catalogue app CPU : bare ASGI", mine, base, server_us, unit=" us"),
    ]
    return Outcome([base, mine], gates)


def read_catalogue(server: Server, shop: data.Shop) -> servers.Answer:
    """The menu of a shop. Raises Failed when it is not answered with 200."""
    answer = servers.get(server.port, CATALOGUE, {"X-Tenant": shop.slug})
    if answer.status != 200:
        raise Failed(f"GET {CATALOGUE} answers {answer.status}: {answer.body[:400]!r}")
    return answer


def checkout(bench: Bench) -> Outcome:
    """POST /api/v1/checkout against nine plain statements, over HTTP and under pgbench."""
    print("\nCheckout", flush=True)
    make_shops(bench)
    with step("Database of yardstick") as done:
        url = asyncio.run(pg.create(bench.maintenance_url, pg.YARDSTICK))
        asyncio.run(pg.fill_yardstick(url))
        done.note = f"{data.YARDSTICK_STORES} shops of {data.PRODUCTS} products"
    application = "scripts.benchmarks.yardstick:checkout"
    trips = bench.start("nine trips", application, "/", {"BENCH_DATABASE_URL": url}, factory=False)
    ours = product(bench)
    under_pgbench = partial(pg.pgbench, url, "checkout.sql", BUYERS)
    orders = data.checkouts(bench.shops, ORDERS)
    sql, base, mine = contest(
        bench,
        [
            Contender("pgbench", under_pgbench, None),
            bench.target(trips, data.yardstick_checkouts(ORDERS), BUYERS),
            bench.target(ours, orders, BUYERS),
        ],
    )
    bench.stop_servers()
    sql.name, base.name = "checkout: pgbench, nine trips", "checkout: FastAPI, nine trips"
    mine.name = "checkout: POST /api/v1/checkout"
    gates = [
        compare(
            "checkout req/s : nine trips", mine, base, per_second, bound=CHECKOUT_GATE, unit="/s"
        ),
        compare("checkout p50 : nine trips", mine, base, p50, unit=" ms"),
        compare(
            "checkout p99 : nine trips",
            mine,
            base,
            p99,
            bound=TAIL_GATE,
            at_least=False,
            unit=" ms",
        ),
        compare("checkout app CPU : nine trips", mine, base, server_us, unit=" us"),
        compare("checkout pg CPU : nine trips", mine, base, postgres_us, unit=" us"),
        compare("checkout req/s : pgbench", mine, sql, per_second, unit="/s"),
        compare(
            "checkout pg CPU : pgbench",
            mine,
            sql,
            postgres_us,
            bound=POSTGRES_GATE,
            at_least=False,
            unit=" us",
        ),
    ]
    return Outcome([sql, base, mine], gates)


def idle(bench: Bench) -> Outcome:
    """How soon the server answers, and what it holds in memory when nothing happens."""
    print("\nIdle", flush=True)
    make_shops(bench)
    server = product(bench, worker=True)
    for shop in bench.shops[:5]:
        read_catalogue(server, shop)
    with step("Doing nothing") as done:
        time.sleep(IDLE_SECONDS)
        megabytes = servers.tree_memory(server.pid)
        done.note = f"{megabytes:.0f} MB resident, worker included"
    bench.stop_servers()
    return Outcome(
        [],
        [
            limit("idle memory", megabytes, MEMORY_GATE_MB, " MB"),
            limit("start to first answer", server.started_in, START_GATE_S, " s"),
        ],
    )


def limit(name: str, value: float, bound: float, unit: str) -> Gate:
    """A figure with an upper bound of its own instead of a yardstick."""
    return Gate(name, value, None, value, bound, at_least=False, unit=unit)


def per_second(measured: Round) -> float:
    return measured.answers.per_second


def p50(measured: Round) -> float:
    return measured.answers.p50_ms


def p99(measured: Round) -> float:
    return measured.answers.p99_ms


def server_us(measured: Round) -> float:
    return measured.server_us


def postgres_us(measured: Round) -> float:
    return measured.postgres_us
