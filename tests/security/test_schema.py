"""What the OpenAPI document says is what the API does: requests made from it, good and bad ones, find no 5xx, no status
it doesn't name and no answer of another shape. Seeded and bounded; more examples with SCHEMA_EXAMPLES=200."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.security.surface import Rows, document, operations

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "20"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

KNOWN = {(each.method, each.path): each for each in operations()}
schema = schemathesis.openapi.from_dict(document())
schema.app = get_wsgi_application()
schema.config.generation.update(
    with_security_parameters=False
)  # the credentials are ours; bad ones have their own tests


@pytest.fixture
def rows(db: None) -> Iterator[Rows]:
    """The calls share this test's connection, and so its transaction: as Django's own client, keep it open."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield Rows()
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


#: What a body can name, and what of it exists.
NAMED = {"recipient": "user-42", "category": "orders", "template": "order-shipped"}


def aimed(body: Any) -> Any:
    """The same body, its texts that should name something naming what there is."""
    if isinstance(body, list):
        return [aimed(each) for each in body]
    if not isinstance(body, dict):
        return body
    return {
        name: NAMED[name] if name in NAMED and isinstance(value, str) else aimed(value) for name, value in body.items()
    }


class Turns:
    """Every third case keeps what was made for it; the others hit what exists. By the live key and the test key in
    turn."""

    number = 0

    @classmethod
    def next(cls) -> int:
        cls.number += 1
        return cls.number


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_api_does_what_its_document_says(case: Any, rows: Rows) -> None:
    turn = Turns.next()
    operation = KNOWN[case.operation.method.upper(), case.operation.path]
    if turn % 3:
        case.path_parameters = {name: rows.known(operation.path, name) for name in case.path_parameters or {}}
        case.body = aimed(case.body)

    case.call_and_validate(headers=rows.headers(operation, test=turn % 2 == 0), checks=CHECKS)


def test_every_call_is_tried() -> None:
    tried = {(each.ok().method.upper(), each.ok().path) for each in schema.get_all_operations()}

    assert tried == set(KNOWN)
    assert len(tried) > 30
