"""A salt per purpose: what was signed for one is refused for another."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core import signing

from channels_app import identity, tickets
from preferences.models import Recipient

ROOT = Path(__file__).resolve().parents[2]
APPS = ("core", "preferences", "notifications", "channels_app", "analytics", "campaigns", "config")
SIGNING = {"Signer", "TimestampSigner", "dumps", "loads", "get_cookie_signer", "salted_hmac"}


def signing_calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in our own code that signs or checks a signature by Django's means."""
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            tree = ast.parse(path.read_text())
            imported = {
                alias.asname or alias.name
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and node.module in {"django.core.signing", "django.utils.crypto"}
                for alias in node.names
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    target = node.func
                    through = isinstance(target, ast.Attribute) and getattr(target.value, "id", "") == "signing"
                    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
                    if name in SIGNING and (through or name in imported):
                        yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def salt_of(call: ast.Call) -> str:
    for keyword in call.keywords:
        if keyword.arg in {"salt", "key_salt"} and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return ""


def test_every_purpose_has_a_salt_of_its_own() -> None:
    salts = {place: salt_of(call) for place, call in signing_calls()}

    assert len(salts) >= 1  # the feed token's, or this looks in the wrong place
    assert all(salt.startswith("carillon.") for salt in salts.values()), salts
    assert len(set(salts.values())) == len(salts), salts


def purposes(claims: dict[str, str]) -> Iterator[str]:
    """The same claims, signed with our key for every purpose but the feed's."""
    for salt in ("", "another", "django.contrib.sessions.SessionStore", "carillon.unsubscribe", "carillon.feed-token "):
        yield signing.TimestampSigner(salt=salt or None, sep=".").sign_object(claims)
    yield signing.TimestampSigner(sep=".").sign_object(claims)
    yield signing.dumps(claims, salt="carillon.feed-token")
    yield signing.TimestampSigner(key="another key", salt="carillon.feed-token", sep=".").sign_object(claims)


@pytest.mark.django_db
def test_what_was_signed_for_another_purpose_is_no_feed_token(person: Recipient) -> None:
    claims = {"r": str(person.id)}
    good = identity.issue_token(person.id).token
    assert identity.from_token(good) is not None

    for signed in purposes(claims):
        assert identity.from_token(signed) is None


@pytest.mark.django_db
def test_a_feed_token_is_no_ticket_and_a_ticket_no_feed_token(person: Recipient) -> None:
    token = identity.issue_token(person.id).token
    who = identity.from_token(token)
    assert who is not None

    assert tickets.redeem(token) is None
    assert identity.from_token(tickets.issue(who).ticket) is None


@pytest.mark.django_db
@pytest.mark.parametrize("claims", [{}, {"r": "x"}, {"r": None}, {"r": []}, [], "x", 7, None])
def test_claims_that_make_no_sense_are_nobody_s(person: Recipient, claims: object) -> None:
    signed = signing.TimestampSigner(salt="carillon.feed-token", sep=".").sign_object(claims)

    assert identity.from_token(signed) is None


@pytest.mark.django_db
def test_a_changed_character_is_noticed(person: Recipient) -> None:
    token = identity.issue_token(person.id).token

    for at in range(0, len(token) - 1, 7):  # the last one may hold unused bits
        other = "A" if token[at] != "A" else "B"
        assert identity.from_token(token[:at] + other + token[at + 1 :]) is None
