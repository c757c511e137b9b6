"""Whom a call acts as. An API key acts as the account it belongs to, so the rules for people hold for programs as well:
who wrote a campaign does not approve it by way of a key."""

from django.contrib.auth.models import User
from rest_framework.request import Request

from core.api.problems import Problem
from notifications.api.authentication import key_of
from notifications.models.api_key import KeyMode


class Refused(Problem):
    """403: the key is good, but its owner may not do this, or it has none."""

    slug, title, status_code = "not-allowed", "Not allowed", 403


def owner_of(request: Request, *, sends: bool = False) -> User:
    """The account that the call's key belongs to. `sends`: it makes messages leave, which a test key never does."""
    key = key_of(request)
    if sends and key.mode == KeyMode.TEST:
        raise Refused("A test key sends nothing to real people. Use a live key.")
    owner = key.owner
    if owner is None:
        raise Refused("This key belongs to nobody. Make one in the admin: it acts as whoever makes it.")
    if not owner.is_active:
        raise Refused("The account that this key belongs to is switched off.")
    return owner
