"""The steps of a campaign's life, from the approval on. Each is one guarded UPDATE (`steps`)."""

from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import DateTimeField
from django.db.models.functions import Now, Trunc

from campaigns.errors import NotReady, WrongState
from campaigns.models import Action, Campaign, CampaignStatus, CampaignVariant, Phase, Schedule
from campaigns.models.campaign import CONTENT
from campaigns.services.audience import AudienceService
from campaigns.services.preparation import is_needed
from campaigns.services.review import Review
from campaigns.services.timing import AHEAD, first_moment
from campaigns.services.trail import tell
from core.moments import database_now
from notifications.models import HoldKind
from notifications.services.holds import hold, release

log = structlog.get_logger(__name__)

_S = CampaignStatus
#: Characters of a campaign's name that its copy keeps.
_COPY_NAME = 90
_CHANGED = "Something was changed after the approval, so it is in review again."


class CampaignService(Review):
    """Launch, start, pause, resume, cancel; duplicate and archive. All raise WrongState when the campaign is elsewhere
    by now, and NotAllowed when `by` may not do it; None is the system itself."""

    def schedule_or_start(self, campaign_id: int, *, typed_size: int | None = None, by: User | None = None) -> Campaign:
        """Launch what was approved: it starts, or waits for its moment.

        To more than CAMPAIGN_TYPE_ABOVE people, `typed_size` must repeat `audience_size`. NotReady says what is
        missing, also when it is no longer what was approved; then it is in review again.
        """
        self.allow(by, "operate")
        with transaction.atomic():
            campaign = self.locked(campaign_id, _S.APPROVED)
            self.settled(campaign)
            limit: int = settings.CAMPAIGN_TYPE_ABOVE
            if by is not None and campaign.audience_size > limit and typed_size != campaign.audience_size:
                raise NotReady(f"Type the number of people it goes to, {campaign.audience_size:,}, to send it.")
            moment = None if (changed := self.changed(campaign)) else self._starts_at(campaign)
            if not changed and moment is None:
                if not self.people(campaign):
                    raise NotReady("There is nobody in this audience.")
                return self.started(campaign, by)
            if not changed:
                detail: dict[str, object] = {"starts_at": str(moment)}
                return self.move(
                    campaign_id, Action.SCHEDULED, _S.SCHEDULED, (_S.APPROVED,), by=by, detail=detail, starts_at=moment
                )
        raise NotReady(_CHANGED)

    def send(self, campaign_id: int, *, typed_size: int | None = None, by: User | None = None) -> Campaign:
        """A draft, all the way: submitted, approved and launched, by somebody who may do all three."""
        with transaction.atomic():
            self.submit(campaign_id, by=by)
            self.approve(campaign_id, by=by)
            return self.schedule_or_start(campaign_id, typed_size=typed_size, by=by)

    def start(self, campaign_id: int, *, by: User | None = None) -> Campaign:
        """Start what is scheduled, now that its moment has come. NotReady when it is no longer what was approved, or
        has to wait for a list that is still being read."""
        self.allow(by, "operate")
        with transaction.atomic():
            campaign = self.locked(campaign_id, _S.SCHEDULED)
            if campaign.starts_at is not None and campaign.starts_at > database_now():
                raise WrongState("Its moment has not come yet. Open it for editing to send it sooner.")
            self.settled(campaign)
            if not self.changed(campaign):
                return self.started(campaign, by)
        raise NotReady(_CHANGED)

    def pause(self, campaign_id: int, *, by: User | None = None) -> Campaign:
        """Nothing more leaves for now, handed out or not: workers know within a second, and when this returns no chunk
        is under way. A completed campaign can be paused too, for what is still queued."""
        self.allow(by, "operate")
        with transaction.atomic():
            campaign = self.locked(campaign_id, _S.SENDING, _S.COMPLETED)
            if campaign.started_at is None:
                raise WrongState("This campaign repeats, and is over: pause its occurrences that are under way.")
            since = (_S(campaign.status),)
            paused = self.move(campaign_id, Action.PAUSED, _S.PAUSED, since, by=by, finished_at=None)
            hold(paused.source, HoldKind.HELD)
        return paused

    def resume(self, campaign_id: int, *, by: User | None = None) -> Campaign:
        """Go on behind the last person handed out; who had handed out everything is completed again at once."""
        self.allow(by, "operate")
        with transaction.atomic():
            resumed = self.move(
                campaign_id, Action.RESUMED, _S.SENDING, (_S.PAUSED,), by=by, problem="", paced_from=None
            )
            release(resumed.source)
        return resumed

    def cancel(self, campaign_id: int, *, by: User | None = None) -> Campaign:
        """Hand out nothing more, ever; the runner withdraws what has not left yet (`Withdraw`).

        A completed campaign can be cancelled too, for the part that still waits; a scheduled one has nothing to take
        back, and a recurring one leaves its occurrences alone."""
        self.allow(by, "operate")
        with transaction.atomic():
            campaign = self.locked(campaign_id, _S.SCHEDULED, _S.SENDING, _S.PAUSED, _S.COMPLETED)
            done = Now() if campaign.started_at is None else None
            since = (_S(campaign.status),)
            if campaign.started_at is not None:
                hold(campaign.source, HoldKind.CANCELLED)
            return self.move(
                campaign_id, Action.CANCELLED, _S.CANCELLED, since, by=by, finished_at=done, starts_at=None
            )

    def stop_for(self, campaign_id: int, problem: str) -> None:
        """Pause it because handing out can't go on, and say why on its page."""
        limit = Campaign._meta.get_field("problem").max_length
        problem = problem[:limit]
        detail: dict[str, object] = {"problem": problem}
        with transaction.atomic():
            stopped = self.move(campaign_id, Action.STOPPED, _S.PAUSED, (_S.SENDING,), detail=detail, problem=problem)
            hold(stopped.source, HoldKind.HELD)

    def duplicate(self, campaign_id: int, *, by: User | None = None) -> Campaign:
        """A draft that says the same to the same people; a moment of its own has to be chosen where that has passed."""
        if by is not None and not by.has_perm("campaigns.add_campaign"):
            self.allow(by, "change")
        with transaction.atomic():
            original = Campaign.objects.get(pk=campaign_id)
            copy = copied(original, name=f"{original.name[:_COPY_NAME]} (copy)", created_by=by)
            tell(campaign_id, Action.DUPLICATED, by, {"into": copy.pk})
            tell(copy.pk, Action.CREATED, by, {"from": campaign_id})
        return copy

    def archive(self, campaign_id: int, *, by: User | None = None) -> Campaign:
        """Out of the way: it is over, or was never started."""
        self.allow(by, "change")
        return self._put_away(campaign_id, Action.ARCHIVED, by, is_away=True)

    def unarchive(self, campaign_id: int, *, by: User | None = None) -> Campaign:
        self.allow(by, "change")
        return self._put_away(campaign_id, Action.UNARCHIVED, by, is_away=False)

    def _put_away(self, campaign_id: int, action: Action, by: User | None, *, is_away: bool) -> Campaign:
        still = Campaign.objects.filter(pk=campaign_id, status__in=(_S.DRAFT, _S.COMPLETED, _S.CANCELLED))
        with transaction.atomic():
            if not still.filter(archived_at__isnull=is_away).update(archived_at=Now() if is_away else None):
                campaign = Campaign.objects.get(pk=campaign_id)
                state = campaign.get_status_display().lower()
                raise WrongState(f"This campaign is {state}{' and archived' if campaign.archived_at else ''} already.")
            tell(campaign_id, action, by)
        return Campaign.objects.select_related("template", "category").get(pk=campaign_id)

    def _starts_at(self, campaign: Campaign) -> object:
        """When it is due; None for now."""
        now = database_now()
        moment = first_moment(campaign, now)
        if campaign.schedule == Schedule.RECURRING:
            if moment is None:
                raise NotReady("No occurrence is left. Open it for editing and choose a later end.")
            return moment
        if moment is not None and campaign.schedule == Schedule.LOCAL:
            moment -= AHEAD
        return moment if moment is not None and moment > now else None

    def started(self, campaign: Campaign, by: User | None = None) -> Campaign:
        """From now on the runner hands it out, to the people there are now. Call it with the row held."""
        # Whole milliseconds: the notifications' ids are made from this moment and carry no more than that.
        began = Trunc(Now(), "millisecond", output_field=DateTimeField())
        size = self.people(campaign)
        return self.move(
            campaign.pk, Action.STARTED, _S.SENDING, (_S.APPROVED, _S.SCHEDULED),
            by=by, detail={"people": size}, problem="",
            started_at=began, audience_size=size, upper=self.audience.upper(), phase=first_phase(campaign),
            prepared_at=None if is_needed(campaign) else Now(),
        )  # fmt: skip


def first_phase(campaign: Campaign) -> Phase:
    """Who gets it first."""
    if campaign.canary_percent:
        return Phase.CANARY
    return Phase.TEST if campaign.test_percent < 100 and campaign.variants.exists() else Phase.REST


def copied(original: Campaign, **values: object) -> Campaign:
    """Another campaign with the same content, list and variants."""
    content: dict[str, Any] = {column: getattr(original, column) for column in CONTENT}
    copy = Campaign.objects.create(**{**content, **values})
    CampaignVariant.objects.bulk_create(
        CampaignVariant(
            campaign=copy,
            label=variant.label,
            template_id=variant.template_id,
            template_version_id=variant.template_version_id,
            weight=variant.weight,
        )
        for variant in original.variants.all()
    )
    copy.exclude_segments.set(original.exclude_segments.all())
    copy.exclude_lists.set(original.exclude_lists.all())
    AudienceService().copy(original, copy)
    return copy
