"""The OpenAPI document, from the very shapes that the calls read and answer with (msgspec structs).

    @call("sendNotification", "Send one notification", request=DraftBody, answers={202: AcceptedNotification})
    def post(self, request): ...

Every operation also names the problems it can answer with; a view need not repeat them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from django.db.models import TextChoices
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from core.api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from core.api.problems import MEDIA_TYPE

Method = TypeVar("Method", bound=Callable[..., Any])

_REF = "#/components/schemas/{name}"
_shapes: dict[str, type[msgspec.Struct]] = {}


class FieldProblemShape(msgspec.Struct):
    """One thing wrong with the request: at `pointer` (RFC 6901) in the body, or in the query's `parameter`."""

    code: str
    detail: str
    pointer: str | None = None
    parameter: str | None = None


class ProblemShape(msgspec.Struct):
    """A refusal (RFC 9457). `type` and `code` are stable, `detail` is for people, `request_id` leads to our logs."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[FieldProblemShape] | None = None


#: What an operation can be refused with: status -> (component, what it means).
PROBLEMS = {
    400: ("MalformedRequest", "The body is not JSON, or the URL cannot be understood"),
    401: ("Unauthenticated", "No API key, or one that is unknown, expired or revoked"),
    403: ("Forbidden", "Not allowed; `missing_scope` names the scope that the API key lacks"),
    404: ("NotFound", "There is no such thing"),
    409: ("Conflict", "The request conflicts with the present state"),
    413: ("BodyTooLarge", "The body is too large"),
    415: ("UnsupportedMediaType", "The body is not application/json"),
    422: ("Invalid", "Something in the request is wrong; `errors` says what, one entry per fault"),
    429: ("RateLimited", "Too many requests; `Retry-After` says when to try again"),
    503: (
        "Unavailable",
        "The database cannot be reached (`unavailable`) or too much waits to be sent (`overloaded`), and nothing was"
        " accepted; `Retry-After` says when to try again",
    ),
}

PAGE_PARAMETERS = (
    OpenApiParameter("limit", int, description=f"Items on a page, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} when not given"),
    OpenApiParameter("cursor", str, description="`next_cursor` of the page before"),
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1 to 255 printable ASCII characters. The same key and body within 24 hours answer the same, once",
)


def ref(shape: type[msgspec.Struct]) -> dict[str, str]:
    """A reference to the shape's component; the component itself is added by `add_components`."""
    known = _shapes.setdefault(shape.__name__, shape)
    if known is not shape:
        raise ValueError(f"Two shapes are called {shape.__name__}: {known.__module__} and {shape.__module__}.")
    return {"$ref": _REF.format(name=shape.__name__)}


def call(  # noqa: PLR0913 - every argument is one part of an OpenAPI operation, and all are named
    name: str,
    summary: str,
    *,
    answers: Mapping[int, type[msgspec.Struct] | None],
    request: type[msgspec.Struct] | tuple[type[msgspec.Struct], ...] | None = None,
    parameters: Sequence[OpenApiParameter] = (),
    examples: Mapping[str, object] | None = None,
    answer_example: object = None,
    conflicts: bool = False,
) -> Callable[[Method], Method]:
    """Describe a handler. `examples` are request bodies by title; `conflicts` adds the 409 to its problems. Of several
    shapes in `request` a body is one."""
    first = min(answers)
    body = {"oneOf": [ref(shape) for shape in request]} if isinstance(request, tuple) else request and ref(request)
    responses = {
        status: OpenApiResponse(
            response=ref(shape) if shape else None,
            description=_DESCRIPTIONS.get(status, "Done"),
            examples=[OpenApiExample("Answer", value=answer_example)] if answer_example and status == first else [],
        )
        for status, shape in answers.items()
    }
    bodies = [OpenApiExample(title, value=body, request_only=True) for title, body in (examples or {}).items()]
    return extend_schema(
        operation_id=name,
        summary=summary,
        request={"application/json": body} if body else None,
        responses=responses,
        parameters=list(parameters),
        examples=bodies,
        extensions={"x-conflicts": True} if conflicts else None,
    )


_DESCRIPTIONS = {200: "Done", 201: "Created", 202: "Accepted", 204: "Done; no body"}


class Schema(AutoSchema):
    """Adds to every operation the problems it can answer with."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        if "requestBody" in operation:
            operation["requestBody"]["required"] = True
        for status in self._problems(operation):
            component, _ = PROBLEMS[status]
            operation["responses"].setdefault(str(status), {"$ref": f"#/components/responses/{component}"})
        operation["responses"] = dict(sorted(operation["responses"].items()))
        return operation

    def _problems(self, operation: dict[str, Any]) -> list[int]:
        found = [400, 429, 503]
        if operation.get("security"):
            found += [401, 403]
        if "{" in self.path:
            found.append(404)
        if "requestBody" in operation:
            found += [413, 415, 422]
        elif any(parameter["in"] == "query" for parameter in operation.get("parameters", ())):
            found.append(422)
        if operation.pop("x-conflicts", False):
            found.append(409)
        return found


def _schema_of(type_: Any) -> dict[str, Any]:
    """Django's choices are enums with a metaclass of their own, which msgspec reads but does not describe."""
    if isinstance(type_, type) and issubclass(type_, TextChoices):
        return {"type": "string", "enum": list(type_.values)}
    raise NotImplementedError(type_)


def add_components(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """POSTPROCESSING_HOOK: the shapes that operations refer to, and the problem responses."""
    ref(ProblemShape)
    components = result.setdefault("components", {})
    _, schemas = msgspec.json.schema_components(list(_shapes.values()), schema_hook=_schema_of, ref_template=_REF)
    components["schemas"] = dict(sorted({**components.get("schemas", {}), **schemas}.items()))
    components["responses"] = {
        component: {"description": meaning, "content": {MEDIA_TYPE: {"schema": ref(ProblemShape)}}}
        for component, meaning in PROBLEMS.values()
    }
    return result
