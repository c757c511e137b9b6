"""A caller of the API, as a service would be one: a key, JSON in, JSON out."""

import json
from typing import Any

from django.http import HttpResponse
from django.test import Client

from notifications.models import ApiKey
from tests import factories

JSON = "application/json"


class Api:
    """Calls below /api/v1/ with a key of all scopes, or the one given."""

    def __init__(self, **key: Any) -> None:
        self.key: ApiKey
        self.key, self.token = factories.api_key(**key)
        self.client = Client(headers={"authorization": f"Bearer {self.token}"})
        # A bug must be seen as the 500 that a caller would get.
        self.client.raise_request_exception = False

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        """`headers` by name with underscores: `Idempotency_Key="..."`."""
        return self.client.generic(  # type: ignore[return-value]
            method,
            f"/api/v1/{path}",
            data=b"" if body is None else body if isinstance(body, bytes) else _dumps(body),
            content_type=JSON,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    def get(self, path: str) -> HttpResponse:
        return self.call("GET", path)

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.call("POST", path, body, **headers)

    def put(self, path: str, body: Any) -> HttpResponse:
        return self.call("PUT", path, body)

    def patch(self, path: str, body: Any) -> HttpResponse:
        return self.call("PATCH", path, body)

    def delete(self, path: str) -> HttpResponse:
        return self.call("DELETE", path)


def _dumps(body: Any) -> bytes:
    return json.dumps(body).encode()


def pointers(response: HttpResponse) -> list[str]:
    """Where a 422 says the faults are."""
    assert response.status_code == 422, response.content
    return [error["pointer"] for error in response.json()["errors"]]  # type: ignore[attr-defined]


def codes(response: HttpResponse) -> dict[str, str]:
    """The faults of a 422: pointer or parameter -> code."""
    assert response.status_code == 422, response.content
    errors = response.json()["errors"]  # type: ignore[attr-defined]
    return {error.get("pointer", error.get("parameter")): error["code"] for error in errors}
