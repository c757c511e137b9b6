"""The dead-letter workbench: groups, their letters, and replays that are begun, watched and stopped."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from notifications.admin import replay_form
from notifications.models import DeadLetter, ReplayRun
from notifications.services import replays
from notifications.services.letters import LetterFilter
from tests.admin import big_tables_scanned, page, signed_in
from tests.notifications.dead_letters import later, letters, still_open

pytestmark = pytest.mark.django_db
FORM = "admin:notifications_deadletter_replay_form"


def text(response) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def ask(client, **fields):
    """Press Replay, on the form as it was shown."""
    shown = client.get(reverse(FORM), {name: value for name, value in fields.items() if name != "typed"})
    upto = shown.context["form"].data["upto"]
    return client.post(reverse(FORM), {"rate": 600, "upto": upto, **fields, "start": "1"})


class TestGroups:
    def test_each_says_how_many_why_since_when_and_the_last_error(self):
        letters(1234)
        letters(1, channel="push", provider="", cause="poison", code="", detail="<b>crashed</b>")
        DeadLetter.objects.filter(channel="push").update(created_at=datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC))

        body = text(signed_in(may="everything").get(page(DeadLetter)))

        assert '<b class="cr-count">1,235</b> open letters in 2 groups' in body
        assert ">1,234<" in body
        assert "Provider unavailable" in body
        assert "Email · mailhouse · Every attempt failed" in body
        assert "503 from the vendor" in body
        assert "1 Mar 2026, 12:00:05 UTC" in body
        assert "Push · no provider" in body
        assert "&lt;b&gt;crashed" in body

    def test_they_lead_to_their_letters_and_to_a_replay_of_them(self):
        mine = letters(2, provider="", code="")
        letters(3)
        client = signed_in(may="everything")
        [_, group] = client.get(page(DeadLetter)).context["groups"]

        listed = client.get(group["list"])
        form = client.get(group["replay"]).context["form"]

        assert {row.pk for row in listed.context["cl"].result_list} == {letter.pk for letter in mine}
        assert "Email · no provider · Every attempt failed · no code" in text(listed)
        assert listed.context["replay_address"] == f"{reverse(FORM)}?" + group["replay"].partition("?")[2]
        assert (form.matched, form.wanted) == (2, group["group"].filter)

    def test_nothing_dead_is_good_news(self):
        body = text(signed_in(may="everything").get(page(DeadLetter)))

        assert "All is well" in body

    def test_replays_under_way_are_shown_and_the_page_follows_them(self):
        letters(4)
        run = replays.start(LetterFilter(), per_minute=60, by="grace", via="admin")
        client = signed_in(may="everything")

        assert 'data-live="#replays"> <p class="cr-hint">' in text(client.get(page(DeadLetter)))
        assert "0 of 4" in text(client.get(page(DeadLetter)))
        replays.stop(run.pk, by="grace")
        assert "data-live" not in text(client.get(page(DeadLetter)))

    def test_it_reads_the_open_letters_by_their_index(self):
        letters(3)
        row = {"channel": "email", "priority": "low", "cause": "exhausted", "delivery_id": letters(1)[0].delivery_id}
        old = [DeadLetter(**row, replayed_at=datetime(2026, 1, 1, tzinfo=UTC), replayed_by="x") for _ in range(3000)]
        DeadLetter.objects.bulk_create(old)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE notifications_deadletter")
        client = signed_in(may="everything")

        with CaptureQueriesContext(connection) as captured:
            client.get(page(DeadLetter))
            client.get(page(DeadLetter), {"channel__exact": "email", "provider": "mailhouse", "replayed": "no"})

        reads = [query for query in captured.captured_queries if "deadletter" in query["sql"]]
        assert len(reads) < 12
        assert big_tables_scanned(reads) == set()


class TestList:
    def test_it_is_narrowed_by_each_fact_and_by_time(self):
        [old] = letters(1, provider="textco", code="timeout", channel="sms")
        [new] = letters(1)
        DeadLetter.objects.filter(pk=old.pk).update(created_at=datetime(2026, 3, 1, 12, tzinfo=UTC))
        client = signed_in(may="everything")

        def shown(**query):
            return [row.pk for row in client.get(page(DeadLetter), query).context["cl"].result_list]

        assert shown(provider="textco") == shown(code="timeout") == shown(channel__exact="sms") == [old.pk]
        assert shown(provider="none") == shown(code="none") == []
        assert shown(died_from="2026-03-01T12:01") == [new.pk]
        assert shown(died_before="2026-03-01T12:01") == [old.pk]
        assert shown(provider="nul\x00") == []

    @pytest.mark.parametrize("query", [{"q": "x"}, {"replayed": "yes"}, {"pk__gt": "0"}])
    def test_a_list_the_form_has_no_words_for_offers_no_replay_of_it(self, query):
        letters()

        assert signed_in(may="everything").get(page(DeadLetter), query).context.get("replay_address") is None

    def test_its_times_go_along_to_the_form(self):
        letters()
        client = signed_in(may="everything")

        address = client.get(page(DeadLetter), {"died_from": "2026-03-01T12:01"}).context["replay_address"]

        assert client.get(address).context["form"].wanted.since == datetime(2026, 3, 1, 12, 1, tzinfo=UTC)

    def test_a_closed_letter_says_so(self):
        [letter] = letters(1, status="sent")
        replays.at_once([letter.pk], by="grace", via="admin")
        client = signed_in(may="everything")

        assert "closed: nothing was left to send" in text(client.get(page(DeadLetter), {"replayed": "yes"}))
        assert "nothing was left to send" in text(client.get(page(letter)))


class TestReplaying:
    def test_a_group_goes_back_at_the_rate_asked_for_and_the_record_says_who(self):
        letters(30)
        letters(5, channel="sms")
        client = signed_in(may="everything")

        answer = ask(client, channel="email", rate="1200")

        run = ReplayRun.objects.get()
        assert answer.url == page(run)
        assert (run.by, run.via, run.matched, run.per_minute) == ("user-everything", "admin", 30, 1200)
        assert run.filters == {"channel": "email"}
        assert still_open() == 35
        later(run, 1)
        replays.step()
        assert 35 - 22 <= still_open() <= 35 - 21

    def test_looking_and_counting_replay_nothing(self):
        letters(3)
        client = signed_in(may="everything")

        assert client.get(reverse(FORM), {"channel": "email", "start": "1"}).context["form"].matched == 3
        counted = client.post(reverse(FORM), {"channel": "sms", "rate": 600, "upto": 1, "count": "1"})

        assert "No open letter matches" in text(counted)
        assert not ReplayRun.objects.exists()

    def test_what_dies_while_somebody_reads_is_not_part_of_it(self):
        letters(2)
        client = signed_in(may="everything")
        upto = client.get(reverse(FORM)).context["form"].data["upto"]
        letters(5)

        client.post(reverse(FORM), {"rate": 600, "upto": upto, "start": "1"})

        assert ReplayRun.objects.get().matched == 2

    def test_many_want_their_number_typed(self, monkeypatch):
        monkeypatch.setattr(replay_form, "TYPED_OVER", 10)
        letters(1100)
        client = signed_in(may="everything")

        for typed in ("", "1099", "yes", "1100; drop"):
            refused = ask(client, typed=typed)
            assert "Type 1,100 to agree" in text(refused)
        assert not ReplayRun.objects.exists()
        ask(client, typed=" 1,100 ")

        assert ReplayRun.objects.get().matched == 1100

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("rate", "0"),
            ("rate", "1000001"),
            ("rate", "fast"),
            ("channel", "pigeon"),
            ("provider", "nobody"),
            ("cause", "bad luck"),
            ("code", "E42"),
            ("since", "yesterday"),
            ("until", "99999-01-01T00:00"),
        ],
    )
    def test_a_bad_value_is_told_beside_its_field_and_starts_nothing(self, field, value):
        letters()

        answer = ask(signed_in(may="everything"), **{field: value})

        assert answer.status_code == 200
        assert field in answer.context["form"].errors
        assert not ReplayRun.objects.exists()

    @pytest.mark.parametrize("upto", ["", "x", "-1", "9" * 30])
    def test_a_form_that_was_tampered_with_starts_nothing_beyond_what_there_is(self, upto):
        letters()

        answer = signed_in(may="everything").post(reverse(FORM), {"rate": 600, "upto": upto, "start": "1"})

        assert answer.status_code in {200, 302}
        assert all(run.upto <= replays.letters.newest_id() for run in ReplayRun.objects.all())

    def test_nothing_to_replay_is_said_in_words(self):
        assert "No open dead letter matches" in text(ask(signed_in(may="everything")))

    def test_a_letter_replayed_twice_is_put_back_once(self):
        [letter] = letters()
        client = signed_in(may="everything")

        for _ in range(2):
            answer = client.post(page(letter, "replay_one"), {"confirmed": "1"}, follow=True)

        assert "was replayed or closed before" in text(answer)
        assert ReplayRun.objects.get().replayed == 1


class TestRuns:
    def test_the_list_tells_who_which_how_many_and_how_far(self):
        letters(2000)
        run = replays.start(LetterFilter(channel="email"), per_minute=60_000, by="grace", via="command")
        later(run, 1)
        replays.step()
        client = signed_in(may="everything")

        body = text(client.get(page(ReplayRun)))

        assert "Email" in body
        assert "60,000 a minute" in body
        assert re.search(r"1,0\d\d of 2,000", body)
        assert 'data-live="#result_list"' in body
        assert "in a terminal" in text(client.get(page(run)))

    def test_a_run_can_be_stopped_and_says_by_whom(self):
        letters(5)
        run = replays.start(LetterFilter(), per_minute=1, by="grace", via="admin")
        client = signed_in(may="everything")

        client.get(page(run, "stop"))
        assert ReplayRun.objects.get().state == "running"
        client.post(page(run, "stop"), {"confirmed": "1"})

        assert "stopped by user-everything" in text(client.get(page(run)))
        assert "data-live" not in text(client.get(page(run)))
        assert "had ended already" in text(client.post(page(run, "stop"), {"confirmed": "1"}, follow=True))

    def test_a_run_nobody_carries_out_says_what_is_missing(self):
        letters(5)
        run = replays.start(LetterFilter(), per_minute=600, by="grace", via="admin")
        client = signed_in(may="everything")

        assert "run_maintenance" not in text(client.get(page(run)))
        ReplayRun.objects.update(stepped_at=F("stepped_at") - timedelta(minutes=2))

        assert "run_maintenance" in text(client.get(page(run)))

    def test_what_did_not_go_back_is_explained(self):
        letters(2)
        letters(3, status="sent")
        run = replays.start(LetterFilter(), per_minute=60_000, by="grace", via="admin")
        later(run, 1)
        replays.step()

        assert "3 did not go back" in text(signed_in(may="everything").get(page(run)))


class TestPermissions:
    def test_those_who_only_look_see_everything_and_start_and_stop_nothing(self):
        letters(3)
        run = replays.start(LetterFilter(), per_minute=1, by="grace", via="admin")
        client = signed_in(may="view")

        for address in (page(DeadLetter), page(ReplayRun), page(run)):
            body = text(client.get(address))
            assert "Replay…" not in body
            assert "Replay by filter" not in body
            assert "Stop…" not in body
        assert client.get(page(DeadLetter), {"channel__exact": "email"}).context["replay_address"] is None
        assert client.get(reverse(FORM)).status_code == 403
        assert client.post(reverse(FORM), {"rate": 600, "upto": 9, "start": "1"}).status_code == 403
        assert client.post(page(run, "stop"), {"confirmed": "1"}).status_code == 403
        assert ReplayRun.objects.get().state == "running"

    def test_strangers_see_none_of_it(self):
        client = signed_in()

        assert client.get(page(DeadLetter)).status_code == 403
        assert client.get(page(ReplayRun)).status_code == 403
        assert client.get(reverse(FORM)).status_code == 403
