"""Do people get their messages? What speaks for it and against it, without any server."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from analytics.dashboard.verdict import BAD, GOOD, QUIET, UNKNOWN, WARN, Known, of_channel, verdict
from analytics.rollups.reading import Tallies, Tally
from notifications.choices import Channel
from notifications.live import LaneState, LiveState, ProcessState
from notifications.providers.circuit import Circuit
from notifications.services.providers import Chain, Overview, Standing, State

KINDS = ("web", "relay", "campaigns", "events", "maintenance")


def process(kind: str, *channels: str, alive: bool = True) -> ProcessState:
    return ProcessState(kind, kind, "box", 1, alive, 1.0, 60.0, channels, (), {})


def lane(channel: str, *, oldest: float | None = None, due: int = 0, priority: str = "normal") -> LaneState:
    return LaneState(channel, priority, due, oldest, 0, 0, False, None, None, 1)


def chain(channel: Channel, *states: State) -> Chain:
    standings = [Standing(f"{channel}-{n}", state, circuit=Circuit()) for n, state in enumerate(states)]
    return Chain(channel, standings)


def known(**changes: object) -> Known:
    """An installation in which all is well: every channel has two providers and a worker, and 100 were sent on each."""
    live = LiveState(
        at=datetime(2026, 3, 1, tzinfo=UTC),
        uses_broker=True,
        lanes=tuple(lane(channel) for channel in Channel.values),
        outbox_lag_seconds=0.0,
        dead_letters=0,
        processes=(*map(process, KINDS), *(process("worker", channel) for channel in Channel.values)),
        workers_alive=dict.fromkeys(Channel.values, 1),
        depths_at=None,
        depths_known=True,
    )
    overview = Overview([chain(channel, State.CLOSED, State.CLOSED) for channel in Channel], [], redis_away=False)
    recent = Tallies([Tally(channel, "sent", "", 100) for channel in Channel.values])
    return replace(Known(live=live, overview=overview, recent=recent, minutes=5), **changes)  # type: ignore[arg-type]  # by name


def with_live(**changes: object) -> Known:
    usual = known()
    return replace(usual, live=replace(usual.live, **changes))  # type: ignore[arg-type]  # by name


def with_chain(*states: State, channel: Channel = Channel.SMS) -> Known:
    usual = known()
    chains = [chain(channel, *states) if one.channel == channel else one for one in usual.overview.chains]
    return replace(usual, overview=replace(usual.overview, chains=chains))


def test_when_nothing_speaks_against_it_people_get_their_messages():
    found = verdict(known())

    assert (found.tone, found.findings) == (GOOD, [])
    assert found.sentence == "400 sent in the last 5 minutes, 100% of what was tried got through."


def test_nothing_to_send_is_quiet_and_not_good_news():
    found = verdict(known(recent=Tallies([])))

    assert found.tone == QUIET
    assert "Nothing was sent" in found.sentence


@pytest.mark.parametrize(
    ("states", "tone", "words"),
    [
        ((State.OPEN, State.CLOSED), WARN, "SMS failed over to sms-1"),
        ((State.SWITCHED_OFF, State.CLOSED), WARN, "sms-0 is switched off"),
        ((State.OPEN, State.OPEN), BAD, "none of its providers may be asked"),
        ((State.OPEN, State.HALF_OPEN), WARN, "waits for the answer of a probe"),
        ((State.SWITCHED_OFF, State.SWITCHED_OFF), BAD, "every provider of it is switched off"),
    ],
)
def test_providers_that_do_not_serve(states: tuple[State, ...], tone: str, words: str):
    found = verdict(with_chain(*states))

    assert found.tone == tone
    assert [finding.about for finding in found.findings] == ["sms"]
    assert words in found.findings[0].words


def test_circuits_that_cannot_be_seen_are_unknown_and_said_once():
    chains = [chain(channel, State.UNKNOWN) for channel in Channel]

    found = verdict(known(overview=Overview(chains, [], redis_away=True)))

    assert (found.tone, len(found.findings)) == (UNKNOWN, 1)
    assert "Redis does not answer" in found.findings[0].words


@pytest.mark.parametrize(("age", "tone"), [(59.0, GOOD), (61.0, WARN), (301.0, BAD)])
def test_a_channel_that_is_behind(age: float, tone: str):
    found = verdict(with_live(lanes=(lane("email", oldest=age, due=3, priority="low"), lane("email", oldest=1.0))))

    assert found.tone == tone
    assert all("Email is behind: a message of low priority" in finding.words for finding in found.findings)


@pytest.mark.parametrize(
    ("counts", "tone"),
    [
        ({"sent": 96, "failed": 4}, GOOD),
        ({"sent": 90, "failed": 10}, WARN),
        ({"sent": 100, "bounced": 10}, WARN),
        ({"sent": 10, "dead": 90}, BAD),
        ({"sent": 5, "failed": 5}, GOOD),  # too few to say
        (
            {"sent": 100, "skipped": 900, "deferred": 50},
            GOOD,
        ),  # what was skipped was not tried, what is deferred is not lost
    ],
)
def test_a_channel_that_loses_messages(counts: Mapping[str, int], tone: str):
    recent = Tallies([Tally("push", outcome, "", count) for outcome, count in counts.items()])

    found = verdict(known(recent=recent))

    assert found.tone == tone
    assert of_channel(known(recent=recent), "push") == tone


@pytest.mark.parametrize(("due", "tone"), [(0, WARN), (7, BAD)])
def test_a_channel_without_a_worker(due: int, tone: str):
    changes = {
        "workers_alive": {**dict.fromkeys(Channel.values, 1), "push": 0},
        "lanes": (lane("push", due=due, oldest=1.0),),
    }

    found = verdict(with_live(**changes))

    assert found.tone == tone
    assert "No worker serves Push" in found.findings[0].words
    assert of_channel(with_live(**changes), "email") == GOOD


def test_processes_nobody_runs():
    alive = (process("web"), process("maintenance", alive=False))

    words = " ".join(finding.words for finding in verdict(with_live(processes=alive)).findings)

    assert "No relay runs" in words
    assert "No maintenance process runs" in words
    assert "No events process runs" in words


def test_without_a_broker_no_relay_is_missed():
    alive = tuple(process(kind) for kind in KINDS if kind != "relay")

    assert verdict(with_live(processes=alive, uses_broker=False)).tone == GOOD


def test_when_no_process_is_heard_of_nobody_knows():
    found = verdict(with_live(processes=(), workers_alive=dict.fromkeys(Channel.values, 0)))

    assert (found.tone, [finding.about for finding in found.findings]) == (UNKNOWN, ["processes"])


def test_queues_that_nobody_looked_at_are_unknown():
    assert verdict(with_live(depths_known=False)).tone == UNKNOWN
    assert verdict(with_live(depths_known=False, uses_broker=False)).tone == GOOD


def test_the_worst_comes_first():
    found = verdict(replace(with_chain(State.OPEN, State.OPEN), dead_in_hour=1, alerting=False))

    assert [finding.tone for finding in found.findings] == [BAD, WARN, UNKNOWN]
    assert found.findings[1].words.startswith("1 message was given up on")


def test_alerts_that_are_worse_than_all_that_is_seen_give_the_verdict():
    one = known(alerts=[(BAD, "sms"), (QUIET, "")])
    several = known(alerts=[(WARN, "sms"), (WARN, "")])

    assert (verdict(one).tone, verdict(one).title) == (BAD, "A critical alert asks for a look")
    assert (verdict(several).tone, verdict(several).title) == (WARN, "2 alerts ask for a look")
    assert (of_channel(one, "sms"), of_channel(one, "email")) == (BAD, GOOD)


def test_what_is_seen_gives_the_title_when_no_alert_is_worse():
    found = verdict(replace(with_chain(State.OPEN, State.OPEN), alerts=[(WARN, "sms")]))

    assert found.title == "Some messages are not getting through"
