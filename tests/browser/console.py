"""What a page complains of: uncaught errors, and errors on its console, among them all that a policy refused."""

import re
from typing import Any

#: A server that a test stopped is not the page's fault.
_AWAY = re.compile(r"net::ERR_|WebSocket connection to")


def complaints(page: Any, noted: list[str] | None = None) -> list[str]:
    """A list that fills while the page lives; a test asserts that it stayed empty."""
    found: list[str] = [] if noted is None else noted

    def on_console(message: Any) -> None:
        if message.type == "error" and not _AWAY.search(message.text):
            found.append(f"{page.url}: {message.text}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: found.append(f"{page.url}: {error}"))
    return found
