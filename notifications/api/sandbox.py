"""The sandbox for those who test against Carillon: simulated providers as they wish, and what those received."""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import pagination, validation
from core.api.openapi import PAGE_PARAMETERS, call
from core.api.problems import FieldProblem, Invalid, Problem, pointer
from notifications.api.authentication import key_of
from notifications.choices import Channel
from notifications.models import SimulatedCall
from notifications.models.api_key import KeyMode, Scope
from notifications.providers.simulated_options import SandboxChanges, SandboxOptions, SimulatorOptions
from notifications.services import sandbox
from notifications.services.sandbox import CallFilter, InvalidOptions, SandboxService, Simulated, UnknownProvider

_RATE_EXAMPLE = {"temporary_rate": 0.1, "latency_ms": 250}
_THROTTLE_EXAMPLE = {"throttle_rate": 1, "throttle_retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}


class SandboxProvider(msgspec.Struct):
    """A simulated provider. `options` is how it treats what test keys send; `overridden` is what of that the sandbox
    said, the rest follows from the settings. `live_channels` are those whose live traffic it gets as well."""

    name: str
    channels: list[Channel]
    live_channels: list[Channel]
    options: SimulatorOptions  # type: ignore[valid-type]  # a shape made from the simulator's own options
    overridden: SandboxOptions  # type: ignore[valid-type]  # likewise
    by: str | None
    at: datetime | None


class SandboxProviders(msgspec.Struct):
    """Every simulated provider, by channel and place in its chain."""

    results: list[SandboxProvider]


class SimulatedCallShape(msgspec.Struct):
    """A message as its provider received it. `headers` are what an email carries beside its content, such as
    `List-Unsubscribe`. `outcome` is `accepted`, or the code of the failure it answered with."""

    id: UUID
    at: datetime
    provider: str
    delivery: UUID
    recipient: str | None
    attempt: int
    address: str
    platform: str | None
    category: str
    content: dict[str, Any]
    headers: dict[str, str]
    outcome: str
    retry_after: float | None


class SimulatedCallPage(msgspec.Struct):
    """Newest first."""

    results: list[SimulatedCallShape]
    next_cursor: str | None


class TestKeyNeeded(Problem):
    """403: the sandbox and live traffic keep apart."""

    slug, title, status_code = "test-key-needed", "This call needs a test key", 403

    def __init__(self) -> None:
        super().__init__("The sandbox takes test keys (ck_test_...) alone; this key is live.")


class _SandboxView(APIView):
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if key_of(request).mode != KeyMode.TEST:
            raise TestKeyNeeded


class SandboxProvidersView(_SandboxView):
    required_scopes: ClassVar = {"GET": Scope.NOTIFICATIONS_READ}

    @call("listSandboxProviders", "List the simulated providers", answers={200: SandboxProviders})
    def get(self, request: Request) -> Response:
        """With a test key."""
        return Response(SandboxProviders([_provider(one) for one in SandboxService().all()]))


class SandboxProviderView(_SandboxView):
    required_scopes: ClassVar = {
        "GET": Scope.NOTIFICATIONS_READ,
        "PUT": Scope.NOTIFICATIONS_WRITE,
        "PATCH": Scope.NOTIFICATIONS_WRITE,
        "DELETE": Scope.NOTIFICATIONS_WRITE,
    }

    @call("getSandboxProvider", "Read a simulated provider", answers={200: SandboxProvider})
    def get(self, request: Request, provider: str) -> Response:
        """With a test key."""
        return Response(_provider(_known(provider)))

    @call(
        "putSandboxProvider",
        "Say how a simulated provider behaves",
        request=SandboxOptions,
        answers={200: SandboxProvider},
        examples={
            "An outage": {"outage": True},
            "Some failures": _RATE_EXAMPLE,
            "A 429 with a date": _THROTTLE_EXAMPLE,
        },
    )
    def put(self, request: Request, provider: str) -> Response:
        """With a test key. Replaces all that the sandbox said of it before; workers follow within about a second."""
        options = msgspec.to_builtins(validation.read(request.data, SandboxOptions))
        return self._write(request, provider, options, SandboxService().replace)

    @call(
        "patchSandboxProvider",
        "Change how a simulated provider behaves",
        request=SandboxChanges,
        answers={200: SandboxProvider},
        examples={"Slow, and no outage any more": {"latency_ms": 30_000, "outage": None}},
    )
    def patch(self, request: Request, provider: str) -> Response:
        """With a test key. Workers follow within about a second."""
        options = msgspec.to_builtins(validation.read(request.data, SandboxChanges))
        return self._write(request, provider, options, SandboxService().change)

    @call("resetSandboxProvider", "Let a simulated provider behave as the settings say", answers={204: None})
    def delete(self, request: Request, provider: str) -> Response:
        """With a test key. Workers follow within about a second."""
        _known(provider)
        SandboxService().reset(provider)
        return Response(status=204)

    def _write(self, request: Request, provider: str, options: dict[str, Any], write: Any) -> Response:
        try:
            return Response(_provider(write(provider, options, by=str(request.user))))
        except UnknownProvider:
            raise exceptions.NotFound() from None
        except InvalidOptions as error:
            raise Invalid(
                [FieldProblem(pointer(name) if name else "", "range", text) for name, text in error.errors.items()]
            ) from None


class SandboxCallsView(_SandboxView):
    required_scopes: ClassVar = {"GET": Scope.NOTIFICATIONS_READ}

    @call(
        "listSandboxCalls",
        "Read what the simulated providers received",
        answers={200: SimulatedCallPage},
        parameters=[
            OpenApiParameter("delivery", UUID, description="Of one delivery"),
            OpenApiParameter("recipient", str, description="The recipient's external id"),
            OpenApiParameter("provider", str, description="By one provider"),
            OpenApiParameter("outcome", str, description="`accepted`, or the code of a failure"),
            *PAGE_PARAMETERS,
        ],
    )
    def get(self, request: Request) -> Response:
        """With a test key, and of what test keys sent. The newest calls are kept, for a week at most."""
        window = pagination.window(request)
        asked = validation.read_query(request.query_params, _CallQuery, besides=pagination.PARAMETERS)
        wanted = CallFilter(**msgspec.structs.asdict(asked), is_test=True)
        rows, next_cursor = pagination.page(sandbox.calls(wanted), window)
        people = sandbox.external_ids(rows)
        return Response(SimulatedCallPage([_call(row, people.get(row.recipient_id)) for row in rows], next_cursor))


_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]


class _CallQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    delivery: UUID | None = None
    recipient: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    provider: _Name | None = None
    outcome: _Name | None = None


def _known(name: str) -> Simulated:
    try:
        return SandboxService().get(name)
    except UnknownProvider:
        raise exceptions.NotFound() from None


def _provider(one: Simulated) -> SandboxProvider:
    return SandboxProvider(
        name=one.name,
        channels=[Channel(channel) for channel in one.channels],
        live_channels=[Channel(channel) for channel in one.live],
        options=msgspec.convert(one.for_tests, SimulatorOptions, from_attributes=True),
        overridden=dict(one.overridden),  # what is unset is left out, which a struct would not
        by=one.by or None,
        at=one.at,
    )


def _call(row: SimulatedCall, recipient: str | None) -> SimulatedCallShape:
    return SimulatedCallShape(
        id=row.id,
        at=row.at,
        provider=row.provider,
        delivery=row.delivery_id,
        recipient=recipient,
        attempt=row.attempt,
        address=row.address,
        platform=row.platform or None,
        category=row.category,
        content=row.content,
        headers=row.headers,
        outcome=row.outcome,
        retry_after=row.retry_after,
    )
