"""Saved lists, and who is on them."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from msgspec import UNSET
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from campaigns.segments.api.segments import reported
from campaigns.segments.api.shapes import (
    ListBody,
    ListChange,
    ListMembersBody,
    ListMembersChanged,
    ListMembersPage,
    ListPage,
    ListShape,
)
from campaigns.segments.lists import Changed, ListService
from campaigns.segments.models import RecipientList, RecipientListMember
from core.api import pagination, validation
from core.api.openapi import PAGE_PARAMETERS, call
from notifications.models.api_key import Scope

_MEMBERS = {"external_ids": ["user-42", "user-43"]}
_MAX_ID = 2**31 - 1


class ListsView(APIView):
    required_scopes: ClassVar = {"GET": Scope.SEGMENTS_READ, "POST": Scope.SEGMENTS_WRITE}

    @call("listLists", "List saved lists, newest first", answers={200: ListPage}, parameters=PAGE_PARAMETERS)
    def get(self, request: Request) -> Response:
        rows, next_cursor = pagination.page(RecipientList.objects.all(), pagination.window(request))
        return Response(ListPage([_shape(row) for row in rows], next_cursor))

    @call(
        "createList",
        "Create a list",
        request=ListBody,
        answers={201: ListShape},
        examples={"VIPs": {"name": "VIPs"}},
        conflicts=True,
    )
    def post(self, request: Request) -> Response:
        """It is empty; people are put on it with `members/`."""
        body = validation.read(request.data, ListBody)
        with reported():
            made = ListService().create(body.name, body.description, by=None)
        return Response(_shape(made), status=201)


class ListView(APIView):
    required_scopes: ClassVar = {
        "GET": Scope.SEGMENTS_READ,
        "PATCH": Scope.SEGMENTS_WRITE,
        "DELETE": Scope.SEGMENTS_WRITE,
    }

    @call("getList", "Read a list", answers={200: ListShape})
    def get(self, request: Request, list_id: int) -> Response:
        return Response(_shape(_list(list_id)))

    @call(
        "patchList",
        "Rename or describe a list",
        request=ListChange,
        answers={200: ListShape},
        examples={"A new name": {"name": "VIPs"}},
        conflicts=True,
    )
    def patch(self, request: Request, list_id: int) -> Response:
        """What is left out stays as it is."""
        body = validation.read(request.data, ListChange)
        name = None if body.name is UNSET else str(body.name)
        description = None if body.description is UNSET else str(body.description)
        with reported():
            changed = ListService().change(_list(list_id), name=name, description=description)
        return Response(_shape(changed))

    @call("deleteList", "Delete a list", answers={204: None}, conflicts=True)
    def delete(self, request: Request, list_id: int) -> Response:
        """The people stay. 409 while a campaign or a segment names it."""
        with reported():
            ListService().delete(_list(list_id))
        return Response(status=204)


class ListMembersView(APIView):
    required_scopes: ClassVar = {"GET": Scope.RECIPIENTS_READ, "POST": Scope.SEGMENTS_WRITE}

    @call("listMembers", "Read who is on a list", answers={200: ListMembersPage}, parameters=PAGE_PARAMETERS)
    def get(self, request: Request, list_id: int) -> Response:
        """Takes `recipients:read`, because it names people."""
        members = RecipientListMember.objects.filter(list=_list(list_id)).select_related("recipient")
        rows, next_cursor = pagination.page(members, pagination.window(request), key="recipient_id")
        return Response(ListMembersPage([row.recipient.external_id for row in rows], next_cursor))

    @call(
        "addMembers",
        "Put up to 10,000 people on a list",
        request=ListMembersBody,
        answers={200: ListMembersChanged},
        examples={"Two people": _MEMBERS},
    )
    def post(self, request: Request, list_id: int) -> Response:
        """May be repeated: whoever is on it stays. Ids that nobody has are named in the answer."""
        return _changed(request, list_id, ListService().add)


class RemoveListMembersView(APIView):
    required_scopes: ClassVar = {"POST": Scope.SEGMENTS_WRITE}

    @call(
        "removeMembers",
        "Take up to 10,000 people off a list",
        request=ListMembersBody,
        answers={200: ListMembersChanged},
        examples={"Two people": _MEMBERS},
    )
    def post(self, request: Request, list_id: int) -> Response:
        """May be repeated."""
        return _changed(request, list_id, ListService().remove)


def _changed(request: Request, list_id: int, act: Callable[[int, Sequence[str]], Changed]) -> Response:
    body = validation.read(request.data, ListMembersBody)
    try:
        done = act(_list(list_id).pk, body.external_ids)
    except RecipientList.DoesNotExist:  # deleted in this moment
        raise exceptions.NotFound() from None
    return Response(ListMembersChanged(done.changed, done.unchanged, list(done.unknown), _list(list_id).size))


def _list(id: int) -> RecipientList:
    found = RecipientList.objects.filter(pk=min(id, _MAX_ID)).first()
    if found is None:
        raise exceptions.NotFound()
    return found


def _shape(row: RecipientList) -> ListShape:
    return ListShape(row.pk, row.name, row.description, row.size, row.created_at, row.updated_at)
