"""Every process of an installation says that it lives, shows its metrics, and is gone at once when it stops."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from notifications import live
from notifications.lanes import CHANNELS
from notifications.metrics import KINDS
from tests.core.test_metrics_page import free_port
from tests.servers import wait

ROOT = Path(__file__).resolve().parents[2]


def alive() -> dict[str, live.ProcessState]:
    return {process.name: process for process in live.state().processes if process.alive}


def metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        return str(response.read().decode())


@pytest.mark.django_db(transaction=True)
def test_an_installation_is_present_while_it_runs_and_gone_when_it_stops(process_env: dict[str, str]) -> None:
    # Given one of each process
    web, ports = free_port(), free_port()
    run = [sys.executable, str(ROOT / "manage.py"), "run_all", "--port", str(web)]
    process = subprocess.Popen(run, env={**process_env, "METRICS_PORT": str(ports)}, cwd=ROOT)
    try:
        expected = {*KINDS} - {"worker"} | {f"worker-{channel}" for channel in CHANNELS}
        assert wait(lambda: expected <= alive().keys(), 120), alive().keys()
        # Then every kind lives, every channel is served, and each has a port for its metrics
        state = live.state()
        assert all(state.alive(kind) for kind in KINDS)
        assert all(state.workers_alive.values())
        assert all(lane.workers == 1 for lane in state.lanes)
        for name, one in alive().items():
            text = metrics(one.stats["metrics_port"])
            assert f'carillon_process_info{{kind="{one.kind}",process="{name}"}} 1.0' in text
            assert ("carillon_outbox_lag_seconds" in text) == (one.kind == "web")
        assert 'carillon_processes{kind="maintenance"} 1.0' in metrics(web)
        # When they are told to stop
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) == 0
        # Then none is taken for one that was lost
        assert live.state().processes == ()
    finally:
        process.kill()
        process.wait(timeout=10)
