"""A knob nobody can find is no knob: every name of the settings stands in .env.example and in docs/settings.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
#: Names of docker-compose.yml, which are not read by the settings.
COMPOSE_ONLY = {"POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "PORT"}


def knobs() -> Iterator[tuple[str, str, ast.expr | None]]:
    """(name, type, default) of each `env.<type>("NAME", default=...)` of the settings."""
    config = ROOT / "config"
    trees = [ast.parse(file.read_text()) for file in (config / "settings.py", *config.glob("parts/*.py"))]
    for node in (node for tree in trees for node in ast.walk(tree)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "env"
            and isinstance(node.args[0], ast.Constant)
        ):
            default = next((word.value for word in node.keywords if word.arg == "default"), None)
            yield node.args[0].value, node.func.attr, default


def documented() -> dict[str, str]:
    """Name -> default, as docs/settings.md tells it."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    return dict(rows)


def exemplified() -> set[str]:
    return set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_every_knob_is_in_the_documentation_and_nothing_else_is():
    assert set(documented()) == {name for name, _, _ in knobs()}


def test_every_knob_is_in_the_example_and_nothing_else_is():
    assert exemplified() == {name for name, _, _ in knobs()} | COMPOSE_ONLY


def constants() -> list[tuple[str, str, object]]:
    """Those whose default doesn't depend on another setting, with its value."""
    return [
        (name, kind, eval(compile(ast.Expression(default), "settings.py", "eval"), {}))
        for name, kind, default in knobs()
        if default is not None and not any(isinstance(node, ast.Name) for node in ast.walk(default))
    ]


@pytest.mark.parametrize(("name", "kind", "default"), constants())
def test_the_documented_default_is_the_real_one(name: str, kind: str, default: object):
    told = documented()[name]
    if kind == "bool":
        assert told == f"`{int(bool(default))}`"
    elif isinstance(default, list):
        assert told == (f"`{','.join(default)}`" if default else "empty")
    elif default == "":
        assert told in {"empty", "required"}
    elif isinstance(default, int | float):
        assert float(told.strip("`")) == default
    else:
        assert told == f"`{default}`"
