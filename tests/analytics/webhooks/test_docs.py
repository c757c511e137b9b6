"""What docs/observability.md tells the receivers of webhooks to do is right."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from analytics.webhooks.vocabulary import EVENTS
from core.standard_webhooks import new_secret, sign

DOCS = (Path(__file__).resolve().parents[3] / "docs" / "observability.md").read_text()
SECTION = DOCS[DOCS.index("## Webhooks to your services") : DOCS.index("\n## ", DOCS.index("## Webhooks to your") + 5)]


@pytest.fixture
def is_ours() -> Any:
    [code] = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["is_ours"]


def test_the_check_of_a_signature_takes_ours_and_nothing_else(is_ours: Any) -> None:
    old, new, body = new_secret(), new_secret(), b'{"type": "endpoint.test"}'
    headers = sign([new, old], id="msg_1", timestamp=int(time.time()), body=body)

    assert is_ours(new, headers, body)
    assert is_ours(old, headers, body)
    assert not is_ours(new_secret(), headers, body)
    assert not is_ours(new, headers, body + b" ")
    assert not is_ours(new, sign([new], id="msg_1", timestamp=int(time.time()) - 301, body=body), body)


def test_every_event_is_explained() -> None:
    told = {
        word for row in re.findall(r"^\| (`.*?`) \|", SECTION, re.MULTILINE) for word in re.findall(r"`(\w+)`", row)
    }
    assert set(EVENTS) <= told
