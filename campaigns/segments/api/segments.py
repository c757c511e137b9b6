"""Segments: kept definitions, and what a definition comes to."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from msgspec import UNSET
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from campaigns.errors import DefinitionInvalid, InUse, NameTaken
from campaigns.segments.api.shapes import (
    SegmentBody,
    SegmentChange,
    SegmentDefinitionBody,
    SegmentEstimate,
    SegmentPage,
    SegmentPerson,
    SegmentSample,
    SegmentSampleBody,
    SegmentShape,
)
from campaigns.segments.estimating import estimate, sample
from campaigns.segments.models import Segment
from campaigns.segments.services import SegmentService, Wishes
from core.api import pagination, validation
from core.api.openapi import PAGE_PARAMETERS, call
from core.api.problems import Conflict, FieldProblem, Invalid
from notifications.models.api_key import Scope

_DEFINITION = {
    "all": [
        {"field": "attributes.plan", "op": "in", "value": ["pro", "team"]},
        {"field": "opened", "op": "not_within_days", "value": {"days": 30}},
    ]
}
_EXAMPLE = {"name": "Quiet pros", "definition": _DEFINITION}
#: The largest id of a row.
_MAX_ID = 2**31 - 1


class SegmentsView(APIView):
    required_scopes: ClassVar = {"GET": Scope.SEGMENTS_READ, "POST": Scope.SEGMENTS_WRITE}

    @call("listSegments", "List segments, newest first", answers={200: SegmentPage}, parameters=PAGE_PARAMETERS)
    def get(self, request: Request) -> Response:
        rows, next_cursor = pagination.page(Segment.objects.all(), pagination.window(request))
        return Response(SegmentPage([_shape(row) for row in rows], next_cursor))

    @call(
        "createSegment",
        "Create a segment",
        request=SegmentBody,
        answers={201: SegmentShape},
        examples={"Pro users who are quiet": _EXAMPLE},
        conflicts=True,
    )
    def post(self, request: Request) -> Response:
        """Who is in it is asked anew whenever it is used."""
        body = validation.read(request.data, SegmentBody)
        with reported():
            made = SegmentService().create(Wishes(body.name, body.description, body.definition), by=None)
        return Response(_shape(made), status=201)


class SegmentView(APIView):
    required_scopes: ClassVar = {
        "GET": Scope.SEGMENTS_READ,
        "PATCH": Scope.SEGMENTS_WRITE,
        "DELETE": Scope.SEGMENTS_WRITE,
    }

    @call("getSegment", "Read a segment", answers={200: SegmentShape})
    def get(self, request: Request, segment_id: int) -> Response:
        return Response(_shape(_segment(segment_id)))

    @call(
        "patchSegment",
        "Change a segment",
        request=SegmentChange,
        answers={200: SegmentShape},
        examples={"A new name": {"name": "Quiet pros"}},
        conflicts=True,
    )
    def patch(self, request: Request, segment_id: int) -> Response:
        """A campaign that was approved with the old conditions goes back to review."""
        body = validation.read(request.data, SegmentChange)
        wishes = Wishes(
            name=None if body.name is UNSET else str(body.name),
            description=None if body.description is UNSET else str(body.description),
            definition=body.definition if isinstance(body.definition, dict) else None,
        )
        with reported():
            changed = SegmentService().change(_segment(segment_id), wishes)
        return Response(_shape(changed))

    @call("deleteSegment", "Delete a segment", answers={204: None}, conflicts=True)
    def delete(self, request: Request, segment_id: int) -> Response:
        """409 while a campaign names it."""
        with reported():
            SegmentService().delete(_segment(segment_id))
        return Response(status=204)


class EstimateSegmentView(APIView):
    required_scopes: ClassVar = {"POST": Scope.SEGMENTS_READ}

    @call(
        "estimateSegment",
        "Count who meets a definition",
        request=SegmentDefinitionBody,
        answers={200: SegmentEstimate},
        examples={"Pro users who are quiet": {"definition": _DEFINITION}},
    )
    def post(self, request: Request) -> Response:
        """Within a second: exactly, or an estimate that says so."""
        body = validation.read(request.data, SegmentDefinitionBody)
        with reported():
            found = estimate(body.definition)
        return Response(SegmentEstimate(found.people, found.is_exact))


class SampleSegmentView(APIView):
    required_scopes: ClassVar = {"POST": Scope.RECIPIENTS_READ}

    @call(
        "sampleSegment",
        "Show some of those who meet a definition",
        request=SegmentSampleBody,
        answers={200: SegmentSample},
        examples={"Three of them": {"definition": _DEFINITION, "limit": 3}},
    )
    def post(self, request: Request) -> Response:
        """Takes `recipients:read`, because it names people."""
        body = validation.read(request.data, SegmentSampleBody)
        with reported():
            found = sample(body.definition, body.limit)
        return Response(SegmentSample([SegmentPerson(one.external_id, one.name, one.locale) for one in found]))


@contextmanager
def reported() -> Iterator[None]:
    """Refusals of the services as problems."""
    try:
        yield
    except DefinitionInvalid as invalid:
        faults = [FieldProblem(f"/definition{at}", "invalid", message) for at, message in invalid.errors]
        raise Invalid(faults) from None
    except (NameTaken, InUse) as refused:
        raise Conflict(str(refused)) from None


def _segment(id: int) -> Segment:
    found = Segment.objects.filter(pk=min(id, _MAX_ID)).first()
    if found is None:
        raise exceptions.NotFound()
    return found


def _shape(row: Segment) -> SegmentShape:
    return SegmentShape(
        row.pk,
        row.name,
        row.description,
        row.definition,
        row.people,
        row.is_exact,
        row.counted_at,
        row.created_at,
        row.updated_at,
    )
