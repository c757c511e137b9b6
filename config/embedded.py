"""The servers that `bin/run` brings along, and the note it leaves so that other commands find them."""

import json
from dataclasses import dataclass
from pathlib import Path

from redis.backoff import NoBackoff
from redis.retry import Retry

STATE = Path(".carillon") / "servers.json"


@dataclass(frozen=True, slots=True)
class Embedded:
    """Where the embedded servers listen; empty strings when none were started."""

    database_url: str = ""
    redis_url: str = ""
    secret_key: str = ""


def running(base_dir: Path) -> Embedded:
    """The servers noted by the last `bin/run` in this folder, or nothing."""
    try:
        return Embedded(**json.loads((base_dir / STATE).read_text()))
    except (OSError, ValueError, TypeError):
        return Embedded()


def no_retry() -> Retry:
    """redis-py retries by default, which turns a hung server into seconds of waiting per call."""
    return Retry(NoBackoff(), 0)
