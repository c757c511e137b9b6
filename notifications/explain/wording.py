"""Times, spans and lists as they stand in a sentence: those of the whole app."""

from notifications.wording import day, listed, soon, span

__all__ = ["day", "listed", "soon", "span"]
