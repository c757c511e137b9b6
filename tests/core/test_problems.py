from datetime import UTC, datetime
from uuid import UUID

import orjson
from django.db import IntegrityError, OperationalError
from rest_framework import exceptions
from rest_framework.test import APIRequestFactory

from core.api.openapi import FieldProblemShape
from core.api.problems import FieldProblem, Invalid, exception_handler, pointer
from core.api.rendering import dumps
from preferences.choices import Channel

CONTEXT = {"request": APIRequestFactory().get("/api/v1/things/")}


def test_a_pointer_escapes_what_rfc_6901_reserves() -> None:
    assert pointer("notifications", 3, "a/b~c") == "/notifications/3/a~1b~0c"
    assert pointer() == ""


def test_a_validation_problem_has_the_members_of_rfc_9457_and_its_errors() -> None:
    response = exception_handler(Invalid([FieldProblem("/recipient", "unknown", "Nobody.")]), CONTEXT)

    assert response is not None
    assert response.status_code == 422
    assert response.data == {
        "type": "urn:carillon:problem:validation",
        "title": "The request has errors",
        "status": 422,
        "detail": "1 error; nothing was changed.",
        "instance": "/api/v1/things/",
        "errors": [{"pointer": "/recipient", "code": "unknown", "detail": "Nobody."}],
    }


def test_a_database_out_of_reach_is_503_and_says_when_to_come_back() -> None:
    response = exception_handler(OperationalError("server closed the connection"), CONTEXT)

    assert response is not None
    assert (response.status_code, response["Retry-After"]) == (503, "5")


def test_a_bug_is_not_dressed_up() -> None:
    assert exception_handler(IntegrityError("duplicate key"), CONTEXT) is None
    assert exception_handler(ZeroDivisionError(), CONTEXT) is None


def test_throttled_says_when_to_come_back() -> None:
    response = exception_handler(exceptions.Throttled(wait=7), CONTEXT)

    assert response is not None
    assert (response.status_code, response["Retry-After"], response.data["type"]) == (
        429,
        "7",
        "urn:carillon:problem:rate-limited",
    )


def test_json_out_knows_ids_times_enums_structs_and_long_integers() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    assert orjson.loads(dumps([UUID(int=1), moment, Channel.PUSH, FieldProblemShape("c", "d")])) == [
        "00000000-0000-0000-0000-000000000001",
        "2026-01-02T03:04:05Z",
        "push",
        {"code": "c", "detail": "d", "pointer": None, "parameter": None},
    ]
    assert dumps({"n": 10**30}) == b'{"n": 1000000000000000000000000000000}'
