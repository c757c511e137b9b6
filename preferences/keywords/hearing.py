"""What follows from STOP and START: a number is suppressed, or that suppression is lifted, for every path at once."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import connection, transaction

from preferences.choices import Channel, SuppressionReason, Way
from preferences.errors import ValidationProblem
from preferences.keywords.words import Keyword
from preferences.models import Recipient, Suppression
from preferences.phones import to_e164
from preferences.services import PreferencesService, Trace

#: First key of the advisory locks on numbers ("STOP"); the second is the beginning of the number's hash.
LOCK_SPACE = 0x53544F50
_SMS = Channel.SMS.value

# In one order, so that two batches wait for each other instead of deadlocking.
_LOCK = """
    SELECT pg_advisory_xact_lock(%s, key) FROM unnest(%s::int[]) WITH ORDINALITY AS lock(key, place) ORDER BY place
"""
_TAKE_DOWN = """
    INSERT INTO preferences_heardkeyword (origin, message_id, address_hash, word, said_at)
    SELECT origin, message_id, address_hash, word, least(said_at, clock_timestamp())
      FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
        AS heard (origin, message_id, address_hash, word, said_at)
     ORDER BY origin, message_id
    ON CONFLICT DO NOTHING RETURNING address_hash
"""
_LATEST = """
    SELECT DISTINCT ON (address_hash) address_hash, word, origin FROM preferences_heardkeyword
     WHERE address_hash = ANY(%s::text[]) ORDER BY address_hash, said_at DESC, word = 'stop' DESC, id DESC
"""


class Said(NamedTuple):
    """A keyword as a provider told of it: `number` as it wrote it, `said_at` when it was said, or was heard of."""

    origin: str
    message_id: str
    number: str
    word: Keyword
    said_at: datetime


def hear(said: Sequence[Said]) -> Counter[tuple[str, str]]:
    """Take down what was said and do what follows; how often what happened, by (origin, result).

    A result is `stop` or `start` for a word that was new; `repeated` for a message told of before; `unknown` for a word
    of a number that nobody has, which is kept all the same: somebody may be imported with it tomorrow; and `odd` for a
    sender that is no phone number. Which word was said last decides, in whatever order they come. In one transaction
    (the caller's, when one is open), in as many statements for a thousand as for one.
    """
    counts: Counter[tuple[str, str]] = Counter()
    numbers: dict[str, str] = {}
    kept: list[tuple[str, Said]] = []
    for one in said:
        try:
            number = to_e164(one.number)
        except ValidationProblem:
            counts[one.origin, "odd"] += 1
            continue
        hash = Suppression.hash_of(number)
        numbers[hash] = number
        kept.append((hash, one))
    if kept:
        with transaction.atomic():
            new = _take_down(kept)
            _follow({hash: numbers[hash] for hash in new})
            _count(counts, kept, new, _known(numbers))
    return counts


def _take_down(kept: Sequence[tuple[str, Said]]) -> Counter[str]:
    """How many of these are new, by the hash of their number. Their numbers are ours until the transaction ends."""
    keys = sorted({int.from_bytes(bytes.fromhex(hash[:8]), "big", signed=True) for hash, _ in kept})
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [LOCK_SPACE, keys])
        cursor.execute(
            _TAKE_DOWN,
            [
                [one.origin for _, one in kept],
                [one.message_id for _, one in kept],
                [hash for hash, _ in kept],
                [one.word.value for _, one in kept],
                [one.said_at for _, one in kept],
            ],
        )
        return Counter(row[0] for row in cursor.fetchall())


def _follow(numbers: dict[str, str]) -> None:
    """Bring the suppressions of these numbers, by hash, to what was said last."""
    with connection.cursor() as cursor:
        cursor.execute(_LATEST, [list(numbers)])
        latest = cursor.fetchall()
    service, reason, trace = PreferencesService(), SuppressionReason.STOP_KEYWORD.value, Trace(Way.KEYWORD)
    stops: dict[str, list[tuple[str, str]]] = {}
    starts = []
    for hash, word, origin in latest:
        if word == Keyword.STOP:
            stops.setdefault(origin, []).append((_SMS, numbers[hash]))
        else:
            starts.append((_SMS, numbers[hash]))
    for origin, entries in stops.items():
        service.suppress_all(entries, reason, origin, trace)
    service.lift_all(starts, only=[reason], trace=trace)


def _known(numbers: dict[str, str]) -> Collection[str]:
    """Which of these numbers somebody has, by hash."""
    found = set(Recipient.objects.filter(phone__in=numbers.values()).values_list("phone", flat=True))
    return {hash for hash, number in numbers.items() if number in found}


def _count(
    counts: Counter[tuple[str, str]], kept: Sequence[tuple[str, Said]], new: Counter[str], known: Collection[str]
) -> None:
    left = Counter(new)
    for hash, one in kept:
        if not left[hash]:
            counts[one.origin, "repeated"] += 1
            continue
        left[hash] -= 1
        counts[one.origin, one.word.value if hash in known else "unknown"] += 1
