"""Whatever dies, a reader is sent on; and the hit is counted, unless the process that had it in memory died, too."""

import http.client
from uuid import UUID

import pytest

from analytics.engagement.links import url_hash
from analytics.engagement.tokens import PIXEL, Tokens
from tests.faults.conftest import Servers
from tests.faults.programs import wait_until
from tests.faults.stack import Stack
from tests.faults.vendor import sent

pytestmark = [pytest.mark.faults, pytest.mark.rabbitmq]

URL = "https://shop.example/offers"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"


class Readers:
    """People with a message each, sent an hour ago, and its link."""

    def __init__(self, stack: Stack, count: int) -> None:
        self.stack = stack
        self.deliveries = list(sent(stack, count))
        stack.query("UPDATE notifications_delivery SET sent_at = now() - interval '1 hour'")
        self._tokens = Tokens(stack.environment["SECRET_KEY"])
        self.link = self.new_link(URL)

    def new_link(self, url: str) -> bytes:
        id = self.stack.one(
            "INSERT INTO analytics_trackedlink (url_hash, url, used_on) VALUES (%s, %s, current_date) RETURNING id",
            UUID(bytes=url_hash(url)),
            url,
        )
        return int(id).to_bytes(5)

    def click(self, number: int, link: bytes = b"") -> tuple[int, str]:
        return self._get(f"/t/c/{self._tokens.make(UUID(str(self.deliveries[number])).bytes, link or self.link)}")

    def look(self, number: int) -> int:
        return self._get(f"/t/o/{self._tokens.make(UUID(str(self.deliveries[number])).bytes, PIXEL)}")[0]

    def _get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.stack.web_port, timeout=20)
        connection.request("GET", path, headers={"User-Agent": AGENT})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("Location", "")

    def counted(self, type: str) -> int:
        rows = self.stack.patient(
            "SELECT count(DISTINCT delivery_id) FROM notifications_deliveryevent WHERE type = %s", type
        )
        return int(rows[0][0])


@pytest.fixture
def readers(own_stack: Stack) -> Readers:
    made = Readers(own_stack, 40)
    _, client = own_stack.api()
    client.ready(90)
    assert made.click(0) == (302, URL)  # the process knows the link now
    return made


def test_links_need_neither_redis_nor_the_broker(own: Servers, readers: Readers):
    own.redis.kill()
    own.rabbit.kill()
    readers.stack.events()

    for number in range(1, 10):
        assert readers.click(number) == (302, URL)
        assert readers.look(number + 10) == 200

    wait_until(lambda: readers.counted("clicked") == 10, 60, "the clicks")
    wait_until(lambda: readers.counted("opened") == 19, 60, "the opens")


def test_without_postgresql_readers_are_sent_on_and_counted_when_it_is_back(own: Servers, readers: Readers):
    unknown = readers.new_link(URL + "/new")
    own.postgres.kill()

    for number in range(1, 20):
        assert readers.click(number) == (302, URL)
    assert readers.look(20) == 200
    assert readers.click(21, unknown)[0] == 503
    own.postgres.start()

    readers.stack.events()
    wait_until(lambda: readers.counted("clicked") == 20, 90, "the clicks")
    wait_until(lambda: readers.counted("opened") == 21, 30, "the opens")
    assert readers.click(21, unknown) == (302, URL + "/new")


def test_a_hit_that_was_answered_outlives_the_process(own: Servers, readers: Readers):
    for number in range(1, 30):
        assert readers.click(number) == (302, URL)
    readers.stack.programs[-1].kill()

    readers.stack.events()
    wait_until(lambda: readers.counted("clicked") == 30, 60, "the clicks")
