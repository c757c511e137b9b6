"""The floors of what is installed, and Django's own deployment checks under the settings of production."""

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.security.wire import production

ROOT = Path(__file__).resolve().parents[2]
FLOORS = {"django": "5.2.18", "djangorestframework": "3.18.2", "daphne": "4.2.2"}


def requirements() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    parsed = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]
    return {each.name: each for each in parsed}


@pytest.mark.parametrize(("name", "floor"), FLOORS.items())
def test_nothing_below_a_security_floor_can_be_installed(name: str, floor: str) -> None:
    wanted = requirements()[name].specifier

    assert any(each.operator in {">=", "~=", "=="} and Version(each.version) >= Version(floor) for each in wanted)
    assert Version(version(name)) >= Version(floor)


@pytest.mark.parametrize("name", sorted(requirements()))
def test_every_requirement_has_a_floor_and_what_is_installed_satisfies_it(name: str) -> None:
    wanted = requirements()[name].specifier

    assert any(each.operator in {">=", "~=", "=="} for each in wanted)
    assert wanted.contains(version(name))


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore::RuntimeWarning", "manage.py", *arguments]
    env = production(dict(os.environ), **environment)
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_the_deployment_checks_find_nothing_in_production() -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING")

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("weak", "says"),
    [
        ({"PUBLIC_URL": "http://notify.example.com"}, "security.W00"),
        ({"SECRET_KEY": "short"}, "security.W009"),
        ({"DEBUG": "1"}, "security.W018"),
    ],
)
def test_the_same_checks_name_what_is_weak(weak: dict[str, str], says: str) -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", **weak)

    assert done.returncode != 0
    assert re.search(says, done.stderr), done.stderr
