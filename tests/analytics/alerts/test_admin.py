"""Alerts in the admin: what fires, who takes care, rules that make sense, routes that are tried out."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from analytics.alerts import defaults
from analytics.alerts.admin.spans import seconds, written
from analytics.alerts.choices import UNITS, Metric
from analytics.alerts.metrics import METRICS
from analytics.alerts.models import Alert, AlertMessage, AlertRoute, AlertRule, Silence
from analytics.alerts.wording import _NO, _SENTENCES, _YES
from tests.admin import alert, page, signed_in
from tests.analytics.alerts.conftest import route
from tests.analytics.alerts.receiver import listening

pytestmark = pytest.mark.django_db
PANEL = reverse("admin:analytics_alert_panel")


@pytest.fixture
def client() -> Client:
    return signed_in(may="everything")


def looked_at() -> None:
    """Somebody evaluates."""
    AlertRule.objects.update(seen_at=timezone.now())


def body(client: Client, address: str) -> str:
    return client.get(address).content.decode()


class TestOpenAlerts:
    def test_one_that_fires_says_what_is_wrong_and_offers_what_can_be_done(self, client: Client) -> None:
        one = alert()

        shown = body(client, page(Alert))

        assert "Circuit open: simulated_email" in shown
        assert page(one, "acknowledge") in shown
        assert page(one, "silence") in shown

    def test_who_may_only_look_is_offered_nothing_and_may_do_nothing(self) -> None:
        one = alert()
        looks = signed_in(may="view")

        assert page(one, "acknowledge") not in body(looks, PANEL)
        for name in ("acknowledge", "silence"):
            assert looks.post(page(one, name), {"reason": "x", "minutes": "60"}).status_code == 403
        assert signed_in().get(PANEL).status_code == 403

    def test_all_is_well_only_while_somebody_looks_at_the_rules(self, client: Client) -> None:
        defaults.install(AlertRule)
        looked_at()
        assert "Nothing is wrong" in body(client, PANEL)

        AlertRule.objects.update(seen_at=timezone.now() - timedelta(minutes=5))
        shown = body(client, PANEL)
        assert "Nothing is wrong" not in shown
        assert "Nobody looks at the rules" in shown

    def test_it_says_that_nobody_is_told_while_there_is_no_route(self, client: Client) -> None:
        assert "nobody is told" in body(client, PANEL)
        route()
        assert "nobody is told" not in body(client, PANEL)

    def test_the_sidebar_counts_those_that_ask_for_somebody(self, client: Client) -> None:
        one = alert()
        assert "min-w-[18px]" in body(client, reverse("admin:index"))

        Alert.objects.filter(pk=one.pk).update(acknowledged_at=timezone.now(), acknowledged_by="ada")
        assert "min-w-[18px]" not in body(client, reverse("admin:index"))

    def test_acknowledging_says_who_takes_care_and_why(self, client: Client) -> None:
        one = alert()

        client.post(page(one, "acknowledge"), {"note": "Asked the vendor"})

        one.refresh_from_db()
        last = one.events.last()
        assert one.acknowledged_by == "user-everything"
        assert last is not None
        assert (last.what, last.by, last.note) == ("acknowledged", "user-everything", "Asked the vendor")
        client.post(page(one, "acknowledge"), {"note": "me too"})
        assert one.events.filter(what="acknowledged").count() == 1

    def test_silencing_wants_a_reason_and_covers_the_same_thing_alone(self, client: Client) -> None:
        one = alert()
        Silence.objects.all().delete()

        assert "Say why" in client.post(page(one, "silence"), {"minutes": "60", "reason": ""}).content.decode()
        client.post(page(one, "silence"), {"minutes": "60", "reason": "Maintenance"})

        made = Silence.objects.get()
        assert (made.rule, made.channel, made.provider, made.by) == (
            one.rule,
            "email",
            "simulated_email",
            "user-everything",
        )
        assert (made.ends_at - made.starts_at).total_seconds() == 3600

    def test_its_page_tells_its_history_and_who_was_told(self, client: Client) -> None:
        shown = body(client, page(alert()))

        for words in ("Opened", "On call", "Sent", "Its circuit is open"):
            assert words in shown


def form(**fields: Any) -> dict[str, Any]:
    return {
        "name": "Mine",
        "severity": "warning",
        "is_on": "on",
        "metric": "bounce_rate",
        "split_by": "",
        "channel": "",
        "provider": "",
        "source": "",
        "priority": "",
        "condition": "above",
        "threshold": "0.05",
        "clear_threshold": "0.03",
        "objective": "",
        "window_seconds": "1h",
        "short_window_seconds": "",
        "minimum_traffic": "100",
        "for_seconds": "1m",
        "clear_seconds": "1m",
        "repeat_seconds": "4h",
        "advice": "",
        **fields,
    }


class TestRules:
    ADD = reverse("admin:analytics_alertrule_add")

    def test_spans_are_written_as_people_write_them(self, client: Client) -> None:
        client.post(self.ADD, form())

        made = AlertRule.objects.get(name="Mine")
        assert (made.window_seconds, made.for_seconds, made.repeat_seconds, made.short_window_seconds) == (
            3600,
            60,
            14400,
            0,
        )
        assert 'value="1h"' in body(client, page(made))

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"clear_threshold": "0.06"}, "clear_threshold"),
            ({"condition": "below", "clear_threshold": "0.01"}, "clear_threshold"),
            ({"condition": "burn"}, "objective"),
            ({"condition": "burn", "objective": "0.99", "metric": "dead"}, "condition"),
            ({"condition": "burn", "objective": "0.99", "short_window_seconds": "2h"}, "short_window_seconds"),
            ({"provider": "nobody"}, "provider"),
            ({"priority": "high"}, "priority"),
            ({"metric": "workers", "threshold": "1", "clear_threshold": "", "split_by": "provider"}, "split_by"),
            ({"metric": "redis_away", "threshold": "1", "clear_threshold": "0", "source": "campaign:1"}, "source"),
            ({"window_seconds": "soon"}, "window_seconds"),
            ({"window_seconds": "10s"}, "window_seconds"),
            ({"window_seconds": "90d"}, "window_seconds"),
        ],
    )
    def test_what_makes_no_sense_is_refused_with_a_word(
        self, client: Client, fields: dict[str, Any], field: str
    ) -> None:
        answer = client.post(self.ADD, form(**fields))

        assert answer.status_code == 200
        assert list(answer.context["adminform"].form.errors) == [field]
        assert not AlertRule.objects.filter(name="Mine").exists()

    def test_rules_may_not_explain_each_other_in_a_circle(self, client: Client) -> None:
        one = AlertRule.objects.create(name="one", metric="dead", threshold=1)
        two = AlertRule.objects.create(name="two", metric="dead", threshold=1)
        one.explained_by.add(two)

        given = form(name="two", metric="dead", threshold="5", clear_threshold="", explained_by=[one.pk])
        answer = client.post(page(two), given)

        assert list(answer.context["adminform"].form.errors) == ["explained_by"]

    def test_saving_a_rule_keeps_what_was_seen_meanwhile(self, client: Client) -> None:
        made = AlertRule.objects.create(name="Mine", metric="bounce_rate", threshold=1, standing="bad", seen="8%")
        client.get(page(made))
        AlertRule.objects.update(seen="9%")

        client.post(page(made), form(threshold="0.07"))

        made.refresh_from_db()
        assert (made.threshold, made.seen) == (0.07, "9%")

    @pytest.mark.parametrize(("text", "span"), [("30s", 30), ("5m", 300), ("2h", 7200), ("3d", 259_200), ("90", 90)])
    def test_a_span_is_read_and_written(self, text: str, span: int) -> None:
        assert seconds(text) == span
        assert seconds(written(span)) == span


class TestRoutes:
    ADD = reverse("admin:analytics_alertroute_add")

    def given(self, **fields: Any) -> dict[str, Any]:
        return {
            "name": "On call",
            "kind": "webhook",
            "target": "https://example.com/hook",
            "is_on": "on",
            "receives": "warning",
            "group_by": "all",
            "wait_seconds": "10s",
            "fallback": "",
            **fields,
        }

    def test_a_webhook_is_given_a_secret(self, client: Client) -> None:
        client.post(self.ADD, self.given())

        made = AlertRoute.objects.get()
        assert made.secret.startswith("whsec_")
        assert made.secret in body(client, page(made))
        assert made.secret not in body(client, page(AlertRoute))

    @pytest.mark.parametrize(
        ("kind", "target"),
        [
            ("webhook", "ftp://example.com"),
            ("webhook", "http://169.254.169.254/latest/"),
            ("slack", ""),
            ("email", "not an address"),
            ("email", ""),
            ("in_app", "a-stranger"),
        ],
    )
    def test_a_target_that_cannot_be_used_is_refused(self, client: Client, kind: str, target: str) -> None:
        answer = client.post(self.ADD, self.given(kind=kind, target=target))

        assert list(answer.context["adminform"].form.errors) == ["target"]

    def test_a_test_goes_out_at_a_click_and_says_how_it_went(self, client: Client, settings: Any) -> None:
        settings.OUTBOUND_ALLOW_PRIVATE = ["127.0.0.0/8"]
        with listening(200) as receiver:
            way = route(target=receiver.url, secret="whsec_c2VjcmV0")
            assert "Send a test to" in body(client, page(way, "send_test"))
            assert receiver.posts == [], "asking sends nothing"

            answer = client.post(page(way, "send_test"), {"confirmed": "1"}, follow=True)

        assert "The test went out. HTTP 200" in answer.content.decode()
        assert len(receiver.posts) == 1
        assert AlertMessage.objects.get().is_test

    def test_a_new_secret_takes_the_place_of_the_old_one(self, client: Client) -> None:
        way = route(secret="whsec_c2VjcmV0")

        client.post(page(way, "new_secret"), {"confirmed": "1"})

        way.refresh_from_db()
        assert way.secret.startswith("whsec_")
        assert way.secret != "whsec_c2VjcmV0"

    def test_who_may_only_look_sends_nothing_and_sees_no_secret(self) -> None:
        way = route(secret="whsec_c2VjcmV0", target="https://hooks.example.com/T0/secret-path")
        looks = signed_in(may="view")

        assert looks.post(page(way, "send_test"), {"confirmed": "1"}).status_code == 403
        shown = body(looks, page(way))
        assert "whsec_c2VjcmV0" not in shown
        assert "secret-path" not in shown


def test_a_silence_is_made_and_ended(client: Client) -> None:
    given = {"reason": "Moving house", "span": "2h", "rule": "", "channel": "sms", "provider": ""}
    client.post(reverse("admin:analytics_silence_add"), given)
    made = Silence.objects.get()
    assert ((made.ends_at - made.starts_at).total_seconds(), made.by) == (7200, "user-everything")

    client.post(page(made, "end"), {"confirmed": "1"})

    made.refresh_from_db()
    assert made.ends_at <= timezone.now()


def test_every_metric_is_read_and_has_words() -> None:
    assert set(METRICS) == set(UNITS) == set(Metric.values)
    assert set(_SENTENCES) | set(_YES) == set(Metric.values)
    assert set(_YES) == set(_NO)


def test_the_rules_that_come_along_make_sense_to_the_form() -> None:
    from analytics.alerts.admin.rule_form import RuleForm

    AlertRule.objects.all().delete()
    assert defaults.install(AlertRule) == len(defaults.RULES)
    for rule in AlertRule.objects.all():
        shown = RuleForm(instance=rule)
        filled = {name: shown[name].value() for name in shown.fields}
        again = RuleForm({name: value for name, value in filled.items() if value is not None}, instance=rule)
        assert again.is_valid(), (rule.name, again.errors)


def test_installing_them_again_changes_nothing_that_a_team_changed() -> None:
    defaults.install(AlertRule)
    AlertRule.objects.filter(key="no-workers").update(threshold=3, is_on=False)

    assert defaults.install(AlertRule) == 0
    kept = AlertRule.objects.get(key="no-workers")
    assert (kept.threshold, kept.is_on) == (3, False)
