"""A large, untidy CSV file of recipients, the same for the same seed: `python -m benchmarks.messy_csv FILE --rows N`.

About one row in twelve is untidy: duplicate ids, blank lines, quoted line breaks, bytes that are not UTF-8, numbers,
addresses, locales and zones that are none, fields too few or too many, quotes that never close.
"""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

HEADER = "id,Name,email,phone,locale,timezone,plan,city,note"
_ZONES = ("Europe/Berlin", "America/Sao_Paulo", "Asia/Tokyo", "UTC", "europe/paris", "America/New_York")
_LOCALES = ("de-DE", "pt_br", "en", "fr-FR", "ja", "zh-hant-tw")
_NAMES = ("Ana", "Jürgen", "Zoë", "Łukasz", "太郎", "O'Neil", "María José", "Iñigo")
_CITIES = ("Berlin", "São Paulo", "東京", "Paris", "New York", "München")


def lines(rows: int, seed: int = 1) -> Iterator[bytes]:
    """The file, line by line: a BOM and the header, then `rows` records."""
    dice = random.Random(seed)
    yield b"\xef\xbb\xbf" + HEADER.encode() + b"\r\n"
    for number in range(rows):
        yield _untidy(dice, number) if dice.random() < 1 / 12 else _row(dice, number)


def _phone(dice: random.Random) -> str:
    return dice.choice(
        (
            f"+49 151 {dice.randrange(10_000_000, 99_999_999)}",
            f"+4915{dice.randrange(1, 3)}{dice.randrange(10_000_000, 99_999_999)}",
            f"+1 (415) 555-{dice.randrange(1000, 9999)}",
            f"+55 11 9{dice.randrange(6000, 9999)}-{dice.randrange(1000, 9999)}",
            f"+8190{dice.randrange(10_000_000, 99_999_999)}",
            "",
        )
    )


def _row(dice: random.Random, number: int, **other: str) -> bytes:
    cells = {
        "id": f"user-{number}",
        "name": f"{dice.choice(_NAMES)} {number}",
        "email": f"user.{number}@{'Example.COM' if number % 20 == 0 else 'mail.example.com'}",
        "phone": _phone(dice),
        "locale": dice.choice(_LOCALES),
        "timezone": dice.choice(_ZONES),
        "plan": dice.choice(("free", "pro", "")),
        "city": dice.choice(_CITIES),
        "note": "",
    }
    return ",".join({**cells, **other}.values()).encode() + b"\r\n"


def _untidy(dice: random.Random, number: int) -> bytes:
    kind = dice.randrange(12)
    if kind == 0:
        return _row(dice, dice.randrange(number + 1), plan="again")
    if kind == 1:
        return b"\r\n" + _row(dice, number)
    if kind == 2:
        return _row(dice, number, note='"two\nlines, and a ""quote"""')
    if kind == 3:
        return _row(dice, number, city="-").replace(b",-,", b",M\xfcnchen,")
    if kind == 11:
        return f'user-{number},"never closed,x@example.com,,,,,,\n'.encode()
    wrong = (
        {"phone": "12345"},
        {"email": "nobody at example"},
        {"locale": "german"},
        {"timezone": "Mars/Olympus"},
        {"id": ""},
        {"note": "x,too,many"},
        {"name": "nul\x00byte"},
    )
    return _row(dice, number, **wrong[kind - 4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with given.file.open("wb", buffering=1024 * 1024) as file:
        file.writelines(lines(given.rows, given.seed))


if __name__ == "__main__":
    main()
