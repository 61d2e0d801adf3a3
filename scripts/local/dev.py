"""``./scripts/dev``: services, migrations, demo tenants, provider sandbox and the server.

``./scripts/dev``                 start everything; Ctrl-C stops everything
``./scripts/dev --reload``        the same; further arguments go to uvicorn
``./scripts/dev run PROGRAM ...`` run a program with the settings of the running ./scripts/dev
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.local import environment as env
from scripts.local import prepared, services
from scripts.local.console import Failed, step
from scripts.local.processes import (
    Interrupted,
    Running,
    Supervisor,
    hold,
    port_is_free,
)

STATE = env.LOCAL / "dev"
START_SECONDS = 60.0
BELLA_MASSA, LU = "bella-massa", "presentes-da-lu"


@dataclass(frozen=True)
class Listening:
    """Where the server and the sandbox are reached."""

    host: str
    port: int
    sandbox_port: int
    smtp_port: int

    @property
    def url(self) -> str:
        return f"http://{self.reachable}:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def reachable(self) -> str:
        return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104


def listening(outer: Mapping[str, str]) -> Listening:
    """PORT (8000), SANDBOX_PORT (PORT + 100), SANDBOX_SMTP_PORT (PORT + 200), HOST (127.0.0.1).

    A default that is taken moves on to the next free one, so that a second clone just starts; a
    port that was asked for by name and is taken is refused.
    """
    host = outer.get("HOST", "127.0.0.1")
    port = chosen_port(outer, "PORT", 8000, host)
    sandbox_port = chosen_port(outer, "SANDBOX_PORT", port + 100, "127.0.0.1")
    smtp_port = chosen_port(outer, "SANDBOX_SMTP_PORT", port + 200, "127.0.0.1")
    return Listening(host, port, sandbox_port, smtp_port)


def chosen_port(outer: Mapping[str, str], name: str, default: int, host: str) -> int:
    asked = outer.get(name, "")
    if not asked:
        for port in range(default, default + 100):
            if port_is_free(port, host):
                if port != default:
                    print(f"  {name} {default} is taken by another program: using {port}")
                return port
        raise Failed(f"No port from {default} on is free. Name one: {name}=9000 ./scripts/dev")
    if not asked.isdecimal() or not 0 < int(asked) < 65536:
        raise Failed(f"{name}={asked} is not a port. Use a number from 1 to 65535.")
    if not port_is_free(int(asked), host):
        raise Failed(f"Port {asked} is taken by another program. Choose another {name}.")
    return int(asked)


def run_step(title: str, command: list[str], environment: Mapping[str, str], log: Path) -> None:
    """Run a program to its end; its output is kept in ``log`` and shown when it fails."""
    with step(title) as done:
        with log.open("wb") as file:
            code = subprocess.run(
                command, env=environment, cwd=env.ROOT, stdout=file, stderr=file, check=False
            ).returncode
        if code != 0:
            raise Failed(f"{' '.join(command)} failed:\n{log.read_text(errors='replace')[-6000:]}")
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        done.note = lines[-1][:100] if lines else ""


def prepare_database(environment: Mapping[str, str]) -> None:
    """Migrate and seed, unless this very database has seen these very migrations and seed."""
    memory = STATE / "prepared.json"
    url = environment["DATABASE_URL"]
    with step("Database") as done:
        ready = prepared.is_prepared(memory, url)
        done.note = "migrated and seeded already" if ready else "to be migrated and seeded"
    if ready:
        return
    run_step("Migrations", ["scripts/migrate"], environment, STATE / "migrate.log")
    seed = [str(env.PYTHON), "-m", "scripts.seed"]
    run_step("Demo tenants", seed, environment, STATE / "seed.log")
    prepared.remember(memory, url)


def start_sandbox(
    supervisor: Supervisor, at: Listening, environment: Mapping[str, str]
) -> Running | None:
    if not (env.ROOT / "scripts" / "sandbox" / "app.py").exists():
        return None
    log = STATE / "sandbox.log"
    log.unlink(missing_ok=True)
    command = uvicorn("scripts.sandbox.app:app", "127.0.0.1", at.sandbox_port)
    # As vendors do: longer than the application keeps a connection for its next call.
    command += ["--timeout-keep-alive", "75"]
    return supervisor.start(
        "the provider sandbox",
        [*command, "--no-access-log", "--no-proxy-headers", "--no-server-header"],
        mark=" ".join(command),
        environment={
            **environment,
            "SANDBOX_SMTP_PORT": str(at.smtp_port),
            # Whoever types as a customer there is heard here; signed as by the platform's own app.
            "SANDBOX_WHATSAPP_CALLBACK_URL": f"{at.url}/api/v1/webhooks/whatsapp",
            "SANDBOX_WHATSAPP_APP_SECRET": environment.get("WHATSAPP_APP_SECRET", ""),
            "SANDBOX_STRIPE_WEBHOOK_URL": f"{at.url}/api/v1/webhooks/stripe",
            "SANDBOX_STRIPE_WEBHOOK_SECRET": environment.get("STRIPE_WEBHOOK_SECRET", ""),
        },
        directory=env.ROOT,
        log=log,
        grace_seconds=4.0,
    )


def start_server(
    supervisor: Supervisor, at: Listening, environment: Mapping[str, str], arguments: list[str]
) -> Running:
    command = uvicorn("app.main:app", at.host, at.port)
    return supervisor.start(
        "the server",
        [
            *command,
            "--no-access-log",
            "--no-proxy-headers",
            "--no-server-header",
            "--timeout-graceful-shutdown",
            "3",
            *arguments,
        ],
        mark=" ".join(command),
        environment=environment,
        directory=env.ROOT,
    )


def uvicorn(application: str, host: str, port: int) -> list[str]:
    address = ["--host", host, "--port", str(port)]
    fast = ["--loop", "uvloop", "--http", "app.server:ReadyProtocol"]
    return [str(env.PYTHON), "-m", "uvicorn", application, *address, *fast]


def answers(host: str, port: int, path: str) -> bool:
    """Whether an HTTP server answers ``path`` with anything but an error of its own."""
    connection = http.client.HTTPConnection(host.strip("[]"), port, timeout=2.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_for(running: Running, host: str, port: int, path: str, log: Path | None) -> None:
    """Return when ``running`` answers; raises Failed with its log when it ended or stays silent."""
    deadline = time.monotonic() + START_SECONDS
    while running.alive() and time.monotonic() < deadline:
        if answers(host, port, path):
            return
        time.sleep(0.05)
    said = f"The end of {log}:\n{log.read_text(errors='replace')[-4000:]}" if log else "See above."
    raise Failed(f"{running.name} did not start. {said}")


def serve(supervisor: Supervisor, arguments: list[str]) -> int:
    """Start everything in order and stay until the server ends; its exit code."""
    started = time.monotonic()
    outer = env.inherited(env.DEVELOPMENT_FILE)
    at = listening(outer)
    kept = env.kept_secrets(env.DEVELOPMENT_FILE)
    addresses = services.start(
        supervisor,
        STATE,
        kept,
        database_url=outer.get("DATABASE_URL"),
        redis_url=outer.get("REDIS_URL"),
    )
    where = env.Where(
        addresses.database_url,
        addresses.redis_url,
        at.sandbox_url,
        env.LOCAL / "media",
        at.smtp_port,
    )
    values = env.settings(where, kept, "development")
    values["PUBLIC_BASE_URL"] = at.url
    env.save(env.DEVELOPMENT_FILE, values)
    environment = env.for_programs(values, outer)
    sandbox = start_sandbox(supervisor, at, environment)
    prepare_database(environment)
    with step("Server", talks=True) as done:
        server = start_server(supervisor, at, environment, arguments)
        wait_for(server, at.reachable, at.port, "/health", None)
        done.note = at.url
    if sandbox is not None:
        with step("Provider sandbox") as done:
            wait_for(sandbox, "127.0.0.1", at.sandbox_port, "/", STATE / "sandbox.log")
            done.note = at.sandbox_url
    print(greeting(at, environment, time.monotonic() - started), flush=True)
    return watch(supervisor, server)


def watch(supervisor: Supervisor, server: Running) -> int:
    """Wait until the server or something it needs ends; the exit code."""
    while True:
        for running in supervisor.running:
            if running.alive():
                continue
            print(f"{running.name} has ended by itself: stopping the rest", flush=True)
            code = running.process.returncode if running.process else 1
            return (code or 1) if running is not server else code
        time.sleep(0.2)


def greeting(at: Listening, environment: Mapping[str, str], seconds: float) -> str:
    """What a newcomer needs: addresses, logins, a first request."""
    return f"""
Largo serves after {seconds:.1f} s. Ctrl-C stops everything.

  API                {at.url}/api/v1
  Documentation      {at.url}/docs
  Provider sandbox   {at.sandbox_url}   (letters arrive there, too)
  Logins             dono@bellamassa.example        tenant {BELLA_MASSA}
                     dono@presentes-da-lu.example   tenant {LU}
                     password {environment["DEV_PASSWORD"]}
  Settings           .local/dev.env; ./scripts/dev run PROGRAM uses them
  Logs               .local/dev/

Try:
  curl -s '{at.url}/api/v1/catalog?store=vila-madalena' -H 'X-Tenant: {BELLA_MASSA}'
"""


def run_program(arguments: list[str]) -> int:
    """Become a program with the settings of the running ./scripts/dev."""
    values = env.read(env.DEVELOPMENT_FILE)
    if "DATABASE_URL" not in values:
        raise Failed("There are no settings yet: start ./scripts/dev first, then run this again.")
    if not arguments:
        raise Failed("Say what to run: ./scripts/dev run python scripts/import_products.py FILE")
    environment = env.for_programs(values, env.inherited(env.DEVELOPMENT_FILE))
    os.execvpe(arguments[0], arguments, environment)  # noqa: S606 - the person's own command


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["run"]:
        return run_program(arguments[1:])
    services.prepare(STATE)
    lock = hold(env.LOCAL / "dev.lock")
    if lock is None:
        raise Failed("./scripts/dev is running in this clone already. Stop it first.")
    with lock:
        try:
            with Supervisor(STATE / "pids.json") as supervisor:
                return serve(supervisor, arguments)
        except Interrupted as stop:
            print(f"Stopped (signal {stop.number}): nothing is left running.", flush=True)
            return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failed as failure:
        sys.exit(f"\n{failure}")
