"""Hooks of schemathesis: half of what it makes up names real objects and starts from an example.

Made-up ids find nothing and made-up addresses are refused at the door; with these the fuzzer
gets to the code behind both. Loaded by ``SCHEMATHESIS_HOOKS``; what to name is in the JSON file
that ``FUZZ_FACTS`` names, written by ``test_fuzz``.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4
from zlib import crc32

import schemathesis
from schemathesis import Case, HookContext, Response

_FACTS: dict[str, Any] = json.loads(Path(os.environ["FUZZ_FACTS"]).read_text())
_ANSWERS = Path(_FACTS["answers"])
_spent: dict[str, Iterator[str]] = {
    label: itertools.cycle(tokens) for label, tokens in _FACTS["spent"].items()
}
"""Tokens for the routes that end the session which calls them: each call brings its own."""


@schemathesis.hook
def map_case(context: HookContext, case: Case[Any]) -> Case[Any]:
    """Put real ids and an example's fields into some cases: always the same for the same case."""
    label = case.operation.label
    dice = crc32(repr((case.path_parameters, case.query, case.body)).encode())
    real = _FACTS["paths"].get(label, {})
    named = set(map(str, case.path_parameters.values()))
    # Answers show the owner's own ids too, and the fuzzer tries what it has seen.
    suicidal = case.method != "GET" and named & set(_FACTS["own"])
    if case.path_parameters and (dice & 3 or suicidal):
        case.path_parameters.update(real)
    if case.query and dice & 4:
        known = _FACTS["in_body"].keys() & case.query.keys()
        case.query.update({name: _FACTS["in_body"][name] for name in known})
    example = _FACTS["bodies"].get(label)
    if isinstance(example, dict) and isinstance(case.body, dict) and dice & 24:
        case.body = _near(example, case.body, dice >> 5)
    if isinstance(case.body, dict) and str(case.body.get("base_url")).startswith("http"):
        # A number moved to an address of nobody's would have all routes of its vendor's fail.
        case.body["base_url"] = _FACTS["vendor"]
    return case


def _near(example: dict[str, Any], made_up: dict[str, Any], dice: int) -> dict[str, Any]:
    """The example with one field as it was made up."""
    found = dict(example)
    names = sorted(made_up, key=str)
    if names and dice & 7:
        name = names[dice // 8 % len(names)]
        found[name] = made_up[name]
    return found


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Log in, whatever credentials were made up; mostly with a good Idempotency-Key."""
    made_up = repr(case.headers).encode()
    spent = _spent.get(case.operation.label)
    token = _FACTS["token"] if spent is None else next(spent)
    case.headers["X-Tenant"] = _FACTS["tenant"]
    case.headers["Authorization"] = f"Bearer {token}"
    if crc32(made_up) & 3:
        case.headers["Idempotency-Key"] = uuid4().hex
    if "/ucp/" in case.operation.label:
        case.headers["UCP-Agent"] = f'profile="{_FACTS["platform"]}"'
    for name in ("X-Tenant-Id", "X-Api-Key"):
        case.headers.pop(name, None)


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    """Note every answer, so that the test can tell what was reached."""
    with _ANSWERS.open("a") as file:
        file.write(f"{case.operation.label}\t{response.status_code}\n")
