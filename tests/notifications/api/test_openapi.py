from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    answer: dict[str, Any] = Client().get("/api/schema/?format=json").json()
    return answer


def test_the_document_is_valid_and_has_no_warnings(tmp_path: Any) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_the_main_calls_have_examples(document: dict[str, Any]) -> None:
    for path, method in (("notifications/", "post"), ("notifications/bulk/", "post"), ("recipients/bulk/", "post")):
        body = document["paths"][f"/api/v1/{path}"][method]["requestBody"]

        assert body["required"]
        assert body["content"]["application/json"]["examples"]


def test_every_operation_names_the_problems_it_can_answer_with(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            assert {"400", "401", "403", "429", "503"} <= set(responses), f"{method} {path}"
            if "requestBody" in operation:
                assert {"413", "415", "422"} <= set(responses), f"{method} {path}"


def test_the_key_is_a_bearer_scheme_and_calls_name_their_scope(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    assert document["paths"]["/api/v1/notifications/"]["post"]["security"] == [{"apiKey": ["notifications:write"]}]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    for reference in references(document):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_the_docs_page_needs_nothing_from_elsewhere() -> None:
    page = Client().get("/api/docs/").content.decode()

    assert "/static/drf_spectacular_sidecar/" in page
    assert "cdn" not in page
