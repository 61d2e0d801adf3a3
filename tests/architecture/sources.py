"""What the repository's files are and what a module imports, read from its syntax tree."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "app"


@dataclass(frozen=True)
class Source:
    """One Python file: its path from the root, dotted name, text and tree."""

    path: Path
    name: str
    text: str
    tree: ast.Module

    @property
    def where(self) -> str:
        return self.path.relative_to(ROOT).as_posix()


@lru_cache(maxsize=1)
def committed() -> tuple[Path, ...]:
    """Every file that is or may be committed; without git (an archive), every file outside dots."""
    found = _known_to_git() or _walked()
    return tuple(sorted(path for path in found if path.is_file()))


def _known_to_git() -> list[Path]:
    git = shutil.which("git")
    if git is None:
        return []
    listed = subprocess.run(  # noqa: S603 - fixed arguments
        [git, "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def _walked() -> list[Path]:
    return [
        path
        for path in ROOT.rglob("*")
        if not any(part in (".venv", ".local", "__pycache__") for part in path.parts)
        and not any(part.endswith("_cache") for part in path.parts)
    ]


@lru_cache(maxsize=1)
def python() -> tuple[Source, ...]:
    """Every Python file of the repository."""
    return tuple(_source(path) for path in committed() if path.suffix == ".py")


def of_app() -> tuple[Source, ...]:
    """The product's own modules."""
    return tuple(source for source in python() if source.path.is_relative_to(APP))


def _source(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Source(path, name, text, ast.parse(text, str(path)))


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Dotted names that a module imports, with their lines; ``from a import b`` gives ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method, nested ones too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
