"""Who meets a definition."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.models import RecipientList, RecipientListMember
from campaigns.segments import DefinitionInvalid, where
from campaigns.segments.definition import MAX_CONDITIONS, MAX_DEPTH
from campaigns.segments.vocabulary import FIELDS, Takes
from notifications.drafts import Draft
from notifications.models import Delivery
from notifications.services.notification import NotificationService
from preferences.models import DeviceToken, Recipient
from preferences.services import PreferenceChange, PreferencesService
from tests import factories
from tests.campaigns.segments.people import condition, everyone_who, who

pytestmark = pytest.mark.django_db

ADA, BOB, EVE = "ada", "bob", "eve"
#: What attributes may hold, and no cast may choke on.
ODD = [None, True, 1, -2.5, 1e300, "1e5", "12", "2026-02-31", "2026-13-01", "", "%_\\", [1, "a"], {"b": 1}, "9" * 40]


@pytest.fixture
def people(db: None) -> None:
    factories.recipient(ADA, name="Ada Lovelace", locale="pt-BR", timezone="Europe/Berlin", attributes={"plan": "Pro"})
    factories.recipient(BOB, name="Bob 100% O_K", locale="pt", email="", attributes={"plan": "free", "age": 42})
    factories.recipient(EVE, name="", locale="", phone="", devices=0, attributes={"age": "17", "born": "2026-03-31"})


def errors_of(definition: object) -> dict[str, str]:
    with pytest.raises(DefinitionInvalid) as refused:
        where(definition)  # type: ignore[arg-type]
    return dict(refused.value.errors)


@pytest.mark.usefixtures("people")
class TestFields:
    def test_an_empty_definition_is_everyone(self):
        assert where({}) == ("TRUE", [])
        assert everyone_who({}) == {ADA, BOB, EVE}

    @pytest.mark.parametrize(
        ("field", "op", "value", "found"),
        [
            ("external_id", "is", "ada", {ADA}),
            ("external_id", "is", "ADA", set()),
            ("external_id", "in", ["ada", "eve", "nobody"], {ADA, EVE}),
            ("external_id", "starts_with", "a", {ADA}),
            ("name", "is", "ada lovelace", {ADA}),
            ("name", "contains", "LOVE", {ADA}),
            ("name", "contains", "0% O_", {BOB}),
            ("name", "contains", "a%e", set()),
            ("name", "starts_with", "_", set()),
            ("name", "is_set", None, {ADA, BOB}),
            ("email", "is_set", None, {ADA, EVE}),
            ("phone", "is_not_set", None, {EVE}),
            ("language", "is", "PT", {ADA, BOB}),
            ("locale", "in", ["PT-br", "de"], {ADA}),
            ("timezone", "starts_with", "Europe/", {ADA}),
            ("created_at", "within_days", 1, {ADA, BOB, EVE}),
            ("created_at", "before", "2020-01-01", set()),
            ("created_at", "on_or_after", "2020-01-01", {ADA, BOB, EVE}),
            ("attributes.plan", "is", "pro", {ADA}),
            ("attributes.plan", "is_not", "pro", {BOB, EVE}),
            ("attributes.plan", "in", ["PRO", "free"], {ADA, BOB}),
            ("attributes.plan", "not_in", ["PRO", "free"], {EVE}),
            ("attributes.plan", "is_not_set", None, {EVE}),
            ("attributes.age", "at_least", 42, {BOB}),
            ("attributes.age", "less_than", 17.5, {EVE}),
            ("attributes.age", "not_equals", 42, {ADA, EVE}),
            ("attributes.born", "before", "2026-04-01", {EVE}),
            ("attributes.born", "on_or_after", "2026-04-01", set()),
            ("device", "has", None, {ADA, BOB}),
            ("device", "has", "apns", set()),
            ("device", "has_not", "fcm", {EVE}),
        ],
    )
    def test_finds_exactly_these(self, field, op, value, found):
        assert who(field, op, value) == found

    def test_days_of_an_attribute_count_from_today(self):
        today = timezone.localdate()
        factories.recipient("past", attributes={"renews": str(today - timedelta(days=3))})
        factories.recipient("soon", attributes={"renews": f"{today + timedelta(days=3)}T10:00:00Z"})

        assert who("attributes.renews", "within_days", 3) == {"past"}
        assert who("attributes.renews", "within_days", 2) == set()
        assert who("attributes.renews", "in_next_days", 3) == {"soon"}

    def test_yes_and_no_are_read_from_json_and_from_text(self):
        for name, value in (("a", True), ("b", "TRUE"), ("c", False), ("d", 1)):
            factories.recipient(name, attributes={"vip": value})

        assert who("attributes.vip", "is_true") == {"a", "b"}
        assert who("attributes.vip", "is_false") == {"c"}

    def test_a_retired_device_is_none(self):
        DeviceToken.objects.update(retired_at=timezone.now())

        assert who("device", "has") == set()

    def test_values_that_are_no_number_and_no_date_are_passed_over(self):
        for number, value in enumerate(ODD):
            factories.recipient(f"odd-{number}", attributes={"x": value})

        assert who("attributes.x", "equals", 12) == {"odd-6"}
        assert who("attributes.x", "on_or_after", "2026-01-01") == {"odd-7"}  # the 31st of February, compared as text


@pytest.mark.usefixtures("people")
class TestPreferences:
    def test_the_narrower_word_wins(self):
        news, person = factories.category("news"), Recipient.objects.get(external_id=ADA)
        factories.preference(person, "email", enabled=False)
        wish = {"channel": "email", "category": "news"}
        assert who("preference", "opted_out", wish) == {ADA}

        factories.preference(person, "email", enabled=True, category=news)

        assert who("preference", "opted_out", wish) == set()
        assert who("preference", "opted_out", {"channel": "email"}) == {ADA}
        assert who("preference", "opted_in", wish) == {ADA, BOB, EVE}

    def test_a_word_on_one_category_or_channel_says_nothing_of_another(self):
        news, person = factories.category("news"), Recipient.objects.get(external_id=ADA)
        factories.category("orders")
        factories.preference(person, "email", enabled=False, category=news)

        assert who("preference", "opted_out", {"channel": "email", "category": "news"}) == {ADA}
        assert who("preference", "opted_out", {"channel": "email", "category": "orders"}) == set()
        assert who("preference", "opted_out", {"channel": "sms", "category": "news"}) == set()
        assert who("preference", "opted_out", {"channel": "email"}) == set()

    def test_a_no_to_all_marketing_counts_for_marketing_until_a_later_yes(self):
        news = factories.category("news", purpose="marketing")
        factories.category("orders")
        change = PreferenceChange(None, "email", False, marketing=True)
        PreferencesService().set_preferences(ADA, [change])

        assert who("preference", "opted_out", {"channel": "email", "category": "news"}) == {ADA}
        assert who("preference", "opted_out", {"channel": "sms", "category": "news"}) == set()
        assert who("preference", "opted_out", {"channel": "email", "category": "orders"}) == set()
        assert who("preference", "opted_out", {"channel": "email"}) == set()
        factories.preference(Recipient.objects.get(external_id=ADA), "email", enabled=True, category=news)
        assert who("preference", "opted_out", {"channel": "email", "category": "news"}) == set()

    def test_nobody_has_opted_out_of_what_is_required(self):
        codes = factories.category("codes", is_required=True)
        factories.preference(Recipient.objects.get(external_id=ADA), "email", enabled=False, category=codes)

        assert who("preference", "opted_out", {"channel": "email", "category": "codes"}) == set()
        assert who("preference", "opted_in", {"channel": "email", "category": "codes"}) == {ADA, BOB, EVE}


@pytest.mark.usefixtures("people")
class TestLists:
    def test_members_and_all_others(self):
        vips, others = (RecipientList.objects.create(name=name) for name in ("VIPs", "Others"))
        RecipientListMember.objects.create(list=vips, recipient=Recipient.objects.get(external_id=ADA))
        RecipientListMember.objects.create(list=others, recipient=Recipient.objects.get(external_id=BOB))

        assert who("list", "in", vips.pk) == {ADA}
        assert who("list", "not_in", vips.pk) == {BOB, EVE}


def sent(person: str, *, category: str = "news", days: int = 1, source: str = "api:test") -> None:
    """A message that was accepted and sent so many days ago."""
    factories.category(category)
    draft = Draft(recipient=person, category=category, content={"email": {"subject": "Hi", "text": "Hi"}})
    [accepted] = NotificationService().send([draft], source=source)
    then = timezone.now() - timedelta(days=days)
    Delivery.objects.filter(notification_id=accepted.id).update(sent_at=then)


def read(person: str, **moments: int) -> None:
    """`opened_at` and `clicked_at`, in days ago, of all this person was sent."""
    Delivery.objects.filter(recipient__external_id=person).update(
        **{name: timezone.now() - timedelta(days=days) for name, days in moments.items()}
    )


@pytest.mark.usefixtures("people")
class TestEngagement:
    def test_sent_opened_and_clicked_in_the_last_days(self):
        sent(ADA, days=5)
        read(ADA, opened_at=4, clicked_at=2)

        assert who("sent", "within_days", {"days": 6}) == {ADA}
        assert who("sent", "within_days", {"days": 4}) == set()
        assert who("sent", "not_within_days", {"days": 4}) == {ADA, BOB, EVE}
        assert who("opened", "within_days", {"days": 5}) == {ADA}
        assert who("opened", "within_days", {"days": 3}) == set()
        assert who("clicked", "within_days", {"days": 3}) == {ADA}
        assert who("clicked", "not_within_days", {"days": 3}) == {BOB, EVE}

    def test_a_message_that_was_skipped_was_not_sent(self):
        sent(ADA)
        Delivery.objects.update(sent_at=None)

        assert who("sent", "within_days", {"days": 30}) == set()

    def test_of_one_category_or_one_campaign(self):
        from tests.campaigns.conftest import make_campaign

        campaign = make_campaign()
        sent(ADA, category="news", source=campaign.source)
        sent(EVE, category="orders")

        assert who("sent", "within_days", {"days": 3, "category": "news"}) == {ADA}
        assert who("sent", "within_days", {"days": 3, "category": "orders"}) == {EVE}
        assert who("sent", "within_days", {"days": 3, "campaign": campaign.pk}) == {ADA}
        assert who("sent", "not_within_days", {"days": 3, "campaign": campaign.pk}) == {BOB, EVE}


@pytest.mark.usefixtures("people")
class TestGroups:
    def test_all_any_and_none_nest(self):
        pro, adult, minor = (
            condition("attributes.plan", "is", "pro"),
            condition("attributes.age", "at_least", 18),
            condition("attributes.age", "less_than", 18),
        )

        assert everyone_who({"any": [pro, minor]}) == {ADA, EVE}
        assert everyone_who({"none": [pro, minor]}) == {BOB}
        assert everyone_who({"all": [{"any": [pro, adult]}, condition("email", "is_set")]}) == {ADA}
        assert everyone_who({"all": [{"none": [pro]}, {"none": [adult]}]}) == {EVE}
        assert everyone_who(pro) == {ADA}  # one condition needs no group

    @pytest.mark.parametrize("field", list(FIELDS))
    def test_the_opposite_of_an_operator_is_everyone_else(self, field):
        vips = RecipientList.objects.create(name="VIPs")
        RecipientListMember.objects.create(list=vips, recipient=Recipient.objects.get(external_id=ADA))
        sent(ADA)
        values = {**VALUES, Takes.LIST: vips.pk, Takes.TEXT: "a", Takes.TEXTS: ["ada"]}
        name = "attributes.plan" if field == "attributes" else field
        for op in FIELDS[field].ops:
            if op.denies:
                met, unmet = who(name, op.denies, values[op.takes]), who(name, op.name, values[op.takes])
                assert met.isdisjoint(unmet)
                assert met | unmet == {ADA, BOB, EVE}


VALUES = {
    Takes.NOTHING: None,
    Takes.TEXT: "x",
    Takes.TEXTS: ["x"],
    Takes.NUMBER: 1,
    Takes.DATE: "2026-01-01",
    Takes.DAYS: 3,
    Takes.WISH: {"channel": "email"},
    Takes.PLATFORM: "fcm",
    Takes.ENGAGEMENT: {"days": 3},
}

TEXT = st.text(min_size=1, max_size=20) | st.sampled_from(["'; DROP TABLE x; --", "%s", "%(a)s", "\\", "{}", "a%"])
BY_TAKES = {
    Takes.NOTHING: st.none(),
    Takes.TEXT: TEXT,
    Takes.TEXTS: st.lists(TEXT, min_size=1, max_size=3),
    Takes.NUMBER: st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False),
    Takes.DATE: st.dates().map(str),
    Takes.DAYS: st.integers(1, 3650),
    Takes.WISH: st.sampled_from([{"channel": "email"}, {"channel": "push", "category": "news"}]),
    Takes.PLATFORM: st.sampled_from(["", "fcm"]),
    Takes.LIST: st.just(0),
    Takes.ENGAGEMENT: st.sampled_from([{"days": 3}, {"days": 365, "category": "news"}]),
}
QUESTIONS = st.one_of(
    st.builds(
        condition,
        TEXT.map("attributes.{}".format) if field.name == "attributes" else st.just(field.name),
        st.just(op.name),
        BY_TAKES[op.takes],
    )
    for field in FIELDS.values()
    for op in field.ops
)
DEFINITIONS = st.recursive(
    QUESTIONS,
    lambda inner: st.builds(
        lambda kind, items: {kind: items},
        st.sampled_from(["all", "any", "none"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


@given(definition=DEFINITIONS)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_whatever_is_asked_is_refused_or_runs(people, definition):
    """No value reaches the statement's text, and none breaks it."""
    factories.category("news")
    try:
        sql, parameters = where(definition)
    except DefinitionInvalid:
        return
    assert sql.count("%s") == len(parameters)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), count(*) FILTER (WHERE {sql}), count(*) FILTER (WHERE NOT {sql})"
            " FROM preferences_recipient r",
            [*parameters, *parameters],
        )
        everyone, met, unmet = cursor.fetchone()
    assert met + unmet == everyone


class TestRefused:
    @pytest.mark.parametrize(
        ("definition", "pointers"),
        [
            ([], [""]),
            ("x", [""]),
            ({"all": []}, ["/all"]),
            ({"all": {}}, ["/all"]),
            ({"some": []}, [""]),
            ({"all": [], "any": []}, [""]),
            ({"all": [5]}, ["/all/0"]),
            ({"all": [{"field": "password", "op": "is", "value": "x"}]}, ["/all/0/field"]),
            ({"all": [{"field": ["name"], "op": "is", "value": "x"}]}, ["/all/0/field"]),
            ({"all": [{"field": "attributes.", "op": "is", "value": "x"}]}, ["/all/0/field"]),
            ({"all": [{"field": "attributes", "op": "is", "value": "x"}]}, ["/all/0/field"]),
            ({"all": [{"field": "name", "op": "; DROP", "value": "x"}]}, ["/all/0/op"]),
            ({"all": [{"field": "name", "op": "more_than", "value": 1}]}, ["/all/0/op"]),
            ({"all": [{"field": "name", "op": "is"}]}, ["/all/0/value"]),
            ({"all": [{"field": "name", "op": "is", "value": "a\x00"}]}, ["/all/0/value"]),
            ({"all": [{"field": "name", "op": "in", "value": ["a", 1]}]}, ["/all/0/value/1"]),
            ({"all": [{"field": "attributes.a", "op": "equals", "value": True}]}, ["/all/0/value"]),
            ({"all": [{"field": "attributes.a", "op": "equals", "value": float("nan")}]}, ["/all/0/value"]),
            ({"all": [{"field": "attributes.a", "op": "before", "value": "2026-02-31"}]}, ["/all/0/value"]),
            ({"all": [{"field": "created_at", "op": "within_days", "value": 0}]}, ["/all/0/value"]),
            ({"all": [{"field": "opened", "op": "within_days", "value": {"days": 400}}]}, ["/all/0/value/days"]),
            ({"all": [{"field": "opened", "op": "within_days", "value": {"day": 4}}]}, ["/all/0/value/day"]),
            ({"all": [condition("preference", "opted_out", {"channel": "fax"})]}, ["/all/0/value/channel"]),
            ({"all": [{"field": "name", "op": "is", "value": "x", "not": 1}]}, ["/all/0/not"]),
            ({"all": [{"field": "x"}, {"any": [{"field": "y"}]}]}, ["/all/0/field", "/all/1/any/0/field"]),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_pointed_at(self, definition, pointers):
        assert list(errors_of(definition)) == pointers

    @pytest.mark.parametrize(
        ("value", "at"),
        [
            (condition("list", "in", 77), "/all/0/value"),
            (condition("opened", "within_days", {"days": 3, "category": "gone"}), "/all/0/value/category"),
            (condition("opened", "within_days", {"days": 3, "campaign": 77}), "/all/0/value/campaign"),
            (condition("preference", "opted_out", {"channel": "sms", "category": "gone"}), "/all/0/value/category"),
        ],
    )
    def test_what_is_not_there_any_more_is_refused_and_not_passed_over(self, value, at):
        assert list(errors_of({"all": [value]})) == [at]

    def test_depth_and_number_are_bounded(self):
        deep: dict = condition("email", "is_set")
        for _ in range(MAX_DEPTH):
            deep = {"all": [deep]}
        where(deep)
        assert list(errors_of({"all": [deep]})) == ["/all" + "/0/all" * MAX_DEPTH]

        many = [condition("email", "is_set")] * MAX_CONDITIONS
        where({"all": many})
        assert list(errors_of({"all": [*many, condition("phone", "is_set")]})) == [""]
