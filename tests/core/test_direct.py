"""The hot path's cursor and COPY in binary, against the server they are for."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext

from core import ids
from core.postgresql.direct import KeyArray, TextArray, direct_cursor, look_up_by_key
from notifications import bulk

pytestmark = pytest.mark.django_db


def test_keys_are_uuid7s_in_order_and_of_now() -> None:
    before = datetime.now(UTC)
    batches = [ids.keys(500) for _ in range(50)]
    keys = [key for batch in batches for key in batch]
    assert keys == sorted(set(keys))
    assert {(ids.uuid(key).version, ids.uuid(key).variant) for key in keys} == {(7, "specified in RFC 4122")}
    assert (ids.made_at(keys[0]) - before).total_seconds() > -0.002
    assert (ids.made_at(keys[-1]) - datetime.now(UTC)).total_seconds() < 0.002


@pytest.mark.parametrize("size", [0, 1, 500])
def test_keys_go_there_and_back(size: int) -> None:
    keys = ids.keys(size)
    with direct_cursor() as cursor:
        cursor.execute("SELECT id, $1::uuid[] FROM unnest($1::uuid[]) id", [KeyArray.of(keys)])
        assert cursor.fetchall() == [(key, keys) for key in keys]


@pytest.mark.parametrize("words", [[], [""], ["a", "ü 🙂", '"{\\,', "NULL"] * 100])
def test_texts_go_there_and_back(words: list[str]) -> None:
    with direct_cursor() as cursor:
        cursor.execute("SELECT $1::text[], cardinality($1::text[])", [TextArray.of(words)])
        assert cursor.fetchone() == (words, len(words))


def test_a_percent_sign_is_just_that_and_times_are_aware() -> None:
    with direct_cursor() as cursor:
        cursor.execute("SELECT 7 % 4, now(), 'a%'", [])
        number, now, word = cursor.fetchone()
    assert (number, word) == (3, "a%")
    assert abs((now - datetime.now(UTC)).total_seconds()) < 60


def test_it_is_seen_in_the_query_log_and_raises_djangos_errors() -> None:
    with CaptureQueriesContext(connection) as queries, direct_cursor() as cursor:
        cursor.execute("SELECT $1::int", [1])
        with pytest.raises(DataError), transaction.atomic():
            cursor.execute("SELECT 1 / $1::int", [0])
    assert any("SELECT $1::int" in query["sql"] for query in queries)


def test_every_kind_of_field() -> None:
    (key,) = ids.keys(1)
    moment = datetime(2026, 11, 22, 9, 8, 7, 654321, tzinfo=UTC)
    long_ago = datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    words = 'tab\t "quotes" \\ new\nline ü 🙂'
    columns = "id, none, word, nothing, small, whole, yes, no, at, before, never, data, empty"
    fields = (
        bulk.head(columns), bulk.KEY, key, bulk.NO_VALUE, bulk.text_field(words), bulk.EMPTY, bulk.small_field(-2),
        bulk.integer_field(70_000), bulk.TRUE, bulk.FALSE, bulk.moment_field(moment), bulk.moment_field(long_ago),
        bulk.moment_field(None), bulk.json_field({"b": [1, words], "a": None}), bulk.json_field({}),
    )  # fmt: skip
    with direct_cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE kinds (id uuid, none int, word text, nothing varchar(3), small smallint, whole int,"
            " yes bool, no bool, at timestamptz, before timestamptz, never timestamptz, data json, empty json,"
            " made timestamptz DEFAULT now()) ON COMMIT DROP"
        )
        bulk.copy_rows(cursor, "kinds", columns, [b"".join(fields)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT *, made = now() FROM kinds")
        (row,) = cursor.fetchall()
    assert row[:11] == (UUID(bytes=key), None, words, "", -2, 70_000, True, False, moment, long_ago, None)
    assert list(row[11:13]) == [{"b": [1, words], "a": None}, {}]
    assert row[-1] is True


def test_what_does_not_fit_is_an_error_of_djangos() -> None:
    with direct_cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE short (word varchar(3)) ON COMMIT DROP")
        with pytest.raises(DataError), transaction.atomic():
            bulk.copy_rows(cursor, "short", "word", [bulk.head("word") + bulk.text_field("four")])


@pytest.mark.django_db(transaction=True)
def test_a_process_that_looks_up_by_key_plans_once_and_never_scans() -> None:
    statement = "EXPLAIN SELECT id FROM preferences_recipient WHERE id = ANY($1::uuid[])"
    try:
        look_up_by_key()
        look_up_by_key()  # once is enough
        with direct_cursor() as cursor:
            cursor.execute(statement, [KeyArray.of(ids.keys(500))])
            plan = "\n".join(row[0] for row in cursor.fetchall())
            cursor.execute("SELECT $1::int", [1])
            for n in range(5):
                cursor.execute("SELECT $1::int", [n])
            cursor.execute(
                "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1",
                ["SELECT $1::int"],
            )
            assert cursor.fetchone()[1] == 0
        assert "Seq Scan" not in plan
    finally:
        connection.close()
