"""A recipient's devices, for push."""

import json
from typing import ClassVar
from uuid import UUID

from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import validation
from core.api.openapi import call
from core.api.problems import FieldProblem, Invalid
from preferences.api.faults import recipient_of, reported
from preferences.api.scopes import RECIPIENTS_READ, RECIPIENTS_WRITE
from preferences.api.shapes import DeviceTokenBody, DeviceTokens, DeviceTokenShape
from preferences.choices import Platform, Way
from preferences.models import DeviceToken
from preferences.services import PreferencesService, Trace, ValidationProblem

#: Devices shown, retired ones included. At most 20 of them are live.
MAX_SHOWN = 100


class DeviceTokensView(APIView):
    required_scopes: ClassVar = {"GET": RECIPIENTS_READ, "POST": RECIPIENTS_WRITE}

    @call("listDeviceTokens", "List a recipient's devices", answers={200: DeviceTokens})
    def get(self, request: Request, external_id: str) -> Response:
        rows = DeviceToken.objects.filter(recipient=recipient_of(external_id)).order_by("-registered_at", "-id")
        return Response(DeviceTokens([_shape(row) for row in rows[:MAX_SHOWN]]))

    @call(
        "registerDeviceToken",
        "Register a device",
        request=DeviceTokenBody,
        answers={201: DeviceTokenShape},
        examples={
            "An Android phone": {"platform": "fcm", "token": "dGhpcyBpcyBhIHRva2Vu:APA91b", "label": "Ada's phone"}
        },
    )
    def post(self, request: Request, external_id: str) -> Response:
        """Registering again is harmless and brings a retired token back. A token that was another recipient's until now
        belongs to this one; beyond 20 live devices the oldest is retired."""
        body = validation.read(request.data, DeviceTokenBody)
        # Sorted and compact: the same subscription is the same token, however the browser wrote it.
        token = (
            body.token if isinstance(body.token, str) else json.dumps(body.token, sort_keys=True, separators=(",", ":"))
        )
        with reported():
            recipient_of(external_id)
            try:
                device = PreferencesService().register_token(
                    external_id, str(body.platform), token, body.label, Trace(Way.API)
                )
            except ValidationProblem as problem:
                raise Invalid([FieldProblem("/token", problem.code, problem.message)]) from None
        return Response(_shape(device), status=201)


class DeviceTokenView(APIView):
    required_scopes: ClassVar = {"DELETE": RECIPIENTS_WRITE}

    @call("retireDeviceToken", "Stop sending to a device", answers={204: None})
    def delete(self, request: Request, external_id: str, id: UUID) -> Response:
        if not DeviceToken.objects.filter(recipient=recipient_of(external_id), pk=id).exists():
            raise exceptions.NotFound()
        PreferencesService().retire_tokens([id], "removed", trace=Trace(Way.API))
        return Response(status=204)


def _shape(row: DeviceToken) -> DeviceTokenShape:
    return DeviceTokenShape(
        row.id,
        Platform(row.platform),
        _redacted(row),
        row.label,
        row.registered_at,
        row.retired_at,
        row.retired_reason,
    )


def _redacted(row: DeviceToken) -> str:
    """Enough to tell two devices apart, too little to send to one. A subscription's ends are only braces."""
    if row.platform == Platform.WEBPUSH or len(row.token) < 24:
        return f"sha256:{row.token_hash[:8]}…"
    return f"{row.token[:4]}…{row.token[-4:]}"
