"""Forms with brackets, ``a[b][0][c]=1``, as the nested values that they stand for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

Json = Any
Resolve = Callable[[Json], Json]


def nested(raw: str, schema: Json, resolve: Resolve) -> Json:
    """The form's values, each of the type that ``schema`` has for it."""
    found: dict[str, Json] = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        steps = [step.rstrip("]") for step in name.split("[")]
        place = found
        for step in steps[:-1]:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise ValueError(f"{name} is both a value and an object")
        place[steps[-1]] = value
    return shaped(found, schema, resolve)


def shaped(value: Json, schema: Json, resolve: Resolve) -> Json:
    """A text as the number or the flag that is meant, a map of numbers as a list; or as it is."""
    schema = resolve(schema)
    if not isinstance(schema, dict):
        return value
    choices = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    if isinstance(value, dict):
        return _object(value, schema, choices, resolve)
    for kind in _types(schema):
        found = _typed(value, kind)
        if found is not None:
            return found
    for choice in choices:
        found = shaped(value, choice, resolve)
        if found != value:
            return found
    return value


def _object(value: Json, schema: Json, choices: list[Json], resolve: Resolve) -> Json:
    options = [schema, *(resolve(choice) for choice in choices)]
    lists = [o["items"] for o in options if "items" in o]
    if lists and all(key.isdecimal() or not key for key in value):
        rows = sorted(value, key=lambda key: int(key or 0))
        return [shaped(value[row], lists[0], resolve) for row in rows]
    fields: dict[str, Json] = {}
    for option in options:
        fields |= option.get("properties", {})
    other: Json = next(
        (o["additionalProperties"] for o in options if "additionalProperties" in o), {}
    )
    return {key: shaped(part, fields.get(key, other), resolve) for key, part in value.items()}


def _types(schema: Json) -> list[str]:
    found = schema.get("type", [])
    return found if isinstance(found, list) else [found]


def _typed(value: str, kind: str) -> Json:
    if kind in ("integer", "number", "boolean"):
        try:
            found = json.loads(value)
        except ValueError:
            return None
        wanted = {"integer": (int,), "number": (int, float), "boolean": (bool,)}[kind]
        return found if isinstance(found, wanted) else None
    return None
