"""What reaches which socket of a process, and what the process listens to."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from channels.layers import get_channel_layer

from channels_app import hub, live
from channels_app.threads import in_thread
from preferences.models import Recipient

pytestmark = pytest.mark.django_db(transaction=True)


class Ear:
    """A socket that only listens."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def tell(self, message: Mapping[str, Any]) -> None:
        self.heard.append(message["word"])


async def say(recipient_id: UUID, word: str) -> None:
    await in_thread(live.publish, {recipient_id: {"type": "test", "word": word}})


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  it happens in Redis, which sets no event of ours
            await asyncio.sleep(0.01)


async def watched(*people: Recipient) -> set[UUID]:
    found: set[UUID] = await in_thread(live.watched, [person.id for person in people])
    return found


async def test_every_tab_of_a_person_hears_and_nobody_else(person: Recipient, stranger: Recipient) -> None:
    here = await hub.here()
    one, two, other = Ear(), Ear(), Ear()
    for who, ear in ((person, one), (person, two), (stranger, other)):
        await here.join(who.id, ear)

    await say(person.id, "hello")
    await say(stranger.id, "you")

    await until(lambda: one.heard and two.heard and other.heard)
    assert (one.heard, two.heard, other.heard) == (["hello"], ["hello"], ["you"])


async def test_a_person_is_listened_to_until_their_last_tab_leaves(
    person: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "LINGER_SECONDS", 0.01)
    here = await hub.here()
    one, two = Ear(), Ear()
    await here.join(person.id, one)
    await here.join(person.id, two)

    here.leave(person.id, one)
    await asyncio.sleep(0.1)
    assert await watched(person) == {person.id}
    await say(person.id, "still")
    await until(lambda: two.heard)
    here.leave(person.id, two)

    async with asyncio.timeout(5):
        while await watched(person):  # noqa: ASYNC110  it happens in Redis, which sets no event of ours
            await asyncio.sleep(0.01)
    assert one.heard == []


async def test_who_comes_back_soon_has_never_been_away(person: Recipient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "LINGER_SECONDS", 0.2)
    here = await hub.here()
    leaving, coming = Ear(), Ear()
    await here.join(person.id, leaving)

    here.leave(person.id, leaving)
    assert await watched(person) == {person.id}
    await here.join(person.id, coming)
    await asyncio.sleep(0.4)
    await say(person.id, "hello")

    await until(lambda: coming.heard)
    assert leaving.heard == []


async def test_who_comes_back_while_the_subscription_ends_hears(
    person: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "LINGER_SECONDS", 0.0)
    here = await hub.here()
    for _ in range(20):
        ear = Ear()
        await here.join(person.id, ear)
        await say(person.id, "hello")
        await until(lambda ear=ear: ear.heard)
        here.leave(person.id, ear)
        await asyncio.sleep(0)


async def test_a_message_without_an_address_does_not_stop_the_reader(person: Recipient) -> None:
    here, ear = await hub.here(), Ear()
    await here.join(person.id, ear)

    for nonsense in ({"type": "test"}, {"type": "test", "to": "x"}, {"type": "test", "to": 7}):
        await get_channel_layer().group_send(live.group(person.id), nonsense)
    await say(person.id, "hello")

    await until(lambda: ear.heard)
    assert ear.heard == ["hello"]
