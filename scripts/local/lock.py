"""``./scripts/lock``: make the hashed lock files anew from pyproject.toml.

``./scripts/lock``                             take up what pyproject.toml newly asks for
``./scripts/lock --upgrade``                   and everything's newest version
``./scripts/lock --upgrade-package sqlalchemy`` or one package's
"""

from __future__ import annotations

import re
import subprocess
import sys

from scripts.local.bootstrap import INSTALLER_LOCK, LOCK, uv_environment
from scripts.local.console import Failed, step
from scripts.local.environment import PYTHON, ROOT

RUNTIME_LOCK = ROOT / "requirements.lock"
OPTIONS = ["--universal", "--python-version", "3.11", "--generate-hashes", "--quiet"]
UNSAID = ["--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]


def compile_lock(target: str, arguments: list[str], source: str = "") -> None:
    """Resolve ``source`` or what ``arguments`` name into the lock file ``target``.

    Raises:
        Failed: it cannot be resolved, or the file would name a registry.
    """
    command = [str(PYTHON), "-m", "uv", "pip", "compile", *OPTIONS, *UNSAID, *arguments]
    with step(target) as done:
        ran = subprocess.run(
            [*command, "--output-file", target],
            env={**uv_environment(), "UV_CUSTOM_COMPILE_COMMAND": "./scripts/lock"},
            input=source,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise Failed(f"{target} could not be made:\n{ran.stderr}")
        text = (ROOT / target).read_text()
        if re.search(r"https?:|file:|^--", text, re.MULTILINE):
            raise Failed(f"{target} names an address of this machine; it must not: remove it.")
        done.note = f"{len(re.findall(r'^[a-z0-9].*==', text, re.MULTILINE))} packages"


def need_uv() -> None:
    """Raises Failed when .venv has no uv: pip resolves for one Python only, so it cannot lock."""
    asked = subprocess.run([PYTHON, "-m", "uv", "--version"], capture_output=True, check=False)
    if asked.returncode != 0:
        raise Failed("Locking needs uv. Install it: .venv/bin/python -m pip install uv")


def main(arguments: list[str]) -> None:
    need_uv()
    compile_lock(LOCK.name, ["pyproject.toml", "--group", "dev", *arguments])
    # The runtime's versions are those that the suite ran with.
    compile_lock(RUNTIME_LOCK.name, ["pyproject.toml", "-c", LOCK.name, *arguments])
    compile_lock(str(INSTALLER_LOCK.relative_to(ROOT)), ["-", *arguments], "uv\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failed as failure:
        sys.exit(f"\n{failure}")
