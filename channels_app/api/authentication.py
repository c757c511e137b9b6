"""The feed API is called by the recipient in person: with a feed token, or on our own pages with a session."""

from typing import Any

from rest_framework import authentication, exceptions
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from channels_app import identity


class FeedTokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer <feed token>`. `request.user` is an Identity."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        header = authentication.get_authorization_header(request).decode("latin-1")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        who = identity.from_token(token.strip())
        if who is None:
            raise exceptions.AuthenticationFailed("The feed token is not valid (any more).")
        return who, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="carillon-feed"'


class FeedSessionAuthentication(authentication.SessionAuthentication):
    """The session cookie, with CSRF checked on everything that changes something."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        if not hasattr(request._request, "session"):
            return None
        who = identity.from_session(request._request.session)
        if who is None:
            return None
        self.enforce_csrf(request)
        return who, None


class IsRecipient(BasePermission):
    """Someone whose feed it is."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, identity.Identity)
