"""The kinds of messages that a page shows: a part of them at a time, or those that somebody looks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode

from django.db.models import Count, Q

from preferences.choices import Purpose
from preferences.models import Category

#: Kinds in one part. An installation has dozens; of hundreds a part is what a phone shows and a form sends at ease.
PART = 50
#: Characters that are looked for, and parts that an address may name.
MAX_FIND, MAX_NUMBER = 64, 9_999


@dataclass(frozen=True, slots=True)
class Part:
    """What is asked for: the kinds whose name or description has `find` in it, and of them the part of this number,
    from 1."""

    find: str = ""
    number: int = 1

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Self:
        """From an address; what says nothing here is left aside."""
        find, number = given.get("find", "").replace("\0", "").strip()[:MAX_FIND], given.get("part", "")
        is_number = number.isascii() and number.isdecimal() and len(number) <= len(str(MAX_NUMBER))
        return cls(find, max(1, int(number)) if is_number else 1)

    @property
    def query(self) -> dict[str, str]:
        """The same, as an address says it."""
        return {**({"find": self.find} if self.find else {}), **({"part": str(self.number)} if self.number > 1 else {})}


@dataclass(frozen=True, slots=True)
class Kinds:
    """A part, the kinds in it, and how many there are: found, and in all."""

    part: Part
    rows: list[Category]
    found: int
    total: int
    has_marketing: bool

    @property
    def is_in_parts(self) -> bool:
        return self.total > PART

    @property
    def is_whole(self) -> bool:
        return len(self.rows) == self.total

    @property
    def first(self) -> int:
        return (self.part.number - 1) * PART + 1

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1

    @property
    def span(self) -> str:
        """Which of those that were found stand here."""
        return f"{self.first}–{self.last}" if self.last > self.first else f"{self.first}"

    @property
    def before(self) -> str:
        """The address of the part before, behind its question mark; empty where there is none."""
        return self._query(self.part.number - 1) if self.part.number > 1 else ""

    @property
    def after(self) -> str:
        return self._query(self.part.number + 1) if self.last < self.found else ""

    def _query(self, number: int) -> str:
        return urlencode({**Part(self.part.find, number).query, "part": str(number)})


def kinds(part: Part, *order: str) -> Kinds:
    """This part of them in this order; the last one where there are not so many."""
    wanted = Q(name__icontains=part.find) | Q(description__icontains=part.find) if part.find else Q()
    counts = Category.objects.aggregate(
        total=Count("pk"),
        found=Count("pk", filter=wanted) if wanted else Count("pk"),
        marketing=Count("pk", filter=Q(purpose=Purpose.MARKETING)),
    )
    part = Part(part.find, max(1, min(part.number, -(-counts["found"] // PART))))
    start = (part.number - 1) * PART
    rows = list(Category.objects.filter(wanted).order_by(*order)[start : start + PART])
    return Kinds(part, rows, counts["found"], counts["total"], counts["marketing"] > 0)
