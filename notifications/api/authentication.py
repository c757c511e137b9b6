"""Who is calling, and whether they may: `Authorization: Bearer ck_live_...` (RFC 6750) and scopes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from core.api.problems import Problem
from notifications.api.rates import count_call
from notifications.models import ApiKey
from notifications.services import api_keys

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which itself loads this module, by the settings

_CHALLENGE = 'Bearer realm="carillon"'


@dataclass(frozen=True, slots=True)
class Caller:
    """What `request.user` is for a service: nobody with an account, but somebody."""

    key: ApiKey
    is_authenticated: bool = True

    def __str__(self) -> str:
        return f"api:{self.key.prefix}"


class MissingScope(Problem):
    """403: the key is good, but not for this."""

    slug, title, status_code = "missing-scope", "The API key lacks a scope", 403

    def __init__(self, scope: str) -> None:
        challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
        super().__init__(
            f"This call needs the scope {scope}.",
            headers={"WWW-Authenticate": challenge},
            extra={"missing_scope": scope},
        )


class ApiKeyAuthentication(BaseAuthentication):
    """`request.auth` is the ApiKey, `request.user` a Caller. No header: nobody; a view that wants somebody says 401.
    Each call counts towards the key's limit."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        scheme, _, credentials = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            key = api_keys.authenticate(credentials.strip())
        except api_keys.InvalidKey as error:
            raise exceptions.AuthenticationFailed(str(error)) from None
        count_call(request._request, key)  # here, so that a call counts that lacks a scope, too
        return Caller(key), key

    def authenticate_header(self, request: Request) -> str:
        return _CHALLENGE


def key_of(request: Request) -> ApiKey:
    """The key of an authenticated call."""
    key = request.auth
    assert isinstance(key, ApiKey), "HasScope lets nobody else through"  # noqa: S101 - a programming error
    return key


class HasScope(BasePermission):
    """The key has the scope that the view's `required_scopes` names for the method; a handler without one is shut."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        key = request.auth
        if not isinstance(key, ApiKey):
            return False
        method = "GET" if request.method == "HEAD" else str(request.method)
        scopes: dict[str, str] = getattr(view, "required_scopes", {})
        if method not in scopes:
            return method == "OPTIONS" or not hasattr(view, method.lower())  # DRF answers 405 next
        scope = str(scopes[method])
        if scope not in key.scopes:
            raise MissingScope(scope)
        return True
