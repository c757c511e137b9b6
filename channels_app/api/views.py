"""The feed as its owner calls it, and the token by which a service lets them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, ClassVar, cast
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from channels_app import catch_up, categories, frames, identity, live, state, store, tickets
from channels_app.api import shapes
from channels_app.api.authentication import FeedSessionAuthentication, FeedTokenAuthentication, IsRecipient
from channels_app.api.cors import CrossOrigin
from channels_app.models import FeedItem
from core.api import pagination, validation
from core.api.problems import FieldProblem, Invalid, Unavailable
from core.moments import fits_utc
from core.redis import RedisError
from notifications.models.api_key import Scope
from preferences.models import Recipient

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class FeedView(CrossOrigin, APIView):
    """A view that serves the recipient in person."""

    authentication_classes = (FeedTokenAuthentication, FeedSessionAuthentication)
    permission_classes = (IsRecipient,)

    @property
    def me(self) -> UUID:
        return cast(identity.Identity, self.request.user).recipient_id


class FeedListView(FeedView):
    @extend_schema(
        operation_id="feed_list",
        tags=["feed"],
        summary="Read the feed",
        description=(
            "Newest first, in pages; archived and snoozed items are left out unless asked for. With `since` the "
            "other way round: what came after that item, oldest first, so that a client can catch up."
        ),
        parameters=[
            OpenApiParameter("limit", int, description="1 to 100, default 25."),
            OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
            OpenApiParameter("since", str, description="The newest item the client has: its `seq` (or its id)."),
            OpenApiParameter("unread", bool, description="true: only unread ones; false: only read ones."),
            OpenApiParameter("archived", bool, description="true: the archive instead."),
            OpenApiParameter("snoozed", bool, description="true: what is asleep instead."),
            OpenApiParameter("category", str, description="A category's slug."),
        ],
        responses=shapes.FeedPageSerializer,
    )
    def get(self, request: Request) -> Response:
        asked = pagination.window(request)
        counts = store.counts_of(self.me)  # before the page, so that the page is never older than its counts
        items, since = self._selected(request), request.query_params.get("since")
        if since:
            items = items.filter(seq__gt=self._seq_of(since))
        rows, cursor = pagination.page(items, asked, key="seq", newest_first=not since)
        state.mark_delivered(self.me, rows)
        return Response(
            {
                "results": [frames.item_payload(row) for row in rows],
                "next_cursor": cursor,
                "counts": frames.counts_payload(counts),
            }
        )

    def _selected(self, request: Request) -> QuerySet[FeedItem]:
        unread, archived, snoozed = (_boolean(request, name) for name in ("unread", "archived", "snoozed"))
        if archived or snoozed:
            items = FeedItem.objects.filter(recipient_id=self.me, archived_at__isnull=not archived)
            items = items.filter(snoozed_until__gt=Now()) if snoozed else items
        else:
            items = state.visible(self.me)
        if unread is not None:
            items = items.filter(read_at__isnull=unread)
        if category := request.query_params.get("category"):
            items = items.filter(category=category)
        return items

    def _seq_of(self, since: str) -> int:
        seq = catch_up.number_of(since)
        if seq is not None:
            return seq
        try:
            seq = catch_up.seq_of(self.me, UUID(since))
        except ValueError:
            seq = None
        if seq is None:
            detail = "This is neither a number nor the id of an item of this feed."
            raise Invalid([FieldProblem("", "unknown", detail, parameter="since")])
        return seq


class FeedCountsView(FeedView):
    @extend_schema(
        operation_id="feed_counts", tags=["feed"], summary="Count the feed", responses=shapes.FeedCountsSerializer
    )
    def get(self, request: Request) -> Response:
        return Response(frames.counts_payload(store.counts_of(self.me)))


class FeedCategoriesView(FeedView):
    @extend_schema(
        operation_id="feed_categories",
        tags=["feed"],
        summary="List the feed's categories",
        description=f"Those of the newest {store.COUNT_CAP} items that are neither archived nor asleep, by name.",
        responses=shapes.FeedCategoriesSerializer,
    )
    def get(self, request: Request) -> Response:
        return Response({"results": [asdict(found) for found in categories.of(self.me)]})


def action_view(action: str, summary: str) -> Callable[..., Any]:
    """The view of one of `state.ACTIONS` on one item: they differ in nothing else."""

    class FeedActionView(FeedView):
        @extend_schema(
            operation_id=f"feed_{action}",
            tags=["feed"],
            summary=summary,
            request=None,
            responses=shapes.FeedChangeSerializer,
        )
        def post(self, request: Request, item_id: UUID) -> Response:
            return _changed(state.change(self.me, action, [item_id]))

    return FeedActionView.as_view()


class FeedSnoozeView(FeedView):
    @extend_schema(
        operation_id="feed_snooze",
        tags=["feed"],
        summary="Hide an item for a while",
        description=(
            "It comes back as unread, with the next `seq`, when its time has come. At most a year ahead; null shows it "
            "again at once, where it was."
        ),
        request=shapes.SnoozeSerializer,
        responses=shapes.FeedChangeSerializer,
    )
    def post(self, request: Request, item_id: UUID) -> Response:
        body = validation.read(request.data, shapes.Snooze)
        if body.until is not None and not fits_utc(body.until):
            raise Invalid([FieldProblem("/until", "invalid", "In UTC this lies outside the years 1 to 9999.")])
        try:
            return _changed(state.snooze(self.me, [item_id], body.until))
        except state.NotAhead:
            raise Invalid([FieldProblem("/until", "range", "This must lie ahead, by a year at most.")]) from None


class FeedReadAllView(FeedView):
    @extend_schema(
        operation_id="feed_read_all",
        tags=["feed"],
        summary="Mark everything as read",
        description=f"Newest first, at most {state.MAX_READ_ALL} items a call; `more` says whether to call again.",
        request=shapes.ReadAllSerializer,
        responses=shapes.FeedReadAllSerializer,
    )
    def post(self, request: Request) -> Response:
        body = validation.read(request.data or {}, shapes.ReadAll)
        done = state.read_all(self.me, category=body.category)
        counts = frames.counts_payload(done.counts)
        return Response({"changed": done.changed, "more": done.more, "counts": counts})


class SocketTicketView(FeedView):
    @extend_schema(
        operation_id="feed_socket_ticket_create",
        tags=["feed"],
        summary="Make a ticket for one socket",
        description=(
            "Opens `/ws/feed/` once, within a minute: offer the subprotocols `carillon.feed, <ticket>`. Every socket, "
            "every reconnect too, needs a ticket of its own. 503 while Redis is away: ask the feed calls meanwhile."
        ),
        request=None,
        responses={201: shapes.SocketTicketSerializer},
    )
    def post(self, request: Request) -> Response:
        try:
            made = tickets.issue(cast(identity.Identity, request.user))
        except RedisError:
            raise Unavailable("No socket can be opened for the moment. Read the feed by its calls.") from None
        return Response(
            {"ticket": made.ticket, "expires_at": made.expires_at}, status=201, headers={"Cache-Control": "no-store"}
        )


class FeedTokenView(APIView):
    """A service asks on behalf of its signed-in user, and hands the token to its page."""

    required_scopes: ClassVar[Mapping[str, str]] = {
        "POST": Scope.RECIPIENTS_WRITE,
        "DELETE": Scope.RECIPIENTS_WRITE,
    }

    @extend_schema(
        operation_id="feed_token_create",
        tags=["feed"],
        summary="Make a feed token for a recipient",
        description=(
            "Lets a page of yours show this recipient's inbox: as `Authorization: Bearer` on the feed calls, the one "
            "for a socket ticket among them. Never put it into a URL."
        ),
        request=None,
        responses={201: shapes.FeedTokenSerializer},
    )
    def post(self, request: Request, external_id: str) -> Response:
        made = identity.issue_token(_recipient(external_id))
        return Response(
            {"token": made.token, "expires_at": made.expires_at}, status=201, headers={"Cache-Control": "no-store"}
        )

    @extend_schema(
        operation_id="feed_token_revoke",
        tags=["recipients"],
        summary="Revoke a recipient's feed tokens",
        description="All made until now, and the sockets that they opened. Call it when the person signs out.",
        responses={204: None},
    )
    def delete(self, request: Request, external_id: str) -> Response:
        recipient_id = _recipient(external_id)
        identity.revoke_tokens(recipient_id)
        live.end_tokens(recipient_id)
        return Response(status=204)


def _recipient(external_id: str) -> UUID:
    found = Recipient.objects.filter(external_id=external_id).values_list("id", flat=True).first()
    if found is None:
        raise Http404
    return found


def _changed(done: state.Changed) -> Response:
    if not done.items:
        raise Http404
    return Response(
        {"item": frames.item_payload(done.items[0]), "counts": frames.counts_payload(done.counts)},
    )


def _boolean(request: Request, name: str) -> bool | None:
    raw: Any = request.query_params.get(name)
    if raw is None:
        return None
    if raw.lower() not in _BOOLEANS:
        raise Invalid([FieldProblem("", "type", f"{name} is true or false.", parameter=name)])
    return _BOOLEANS[raw.lower()]
