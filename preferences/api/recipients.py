"""Recipients by the host system's own ids."""

from typing import Annotated, ClassVar

import msgspec
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import pagination, validation
from core.api.openapi import PAGE_PARAMETERS, call
from core.api.problems import FieldProblem, Invalid
from core.statements import StatementTooSlow, bounded
from preferences import validation as values
from preferences.api.faults import check_path_id, recipient_of, reported
from preferences.api.scopes import RECIPIENTS_READ, RECIPIENTS_WRITE
from preferences.api.shapes import (
    BulkRecipient,
    BulkRecipientsBody,
    BulkResult,
    LookupBody,
    QuietHours,
    QuietHoursShape,
    RecipientBody,
    RecipientPage,
    RecipientShape,
)
from preferences.choices import Way
from preferences.models import Recipient
from preferences.services import MAX_BATCH, PreferencesService, Trace, ValidationProblem

#: A search that is still being read after this is too broad.
SEARCH_TIMEOUT_MS = 3_000
PERSON = {
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "phone": "+4915112345678",
    "locale": "de-DE",
    "timezone": "Europe/Berlin",
    "quiet_hours": {"start": "22:00", "end": "07:30"},
    "attributes": {"plan": "pro"},
}


class RecipientsView(APIView):
    required_scopes: ClassVar = {"GET": RECIPIENTS_READ}

    @call(
        "listRecipients",
        "List or search recipients, newest first",
        answers={200: RecipientPage},
        parameters=[
            *PAGE_PARAMETERS,
            OpenApiParameter("external_id", str, description="Exactly this one"),
            OpenApiParameter("external_id_prefix", str, description="Beginning with this"),
        ],
    )
    def get(self, request: Request) -> Response:
        window = pagination.window(request)
        rows = _matching(validation.read_query(request.query_params, _Query, besides=pagination.PARAMETERS))
        try:
            with bounded(SEARCH_TIMEOUT_MS):
                found, next_cursor = pagination.page(rows, window)
        except StatementTooSlow:
            fault = FieldProblem(
                "", "too_broad", "Too many to look through. Ask more exactly.", parameter="external_id_prefix"
            )
            raise Invalid([fault]) from None
        return Response(RecipientPage([_shape(row) for row in found], next_cursor))


class RecipientLookupView(APIView):
    required_scopes: ClassVar = {"POST": RECIPIENTS_READ}

    @call(
        "lookUpRecipients",
        "Look up who has an address",
        request=LookupBody,
        answers={200: RecipientPage},
        parameters=PAGE_PARAMETERS,
        examples={"By email": {"email": "ada@example.com"}, "By phone": {"phone": "+4915112345678"}},
    )
    def post(self, request: Request) -> Response:
        """Everyone who has exactly this email address, in any case, or this phone number; of both, who has both."""
        window = pagination.window(request)
        asked = validation.read(request.data, LookupBody)
        found, next_cursor = pagination.page(_having(asked), window)
        return Response(RecipientPage([_shape(row) for row in found], next_cursor))


class BulkRecipientsView(APIView):
    required_scopes: ClassVar = {"POST": RECIPIENTS_WRITE}

    @call(
        "upsertRecipients",
        "Create or change up to 1,000 recipients",
        request=BulkRecipientsBody,
        answers={200: BulkResult},
        examples={"Two people": {"recipients": [{"external_id": "user-42", **PERSON}, {"external_id": "user-43"}]}},
    )
    def post(self, request: Request) -> Response:
        """All or none: when any item is wrong nothing is changed, and `errors` points at each fault, for example
        `/recipients/3/email`."""
        bodies = validation.read_list(request.data, "recipients", BulkRecipient, at_most=MAX_BATCH)
        with reported("recipients"):
            result = PreferencesService().upsert([body.changes(body.external_id) for body in bodies], Trace(Way.API))
        return Response(BulkResult(result.created, result.updated, result.unchanged))


class RecipientView(APIView):
    required_scopes: ClassVar = {
        "GET": RECIPIENTS_READ,
        "PUT": RECIPIENTS_WRITE,
        "PATCH": RECIPIENTS_WRITE,
        "DELETE": RECIPIENTS_WRITE,
    }

    @call("getRecipient", "Read a recipient", answers={200: RecipientShape})
    def get(self, request: Request, external_id: str) -> Response:
        return Response(_shape(recipient_of(external_id)))

    @call(
        "putRecipient",
        "Create a recipient, or replace them",
        request=RecipientBody,
        answers={200: RecipientShape, 201: RecipientShape},
        examples={"A person": PERSON},
    )
    def put(self, request: Request, external_id: str) -> Response:
        """What is left out takes its default. Preferences and devices stay."""
        body = validation.read(request.data, RecipientBody)
        check_path_id(external_id)
        with reported(), transaction.atomic():
            result = PreferencesService().upsert([body.whole(external_id)], Trace(Way.API))
            shown = _shape(recipient_of(external_id))
        return Response(shown, status=201 if result.created else 200)

    @call(
        "patchRecipient",
        "Change some fields of a recipient",
        request=RecipientBody,
        answers={200: RecipientShape},
        examples={"A new address": {"email": "ada@example.org"}},
    )
    def patch(self, request: Request, external_id: str) -> Response:
        """What is left out stays as it is; `attributes` are replaced whole."""
        body = validation.read(request.data, RecipientBody)
        with reported(), transaction.atomic():
            recipient_of(external_id, held=True)  # one who is erased meanwhile must not be made again
            PreferencesService().upsert([body.changes(external_id)], Trace(Way.API))
            shown = _shape(recipient_of(external_id))
        return Response(shown)

    @call("eraseRecipient", "Erase a recipient", answers={204: None})
    def delete(self, request: Request, external_id: str) -> Response:
        """Removes the person with their devices and preferences, and the content of what they were sent. What is left
        are counts, outcomes, and hashes of addresses that must not be used."""
        if not values.is_external_id(external_id) or not PreferencesService().erase(external_id):
            raise exceptions.NotFound()
        return Response(status=204)


class _Query(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    external_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    external_id_prefix: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None


def _matching(asked: _Query) -> QuerySet[Recipient]:
    rows = Recipient.objects.all()
    if asked.external_id is not None:
        rows = rows.filter(external_id=asked.external_id)
    if asked.external_id_prefix is not None:
        rows = rows.filter(external_id__startswith=asked.external_id_prefix)
    return rows


def _having(asked: LookupBody) -> QuerySet[Recipient]:
    """Who has this address; raises Invalid where none is asked for, or a number is none. Blanks are no address: those
    who have none are not whom they mean."""
    rows = Recipient.objects.all()
    if asked.email is None and asked.phone is None:
        raise Invalid([FieldProblem("", "required", "Give an email address, a phone number, or both.")])
    for name, given in (("email", asked.email), ("phone", asked.phone)):
        if given is not None and not given.strip():
            raise Invalid([FieldProblem(f"/{name}", "required", "This is blank.")])
    if asked.email is not None:
        rows = rows.filter(email__iexact=asked.email.strip())
    if asked.phone is not None:
        try:
            rows = rows.filter(phone=values.phone(asked.phone))
        except ValidationProblem as problem:
            raise Invalid([FieldProblem("/phone", problem.code, problem.message)]) from None
    return rows


def _quiet_hours(row: Recipient) -> QuietHours | None:
    if row.quiet_start is None or row.quiet_end is None:
        return "none" if row.quiet_never else None
    return QuietHoursShape(f"{row.quiet_start:%H:%M}", f"{row.quiet_end:%H:%M}")


def _shape(row: Recipient) -> RecipientShape:
    return RecipientShape(
        row.external_id,
        row.name,
        row.email,
        row.phone,
        row.locale,
        row.timezone,
        _quiet_hours(row),
        row.email_verified_at,
        row.phone_verified_at,
        row.attributes,
        row.created_at,
        row.updated_at,
    )
