import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from notifications.models import ApiKey
from notifications.models.api_key import KeyMode, Scope
from notifications.services import api_keys

pytestmark = pytest.mark.django_db


def test_an_issued_key_is_recognised_and_its_secret_is_not_stored() -> None:
    key, plaintext = api_keys.issue("shop", KeyMode.LIVE, [Scope.NOTIFICATIONS_WRITE])

    prefix, secret = plaintext.removeprefix("ck_live_").split("_")
    assert api_keys.authenticate(plaintext) == key
    assert prefix == key.prefix
    assert len(secret) * 5 >= 128  # letters and digits: more than 5 bits each
    assert secret not in str(ApiKey.objects.filter(pk=key.pk).values().get())


def test_two_keys_differ_in_prefix_and_secret() -> None:
    (_, one), (_, other) = api_keys.issue("a"), api_keys.issue("a")

    assert set(one.split("_")[2:]).isdisjoint(other.split("_")[2:])


@pytest.mark.parametrize("change", ["_x", "x"])
def test_a_changed_secret_is_refused(change: str) -> None:
    _, plaintext = api_keys.issue("shop")

    with pytest.raises(api_keys.InvalidKey):
        api_keys.authenticate(plaintext[: -len(change)] + change)


def test_the_mode_in_the_text_must_be_the_key_s_own() -> None:
    _, plaintext = api_keys.issue("shop", KeyMode.TEST)

    with pytest.raises(api_keys.InvalidKey):
        api_keys.authenticate(plaintext.replace("ck_test_", "ck_live_"))


def test_a_revoked_key_is_refused_at_once() -> None:
    key, plaintext = api_keys.issue("shop")
    assert api_keys.authenticate(plaintext)

    api_keys.revoke(key)

    with pytest.raises(api_keys.InvalidKey, match="revoked"):
        api_keys.authenticate(plaintext)


def test_revoking_again_keeps_the_first_time() -> None:
    key, _ = api_keys.issue("shop")
    api_keys.revoke(key)
    first = key.revoked_at

    api_keys.revoke(key)

    assert key.revoked_at == first


def test_an_expired_key_is_refused() -> None:
    _, plaintext = api_keys.issue("shop", expires_at=timezone.now() - timedelta(seconds=1))

    with pytest.raises(api_keys.InvalidKey, match="expired"):
        api_keys.authenticate(plaintext)


def test_the_last_use_is_noted_at_most_once_a_minute() -> None:
    key, plaintext = api_keys.issue("shop")

    api_keys.authenticate(plaintext)
    key.refresh_from_db()
    first = key.last_used_at
    api_keys.authenticate(plaintext)
    key.refresh_from_db()
    assert first is not None
    assert key.last_used_at == first

    earlier = timezone.now() - timedelta(minutes=2)
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=earlier)
    api_keys.authenticate(plaintext)
    key.refresh_from_db()
    assert key.last_used_at is not None
    assert key.last_used_at > earlier


def test_an_unknown_scope_is_not_issued() -> None:
    with pytest.raises(ValueError, match="everything:do"):
        api_keys.issue("shop", KeyMode.LIVE, ["everything:do"])


def test_the_command_prints_a_key_that_works_once() -> None:
    out = StringIO()

    call_command("create_api_key", "shop", "--test", "--scope", "notifications:read", "--expires-in", "7", stdout=out)

    key = api_keys.authenticate(out.getvalue().strip())
    assert (key.name, key.mode, key.scopes) == ("shop", "test", ["notifications:read"])
    assert key.expires_at is not None
    assert timedelta(days=6) < key.expires_at - timezone.now() <= timedelta(days=7)


def test_the_command_prints_json_for_scripts() -> None:
    out = StringIO()

    call_command("create_api_key", "shop", "--json", stdout=out)

    printed = json.loads(out.getvalue())
    assert api_keys.authenticate(printed["key"]).prefix == printed["prefix"]
    assert printed["scopes"] == list(Scope.values)


@pytest.mark.parametrize("arguments", [["", "--json"], ["x", "--expires-in", "0"], ["x", "--scope", "all"]])
def test_the_command_refuses_what_makes_no_key(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("create_api_key", *arguments)

    assert not ApiKey.objects.exists()
