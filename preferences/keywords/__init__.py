"""STOP and START: what somebody answers to a text message, as carriers and their vendors understand it."""

from preferences.keywords.words import Keyword, meaning_of

__all__ = ["Keyword", "meaning_of"]
