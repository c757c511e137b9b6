"""The web process as an operator meets it: it leaves when it is told to, whatever it is doing."""

import http.client
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db(transaction=True)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def ask(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_sigterm_in_the_middle_of_requests_ends_the_process(process_env: dict[str, str]):
    port = free_port()
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "config.asgi:application"]
    process = subprocess.Popen(command, env={**process_env, "DEMO": "1"}, cwd=ROOT)
    stopped = threading.Event()
    answers: list[int] = []

    def visit(path: str) -> None:
        while not stopped.is_set():
            try:
                answers.append(ask(port, path))
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)

    paths = ["/healthz", "/inbox/", "/admin/login/", "/static/channels_app/carillon-inbox.js"] * 3
    visitors = [threading.Thread(target=visit, args=(path,)) for path in paths]
    for visitor in visitors:
        visitor.start()
    try:
        deadline = time.monotonic() + 30
        while len(answers) < 60:
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)
    finally:
        stopped.set()
        process.kill()
        process.wait()
        for visitor in visitors:
            visitor.join()
    assert set(answers) == {200}
