"""The languages and time zones to choose from."""

import zoneinfo
from datetime import UTC
from functools import cache

from django.conf import settings
from django.conf.locale import LANG_INFO

from preferences import quiet_hours, validation
from preferences.errors import ValidationProblem

#: Areas of the time zone database that are places; the rest are old names and offsets.
_AREAS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")

Choice = tuple[str, str]


def languages(current: str) -> list[Choice]:
    """(tag, name in its own language) by name, `current` among them whatever it is."""
    found = list(_languages(tuple(code for code, _ in settings.LANGUAGES)))
    if current and current not in dict(found):
        found = [(current, _called(current)), *found]
    return found


@cache
def _languages(codes: tuple[str, ...]) -> tuple[Choice, ...]:
    tags = []
    for code in codes:
        try:
            tags.append(validation.locale(code))
        except ValidationProblem:  # a host's own code, which no recipient can have
            continue
    return tuple(sorted(((tag, _called(tag)) for tag in tags), key=lambda choice: choice[1].casefold()))


def _called(tag: str) -> str:
    """A language in its own words, and where they differ in English; a region is told by its tag."""
    code = tag.lower()
    info = LANG_INFO.get(code) or LANG_INFO.get(code.partition("-")[0], {})
    if "fallback" in info:
        info = LANG_INFO.get(info["fallback"][0], {})
    own, english = info.get("name_local", tag), info.get("name", tag)
    own = own[:1].upper() + own[1:]
    name = own if own.casefold() == english.casefold() else f"{own} · {english}"
    return name if code in LANG_INFO else f"{name} ({tag})"


def zones(current: str) -> list[tuple[str, list[Choice]]]:
    """(area, [(zone, place)]) by name, `current` among them whatever it is: one that this machine does not know counts
    as UTC, and says so."""
    groups = [("", [("UTC", "UTC")]), *_zones()]
    if current and not any(current == zone for _, group in groups for zone, _ in group):
        name = current.replace("_", " ")
        is_known = quiet_hours.zone(current) is not UTC
        groups[0] = ("", [(current, name if is_known else f"{name} (not known here: UTC)"), ("UTC", "UTC")])
    return groups


@cache
def _zones() -> tuple[tuple[str, list[Choice]], ...]:
    known = sorted(zoneinfo.available_timezones())
    return tuple((area, [(zone, _place(zone)) for zone in known if zone.startswith(f"{area}/")]) for area in _AREAS)


def _place(zone: str) -> str:
    """`America/Argentina/Buenos_Aires` is Buenos Aires, Argentina."""
    *regions, place = zone.replace("_", " ").split("/")[1:]
    return ", ".join([place, *reversed(regions)])
