"""Vendors' published descriptions, applied strictly to what the sandbox was asked.

They are not ours to copy: ``PROVIDER_SPECS`` names the folder that holds them, by default the
one beside the repository. Vendors' schemas are open, so a misspelt field would pass: here an
object takes what is described and nothing else.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from jsonschema.exceptions import ValidationError, best_match
from openapi_schema_validator import OAS30Validator, OAS31Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.sandbox.forms import nested, shaped

Json = Any
FOLDER = Path(
    os.environ.get("PROVIDER_SPECS", Path(__file__).parents[3] / "shared" / "provider-specs")
)
FORM = "application/x-www-form-urlencoded"

PLAYED: tuple[tuple[str, str], ...] = (
    ("/openai/v1", "openai"),
    ("/anthropic", "anthropic"),
    ("/gemini", "gemini"),
    ("/stripe", "stripe"),
    ("/clicksign/api/v3", "clicksign"),
    ("/hubspot", "hubspot"),
    ("/microsoft/v1.0", "microsoft-graph"),
    ("/microsoft", "oauth"),
    ("/google", "oauth"),
    ("/google", "google"),
    ("/docusign/restapi", "docusign"),
    ("/docusign", "oauth"),
    ("/zoom/v2", "zoom"),
    ("/zoom", "oauth"),
)
"""Where the sandbox plays whom: the path's beginning and the description's file."""

UNDESCRIBED = frozenset(
    {
        # Asked by tests to put a plan on sale, and by the test of a key.
        "POST /stripe/v1/prices",
        "GET /stripe/v1/balance",
        "GET /anthropic/v1/models",
        "GET /gemini/v1beta/models",
        # Asked by browsers.
        "GET /google/o/oauth2/v2/auth",
        "GET /microsoft/common/oauth2/v2.0/authorize",
        "GET /hubspot/oauth/authorize",
        "POST /google/revoke",
        "GET /google/oauth2/v3/userinfo",
        "POST /hubspot/oauth/v3/token/revoke",
        "POST /hubspot/oauth/v3/token/introspect",
    }
)
"""The folder holds a selection of each vendor's paths; these exist and are not in it."""
UNDESCRIBED_UNDER = ("/stripe/v1/payment_intents", "/stripe/v1/refunds/")
"""Neither is anything under these."""


@dataclass(frozen=True)
class Asked:
    """One request as it came over the wire; the names of headers in small letters."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]
    body: str


def is_there() -> bool:
    """Whether there are descriptions to hold requests against."""
    return (FOLDER / "stripe.json").is_file()


def faults(asked: Asked) -> list[str]:
    """What the vendor's description says against a request to the sandbox; empty: nothing."""
    path = urlsplit(asked.path).path
    known = [(prefix, file) for prefix, file in PLAYED if path.startswith(f"{prefix}/")]
    is_left_out = f"{asked.method} {path}" in UNDESCRIBED or path.startswith(UNDESCRIBED_UNDER)
    if not known or is_left_out:
        return []
    for prefix, file in known:
        found = description(file).operation(asked.method, path.removeprefix(prefix))
        if found is not None:
            return [f"{asked.method} {path}: {fault}" for fault in found.faults(asked)]
    return [f"{asked.method} {path}: no such path"]


@cache
def description(file: str) -> Description:
    document = json.loads((FOLDER / f"{file}.json").read_text())
    if file == "anthropic":  # of its two kinds of request the one that is not streamed is described
        asked = document["components"]["schemas"]["MessageCreateParams"]
        asked["properties"]["stream"] = {"type": "boolean"}
    return Description(document)


class Description:
    """One OpenAPI document."""

    def __init__(self, document: Json) -> None:
        self.document = _closed(document)
        self.validator = OAS30Validator if document["openapi"].startswith("3.0") else OAS31Validator
        resource = DRAFT202012.create_resource(self.document)
        self.registry: Registry[Json] = Registry().with_resource("urn:description", resource)
        # Longest first: /files/{id}/copy before /files/{id}.
        self._paths = [
            (re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path))), path)
            for path in sorted(self.document["paths"], key=len, reverse=True)
        ]

    def operation(self, method: str, path: str) -> Operation | None:
        """What is described for it. A streamed answer is asked for at a path of its own."""
        path = path.replace(":streamGenerateContent", ":generateContent")
        for pattern, template in self._paths:
            found = self.document["paths"][template]
            if pattern.fullmatch(unquote(path)) and method.lower() in found:
                return Operation(self, template, method.lower())
        return None

    def check(self, pointer: str, value: Json) -> Iterator[ValidationError]:
        """What is wrong with ``value`` under the schema at ``pointer``."""
        schema = {"$ref": f"urn:description#{pointer}"}
        found: Iterator[ValidationError] = self.validator(
            schema, registry=self.registry
        ).iter_errors(value)
        return found


@dataclass(frozen=True)
class Operation:
    """One method at one path."""

    of: Description
    path: str
    method: str

    @cached_property
    def described(self) -> Json:
        return self.of.document["paths"][self.path][self.method]

    @property
    def pointer(self) -> str:
        return f"/paths/{_escaped(self.path)}/{self.method}"

    def faults(self, asked: Asked) -> Iterator[str]:
        """What is wrong with its parameters and its body, in words."""
        yield from self._parameters(asked)
        yield from self._body(asked)

    def _parameters(self, asked: Asked) -> Iterator[str]:
        given = {
            "query": dict(parse_qsl(urlsplit(asked.path).query, keep_blank_values=True)),
            "header": dict(asked.headers),
        }
        described = [
            self.resolved(parameter)
            for parameter in [
                *self.of.document["paths"][self.path].get("parameters", []),
                *self.described.get("parameters", []),
            ]
        ]
        for parameter in described:
            values = given.get(parameter["in"])
            name = parameter["name"]
            name = name.lower() if parameter["in"] == "header" else name
            if values is None:
                continue
            if name not in values:
                if parameter.get("required"):
                    yield f"{parameter['in']} {name} is missing"
                continue
            schema = parameter.get("schema", {})
            for error in self.of.validator(schema, registry=self.of.registry).iter_errors(
                shaped(values[name], schema, self.resolved)
            ):
                yield f"{parameter['in']} {name}: {_words(error)}"
        names = {parameter["name"] for parameter in described if parameter["in"] == "query"}
        # Stripe's description names no parameters of what is read.
        strange = sorted(given["query"].keys() - names) if names else []
        yield from (f"query {name} is unknown" for name in strange)

    def _body(self, asked: Asked) -> Iterator[str]:
        described = self.described.get("requestBody") or {}
        pointer = described.get("$ref", f"#{self.pointer}/requestBody").removeprefix("#")
        described = self.resolved(described)
        content = described.get("content", {})
        if not asked.body:
            if described.get("required"):
                yield "the body is missing"
            return
        kind = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not content:
            yield "there is a body, and none is described"
        elif kind not in content and "*/*" not in content:
            yield f"the body is {kind or 'of no kind'}, described are {', '.join(sorted(content))}"
        elif kind.endswith("json") or kind == FORM:
            named = kind if kind in content else "*/*"
            place = f"{pointer}/content/{_escaped(named)}/schema"
            schema = content[named].get("schema", {})
            try:
                body = self._read(kind, asked.body, schema)
            except ValueError as error:
                yield f"the body cannot be read: {error}"
            else:
                yield from map(_words, self.of.check(place, body))

    def _read(self, kind: str, raw: str, schema: Json) -> Json:
        return nested(raw, schema, self.resolved) if kind == FORM else json.loads(raw)

    def resolved(self, schema: Json) -> Json:
        """What a local reference stands for."""
        while isinstance(schema, dict) and "$ref" in schema:
            found = self.of.document
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
            schema = found
        return schema


def _words(error: ValidationError) -> str:
    # Of a choice, the branch that comes nearest says more than that none fits.
    nearest = best_match([error]) or error
    return f"{nearest.json_path}: {nearest.message[:300]}"


def _escaped(step: str) -> str:
    # As a fragment of a URI.
    return step.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


_COMPOSED = ("allOf", "anyOf", "oneOf", "additionalProperties", "unevaluatedProperties")


def _closed(document: Json) -> Json:
    """The same document whose objects take nothing that is not described."""
    found = copy.deepcopy(document)
    parts = _references_of_parts(found)
    for name, schema in found.get("components", {}).get("schemas", {}).items():
        _close(schema, is_part=f"#/components/schemas/{name}" in parts)
    for body in _bodies(found):
        for media in body.get("content", {}).values():
            _close(media.get("schema", {}), is_part=False)
    return found


def _bodies(document: Json) -> Iterator[Json]:
    yield from document.get("components", {}).get("requestBodies", {}).values()
    for item in document["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict):
                yield operation.get("requestBody") or {}


def _references_of_parts(node: Json) -> set[str]:
    """What stands in an ``allOf``: closed, it would refuse what the other parts take."""
    found: set[str] = set()
    for child in _children(node):
        found |= _references_of_parts(child)
    if isinstance(node, dict):
        found |= {p["$ref"] for p in node.get("allOf", ()) if isinstance(p, dict) and "$ref" in p}
    return found


def _children(node: Json) -> list[Json]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []


def _close(schema: Json, *, is_part: bool) -> None:
    if not isinstance(schema, dict):
        return
    for child in schema.get("allOf", ()):
        _close(child, is_part=True)
    for child in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        _close(child, is_part=is_part or "properties" in schema)
    inside = [*schema.get("properties", {}).values(), schema.get("items")]
    for child in (*inside, schema.get("additionalProperties")):
        _close(child, is_part=False)
    if is_part:
        return
    if "allOf" in schema:
        schema["unevaluatedProperties"] = False
    elif schema.get("properties") and not any(word in schema for word in _COMPOSED):
        schema["additionalProperties"] = False
