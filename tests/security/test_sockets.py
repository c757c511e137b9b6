"""Sockets: the origin is checked, a session or a single-use ticket of a minute opens one, the recipient is the
server's to say, and what comes in is bounded. Their whole contract: tests/channels_app/test_socket.py."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.cached_db import SessionStore
from django.db import connections
from django.test import Client
from django.utils import timezone

from channels_app import identity, limits, tickets
from core import redis
from preferences.models import Recipient
from tests.channels_app.conftest import deliver, message
from tests.channels_app.test_socket import HOST, OWN, Open, in_db, tab, ticket_for  # noqa: F401  tab is a fixture
from tests.security.wire import COMMAND, Web

pytestmark = pytest.mark.django_db(transaction=True)
TICKETS = "/api/v1/feed/socket-ticket/"


def bearer(person: Recipient) -> Client:
    return Client(headers={"Authorization": f"Bearer {identity.issue_token(person.id).token}"})


def session_of(person: Recipient) -> SessionStore:
    session = SessionStore()
    session[identity.SESSION_KEY] = person.external_id
    session.save()
    return session


def as_cookie(session: SessionStore) -> tuple[bytes, bytes]:
    return b"cookie", f"{settings.SESSION_COOKIE_NAME}={session.session_key}".encode()


class TestTickets:
    def test_a_feed_token_gets_one_for_a_minute_that_no_cache_keeps(self, person: Recipient) -> None:
        answer = bearer(person).post(TICKETS)

        assert answer.status_code == 201
        assert answer["Cache-Control"] == "no-store"
        made = answer.json()
        left = timezone.datetime.fromisoformat(made["expires_at"]) - timezone.now()
        assert timedelta(seconds=50) < left <= timedelta(seconds=60)
        [key] = redis.client().keys(redis.key("feed-ticket", "*"))
        assert 50 < redis.client().ttl(key) <= 60
        who = tickets.redeem(made["ticket"])
        assert who is not None
        assert who.recipient_id == person.id

    def test_it_holds_256_bits_and_its_store_cannot_be_read_backwards(self, person: Recipient) -> None:
        made = {ticket_for(person) for _ in range(50)}

        assert len(made) == 50
        assert {len(ticket) for ticket in made} == {43}  # base64 of 32 bytes
        stored = b" ".join(redis.client().keys(redis.key("feed-ticket", "*"))).decode()
        assert not any(ticket in stored for ticket in made)

    def test_of_many_who_come_with_the_same_ticket_one_gets_in(self, person: Recipient) -> None:
        ticket = ticket_for(person)

        def redeem(_: int) -> Any:
            try:
                return tickets.redeem(ticket)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(redeem, range(16)))

        assert sum(answer is not None for answer in answers) == 1

    def test_it_runs_out(self, person: Recipient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tickets, "LIFETIME", timedelta(milliseconds=50))
        ticket = ticket_for(person)

        asyncio.run(asyncio.sleep(0.1))

        assert tickets.redeem(ticket) is None

    def test_none_is_made_for_nobody(self, person: Recipient) -> None:
        assert Client().post(TICKETS).status_code == 401
        assert Client(headers={"Authorization": "Bearer nonsense"}).post(TICKETS).status_code == 401

    def test_a_session_needs_a_csrf_token_to_get_one(self, person: Recipient) -> None:
        client = Client(enforce_csrf_checks=True)
        client.cookies[settings.SESSION_COOKIE_NAME] = session_of(person).session_key

        assert client.post(TICKETS).status_code == 403

    def test_it_is_worth_nothing_once_its_person_or_its_session_is_gone(self, person: Recipient) -> None:
        session = session_of(person)
        client = Client()
        client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
        of_session, of_token = client.post(TICKETS).json()["ticket"], ticket_for(person)

        session.delete()
        person.delete()

        assert tickets.redeem(of_session) is None
        assert tickets.redeem(of_token) is None

    @pytest.mark.usefixtures("no_redis")
    def test_without_redis_there_is_none_and_the_answer_says_when_to_ask_again(self, person: Recipient) -> None:
        answer = bearer(person).post(TICKETS)

        assert answer.status_code == 503
        assert int(answer["Retry-After"]) > 0


async def test_a_ticket_opens_one_socket_and_no_second(tab: Open, person: Recipient) -> None:  # noqa: F811
    ticket = await in_db(ticket_for)(person)

    await (await tab(ticket)).hear("hello")

    assert await (await tab(ticket)).closing() == limits.Close.UNAUTHENTICATED


async def test_a_feed_token_opens_no_socket(tab: Open, person: Recipient) -> None:  # noqa: F811
    token = (await in_db(identity.issue_token)(person.id)).token

    assert await (await tab(token)).closing() == limits.Close.UNAUTHENTICATED


async def test_a_ticket_in_the_url_is_not_looked_at(tab: Open, person: Recipient) -> None:  # noqa: F811
    ticket = await in_db(ticket_for)(person)

    asked = await tab("", query=f"?ticket={ticket}&token={ticket}&access_token={ticket}")

    assert await asked.closing() == limits.Close.UNAUTHENTICATED
    assert await in_db(tickets.redeem)(ticket) is not None


async def test_whose_feed_it_is_cannot_be_asked_for(tab: Open, person: Recipient, stranger: Recipient) -> None:  # noqa: F811
    await in_db(deliver)(message(stranger, "not for Ada"))
    theirs = str(stranger.id)

    mine = await tab(query=f"?since=0&recipient={theirs}&recipient_id={theirs}&external_id=eve")

    [hello] = await mine.hear("hello")
    assert hello["counts"]["unseen"] == 0
    assert await mine.quiet()


async def test_signing_out_closes_the_sockets_of_that_session_alone(tab: Open, person: Recipient) -> None:  # noqa: F811
    leaving, staying = await in_db(session_of)(person), await in_db(session_of)(person)
    closed = await tab("", headers=(OWN, HOST, as_cookie(leaving)))
    open_ = await tab("", headers=(OWN, HOST, as_cookie(staying)))
    with_ticket = await tab()
    for each in (closed, open_, with_ticket):
        await each.hear("hello")

    def sign_out() -> int:
        client = Client()
        client.cookies[settings.SESSION_COOKIE_NAME] = leaving.session_key
        return client.post("/inbox/sign-out/").status_code

    assert await in_db(sign_out)() == 302

    assert await closed.closing() == limits.Close.UNAUTHENTICATED
    assert await open_.quiet()
    assert await with_ticket.quiet()


async def test_signing_out_of_an_account_closes_its_sockets(tab: Open, person: Recipient) -> None:  # noqa: F811
    client = Client()
    await in_db(lambda: client.force_login(User.objects.create_user(person.external_id, is_staff=True)))()
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}".encode()
    mine = await tab("", headers=(OWN, HOST, (b"cookie", cookie)))
    await mine.hear("hello")

    await in_db(client.post)("/admin/logout/")

    assert await mine.closing() == limits.Close.UNAUTHENTICATED


class TestOverTheWire:
    """What the server in front of the consumer does; the image's flags are part of it."""

    def test_a_frame_of_more_than_4_kb_closes_the_socket(self, web: Web, person: Recipient) -> None:
        mine = web.open(ticket_for(person))
        assert b"hello" in mine.hear()[1]

        mine.send(b'{"type":"ping"}')
        assert b"pong" in mine.hear()[1]
        mine.send(b"x" * 4097)

        assert mine.closing() == limits.Close.TOO_BIG
        mine.close()

    def test_a_long_frame_is_cut_off_before_it_is_read(self, web: Web, person: Recipient) -> None:
        mine = web.open(ticket_for(person))
        mine.hear()

        mine.announce(limits.CUT_BYTES + 1)

        assert mine.closing() == 0  # the connection ended; nothing was waited for
        mine.close()

    def test_a_long_message_of_small_frames_is_cut_off_too(self, web: Web, person: Recipient) -> None:
        mine = web.open(ticket_for(person))
        mine.hear()

        for number in range(80):
            mine.send(b"x" * 1000, opcode=0 if number else 1, last=False)

        assert mine.closing() == 0
        mine.close()

    def test_the_image_gives_the_server_this_bound(self) -> None:
        for flag in ("--websocket-max-frame-size", "--websocket-max-message-size"):
            assert COMMAND[COMMAND.index(flag) + 1] == str(limits.CUT_BYTES)

    def test_nothing_that_opens_a_socket_is_logged(self, web: Web, person: Recipient) -> None:
        ticket = ticket_for(person)
        web.open(ticket).close()
        web.open(ticket).close()

        web.stop()

        assert ticket not in web.log
