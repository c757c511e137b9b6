"""Opens and clicks on the record: the first, those after it, and programs'."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db.models import F

from analytics.models import MinuteCount
from analytics.services import verify
from core.ids import uuid
from notifications.choices import EventType, Status
from notifications.models import Delivery, DeliveryEvent
from notifications.services import engagement, events_lane
from notifications.services.claims import ProviderReceipt
from notifications.services.events_lane import Incoming
from notifications.services.receipts import apply_receipts
from notifications.services.tracking import DeliveryTracker
from preferences.models import Recipient
from tests import factories
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.test_pipeline import draft, send, work

pytestmark = pytest.mark.django_db

SENT_AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
LATER = SENT_AT + timedelta(minutes=5)


@pytest.fixture(autouse=True)
def catalog(settings):
    factories.category("orders")
    factories.template("order-shipped")
    use_provider(settings, FakeProvider("fake"))


def sent(*channels: str, name: str = "") -> list[UUID]:
    """One notification, sent a while ago on these channels; its deliveries in their order."""
    person = factories.recipient(name)
    (accepted,) = send(draft(person.external_id, channels=list(channels)))
    work()
    Delivery.objects.filter(notification_id=accepted.id).update(sent_at=SENT_AT)
    order = {channel: n for n, channel in enumerate(channels)}
    return sorted(
        Delivery.objects.filter(notification_id=accepted.id).values_list("id", flat=True),
        key=lambda id: order[Delivery.objects.get(pk=id).channel],
    )


def opened(id: UUID, machine: str = "", *, at: datetime | None = LATER, by: str = "pixel") -> ProviderReceipt:
    return ProviderReceipt(id, EventType.OPENED, by, machine=machine, at=at)


def clicked(id: UUID, link: str = "https://x.example/a", machine: str = "", *, at=LATER, by="link") -> ProviderReceipt:
    return ProviderReceipt(id, EventType.CLICKED, by, detail=link, machine=machine, at=at)


def happened(*ids: UUID) -> list[tuple[str, str]]:
    """What is on the record of these deliveries after they were sent: (type, code)."""
    rows = DeliveryEvent.objects.filter(delivery_id__in=ids).exclude(type=EventType.SENT).order_by("id")
    return list(rows.values_list("type", "code"))


def counted(*outcomes: str) -> dict[str, int]:
    rows = MinuteCount.objects.filter(outcome__in=outcomes) if outcomes else MinuteCount.objects.all()
    counts: Counter[str] = Counter()
    for outcome, count in rows.values_list("outcome", "count"):
        counts[outcome] += count
    return dict(counts)


def test_the_first_open_counts_as_the_person_s_and_later_ones_as_more_of_it():
    (id,) = sent("email")

    DeliveryTracker().receipts([opened(id)])
    first = Delivery.objects.get(pk=id).opened_at
    DeliveryTracker().receipts([opened(id), opened(id)])

    assert happened(id) == [("opened", ""), ("reopened", ""), ("reopened", "")]
    assert Delivery.objects.get(pk=id).opened_at == first is not None
    assert counted("opened", "reopened", "opened_people") == {"opened": 1, "reopened": 2, "opened_people": 1}


def test_who_clicked_has_opened_in_whichever_order_the_two_come():
    a, b = sent("email", name="ann"), sent("email", name="bob")

    DeliveryTracker().receipts([clicked(*a)])
    DeliveryTracker().receipts([opened(*b)])
    DeliveryTracker().receipts([clicked(*b), opened(*a)])

    assert happened(*a) == [("opened", "by_click"), ("clicked", ""), ("reopened", "")]
    assert happened(*b) == [("opened", ""), ("clicked", "")]
    assert Delivery.objects.filter(opened_at=None).count() == 0
    assert counted("opened", "clicked", "opened_people", "clicked_people") == dict.fromkeys(
        ("opened", "clicked", "opened_people", "clicked_people"), 2
    )


def test_a_click_keeps_its_link_in_the_timeline_and_a_second_one_too():
    (id,) = sent("email")

    DeliveryTracker().receipts([clicked(id, "https://x.example/a")])
    DeliveryTracker().receipts([clicked(id, "https://x.example/b")])

    details = DeliveryEvent.objects.filter(type__in=["opened", "clicked", "reclicked"]).order_by("id")
    assert list(details.values_list("type", "detail")) == [
        ("opened", ""),
        ("clicked", "https://x.example/a"),
        ("reclicked", "https://x.example/b"),
    ]


def test_a_link_that_holds_the_person_s_address_does_not_tell_it():
    (id,) = sent("email", name="ann")

    DeliveryTracker().receipts([clicked(id, "https://x.example/u/ann@example.com/settings")])

    assert DeliveryEvent.objects.get(type="clicked").detail == "https://x.example/u/[address]/settings"


def test_a_link_followed_after_an_erasure_leaves_no_words():
    (id,) = sent("email", name="ann")
    Recipient.objects.filter(external_id="ann").delete()

    DeliveryTracker().receipts([clicked(id)])

    assert DeliveryEvent.objects.get(type="clicked").detail == ""


def test_programs_are_marked_and_move_nothing():
    (id,) = sent("email")

    counts = DeliveryTracker().receipts([opened(id, "privacy_proxy"), clicked(id, machine="scanner")])

    assert happened(id) == [("machine", "open:privacy_proxy"), ("machine", "click:scanner")]
    delivery = Delivery.objects.get(pk=id)
    assert (delivery.opened_at, delivery.clicked_at, delivery.status) == (None, None, Status.SENT)
    assert counted("machine", "opened", "opened_people") == {"machine": 2}
    assert counts.applied == {"pixel": 1, "link": 1}


def test_a_person_who_comes_after_a_program_is_the_first():
    (id,) = sent("email")

    DeliveryTracker().receipts([opened(id, "privacy_proxy"), opened(id)])

    assert happened(id) == [("machine", "open:privacy_proxy"), ("opened", "")]


def test_one_person_on_two_channels_and_devices_is_one_person():
    ids = sent("email", "push", "in_app")

    DeliveryTracker().receipts([opened(ids[0])])
    DeliveryTracker().receipts([clicked(ids[1]), opened(ids[2])])

    assert counted("opened", "opened_people") == {"opened": 3, "opened_people": 1}
    assert counted("clicked", "clicked_people") == {"clicked": 1, "clicked_people": 1}


@pytest.mark.parametrize(("channel", "seconds"), [("email", 2.9), ("sms", 0.9), ("push", 0.4)])
def test_what_comes_before_anybody_can_have_read_it_is_a_program(channel: str, seconds: float):
    (id,) = sent(channel)

    DeliveryTracker().receipts([clicked(id, at=SENT_AT + timedelta(seconds=seconds))])
    DeliveryTracker().receipts([clicked(id, at=SENT_AT + timedelta(seconds=seconds + 0.2))])

    assert happened(id) == [("machine", "click:too_soon"), ("opened", "by_click"), ("clicked", "")]


def test_a_feed_item_may_be_followed_at_once():
    (id,) = sent("in_app")

    DeliveryTracker().receipts([clicked(id, at=SENT_AT)])

    assert ("clicked", "") in happened(id)


def test_several_links_at_once_are_no_person_s_doing_not_even_the_first_of_them():
    # Given a scanner that follows every link, and its hits on the lane
    (id,) = sent("email")
    for n in range(4):
        events_lane.put([hit(id, f"https://x.example/{n}")])

    # When only the first of them is applied
    apply_receipts([event.receipt for event in events_lane.take(1)])
    apply_receipts([event.receipt for event in events_lane.take(10)])

    assert happened(id) == [("machine", "click:burst")] * 4


def hit(id: UUID, link: str) -> Incoming:
    return Incoming(type=EventType.CLICKED, origin="link", delivery_id=id, detail=link)


def test_the_same_link_three_times_is_an_impatient_person():
    (id,) = sent("email")

    DeliveryTracker().receipts([clicked(id), clicked(id), clicked(id)])

    assert [type for type, _ in happened(id)] == ["opened", "clicked", "reclicked", "reclicked"]


def test_a_hundred_events_are_kept_and_the_first_of_a_person_whatever_came_before():
    (id,) = sent("email")

    for _ in range(3):
        DeliveryTracker().receipts([opened(id, "bot")] * 50)
    DeliveryTracker().receipts([clicked(id), clicked(id)])

    kept = Counter(type for type, _ in happened(id))
    assert kept == {"machine": engagement.MAX_KEPT, "opened": 1, "clicked": 1}
    assert counted("machine", "opened", "clicked", "reclicked") == dict(kept)


def test_what_never_left_was_never_read():
    factories.recipient("ann", email="")
    send(draft("ann", channels=["email"]))
    id = Delivery.objects.get(status=Status.SKIPPED).id

    counts = DeliveryTracker().receipts([opened(id), clicked(id, machine="bot")])

    assert counts.applied == {}
    assert happened(id) == [("skipped", "no_address")]


def test_a_provider_that_repeats_itself_is_not_heard_again():
    (id,) = sent("email")
    receipts = [
        opened(id, by="esp", at=None), clicked(id, by="esp", at=None), opened(id, "privacy_proxy", by="esp", at=None),
    ]  # fmt: skip

    DeliveryTracker().receipts(receipts)
    again = DeliveryTracker().receipts([*reversed(receipts), *receipts])

    assert happened(id) == [("opened", ""), ("clicked", ""), ("machine", "open:privacy_proxy")]
    assert again.unchanged == {"esp": 6}
    assert set(DeliveryEvent.objects.filter(type="clicked").values_list("provider", flat=True)) == {"esp"}


def test_hits_on_a_delivery_that_does_not_exist_are_told_apart():
    counts = DeliveryTracker().receipts([opened(uuid(bytes(16))), clicked(uuid(bytes(16)), machine="bot")])

    assert (counts.unknown, counts.applied) == ({"pixel": 1, "link": 1}, {})


def test_the_counters_equal_the_events():
    ids = sent("email", "push")
    DeliveryTracker().receipts(
        [opened(ids[0]), opened(ids[0], "bot"), clicked(ids[0]), clicked(ids[1]), opened(ids[1])]
    )
    at = DeliveryEvent.objects.earliest("at").at

    assert verify(at - timedelta(minutes=1), at + timedelta(minutes=2)) == []


def test_who_opened_once_is_counted_once_by_the_record_too():
    # Given somebody who opened on one channel, and later on another
    first, second = sent("email", "push")
    DeliveryTracker().receipts([opened(first)])
    past = timedelta(minutes=30)
    for model, fields in ((Delivery, ("opened_at",)), (DeliveryEvent, ("at",)), (MinuteCount, ("minute",))):
        model.objects.filter(**{f"{fields[0]}__isnull": False}).update(**{name: F(name) - past for name in fields})
    DeliveryTracker().receipts([opened(second), clicked(second)])
    now = DeliveryEvent.objects.latest("at").at

    # Then the later minutes have no person more, by the counters and by the events
    assert counted("opened_people", "clicked_people") == {"opened_people": 1, "clicked_people": 1}
    assert verify(now - timedelta(minutes=5), now + timedelta(minutes=2)) == []
    MinuteCount.objects.filter(outcome="clicked_people").delete()
    assert [d.key.outcome for d in verify(now - timedelta(minutes=5), now + timedelta(minutes=2))] == ["clicked_people"]


def test_a_hit_on_what_never_was_leaves_the_others_of_its_batch_alone():
    [email] = sent("email")

    counts = DeliveryTracker().receipts([opened(email), opened(UUID(int=(1 << 128) - 1))])

    assert (sum(counts.applied.values()), sum(counts.unknown.values())) == (1, 1)
