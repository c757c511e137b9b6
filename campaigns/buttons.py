"""The buttons of a campaign's page: which there are in a state, and who may press them. The services ask again."""

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.models import User

from campaigns.models import Campaign, CampaignStatus
from campaigns.services import CampaignService

_S = CampaignStatus
_PUT_AWAY = frozenset({_S.DRAFT, _S.COMPLETED, _S.CANCELLED})

Ask = Callable[[Campaign, User], bool]


def _has(*permissions: str) -> Ask:
    """Whether they have one of these."""
    return lambda campaign, user: any(user.has_perm(f"campaigns.{one}_campaign") for one in permissions)


def _may_approve(campaign: Campaign, user: User) -> bool:
    return CampaignService().may_approve(campaign, user)


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """`name` is its address, `campaign-<name>`. One that `asks` leads to a page with a question; the others act at
    once. `tone` is how it looks: primary, danger, stop, or plain."""

    name: str
    label: str
    icon: str
    states: frozenset[CampaignStatus]
    may: Ask
    asks: bool = False
    tone: str = ""
    archived: bool | None = None

    @property
    def url_name(self) -> str:
        return f"campaign-{self.name}"

    def is_for(self, campaign: Campaign) -> bool:
        """Whether the campaign is where it can be pressed."""
        is_archived = campaign.archived_at is not None
        return campaign.status in self.states and self.archived in (None, is_archived)


#: In the order of the page.
BUTTONS: tuple[Button, ...] = (
    Button(name="duplicate", label="Duplicate", icon="content_copy", states=frozenset(_S), may=_has("add", "change")),
    Button(name="archive", label="Archive", icon="archive", states=_PUT_AWAY, may=_has("change"), archived=False),
    Button(name="unarchive", label="Take out of the archive", icon="unarchive", states=_PUT_AWAY, may=_has("change"),
           archived=True),
    Button(name="reopen", label="Open for editing", icon="edit", may=_has("change"),
           states=frozenset({_S.IN_REVIEW, _S.APPROVED, _S.SCHEDULED})),
    Button(name="cancel", label="Cancel…", icon="block", asks=True, tone="danger", may=_has("operate"),
           states=frozenset({_S.SCHEDULED, _S.SENDING, _S.PAUSED, _S.COMPLETED})),
    Button(name="send-back", label="Send back…", icon="undo", asks=True, may=_has("approve"),
           states=frozenset({_S.IN_REVIEW})),
    Button(name="submit", label="Submit for review", icon="rate_review", tone="primary", may=_has("submit"),
           states=frozenset({_S.DRAFT}), archived=False),
    Button(name="approve", label="Approve", icon="task_alt", tone="primary", may=_may_approve,
           states=frozenset({_S.IN_REVIEW})),
    Button(name="launch", label="Send…", icon="send", asks=True, tone="primary", may=_has("operate"),
           states=frozenset({_S.APPROVED})),
    Button(name="resume", label="Resume", icon="play_arrow", tone="primary", may=_has("operate"),
           states=frozenset({_S.PAUSED})),
    Button(name="pause", label="Pause now", icon="pause", tone="stop", may=_has("operate"),
           states=frozenset({_S.SENDING, _S.COMPLETED})),
)  # fmt: skip

BY_NAME = {one.name: one for one in BUTTONS}


def buttons(campaign: Campaign, user: User) -> list[Button]:
    """Those that this user may press now."""
    return [one for one in BUTTONS if one.is_for(campaign) and one.may(campaign, user)]


def waits_for(campaign: Campaign, user: User) -> str:
    """Why a campaign does not go on although this user looks at it: whose turn it is, in a sentence."""
    pressable = {one.name for one in buttons(campaign, user)}
    if campaign.status == _S.IN_REVIEW and "approve" not in pressable:
        if user.has_perm("campaigns.approve_campaign"):
            return "It goes to many people, so somebody who did not write it must approve it."
        return "It waits for somebody who may approve campaigns."
    if campaign.status == _S.APPROVED and "launch" not in pressable:
        return "It is approved, and waits for somebody who may send campaigns."
    if campaign.status == _S.DRAFT and "submit" not in pressable:
        return "It is still being written."
    return ""
