"""Tracked links by address, for who writes messages, and by id, for who follows them.

An address that many messages lead to has a row, and its token is short. One that only one message leads to (an order's
page, say) would mean a row per message: there only its origin has a row, and the rest of it travels in the token,
signed. Which of the two an address is shows when a second message leads there. Text messages, which are paid by their
length, get a row at once.
"""

import hashlib
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate

from django.db import OperationalError, connection

from analytics.engagement.rewriting import origin_of
from core.ids import Key
from core.postgresql.direct import KeyArray, TextArray, direct_cursor
from core.recent import Recent

#: Addresses that a process knows: of links in use at one time, and of addresses met once. A tenth of a kilobyte each.
MAX_KNOWN = 20_000
#: Characters of an address whose rest travels in the token, which may have 2,048. Longer ones, as UTM parameters make
#: them, and those that take more bytes than characters get a row.
MAX_REST = 1_400
#: Seconds in which a link that this process does not know is looked up, and how many at a time. While PostgreSQL is
#: frozen that is all of the web process's threads that can be caught by it.
ANSWER_SECONDS, MAX_LOOKING = 2.0, 4

_INSERT = """
    INSERT INTO analytics_trackedlink (url_hash, url, used_on)
    SELECT given.url_hash, given.url, current_date
      FROM unnest($1::uuid[], $2::text[]) AS given (url_hash, url) ORDER BY given.url_hash
        ON CONFLICT (url_hash) DO UPDATE SET used_on = EXCLUDED.used_on
 RETURNING url_hash, id
"""
_URL = "SELECT url FROM analytics_trackedlink WHERE id = $1::bigint"

#: How a token names an address: a link, and what follows it.
Ref = tuple[bytes, bytes]


class LinkBook:
    """What a process that writes messages knows of links. Safe to share between threads."""

    def __init__(self) -> None:
        self._known = Recent[str, Ref](MAX_KNOWN)
        self._met = Recent[str, Key](MAX_KNOWN)
        self._day = 0

    def refs(self, uses: Iterable[tuple[str, Key]], *, short: bool) -> dict[str, Ref]:
        """The ref of each address; a use is an address and the notification that says it. `short`: rows for all. What
        has no row yet gets one, all of them in one statement."""
        self._turn_the_day()
        found: dict[str, Ref] = {}
        first: dict[str, Key] = {}
        often: set[str] = set()
        for url, notification in uses:
            if url in found:
                continue
            if (known := self._known.get(url)) is not None:
                found[url] = known
            elif first.setdefault(url, notification) != notification:
                often.add(url)
        if first:
            rare, rows = self._sorted(first, often, short=short)
            found |= self._rows(rows)
            found |= self._rests(rare)
        return found

    def _sorted(self, first: dict[str, Key], often: set[str], *, short: bool) -> tuple[list[str], list[str]]:
        """Addresses that one message alone leads to, as far as is known, and those that get a row. An address met again
        for the same notification, on another channel or at another try, is still of one message."""
        if short:
            return [], [*first]
        rare, rows, met = [], [*often], self._met
        for url, notification in first.items():
            if url in often:
                continue
            before = met.get(url)
            if before is None:
                met.put(url, notification)
            fits = len(url) <= MAX_REST and url.isascii()
            if fits and (before is None or before == notification):
                rare.append(url)
            else:
                rows.append(url)
        return rare, rows

    def _turn_the_day(self) -> None:
        """A link in use is looked up once a day, which is what keeps it from being forgotten."""
        today = int(time.time()) // 86_400
        if today != self._day:
            self._day = today
            self._known.clear()

    def _rests(self, urls: Iterable[str]) -> dict[str, Ref]:
        origins = {url: origin_of(url) for url in urls}
        wanted = set(origins.values())
        links = {one: known for one in wanted if (known := self._known.get(one)) is not None}
        links |= self._rows([one for one in wanted if one not in links])
        return {url: (links[start][0], url[len(start) :].encode()) for url, start in origins.items()}

    def _rows(self, urls: list[str]) -> dict[str, Ref]:
        if not urls:
            return {}
        by_hash = {url_hash(url): url for url in urls}
        with direct_cursor() as cursor:
            cursor.execute(_INSERT, [KeyArray.of(by_hash), TextArray.of(by_hash.values())])
            made = {by_hash[hash]: (id.to_bytes(5), b"") for hash, id in cursor.fetchall()}
        for url, ref in made.items():
            self._known.put(url, ref)
        return made


class LinkReader:
    """Where links lead. What a process has looked up once it knows without PostgreSQL."""

    def __init__(self) -> None:
        self._known = Recent[int, str](MAX_KNOWN)
        self._looking = threading.Semaphore(MAX_LOOKING)

    def url(self, link: bytes) -> str | None:
        """The stored address of a link, None when there is none. Raises django.db's errors, at the latest after
        ANSWER_SECONDS."""
        if (known := self.known(link)) is not None:
            return known
        id = int.from_bytes(link)
        if not self._looking.acquire(timeout=ANSWER_SECONDS):
            raise OperationalError("Too many links are being looked up.")
        answer: Future[str | None] = Future()
        threading.Thread(target=self._look, args=(id, answer), name="link", daemon=True).start()
        try:
            found = answer.result(ANSWER_SECONDS)
        except TooLate:
            raise OperationalError("The link could not be looked up in time.") from None
        if found is not None:
            self._known.put(id, found)
        return found

    def known(self, link: bytes) -> str | None:
        """The same, without asking anybody: None when this process has not looked it up."""
        return self._known.get(int.from_bytes(link))

    def _look(self, id: int, answer: Future[str | None]) -> None:
        """On a thread of its own: a frozen PostgreSQL keeps its connections open and says nothing, and whoever asks
        must not hold up the links that are known."""
        try:
            with direct_cursor() as cursor:
                cursor.execute(_URL, [id])
                row = cursor.fetchone()
            answer.set_result(row[0] if row else None)
        except Exception as error:  # whatever it is, the one who waits must hear of it
            answer.set_exception(error)
        finally:
            connection.close()
            self._looking.release()

    def forget(self) -> None:
        self._known.clear()


link_reader = LinkReader()


def url_hash(url: str) -> Key:
    """By which an address is found."""
    return hashlib.sha256(url.encode()).digest()[:16]
