"""The OpenAPI document is valid, has an example for everything, and says who may call what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.core.problems import CATALOGUE, MEDIA_TYPE
from app.main import Largo
from tests.architecture.routes import endpoints, operations

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document(app: Largo) -> Document:
    return app.api.openapi()


def _resolved(document: Document, schema: Document) -> Document:
    while "$ref" in schema:
        found: Document = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _bodies(document: Document) -> Iterator[tuple[str, str, Document]]:
    for name, operation in operations(document):
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            yield name, media, content


def test_document_is_valid(document: Document) -> None:
    assert document["openapi"].startswith("3.1")
    errors = [
        f"{'/'.join(map(str, error.path))}: {error.message}"
        for error in OpenAPIV31SpecValidator(document).iter_errors()
    ]
    assert not errors, errors


FORMS = {"POST /api/v1/open-delivery/oauth/token": "RFC 6749 §4.4.2"}
"""What others' standards send as the forms of browsers."""


def test_every_body_has_an_example(document: Document) -> None:
    for name, media, content in _bodies(document):
        if media != "application/json":
            is_form = media == "multipart/form-data" or name in FORMS
            assert is_form or media.startswith("image/"), f"{name} takes {media}"
            continue
        schema = _resolved(document, content["schema"])
        examples = schema.get("examples") or content.get("examples") or content.get("example")
        assert examples, f"{name} shows nobody what to send"


def test_every_example_has_only_known_fields(document: Document) -> None:
    for name, _, content in _bodies(document):
        schema = _resolved(document, content["schema"])
        kinds, shown = schema.get("discriminator"), schema.get("examples", ())
        if schema.get("type") == "array":
            schema, shown = _resolved(document, schema["items"]), shown[0]
        for example in shown:
            if kinds is not None:
                of_kind = {"$ref": kinds["mapping"][example[kinds["propertyName"]]]}
                schema = _resolved(document, of_kind)
            unknown = set(example) - set(schema["properties"])
            assert not unknown, f"{name}: {unknown}"
            missing = set(schema.get("required", ())) - set(example)
            assert not missing, f"{name}: {missing}"


def test_every_refusal_has_an_example(document: Document) -> None:
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            if not status.startswith(("4", "5")):
                continue
            examples = answer["content"][MEDIA_TYPE]["examples"]
            assert examples, f"{name} {status}"
            for code, example in examples.items():
                value = example["value"]
                assert value["code"] == code, f"{name} {status}"
                assert value["status"] == int(status), f"{name} {status}"
                assert code in CATALOGUE, f"{name} {status}"


def test_operation_ids_are_unique_and_stable(document: Document) -> None:
    ids = Counter(operation["operationId"] for _, operation in operations(document))
    assert max(ids.values()) == 1, [i for i, n in ids.items() if n > 1]
    assert all(i.isidentifier() and i == i.lower() for i in ids), sorted(ids)


def test_gated_routes_declare_their_security(app: Largo, document: Document) -> None:
    declared = dict(operations(document))
    for route in endpoints(app.api):
        person: list[Document] = [{"bearer": []}, {"cookie": []}]
        # Only what is granted by name may be granted to an API key.
        able = [*person, {"api_key": []}] if route.grant else person
        expected = None if route.is_public else able
        assert declared[route.name].get("security") == expected, route.name


def test_two_builds_give_the_same_document(app: Largo, document: Document) -> None:
    app.api.openapi_schema = None
    assert app.api.openapi() == document


async def test_document_is_served(app: Largo, anonymous: Any) -> None:
    answer = await anonymous.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["paths"].keys() == app.api.openapi()["paths"].keys()
