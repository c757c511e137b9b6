"""What one terminal runs: the simulator's webhooks find the web process beside them."""

from typing import Any

import pytest

from config import processes


def webhook_url(host: str, port: int) -> str:
    return processes.everything(host, port)["events"].keywords["simulator_webhook_url"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8123"),
        ("0.0.0.0", "http://127.0.0.1:8123"),
        ("::", "http://[::1]:8123"),
        ("10.0.0.7", "http://10.0.0.7:8123"),
    ],
)
def test_they_go_to_the_web_process_beside_whatever_public_url_says(host: str, url: str, settings: Any) -> None:
    settings.PUBLIC_URL = "https://notify.example.com"

    assert webhook_url(host, 8123) == url


def test_the_setting_has_the_last_word(settings: Any) -> None:
    settings.SIMULATOR_WEBHOOK_URL = "http://web:8000"

    assert webhook_url("127.0.0.1", 8123) == "http://web:8000"
