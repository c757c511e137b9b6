"""CSV: files, rows and fields are bounded and read as a stream; what is written can run nothing in a spreadsheet."""

import csv
import re
import tracemalloc
from pathlib import Path

import pytest

from preferences.errors import ValidationProblem
from preferences.importing import source
from preferences.importing.rejects import Rejects, safe_cell
from preferences.importing.rows import MAX_COLUMNS, Rejected, plan
from preferences.importing.source import MAX_FIELD, MAX_LINE, Source, SourceError
from preferences.validation import external_id

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def test_a_file_beyond_the_bound_is_refused_before_it_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("external_id\nann\n")
    monkeypatch.setattr(source, "MAX_FILE_BYTES", 10)

    with pytest.raises(SourceError, match="split it"):
        Source(file)


def test_a_large_file_is_never_whole_in_memory(file: Path) -> None:
    with file.open("w") as out:
        out.write("external_id,name\n")
        out.writelines(f"user-{n},{'x' * 500}\n" for n in range(40_000))
    assert file.stat().st_size > 20_000_000

    tracemalloc.start()
    with Source(file) as records:
        count = sum(1 for _ in records)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 40_001
    assert peak < 8_000_000


@pytest.mark.parametrize("row", ["x" * (MAX_FIELD + 1), ",".join(["x" * 1000] * (MAX_LINE // 1000 + 2))])
def test_a_field_or_a_row_beyond_its_bound_costs_itself_alone(file: Path, row: str) -> None:
    file.write_text(f"external_id\nann\n{row}\nbob\n")

    with Source(file) as records:
        read = [(record.cells[:1], bool(record.problem)) for record in records]

    assert read == [(["external_id"], False), (["ann"], False), ([], True), (["bob"], False)]


def test_a_quote_that_is_never_closed_does_not_swallow_the_file(file: Path) -> None:
    file.write_text('external_id\n"ann\n' + "bob\n" * 50_000)

    with Source(file) as records:
        assert sum(record.problem == "" for record in records) >= 50_000


def test_columns_are_bounded() -> None:
    with pytest.raises(SourceError, match="columns"):
        plan(["external_id", *(f"c{n}" for n in range(MAX_COLUMNS))])


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_could_be_a_formula_is_written_as_text(file: Path, start: str) -> None:
    formula = f"{start}cmd|'/c calc'!A1"

    with Rejects(file) as rejects:
        rejects.add(1, Rejected(formula, formula, formula, formula))

    [_, cells] = csv.reader(file.open(newline=""))
    assert cells[1:] == [f"'{formula}"] * 4
    assert safe_cell("plain") == "plain"


def test_an_id_from_a_file_is_held_to_what_any_id_is() -> None:
    with pytest.raises(ValidationProblem):
        external_id("a\r\nb")


def test_nothing_else_writes_csv() -> None:
    """A new export has to escape its cells: use `safe_cell`, then name the file here."""
    apps = ("core", "preferences", "notifications", "channels_app", "analytics", "campaigns", "config")
    writers = {
        str(path.relative_to(ROOT))
        for app in apps
        for path in (ROOT / app).rglob("*.py")
        if re.search(r"csv\.(writer|DictWriter)|text/csv", path.read_text())
    }

    assert writers == {
        "campaigns/exporting.py",
        "campaigns/people_views.py",  # answers with what exporting wrote
        "campaigns/segments/admin/list_forms.py",  # takes a file
        "campaigns/segments/admin/files.py",
        "preferences/importing/rejects.py",
    }
