"""Who a visitor with a session is: one rule for every page that people see of themselves."""

from types import SimpleNamespace
from typing import cast

from django.contrib import auth
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

#: The session key that names the recipient's external id. Set by the demo's sign-in, or by a host project.
SESSION_KEY = "recipient"


def external_id_of(session: SessionBase) -> str:
    """The external id that a session names, else the signed-in user's name; empty for nobody."""
    external_id = session.get(SESSION_KEY)
    if external_id:
        return str(external_id)
    # get_user needs no more of a request than its session.
    user = auth.get_user(cast(HttpRequest, SimpleNamespace(session=session)))
    return user.get_username() if user.is_authenticated else ""
