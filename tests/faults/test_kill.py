"""kill -9 in the middle of a run over the real servers: every notification is accounted for at the end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
#: Batches a worker has in hand (its threads) times the deliveries of a batch: what one crash may send twice.
IN_FLIGHT = 2 * 500


@pytest.mark.faults
@pytest.mark.parametrize("transport", ["database", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def test_a_worker_killed_in_the_middle_of_a_run_loses_nothing(transport: str, request: pytest.FixtureRequest):
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "BROKER_URL": ""}
    if transport == "rabbitmq":
        env["BROKER_URL"] = request.getfixturevalue("broker_url")
    env["DATABASE_URL"] = settings.DATABASE_URL
    size = ["--notifications", "20000", "--recipients", "5000", "--workers", "2"]
    command = [sys.executable, "-m", "benchmarks.pipeline", *size, "--transport", transport, "--kill", "--lease", "15"]

    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["killed"]
    assert result["lost"] == 0
    assert result["duplicates"] <= IN_FLIGHT
