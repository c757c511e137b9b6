"""What keeps a draft from being sent: each rule is a function in a table, and says the field and what to do."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

from campaigns.errors import DefinitionInvalid
from campaigns.models import Audience, Campaign, CampaignVariant, Recurrence, Schedule, WinnerMetric
from campaigns.models.variant import LABELS
from campaigns.segments import uploads, where
from campaigns.segments.models import ListUpload
from campaigns.segments.services import lists_of
from campaigns.services.timing import first_moment
from notifications.choices import Channel
from notifications.models import MessageTemplate, TemplateVersion
from notifications.services import template_checks
from preferences.choices import Purpose

#: A field of the campaign, and a sentence.
Problem = tuple[str, str]
Rule = Callable[[Campaign, list[CampaignVariant], datetime], Iterator[Problem]]

#: A moment may be this far away: a mistyped year is no plan.
_FARTHEST = timedelta(days=2 * 366)


def problems(campaign: Campaign, now: datetime | None = None) -> list[Problem]:
    """Everything that has to be put right first; empty when it may be sent."""
    variants = list(campaign.variants.select_related("template")) if campaign.pk else []
    now = now or datetime.now(UTC)
    return [problem for rule in RULES for problem in rule(campaign, variants, now)]


def _has_words(campaign: Campaign, variants: list[CampaignVariant], now: datetime) -> Iterator[Problem]:
    """Published, and on every channel that is asked for."""
    for field, template in _templates(campaign, variants):
        published = _channels(template)
        if published is None:
            yield field, f"The template “{template}” has no published version. Publish one first."
            continue
        silent = [Channel(channel).label for channel in campaign.named_channels if channel not in published]
        if silent:
            yield field, f"“{template}” has no words for {' and '.join(silent)}."
        elif not campaign.named_channels and not published.intersection(campaign.category.channels):
            yield field, f"“{template}” has no words for any channel of “{campaign.category}”."


def _way_out(campaign: Campaign, variants: list[CampaignVariant], now: datetime) -> Iterator[Problem]:
    """Marketing email has a link to unsubscribe, whatever its template says it is for."""
    if campaign.category.purpose != Purpose.MARKETING or Channel.EMAIL not in campaign.lanes[0]:
        return
    for field, template in _templates(campaign, variants):
        version = campaign.template_version if field == "template" else None
        if (version := version or template.published) is None:
            continue
        found = template_checks.problems(
            version.content,
            purpose=Purpose.MARKETING,
            variables=template.variables,
            default_locale=template.default_locale,
        )
        if any(error.code == template_checks.NO_UNSUBSCRIBE for error in found):
            yield field, f"“{template}” has no link to unsubscribe, which marketing email needs. Publish one that has."


def _templates(campaign: Campaign, variants: list[CampaignVariant]) -> list[tuple[str, MessageTemplate]]:
    return [("template", campaign.template), *(("variants", variant.template) for variant in variants)]


def _channels(template: MessageTemplate) -> set[str] | None:
    """Asked of the database: what a process remembers of a publication may be some seconds old."""
    version = TemplateVersion.objects.filter(pk__in=MessageTemplate.objects.filter(pk=template.pk).values("published"))
    content = version.values_list("content", flat=True).first()
    return None if content is None else set(content.get(template.default_locale, {}))


def _audience(campaign: Campaign, variants: list[CampaignVariant], now: datetime) -> Iterator[Problem]:
    """What it names is chosen, and still means something."""
    if campaign.audience == Audience.SEGMENT and campaign.segment is None:
        yield "segment", "Choose the segment it goes to."
    if campaign.audience == Audience.SAVED_LIST and campaign.saved_list is None:
        yield "saved_list", "Choose the list it goes to."
    excluded = campaign.exclude_segments.all() if campaign.pk else ()
    named = [("segment", campaign.segment), *(("exclude_segments", segment) for segment in excluded)]
    for field, segment in named:
        try:
            where(segment.definition if segment else {})
        except DefinitionInvalid as error:
            yield field, f"The segment “{segment}” has to be put right first: {error}"


def unsettled(campaign: Campaign) -> Iterator[Problem]:
    """Who is on a list whose file is still being read, or was given up halfway, is not known: too few would get it, or
    people it leaves out."""
    named = _lists(campaign)
    for upload in uploads.unsettled(id for _, ids in named for id in ids):
        field = next(field for field, ids in named if upload.list_id in ids)
        yield field, _stopped(upload) if upload.is_partial else _under_way(upload)


def _under_way(upload: ListUpload) -> str:
    so_far = f"is still being read from the file “{upload.file_name}”, {upload.percent}% so far"
    return f"The list “{upload.list}” {so_far}. Wait until it is finished; the page of the list shows how far it is."


def _stopped(upload: ListUpload) -> str:
    halfway = f"has only a part of the file “{upload.file_name}”, which was not read to its end"
    then = "Upload the rest, and say on the page of that file that the list is right."
    return f"The list “{upload.list}” {halfway}. {then}"


def _lists_settled(campaign: Campaign, variants: list[CampaignVariant], now: datetime) -> Iterator[Problem]:
    yield from unsettled(campaign)


def _lists(campaign: Campaign) -> list[tuple[str, set[int]]]:
    """The lists that its audience depends on, by the field that names them."""
    named: list[tuple[str, set[int]]] = []
    if campaign.audience == Audience.SAVED_LIST and campaign.saved_list_id is not None:
        named.append(("saved_list", {campaign.saved_list_id}))
    if campaign.audience == Audience.SEGMENT and campaign.segment is not None:
        named.append(("segment", lists_of(campaign.segment.definition)))
    if campaign.pk:
        named.append(("exclude_lists", set(campaign.exclude_lists.values_list("pk", flat=True))))
        named += [("exclude_segments", lists_of(one.definition)) for one in campaign.exclude_segments.all()]
    return named


def _moment(campaign: Campaign, variants: list[CampaignVariant], now: datetime) -> Iterator[Problem]:
    """The schedule has what it needs, and lies ahead."""
    missing = {
        Schedule.NOW: [],
        Schedule.AT: ["send_at"],
        Schedule.LOCAL: ["local_date", "local_time"],
        Schedule.RECURRING: ["recurrence", "local_time"],
    }[Schedule(campaign.schedule)]
    empty = [field for field in missing if getattr(campaign, field) in (None, "")]
    for field in empty:
        yield field, "Say when: this schedule needs it."
    if empty:
        return
    if campaign.schedule == Schedule.RECURRING:
        yield from _recurrence(campaign)
    moment = first_moment(campaign, now)
    if moment is None and campaign.schedule == Schedule.RECURRING:
        yield "recurs_until", "No occurrence is left before this day."
    elif moment is not None and moment > now + _FARTHEST:
        yield missing[0], "That is more than two years away."
    elif campaign.schedule == Schedule.AT and moment is not None and moment < now:
        yield "send_at", "This moment has passed. Choose a later one, or send as soon as it is launched."
    elif campaign.schedule == Schedule.LOCAL and moment is not None and moment + timedelta(hours=27) < now:
        yield "local_date", "This moment has passed everywhere on earth. Choose a later one."


def _recurrence(campaign: Campaign) -> Iterator[Problem]:
    highest = {Recurrence.WEEKLY: 7, Recurrence.MONTHLY: 31}.get(Recurrence(campaign.recurrence))
    if highest and not campaign.recurs_on:
        yield "recurs_on", "Choose at least one day."
    elif highest and not all(1 <= day <= highest for day in campaign.recurs_on):
        yield "recurs_on", f"Days are numbers from 1 to {highest}."
    if campaign.recurrence_zone not in available_timezones():
        yield "recurrence_zone", f"There is no time zone “{campaign.recurrence_zone}”. Write it like Europe/Berlin."


def _local_alone(campaign: Campaign, variants: list[CampaignVariant], now: datetime) -> Iterator[Problem]:
    """What waits for a result can't be at everybody's own hour, too: the first results come a day before the last."""
    if campaign.schedule == Schedule.LOCAL and campaign.canary_percent:
        yield "canary_percent", "Local times can't be combined with sending to a first few: choose one of the two."
    if campaign.schedule == Schedule.LOCAL and variants and campaign.test_percent < 100:
        yield "test_percent", "Local times can't be combined with a winner: let the variants go to 100 percent."


def _variants(campaign: Campaign, variants: list[CampaignVariant], now: datetime) -> Iterator[Problem]:
    """Two to four, whose parts make a whole, and a way to choose between them where somebody waits for the winner."""
    if not variants:
        return
    if not 2 <= len(variants) <= len(LABELS):
        yield "variants", f"A test needs two to {len(LABELS)} variants."
    total = sum(variant.weight for variant in variants)
    if total != 100:
        yield "variants", f"The parts of the variants add up to {total} percent; they must make 100."
    category = campaign.category
    unseen = {
        WinnerMetric.OPENED: not category.track_opens and "open",
        WinnerMetric.CLICKED: not category.track_clicks and "click",
    }
    kind = unseen.get(WinnerMetric(campaign.winner_metric))
    if campaign.test_percent < 100 and kind:
        yield "winner_metric", f"The category “{category}” doesn't count {kind}s, so they can't choose the winner."


#: In the order of the form.
RULES: tuple[Rule, ...] = (_has_words, _way_out, _audience, _lists_settled, _moment, _local_alone, _variants)
