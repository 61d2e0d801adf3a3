"""A backup of the demo, restored into an empty database, answers as the demo does; else refused."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from app.core.settings import Settings
from app.kernel.connections.service import ConnectionService
from app.kernel.work import unit_of_work
from app.main import Largo, create_app
from scripts import backup_db, restore_db
from scripts.backups import manifest, picture
from scripts.backups.manifest import Manifest, Refused
from scripts.seeds.planting import ACTOR
from scripts.seeds.tenants import plant_all
from tests.conftest import ROOT, _client, _drop_database, serving
from tests.scripts.restored import (
    OTHER,
    PASSWORD,
    SHOP,
    Databases,
    Demo,
    altered,
    buy,
    connect_number,
    connected,
    log_in,
    restore,
    seen,
    tables_in,
)  # fmt: skip

PDF = b"%PDF-1.4\n1 0 obj\n<< >>\nendobj\ntrailer\n<< >>\n%%EOF\n"
NOT_ABOUT_DATA = {
    "/api/v1/events", "/health", "/health/ready", "/api/v1/health", "/metrics",
    "/api/v1/admin/audit/export",
}  # fmt: skip
"""The first never ends, the last tells of itself, the others speak of the process."""
ASKS_FOR_MORE = {
    "/api/v1/catalog": {"store": "vila-madalena"},
    "/api/v1/admin/insights": {"since": "2026-11-01", "until": "2026-11-30"},
    "/api/v1/admin/insights/export": {
        "since": "2026-11-01", "until": "2026-11-30", "report": "products",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
async def databases(
    config: Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Databases]:
    plain = config.database_url.replace("postgresql+asyncpg://", "postgresql://")
    found = Databases(config, plain, tmp_path_factory.mktemp("media"))
    yield found
    for name in found.names:
        await _drop_database(plain, name)


@pytest.fixture(scope="module")
async def demo(
    databases: Databases, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Demo]:
    config = await databases.empty()
    where = {
        "DATABASE_URL": config.database_url.replace("postgresql+asyncpg://", "postgresql://"),
        "MEDIA_ROOT": str(config.media_root),
    }
    migrate = [sys.executable, "-m", "alembic", "upgrade", "head"]
    await asyncio.to_thread(subprocess.run, migrate, cwd=ROOT, env=environment | where, check=True)
    async with serving(create_app(config)) as app, _client(app, {}) as client:
        await plant_all(app.runtime, PASSWORD, "backup")
        token = await log_in(client, SHOP)
        auth = {"Authorization": f"Bearer {token}"}
        for number in range(3):
            order = await buy(client, f"(11) 98765-432{number}")
        move = {"to": "confirmed"}
        orders = f"/api/v1/admin/orders/{order['id']}"
        await client.post(f"{orders}/transitions", json=move, headers=auth)
        await connect_number(client, token)
        part = {"file": ("cardapio.pdf", PDF, "application/pdf")}
        file = (await client.post("/api/v1/admin/files", files=part, headers=auth)).json()
        await client.get(
            "/api/v1/user/notices/push-key", headers=auth
        )  # is made when first asked for
        customers = await client.get("/api/v1/admin/customers", headers=auth)
        backup, out = tmp_path_factory.mktemp("backups") / "demo", io.StringIO()
        assert await backup_db.execute(config, ["--to", str(backup)], out) == 0
        customer = customers.json()["items"][0]["id"]
        yield Demo(config, app, token, order, customer, file, backup, out.getvalue())


@pytest.fixture(scope="module")
async def vacant(databases: Databases) -> Settings:
    """An empty database, which stays so."""
    return await databases.empty()


@pytest.fixture(scope="module")
async def restored(demo: Demo, databases: Databases) -> Settings:
    target = await databases.empty()
    code, said = await restore(demo, target)
    assert code == 0, said
    assert "proved equal" in said
    return target


def paths(app: Largo, demo: Demo) -> dict[str, dict[str, str]]:
    """Every list of the API and what belongs to the last order, with its query."""
    plain = [
        path
        for path, methods in app.api.openapi()["paths"].items()
        if "get" in methods and "{" not in path and path not in NOT_ABOUT_DATA
    ]
    order, number = f"/api/v1/admin/orders/{demo.order['id']}", f"/api/v1/contacts/{demo.customer}"
    found: dict[str, dict[str, str]] = {path: ASKS_FOR_MORE.get(path, {}) for path in plain}
    more = (order, f"{order}/timeline", f"{order}/payments", number, demo.order["tracking_path"])
    return found | {path: {} for path in more}


async def test_the_restored_demo_gives_the_same_answers(demo: Demo, restored: Settings) -> None:
    auth = {"Authorization": f"Bearer {demo.token}", "X-Tenant": SHOP}
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(serving(create_app(restored)))
        here = await stack.enter_async_context(_client(demo.app, auth))
        there = await stack.enter_async_context(_client(app, auth))
        answered, differing = set(), []
        asked = paths(demo.app, demo)
        for path in sorted(asked, key=lambda path: path.endswith("/export")):  # it is audited
            query = asked[path]
            one = await here.get(path, params=query or None)
            two = await there.get(path, params=query or None)
            assert two.status_code == one.status_code, (path, two.text)
            if one.status_code == 200:
                answered.add(path)
                if two.content != one.content:
                    differing.append((path, one.text, two.text))
        link = demo.file["url"]
        assert (await there.get(link)).content == (await here.get(link)).content == PDF
    assert differing == []
    assert len(answered) >= 70, sorted(set(asked) - answered)
    assert {
        "/api/v1/catalog", "/api/v1/stores", "/api/v1/auth/me", "/api/v1/admin/orders",
        f"/api/v1/admin/orders/{demo.order['id']}", "/api/v1/admin/customers",
        "/api/v1/admin/insights", "/api/v1/admin/config", "/api/v1/whatsapp/numbers",
        "/api/v1/contacts", "/api/v1/admin/payments/settings",
    } <= answered  # fmt: skip


async def test_the_restored_database_takes_orders_and_keeps_tenants_apart(
    demo: Demo, restored: Settings
) -> None:
    async with serving(create_app(restored)) as app, _client(app, {}) as client:
        order = await buy(client, "(21) 99999-1234")
        assert order["number"] == demo.order["number"] + 1
        stranger = {"Authorization": f"Bearer {await log_in(client, OTHER)}"}
        theirs = await client.get(f"/api/v1/admin/orders/{demo.order['id']}", headers=stranger)
        assert theirs.status_code == 404
        listed = await client.get("/api/v1/admin/orders", headers=stranger)
        assert listed.json()["items"] == []
        tenant = await app.runtime.tenants.find("slug", SHOP)
        assert tenant is not None
        async with unit_of_work(app.runtime, tenant, ACTOR) as work:
            assert await ConnectionService(work).credentials("whatsapp")
    async with connected(restored) as connection:
        assert await connection.fetchval("SELECT count(*) FROM orders") == 4
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute("DELETE FROM audit_entries")
        await connection.execute("SET ROLE app_tenant")
        assert await connection.fetchval("SELECT count(*) FROM orders") == 0


async def test_a_backup_says_what_it_needs_and_holds_no_key(demo: Demo) -> None:
    assert "encryption key 't1', which is not in it" in demo.said
    key = demo.config.encryption_keys[0].get_secret_value().partition(":")[2]
    assert all(key.encode() not in path.read_bytes() for path in demo.backup.iterdir())
    assert all(path.stat().st_mode & 0o077 == 0 for path in demo.backup.iterdir())
    assert not list(demo.backup.parent.glob(".*"))


async def test_another_key_is_warned_of_and_a_check_changes_nothing(
    demo: Demo, vacant: Settings
) -> None:
    ring = (SecretStr("t1:" + "B" * 43 + "="),)

    code, said = await restore(demo, vacant.model_copy(update={"encryption_keys": ring}), "--check")

    assert code == 0
    assert "WARNING" in said
    assert "another key 't1'" in said
    assert "WARNING" not in (await restore(demo, vacant, "--check"))[1]
    assert await tables_in(vacant) == 0


async def test_a_damaged_dump_is_refused(
    demo: Demo, vacant: Settings, tmp_path: Path, environment: dict[str, str]
) -> None:
    bad = tmp_path / "damaged"
    shutil.copytree(demo.backup, bad)
    dump = bytearray((bad / manifest.DUMP).read_bytes())
    dump[len(dump) // 2] ^= 1
    (bad / manifest.DUMP).write_bytes(dump)
    where = {"DATABASE_URL": vacant.database_url.replace("+asyncpg", "")}

    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, "scripts/restore_db.py", str(bad)],
        cwd=ROOT, env=environment | where, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ran.returncode == 1
    assert "database.dump is damaged" in ran.stderr
    assert "Nothing was restored" in ran.stderr
    assert await tables_in(vacant) == 0


async def test_a_dump_that_breaks_off_leaves_nothing_behind(
    demo: Demo, databases: Databases, vacant: Settings, tmp_path: Path
) -> None:
    def cut(_: Manifest, folder: Path) -> None:
        dump = folder / manifest.DUMP
        dump.write_bytes(dump.read_bytes()[:-4000])

    bad = altered(demo, tmp_path / "cut", cut)
    fresh = databases.named().database_url.rpartition("/")[2].partition("?")[0]

    for more in ([], ["--database", fresh, "--create"]):
        out = io.StringIO()
        with pytest.raises(Refused, match="pg_restore failed"):
            await restore_db.execute(vacant, [str(bad), *more], out)
        assert "Restoring database.dump" in out.getvalue()

    assert await tables_in(vacant) == 0
    async with connected(vacant) as connection:
        known = "SELECT count(*) FROM pg_database WHERE datname = $1"
        assert await connection.fetchval(known, fresh) == 0


async def test_a_database_that_holds_something_is_refused(demo: Demo) -> None:
    before = await seen(demo.config)

    with pytest.raises(Refused, match="is not empty"):
        await restore(demo, demo.config)

    assert picture.differences(before, await seen(demo.config)) == []


async def test_the_backup_of_another_schema_is_refused(
    demo: Demo, vacant: Settings, tmp_path: Path
) -> None:
    def later(made: Manifest, _: Path) -> None:
        made.revision = "9999"

    bad = altered(demo, tmp_path / "later", later)

    for more in ([], ["--older"]):
        with pytest.raises(Refused, match="revision 9999"):
            await restore_db.execute(vacant, [str(bad), *more], io.StringIO())

    assert await tables_in(vacant) == 0


async def test_what_differs_after_the_restore_is_named(
    demo: Demo, databases: Databases, tmp_path: Path
) -> None:
    target = await databases.empty()

    def other(made: Manifest, _: Path) -> None:
        told = made.picture
        told.tables["public.orders"].rows += 1
        told.tables["public.products"].content = "1:1"
        told.structure["policy orders.another"] = "x"

    bad, out = altered(demo, tmp_path / "other", other), io.StringIO()

    assert await restore_db.execute(target, [str(bad), "--without-media"], out) == 2

    said = out.getvalue()
    assert "public.orders has 3 rows instead of 4" in said
    assert "public.products has its 45 rows, but not with the same content" in said
    assert "policy orders.another is missing" in said
    assert "do not serve it" in said


LOSSES = {
    "DROP POLICY tenant_isolation ON orders": "policy orders.tenant_isolation is missing",
    "ALTER TABLE orders DISABLE ROW LEVEL SECURITY": "table orders differs",
    "ALTER TABLE audit_entries DISABLE TRIGGER USER": "trigger audit_entries.",
    "REVOKE DELETE ON products FROM app_tenant": "grant on products differs",
    "GRANT TRUNCATE ON products TO app_tenant": "grant on products differs",
    "DROP FUNCTION claim_idempotency(text)": "function claim_idempotency(text) is missing",
    "ALTER TABLE orders ALTER number DROP NOT NULL": "column orders.number differs",
    "UPDATE products SET name = name || ' ' WHERE slug = 'margherita'": "public.products has its",
    "ALTER SEQUENCE pgqueuer_id_seq RESTART": "sequence public.pgqueuer_id_seq stands at",
}


async def test_a_loss_of_any_kind_is_seen(restored: Settings) -> None:
    async with connected(restored) as connection:
        await picture.prepare(connection)
        before = await picture.take(connection)
        for loss, sentence in LOSSES.items():
            undone = connection.transaction()
            await undone.start()
            await connection.execute(loss)
            told = picture.differences(before, await picture.take(connection))
            await undone.rollback()
            assert any(line.startswith(sentence) for line in told), (loss, told)
        assert picture.differences(before, await picture.take(connection)) == []


async def test_a_backup_that_fails_leaves_no_folder(vacant: Settings, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no Largo in this database"):
        await backup_db.execute(vacant, ["--to", str(tmp_path / "made")], io.StringIO())

    assert os.listdir(tmp_path) == []
