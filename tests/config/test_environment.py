"""A mistake in the environment is told in a sentence, before anything runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOUND = {
    "SECRET_KEY": "x" * 60,
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


def start(**settings: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check`, which reads the settings and asks no server."""
    env = {"PATH": os.environ["PATH"], **SOUND, **settings}
    command = [sys.executable, str(ROOT / "manage.py"), "check"]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROVIDER_TIMEOUT_SECONDS", "soon"),
        ("PROVIDER_TIMEOUT_SECONDS", "nan"),
        ("WORKER_THREADS", "2.5"),
        ("DEBUG", "flase"),
        ("BROKER_URL", "http://localhost"),
    ],
)
def test_a_value_that_cannot_be_read_is_answered_with_a_sentence(name: str, value: str):
    done = start(**{name: value})

    assert done.returncode != 0
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_sound_settings_start():
    assert start(DEBUG="no", WORKER_THREADS="3").returncode == 0
