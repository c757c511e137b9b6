"""What comes after what: the first few, the test of the variants, then everybody else, hour by hour where it is local.

Each phase that something hangs on ends with a wait. What it showed then decides: the campaign goes on by itself, or
pauses and leaves it to people; whoever resumes it has seen the figures and lets it go on.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction

from analytics import selectors as analytics
from campaigns.errors import NotReady, WrongState
from campaigns.models import Action, Campaign, CampaignStatus, CampaignVariant, Phase, WinnerMetric
from campaigns.phasing import FirstFew
from campaigns.services.lifecycle import CampaignService
from campaigns.services.timing import AHEAD
from campaigns.services.trail import tell
from campaigns.variants import VariantFigures, best, figures
from core.moments import database_now


class Phases:
    """Moves a sending campaign from phase to phase. Call it with the campaign's row held."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign

    def waits(self) -> bool:
        """Whether nobody is to be handed out now: a phase's results are awaited, or an hour of the day."""
        campaign = self.campaign
        if campaign.held_until is not None and not self._is_decided():
            return campaign.held_until > database_now()
        if campaign.phase == Phase.REST and campaign.waves:
            ahead = timedelta(0) if campaign.throttle_per_minute else AHEAD
            moment: datetime = campaign.waves[campaign.wave]
            return moment - ahead > database_now()
        return False

    def over(self) -> bool:
        """Everyone of this phase has had their turn: wait, or go on; False when that was the last."""
        campaign = self.campaign
        match Phase(campaign.phase):
            case Phase.CANARY:
                self._wait_or(campaign.canary_minutes, self._judge_canary)
            case Phase.TEST:
                self._wait_or(0 if self._is_decided() else campaign.decide_after_minutes, self._judge_test)
            case Phase.REST:
                if campaign.wave + 1 >= len(campaign.waves):
                    return False
                Campaign.objects.filter(pk=campaign.pk).update(wave=campaign.wave + 1, cursor=None)
        return True

    def _is_decided(self) -> bool:
        return self.campaign.phase == Phase.TEST and self.campaign.winner_id is not None

    def _wait_or(self, minutes: int, judge: Callable[[], None]) -> None:
        campaign = self.campaign
        if campaign.held_until is not None or not minutes:
            judge()
            return
        until = database_now() + timedelta(minutes=minutes)
        Campaign.objects.filter(pk=campaign.pk).update(held_until=until)
        tell(campaign.pk, Action.PHASE, detail={"over": campaign.phase, "held_until": until.isoformat()})

    def _judge_canary(self) -> None:
        campaign = self.campaign
        if campaign.started_at is None:
            raise ValueError("A campaign without a start has no first few.")
        tallies = analytics.tallies(since=campaign.started_at, source=campaign.source)
        few = FirstFew.of(tallies)
        detail: dict[str, object] = {"sent": few.sent, "failed": few.failed}
        to = Phase.TEST if campaign.test_percent < 100 and campaign.variants.exists() else Phase.REST
        self._go_on(to, detail)
        if few.queued and not few.ended:
            CampaignService().stop_for(campaign.pk, "Nothing has been sent to the first few yet. Resume to go on.")
        elif few.failed * 100 > campaign.canary_max_failures * few.ended:
            CampaignService().stop_for(
                campaign.pk,
                f"Of the messages to the first few {few.share:.1f}% failed;"
                f" {campaign.canary_max_failures}% is the bound. Resume to go on all the same.",
            )

    def _judge_test(self) -> None:
        campaign = self.campaign
        if campaign.winner_id is None and campaign.winner_metric == WinnerMetric.NONE:
            CampaignService().stop_for(campaign.pk, "The test is over. Choose the winner, then resume.")
            return
        if campaign.winner_id is None:
            found = figures(campaign)
            self._crown(best(found, campaign.winner_metric).variant, None, found)
        self._go_on(Phase.REST, {})

    def _go_on(self, to: Phase, detail: dict[str, object]) -> None:
        campaign = self.campaign
        tell(campaign.pk, Action.PHASE, detail={"from": campaign.phase, "to": to.value, **detail})
        Campaign.objects.filter(pk=campaign.pk).update(phase=to, held_until=None, cursor=None, paced_from=None)

    def _crown(self, winner: CampaignVariant, by: User | None, found: list[VariantFigures]) -> None:
        rates = {
            one.variant.label: {"people": one.people, "opened": one.opened, "clicked": one.clicked} for one in found
        }
        tell(self.campaign.pk, Action.WINNER, by, {"winner": winner.label, "variants": rates})
        Campaign.objects.filter(pk=self.campaign.pk).update(winner=winner, decided_at=database_now())

    def choose(self, label: str, by: User | None) -> None:
        """A person's choice, for everybody who has had no variant yet."""
        campaign = self.campaign
        if not may_choose(campaign):
            raise WrongState("There is no winner to choose any more: everybody has their wording.")
        winner = campaign.variants.filter(label=label).first()
        if winner is None:
            raise NotReady(f"There is no variant {label}.")
        self._crown(winner, by, figures(campaign))


def may_choose(campaign: Campaign) -> bool:
    """Whether somebody waits for a winner that nobody has chosen yet."""
    return campaign.winner_id is None and campaign.phase != Phase.REST and campaign.test_percent < 100


def choose_winner(campaign_id: int, label: str, *, by: User | None = None) -> Campaign:
    """End the test of a campaign's variants with this one. WrongState when there is nothing to choose any more."""
    service = CampaignService()
    service.allow(by, "operate")
    with transaction.atomic():
        campaign = service.locked(campaign_id, CampaignStatus.SENDING, CampaignStatus.PAUSED)
        Phases(campaign).choose(label, by)
    return Campaign.objects.select_related("template", "category").get(pk=campaign_id)
