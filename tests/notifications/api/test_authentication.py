from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from notifications.models.api_key import Scope
from notifications.services import api_keys
from tests.api import Api

pytestmark = pytest.mark.django_db

#: What a path converter can be filled with.
SAMPLES = {"uuid": "019aac5e-7c1a-7b52-9d3f-5e8f0a6c2b11", "slug": "x", "path": "x", "str": "x", "int": "1"}


def routes(patterns: list[URLPattern | URLResolver], before: str = "/") -> Iterator[tuple[str, URLPattern]]:
    """Every pattern below, with a path that it matches."""
    for entry in patterns:
        path = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry.url_patterns, path)
        else:
            for kind, sample in SAMPLES.items():
                for name in entry.pattern.converters:
                    path = path.replace(f"<{kind}:{name}>", sample)
            yield path, entry


API = [(path, entry) for path, entry in routes(get_resolver().url_patterns) if path.startswith("/api/v1/")]
#: The feed is a person's own: it knows sessions and feed tokens, and no API keys.
SERVICE_API = [(path, entry) for path, entry in API if not path.startswith("/api/v1/feed/")]


@pytest.mark.parametrize("path", [path for path, _ in API])
def test_every_route_asks_who_is_there(path: str) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        response = Client().generic(method, path)

        assert response.status_code == 401, f"{method} {path}"
        assert response["Content-Type"] == "application/problem+json"
        assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("path", "entry"), SERVICE_API)
def test_every_handler_names_a_scope_that_keys_can_have(path: str, entry: URLPattern) -> None:
    view = entry.callback.view_class  # type: ignore[attr-defined]
    handlers = {method.upper() for method in ("get", "post", "put", "patch", "delete") if hasattr(view, method)}

    assert set(view.required_scopes) == handlers
    assert set(map(str, view.required_scopes.values())) <= set(Scope.values)


@pytest.mark.parametrize(("path", "entry"), SERVICE_API)
def test_every_call_is_forbidden_without_its_scope(path: str, entry: URLPattern) -> None:
    view = entry.callback.view_class  # type: ignore[attr-defined]
    for method, scope in view.required_scopes.items():
        api = Api(scopes=[other for other in Scope.values if other != scope])

        response = api.call(method, path.removeprefix("/api/v1/"))

        assert response.status_code == 403, f"{method} {path}"
        assert response.json()["missing_scope"] == str(scope)
        assert str(scope) in response.json()["detail"]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic dXNlcjpwYXNz",
        "Bearer ck_live_abc_" + "x" * 40,
        "Bearer \x00",
        "Bearer é",
    ],
)
def test_a_bad_credential_is_401(header: str) -> None:
    response = Client().get("/api/v1/notifications/", headers={"authorization": header})

    assert response.status_code == 401


def test_the_scheme_is_read_in_any_case(api: Api) -> None:
    response = Client().get("/api/v1/notifications/", headers={"authorization": f"bearer {api.token}"})

    assert response.status_code == 200


def test_a_revoked_key_is_refused_by_the_next_request(api: Api) -> None:
    assert api.get("notifications/").status_code == 200

    api_keys.revoke(api.key)

    assert api.get("notifications/").status_code == 401


def test_an_expired_key_is_refused() -> None:
    assert Api(expires_at=timezone.now() - timedelta(seconds=1)).get("notifications/").status_code == 401


def test_a_head_request_needs_what_a_get_needs(api: Api) -> None:
    assert api.call("HEAD", "notifications/").status_code == 200
    assert Api(scopes=[]).call("HEAD", "notifications/").status_code == 403
