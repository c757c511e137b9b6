"""API keys: 128 bits at least, prefix and SHA-256, shown once, scopes, expiry, two live while rotating, revoked within
a second. What a key may do route by route: tests/notifications/api/test_authentication.py."""

import hashlib
import math
import time
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone

from notifications.models import ApiKey
from notifications.models.api_key import Scope
from notifications.services import api_keys
from tests.api import Api
from tests.notifications.api.test_authentication import SERVICE_API
from tests.security.wire import Web

pytestmark = pytest.mark.django_db(transaction=True)

#: A POST that changes nothing: it may do with a scope to read.
READING_POSTS = {
    "/api/v1/templates/x/preview/",
    "/api/v1/templates/x/check/",
    "/api/v1/notifications/explain/",
    "/api/v1/segments/estimate/",
    "/api/v1/segments/sample/",
    "/api/v1/suppressions/lookup/",
    "/api/v1/recipients/lookup/",
}


def status_of(token: str) -> int:
    return Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/notifications/").status_code


def test_a_secret_has_128_bits_and_more() -> None:
    assert math.log2(len(api_keys._SECRET_ALPHABET)) * api_keys.SECRET_LENGTH >= 128
    assert len({api_keys.issue("x")[1] for _ in range(100)}) == 100


def test_what_is_stored_is_the_prefix_and_a_sha_256() -> None:
    key, plaintext = api_keys.issue("shop")
    secret = plaintext.rsplit("_", 1)[1]

    stored = ApiKey.objects.filter(pk=key.pk).values().get()

    assert stored["secret_hash"] == hashlib.sha256(secret.encode()).hexdigest()
    assert stored["prefix"] in plaintext
    assert secret not in str(stored)


def test_two_keys_are_good_while_one_takes_over_from_the_other() -> None:
    old, old_token = api_keys.issue("shop")
    _, new_token = api_keys.issue("shop")
    assert [status_of(old_token), status_of(new_token)] == [200, 200]

    api_keys.revoke(old)

    assert [status_of(old_token), status_of(new_token)] == [401, 200]


def test_a_key_ends_at_its_time() -> None:
    _, token = api_keys.issue("shop", expires_at=timezone.now() + timedelta(seconds=0.3))
    assert status_of(token) == 200

    time.sleep(0.4)

    assert status_of(token) == 401


def test_a_revoked_key_is_refused_by_another_process_within_a_second(web: Web) -> None:
    key, token = api_keys.issue("shop")
    request = f"GET /api/v1/notifications/ HTTP/1.1\nHost: 127.0.0.1\nConnection: close\nAuthorization: Bearer {token}"
    for _ in range(3):  # whatever that process keeps of a key, it has it now
        assert web.request(request)[0] == 200

    api_keys.revoke(key)
    time.sleep(1)

    assert web.request(request)[0] == 401


@pytest.mark.parametrize("what", ["prefix", "secret", "mode", "nothing"])
def test_every_unknown_key_is_refused_in_the_same_words(what: str) -> None:
    _, token = api_keys.issue("shop")
    wrong = {
        "prefix": token.replace("_live_", "_live_x"),
        "secret": token[:-1] + ("a" if token[-1] != "a" else "b"),
        "mode": token.replace("_live_", "_test_"),
        "nothing": "ck_live_nosuchprefix_" + "x" * 32,
    }[what]

    answer = Client(headers={"Authorization": f"Bearer {wrong}"}).get("/api/v1/notifications/")

    assert answer.status_code == 401
    assert answer.json()["detail"] == "The API key is not known."


@pytest.mark.parametrize(("path", "entry"), SERVICE_API)
def test_every_route_that_writes_needs_a_scope_to_write(path: str, entry: URLPattern) -> None:
    for method, scope in entry.callback.view_class.required_scopes.items():  # type: ignore[attr-defined]
        reads = method == "GET" or path in READING_POSTS
        writes = (":write", ":send", ":approve")  # of campaigns, what makes messages leave has scopes of its own
        assert str(scope).endswith(":read" if reads else writes), f"{method} {path}"


def test_a_key_without_scopes_may_do_nothing(api: Api) -> None:
    bare = Api(scopes=[])

    for path, entry in SERVICE_API:
        for method in entry.callback.view_class.required_scopes:  # type: ignore[attr-defined]
            assert bare.call(method, path.removeprefix("/api/v1/")).status_code == 403, f"{method} {path}"


def test_a_scope_nobody_knows_any_more_opens_nothing() -> None:
    assert Api(scopes=["everything", "notifications"]).get("notifications/").status_code == 403
    assert "everything" not in Scope.values
