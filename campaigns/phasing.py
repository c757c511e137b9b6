"""Where a started campaign is among its phases, in words: what runs, until when, and why it went as it did."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.formats import date_format

from analytics.selectors import Tallies
from campaigns.choices import PHASES
from campaigns.models import Action, Campaign, CampaignEvent, CampaignStatus, Phase, WinnerMetric
from notifications.choices import EventType

#: What people did, by the metric that counts it.
DID = {WinnerMetric.OPENED.value: "opened", WinnerMetric.CLICKED.value: "clicked", WinnerMetric.NONE.value: "clicked"}


@dataclass(frozen=True, slots=True)
class FirstFew:
    """The messages to the first few: queued, sent, failed (what bounced was sent before), and ended one way or
    another."""

    queued: int
    sent: int
    failed: int
    ended: int

    @classmethod
    def of(cls, tallies: Tallies) -> "FirstFew":
        """As long as nobody else has had their turn."""
        sent = tallies.total(EventType.SENT)
        return cls(
            queued=tallies.total("queued"),
            sent=sent,
            failed=tallies.total(EventType.FAILED, EventType.BOUNCED, EventType.DEAD),
            ended=sent + tallies.total(EventType.FAILED, EventType.DEAD),
        )

    @property
    def share(self) -> float:
        """Percent that failed of those that ended."""
        return self.failed * 100 / self.ended if self.ended else 0.0


def phase(campaign: Campaign, tallies: Tallies) -> dict[str, Any] | None:
    """{"steps": [{"key", "label", "about", "state": done, now or next}], "text", "until": when it goes on by itself};
    None for a campaign that goes to everybody at once."""
    has_test = campaign.test_percent < 100 and campaign.variants.exists()
    steps = [one for one in PHASES if one == Phase.REST or _has(campaign, one, has_test=has_test)]
    if len(steps) == 1 and len(campaign.waves) < 2:
        return None
    is_over = campaign.status in (CampaignStatus.COMPLETED, CampaignStatus.CANCELLED)
    now = Phase(campaign.phase)
    return {
        "steps": [
            {
                "key": one.value,
                "label": str(one.label),
                "about": _about(campaign, one),
                "state": _state(one, now, is_over=is_over),
            }
            for one in steps
        ],
        "text": "" if campaign.status == CampaignStatus.CANCELLED else _TEXTS[now](campaign, tallies),
        "until": _until(campaign),
    }


def _has(campaign: Campaign, phase: Phase, *, has_test: bool) -> bool:
    return campaign.canary_percent > 0 if phase == Phase.CANARY else has_test


def _state(phase: Phase, now: Phase, *, is_over: bool) -> str:
    if phase == now:
        return "done" if is_over else "now"
    return "done" if PHASES.index(phase) < PHASES.index(now) else "next"


def _until(campaign: Campaign) -> str | None:
    """The moment until which it waits, while it does."""
    if campaign.status != CampaignStatus.SENDING:
        return None
    return campaign.held_until.isoformat() if campaign.held_until else None


def _about(campaign: Campaign, phase: Phase) -> str:
    match phase:
        case Phase.CANARY:
            return f"{campaign.canary_percent}% of the people; at most {campaign.canary_max_failures}% may fail"
        case Phase.TEST:
            did = {WinnerMetric.OPENED: "most opens win", WinnerMetric.CLICKED: "most clicks win"}
            return (
                f"{campaign.test_percent}% of the people; {did.get(WinnerMetric(campaign.winner_metric), 'you choose')}"
            )
        case Phase.REST:
            waves = len(campaign.waves)
            return f"hour by hour, {waves} in all" if waves > 1 else "all who have had no turn yet"


def _canary(campaign: Campaign, tallies: Tallies) -> str:
    bound = f"at most {campaign.canary_max_failures}% of their messages failed"
    if campaign.held_until is None:
        return f"It goes to the first few. Then it waits {_span(campaign.canary_minutes)}, and goes on if {bound}."
    few = FirstFew.of(tallies)
    so_far = f"{few.share:.1f}% of {few.ended:,} so far" if few.ended else "none has left so far"
    if campaign.status == CampaignStatus.PAUSED:
        return f"The first few have it. It is paused; once it is resumed it goes on if {bound}: {so_far}."
    return f"The first few have it. It goes on by itself at {_clock(campaign.held_until)} if {bound}: {so_far}."


def _test(campaign: Campaign, tallies: Tallies) -> str:
    if campaign.winner_id is not None:
        return _won(campaign)
    chooses = campaign.winner_metric == WinnerMetric.NONE
    then = (
        "Then somebody chooses the wording for everybody else"
        if chooses
        else f"Then the wording that most people {DID[campaign.winner_metric]} goes to everybody else"
    )
    if campaign.held_until is None:
        return f"The wordings go out to be tried. {then}, {_span(campaign.decide_after_minutes)} after the last."
    if campaign.status == CampaignStatus.PAUSED and chooses:
        return "The test is over. Choose a wording below; then Resume sends it to everybody else."
    return f"The wordings are tried until {_clock(campaign.held_until)}. {then}."


def _rest(campaign: Campaign, tallies: Tallies) -> str:
    if campaign.winner_id is not None:
        return _won(campaign)
    if len(campaign.waves) > 1:
        return _wave(campaign)
    if campaign.canary_percent and campaign.status == CampaignStatus.SENDING:
        return "The first few had it. Everybody else gets it now."
    return ""


def _wave(campaign: Campaign) -> str:
    if campaign.status == CampaignStatus.COMPLETED:
        return f"Everybody had it at their own hour, {len(campaign.waves)} in all."
    at = campaign.waves[campaign.wave]
    return f"Hour {campaign.wave + 1} of {len(campaign.waves)}: those whose clock shows the time at {_clock(at)}."


_TEXTS: dict[Phase, Callable[[Campaign, Tallies], str]] = {
    Phase.CANARY: _canary,
    Phase.TEST: _test,
    Phase.REST: _rest,
}


def _won(campaign: Campaign) -> str:
    """Who chose which wording, when, and by which figures."""
    chosen = CampaignEvent.objects.filter(campaign_id=campaign.pk, action=Action.WINNER).order_by("-id").first()
    winner = campaign.winner
    if chosen is None or winner is None:
        return ""
    did = DID[campaign.winner_metric]
    counted = chosen.detail.get("variants", {})
    shares = [
        f"{label} {_share(of.get(did, 0), of.get('people', 0))}"
        for label, of in sorted(counted.items(), key=lambda item: item[0] != winner.label)
    ]
    by = f"{chosen.actor_name} chose" if chosen.actor_name else "The test chose"
    rest = "everybody else got it" if campaign.status == CampaignStatus.COMPLETED else "everybody else gets it"
    who = f"{by} {winner.label}, “{winner.template}”, at {_clock(chosen.at)}; {rest}."
    return f"{who} {did.capitalize()} by then: {', '.join(shares)}."


def _share(did: int, people: int) -> str:
    return f"{did * 100 / people:.1f}% of {people:,}" if people else "nobody"


def _clock(at: datetime) -> str:
    return f"{date_format(at, 'j M, H:i')} UTC"


def _span(minutes: int) -> str:
    if minutes % 60 or minutes < 60:
        return f"{minutes} {'minute' if minutes == 1 else 'minutes'}"
    hours = minutes // 60
    return f"{hours} {'hour' if hours == 1 else 'hours'}"
