"""What every receiver must do. Inherit, give the five things a receiver's test knows, and the suite runs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from core.ids import uuid7
from notifications.choices import EventType
from notifications.receivers.base import MAX_EVENTS, TOLERANCE_SECONDS, Receiver, Unreadable, Unverified
from notifications.services import events_lane
from preferences.keywords import Keyword

NOW = 1_800_000_000.0
SAID = datetime.fromtimestamp(NOW - 60, UTC)


class ReceiverContract:
    """`events`: the kinds its vendor can tell of. `foreign`: bodies that are signed and make no sense."""

    events: frozenset[EventType]
    foreign: Sequence[bytes]

    def make(self, name: str) -> Receiver:
        raise NotImplementedError

    def body(self, events: Sequence[tuple[UUID, EventType | None]]) -> bytes:
        """As the vendor writes it; None is a kind of event that we have no word for."""
        raise NotImplementedError

    def inbound(self, texts: Sequence[str], sender: str, at: datetime) -> bytes:
        """Text messages that a phone sent, as the vendor tells of them."""
        raise NotImplementedError

    def sign(self, name: str, body: bytes, at: float) -> Mapping[str, str]:
        """The headers of a webhook signed at a moment, by lower-case name."""
        raise NotImplementedError

    def post(self, body: bytes, *, at: float = NOW, **headers: str) -> list[tuple[UUID, EventType | Keyword]]:
        signed = {**self.sign("vendor", body, at), **headers}
        incoming = self.make("vendor").verify_and_parse(signed, body, NOW)
        assert {event.origin for event in incoming} <= {"vendor"}
        return [(event.delivery_id, event.type) for event in incoming]

    def test_what_the_vendor_says_comes_out_in_our_words(self) -> None:
        told = [(uuid7(), type) for type in EventType if type in self.events]

        assert self.post(self.body(told)) == told

    def test_what_we_have_no_word_for_is_left_out(self) -> None:
        known = (uuid7(), EventType.DELIVERED)

        assert self.post(self.body([(uuid7(), None), known, (uuid7(), None)])) == [known]

    def test_a_keyword_that_somebody_sent_comes_with_its_number_and_moment(self) -> None:
        body = self.inbound([" stop. ", "ARRÊT", "Start"], "+4915112345678", SAID)

        heard = self.make("vendor").verify_and_parse(self.sign("vendor", body, NOW), body, NOW)

        assert [event.type for event in heard] == [Keyword.STOP, Keyword.STOP, Keyword.START]
        assert {(event.origin, event.sender, event.said_at, event.delivery_id) for event in heard} == {
            ("vendor", "+4915112345678", SAID, events_lane.NO_DELIVERY)
        }
        assert len({event.event_id for event in heard} - {""}) == 3

    def test_whatever_else_people_write_stays_with_the_vendor(self) -> None:
        body = self.inbound(["HELP", "please stop", "stop it", "", "👍", "9" * 2000], "+4915112345678", SAID)

        assert self.post(body) == []

    def test_an_empty_webhook_is_fine(self) -> None:
        assert self.post(self.body([])) == []

    def test_every_event_has_the_vendors_id_and_keeps_it_when_it_is_sent_again(self) -> None:
        body = self.body([(uuid7(), EventType.DELIVERED), (uuid7(), EventType.DELIVERED)])
        receiver = self.make("vendor")

        first, again = (receiver.verify_and_parse(self.sign("vendor", body, NOW + n), body, NOW) for n in (0, 1))

        assert [event.event_id for event in first] == [event.event_id for event in again]
        assert len({event.event_id for event in first} - {""}) == 2

    @pytest.mark.parametrize("away", [-1, 1])
    def test_a_signature_is_good_for_five_minutes(self, away: int) -> None:
        body = self.body([(uuid7(), EventType.DELIVERED)])

        assert len(self.post(body, at=NOW + away * TOLERANCE_SECONDS)) == 1
        with pytest.raises(Unverified):
            self.post(body, at=NOW + away * (TOLERANCE_SECONDS + 1))

    def test_a_changed_body_is_refused(self) -> None:
        body = self.body([(uuid7(), EventType.DELIVERED)])
        headers = self.sign("vendor", body, NOW)

        for changed in (body + b" ", body[:-1], b"", body.replace(b"e", b"E", 1)):
            with pytest.raises(Unverified):
                self.make("vendor").verify_and_parse(headers, changed, NOW)

    def test_another_providers_signature_is_refused(self) -> None:
        body = self.body([(uuid7(), EventType.DELIVERED)])

        with pytest.raises(Unverified):
            self.make("vendor").verify_and_parse(self.sign("another", body, NOW), body, NOW)

    def test_without_headers_or_with_odd_ones_it_is_refused(self) -> None:
        body = self.body([])
        good = self.sign("vendor", body, NOW)

        odd: list[Mapping[str, str]] = [{}]
        for name in good:
            odd += [{**good, name: value} for value in ("", "x", "-1", "9" * 40, "\x00", "ä", good[name][:-2])]
            odd.append({other: value for other, value in good.items() if other != name})
        for headers in odd:
            with pytest.raises(Unverified):
                self.make("vendor").verify_and_parse(headers, body, NOW)

    def test_the_signature_is_looked_at_before_the_body(self) -> None:
        for body in self.foreign:
            with pytest.raises(Unverified):
                self.make("vendor").verify_and_parse({}, body, NOW)

    def test_what_makes_no_sense_is_unreadable_and_says_where(self) -> None:
        for body in self.foreign:
            with pytest.raises(Unreadable) as refused:
                self.post(body)
            assert all(error.code and error.message for error in refused.value.errors)

    def test_more_than_it_may_hold_is_refused(self) -> None:
        event = (uuid7(), EventType.DELIVERED)

        assert len(self.post(self.body([event] * MAX_EVENTS))) == MAX_EVENTS
        with pytest.raises(Unreadable):
            self.post(self.body([event] * (MAX_EVENTS + 1)))
