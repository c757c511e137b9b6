"""manage.py dead_letters: the workbench in a terminal."""

import builtins
import getpass
import io
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from notifications.models import DeadLetter, ReplayRun
from notifications.services import replays
from tests import factories
from tests.admin import dead_letter, notification
from tests.notifications.dead_letters import later, letters, still_open

pytestmark = pytest.mark.django_db


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def said(*words: object, out: io.StringIO | None = None) -> str:
    out = out or io.StringIO()
    call_command("dead_letters", *map(str, words), stdout=out)
    return out.getvalue()


@pytest.fixture
def answers(monkeypatch):
    """What the person at the terminal types, and what they were asked."""
    typed, asked = [], []

    def ask(question: str) -> str:
        asked.append(question)
        if not typed:
            raise EOFError
        return typed.pop(0)

    monkeypatch.setattr(builtins, "input", ask)
    return typed, asked


def test_groups_show_how_many_why_and_the_last_error():
    letters(1234)
    letters(2, channel="push", provider="", cause="poison", code="", detail="crashed")

    lines = said("groups").splitlines()

    assert lines[0].split()[:5] == ["letters", "channel", "provider", "cause", "code"]
    assert lines[1].split()[:5] == ["1,234", "email", "mailhouse", "exhausted", "unavailable"]
    assert lines[1].endswith("503 from the vendor")
    assert lines[2].split()[:5] == ["2", "push", "none", "poison", "none"]


def test_nothing_dead_is_good_news():
    assert "all is well" in said("groups")
    assert "No open dead letter matches" in said("list")
    assert "Nothing was ever replayed" in said("runs")


def test_a_terminal_gets_a_drawn_table_and_no_commands_of_a_vendor():
    letters(1, detail="\x1b[2J\x1b]0;gone\x07 the vendor's words [red]")

    drawn = said("groups", out=Terminal())

    assert "─" in drawn
    assert "\x1b[2J" not in drawn
    assert "\x1b]0" not in drawn
    assert "\x1b" not in said("groups")
    assert "[red]" in said("groups")


def test_a_list_is_narrowed_and_bounded():
    letters(3)
    [sms] = letters(1, channel="sms", provider="textco", code="timeout")

    assert said("list", "--channel", "sms").count("\n") == 2
    assert str(sms.delivery_id) in said("list", "--code", "timeout", "--provider", "textco")
    assert said("list", "--limit", 2).count("\n") == 3
    with pytest.raises(CommandError, match="1 to 1,000"):
        said("list", "--limit", 5000)


def test_a_letter_is_shown_with_its_timeline():
    factories.recipient("ada")
    letter = dead_letter(notification("ada"))

    shown = said("show", letter.pk)

    assert "Its handling crashed again and again" in shown
    assert "its handling crashed" in shown
    assert "Accepted" in shown
    assert "Gave up" in shown
    with pytest.raises(CommandError, match="no dead letter 999"):
        said("show", 999)


def test_one_whose_record_is_gone_is_shown_too():
    assert "gone with its week" in said("show", letters(1)[0].pk)


def test_replaying_asks_first_and_says_how_long_it_takes(answers):
    typed, asked = answers
    letters(1200)
    typed += ["no", "y"]

    with pytest.raises(CommandError, match="Nothing was replayed"):
        said("replay", "--channel", "email", "--rate", 600)
    assert not ReplayRun.objects.exists()
    told = said("replay", "--channel", "email", "--rate", 600, "--by", "grace")

    run = ReplayRun.objects.get()
    assert asked[0] == "Replay 1,200 of: Email, at 600 a minute? [y/N] "
    assert (run.matched, run.per_minute, run.by, run.via) == (1200, 600, "grace", "command")
    assert "1,200 letters at 600 a minute, some 2 min" in told
    assert f"stop {run.pk}" in told


def test_without_anyone_to_ask_it_wants_a_yes(answers):
    letters()

    with pytest.raises(CommandError, match="Pass --yes"):
        said("replay", "--rate", 60)
    said("replay", "--rate", 60, "--yes")

    assert ReplayRun.objects.get().by == getpass.getuser()


def test_single_letters_are_replayed_by_their_ids():
    first, second, _ = letters(3)

    said("replay", "--id", first.pk, "--id", second.pk, "--rate", 6000, "--yes")
    later(ReplayRun.objects.get(), 1)
    replays.step()

    assert still_open() == 1
    assert "2 chosen letters" in said("runs")


def test_a_span_of_time_is_taken_in_utc_and_nonsense_refused():
    letters(2)
    DeadLetter.objects.update(created_at=datetime(2026, 3, 1, 14, 0, tzinfo=UTC))

    assert said("list", "--since", "2026-03-01T14:00", "--until", "2026-03-02").count("\n") == 3
    assert "No open" in said("list", "--since", "2026-03-01T15:00+00:30", "--until", "2026-03-01T15:30")
    for odd in ("yesterday", "2026-13-01", "2026-02-30T10:00"):
        with pytest.raises(CommandError, match="is not a moment"):
            said("list", "--since", odd)


def test_what_cannot_be_replayed_is_refused_in_words():
    with pytest.raises(CommandError, match="No open dead letter matches"):
        said("replay", "--rate", 60, "--yes")
    letters()
    with pytest.raises(CommandError, match="between 1 and 1,000,000"):
        said("replay", "--rate", 0, "--yes")
    with pytest.raises(CommandError, match="--rate"):
        said("replay", "--yes")
    with pytest.raises(CommandError, match="invalid choice"):
        said("replay", "--rate", 60, "--cause", "bad luck", "--yes")


def test_a_run_is_watched_and_stopped():
    letters(100)
    said("replay", "--rate", 60, "--yes", "--by", "grace")
    run = ReplayRun.objects.get()
    replays.step()

    assert said("runs").splitlines()[1].split()[:5] == [str(run.pk), "running", "1", "100", "60"]
    assert "1 of 100 went back" in said("stop", run.pk, "--by", "ada")
    assert ReplayRun.objects.get().stopped_by == "ada"
    with pytest.raises(CommandError, match="not running: stopped"):
        said("stop", run.pk)
    with pytest.raises(CommandError, match="no replay 999"):
        said("stop", 999)
