"""What dies is nothing: requests that no sane client makes are refused, with where the fault is, and cost nobody."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.client import Answer, Client, draft
from tests.faults.stack import Stack

pytestmark = pytest.mark.django_db(transaction=True)

ONE = "/api/v1/notifications/"
MANY = "/api/v1/notifications/bulk/"


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    _, made = stack.api()
    made.ready()
    yield made
    good = made.call("POST", ONE, draft("person-1", "email"))
    assert good.status == 202  # the process is as well as before
    assert stack.one("SELECT count(*) FROM notifications_notification") == 1


def pointers(answer: Answer) -> list[str]:
    return [error["pointer"] for error in answer.body["errors"]]


def nested(levels: int) -> Any:
    document: Any = "leaf"
    for _ in range(levels):
        document = {"a": document}
    return document


def test_what_no_sane_client_sends_is_refused_with_where_the_fault_is(client: Client):
    large = client.call("POST", ONE, b'{"recipient": "' + b"x" * 10_000_000 + b'"}')
    assert (large.status, large.body["type"]) == (413, "urn:carillon:problem:body-too-large")

    crowd = client.call("POST", MANY, {"notifications": [{"recipient": "person-1"}] * 10_000})
    assert crowd.status == 422
    assert pointers(crowd) == ["/notifications"]

    deep = client.call("POST", ONE, draft("person-1", "email", data=nested(50)))
    assert deep.status == 422
    assert pointers(deep)[0].startswith("/data/a/a/a")

    bottomless = client.call("POST", ONE, b'{"data":' * 100_000 + b"1" + b"}" * 100_000)
    assert bottomless.status in {400, 422}

    nul = client.call("POST", ONE, draft("person-1", "email", data={"note": "a\x00b"}))
    assert nul.status == 422
    assert pointers(nul) == ["/data/note"]

    surrogate = client.call("POST", ONE, b'{"recipient": "person-1", "data": {"note": "\\ud800"}}')
    assert surrogate.status == 422
    assert pointers(surrogate) == ["/data/note"]

    latin = client.call("POST", ONE, '{"recipient": "Zoë"}'.encode("latin-1"))
    assert latin.status == 400
