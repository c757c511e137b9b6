"""PreferencesService against PostgreSQL and Redis."""

import threading
from datetime import time, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from core import redis
from preferences.errors import BatchRejected, ValidationProblem
from preferences.models import DeviceToken, Preference, Recipient, Suppression
from preferences.quiet_hours import QuietHours
from preferences.services import MAX_DEVICES, PreferenceChange, PreferencesService, RecipientInput
from preferences.services.cache import SHAPE
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def service() -> PreferencesService:
    return PreferencesService()


def changed_at(external_id: str):
    return Recipient.objects.values_list("preferences_changed_at", flat=True).get(external_id=external_id)


class TestReach:
    def test_it_says_what_routing_needs_and_no_address(self, service):
        person = factories.recipient("ann", phone="")
        category = factories.category("orders")
        factories.preference(person, "email", category=category)
        service.suppress("email", person.email, "manual")

        reach = service.reach(["ann"])["ann"]

        assert (reach.id, reach.external_id) == (person.id.bytes, "ann")
        assert (reach.has_email, reach.has_phone, reach.suppressed) == (True, False, ("email",))
        assert reach.devices == tuple(id.bytes for id in DeviceToken.objects.values_list("id", flat=True))
        assert not reach.allows("email", category.id, False, False)
        stored = redis.client().get(redis.key(f"reach{SHAPE}", "ann"))
        assert person.email.encode() not in stored

    def test_who_does_not_exist_is_absent_and_not_looked_up_when_impossible(self, service, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert service.reach(["", "a\0b", "\ud800", "x" * 129]) == {}
        assert service.reach(["nobody"]) == {}

    @pytest.mark.parametrize("count", [1, 500])
    def test_a_miss_is_two_queries_and_a_hit_none_whatever_the_batch(
        self, service, round_trips, django_assert_num_queries, count
    ):
        ids = [person.external_id for person in factories.recipients(count)]

        with django_assert_num_queries(2):
            missed = service.reach(ids)
        assert round_trips == ["mget", "script"]

        with django_assert_num_queries(0):
            assert service.reach(ids) == missed
        assert round_trips == ["mget", "script", "mget"]
        assert list(map(len, (missed, set(missed)))) == [count, count]

    def test_only_what_is_missing_is_read(self, service, django_assert_num_queries):
        factories.recipients(3)
        service.reach(["person-0", "person-1"])
        Recipient.objects.filter(external_id="person-0").update(email="")

        found = service.reach(["person-0", "person-2"])

        assert found["person-0"].has_email  # from the cache
        assert set(found) == {"person-0", "person-2"}

    @pytest.mark.parametrize("value", [b"\xff\x00garbage", b"\x93\x01\x02\x03", b"null", b"\xc0"])
    def test_a_corrupt_value_is_a_miss(self, service, value):
        person = factories.recipient("ann")
        redis.client().set(redis.key(f"reach{SHAPE}", "ann"), value)

        assert service.reach(["ann"])["ann"].id == person.id.bytes

    def test_a_value_under_the_wrong_key_is_a_miss(self, service):
        factories.recipient("ann"), factories.recipient("bob")
        service.reach(["bob"])
        redis.client().copy(redis.key(f"reach{SHAPE}", "bob"), redis.key(f"reach{SHAPE}", "ann"))

        assert service.reach(["ann"])["ann"].external_id == "ann"

    def test_without_redis_postgresql_answers(self, service, no_redis):
        factories.recipient("ann")
        assert service.reach(["ann"])["ann"].has_email
        service.set_preferences("ann", [PreferenceChange(None, "email", False)])
        assert not service.reach(["ann"])["ann"].allows("email", 1, False, False)

    def test_fresh_is_by_id_in_two_queries_past_the_cache(self, service, django_assert_num_queries):
        people = factories.recipients(50)
        service.reach([person.external_id for person in people])
        Recipient.objects.update(email="")

        with django_assert_num_queries(2):
            fresh = service.reach_fresh([person.id for person in people])

        assert {reach.has_email for reach in fresh.values()} == {False}
        assert fresh.keys() == {person.id for person in people}
        assert service.reach_fresh([people[0].id.bytes]).keys() == {people[0].id.bytes}
        assert service.reach_fresh([]) == {}

    def test_devices_are_the_live_ones_newest_first(self, service):
        person = factories.recipient("ann", devices=0)
        now = timezone.now()
        old, new, gone = (
            factories.device(person, registered_at=now - timedelta(days=age), retired_at=retired)
            for age, retired in ((3, None), (1, None), (0, now))
        )
        assert service.reach(["ann"])["ann"].devices == (new.id.bytes, old.id.bytes)
        assert gone.id.bytes not in service.reach(["ann"])["ann"].devices


@pytest.mark.django_db(transaction=True)
class TestFreshness:
    """Every write that can change a route moves `preferences_changed_at` and is seen by the next read."""

    WRITES = (
        ("preference", lambda s: s.set_preferences("ann", [PreferenceChange("orders", "email", False)])),
        ("channel", lambda s: s.set_preferences("ann", [PreferenceChange(None, "sms", False)])),
        ("suppression", lambda s: s.suppress("email", "ANN@example.com", "complaint")),
        ("device", lambda s: s.register_token("ann", "fcm", "another")),
        ("email", lambda s: s.upsert([RecipientInput(external_id="ann", email="")])),
        ("phone", lambda s: s.upsert([RecipientInput(external_id="ann", phone="")])),
        ("quiet hours", lambda s: s.set_quiet_hours("ann", (time(22), time(7, 30)))),
        ("their zone", lambda s: s.set_quiet_hours("ann", (time(22), time(7)), timezone="Asia/Tokyo")),
        ("retired", lambda s: s.retire_tokens(list(DeviceToken.objects.values_list("id", flat=True)), "gone")),
    )

    @pytest.mark.parametrize("write", [write for _, write in WRITES], ids=[name for name, _ in WRITES])
    def test_a_write_is_seen_at_once(self, service, write):
        factories.category("orders")
        factories.recipient("ann")
        before, start = service.reach(["ann"])["ann"], changed_at("ann")

        write(service)

        assert service.reach(["ann"])["ann"] != before
        assert changed_at("ann") is not None
        assert changed_at("ann") != start

    def test_lifting_a_suppression_is_seen_at_once(self, service):
        person = factories.recipient("ann")
        service.suppress("sms", person.phone, "manual")
        moved = changed_at("ann")
        assert service.reach(["ann"])["ann"].suppressed == ("sms",)

        assert service.lift("sms", person.phone)

        assert service.reach(["ann"])["ann"].suppressed == ()
        assert changed_at("ann") > moved
        assert not service.lift("sms", person.phone)

    def test_what_changes_no_route_moves_nothing(self, service):
        factories.recipient("ann")
        before = service.reach(["ann"])
        service.upsert([RecipientInput(external_id="ann", name="New", locale="fr", attributes={"a": 1})])
        assert changed_at("ann") is None
        assert service.reach(["ann"]) == before

    def test_a_rolled_back_write_leaves_nothing_in_the_cache(self, service):
        factories.recipient("ann")
        service.reach(["ann"])
        with transaction.atomic():
            service.set_preferences("ann", [PreferenceChange(None, "email", False)])
            assert not service.reach(["ann"])["ann"].allows("email", 1, False, False)  # its own writes
            transaction.set_rollback(True)

        assert service.reach(["ann"])["ann"].allows("email", 1, False, False)

    def test_a_slow_reader_cannot_put_back_what_it_read_before_the_write(self, service):
        from preferences.services.service import reach_cache

        factories.recipient("ann")
        old = service.reach_fresh(list(Recipient.objects.values_list("id", flat=True)))
        service.set_preferences("ann", [PreferenceChange(None, "email", False)])

        reach_cache.fill(old.values())

        assert not service.reach(["ann"])["ann"].allows("email", 1, False, False)


class TestPreferences:
    def test_the_narrower_word_wins(self, service):
        factories.recipient("ann")
        orders, news = factories.category("orders"), factories.category("news")
        service.set_preferences(
            "ann", [PreferenceChange(None, "email", False), PreferenceChange("orders", "email", True)]
        )

        reach = service.reach(["ann"])["ann"]

        assert reach.allows("email", orders.id, False, False)
        assert not reach.allows("email", news.id, False, False)
        assert reach.allows("sms", news.id, False, False)
        assert reach.allows("email", news.id, True, False)  # required

    def test_a_word_can_be_changed_and_taken_back(self, service):
        factories.recipient("ann")
        orders = factories.category("orders")
        service.set_preferences(
            "ann", [PreferenceChange("orders", "email", False), PreferenceChange(None, "sms", False)]
        )
        service.set_preferences("ann", [PreferenceChange("orders", "email", True), PreferenceChange(None, "sms", None)])

        assert list(Preference.objects.values_list("category", "channel", "enabled")) == [(orders.id, "email", True)]

    def test_a_required_category_cannot_be_switched_off(self, service):
        factories.recipient("ann")
        factories.category("security", is_required=True)
        factories.category("orders")

        with pytest.raises(BatchRejected) as caught:
            service.set_preferences(
                "ann", [PreferenceChange("orders", "sms", False), PreferenceChange("security", "sms", False)]
            )

        assert {index: problems[0].code for index, problems in caught.value.errors.items()} == {1: "required_category"}
        assert not Preference.objects.exists()

    def test_unknown_things_are_named(self, service):
        factories.recipient("ann")
        with pytest.raises(BatchRejected) as caught:
            service.set_preferences(
                "ann", [PreferenceChange("nope", "email", True), PreferenceChange(None, "fax", True)]
            )
        codes = [problems[0].code for problems in caught.value.errors.values()]
        assert codes == ["unknown_category", "unknown_channel"]
        with pytest.raises(Recipient.DoesNotExist):
            service.set_preferences("nobody", [])

    def test_the_statements_do_not_grow_with_the_batch(self, service, django_assert_max_num_queries):
        factories.recipient("ann")
        for n in range(50):
            factories.category(f"c{n}")
        changes = [PreferenceChange(f"c{n}", "email", None if n % 3 == 0 else False) for n in range(50)]
        service.categories()
        with django_assert_max_num_queries(10):  # what was said before, and the history, are one statement each
            service.set_preferences("ann", changes)
        assert Preference.objects.count() == 33

    def test_a_new_category_is_known_to_its_own_process_at_once(self, service):
        factories.category("orders")
        assert set(service.categories()) == {"orders"}
        factories.category("news")
        assert set(service.categories()) == {"orders", "news"}


class TestDevices:
    def test_registering_again_revives_and_renames(self, service):
        factories.recipient("ann", devices=0)
        first = service.register_token("ann", "apns", "tok", "Phone")
        service.retire_tokens([first.id], "invalid_address")

        again = service.register_token("ann", "apns", "tok", "Old phone")

        assert (again.id, again.label, again.retired_at, again.retired_reason) == (first.id, "Old phone", None, "")
        assert again.registered_at > first.registered_at
        assert service.reach(["ann"])["ann"].devices == (first.id.bytes,)

    def test_a_token_moves_to_who_registered_it_last_under_a_new_id(self, service):
        factories.recipient("ann", devices=0), factories.recipient("bob", devices=0)
        anns = service.register_token("ann", "fcm", "shared")
        service.reach(["ann", "bob"])

        bobs = service.register_token("bob", "fcm", "shared")

        assert bobs.id != anns.id
        assert service.reach(["ann"])["ann"].devices == ()
        assert service.reach(["bob"])["bob"].devices == (bobs.id.bytes,)
        assert changed_at("ann") is not None

    def test_a_token_registered_since_is_not_retired(self, service):
        factories.recipient("ann", devices=0)
        device = service.register_token("ann", "fcm", "tok")
        sent_at = device.registered_at - timedelta(seconds=1)

        assert service.retire_tokens([device.id], "invalid_address", not_after=sent_at) == 0
        assert service.retire_tokens([device.id], "invalid_address", not_after=device.registered_at) == 1
        assert service.retire_tokens([device.id], "invalid_address") == 0

    def test_the_oldest_beyond_the_limit_are_retired(self, service):
        person = factories.recipient("ann", devices=0)
        start = timezone.now() - timedelta(days=1)
        devices = [factories.device(person, registered_at=start + timedelta(minutes=n)) for n in range(MAX_DEVICES)]

        newest = service.register_token("ann", "fcm", "one more")

        live = set(DeviceToken.objects.filter(retired_at=None).values_list("id", flat=True))
        assert live == {newest.id, *(device.id for device in devices[1:])}

    @pytest.mark.parametrize(("platform", "token"), [("fcm", ""), ("fcm", "a\nb"), ("fcm", "x" * 5000), ("fax", "tok")])
    def test_what_is_no_token_is_refused(self, service, platform, token):
        factories.recipient("ann")
        with pytest.raises(ValidationProblem):
            service.register_token("ann", platform, token)


class TestSuppression:
    def test_it_holds_for_everyone_with_the_address_and_for_who_gets_it_later(self, service):
        factories.recipient("ann", email="Shared@Example.com")
        factories.recipient("bob", email="shared@example.com")
        assert service.suppress("email", " SHARED@example.com ", "hard_bounce", "provider")
        assert not service.suppress("email", "shared@example.com", "hard_bounce")
        service.upsert([RecipientInput(external_id="eve", email="shared@example.com")])

        reaches = service.reach(["ann", "bob", "eve"])

        assert {reach.suppressed for reach in reaches.values()} == {("email",)}
        assert Suppression.objects.get().source == "provider"

    def test_each_reason_stands_by_itself_and_one_is_enough(self, service):
        factories.recipient("ann", email="ann@example.com")
        for reason in ("hard_bounce", "complaint"):
            assert service.suppress("email", "ann@example.com", reason)

        assert service.lift("email", "ann@example.com", only=["hard_bounce"])
        assert service.reach(["ann"])["ann"].suppressed == ("email",)

        assert service.lift("email", "ann@example.com")
        assert service.reach(["ann"])["ann"].suppressed == ()

    def test_the_address_is_not_stored(self, service):
        service.suppress("email", "ann@example.com", "manual")
        assert "example.com" not in str(Suppression.objects.values().get())

    def test_a_batch_is_three_statements(self, service, django_assert_max_num_queries):
        people = factories.recipients(200)
        with django_assert_max_num_queries(5):  # with the savepoint or transaction around them
            made = service.suppress_all([("email", person.email) for person in people], "hard_bounce")
        assert made == 200
        assert Recipient.objects.filter(preferences_changed_at=None).count() == 0

    @pytest.mark.parametrize(
        ("channel", "address"), [("push", "tok"), ("in_app", "ann"), ("email", " "), ("sms", "\0")]
    )
    def test_only_addresses_of_people_are_suppressed(self, service, channel, address):
        with pytest.raises(ValidationProblem):
            service.suppress(channel, address, "manual")

    def test_what_cannot_be_suppressed_in_a_batch_is_left_out_and_logged_without_it(self, service, caplog):
        factories.recipient("ann"), factories.recipient("odd", email='"\x01"@odd.example')
        batch = [("email", '"\x01"@odd.example'), ("push", "tok"), ("email", "ann@example.com")]

        assert service.suppress_all(batch, "hard_bounce", "receipt") == 1
        assert service.suppress_all(batch[:2], "hard_bounce", "receipt") == 0

        assert service.reach(["ann"])["ann"].suppressed == ("email",)
        assert "preferences.not_suppressed" in caplog.text
        assert "odd.example" not in caplog.text

    def test_owners_are_found_by_index(self, service):
        factories.recipients(3000)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE preferences_recipient")
            cursor.execute(
                "EXPLAIN SELECT id FROM preferences_recipient WHERE UPPER(email) = ANY(%s) OR phone = ANY(%s)",
                [["PERSON-1@EXAMPLE.COM"], ["+1202"]],
            )
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "recipient_email" in plan
        assert "recipient_phone" in plan


class TestUpsert:
    def test_it_creates_changes_and_leaves_alone(self, service):
        factories.recipient("old", name="Old", email="old@example.com", phone="")
        factories.recipient("same", name="Same")

        result = service.upsert(
            [
                RecipientInput(external_id="new", email="new@EXAMPLE.com", phone="+49 151 12345678", locale="pt_br"),
                RecipientInput(external_id="old", name="Changed"),
                RecipientInput(external_id="same", name="Same"),
            ]
        )

        assert (result.created, result.updated, result.unchanged) == (1, 1, 1)
        new = Recipient.objects.get(external_id="new")
        assert (new.email, new.phone, new.locale) == ("new@example.com", "+4915112345678", "pt-BR")
        assert (new.timezone, new.attributes, new.name) == ("UTC", {}, "")
        old = Recipient.objects.get(external_id="old")
        assert (old.name, old.email) == ("Changed", "old@example.com")
        assert old.updated_at > old.created_at

    def test_attributes_are_replaced_whole_and_text_is_cleared_by_an_empty_one(self, service):
        factories.recipient("ann", attributes={"a": 1}, email="ann@example.com")
        service.upsert([RecipientInput(external_id="ann", attributes={"b": "é\\\t\"'"}, email="")])
        ann = Recipient.objects.get(external_id="ann")
        assert (ann.attributes, ann.email) == ({"b": "é\\\t\"'"}, "")

    def test_the_same_id_twice_is_one_recipient_and_the_later_wins_field_by_field(self, service):
        result = service.upsert(
            [
                RecipientInput(external_id="ann", name="First", locale="de"),
                RecipientInput(external_id="ann", name="Second"),
            ]
        )
        assert result.created == 1
        assert Recipient.objects.values_list("name", "locale").get() == ("Second", "de")

    def test_one_bad_row_refuses_the_batch_and_says_where(self, service):
        with pytest.raises(BatchRejected) as caught:
            service.upsert(
                [
                    RecipientInput(external_id="ok"),
                    RecipientInput(
                        external_id="bad", email="x", phone="1", locale="?", timezone="?", attributes={"a": {1}}
                    ),
                ]
            )
        assert [problem.field for problem in caught.value.errors[1]] == [
            "email",
            "phone",
            "locale",
            "timezone",
            "attributes",
        ]
        assert not Recipient.objects.exists()

    @pytest.mark.parametrize("count", [1, 500])
    def test_the_statements_do_not_grow_with_the_batch(self, service, django_assert_max_num_queries, count):
        half = [RecipientInput(external_id=f"p{n}", name="x") for n in range(0, count, 2)]
        whole = [RecipientInput(external_id=f"p{n}", name="y") for n in range(count)]
        service.upsert(half)
        with django_assert_max_num_queries(4):
            result = service.upsert(whole)
        assert (result.created, result.updated) == (count - len(half), len(half))

    def test_too_many_are_refused(self, service):
        with pytest.raises(ValueError, match="1000"):
            service.upsert([RecipientInput(external_id=str(n)) for n in range(1001)])


class TestErase:
    def test_nothing_of_the_person_stays_but_the_suppression(self, service):
        person = factories.recipient("ann")
        factories.preference(person, "email")
        service.suppress("email", person.email, "complaint")
        service.reach(["ann"])

        assert service.erase("ann")

        assert service.reach(["ann"]) == {}
        assert not Recipient.objects.exists()
        assert not DeviceToken.objects.exists()
        assert not Preference.objects.exists()
        assert Suppression.objects.count() == 1
        assert not service.erase("ann")

    def test_a_receiver_that_fails_undoes_the_erasure(self, service):
        from preferences.signals import recipient_erased

        def refuse(**_: object) -> None:
            raise RuntimeError("not now")

        factories.recipient("ann")
        recipient_erased.connect(refuse)
        try:
            with pytest.raises(RuntimeError):
                service.erase("ann")
        finally:
            recipient_erased.disconnect(refuse)
        assert service.reach(["ann"])


@pytest.mark.django_db(transaction=True)
def test_of_two_who_register_a_token_at_the_same_time_the_later_has_it():
    # Given ann, who registers a token that nobody had, and has not committed
    factories.recipient("ann", devices=0), factories.recipient("bob", devices=0)
    told = []

    def bob() -> None:
        try:
            told.append(PreferencesService().register_token("bob", "fcm", "shared"))
        finally:
            connection.close()

    other = threading.Thread(target=bob)
    with transaction.atomic():
        PreferencesService().register_token("ann", "fcm", "shared")
        # When bob registers it meanwhile
        other.start()
        other.join(0.5)
        assert told == []
    other.join(10)
    # Then it is bob's, as he was told
    device = DeviceToken.objects.get()
    assert (device.recipient.external_id, [one.id for one in told]) == ("bob", [device.id])
    assert PreferencesService().reach(["ann"])["ann"].devices == ()


@pytest.mark.django_db
class TestQuietHours:
    def test_reach_carries_the_window_and_zone_of_those_alone_who_have_one(self, service):
        factories.recipient("ann", quiet_start=time(22), quiet_end=time(7, 30), timezone="Europe/Berlin")
        factories.recipient("bob", timezone="Europe/Berlin")

        first, cached = service.reach(["ann", "bob"]), service.reach(["ann", "bob"])

        assert first == cached
        assert first["ann"].quiet == QuietHours(22 * 60, 7 * 60 + 30, "Europe/Berlin")
        assert first["bob"].quiet is None

    def test_who_has_none_has_those_of_the_installation(self, service, settings):
        settings.QUIET_HOURS = "21:00-08:00"
        factories.recipient("ann", quiet_start=time(22), quiet_end=time(7, 30))
        factories.recipient("bob", timezone="Asia/Tokyo")

        found = service.reach(["ann", "bob"])

        assert found["ann"].quiet == QuietHours(22 * 60, 7 * 60 + 30, "UTC")
        assert found["bob"].quiet == QuietHours(21 * 60, 8 * 60, "Asia/Tokyo")

    def test_who_wants_none_has_none_whatever_the_installations_are(self, service, settings):
        settings.QUIET_HOURS = "21:00-08:00"
        ann = factories.recipient("ann")
        assert service.reach(["ann"])["ann"].quiet is not None

        service.set_quiet_hours("ann", "none")

        assert service.reach(["ann"])["ann"].quiet is None
        assert service.reach_fresh([ann.pk])[ann.pk].quiet is None
        assert changed_at("ann") is not None

        service.set_quiet_hours("ann", (time(22), time(7)))
        assert service.reach_fresh([ann.pk])[ann.pk].quiet == QuietHours(22 * 60, 7 * 60, "UTC")

        service.set_quiet_hours("ann", "none")
        service.set_quiet_hours("ann", None)
        assert service.reach_fresh([ann.pk])[ann.pk].quiet == QuietHours(21 * 60, 8 * 60, "UTC")

    def test_a_new_zone_is_a_change_of_preferences_where_it_moves_quiet_hours(self, service):
        factories.recipient("ann", quiet_start=time(22), quiet_end=time(7))
        factories.recipient("bob")

        service.upsert([RecipientInput(external_id=name, timezone="Asia/Tokyo") for name in ("ann", "bob")])

        assert changed_at("ann") is not None
        assert changed_at("bob") is None

    def test_of_somebody_unknown_are_not_set(self, service):
        with pytest.raises(Recipient.DoesNotExist):
            service.set_quiet_hours("nobody", None)
        assert not Recipient.objects.exists()

    @pytest.mark.parametrize(
        "window", [(time(22), time(22)), (time(22, 0, 1), time(7)), (time(22), None), "22:00-07:00"]
    )
    def test_that_are_none_are_refused(self, service, window):
        factories.recipient("ann")

        with pytest.raises(BatchRejected) as caught:
            service.set_quiet_hours("ann", window)

        assert [problem.field for problem in caught.value.errors[0]] == ["quiet_hours"]

    @pytest.mark.parametrize("fields", [{"quiet_start": time(22)}, {"quiet_start": time(7), "quiet_end": time(7)}])
    def test_the_database_takes_no_half_window(self, fields):
        with pytest.raises(IntegrityError):
            factories.recipient("ann", **fields)
