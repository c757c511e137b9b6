"""Settings that cannot work are said at start, by name."""

import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.core.checks import Error, run_checks

from config.demo import PATIENCE
from notifications.checks import NOT_NEGATIVE, POSITIVE, check_digests
from tests import factories

ROOT = Path(__file__).resolve().parents[2]


FAKE = "tests.notifications.fakes.FakeProvider"


def said(*, errors_only: bool = True) -> list[str]:
    found = [one for one in run_checks() if (one.id or "").startswith("notifications.")]
    return [str(one.msg) for one in found if isinstance(one, Error) or not errors_only]


def test_the_defaults_are_sound() -> None:
    assert said(errors_only=False) == []


def test_the_demos_own_times_are_sound(settings: Any) -> None:
    for name, value in PATIENCE.items():
        setattr(settings, name, float(value))
    assert said(errors_only=False) == []


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"PROVIDER_TIMEOUT_SECONDS": 25.0}, ["PROVIDER_TIMEOUT_SECONDS", "DRAIN_SECONDS"]),
        ({"DRAIN_SECONDS": 8.0}, ["PROVIDER_TIMEOUT_SECONDS", "DRAIN_SECONDS"]),
        ({"LEASE_SECONDS": 25}, ["LEASE_SECONDS", "PROVIDER_TIMEOUT_SECONDS"]),
        ({"VISIBILITY_SECONDS": 90}, ["VISIBILITY_SECONDS", "LEASE_SECONDS"]),
        ({"METRICS_TOKEN": "short"}, ["METRICS_TOKEN"]),
        ({"METRICS_PORT": 70_000}, ["METRICS_PORT"]),
        ({"PROVIDERS": {}}, ["PROVIDERS_EMAIL", "simulated_email"]),
        ({"PROVIDER_CHAINS": {"email": ["smtp"]}}, ["PROVIDERS_EMAIL", "'smtp'"]),
        ({"PROVIDER_CHAINS": {"email": []}}, ["PROVIDERS_EMAIL", "empty"]),
        ({"PROVIDER_CHAINS": {}}, ["PROVIDERS_SMS", "empty"]),
        ({"TEST_PROVIDERS": {"sms": "none"}}, ["TEST_PROVIDERS", "sms"]),
        ({"PROVIDERS": {"simulated_transactional_email_primary": {}}}, ["simulated_transactional_email_primary", "32"]),
        ({"PROVIDERS": {"My-SMTP": {}}}, ["My-SMTP", "a-z"]),
        ({"PROVIDERS": {"acme": {"class": FAKE, "receiver": {"class": "nowhere.Receiver"}}}}, ["acme", "receiver"]),
        ({"SIMULATOR_WEBHOOK_URL": "web:8000"}, ["SIMULATOR_WEBHOOK_URL", "http"]),
        ({"BREAKER_FAILURE_RATE": 50.0}, ["BREAKER_FAILURE_RATE", "share"]),
        ({"BREAKER_SLOW_RATE": 1.5}, ["BREAKER_SLOW_RATE", "share"]),
        ({"BREAKER_OPEN_SECONDS": 600.0}, ["BREAKER_OPEN_SECONDS", "BREAKER_OPEN_MAX_SECONDS"]),
    ],
)
def test_what_does_not_fit_together_is_an_error_that_names_it(
    settings: Any, change: dict[str, Any], names: list[str]
) -> None:
    for name, value in change.items():
        merged = {**getattr(settings, name), **value} if isinstance(value, dict) and value else value
        setattr(settings, name, merged)

    assert [sentence for sentence in said() if all(name in sentence for name in names)]


def test_a_lease_with_little_room_is_a_warning(settings: Any) -> None:
    settings.LEASE_SECONDS = 40

    assert said() == []
    (sentence,) = said(errors_only=False)
    assert "LEASE_SECONDS" in sentence


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_what_must_be_positive_is(settings: Any, name: str, value: float) -> None:
    setattr(settings, name, value)

    assert said() == [f"{name} is {value}; it must be greater than 0."]


@pytest.mark.parametrize("name", NOT_NEGATIVE)
def test_what_may_be_0_is_not_negative(settings: Any, name: str) -> None:
    setattr(settings, name, 0)
    assert said() == []
    setattr(settings, name, -1)
    assert said() == [f"{name} is -1; it must be 0 or more."]


@pytest.mark.django_db(transaction=True)
def test_a_worker_with_such_settings_does_not_start(process_env: dict[str, str]) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "run_worker", "--channel", "sms"]
    environment = {**process_env, "PROVIDERS_SMS": "", "DRAIN_SECONDS": "10"}

    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "PROVIDERS_SMS is empty" in done.stderr
    assert "PROVIDER_TIMEOUT_SECONDS (20) must be below DRAIN_SECONDS (10)" in done.stderr


@pytest.mark.parametrize(
    ("options", "word"), [({"success_rate": 2}, "success_rate"), ({"no_such_option": 1}, "no_such_option")]
)
def test_a_provider_whose_options_make_no_sense_is_named(settings: Any, options: dict[str, Any], word: str) -> None:
    simulated = settings.PROVIDERS["simulated_email"]
    settings.PROVIDERS = {**settings.PROVIDERS, "mailhouse": {**simulated, "options": options}}
    (sentence,) = said()
    assert "mailhouse" in sentence
    assert word in sentence


def test_a_provider_whose_class_is_not_there_is_named(settings: Any) -> None:
    settings.PROVIDERS = {**settings.PROVIDERS, "mailhouse": {"class": "nowhere.Provider"}}
    (sentence,) = said()
    assert "mailhouse" in sentence


@pytest.mark.django_db
class TestDigests:
    WORDS: ClassVar = {"subject": "{{ count }} new", "text": "{% for item in items %}{{ item.title }} {% endfor %}"}

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ({"email": WORDS}, ""),
            ({"sms": {"body": "{{ count }} new"}}, "says nothing for email"),
            ({"email": {**WORDS, "text": "{{ count | divided_by: 0 }}"}}, "cannot say on email"),
            (None, "no published template"),
        ],
    )
    def test_a_template_that_cannot_say_what_was_gathered_is_told(self, words, says):
        if words is not None:
            factories.template("gathered", {"en": words})
        factories.category("comments", digest_mode="fixed", digest_template="gathered", digest_channels=["email"])
        factories.category("orders", digest_template="not-in-use")

        found = [message.msg for message in check_digests(databases=["default"])]

        assert len(found) == bool(says)
        assert says in "".join(found)

    def test_without_a_database_nothing_is_asked(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert check_digests(databases=None) == []
