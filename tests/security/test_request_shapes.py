"""Requests of 10 MB, of 10,000 items, 50 levels deep, with NUL characters and half surrogates: 413, or 422 with a
pointer, and never a 500, on every call that takes a body; and the same foolishness in queries, paths and headers."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from tests.api import Api
from tests.security.surface import Operation, Rows, operations
from tests.security.wire import Web

pytestmark = pytest.mark.django_db

WRITES = [each for each in operations() if each.method in {"POST", "PUT", "PATCH"}]
WITH_BODY = [each for each in WRITES if each.takes_body]
READS = [each for each in operations() if each.method == "GET"]
TEN_MB = 10 * 1024 * 1024
#: Names of arrays and objects that some call knows, so that a shape is met by more than "unknown field".
NAMES = ["notifications", "recipients", "preferences", "channels", "data", "metadata", "content", "attributes", "token"]


@pytest.fixture
def rows(db: None) -> Rows:
    return Rows()


def send(rows: Rows, operation: Operation, body: bytes, **headers: str) -> HttpResponse:
    client = Client(headers=rows.headers(operation))
    client.raise_request_exception = False
    return client.generic(  # type: ignore[return-value]
        operation.method, rows.fill(operation.path), body, content_type="application/json", headers=headers
    )


def refused(answer: HttpResponse) -> None:
    """413, or 422 with at least one fault that has its place."""
    assert answer.status_code in {413, 422}, answer.content[:500]
    problem = json.loads(answer.content)
    assert problem["status"] == answer.status_code
    if answer.status_code == 422:
        assert problem["errors"]
        assert all("pointer" in error for error in problem["errors"])
    connection.ensure_connection()


def nested(levels: int, leaf: Any = 1) -> Any:
    for number in range(levels):
        leaf = [leaf] if number % 2 else {"a": leaf}
    return leaf


def shapes() -> Iterator[tuple[str, bytes]]:
    yield "10 MB in one text", json.dumps({"data": "x" * TEN_MB}).encode()
    yield "10 MB of white space", b" " * TEN_MB + b"{}"
    yield "10,000 items", json.dumps([{}] * 10_000).encode()
    yield "10,000 items by name", json.dumps({name: [{}] * 10_000 for name in NAMES}).encode()
    yield "10,000 names", json.dumps({f"name-{n}": n for n in range(10_000)}).encode()
    yield "50 levels", json.dumps(nested(50)).encode()
    yield "50 levels by name", json.dumps({name: nested(50) for name in NAMES}).encode()
    yield "100,000 levels", b"[" * 100_000 + b"]" * 100_000
    yield "100,000 levels by name", b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    yield "NUL", json.dumps(dict.fromkeys(NAMES, "a\x00b")).encode()
    yield "NUL in a name", json.dumps({"a\x00b": 1}).encode()
    yield "NUL alone", b'"\\u0000"'
    yield "half a surrogate", json.dumps(dict.fromkeys(NAMES, "a\ud800b")).encode()
    yield "half a surrogate inside", json.dumps({"data": {"list": [{"x": "\udfff"}]}}).encode()
    yield "half a surrogate in a name", b'{"a\\ud83d": {"\\udc00": 1}}'
    yield "half a surrogate in bytes", b'{"data": "\xed\xa0\x80"}'
    yield "half a surrogate alone", b'"\\ud800"'


SHAPES = dict(shapes())


@pytest.mark.parametrize("shape", SHAPES)
def test_every_call_that_takes_a_body_refuses_it_and_says_where(rows: Rows, shape: str) -> None:
    for operation in WITH_BODY:
        answer = send(rows, operation, SHAPES[shape])

        try:
            refused(answer)
        except AssertionError as error:
            raise AssertionError(f"{operation}: {error}") from error


@pytest.mark.parametrize("shape", SHAPES)
def test_no_call_that_takes_none_stumbles_over_it(rows: Rows, shape: str) -> None:
    for operation in WRITES:
        if not operation.takes_body:
            answer = send(rows, operation, SHAPES[shape])

            assert answer.status_code in {200, 201, 202, 204, 404, 409, 413}, f"{operation}: {answer.content[:300]!r}"


def test_the_place_of_half_a_surrogate_is_the_one_told(api: Api) -> None:
    body = b'{"notifications": [{"data": {"a/b": "ok"}}, {"data": {"a/b": ["", "x\\ud800"], "c\\udfffd": "\\u0000"}}]}'

    answer = api.post("notifications/bulk/", body)

    assert answer.status_code == 422
    assert [(error["pointer"], error["code"]) for error in json.loads(answer.content)["errors"]] == [
        ("/notifications/1/data/a~1b/1", "lone_surrogate"),
        ("/notifications/1/data", "lone_surrogate"),
        ("/notifications/1/data/c\ufffdd", "nul_character"),
    ]


@pytest.mark.parametrize("body", [b"\xff\xfe{}", b"{", b'{"a": NaN}', b'{"a": Infinity}', b"", b"\x00", b'{"a":1}x'])
def test_what_is_no_json_is_400(api: Api, body: bytes) -> None:
    assert api.post("notifications/", body).status_code in {400, 422}


ODD_TEXTS = [
    "[" * 5_000,
    json.dumps(nested(50)),
    "x" * 7_000,
    "a\ud800b".encode("utf-8", "surrogatepass").decode("latin-1"),
    "%ed%a0%80",
    "\u202e\ufeff\ufffd",
    "9" * 5_000,
    "-1",
    "1e999",
    "' OR 1=1 --",
    "%",
    "\\",
]


def odd_cursors() -> list[str]:
    inner = ["[" * 5_000, json.dumps(nested(50)), "x\x00y", "9" * 100, "", "\ud800", "019aac5e-7c1a-7b52-9d3f", "%s"]
    return [base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=") for text in inner]


@pytest.mark.parametrize("operation", READS, ids=str)
def test_odd_queries_are_answered(rows: Rows, operation: Operation) -> None:
    client = Client(headers=rows.headers(operation))
    client.raise_request_exception = False
    names = [each["name"] for each in operation.parameters if each["in"] == "query"] or ["cursor", "limit", "x"]
    for name in names:
        for text in [*ODD_TEXTS, *(odd_cursors() if name == "cursor" else ())]:
            answer = client.get(rows.fill(operation.path), {name: text})

            assert answer.status_code in {200, 400, 404, 409, 422}, f"{name}={text[:40]!r}: {answer.content[:300]!r}"


@pytest.mark.parametrize("raw", ["cursor=%00", "limit=%00", "%00=1", "cursor=%ed%a0%80", "a=%ff&" * 2_000, "&" * 5_000])
@pytest.mark.parametrize("operation", READS, ids=str)
def test_odd_bytes_in_a_query_are_answered(rows: Rows, operation: Operation, raw: str) -> None:
    client = Client(headers=rows.headers(operation))
    client.raise_request_exception = False

    answer = client.get(f"{rows.fill(operation.path)}?{raw}")

    assert answer.status_code in {200, 400, 404, 409, 422}, answer.content[:300]


ODD_SEGMENTS = [
    "%00",
    "%ed%a0%80",
    "%ff",
    "x" * 5_000,
    "%0d%0a",
    "..%2f..%2f",
    "'",
    "%25",
    "\u202e",
    "a%00b",
    "[" * 300,
]


@pytest.mark.parametrize("operation", [each for each in operations() if "{" in each.path], ids=str)
def test_odd_paths_are_answered(rows: Rows, operation: Operation) -> None:
    client = Client(headers=rows.headers(operation))
    client.raise_request_exception = False
    start, _, rest = operation.path.partition("{")
    _, _, end = rest.partition("}")
    for segment in ODD_SEGMENTS:
        answer = client.generic(operation.method, f"{start}{segment}{rows.fill(end)}", b"{}", "application/json")

        assert answer.status_code in {200, 201, 400, 404, 405, 409, 422}, f"{segment}: {answer.content[:300]!r}"


@pytest.mark.parametrize(
    "name", ["Idempotency-Key", "Authorization", "X-Request-Id", "Accept", "Content-Encoding", "Cookie"]
)
@pytest.mark.parametrize(
    "value", ["x" * 100_000, "\xff\xfe", "[" * 5_000, "a, " * 5_000, ""], ids=lambda value: value[:5]
)
def test_odd_headers_are_answered(rows: Rows, name: str, value: str) -> None:
    client = Client(headers=rows.headers(WRITES[0]))
    client.raise_request_exception = False

    for path in ("/api/v1/notifications/", "/api/v1/feed/", "/inbox/", "/healthz"):
        for method in ("GET", "POST"):
            answer = client.generic(method, path, b"{}", "application/json", headers={name: value})
            assert answer.status_code < 500, f"{path}: {answer.content[:300]!r}"


@pytest.mark.django_db(transaction=True)
class TestOverTheWire:
    """The same through daphne, which has limits of its own."""

    def head(self, rows: Rows, path: str = "/api/v1/notifications/", *more: str) -> str:
        return "\n".join(
            (
                f"POST {path} HTTP/1.1",
                "Host: 127.0.0.1",
                "Connection: close",
                f"Authorization: Bearer {rows.live.token}",
                "Content-Type: application/json",
                *more,
            )
        )

    def test_the_shapes(self, web: Web, rows: Rows) -> None:
        for name, body in SHAPES.items():
            head = self.head(rows, "/api/v1/notifications/", f"Content-Length: {len(body)}")

            status, answer = web.request(head, body)

            assert status in {413, 422}, name
            assert b'"status":4' in answer, name

    def test_a_long_body_without_a_length(self, web: Web, rows: Rows) -> None:
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        body = chunk * (settings.API_MAX_BODY_BYTES // 0x10000 + 2) + b"0\r\n\r\n"

        status, _ = web.request(self.head(rows, "/api/v1/notifications/", "Transfer-Encoding: chunked"), body)

        assert status == 413

    @pytest.mark.parametrize(
        "bomb",
        [
            [f"X-Bomb-{n}: x" for n in range(5_000)],
            ["X-Bomb: " + "x" * 1_000_000],
            ["X" * 100_000 + ": x"],
            ["Cookie: " + "a=b; " * 3_000],
            ["X-Request-Id: a\x00b"],
            ["Content-Length: x"],
            ["Content-Length: -1"],
            ["Content-Length: 5", "Transfer-Encoding: chunked"],
            ["Host: evil.example"],
            [": x"],
            [" folded"],
        ],
        ids=lambda bomb: bomb[0][:20],
    )
    def test_header_bombs_are_refused_and_the_server_goes_on(self, web: Web, rows: Rows, bomb: list[str]) -> None:
        status, _ = web.request(self.head(rows, "/api/v1/notifications/", *bomb), b"{}")

        assert status < 500
        assert web.request("GET /healthz HTTP/1.1\nHost: 127.0.0.1\nConnection: close")[0] == 200

    @pytest.mark.parametrize("path", ["/%00", "/api/v1/notifications/%00/", "/\xff", "/api/v1/recipients/%ed%a0%80/"])
    def test_odd_paths(self, web: Web, rows: Rows, path: str) -> None:
        head = f"GET {path} HTTP/1.1\nHost: 127.0.0.1\nConnection: close\nAuthorization: Bearer {rows.live.token}"

        assert web.request(head)[0] in {400, 404}

    def test_a_long_path_and_query(self, web: Web) -> None:
        for path in ("/" + "x" * 100_000, "/api/v1/notifications/?cursor=" + "x" * 100_000):
            assert web.request(f"GET {path} HTTP/1.1\nHost: 127.0.0.1\nConnection: close")[0] < 500
        assert web.request("GET /healthz HTTP/1.1\nHost: 127.0.0.1\nConnection: close")[0] == 200
