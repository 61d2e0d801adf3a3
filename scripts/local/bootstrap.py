"""Make .venv equal to the hashed lock file, then run a module of scripts/local in it.

Runs before anything is installed, so it uses the standard library alone. It installs with uv
(seconds) and falls back to pip (a minute) where uv cannot be had or cannot reach the index.
"""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements-dev.lock"
INSTALLER_LOCK = ROOT / "scripts" / "local" / "installer.lock"
STAMP = VENV / "largo-lock.sha256"

# What pip is told about where packages come from, and the name uv reads the same fact under.
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}


def wanted() -> tuple[str, str]:
    """What .venv must be: its place and Python, and the fingerprint of what it must hold."""
    place = f"{sys.version_info[0]}.{sys.version_info[1]} {ROOT}"
    return place, hashlib.sha256(LOCK.read_bytes()).hexdigest()


def found() -> tuple[str, str]:
    """The same two facts about the .venv that is there; empty when unknown."""
    place, _, held = STAMP.read_text().strip().partition("\n") if STAMP.exists() else ("", "", "")
    return place, held


def pip_configuration() -> dict[str, str]:
    """pip's effective options by plain name; a later source (environment) wins over files."""
    listed = subprocess.run(
        [PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    options: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if not value or (section == ":env:" and option not in UV_NAMES):
            continue
        if section == ":env:" or option not in options:
            options[option] = str(ast.literal_eval(value))
    return options


def uv_environment() -> dict[str, str]:
    """The environment in which uv finds the registry that pip is configured for."""
    environment = dict(os.environ)
    for option, value in pip_configuration().items():
        name = UV_NAMES.get(option)
        if name is None or environment.get(name):
            continue
        separator = "," if name == "UV_FIND_LINKS" else " "
        environment[name] = separator.join(value.split())
    # Every file's hash is checked, so the best version may come from any configured index.
    environment.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    environment.setdefault("UV_PYTHON_DOWNLOADS", "never")
    environment.setdefault("UV_LINK_MODE", "copy")
    return environment


def make_venv() -> None:
    """Create .venv with pip in it.

    Raises:
        SystemExit: this Python cannot make virtual environments; the message says what to install.
    """
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run(
        [sys.executable, "-m", "venv", VENV], capture_output=True, text=True, check=False
    )
    if made.returncode == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    sys.exit(
        f"{sys.executable} cannot make a virtual environment.\n"
        f"  Debian, Ubuntu:  apt install python3-venv   (or python{version}-venv)\n"
        "  then run this command again.\n\n"
        f"What it said:\n{made.stdout}{made.stderr}"
    )


def install() -> str:
    """Install the lock and answer with which tool; pip is the slower fallback."""
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    hashed = [*pip, "--require-hashes", "-r"]
    fetched = subprocess.run([*hashed, INSTALLER_LOCK], capture_output=True, text=True, check=False)
    if fetched.returncode == 0:
        synced = subprocess.run(
            [PYTHON, "-m", "uv", "pip", "sync", "-q", "--python", PYTHON, "--require-hashes", LOCK],
            env=uv_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if synced.returncode == 0:
            return "uv"
        print(f"  uv could not install ({last_line(synced.stderr)}); using pip, which takes longer")
    else:
        print(f"  uv is not to be had ({last_line(fetched.stderr)}); using pip, which takes longer")
    if subprocess.run([*hashed, LOCK], check=False).returncode != 0:
        sys.exit(
            "The packages of requirements-dev.lock could not be installed; pip says why above.\n"
            "Check the network and `pip config list`, then run this command again."
        )
    return "pip"


def last_line(text: str) -> str:
    """The last line with words in it, short enough for one line of ours."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:160] if lines else "no message"


def usable() -> bool:
    """Whether packages can be installed into the .venv that is there (pip answers)."""
    if not PYTHON.exists():
        return False
    asked = subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False)
    return asked.returncode == 0


def leave_venv() -> None:
    """Go on under the Python that .venv was made from, so that .venv can be made anew."""
    if sys.prefix == sys.base_prefix:
        return
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    base = str(Path(sys.base_prefix) / "bin" / name)
    shutil.rmtree(VENV)
    os.execv(base, [base, "-P", *sys.argv])  # noqa: S606 - no shell wanted


def ensure_environment() -> None:
    """Bring .venv up to date; says so only when there is something to do."""
    place, held = wanted()
    old_place, old_held = found()
    if (old_place, old_held) == (place, held) and PYTHON.exists():
        return
    started = time.monotonic()
    moved = old_place not in ("", place)
    anew = moved or not usable()
    if anew:
        leave_venv()
    print(f"Python packages: installing {LOCK.name} into .venv", flush=True)
    if anew:
        make_venv()
    STAMP.unlink(missing_ok=True)
    tool = install()
    STAMP.write_text(f"{place}\n{held}\n")
    print(f"Python packages: done with {tool} in {time.monotonic() - started:.1f} s", flush=True)


def main() -> None:
    """Prepare the environment and become ``python -m scripts.local.<first argument>``."""
    ensure_environment()
    os.chdir(ROOT)
    # Without compiled modules every start would compile a thousand of them: seconds each time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    module = f"scripts.local.{sys.argv[1]}"
    os.execv(PYTHON, [str(PYTHON), "-m", module, *sys.argv[2:]])  # noqa: S606 - no shell wanted


if __name__ == "__main__":
    main()
