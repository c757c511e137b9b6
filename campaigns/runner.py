"""What `run_campaigns` does, as steps a test can call."""

import contextlib
import time

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import Q

from campaigns.errors import WrongState
from campaigns.models import Campaign, CampaignStatus
from campaigns.services import CampaignService, FanOut, Withdraw
from notifications.errors import RecordUnavailable

log = structlog.get_logger(__name__)

#: PostgreSQL is away, or asks to try again: nothing was recorded, and the same step is right later.
OUTAGES = (OperationalError, InterfaceError, RecordUnavailable)
#: Campaigns in one round. More wait for the next round, oldest first.
AT_ONCE = 100
#: Seconds between two looks at a withdrawal that waits for messages a provider holds.
WITHDRAW_AGAIN = 5.0


class Runner:
    """Serves every campaign that has something to do: one chunk each a round, so a large one delays no small one."""

    def __init__(self) -> None:
        self._not_before: dict[int, float] = {}

    def round(self) -> int:
        """One step of each; how much was done in all. Raises one of OUTAGES when PostgreSQL is away."""
        return sum(self._step(id, status) for id, status in self._at_work())

    def _at_work(self) -> list[tuple[int, str]]:
        busy = Q(status=CampaignStatus.SENDING) | Q(status=CampaignStatus.CANCELLED, finished_at=None)
        return list(Campaign.objects.filter(busy).order_by("id").values_list("id", "status")[:AT_ONCE])

    def _step(self, campaign_id: int, status: str) -> int:
        with structlog.contextvars.bound_contextvars(campaign_id=campaign_id):
            if status == CampaignStatus.CANCELLED:
                return self._withdraw(campaign_id)
            try:
                return FanOut(campaign_id).step()
            except OUTAGES:
                raise
            except Exception as error:
                log.exception("campaign_failed")
                self._stop(campaign_id, error)
                return 0

    def _withdraw(self, campaign_id: int) -> int:
        if time.monotonic() < self._not_before.get(campaign_id, 0.0):
            return 0
        done = Withdraw(campaign_id).step()
        if done:
            self._not_before.pop(campaign_id, None)
        else:
            self._not_before[campaign_id] = time.monotonic() + WITHDRAW_AGAIN
        return done

    def _stop(self, campaign_id: int, error: Exception) -> None:
        """One campaign's bug is that campaign's: it pauses with a word on its page, the others go on."""
        kind = "the database refused a row" if isinstance(error, DatabaseError) else type(error).__name__
        with contextlib.suppress(WrongState):  # paused or cancelled by hand in the meantime
            CampaignService().stop_for(campaign_id, f"An unexpected error ({kind}); the log has the details.")
