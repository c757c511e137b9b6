"""Webhooks for those who are told: their endpoints, the log of what they were told, and telling it again."""

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar, TypeVar
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from msgspec import UNSET, UnsetType
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from analytics.webhooks import endpoints as service
from analytics.webhooks import replays
from analytics.webhooks.api.shapes import (
    WebhookAttemptShape,
    WebhookBody,
    WebhookChange,
    WebhookMessageFilter,
    WebhookMessagePage,
    WebhookMessageShape,
    WebhookPage,
    WebhookReplayBody,
    WebhookReplayed,
    WebhookSecret,
    WebhookShape,
    WebhookTest,
    WebhookWithSecret,
)
from analytics.webhooks.endpoints import EndpointRefused, Wishes
from analytics.webhooks.models import WebhookAttempt, WebhookEndpoint, WebhookMessage
from analytics.webhooks.payload import message_id
from analytics.webhooks.vocabulary import AttemptOutcome, EndReason, MessageStatus, OffReason
from core.api import pagination, validation
from core.api.openapi import PAGE_PARAMETERS, call
from core.api.problems import Conflict, FieldProblem, Invalid, pointer
from notifications.api.authentication import key_of
from notifications.models.api_key import KeyMode, Scope

Value = TypeVar("Value")

_EXAMPLE = {"url": "https://shop.example/hooks/carillon", "events": ["delivered", "bounced", "failed", "dead"]}
_FILTERS = (
    OpenApiParameter("status", str, enum=MessageStatus.values, description="Where the message stands"),
    OpenApiParameter("event", str, description="`delivered`, `test`, ..."),
    OpenApiParameter("notification", UUID, description="Those about one notification"),
)
#: Attempts of one message that an answer shows; replays add to them.
MAX_ATTEMPTS = 50


class WebhooksView(APIView):
    required_scopes: ClassVar = {"GET": Scope.WEBHOOKS_READ, "POST": Scope.WEBHOOKS_WRITE}

    @call("listWebhooks", "List this key's endpoints", answers={200: WebhookPage}, parameters=PAGE_PARAMETERS)
    def get(self, request: Request) -> Response:
        rows, next_cursor = pagination.page(_own(request), pagination.window(request))
        return Response(WebhookPage([_shape(row, request) for row in rows], next_cursor))

    @call(
        "createWebhook",
        "Be told what becomes of this key's notifications",
        request=WebhookBody,
        answers={201: WebhookWithSecret},
        examples={"The end of each delivery": _EXAMPLE},
        conflicts=True,
    )
    def post(self, request: Request) -> Response:
        """Events are told from five seconds later on."""
        body = validation.read(request.data, WebhookBody)
        wishes = Wishes(body.url, body.description, body.events, body.is_on)
        try:
            made = service.create(wishes, keys=[key_of(request)])
        except EndpointRefused as refused:
            raise _problem(refused) from None
        shape = _shape(made, request)
        fields = {name: getattr(shape, name) for name in WebhookShape.__struct_fields__}
        return Response(WebhookWithSecret(**fields, secret=made.secrets[0]), status=201)


class WebhookView(APIView):
    required_scopes: ClassVar = {
        "GET": Scope.WEBHOOKS_READ,
        "PATCH": Scope.WEBHOOKS_WRITE,
        "DELETE": Scope.WEBHOOKS_WRITE,
    }

    @call("getWebhook", "Read an endpoint", answers={200: WebhookShape})
    def get(self, request: Request, id: UUID) -> Response:
        return Response(_shape(_endpoint(request, id), request))

    @call(
        "patchWebhook",
        "Change an endpoint, or switch it off and on",
        request=WebhookChange,
        answers={200: WebhookShape},
        examples={"Off": {"is_on": False}},
    )
    def patch(self, request: Request, id: UUID) -> Response:
        """In force within five seconds. While an endpoint is off nothing is kept for it."""
        body = validation.read(request.data, WebhookChange)
        endpoint = _endpoint(request, id)
        try:
            service.change(
                endpoint, Wishes(_given(body.url), _given(body.description), _given(body.events), _given(body.is_on))
            )
        except EndpointRefused as refused:
            raise _problem(refused) from None
        endpoint.refresh_from_db()
        return Response(_shape(endpoint, request))

    @call("deleteWebhook", "Delete an endpoint and its log", answers={204: None})
    def delete(self, request: Request, id: UUID) -> Response:
        service.delete(_endpoint(request, id))
        return Response(status=204)


class RotateWebhookView(APIView):
    required_scopes: ClassVar = {"POST": Scope.WEBHOOKS_WRITE}

    @call("rotateWebhookSecret", "Exchange an endpoint's secret", answers={200: WebhookSecret})
    def post(self, request: Request, id: UUID) -> Response:
        """Each message carries a signature of either for 24 hours, and either is enough."""
        endpoint = _endpoint(request, id)
        secret = service.rotate(endpoint)
        assert endpoint.old_secret_until is not None  # noqa: S101 - set by rotate
        return Response(WebhookSecret(secret, endpoint.old_secret_until))


class TestWebhookView(APIView):
    required_scopes: ClassVar = {"POST": Scope.WEBHOOKS_WRITE}

    @call("testWebhook", "Send a test message", answers={202: WebhookTest}, conflicts=True)
    def post(self, request: Request, id: UUID) -> Response:
        """A message of the type `endpoint.test`, on the way that all take."""
        try:
            made = service.send_test(_endpoint(request, id))
        except EndpointRefused as refused:
            raise Conflict(str(refused)) from None
        return Response(WebhookTest(made.id), status=202)


class WebhookMessagesView(APIView):
    required_scopes: ClassVar = {"GET": Scope.WEBHOOKS_READ}

    @call(
        "listWebhookMessages",
        "Read an endpoint's delivery log",
        answers={200: WebhookMessagePage},
        parameters=(*PAGE_PARAMETERS, *_FILTERS),
    )
    def get(self, request: Request, id: UUID) -> Response:
        endpoint = _endpoint(request, id)
        asked = validation.read_query(request.query_params.dict(), WebhookMessageFilter, besides=pagination.PARAMETERS)
        rows = WebhookMessage.objects.filter(endpoint=endpoint)
        if asked.status is not None:
            rows = rows.filter(status=asked.status)
        if asked.event is not None:
            rows = rows.filter(type=asked.event.replace("\x00", ""))
        if asked.notification is not None:
            rows = rows.filter(notification_id=asked.notification)
        found, next_cursor = pagination.page(rows, pagination.window(request))
        attempts = _attempts(found)
        return Response(WebhookMessagePage([_message(row, attempts[row.id]) for row in found], next_cursor))


class ReplayWebhookView(APIView):
    required_scopes: ClassVar = {"POST": Scope.WEBHOOKS_WRITE}

    @call(
        "replayWebhook",
        "Tell again",
        request=WebhookReplayBody,
        answers={202: WebhookReplayed},
        examples={"What failed since": {"since": "2027-01-31T09:00:00Z"}},
    )
    def post(self, request: Request, id: UUID) -> Response:
        """With the same `webhook-id`, a fresh timestamp and a fresh set of attempts, behind what is new."""
        body = validation.read(request.data, WebhookReplayBody)
        endpoint, by = _endpoint(request, id), f"api:{key_of(request).prefix}"
        if not isinstance(body.messages, UnsetType):
            if body.since is not UNSET or body.until is not UNSET:
                raise Invalid([FieldProblem(pointer("messages"), "one_of", "Give either messages or a span of time.")])
            return Response(WebhookReplayed(replays.replay(endpoint, body.messages, by=by), more=False), status=202)
        if isinstance(body.since, UnsetType):
            raise Invalid([FieldProblem(pointer("since"), "required", "Give either messages or a span of time.")])
        until = timezone.now() if isinstance(body.until, UnsetType) else body.until
        count, more = replays.replay_failed(endpoint, body.since, until, by=by)
        return Response(WebhookReplayed(count, more), status=202)


def _own(request: Request) -> QuerySet[WebhookEndpoint]:
    """What this key may see: its own endpoints, and those it shares while it takes over from another key."""
    return service.endpoints().filter(keys=key_of(request))


def _endpoint(request: Request, id: UUID) -> WebhookEndpoint:
    found = _own(request).filter(pk=id).first()
    if found is None:
        raise exceptions.NotFound()
    return found


def _given(value: Value | UnsetType) -> Value | None:
    return None if isinstance(value, UnsetType) else value


def _problem(refused: EndpointRefused) -> Exception:
    if refused.field == "keys":
        return Conflict(str(refused))
    return Invalid([FieldProblem(f"/{refused.field}", refused.code, str(refused))])


def _attempts(messages: Sequence[WebhookMessage]) -> dict[UUID, list[WebhookAttempt]]:
    found: dict[UUID, list[WebhookAttempt]] = defaultdict(list)
    rows = WebhookAttempt.objects.filter(message_id__in=[row.id for row in messages]).order_by("id")
    for attempt in rows[: MAX_ATTEMPTS * len(messages)]:
        found[attempt.message_id].append(attempt)
    return found


def _shape(row: WebhookEndpoint, request: Request) -> WebhookShape:
    return WebhookShape(
        id=row.id,
        url=row.url,
        description=row.description,
        events=list(row.events),
        is_on=row.is_on,
        is_test=key_of(request).mode == KeyMode.TEST,
        off_reason=OffReason(row.off_reason) if row.off_reason else None,
        off_at=row.off_at,
        failing_since=row.failing_since,
        last_success_at=row.last_success_at,
        old_secret_until=row.old_secret_until,
        created_at=row.created_at,
    )


def _message(row: WebhookMessage, attempts: Sequence[WebhookAttempt]) -> WebhookMessageShape:
    return WebhookMessageShape(
        id=row.id,
        webhook_id=message_id(row.id.bytes),
        event=row.type,
        notification=row.notification_id,
        delivery=row.delivery_id,
        code=row.code or None,
        at=row.at,
        status=MessageStatus(row.status),
        end_reason=EndReason(row.end_reason) if row.end_reason else None,
        ended_at=row.ended_at,
        attempts=[
            WebhookAttemptShape(
                one.number, one.at, AttemptOutcome(one.outcome), one.status, one.milliseconds, one.answer
            )
            for one in attempts
        ],
    )
