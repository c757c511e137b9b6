"""One probe at a time, however many workers ask."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection

from notifications.providers.breaker import Breaker
from notifications.providers.circuit import Report
from notifications.providers.gate import Permit, ProviderGate

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[3]


def test_of_many_threads_one_probes() -> None:
    now = 1_000_000.0
    Breaker(clock=lambda: now).report("acme", Report(failed=10))
    now += 15.0
    start = threading.Barrier(12)

    def worker(_: int) -> Permit:
        gate = ProviderGate(breaker=Breaker(clock=lambda: now))
        start.wait()
        try:
            return gate.ask("acme", 500, priority="high")
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as threads:
        permits = list(threads.map(worker, range(12)))

    assert sorted(permit.granted for permit in permits) == [0] * 11 + [1]
    assert sum(bool(permit.probe) for permit in permits) == 1


def test_of_several_processes_one_probes_and_its_word_holds_for_all(process_env: dict[str, str]) -> None:
    environment = {**process_env, "BREAKER_OPEN_SECONDS": "1.5", "LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-c", _FLEET]
    workers = [
        subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    try:
        printed = [worker.communicate(timeout=60)[0].split() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()

    assert sum(int(granted) for granted, _ in printed) == 1
    assert [after for _, after in printed] == ["500"] * 3


#: One of several workers: they meet, one of them finds the provider down, all ask it again and again once its time
#: is over, and after the probe's answer all ask a last time.
_FLEET = """
import time
import django
django.setup()
from core import redis
from notifications.providers.gate import ProviderGate

client, gate = redis.client(), ProviderGate()


def meet(where):
    client.incr(redis.key(where))
    while int(client.get(redis.key(where))) < 3:
        time.sleep(0.005)


meet("there")
if client.set(redis.key("first"), 1, nx=True):
    gate.report("acme", gate.ask("acme", 500, priority="high"), answered=0, failed=500, seconds=0.1)
meet("down")
asked = [gate.ask("acme", 500, priority="high") for _ in range(5)]
assert not any(permit.granted for permit in asked), asked
time.sleep(1.6)
asked = [gate.ask("acme", 500, priority="high") for _ in range(50)]
meet("probed")
for permit in asked:
    if permit.probe:
        gate.report("acme", permit, answered=1, failed=0, seconds=0.1)
meet("told")
print(sum(permit.granted for permit in asked), gate.ask("acme", 500, priority="high").granted)
"""
