"""`manage.py top`: what an operator reads off it, also when a server is away, and how it ends."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from rich.console import Console

from analytics.alerts.choices import Phase, Severity
from analytics.alerts.models import Alert
from analytics.terminal import words
from analytics.terminal.screen import Screen
from notifications.models import OutboxMessage, ProcessBeat
from notifications.models.received_event import ReceivedEvent
from notifications.services import providers
from tests import factories
from tests.analytics.alerts.conftest import rule
from tests.notifications.conftest import redis_away  # noqa: F401  a fixture
from tests.notifications.fakes import FakeProvider, use_provider
from tests.notifications.test_pipeline import draft, send, work

ROOT = Path(__file__).resolve().parents[2]


def shown(width: int = 200) -> str:
    """The page on a terminal of that width."""
    console = Console(width=width, file=StringIO(), force_terminal=False)
    screen = Screen(console)
    screen.read()
    with console.capture() as drawn:
        console.print(screen.page())
    return drawn.get()


def line(text: str, beginning: str) -> list[str]:
    """The words of the first line that begins so."""
    return next(found.split() for found in text.splitlines() if found.startswith(beginning))


def beating(kind: str, name: str = "", *, age: float = 0.0, **stats: object) -> None:
    moment = Now() - timedelta(seconds=age)
    ProcessBeat.objects.create(kind=kind, name=name or kind, host="box-1", pid=7, stats=stats, beat_at=moment)


def firing(title: str, severity: str) -> Alert:
    now = timezone.now()
    return Alert.objects.create(
        rule=rule(name=f"Of a test: {title}"), fingerprint=title, title=title, severity=severity, phase=Phase.FIRING,
        summary="7 in five minutes", since=now, seen_at=now, opened_at=now,
    )  # fmt: skip


# --- what it says -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_it_says_what_was_sent(settings):
    # Given three emails that were sent
    use_provider(settings, FakeProvider("fake"))
    factories.category("orders")
    factories.template("order-shipped")
    factories.recipients(3)
    send(*[draft(f"person-{n}", channels=["email"]) for n in range(3)])
    work("email")
    # Then the line of email says so, and that of text messages does not
    text = shown(width=120)
    assert float(line(text, "Email")[1]) > 0
    assert line(text, "SMS")[1] == "0.0"


@pytest.mark.django_db
def test_lanes_in_which_something_waits_are_listed_the_oldest_first():
    for priority, seconds in (("low", 5), ("critical", 90)):
        due = Now() - timedelta(seconds=seconds)
        OutboxMessage.objects.create(channel="sms", priority=priority, delivery_ids=[uuid4()] * 3, due_at=due)
    text = shown(width=120)
    assert text.index("sms.critical") < text.index("sms.low")
    assert line(text, "sms.critical")[1:3] == ["3", "90"]
    assert line(text, "sms.low")[-1] == "none"  # no worker serves it
    assert "push." not in text


@pytest.mark.django_db
def test_what_does_not_run_is_said_in_words():
    beating("worker", "worker-sms", channels=["sms"], priorities=["normal"])
    beating("maintenance", age=120)
    text = shown()
    assert "No worker for Push, Email, In-app, Webhook: messages wait." in text
    assert "Not running: maintenance, events, campaigns." in text
    assert "maintenance (lost)" in text


@pytest.mark.django_db
def test_a_lost_process_that_another_has_replaced_is_no_alarm():
    beating("events", age=300)
    beating("events")
    text = shown()
    assert "events (lost, replaced)" in text
    assert "Not running: maintenance, campaigns." in text


@pytest.mark.django_db
def test_without_a_relay_it_says_that_nothing_leaves_the_outbox(settings):
    settings.BROKER_URL = "amqp://never.asked"
    text = shown()
    assert "No relay lives" in text
    assert "what waits there is unknown" in text


@pytest.mark.django_db
def test_alerts_stand_above_the_figures_and_those_that_ask_for_somebody_first():
    # Given an alert that somebody has taken on, and one that nobody has
    anna_has_it = firing("Redis does not answer", Severity.CRITICAL)
    Alert.objects.filter(pk=anna_has_it.pk).update(acknowledged_at=Now(), acknowledged_by="anna")
    firing("Dead letters", Severity.WARNING)
    text = shown()
    assert text.index("! warning: Dead letters.") < text.index("! critical: Redis does not answer.")
    assert "(taken on by anna)" in text
    assert text.index("Redis does not answer") < text.index("Last 5 minutes")


@pytest.mark.django_db
def test_events_that_nobody_applies_are_said():
    ReceivedEvent.objects.create(
        type="delivered", origin="acme", delivery_id=uuid4(), due_at=Now() - timedelta(minutes=10)
    )
    assert "! 1 receipts, opens and clicks wait, the oldest for 10 min." in shown()


@pytest.mark.django_db
def test_providers_say_how_they_stand():
    providers.switch_off("simulated_sms", by="anna", reason="contract ended")
    assert "Switched off" in next(found for found in shown().splitlines() if "simulated_sms " in found)


@pytest.mark.django_db
@pytest.mark.parametrize("width", [60, 80, 100, 120, 180, 240])
def test_no_line_is_longer_than_the_window(width: int):
    beating("worker", "worker-" + "x" * 50, channels=["sms"], priorities=["low"])
    assert max(map(len, shown(width).splitlines())) <= width


@pytest.mark.django_db
def test_what_a_vendor_or_a_host_calls_itself_commands_no_terminal():
    ProcessBeat.objects.create(kind="web", name="web\x1b[2J", host="h\x07\nost", pid=1)
    assert not {"\x1b", "\x07"} & set(shown())


# --- without servers --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_without_redis_it_goes_on_and_circuits_are_unknown(redis_away):  # noqa: F811
    redis_away.leave()
    text = shown()
    assert "Redis does not answer" in text
    assert "Unknown" in next(found for found in text.splitlines() if "simulated_sms " in found)


@pytest.mark.django_db(transaction=True)
def test_without_postgresql_the_last_figures_stay_and_say_how_old_they_are():
    # Given a view that has read once
    console = Console(width=120, file=StringIO())
    screen = Screen(console)
    screen.read()
    good = connection.settings_dict["PORT"]
    # When PostgreSQL goes away
    connection.settings_dict["PORT"] = "1"
    try:
        screen.read()
    finally:
        connection.settings_dict["PORT"] = good
    # Then it says so, and shows what it knew
    with console.capture() as drawn:
        console.print(screen.page())
    assert "PostgreSQL does not answer" in drawn.get()
    assert f"These figures are of {screen.shown.state.at:%H:%M:%S}" in drawn.get()
    # And it finds it again
    screen.read()
    assert screen.trouble == ""


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_once_prints_plain_text(capsys: pytest.CaptureFixture[str]):
    call_command("top", "--once")
    text = capsys.readouterr().out
    assert text.startswith("Carillon")
    assert "\x1b" not in text


@pytest.mark.django_db
def test_an_impossible_rhythm_is_refused():
    with pytest.raises(CommandError, match="seconds"):
        call_command("top", "--seconds", "0")


class Terminal:
    """`manage.py top` in a terminal of its own."""

    def __init__(self, env: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        arguments = [sys.executable, str(ROOT / "manage.py"), "top", "--seconds", "0.5"]
        # COLUMNS and LINES would stand in the way of the terminal's own size
        env = {name: value for name, value in env.items() if name not in {"COLUMNS", "LINES"}}
        self.resize(120)
        self.process = subprocess.Popen(
            arguments, env={**env, "TERM": "xterm"}, stdin=slave, stdout=slave, stderr=slave, cwd=ROOT
        )
        os.close(slave)
        self.text = ""

    def resize(self, columns: int) -> None:
        import fcntl
        import struct
        import termios

        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))

    def read_until(self, condition: Callable[[str], bool], seconds: float = 90.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition(self.text):
            assert time.monotonic() < deadline, self.text[-2000:]
            if select.select([self.master], [], [], 0.2)[0]:
                self.text += os.read(self.master, 65_536).decode(errors="replace")


def test_it_follows_the_window_and_ends_at_q(process_env: dict[str, str]):
    # Given the view in a terminal of 120 columns
    terminal = Terminal(process_env)
    try:
        terminal.read_until(lambda text: "Delivered" in text and "Processes" in text)
        # When the window becomes narrow
        terminal.text = ""
        terminal.resize(78)
        terminal.read_until(lambda text: "Retried" in text and "Processes" in text)
        # Then what is least missed is gone
        assert "Delivered" not in terminal.text.rsplit("Carillon", 1)[-1]
        # And q ends it, with 0 and the terminal as it was
        os.write(terminal.master, b"q")
        assert terminal.process.wait(timeout=10) == 0
        terminal.read_until(lambda text: "\x1b[?1049l" in text)
    finally:
        terminal.process.kill()
        os.close(terminal.master)


# --- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "-"), (0.015, "15 ms"), (1.24, "1.2 s"), (45.4, "45 s"), (200, "3 min"), (18_000, "5 h"), (10**6, "12 d")],
)
def test_durations(seconds: float | None, said: str):
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0"), (1234, "1,234"), (12_345, "12.3k"), (4_560_000, "4.6M"), (7.8e9, "7.8G")]
)
def test_counts(number: float, said: str):
    assert words.count(number) == said
    assert words.count(number, capped=True) == f"{said}+"


def test_a_chart_is_as_long_as_its_values_and_its_greatest_is_full():
    assert words.bars([0, 1, 8]) == " ▂█"
    assert words.bars([0, 0]) == "  "
    assert words.bars([1, 8], plain=True).isascii()
