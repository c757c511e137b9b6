"""The preference centre: `/preferences/`, where people say what they want, by session or by a signed link."""

from preferences.centre.tokens import address

__all__ = ["address"]
