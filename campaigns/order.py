"""In which order a campaign's channels are tried, in words: for its pages and its plan."""

from typing import NamedTuple

from campaigns.models import Campaign
from notifications.choices import Channel, Unless
from notifications.strategies import plan as plans
from notifications.strategies.plan import Plan
from notifications.wording import span
from preferences.services import PreferencesService
from preferences.strategies import asked


class Order(NamedTuple):
    """The channels in their order, and the plan by which they are tried; None where all go out at once."""

    channels: tuple[str, ...]
    plan: Plan | None


def order_of(campaign: Campaign) -> Order:
    """As acceptance will decide it, by the very same rule."""
    slug = campaign.category.slug
    category = PreferencesService().categories([slug])[slug]
    wanted = None if campaign.strategy is None else asked(campaign.strategy)
    version = campaign.template_version or campaign.template.published
    has_words = set(version.content.get(campaign.template.default_locale, {})) if version else set()
    return Order(*plans.choose(wanted, category, campaign.channels or None, has_words))


def turn(order: Order, channel: str) -> str:
    """When a channel has its turn: `at once`, `10 minutes later, unless it is seen by then`."""
    if order.plan is None or channel not in order.channels or not order.plan.position(channel):
        return "at once"
    if order.plan.is_first:
        before = Channel(order.channels[order.plan.position(channel) - 1]).label
        return f"{span(order.plan.wait)} later, if {before} has not delivered"
    step = order.plan.steps[order.plan.position(channel)]
    return f"{span(step.after)} after the start, unless it is {step.unless or Unless.READ.value} by then"


def sentence(campaign: Campaign) -> str:
    """The whole of it, and whose choice it is."""
    order = order_of(campaign)
    whose = "As the category says: " if campaign.strategy is None else ""
    if order.plan is None:
        says = "by all channels at once." if len(order.channels) > 1 else "by one channel."
    elif order.plan.is_first:
        names = ", then ".join(str(Channel(channel).label) for channel in order.channels)
        says = f"one channel after the other until one has delivered: {names}; each has {span(order.plan.wait)}."
    else:
        turns = (f"{Channel(channel).label} {turn(order, channel)}" for channel in order.channels)
        says = f"{'; '.join(turns)}."
    return f"{whose}{says}" if whose else f"{says[0].upper()}{says[1:]}"
