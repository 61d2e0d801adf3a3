"""Rules that a reader of any file may rely on, checked on the text and its syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.architecture.sources import ROOT, Source, committed, functions, imports, of_app, python

LONGEST_FILE = 400
LONGEST_FUNCTION = 40

TRANSACTIONS = {"app/kernel/work.py", "app/core/database.py"}
CLOCK = {"app/core/clock.py"}
ENVIRONMENT = {"app/core/settings.py"}
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "shared"}
SERVER_DEFAULTS = "models"
"""In models, ``text`` writes a constant default or the condition of a partial index."""

OWNER_SQL = {
    "app/kernel/idempotency.py": "its table's model stands next to its dependency",
}
"""Modules besides core and models that may call ``text``."""


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def _attributes(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node), node.lineno


def _is_migration(source: Source) -> bool:
    return source.where.startswith("alembic/")


def test_files_are_short() -> None:
    long = {
        source.where: lines
        for source in python()
        if not _is_migration(source) and (lines := len(source.text.splitlines())) > LONGEST_FILE
    }
    assert not long, f"split them by what they are about: {long}"


def test_functions_are_short() -> None:
    long = [
        f"{source.where}:{f.lineno} {f.name}"
        for source in of_app()
        for f in functions(source.tree)
        if (f.end_lineno or 0) - f.lineno + 1 > LONGEST_FUNCTION
    ]
    assert not long, long


def test_imports_stand_at_the_top() -> None:
    late = [
        f"{source.where}:{node.lineno}"
        for source in python()
        for f in functions(source.tree)
        for node in ast.walk(f)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not late, late


def test_every_module_says_what_it_is_for() -> None:
    mute = [
        source.where
        for source in python()
        if source.text.strip() and ast.get_docstring(source.tree) is None
    ]
    assert not mute, mute


def test_names_say_something() -> None:
    vague = [
        source.where
        for source in python()
        if VAGUE & set(source.path.relative_to(ROOT).with_suffix("").parts)
    ]
    assert not vague, f"a module is named for what it holds: {vague}"


def test_nobody_but_work_ends_a_transaction() -> None:
    found = [
        f"{source.where}:{call.lineno} {name}"
        for source in of_app()
        if source.where not in TRANSACTIONS
        for name, call in _calls(source.tree)
        if name.endswith((".commit", ".rollback", "session.begin"))
    ]
    assert not found, found


def test_time_comes_from_the_clock() -> None:
    forbidden = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")
    found = [
        f"{source.where}:{call.lineno} {name}"
        for source in of_app()
        if source.where not in CLOCK
        for name, call in _calls(source.tree)
        if name.endswith(forbidden)
    ]
    assert not found, found


def test_only_settings_read_the_environment() -> None:
    found = [
        f"{source.where}:{line} {name}"
        for source in of_app()
        if source.where not in ENVIRONMENT
        for name, line in _attributes(source.tree)
        if name in ("os.environ", "os.environb", "os.getenv", "os.putenv")
    ]
    assert not found, found


def test_the_product_prints_nothing() -> None:
    found = [
        f"{source.where}:{call.lineno}"
        for source in of_app()
        for name, call in _calls(source.tree)
        if name in ("print", "pprint")
    ]
    assert not found, found


def test_written_sql_is_where_it_is_looked_for() -> None:
    found = [
        f"{source.where}:{line}"
        for source in of_app()
        if source.path.stem != SERVER_DEFAULTS
        and not source.where.startswith("app/core/")
        and source.where not in OWNER_SQL
        for name, line in imports(source.tree)
        if name in ("sqlalchemy.text", "sqlalchemy.sql.text")
    ]
    assert not found, found


def test_models_write_constants_only() -> None:
    for source in of_app():
        if source.path.stem == SERVER_DEFAULTS:
            for name, call in _calls(source.tree):
                if name == "text":
                    assert isinstance(call.args[0], ast.Constant), f"{source.where}:{call.lineno}"


def test_nobody_sets_the_scope_by_hand() -> None:
    # A statement that sets the tenant and reads in one go saw the tenant before it (spec B.1).
    word = "set_" + "config"
    found = [s.where for s in of_app() if word in s.text and s.where != "app/core/database.py"]
    assert not found, found
    named = [s.where for s in of_app() if "app.tenant" + "_id" in s.text]
    assert set(named) <= {"app/core/database.py", "app/core/ddl.py"}, named


def test_failures_are_problems() -> None:
    found = [
        f"{source.where}:{line}"
        for source in of_app()
        if not source.where.startswith("app/core/")
        for name, line in imports(source.tree)
        if name.endswith(".HTTPException")
    ]
    assert not found, found


def test_alembic_is_no_package() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists(), "it would shadow the library"


FOREIGN = re.compile(
    "|".join(
        (
            r"(?<![\w./])/(?:work|root|home/\w+|Users/\w+|mnt/\w+)/",
            r"pypi\." + r"org|files\.python" + r"hosted\.org|--(?:extra-)?index" + r"-url",
            r"regi" + r"stry\.npmjs|proxy\.golang",
            r"\b(?:lla" + r"ma|chat" + r"gpt|clau" + r"de|cop" + r"ilot)\b",
        )
    ),
    re.IGNORECASE,
)
"""Paths of one machine, package registries, and tools that wrote the code instead of it."""


def test_the_repository_speaks_of_the_product_alone() -> None:
    found = []
    for path in committed():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number} {hit.group()}"
            for number, line in enumerate(text.splitlines(), 1)
            if (hit := FOREIGN.search(line))
        ]
    assert not found, found


def test_lock_files_are_hashed() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "scripts/local/installer.lock"):
        lines = (ROOT / name).read_text().splitlines()
        pinned = [n for n, line in enumerate(lines) if re.match(r"[A-Za-z0-9_.\[\]-]+==", line)]
        assert pinned, name
        for number in pinned:
            following = lines[number + 1] if number + 1 < len(lines) else ""
            hashed = "--hash=" in lines[number] or "--hash=" in following
            assert hashed, f"{name}:{number + 1} has no hash"
