"""Suppressions: reasons why an address must not be used, one of an address as a row of its own."""

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from msgspec import Meta, Struct
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import pagination, validation
from core.api.openapi import PAGE_PARAMETERS, call
from core.api.problems import Conflict, FieldProblem, Invalid
from preferences.api.scopes import RECIPIENTS_READ, RECIPIENTS_WRITE
from preferences.choices import Channel, SuppressionReason, Way
from preferences.models import Recipient, Suppression
from preferences.services import PreferencesService, Trace, ValidationProblem
from preferences.services.addresses import LIFTABLE, ONLY_START
from preferences.validation import VALIDATORS, is_external_id

_KIND = {Channel.EMAIL: "email", Channel.SMS: "phone"}
_ADDRESS = Annotated[str, Meta(min_length=1, max_length=254)]
_FILTERS = [
    OpenApiParameter("channel", str, enum=["email", "sms"]),
    OpenApiParameter("reason", str, enum=list(SuppressionReason.values)),
    OpenApiParameter("recipient", str, description="External id: the addresses this person has now"),
]


class SuppressionBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """An address of `email` or `sms` that must not be used. That somebody replied STOP is for their number to say."""

    channel: Channel
    address: _ADDRESS
    reason: SuppressionReason = SuppressionReason.MANUAL


class SuppressionShape(Struct):
    """One reason why an address must not be used. The address is kept as its SHA-256, trimmed and case-folded, and not
    shown. `source` is who said so: a provider, `receipt`, `api:<key>` or `admin:<name>`."""

    id: int
    channel: Channel
    address_hash: str
    reason: SuppressionReason
    source: str
    created_at: datetime


class SuppressionPage(Struct):
    """Newest first."""

    results: list[SuppressionShape]
    next_cursor: str | None


class AddressBody(Struct, forbid_unknown_fields=True):
    """An address in full: in the body, since web servers log what stands in an address line."""

    channel: Channel
    address: _ADDRESS


class FoundSuppressions(Struct):
    """Every reason why one address must not be used, newest first; none when it may be."""

    results: list[SuppressionShape]


class LiftBody(Struct, forbid_unknown_fields=True):
    """The suppressed address in full."""

    address: _ADDRESS


class _Query(Struct, forbid_unknown_fields=True):
    channel: Channel | None = None
    reason: SuppressionReason | None = None
    recipient: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


class SuppressionsView(APIView):
    required_scopes: ClassVar = {"GET": RECIPIENTS_READ, "POST": RECIPIENTS_WRITE}

    @call(
        "listSuppressions",
        "List suppressions",
        answers={200: SuppressionPage},
        parameters=[*PAGE_PARAMETERS, *_FILTERS],
    )
    def get(self, request: Request) -> Response:
        """An address that bounced and complained has two."""
        window = pagination.window(request)
        asked = validation.read_query(request.query_params, _Query, besides=pagination.PARAMETERS)
        rows, next_cursor = pagination.page(_matching(asked), window)
        return Response(SuppressionPage([_shape(row) for row in rows], next_cursor))

    @call(
        "createSuppression",
        "Suppress an address",
        request=SuppressionBody,
        answers={200: SuppressionShape, 201: SuppressionShape},
        examples={"From a list of your own": {"channel": "email", "address": "ada@example.com", "reason": "complaint"}},
    )
    def post(self, request: Request) -> Response:
        """In force at once, also for what was accepted before and has not left yet. 200 when that reason was known."""
        body = validation.read(request.data, SuppressionBody)
        if body.reason not in LIFTABLE:
            raise Invalid(
                [FieldProblem("/reason", "stop_keyword", "Only the number itself says that, by replying STOP.")]
            )
        address = _normalised(body.channel, body.address)
        by, channel, reason = str(request.user)[:64], body.channel.value, body.reason.value
        with transaction.atomic():
            is_new = PreferencesService().suppress(channel, address, reason, by, Trace(Way.API, by=by))
            row = Suppression.objects.get(channel=channel, address_hash=Suppression.hash_of(address), reason=reason)
        return Response(_shape(row), status=201 if is_new else 200)


class SuppressionLookupView(APIView):
    required_scopes: ClassVar = {"POST": RECIPIENTS_READ}

    @call(
        "lookUpAddress",
        "Look up an address",
        request=AddressBody,
        answers={200: FoundSuppressions},
        examples={"An email address": {"channel": "email", "address": "ada@example.com"}},
    )
    def post(self, request: Request) -> Response:
        """Why it must not be used, reason by reason; an empty list when it may be."""
        asked = validation.read(request.data, AddressBody)
        address = _normalised(asked.channel, asked.address)
        rows = Suppression.objects.filter(channel=asked.channel.value, address_hash=Suppression.hash_of(address))
        return Response(FoundSuppressions([_shape(row) for row in rows.order_by("-id")]))


class SuppressionView(APIView):
    required_scopes: ClassVar = {"GET": RECIPIENTS_READ}

    @call("getSuppression", "Read a suppression", answers={200: SuppressionShape})
    def get(self, request: Request, id: int) -> Response:
        return Response(_shape(_found(id)))


class LiftSuppressionView(APIView):
    required_scopes: ClassVar = {"POST": RECIPIENTS_WRITE}

    @call(
        "liftSuppression",
        "Lift a suppression",
        request=LiftBody,
        answers={204: None},
        examples={"With its address": {"address": "ada@example.com"}},
        conflicts=True,
    )
    def post(self, request: Request, id: int) -> Response:
        """Asks for the address, of which only the hash is kept. Another reason for which it must not be used stays. 409
        for a STOP: only a START from its number lifts that."""
        asked = validation.read(request.data, LiftBody)
        row = _found(id)
        if row.reason not in LIFTABLE:
            raise Conflict(ONLY_START)
        if Suppression.hash_of(asked.address) != row.address_hash:
            raise Invalid([FieldProblem("/address", "invalid", "This is not the suppressed address.")])
        trace = Trace(Way.API, by=str(request.user)[:64])
        PreferencesService().lift(row.channel, asked.address.strip(), only=[row.reason], trace=trace)
        return Response(status=204)


def _matching(asked: _Query) -> QuerySet[Suppression]:
    rows = Suppression.objects.all()
    if asked.channel is not None:
        rows = rows.filter(channel=asked.channel.value)
    if asked.reason is not None:
        rows = rows.filter(reason=asked.reason.value)
    return rows if asked.recipient is None else _of_person(rows, asked.recipient)


def _of_person(rows: QuerySet[Suppression], external_id: str) -> QuerySet[Suppression]:
    """Of nobody there are none."""
    person = Recipient.objects.filter(external_id=external_id).first() if is_external_id(external_id) else None
    if person is None:
        return rows.none()
    own = rows.none()
    for channel, address in ((Channel.EMAIL, person.email), (Channel.SMS, person.phone)):
        if address:
            own = own | rows.filter(channel=channel.value, address_hash=Suppression.hash_of(address))
    return own


def _normalised(channel: Channel, address: str) -> str:
    """As recipients have it. Raises Invalid."""
    if channel not in _KIND:
        message = "Only email and SMS addresses can be suppressed."
        raise Invalid([FieldProblem("/channel", "not_suppressible", message)])
    try:
        found: str = VALIDATORS[_KIND[channel]](address)
    except ValidationProblem as problem:
        raise Invalid([FieldProblem("/address", problem.code, problem.message)]) from None
    if not found:
        raise Invalid([FieldProblem("/address", "required", "This is blank.")])
    return found


def _found(id: int) -> Suppression:
    row = Suppression.objects.filter(pk=id).first() if id < 2**63 else None
    if row is None:
        raise exceptions.NotFound()
    return row


def _shape(row: Suppression) -> SuppressionShape:
    return msgspec.convert(
        {
            "id": row.pk,
            "channel": row.channel,
            "address_hash": row.address_hash,
            "reason": row.reason,
            "source": row.source,
            "created_at": row.created_at,
        },
        SuppressionShape,
    )
