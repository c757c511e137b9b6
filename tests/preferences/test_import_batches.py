"""Reading a file by blocks and checking it by columns comes to what one record at a time would."""

import pytest
from django.core.management import call_command
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from preferences import phones, validation
from preferences.errors import ValidationProblem
from preferences.importing import source
from preferences.importing.rows import plan
from preferences.importing.source import MAX_LINE, Chunk, Source

FILE = f'id,name,note\r\na,A,"two\nlines"\nb,"never closed\n\nc,C,\rd,{"y" * MAX_LINE}\re,"E",ü\nf,F,last'


def read(path, limit: int) -> list[tuple[int, object]]:
    """Every record by its line: its cells, or that it cannot be read."""
    found: list[tuple[int, object]] = []
    with Source(path) as file:
        while (chunk := file.take(limit)).records:
            assert chunk.records <= limit
            found += zip(chunk.lines, chunk.rows, strict=True)
            found += [(line, None) for line, _ in chunk.unreadable]
    return sorted(found, key=lambda one: one[0])


@pytest.mark.parametrize("block", [1, 2, 3, 7, 20, 1000, source._BLOCK])
@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_where_a_block_ends_makes_no_difference(tmp_path, monkeypatch, block, limit):
    path = tmp_path / "people.csv"
    path.write_bytes(FILE.encode())
    if block < 20:
        path.write_bytes(FILE.replace("y" * MAX_LINE, "y").encode())  # a character at a time would take its time
    monkeypatch.setattr(source, "_BLOCK", block)

    found = read(path, limit)

    assert [line for line, _ in found] == [1, 2, 4, 6, 7, 8, 9]
    assert found[1] == (2, ["a", "A", "two\nlines"])
    assert found[2] == (4, None)
    assert found[4] == (7, None) if block >= 20 else (7, ["d", "y"])
    assert found[-1] == (9, ["f", "F", "last"])


def test_a_record_of_many_lines_ends_somewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MAX_RECORD", 1000)
    monkeypatch.setattr(source, "_BLOCK", 200)
    path = tmp_path / "people.csv"
    path.write_text('id\nann\n"' + '\n","' * 600 + "\nbob\n")

    with Source(path) as file:
        first = file.take(3)

    assert first.rows == [["id"], ["ann"]]
    assert [line for line, _ in first.unreadable] == [3]


_CELL = st.one_of(
    st.sampled_from(["", " ", "x", "a  b", "a\nb", "nul\0", "y" * 201, "z" * 5000, "- -"]),
    st.sampled_from(["x@example.com", "X@Example.COM", "no mail", "+49 151 12345678", "'+4915112345678", "12345"]),
    st.sampled_from(["pt_br", "german", "europe/berlin", "Mars"]),
    st.text(max_size=8),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(_CELL, min_size=6, max_size=9), min_size=1, max_size=12))
def test_records_are_taken_and_rejected_as_one_by_one(rows):
    """Against the plain way to check a record, cell after cell in the order of the columns."""
    header = ["id", "name", "email", "phone", "locale", "timezone", "note"]
    layout = plan(header)
    together = layout.read(Chunk(list(range(len(rows))), [list(row) for row in rows]))

    expected = {line: problem for line, row in enumerate(rows) if (problem := _problem(row, len(header)))}

    assert {line: (one.column, one.code) for line, one in together.rejected} == expected
    assert [line for line, _ in together.rejected] == sorted(expected)
    assert together.records == len(rows) - len(expected)
    assert together.copy.count(b"\n") == together.rows <= together.records


def _problem(row: list[str], width: int) -> tuple[str, str] | None:
    if len(row) < width or any(cell.strip() for cell in row[width:]):
        return "", "field_count"
    checks = {
        "external_id": validation.external_id,
        "name": lambda text: validation.name(" ".join(text.split())),
        "email": validation.email,
        "phone": lambda text: validation.phone(text.lstrip("'")),
        "locale": validation.locale,
        "timezone": validation.timezone,
        "attributes": lambda text: validation.attributes({"note": text}),
    }
    for (column, check), cell in zip(checks.items(), row, strict=False):
        text = cell.strip()
        if text or column == "external_id":
            try:
                check(text)
            except ValidationProblem as problem:
                return column, problem.code
    return None


@pytest.mark.parametrize("region", [None, "DE"])
def test_numbers_are_the_same_together_and_alone(region):
    texts = ["", "+49 151 12345678", "+4915112345678", "0151 12345678", "12345", "- -", "+", "+1 415 555 2671", "a\nb"]
    for text, quick in zip(texts, phones.clean_to_e164(texts, region), strict=True):
        if quick is not None:
            assert quick == validation.phone(text, region)
    assert "+4915112345678" in phones.clean_to_e164(texts, region)


def test_a_row_that_changes_nothing_is_not_even_locked(db, tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("id,name\nann,Ann\nbob,Bob\n")
    call_command("import_recipients", str(path))
    path.write_text("id,name\nann,Ann\nbob,Bobby\n")
    call_command("import_recipients", str(path))

    with connection.cursor() as cursor:
        cursor.execute("SELECT external_id, xmax::text <> '0' FROM preferences_recipient ORDER BY external_id")
        [(_, ann_locked), _bob] = cursor.fetchall()
    assert not ann_locked
