"""Why a message would, or did, or didn't reach its person: the gates of sending, asked without sending."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import validation
from core.api.openapi import call
from core.api.problems import FieldProblem, Invalid, pointer
from notifications import explain
from notifications.api import examples
from notifications.api.authentication import key_of
from notifications.api.shapes import DraftBody
from notifications.choices import Channel, Status
from notifications.explain import Store, Verdict
from notifications.models.api_key import KeyMode, Scope


class PastBody(Struct, forbid_unknown_fields=True):
    """A notification on the record, by its id."""

    notification: UUID


class GateSource(Struct):
    """What decided: a table (`id`: its row) or a setting, the kind of a key in Redis, or a field of the request."""

    store: Store
    name: str
    id: str


class GateVerdict(Struct):
    """One gate: what it says, in a sentence too, and what it saw. `code` is a skip reason, hold reason, failure code or
    what is wrong with a field. `until`: when a hold ends, or a limit has room again."""

    gate: str
    verdict: Verdict
    code: str
    says: str
    provider: str
    seen: Annotated[dict[str, str], Meta(description="What it went by, by what that is called; for people to read")]
    sources: list[GateSource]
    until: datetime | None


class ChannelVerdict(Struct):
    """How it would end on one channel: with `pass` it is handed to `provider`. `addresses` are redacted. `gates` in the
    order they are asked, up to the one that ends it."""

    channel: Channel
    outcome: Verdict
    code: str
    says: str
    addresses: list[str]
    provider: str
    until: datetime | None
    gates: list[GateVerdict]


class Forecast(Struct):
    """What would become of the message if it were sent at the moment `at`. `gates` are those of the whole message; when
    one of them refuses, it would not be accepted and there are no channels."""

    at: datetime
    outcome: Verdict
    says: str
    is_test: bool
    gates: list[GateVerdict]
    channels: list[ChannelVerdict]


class DeliveryFate(Struct):
    """What the record says of one delivery; `at` is when it last changed, `until` when a waiting one is due again."""

    delivery: UUID
    channel: Channel
    status: Status
    code: str
    says: str
    provider: str
    at: datetime | None
    until: datetime | None


class Happened(Struct):
    """What became of a notification, as the record has it."""

    notification: UUID
    recipient: str | None
    says: str
    deliveries: list[DeliveryFate]


class Explained(Struct):
    """`happened` is null for a draft. `today` is a forecast: for a notification on the record, of the same message if
    it were sent now."""

    happened: Happened | None
    today: Forecast


class ExplainView(APIView):
    required_scopes: ClassVar = {"POST": Scope.NOTIFICATIONS_READ}

    @call(
        "explainNotification",
        "Say why a message would, or did, or didn't go out",
        request=(DraftBody, PastBody),
        answers={200: Explained},
        examples=examples.EXPLAIN,
    )
    def post(self, request: Request) -> Response:
        """Given a draft, as for sending: a dry run. Every gate is asked in order, by the code that sends, and nothing
        is written, sent or used up. Given `{"notification": id}`: what the record says became of it, and what the gates
        would say of the same message today. A draft that would be refused is answered too, with the reason."""
        if isinstance(request.data, dict) and "notification" in request.data:
            return Response(_past(validation.read(request.data, PastBody).notification))
        draft = validation.read(request.data, DraftBody).draft()
        key = key_of(request)
        found = explain.explain(draft, source=f"api:{key.prefix}", is_test=key.mode == KeyMode.TEST)
        return Response(Explained(None, _forecast(found)))


def _past(notification_id: UUID) -> Explained:
    past = explain.look_back(notification_id)
    if past is None:
        detail = "There is no such notification on the record."
        raise Invalid([FieldProblem(pointer("notification"), "unknown", detail)])
    deliveries = [
        DeliveryFate(
            delivery=fate.delivery_id, channel=Channel(fate.channel), status=Status(fate.status), code=fate.code,
            says=fate.says, provider=fate.provider, at=fate.at, until=fate.until,
        )
        for fate in past.fates
    ]  # fmt: skip
    happened = Happened(past.notification_id, past.recipient, past.says, deliveries)
    return Explained(happened, _forecast(past.today))


def _forecast(found: explain.Explanation) -> Forecast:
    return Forecast(
        found.at, found.outcome, found.says, found.is_test, _gates(found.checks), [_way(way) for way in found.ways]
    )


def _way(way: explain.Way) -> ChannelVerdict:
    return ChannelVerdict(
        channel=Channel(way.channel), outcome=way.outcome, code=way.code, says=way.says, addresses=list(way.addresses),
        provider=way.provider, until=way.until, gates=_gates(way.checks),
    )  # fmt: skip


def _gates(checks: tuple[explain.Check, ...]) -> list[GateVerdict]:
    return [
        GateVerdict(
            gate=check.gate, verdict=check.verdict, code=check.code, says=check.says, provider=check.provider,
            seen=dict(check.seen), sources=[GateSource(one.store, one.name, one.id) for one in check.sources],
            until=check.until,
        )
        for check in checks
    ]  # fmt: skip
