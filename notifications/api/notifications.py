"""Sending, reading and cancelling notifications. Every key reads the whole installation's notifications."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import pagination, validation
from core.api.openapi import IDEMPOTENCY_KEY, PAGE_PARAMETERS, call
from core.api.parsing import OrjsonParser
from core.api.problems import Conflict, FieldProblem, Invalid, Overload, pointer
from core.api.rendering import base_type
from core.statements import StatementTooSlow, bounded
from notifications import selectors
from notifications.api import examples, presenting
from notifications.api.authentication import key_of
from notifications.api.idempotency import answer_once
from notifications.api.rates import count_notifications
from notifications.api.shapes import (
    AcceptedBulk,
    AcceptedNotification,
    BulkBody,
    Cancelled,
    DraftBody,
    NotificationDetail,
    NotificationPage,
    drafts_of,
)
from notifications.choices import Priority, Status
from notifications.drafts import MAX_DRAFTS, Accepted
from notifications.errors import AlreadyLeft, DraftsRejected
from notifications.models import Notification
from notifications.models.api_key import KeyMode, Scope
from notifications.services import overload
from notifications.services.notification import NotificationService

#: A list that is still being read after this is too broad; a good one takes a few milliseconds.
LIST_TIMEOUT_MS = 3_000


class NotificationsView(APIView):
    required_scopes: ClassVar = {"POST": Scope.NOTIFICATIONS_WRITE, "GET": Scope.NOTIFICATIONS_READ}

    @call(
        "sendNotification",
        "Send one notification to one recipient",
        request=DraftBody,
        answers={202: AcceptedNotification},
        parameters=[IDEMPOTENCY_KEY],
        examples=examples.DRAFTS,
        answer_example=examples.ACCEPTED,
        conflicts=True,
    )
    def post(self, request: Request) -> Response:
        """Takes the notification onto the record and answers at once; sending follows within a second. Where a channel
        cannot be used (no address, an opt-out) the delivery is on the record too, skipped, with its reason."""
        body = validation.read(request.data, DraftBody)

        def act() -> AcceptedNotification:
            return presenting.accepted(_send(request, [body], ())[0])

        return answer_once(request, 202, act)

    @call(
        "listNotifications",
        "List notifications, newest first",
        answers={200: NotificationPage},
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter("recipient", str, description="External id"),
            OpenApiParameter("category", str, description="Slug"),
            OpenApiParameter("template", str, description="Slug"),
            OpenApiParameter("source", str, description="`api:<key prefix>`, `campaign:<id>`, `notify`"),
            OpenApiParameter("priority", str, enum=Priority.values),
            OpenApiParameter("status", str, enum=Status.values, description="Of at least one delivery"),
            OpenApiParameter("created_after", datetime, description="At or after this time"),
            OpenApiParameter("created_before", datetime, description="Before this time"),
        ],
    )
    def get(self, request: Request) -> Response:
        """By recipient or by time it is quick however many there are. A filter by anything else alone may have to read
        too much and is then refused with 422: name a time range too."""
        wanted, window = _filter(request), pagination.window(request)
        try:
            with bounded(LIST_TIMEOUT_MS):
                rows, next_cursor = pagination.page(selectors.matching(wanted), window)
                deliveries = selectors.deliveries_of([row.id for row in rows])
                names = selectors.names(rows)
        except StatementTooSlow:
            detail = "Too many notifications to look through. Name a recipient, or a shorter time range."
            raise Invalid([FieldProblem("", "too_broad", detail, parameter="created_after")]) from None
        shown = [presenting.brief(row, deliveries[row.id], names) for row in rows]
        return Response(NotificationPage(shown, next_cursor))


class BulkNotificationsView(APIView):
    required_scopes: ClassVar = {"POST": Scope.NOTIFICATIONS_WRITE}

    @call(
        "sendNotifications",
        "Send up to 1,000 notifications",
        request=BulkBody,
        answers={202: AcceptedBulk},
        parameters=[IDEMPOTENCY_KEY],
        examples=examples.BULK,
        conflicts=True,
    )
    def post(self, request: Request) -> Response:
        """All or none: when any item is wrong, nothing is accepted and `errors` points at each fault, for example
        `/notifications/3/recipient`."""
        bodies = _drafts(request)

        def act() -> AcceptedBulk:
            return AcceptedBulk([presenting.accepted(one) for one in _send(request, bodies, ("notifications",))])

        return answer_once(request, 202, act)


class NotificationView(APIView):
    required_scopes: ClassVar = {"GET": Scope.NOTIFICATIONS_READ}

    @call(
        "getNotification",
        "Read a notification with the timeline of each delivery",
        answers={200: NotificationDetail},
        answer_example=examples.DETAIL,
    )
    def get(self, request: Request, id: UUID) -> Response:
        found = selectors.detail(id)
        if found is None:
            raise exceptions.NotFound()
        return Response(presenting.detail(found))


class CancelNotificationView(APIView):
    required_scopes: ClassVar = {"POST": Scope.NOTIFICATIONS_WRITE}

    @call(
        "cancelNotification",
        "Cancel what has not left yet",
        answers={200: Cancelled},
        answer_example=examples.CANCELLED,
        conflicts=True,
    )
    def post(self, request: Request, id: UUID) -> Response:
        """409 when every delivery has left for its provider or ended."""
        try:
            stopped = NotificationService().cancel(id)
        except Notification.DoesNotExist:
            raise exceptions.NotFound() from None
        except AlreadyLeft:
            raise Conflict("Every delivery has left for its provider or ended.") from None
        return Response(Cancelled(id, stopped, presenting.url_of(id)))


def _drafts(request: Request) -> list[DraftBody]:
    """The items of a bulk call; the way by the parsed document, slower, is the one that finds what is wrong."""
    if base_type(request.content_type) == OrjsonParser.media_type:
        bodies = drafts_of(request._request.body)
        if bodies is not None:
            return bodies
    return validation.read_list(request.data, "notifications", DraftBody, at_most=MAX_DRAFTS)


def _send(request: Request, bodies: Sequence[DraftBody], prefix: tuple[str, ...]) -> list[Accepted]:
    """Hand the bodies to the pipeline; the faults of item 3 of a bulk call stand at `/notifications/3/...`."""
    key = key_of(request)
    drafts = [body.draft() for body in bodies]
    service = NotificationService()
    try:
        overload.admit(drafts, service.preferences)
    except overload.Overloaded as error:
        raise Overload(str(error), retry_after=error.retry_after) from None
    count_notifications(request._request, key, len(drafts))
    try:
        return service.send(drafts, source=f"api:{key.prefix}", is_test=key.mode == KeyMode.TEST)
    except DraftsRejected as rejected:
        raise Invalid(
            [
                FieldProblem((pointer(*prefix, index) if prefix else "") + error.pointer, error.code, error.message)
                for index, errors in sorted(rejected.errors.items())
                for error in errors
            ]
        ) from None


class _Query(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    recipient: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    category: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    template: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    priority: Priority | None = None
    status: Status | None = None
    created_after: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    created_before: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


def _filter(request: Request) -> selectors.Filter:
    asked = validation.read_query(request.query_params, _Query, besides=pagination.PARAMETERS)
    return selectors.Filter(**msgspec.structs.asdict(asked))
