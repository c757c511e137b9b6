"""The contract of /ws/feed/, over the real channel layer."""

import asyncio
import functools
import itertools
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.cached_db import SessionStore
from django.test import Client, override_settings

from channels_app import identity, limits, live, release, state, store, tickets
from channels_app.consumer import FeedConsumer
from channels_app.models import FeedItem
from channels_app.provider import announce
from channels_app.routing import websocket_urlpatterns
from channels_app.threads import in_thread
from preferences.models import Recipient
from preferences.services import PreferencesService
from tests.channels_app.conftest import deliver, message

pytestmark = pytest.mark.django_db(transaction=True)

OWN = (b"origin", b"http://127.0.0.1:8000")
HOST = (b"host", b"127.0.0.1:8000")
Open = Callable[..., Any]


def in_db(function: Callable[..., Any]) -> Callable[..., Any]:
    return functools.partial(in_thread, function)


def ticket_for(person: Recipient) -> str:
    """As the API makes one for a page that has a feed token."""
    who = identity.from_token(identity.issue_token(person.id).token)
    assert who is not None
    return tickets.issue(who).ticket


class Tab:
    """One open socket, as a browser has it."""

    def __init__(self, path: str, headers: list[tuple[bytes, bytes]], subprotocols: list[str]) -> None:
        router = URLRouter(websocket_urlpatterns)
        self.socket = WebsocketCommunicator(router, path, headers=headers, subprotocols=subprotocols)

    async def open(self) -> str | None:
        connected, subprotocol = await self.socket.connect(timeout=5)
        assert connected
        return subprotocol

    async def hear(self, *kinds: str) -> list[dict[str, Any]]:
        """The next frames, which must be of these kinds."""
        frames = [await self.socket.receive_json_from(timeout=5) for _ in kinds]
        assert [frame["type"] for frame in frames] == list(kinds)
        return frames

    async def say(self, **frame: Any) -> None:
        await self.socket.send_json_to(frame)

    async def closing(self) -> int:
        while True:
            event = await self.socket.receive_output(timeout=5)
            if event["type"] == "websocket.close":
                return int(event["code"])

    async def quiet(self) -> bool:
        return bool(await self.socket.receive_nothing(timeout=0.3))


@pytest.fixture
async def tab(person: Recipient) -> AsyncIterator[Open]:
    """Opens sockets for the person (or with a ticket given), and closes them at the end."""
    tabs: list[Tab] = []

    async def open_(ticket: str | None = None, *, query: str = "", headers: Any = (OWN, HOST)) -> Tab:
        if ticket is None:
            ticket = await in_db(ticket_for)(person)
        made = Tab(f"/ws/feed/{query}", list(headers), ["carillon.feed", ticket] if ticket else [])
        tabs.append(made)
        await made.open()
        return made

    yield open_
    for made in tabs:
        await made.socket.disconnect(timeout=5)


# --- who may ------------------------------------------------------------------------------------------------------


async def test_a_ticket_opens_its_recipients_feed(tab: Open, person: Recipient) -> None:
    await in_db(deliver)(message(person))

    [hello] = await (await tab()).hear("hello")

    assert hello["counts"] == {"unseen": 1, "unread": 1, "version": 1}
    assert hello["latest"] == str(await in_db(FeedItem.objects.values_list("id", flat=True).get)())
    assert hello["reset"] is False
    assert hello["release"] == release.of_modules()


@pytest.mark.parametrize("ticket", ["nonsense", "", "feed token"])
async def test_without_a_good_ticket_or_session_the_socket_is_closed_with_4401(
    tab: Open, person: Recipient, ticket: str
) -> None:
    if ticket == "feed token":
        ticket = (await in_db(identity.issue_token)(person.id)).token

    assert await (await tab(ticket)).closing() == limits.Close.UNAUTHENTICATED


def _session(**values: str) -> tuple[bytes, bytes]:
    session = SessionStore()
    session.update(values)
    session.save()
    return b"cookie", f"{settings.SESSION_COOKIE_NAME}={session.session_key}".encode()


async def test_the_session_of_our_own_page_opens_the_feed(tab: Open, person: Recipient) -> None:
    cookie = await in_db(_session)(recipient=person.external_id)

    await (await tab("", headers=(OWN, HOST, cookie))).hear("hello")


async def test_a_signed_in_user_is_the_recipient_of_that_name(tab: Open, person: Recipient) -> None:
    def sign_in() -> tuple[bytes, bytes]:
        client = Client()
        client.force_login(User.objects.create_user(person.external_id))
        return (
            b"cookie",
            f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}".encode(),
        )

    cookie = await in_db(sign_in)()

    await (await tab("", headers=(OWN, HOST, cookie))).hear("hello")


async def test_another_site_cannot_use_the_session(
    tab: Open, person: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "FEED_ALLOWED_ORIGINS", ["https://shop.example"])
    cookie = await in_db(_session)(recipient=person.external_id)
    allowed = (b"origin", b"https://shop.example")

    with_session = await tab("", headers=(allowed, HOST, cookie))
    with_ticket = await tab(headers=(allowed, HOST))

    assert await with_session.closing() == limits.Close.UNAUTHENTICATED
    await with_ticket.hear("hello")


@pytest.mark.parametrize("origin", [b"https://evil.example", b"null", b"http://[", b"http://127.0.0.1:9999"])
async def test_a_page_of_another_site_is_turned_away_even_with_a_ticket(tab: Open, origin: bytes) -> None:
    assert await (await tab(headers=((b"origin", origin), HOST))).closing() == limits.Close.ORIGIN


async def test_a_forged_host_does_not_make_an_origin_our_own(tab: Open) -> None:
    evil = ((b"origin", b"https://evil.example"), (b"host", b"evil.example"))

    assert await (await tab(headers=evil)).closing() == limits.Close.ORIGIN


# --- what is told ----------------------------------------------------------------------------------------------------


async def test_an_item_arrives_live_with_the_servers_counts(tab: Open, person: Recipient, stranger: Recipient) -> None:
    mine = await tab()
    others = await tab(await in_db(ticket_for)(stranger))
    await mine.hear("hello")
    await others.hear("hello")

    await in_db(deliver)(message(person, "Your parcel", body="It left.", link="/orders/7"))

    item, counts = await mine.hear("item", "counts")
    assert item["item"]["title"] == "Your parcel"
    assert item["item"]["link"] == "/orders/7"
    assert item["item"]["seq"] == 1
    assert counts["counts"] == {"unseen": 1, "unread": 1, "version": 1}
    assert await others.quiet()


async def test_a_batch_arrives_in_order(tab: Open, person: Recipient) -> None:
    mine = await tab()
    await mine.hear("hello")

    await in_db(deliver)(*(message(person, str(n)) for n in range(10)))

    frames = await mine.hear(*["item"] * 10, "counts")
    assert [frame["item"]["title"] for frame in frames[:-1]] == [str(n) for n in range(10)]


async def test_catching_up_misses_nothing_and_comes_after_hello(tab: Open, person: Recipient) -> None:
    await in_db(deliver)(message(person, "known"))
    known = await in_db(FeedItem.objects.get)()
    await in_db(deliver)(*(message(person, str(n)) for n in range(5)))

    mine = await tab(query=f"?since={known.id}")

    frames = await mine.hear("hello", *["item"] * 5)
    assert [frame["item"]["title"] for frame in frames[1:]] == ["0", "1", "2", "3", "4"]
    assert await mine.quiet()


async def test_someone_who_has_nothing_yet_catches_up_from_zero(tab: Open, person: Recipient) -> None:
    await in_db(deliver)(message(person))

    await (await tab(query="?since=0")).hear("hello", "item")


@pytest.mark.parametrize("since", ["nonsense", "01a2040c-3b2c-7743-9405-9fca23e1f27b", "2", "9" * 30, "-1", "²"])
async def test_an_unknown_place_to_start_from_asks_the_client_to_start_over(
    tab: Open, person: Recipient, since: str
) -> None:
    await in_db(deliver)(message(person))
    mine = await tab(query=f"?since={since}")

    [hello] = await mine.hear("hello")

    assert hello["reset"] is True
    assert await mine.quiet()


async def test_too_much_to_catch_up_asks_the_client_to_start_over(tab: Open, person: Recipient) -> None:
    await in_db(deliver)(*(message(person, str(n)) for n in range(101)))
    mine = await tab(query="?since=0")
    [hello] = await mine.hear("hello")
    assert hello["reset"] is True

    await in_db(deliver)(message(person, "live"))

    item, _ = await mine.hear("item", "counts")
    assert item["item"]["seq"] == 102


async def test_a_publication_that_overtakes_another_does_not_reorder_the_feed(tab: Open, person: Recipient) -> None:
    """Two workers commit 1 then 2, and publish 2 then 1."""
    mine = await tab()
    await mine.hear("hello")
    first = await in_db(_store_only)(message(person, "first"))
    second = await in_db(_store_only)(message(person, "second"))

    await in_db(announce)(second)
    frames = await mine.hear("item", "item", "counts")
    await in_db(announce)(first)

    assert [frame["item"]["title"] for frame in frames[:2]] == ["first", "second"]
    assert await mine.quiet()


async def test_an_item_overtaken_by_read_all_arrives_as_read(tab: Open, person: Recipient) -> None:
    """The worker has committed it and not yet told of it when somebody marks everything as read."""
    mine = await tab()
    await mine.hear("hello")
    stored = await in_db(_store_only)(message(person, "Just now"))

    await in_db(state.read_all)(person.id)
    await mine.hear("update", "counts")
    await in_db(announce)(stored)

    [frame] = await mine.hear("item")
    assert frame["item"]["title"] == "Just now"
    assert frame["item"]["read_at"] is not None
    assert await mine.quiet()


async def test_states_told_in_the_wrong_order_make_the_client_look(
    tab: Open, person: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two web processes commit read, then unread, and publish them the other way round."""
    await in_db(deliver)(message(person))
    item = await in_db(FeedItem.objects.get)()
    mine = await tab(query="?since=1")
    await mine.hear("hello")
    told: list[Any] = []
    with monkeypatch.context() as held:
        held.setattr(live, "publish", told.append)
        await in_db(state.change)(person.id, "read", [item.id])
        await in_db(state.change)(person.id, "unread", [item.id])
    read, unread = told

    await in_db(live.publish)(unread)
    await mine.hear("update", "counts")
    await in_db(live.publish)(read)

    [again] = await mine.hear("hello")
    assert again["counts"]["unread"] == 1
    assert await mine.quiet()


async def test_an_item_that_was_never_published_arrives_with_the_next_one(tab: Open, person: Recipient) -> None:
    """The worker died between its commit and its publication."""
    mine = await tab()
    await mine.hear("hello")
    await in_db(_store_only)(message(person, "lost"))

    await in_db(deliver)(message(person, "next"))

    frames = await mine.hear("item", "item", "counts")
    assert [frame["item"]["title"] for frame in frames[:2]] == ["lost", "next"]


async def test_a_lost_message_is_noticed_at_a_ping(
    tab: Open, person: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis was away for a while: nothing was published, and nothing comes after."""
    monkeypatch.setattr(limits, "RESYNC_SECONDS", 0.0)
    mine = await tab()
    await mine.hear("hello")
    await in_db(_store_only)(message(person, "lost"))

    await mine.say(type="ping")

    _, hello, item = await mine.hear("pong", "hello", "item")
    assert item["item"]["title"] == "lost"
    assert hello["counts"]["unread"] == 1
    await mine.say(type="ping")
    await mine.hear("pong")
    assert await mine.quiet()


async def test_nothing_is_missed_while_many_write_and_one_reconnects(tab: Open, person: Recipient) -> None:
    """Writers on several threads; the reader drops its socket again and again and comes back with its newest id."""
    total, got = 60, []
    numbers = itertools.count()

    def write() -> None:
        for _ in range(total // 3):
            deliver(message(person, str(next(numbers))))

    writers = [asyncio.ensure_future(in_db(write)()) for _ in range(3)]
    newest = "0"
    deadline = time.monotonic() + 20
    while len(got) < total and time.monotonic() < deadline:
        mine = await tab(query=f"?since={newest}")
        heard = 0
        while len(got) < total and heard < 7:
            frame = await mine.socket.receive_json_from(timeout=5)
            if frame["type"] == "item":
                got.append(frame["item"]["seq"])
                newest = frame["item"]["id"]
                heard += 1
        await mine.socket.disconnect(timeout=5)
    await asyncio.gather(*writers)

    assert got == list(range(1, total + 1))


# --- what is done ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "field", "unseen", "unread"),
    [("seen", "seen_at", 0, 1), ("read", "read_at", 0, 0), ("archive", "archived_at", 0, 0)],
)
async def test_what_one_tab_does_every_tab_is_told(
    tab: Open, person: Recipient, action: str, field: str, unseen: int, unread: int
) -> None:
    await in_db(deliver)(message(person))
    item = await in_db(FeedItem.objects.get)()
    one, two = await tab(), await tab()
    await one.hear("hello")
    await two.hear("hello")

    await one.say(type=action, ids=[str(item.id)])

    for each in (one, two):
        update, counts = await each.hear("update", "counts")
        assert update["items"][0]["id"] == str(item.id)
        assert update["items"][0][field] is not None
        assert counts["counts"] == {"unseen": unseen, "unread": unread, "version": 2}


async def test_nobody_can_touch_anothers_items(tab: Open, person: Recipient, stranger: Recipient) -> None:
    await in_db(deliver)(message(stranger))
    theirs = await in_db(FeedItem.objects.get)()
    mine = await tab()
    await mine.hear("hello")

    await mine.say(type="read", ids=[str(theirs.id)])

    assert await mine.quiet()
    assert (await in_db(FeedItem.objects.get)()).read_at is None


async def test_counts_of_an_earlier_state_never_follow_those_of_a_later_one(tab: Open, person: Recipient) -> None:
    await in_db(deliver)(message(person), message(person))
    mine = await tab()
    await mine.hear("hello")
    late = {
        "type": "feed.state",
        "frame": '{"type":"update","items":[]}',
        "version": 5,
        "counts": "{}",
        "counts_version": 1,
    }

    await in_db(live.publish)({person.id: late})
    await in_db(live.publish)({person.id: {**late, "version": 1}})  # and of before the hello all is known

    await mine.hear("update")
    assert await mine.quiet()


# --- bounds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        "7",
        '{"type": "shout"}',
        '{"type": ["read"]}',
        '{"type": "read"}',
        '{"type": "read", "ids": []}',
        '{"type": "read", "ids": [7]}',
        '{"type": "read", "ids": "x"}',
        '{"type": "read", "ids": ["nonsense"]}',
    ],
)
async def test_a_malformed_frame_closes_the_socket_with_4400(tab: Open, text: str) -> None:
    mine = await tab()

    await mine.socket.send_to(text_data=text)

    assert await mine.closing() == limits.Close.MALFORMED


async def test_a_frame_of_more_than_4_kb_closes_the_socket_with_4413(tab: Open) -> None:
    mine = await tab()

    await mine.socket.send_to(text_data="x" * 4097)

    assert await mine.closing() == limits.Close.TOO_BIG


async def test_bytes_are_bounded_like_text(tab: Open) -> None:
    mine = await tab()

    await mine.socket.send_to(bytes_data=b"x" * 4097)

    assert await mine.closing() == limits.Close.TOO_BIG


async def test_a_hundred_ids_fit_a_frame(tab: Open, person: Recipient) -> None:
    await in_db(deliver)(*(message(person) for _ in range(100)))
    ids = await in_db(lambda: [str(id) for id in FeedItem.objects.values_list("id", flat=True)])()
    mine = await tab()
    await mine.hear("hello")

    await mine.socket.send_to(text_data='{"type":"seen","ids":["' + '","'.join(ids) + '"]}')

    _, counts = await mine.hear("update", "counts")
    assert counts["counts"]["unseen"] == 0


async def test_a_client_that_talks_too_much_is_closed_with_4429(tab: Open) -> None:
    mine = await tab()

    for _ in range(40):
        await mine.say(type="ping")

    assert await mine.closing() == limits.Close.TOO_MANY


async def test_a_client_that_does_not_read_is_closed_with_4408(
    tab: Open, person: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_UNANSWERED", 20)
    mine = await tab()
    await mine.hear("hello")

    await in_db(deliver)(*(message(person) for _ in range(30)))

    assert await mine.closing() == limits.Close.TIMEOUT


async def test_a_client_that_says_nothing_for_too_long_is_closed_with_4408(
    tab: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IDLE_SECONDS", 0.2)

    assert await (await tab()).closing() == limits.Close.TIMEOUT


async def test_a_person_has_so_many_sockets_and_no_more(tab: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "FEED_SOCKETS_PER_RECIPIENT", 2)
    first = await tab()
    await first.hear("hello")
    await (await tab()).hear("hello")

    assert await (await tab()).closing() == limits.Close.TOO_MANY
    await first.socket.disconnect(timeout=5)
    await (await tab()).hear("hello")


async def test_sockets_are_counted_down_when_they_close(tab: Open, person: Recipient) -> None:
    mine = await tab()
    await mine.hear("hello")

    await mine.socket.disconnect(timeout=5)

    assert person.id not in FeedConsumer.open_sockets


async def test_a_socket_is_closed_when_its_person_is_erased(tab: Open, person: Recipient) -> None:
    mine = await tab()
    await mine.hear("hello")

    await in_db(PreferencesService().erase)(person.external_id)

    assert await mine.closing() == limits.Close.UNAUTHENTICATED


async def test_a_session_that_ended_unheard_ends_its_socket_at_a_ping(
    tab: Open, person: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESYNC_SECONDS", 0.0)
    cookie = await in_db(_session)(recipient=person.external_id)
    mine = await tab("", headers=(OWN, HOST, cookie))
    await mine.hear("hello")
    await in_db(SessionStore(cookie[1].decode().partition("=")[2]).delete)()

    await mine.say(type="ping")

    assert await mine.closing() == limits.Close.UNAUTHENTICATED


async def test_a_socket_lasts_no_longer_than_the_token_its_ticket_came_from(
    tab: Open, person: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESYNC_SECONDS", 0.0)
    soon = identity.Identity(person.id, person.external_id, until=time.time() + 1)
    mine = await tab((await in_db(tickets.issue)(soon)).ticket)
    await mine.hear("hello")
    await asyncio.sleep(1)

    await mine.say(type="ping")

    assert await mine.closing() == limits.Close.UNAUTHENTICATED


async def test_revoked_tokens_end_the_sockets_that_they_opened_and_no_others(tab: Open, person: Recipient) -> None:
    by_token = await tab()
    by_session = await tab("", headers=(OWN, HOST, await in_db(_session)(recipient=person.external_id)))
    await by_token.hear("hello")
    await by_session.hear("hello")
    ticket = await in_db(ticket_for)(person)

    await in_db(identity.revoke_tokens)(person.id)
    await in_db(live.end_tokens)(person.id)

    assert await by_token.closing() == limits.Close.UNAUTHENTICATED
    assert await (await tab(ticket)).closing() == limits.Close.UNAUTHENTICATED
    assert await by_session.quiet()


async def test_tokens_revoked_unheard_end_their_sockets_at_a_ping(
    tab: Open, person: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESYNC_SECONDS", 0.0)
    mine = await tab()
    await mine.hear("hello")
    await in_db(identity.revoke_tokens)(person.id)

    await mine.say(type="ping")

    assert await mine.closing() == limits.Close.UNAUTHENTICATED


# --- who is told at all -----------------------------------------------------------------------------------------------


async def test_only_people_with_an_open_socket_are_published_to(
    tab: Open, person: Recipient, stranger: Recipient
) -> None:
    await (await tab()).hear("hello")

    assert await in_db(live.watched)([person.id, stranger.id]) == {person.id}


async def test_without_redis_the_handshake_is_refused_at_once(person: Recipient) -> None:
    """The client then asks the API, and comes back."""
    nowhere = {"hosts": [{"address": "redis://127.0.0.1:1/0", "socket_connect_timeout": 1.0}], "prefix": "nowhere"}
    layer = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": nowhere}
    ticket = await in_db(ticket_for)(person)
    with override_settings(CHANNEL_LAYERS={"default": layer}):
        made = Tab("/ws/feed/", [OWN, HOST], ["carillon.feed", ticket])

        accepted, code = await made.socket.connect(timeout=5)

    assert (accepted, code) == (False, limits.Close.TRY_LATER)


def _store_only(one: Any) -> store.Insertion:
    return store.insert(
        [
            store.NewItem(
                id=one.delivery_id,
                recipient_id=one.recipient_id,
                category=one.category,
                title=one.content["title"],
                body="",
                link="",
                icon="",
                data={},
            )
        ]
    )


async def test_a_number_of_more_than_64_bits_reaches_the_browser(tab: Open, person: Recipient) -> None:
    await in_db(deliver)(message(person, metadata={"in_app": {"x": 1e22}}))
    socket = await tab(query="?since=0")

    _, frame = await socket.hear("hello", "item")

    assert frame["item"]["data"] == {"x": 10**22}
    assert frame["item"]["created_at"].endswith("Z")
    assert "T" in frame["item"]["created_at"]
