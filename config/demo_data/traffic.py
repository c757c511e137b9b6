"""A made-up day of a made-up shop: a steady, varied stream of notifications, so that a demo has something to show.

Everything goes through the services that a real caller would use. The people are the demo's, with their missing
addresses and opt-outs; the failures are the simulator's. What is repeated, scheduled or late is so by dice.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from campaigns.models import Audience, Campaign
from campaigns.services import AudienceService, CampaignService
from config.demo_data import people
from notifications.drafts import MAX_DRAFTS, Draft
from notifications.models import ApiKey, MessageTemplate
from notifications.services import api_keys
from notifications.services.notification import NotificationService
from preferences.models import Category, Recipient

#: Share of messages that a caller sends twice, by mistake: they are skipped as duplicates.
REPEATED = 0.015
#: Share of the reminders that are for later, of the payments that are worth nothing after a while, and that while.
SCHEDULED, LATE, EXPIRY = 0.25, 0.1, timedelta(seconds=20)
#: People in one of the demo's campaigns, and how many campaigns are kept in its list.
CAMPAIGN_SIZE = 400
_ITEMS = ("The blue lamp", "Two wool socks", "A teapot", "The folding bicycle", "Garden chairs", "A very long scarf")
_NAMES = ("Ada", "Kofi", "Mika", "Pia", "Sami", "Tara")
_POSTS = ("Kettles of the world", "Why I only wear blue", "A scarf for the moon")
_WORDS = ("Well said!", "I doubt it.", "Where did you buy yours?", "Mine is older than {}.", "Page {} says otherwise.")
_QUESTIONS = ("the spring campaign", "a refund of €{}", "{} new lamps for the shop")
_CAMPAIGNS = ("Weekly offer", "Last chance: everything blue", "New this month", "For those who came back")

Dice = random.Random


def _order(dice: Dice) -> dict[str, object]:
    return {"order": f"A-{dice.randrange(10_000, 99_999)}", "eta": dice.choice(("today", "tomorrow", "on Friday"))}


def _payment(dice: Dice) -> dict[str, object]:
    return {**_order(dice), "amount": f"€{dice.randrange(500, 24_900) / 100:.2f}"}


def _arrival(dice: Dice) -> dict[str, object]:
    hour = dice.randrange(8, 18)
    return {**_order(dice), "window": f"{hour}:00 and {hour + 2}:00"}


def _appointment(dice: Dice) -> dict[str, object]:
    return {"time": f"{dice.randrange(8, 18)}:{dice.choice(('00', '30'))}", "place": dice.choice(("the shop", "home"))}


def _talk(dice: Dice) -> dict[str, object]:
    return {"who": dice.choice(_NAMES), "item": dice.choice(_ITEMS), "thread": dice.randrange(100_000)}


def _comment(dice: Dice) -> dict[str, object]:
    words = dice.choice(_WORDS).format(dice.randrange(2, 90))
    return {"who": dice.choice(_NAMES), "post": dice.choice(_POSTS), "words": words}


def _request(dice: Dice) -> dict[str, object]:
    what = dice.choice(_QUESTIONS).format(dice.randrange(10, 99))
    return {"who": dice.choice(_NAMES), "what": what, "request": f"R-{dice.randrange(100_000)}"}


def _code(dice: Dice) -> dict[str, object]:
    return {"code": f"{dice.randrange(1_000_000):06}"}


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of message: which service sends it, about what, how often among a hundred, and which of its data names
    what its items in the inbox are about, so that they make a bundle."""

    service: str
    category: str
    template: str
    weight: float
    data: Callable[[Dice], dict[str, object]]
    bundle: str = ""


COMMENT = Kind("Forum", "comments", "new-comment", 12, _comment, bundle="post")
APPROVAL = Kind("Office", "approvals", "approval-request", 1, _request)
KINDS: Sequence[Kind] = (
    Kind("Shop", "orders", "order-shipped", 22, _order),
    Kind("Shop", "orders", "out-for-delivery", 14, _arrival),
    Kind("Billing", "payments", "payment-received", 15, _payment),
    Kind("Billing", "payments", "card-refused", 3, _payment),
    Kind("Accounts", "security", "security-code", 14, _code),
    Kind("Booking", "reminders", "appointment", 9, _appointment),
    Kind("Shop", "reminders", "basket", 5, _talk),
    Kind("Forum", "community", "reply", 14, _talk),
    Kind("Shop", "product-news", "what-is-new", 4, _talk),
    Kind("Shop", "courier", "at-your-door", 2, _order),
    COMMENT,
    APPROVAL,
)


class Traffic:
    """The stream. The same seed makes the same messages to the same people."""

    def __init__(self, *, per_second: float, seed: int = 1) -> None:
        self.per_second = per_second
        self._dice = Dice(seed)
        self._owed = 0.0
        self._campaigns = 0
        self._sources = {name: f"api:{_prefix(name)}" for name in dict.fromkeys(kind.service for kind in KINDS)}

    def step(self, now: float, seconds: float) -> int:
        """Send what is due for the last `seconds`, at the time `now` in seconds; how many notifications."""
        self._owed += self.per_second * seconds * tide(now) * self._dice.uniform(0.6, 1.4)
        number = min(int(self._owed), MAX_DRAFTS)
        self._owed -= int(self._owed)
        by_source: dict[str, list[Draft]] = {}
        for kind in self._dice.choices(KINDS, [kind.weight for kind in KINDS], k=number):
            by_source.setdefault(self._sources[kind.service], []).extend(self._drafts(kind))
        service = NotificationService()
        return sum(len(service.send(drafts[:MAX_DRAFTS], source=source)) for source, drafts in by_source.items())

    def talk(self) -> int:
        """Some comments on one post of the demo's visitor: a bundle in the inbox, elsewhere lines of a digest."""
        post = self._dice.choice(_POSTS)
        comments = [{**_comment(self._dice), "post": post} for _ in range(self._dice.randint(2, 4))]
        return self._to_visitor(COMMENT, comments)

    def ask(self) -> int:
        """Ask the demo's visitor for an approval, which goes on to push and email unless it is seen and read."""
        return self._to_visitor(APPROVAL, [_request(self._dice)])

    def _to_visitor(self, kind: Kind, several: Sequence[dict[str, object]]) -> int:
        drafts = [_draft(kind, settings.DEMO_RECIPIENT, data) for data in several]
        return len(NotificationService().send(drafts, source=self._sources[kind.service]))

    def campaign(self) -> Campaign:
        """Start a small campaign to people drawn by lot; `run_campaigns` hands it out."""
        self._campaigns += 1
        name = f"{_CAMPAIGNS[self._campaigns % len(_CAMPAIGNS)]}, {timezone.now():%-d %b %H:%M}"
        template = MessageTemplate.objects.get(slug="weekly-offer")
        category = Category.objects.get(slug="promotions")
        campaign = Campaign.objects.create(name=name, template=template, category=category, audience=Audience.LIST)
        chosen = [f"user-{n}" for n in self._dice.sample(range(1, people.COUNT + 1), CAMPAIGN_SIZE)]
        members = Recipient.objects.filter(external_id__in=chosen).values_list("id", flat=True)
        AudienceService().keep(campaign, list(members))
        return CampaignService().send(campaign.pk)

    def _drafts(self, kind: Kind) -> list[Draft]:
        dice, now = self._dice, timezone.now()
        soon = now + timedelta(seconds=dice.uniform(30, 600))
        draft = _draft(
            kind,
            f"user-{1 + int(people.COUNT * dice.random() ** 1.5)}",  # some are written to more than others
            kind.data(dice),
            send_at=soon if kind.category == "reminders" and dice.random() < SCHEDULED else None,
            # Too late when its turn has not come by then: with a backlog some of them expire.
            expires_at=now + EXPIRY if kind.category == "payments" and dice.random() < LATE else None,
        )
        return [draft, draft] if dice.random() < REPEATED else [draft]


def _draft(
    kind: Kind,
    recipient: str,
    data: dict[str, object],
    *,
    send_at: datetime | None = None,
    expires_at: datetime | None = None,
) -> Draft:
    return Draft(
        recipient=recipient,
        category=kind.category,
        template=kind.template,
        data=data,
        metadata={"in_app": {"group": str(data[kind.bundle])}} if kind.bundle else {},
        send_at=send_at,
        expires_at=expires_at,
    )


def _prefix(service: str) -> str:
    """The prefix of a service's API key, which is made if there is none. Nobody is told its secret."""
    known = ApiKey.objects.filter(name=service, revoked_at=None).values_list("prefix", flat=True).first()
    return known or api_keys.issue(service)[0].prefix


def tide(now: float) -> float:
    """How busy it is, around 1: two waves that are never quite in step, so that no hour looks like the last."""
    return 1 + 0.35 * math.sin(now / 190) + 0.15 * math.sin(now / 37)
