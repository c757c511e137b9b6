"""What a page may load and run (Content Security Policy), on every answer: what gets past escaping still finds no way
to run, nor to send away what it reads. Which policy where is the composition root's choice
(CONTENT_SECURITY_POLICIES)."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"


def policy(**directives: str) -> str:
    """One line from directives: `policy(script_src="'self'")`. What is not named may load from nowhere; no page is
    framed, and forms lead to this site alone."""
    chosen = {"default_src": "'none'", "form_action": "'self'", "base_uri": "'none'", "frame_ancestors": "'none'"}
    chosen |= directives
    return "; ".join(f"{name.replace('_', '-')} {sources}" for name, sources in chosen.items())


class ContentPolicyMiddleware:
    """Sets the policy of the longest prefix of the path. A view that set one of its own knows better."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        policies: dict[str, str] = settings.CONTENT_SECURITY_POLICIES
        self._policies = sorted(policies.items(), key=lambda item: len(item[0]), reverse=True)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not (settings.DEBUG and response.status_code >= 400):  # Django's debug pages are made of inline parts
            response.headers.setdefault(HEADER, self._policy_of(request.path_info))
        return response

    def _policy_of(self, path: str) -> str:
        return next(policy for prefix, policy in self._policies if path.startswith(prefix))
