"""SECURITY.md names a test for each threat, and the tests it names are there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def rows() -> list[list[str]]:
    lines = (ROOT / "SECURITY.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("| ") and not line.startswith("| threat")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_every_threat_names_tests_that_exist() -> None:
    assert len(rows()) >= 10
    for threat, does, shown_by in rows():
        named = re.findall(r"`([\w/]+\.py)`", shown_by)
        assert does, threat
        assert named, threat
        for name in named:
            path = ROOT / name if "/" in name else ROOT / "tests" / "security" / name
            assert path.exists(), f"{threat}: {name}"


def test_every_test_of_this_folder_is_named() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    here = {path.name for path in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).name}

    assert {name for name in here if name not in text} == set()
