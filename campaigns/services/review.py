"""From a draft to an approval: who made it does not check it, unless it goes to few people."""

import contextlib
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Now

from campaigns.errors import NotAllowed, NotReady, WrongState
from campaigns.models import Action, Campaign, CampaignStatus
from campaigns.services.fingerprint import fingerprint
from campaigns.services.steps import Steps, may
from notifications.models import MessageTemplate

_S = CampaignStatus
#: `problem` is why it waited, if it did.
_UNCHECKED: dict[str, Any] = {"approved_by": None, "approved_at": None, "approved_hash": "", "problem": ""}


class Review(Steps):
    """Submit, approve, send back, open again."""

    def check(self, campaign: Campaign) -> None:
        """Raise WrongState or NotReady unless it could be submitted."""
        if campaign.status != _S.DRAFT:
            raise WrongState(f"This campaign is {campaign.get_status_display().lower()} already.")
        self.ready(campaign)

    def submit(self, campaign_id: int, *, by: User | None = None) -> Campaign:
        """Ask for the approval. The wording is pinned to the versions published now; NotReady says what is missing."""
        self.allow(by, "submit")
        with transaction.atomic():
            campaign = self.locked(campaign_id, _S.DRAFT)
            self.ready(campaign)
            if not (size := self.people(campaign)):
                raise NotReady("There is nobody in this audience.")
            campaign.variants.update(template_version_id=_published("template_id"))
            return self.move(
                campaign_id, Action.SUBMITTED, _S.IN_REVIEW, (_S.DRAFT,),
                by=by, detail={"people": size},
                template_version_id=_published("template_id"), submitted_by=by, submitted_at=Now(), review_note="",
                audience_size=size, **_UNCHECKED,
            )  # fmt: skip

    def approve(self, campaign_id: int, *, by: User | None = None) -> Campaign:
        """Let it go out as it is now. To more than CAMPAIGN_REVIEW_ABOVE people somebody else has to say so."""
        with transaction.atomic():
            campaign = self.locked(campaign_id, _S.IN_REVIEW)
            self.settled(campaign)
            size = self.people(campaign)
            self._may_approve(campaign, size, by)
            return self.move(
                campaign_id, Action.APPROVED, _S.APPROVED, (_S.IN_REVIEW,),
                by=by, detail={"people": size},
                approved_by=by, approved_at=Now(), approved_hash=fingerprint(campaign), audience_size=size,
            )  # fmt: skip

    def send_back(self, campaign_id: int, note: str, *, by: User | None = None) -> Campaign:
        """A draft again, with a word on what is to be changed."""
        self.allow(by, "approve")
        if not note.strip():
            raise NotReady("Say what is to be changed.")
        values: dict[str, Any] = {"review_note": note.strip(), **_UNCHECKED}
        return self.move(
            campaign_id, Action.SENT_BACK, _S.DRAFT, (_S.IN_REVIEW,), by=by, detail={"note": note.strip()}, **values
        )

    def reopen(self, campaign_id: int, *, by: User | None = None) -> Campaign:
        """A draft again, to be changed; it has to be reviewed anew. Nothing has been handed out yet."""
        self.allow(by, "change")
        since = (_S.IN_REVIEW, _S.APPROVED, _S.SCHEDULED)
        return self.move(campaign_id, Action.REOPENED, _S.DRAFT, since, by=by, starts_at=None, **_UNCHECKED)

    def changed(self, campaign: Campaign) -> bool:
        """Whether it is no longer what was approved; then it is in review again. Call it with the row held."""
        if campaign.approved_hash == fingerprint(campaign):
            return False
        self.move(
            campaign.pk, Action.CHANGED, _S.IN_REVIEW, (_S.APPROVED, _S.SCHEDULED),
            starts_at=None, review_note="Something was changed after the approval.", **_UNCHECKED,
        )  # fmt: skip
        return True

    def unfit(self, campaign_id: int, why: str) -> None:
        """In review again, as it can't start the way it is; nothing where it is elsewhere by now."""
        with contextlib.suppress(WrongState):
            self.move(
                campaign_id, Action.CHANGED, _S.IN_REVIEW, (_S.SCHEDULED,),
                detail={"problem": why}, starts_at=None, review_note=why, **_UNCHECKED,
            )  # fmt: skip

    def may_approve(self, campaign: Campaign, by: User) -> bool:
        """Whether `approve` would let them, by the size it was submitted with."""
        try:
            self._may_approve(campaign, campaign.audience_size, by)
        except NotAllowed:
            return False
        return True

    def _may_approve(self, campaign: Campaign, size: int, by: User | None) -> None:
        if by is None:
            return
        limit: int = settings.CAMPAIGN_REVIEW_ABOVE
        is_own = by.pk in (campaign.created_by_id, campaign.edited_by_id, campaign.submitted_by_id)
        if size > limit and is_own:
            raise NotAllowed(
                f"It goes to more than {limit:,} people, so somebody who did not write it must approve it."
            )
        if not (may(by, "approve") or (is_own and may(by, "submit"))):
            raise NotAllowed("Only campaign approvers may do that.")


def _published(template: str) -> Subquery:
    """The version of the row's template that is published at this moment."""
    return Subquery(MessageTemplate.objects.filter(pk=OuterRef(template)).values("published")[:1])
