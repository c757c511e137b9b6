"""What `run_campaigns` does, as steps a test can call."""

import contextlib
import time

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import Q
from django.db.models.functions import Now

from campaigns.errors import WrongState
from campaigns.models import Campaign, CampaignStatus
from campaigns.services import CampaignService, FanOut, Withdraw
from campaigns.services.preparation import forget
from campaigns.services.recurring import begin
from notifications.errors import RecordUnavailable

log = structlog.get_logger(__name__)

#: PostgreSQL is away, or asks to try again: nothing was recorded, and the same step is right later.
OUTAGES = (OperationalError, InterfaceError, RecordUnavailable)
#: SQLSTATE: connection exceptions, too many connections, and the server's own shutdown, crash and start.
_GONE = ("08", "53300", "57P")
#: Campaigns in one round. More wait for the next round, oldest first.
AT_ONCE = 100
#: Seconds between two looks at a withdrawal that waits for messages a provider holds.
WITHDRAW_AGAIN = 5.0
#: Seconds until a campaign whose statement was cancelled is tried again, doubling from the first to the second. A
#: cancelled statement has cost up to DATABASE_STATEMENT_TIMEOUT_MS, in which no other campaign moved.
SLOW_AGAIN = (10.0, 900.0)

#: A campaign's id and status: what is to be done for it.
Work = tuple[int, str]


class Runner:
    """Serves every campaign that has something to do: one chunk each a round, so a large one delays no small one."""

    def __init__(self) -> None:
        # By what is to be done, too: a cancel does not wait for what a hand-out was put off for.
        self._not_before: dict[Work, float] = {}
        self._slow: dict[Work, float] = {}

    def round(self) -> int:
        """One step of each; how much was done in all. Raises one of OUTAGES when PostgreSQL is away."""
        return sum(self._step(work) for work in self._at_work())

    def _at_work(self) -> list[Work]:
        now = time.monotonic()
        self._not_before = {work: moment for work, moment in self._not_before.items() if moment > now}
        held = {status: [id for id, held in self._not_before if held == status] for status in CampaignStatus.values}
        sending = Q(status=CampaignStatus.SENDING) & ~Q(pk__in=held[CampaignStatus.SENDING])
        unfinished = Q(finished_at=None) | Q(prepared_to__isnull=False)
        withdrawn = unfinished & Q(status=CampaignStatus.CANCELLED) & ~Q(pk__in=held[CampaignStatus.CANCELLED])
        due = Q(status=CampaignStatus.SCHEDULED, starts_at__lte=Now()) & ~Q(pk__in=held[CampaignStatus.SCHEDULED])
        # Targets of what is over are not needed any more.
        over = Q(status=CampaignStatus.COMPLETED, prepared_to__isnull=False) & ~Q(pk__in=held[CampaignStatus.COMPLETED])
        busy = Campaign.objects.filter(sending | withdrawn | due | over).order_by("id")
        return list(busy.values_list("id", "status")[:AT_ONCE])

    def _step(self, work: Work) -> int:
        campaign_id, status = work
        with structlog.contextvars.bound_contextvars(campaign_id=campaign_id):
            try:
                done = self._do(work)
            except OUTAGES as error:
                if not _answered(error):
                    raise
                self._put_off(work, error)
                return 0
            except Exception as error:
                log.exception("campaign_failed")
                if status == CampaignStatus.SENDING:
                    self._stop(campaign_id, error)
                else:  # nothing is under way to be paused
                    self._put_off(work, error)
                return 0
            self._slow.pop(work, None)
            return done

    def _do(self, work: Work) -> int:
        campaign_id, status = work
        match CampaignStatus(status):
            case CampaignStatus.CANCELLED:
                return self._withdraw(work)
            case CampaignStatus.SCHEDULED:
                return int(begin(campaign_id))
            case CampaignStatus.COMPLETED:
                return forget(campaign_id)
            case _:
                return FanOut(campaign_id).step()

    def _withdraw(self, work: Work) -> int:
        done = Withdraw(work[0]).step() or forget(work[0])
        if not done:
            self._not_before[work] = time.monotonic() + WITHDRAW_AGAIN
        return done

    def _put_off(self, work: Work, error: Exception) -> None:
        """This campaign waits, longer each time; the others go on."""
        seconds = self._slow.get(work, SLOW_AGAIN[0])
        self._slow[work] = min(seconds * 2, SLOW_AGAIN[1])
        self._not_before[work] = time.monotonic() + seconds
        log.warning("campaign_put_off", error=type(error.__cause__ or error).__name__, seconds=seconds)

    def _stop(self, campaign_id: int, error: Exception) -> None:
        """One campaign's bug is that campaign's: it pauses with a word on its page, the others go on."""
        kind = "the database refused a row" if isinstance(error, DatabaseError) else type(error).__name__
        with contextlib.suppress(WrongState):  # paused or cancelled by hand in the meantime
            CampaignService().stop_for(campaign_id, f"An unexpected error ({kind}); the log has the details.")


def _answered(error: Exception) -> bool:
    """Whether PostgreSQL refused this statement and would take another: it ran for too long, met a lock, found no room.
    Not so when the connection is lost, which has no SQLSTATE or one of the classes below."""
    sqlstate: str | None = getattr(error.__cause__, "sqlstate", None)
    return sqlstate is not None and not sqlstate.startswith(_GONE)
