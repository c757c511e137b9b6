"""Campaigns for programs: drafts are made, read and changed; what was started tells its figures."""

from typing import Any, ClassVar

import msgspec
from drf_spectacular.utils import OpenApiParameter
from msgspec import UNSET
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from campaigns import selectors, standing
from campaigns.api import presenting
from campaigns.api.acting import Refused, owner_of
from campaigns.api.drafting import as_body, keep
from campaigns.api.shapes import (
    CampaignBody,
    CampaignChange,
    CampaignEventPage,
    CampaignFigures,
    CampaignFilter,
    CampaignPage,
    CampaignPlan,
    CampaignShape,
)
from campaigns.errors import WrongState
from campaigns.foresight import planned
from campaigns.models import Campaign, CampaignEvent, CampaignStatus
from campaigns.services import DraftService
from core.api import pagination, validation
from core.api.openapi import PAGE_PARAMETERS, call
from core.api.problems import Conflict
from notifications.models.api_key import Scope

_EXAMPLE = {
    "name": "Summer sale",
    "template": "weekly-offer",
    "category": "promotions",
    "data": {"percent": 20},
    "schedule": "at",
    "send_at": "2027-07-01T09:00:00Z",
}
_FILTERS = (
    OpenApiParameter("status", str, enum=CampaignStatus.values, description="Where it stands"),
    OpenApiParameter("archived", bool, description="Those in the archive instead of the others"),
)


class CampaignsView(APIView):
    required_scopes: ClassVar = {"GET": Scope.CAMPAIGNS_READ, "POST": Scope.CAMPAIGNS_WRITE}

    @call("listCampaigns", "List campaigns", answers={200: CampaignPage}, parameters=(*PAGE_PARAMETERS, *_FILTERS))
    def get(self, request: Request) -> Response:
        asked = validation.read_query(request.query_params.dict(), CampaignFilter, besides=pagination.PARAMETERS)
        rows = Campaign.objects.select_related("template", "category", "created_by")
        rows = rows.filter(archived_at__isnull=not asked.archived)
        if asked.status is not None:
            rows = rows.filter(status=asked.status)
        found, next_cursor = pagination.page(rows, pagination.window(request))
        return Response(CampaignPage([presenting.brief(row) for row in found], next_cursor))

    @call(
        "createCampaign",
        "Make a draft",
        request=CampaignBody,
        answers={201: CampaignShape},
        examples={"To everyone, at a moment": _EXAMPLE},
    )
    def post(self, request: Request) -> Response:
        """Nothing leaves: a draft is submitted, approved and launched by calls of their own."""
        body = validation.read(request.data, CampaignBody)
        by = _writer(request, "add")
        made = keep(Campaign(), _values(body), by=by)
        return Response(presenting.campaign(campaign(made.pk)), status=201)


class CampaignView(APIView):
    required_scopes: ClassVar = {
        "GET": Scope.CAMPAIGNS_READ,
        "PATCH": Scope.CAMPAIGNS_WRITE,
        "DELETE": Scope.CAMPAIGNS_WRITE,
    }

    @call("getCampaign", "Read a campaign", answers={200: CampaignShape})
    def get(self, request: Request, id: int) -> Response:
        return Response(presenting.campaign(campaign(id)))

    @call(
        "patchCampaign",
        "Change a draft",
        request=CampaignChange,
        answers={200: CampaignShape},
        examples={"Slower": {"throttle_per_minute": 5000}},
        conflicts=True,
    )
    def patch(self, request: Request, id: int) -> Response:
        """409 for what is no draft: open it for editing first, or duplicate it."""
        body = validation.read(request.data, CampaignChange)
        row, by = campaign(id), _writer(request, "change")
        if row.status != CampaignStatus.DRAFT:
            raise Conflict(f"This campaign is {row.get_status_display().lower()}, so nothing was changed.")
        given = {name: value for name, value in _values(body).items() if value is not UNSET}
        try:
            keep(row, as_body(row) | given, by=by)
        except WrongState as refused:
            raise Conflict(str(refused)) from None
        return Response(presenting.campaign(campaign(id)))

    @call("deleteCampaign", "Delete a draft", answers={204: None}, conflicts=True)
    def delete(self, request: Request, id: int) -> Response:
        row = campaign(id)
        _writer(request, "delete")
        try:
            DraftService().delete(row.pk)
        except WrongState as refused:
            raise Conflict(str(refused)) from None
        return Response(status=204)


class CampaignPlanView(APIView):
    required_scopes: ClassVar = {"GET": Scope.CAMPAIGNS_READ}

    @call("planCampaign", "See what would happen", answers={200: CampaignPlan})
    def get(self, request: Request, id: int) -> Response:
        """Whom it reaches on which channel, when, how long it takes, and what is missing."""
        return Response(presenting.plan(planned(campaign(id))))


class CampaignFiguresView(APIView):
    required_scopes: ClassVar = {"GET": Scope.CAMPAIGNS_READ}

    @call("getCampaignFigures", "See what became of it", answers={200: CampaignFigures}, conflicts=True)
    def get(self, request: Request, id: int) -> Response:
        row = campaign(id)
        if row.started_at is None:
            raise Conflict("A campaign that has not started has no figures yet.")
        return Response(presenting.figures({**selectors.snapshot(row), "variants": standing.as_figures(row)}))


class CampaignEventsView(APIView):
    required_scopes: ClassVar = {"GET": Scope.CAMPAIGNS_READ}

    @call("listCampaignEvents", "Read its audit trail", answers={200: CampaignEventPage}, parameters=PAGE_PARAMETERS)
    def get(self, request: Request, id: int) -> Response:
        rows = CampaignEvent.objects.filter(campaign_id=campaign(id).pk)
        found, next_cursor = pagination.page(rows, pagination.window(request))
        return Response(CampaignEventPage([presenting.event(row) for row in found], next_cursor))


def campaign(id: int) -> Campaign:
    """With what its shape shows; 404 where there is none."""
    rows = Campaign.objects.select_related(
        "template", "category", "created_by", "submitted_by", "approved_by", "template_version", "winner__template"
    )
    found = rows.filter(pk=id).first()
    if found is None:
        raise exceptions.NotFound()
    return found


def _writer(request: Request, permission: str) -> Any:
    """The key's owner, who must be one who writes campaigns."""
    by = owner_of(request)
    if not by.has_perm(f"campaigns.{permission}_campaign"):
        raise Refused("Only campaign authors may do that.")
    return by


def _values(body: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(body, name) for name in body.__struct_fields__}
