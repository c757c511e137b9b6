"""manage.py import_recipients, on files as they come."""

import csv
from datetime import time
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from benchmarks.messy_csv import lines
from core import redis
from preferences.importing.rejects import safe_cell
from preferences.importing.source import MAX_FIELD, MAX_LINE
from preferences.models import Recipient
from preferences.services import PreferencesService
from preferences.services.cache import SHAPE
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(tmp_path):
    """Import these bytes (or this text); returns the report and the rejected rows."""

    def run(content, **options):
        path = tmp_path / "people.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        out = StringIO()
        call_command("import_recipients", str(path), stdout=out, stderr=StringIO(), **options)
        rejects = path.with_name("people.csv.rejects.csv")
        rows = list(csv.DictReader(rejects.open(newline=""))) if rejects.exists() else []
        return out.getvalue(), [(int(row["line"]), row["code"]) for row in rows]

    return run


def number(report: str, name: str) -> int:
    """A figure of the report."""
    (line,) = [line for line in report.splitlines() if line.startswith(name)]
    return int(line.split()[-1].replace(",", ""))


def names() -> dict[str, str]:
    return dict(Recipient.objects.values_list("external_id", "name"))


class TestRows:
    def test_known_columns_are_checked_and_the_others_become_attributes(self, run):
        report, rejected = run(
            "ID, Name ,E-Mail,Phone,Locale,Time Zone,Plan,Favourite colour\n"
            'ann,Ann Lee,Ann@Example.COM,+49 151 12345678,pt_br,europe/berlin,pro,"red, or\nblue"\n'
            "bob,,,,,,,\n"
        )

        assert rejected == []
        assert number(report, "created") == 2
        ann, bob = Recipient.objects.order_by("external_id")
        assert (ann.name, ann.email, ann.phone) == ("Ann Lee", "Ann@example.com", "+4915112345678")
        assert (ann.locale, ann.timezone) == ("pt-BR", "Europe/Berlin")
        assert ann.attributes == {"Plan": "pro", "Favourite colour": "red, or\nblue"}
        assert (bob.name, bob.email, bob.timezone, bob.attributes) == ("", "", "UTC", {})

    def test_a_blank_cell_leaves_what_is_there(self, run):
        factories.recipient("ann", name="Ann", email="ann@example.com", attributes={"plan": "pro", "city": "Rome"})
        run("external_id,name,email,plan,age\nann,Anna,  ,,42\n")
        ann = Recipient.objects.get()
        assert (ann.name, ann.email) == ("Anna", "ann@example.com")
        assert ann.attributes == {"plan": "pro", "city": "Rome", "age": "42"}

    def test_each_bad_row_is_named_by_line_and_reason_and_its_neighbours_are_imported(self, run):
        report, rejected = run(
            "external_id,name,email,phone,locale,timezone\n"  # line 1
            "a,ok,,,,\n"
            ",no id,,,,\n"
            '"b","two\nlines",,,,\n'  # lines 4 and 5
            "\n"
            "c,,nobody,,,\n"
            "d,,,12345,,\n"
            "e,,,,german,\n"
            "f,,,,,Mars/Olympus\n"
            "g,too,few\n"
            "h,,,,,,too many\n"
            "i,,,,,,,\n"  # only blanks beyond the header
            ",,,,,\n"
            "j,nul\0byte,,,,\n"
            f"{'k' * 129},,,,,\n"
            "z,last,,,,"  # no line break at the end
        )

        assert rejected == [
            (3, "required"),
            (7, "invalid_email"),
            (8, "invalid_phone"),
            (9, "invalid_locale"),
            (10, "invalid_timezone"),
            (11, "field_count"),
            (12, "field_count"),
            (15, "unprintable"),
            (16, "too_long"),
        ]
        assert names() == {"a": "ok", "b": "two lines", "i": "", "z": "last"}
        assert (number(report, "records read"), number(report, "rejected")) == (13, 9)

    def test_the_last_of_equal_ids_wins_within_a_batch_and_across(self, run):
        file = "external_id,name,plan\nann,First,a\nbob,Bob,\nann,,b\nann,Last,\n"
        for batch in (1, 2, 100):
            Recipient.objects.all().delete()
            report, _ = run(file, batch=batch)
            assert names() == {"ann": "Last", "bob": "Bob"}
            assert Recipient.objects.get(external_id="ann").attributes == {"plan": "b"}
            assert number(report, "duplicate ids") == 2

    def test_again_changes_nothing(self, run):
        file = "id,name,email,plan\n" + "".join(f"p{n},N{n},p{n}@example.com,x\n" for n in range(50))
        run(file, batch=20)
        before = list(Recipient.objects.order_by("id").values())

        report, _ = run(file, batch=20)

        assert (number(report, "created"), number(report, "updated"), number(report, "unchanged")) == (0, 0, 50)
        assert list(Recipient.objects.order_by("id").values()) == before

    def test_numbers_without_a_country_need_the_region(self, run):
        file = "id,phone\na,0151 12345678\nb,'+49 151 12345679\n"
        _, rejected = run(file)
        assert rejected == [(2, "invalid_phone")]
        run(file, default_region="de")
        assert set(Recipient.objects.values_list("phone", flat=True)) == {"+4915112345678", "+4915112345679"}

    def test_text_that_copy_could_misread_arrives_as_it_is(self, run):
        run('id,name,note\na\\N,\\N,"\\.\n\tline ""two"" \\ end"\n')
        row = Recipient.objects.get()
        assert (row.external_id, row.name, row.attributes) == ("a\\N", "\\N", {"note": '\\.\n\tline "two" \\ end'})


class TestFiles:
    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le-bom", "utf-32", "utf-8"])
    def test_a_byte_order_mark_says_how_to_read(self, run, encoding):
        text = "id,name\nann,Zoë 太郎\n"
        content = b"\xff\xfe" + text.encode("utf-16-le") if encoding == "utf-16-le-bom" else text.encode(encoding)
        run(content)
        assert names() == {"ann": "Zoë 太郎"}

    def test_bytes_that_are_not_utf_8_are_read_as_windows_1252(self, run):
        report, rejected = run("id,name\na,Zoë\n".encode() + "b,Zoë “q”\n".encode("cp1252") + b"c,\x81\n")
        assert names() == {"a": "Zoë", "b": "Zoë “q”"}
        assert rejected == [(4, "unprintable")]  # 0x81 means nothing there either
        assert number(report, "bytes read as cp1252") == 4

    def test_a_named_encoding_is_taken_at_its_word(self, run):
        run("id,name\na,Łukasz\n".encode("cp1250"), encoding="cp1250")
        assert names() == {"a": "Łukasz"}
        _, rejected = run("id,name\nb,Zoë\n".encode("cp1252"), encoding="utf-8")
        assert rejected == [(2, "unprintable")]

    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_every_line_ending_counts_lines_alike(self, run, newline):
        _, rejected = run(newline.join(["id,email", "a,", "", "b,wrong", "c,"]))
        assert rejected == [(4, "invalid_email")]
        assert set(names()) == {"a", "c"}

    def test_a_quote_that_never_closes_costs_its_own_line(self, run):
        many = "".join(f"p{n},name {n}\n" for n in range(3000))
        _, rejected = run(f'id,name\na,"open\nb,B\nc,"C"\n{many}d,"open at the end\ne,E\n')
        assert rejected == [(2, "unreadable"), (3005, "unreadable")]
        assert len(names()) == 3003

    def test_a_field_and_a_line_too_long_cost_their_own_line(self, run):
        _, rejected = run(f"id,name\na,{'x' * (MAX_FIELD + 1)}\nb,{'y' * (3 * MAX_LINE)}\nc,C\n")
        assert rejected == [(2, "unreadable"), (3, "unreadable")]
        assert names() == {"c": "C"}

    def test_another_delimiter(self, run):
        run("id\tname\nann\tAnn\n", delimiter="tab")
        assert names() == {"ann": "Ann"}

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("", "empty"),
            ("\n\n", "empty"),
            ("name,email\na,b\n", "no column external_id"),
            ("id;name\na;b\n", "--delimiter"),
            ("id,email,email\n", "twice: email"),
            ("id,plan,plan\n", "twice: plan"),
            ("id,,plan\n", "Column 2"),
            ('id,"name\n', "header cannot be read"),
            ("id,name\n".encode("utf-16-le"), "UTF-16"),
            ("id," + ",".join(f"c{n}" for n in range(300)), "at most 200"),
        ],
    )
    def test_a_file_that_holds_no_recipients_is_refused_with_a_sentence(self, run, content, says):
        with pytest.raises(CommandError, match=says):
            run(content)

    @pytest.mark.parametrize(
        "options",
        [{"delimiter": "ab"}, {"delimiter": '"'}, {"encoding": "nope"}, {"encoding": "base64"}, {"batch": 0},
         {"default_region": "XX"}],
    )  # fmt: skip
    def test_an_option_that_makes_no_sense_is_refused(self, run, options):
        with pytest.raises(CommandError):
            run("id\na\n", **options)

    def test_a_file_that_is_not_there(self):
        with pytest.raises(CommandError, match="No such file"):
            call_command("import_recipients", "/nowhere/people.csv")

    def test_the_rejects_do_not_overwrite_the_file(self, run, tmp_path):
        with pytest.raises(CommandError, match="overwrite"):
            run("id\na\n", rejects=tmp_path / "people.csv")

    def test_a_dry_run_checks_and_writes_nothing(self, run):
        report, rejected = run("id,email\na,\nb,wrong\n", dry_run=True)
        assert not Recipient.objects.exists()
        assert rejected == [(3, "invalid_email")]
        assert number(report, "accepted") == 1

    def test_no_rejects_file_is_left_from_an_earlier_import(self, run):
        assert run("id,email\na,wrong\n")[1]
        assert run("id,email\na,\n")[1] == []

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
    def test_a_rejected_id_cannot_be_a_formula(self, start):
        assert safe_cell(f"{start}cmd") == f"'{start}cmd"


@pytest.mark.django_db(transaction=True)
class TestRoutes:
    def test_only_a_changed_address_moves_the_route(self, run):
        factories.recipient("ann", email="ann@example.com", phone="")
        factories.recipient("bob", email="bob@example.com", phone="")
        run("id,name,email\nann,New,ann@example.com\nbob,New,other@example.com\n")
        moved = dict(Recipient.objects.values_list("external_id", "preferences_changed_at"))
        assert moved["ann"] is None
        assert moved["bob"] is not None

    def test_the_cache_is_dropped_for_who_changed(self, run):
        factories.recipient("ann", email="")
        factories.recipient("bob")
        service = PreferencesService()
        service.reach(["ann", "bob"])

        run("id,email\nann,ann@example.com\n")

        assert service.reach(["ann"])["ann"].has_email
        assert redis.client().get(redis.key(f"reach{SHAPE}", "bob"))

    def test_without_redis_the_import_goes_on(self, run, no_redis):
        factories.recipient("ann", email="")
        report, _ = run("id,email\nann,ann@example.com\nbob,\n")
        assert (number(report, "created"), number(report, "updated")) == (1, 1)

    def test_a_batch_finds_its_rows_by_index(self, run):
        """A million recipients are not read for ten thousand."""
        factories.recipients(3000)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE preferences_recipient")
        before = self._rows_scanned()

        report, _ = run("id,name\n" + "".join(f"person-{n},New\n" for n in range(2000)), batch=1000)

        assert self._rows_scanned() == before
        assert number(report, "updated") == 2000

    @staticmethod
    def _rows_scanned() -> int:
        """Rows of the table that sequential scans have read so far."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")
            cursor.execute("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'preferences_recipient'")
            return int(cursor.fetchone()[0])


def test_a_large_untidy_file_is_imported_but_for_what_is_wrong_with_it(run):
    report, rejected = run(b"".join(lines(20_000)), batch=5000)

    read, created, duplicates = (number(report, name) for name in ("records read", "created", "duplicate ids"))
    assert read == 20_000
    assert created == Recipient.objects.count() == read - len(rejected) - duplicates
    invalid = {f"invalid_{column}" for column in ("email", "phone", "locale", "timezone")}
    assert {code for _, code in rejected} == invalid | {"required", "field_count", "unprintable", "unreadable"}
    assert Recipient.objects.filter(attributes__city="München").count() > 1000


def test_whether_an_address_is_confirmed_is_taken_from_the_file_and_lost_with_a_change(run):
    report, rejected = run(
        "id,email,Email verified\nann,ann@a.example,yes\nbob,bob@a.example,\ncid,cid@a.example,perhaps\n"
    )
    assert rejected == [(4, "not_a_boolean")]
    assert [one.external_id for one in Recipient.objects.exclude(email_verified_at=None)] == ["ann"]

    report, _ = run("id,email\nann,ann@a.example\nbob,bob@a.example\n")
    assert number(report, "unchanged") == 2
    run("id,email\nann,ann@b.example\n")
    assert not Recipient.objects.exclude(email_verified_at=None).exists()


class TestQuietHours:
    def test_are_set_left_and_taken_back(self, run):
        report, rejected = run("id,Quiet hours\nann,22:00-07:30\nbob,late\ncid,\ndee,21:00-06:00\n")
        assert rejected == [(3, "invalid_quiet_hours")]

        report, rejected = run("id,quiet_hours\nann,none\ncid,22:00 - 6:00\ndee,\n")
        rows = Recipient.objects.order_by("external_id").values_list("external_id", "quiet_start", "quiet_end")
        assert rejected == []
        assert (number(report, "updated"), number(report, "unchanged")) == (2, 1)
        assert list(rows) == [("ann", None, None), ("cid", time(22), time(6)), ("dee", time(21), time(6))]
        assert Recipient.objects.get(quiet_never=True).external_id == "ann"

        run("id,quiet_hours\nann,\ncid,none\n")
        assert set(Recipient.objects.filter(quiet_never=True).values_list("external_id", flat=True)) == {"ann", "cid"}
        run("id,quiet_hours\nann,Default\ncid,22:00-06:00\n")
        assert not Recipient.objects.filter(quiet_never=True).exists()
