"""Work that PostgreSQL ended because of a deadlock is done again, a few times, where that can be done."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, transaction
from psycopg.errors import DeadlockDetected, QueryCanceled, SerializationFailure

from core.postgresql.deadlocks import TIMES, repeated
from preferences.models import Recipient
from preferences.services import PreferencesService
from preferences.signals import recipient_erased
from tests import factories
from tests.lockstep import Lockstep


def failing(times: int, cause: type[Exception]) -> Callable[[], int]:
    """Work that fails so often, and then says how often it was tried."""
    tries = 0

    def work() -> int:
        nonlocal tries
        tries += 1
        if tries <= times:
            raise OperationalError from cause()
        return tries

    return work


@pytest.mark.django_db(transaction=True)
class TestRepeated:
    def test_two_that_want_the_same_rows_the_other_way_round_both_get_there(self) -> None:
        people = [one.pk for one in factories.recipients(2)]

        def rename(order: list[Any], name: str) -> None:
            with transaction.atomic():
                for pk in order:
                    Recipient.objects.filter(pk=pk).update(name=name)

        both = Lockstep()
        raised = both.run(
            lambda: repeated(lambda: rename(people, "Ann")), lambda: repeated(lambda: rename(people[::-1], "Ben"))
        )

        assert raised == []
        assert both.deadlocks
        assert len(set(Recipient.objects.values_list("name", flat=True))) == 1

    @pytest.mark.parametrize("cause", [DeadlockDetected, SerializationFailure])
    def test_it_is_given_up_in_the_end(self, cause: type[Exception]) -> None:
        assert repeated(failing(TIMES - 1, cause)) == TIMES
        with pytest.raises(OperationalError):
            repeated(failing(TIMES, cause))

    def test_another_error_is_not_repeated(self) -> None:
        with pytest.raises(OperationalError):
            repeated(failing(1, QueryCanceled))

    def test_inside_a_callers_transaction_it_is_theirs_to_repeat(self) -> None:
        with transaction.atomic(), pytest.raises(OperationalError):
            repeated(failing(1, DeadlockDetected))

    def test_an_erasure_is(self) -> None:
        """It locks as a cancel does, but what it scrubs a worker may have, who has no order."""
        person, again = factories.recipient("ann"), failing(1, DeadlockDetected)
        told: list[object] = []

        def victim(*, recipient_id: object, **_: object) -> None:
            told.append(recipient_id)
            again()

        recipient_erased.connect(victim)
        try:
            assert PreferencesService().erase("ann")
        finally:
            recipient_erased.disconnect(victim)

        assert told == [person.pk] * 2
        assert not Recipient.objects.exists()
