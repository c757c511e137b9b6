"""What the campaign calls read and answer with. Fields are called as in the admin's form."""

from datetime import date, datetime, time
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from campaigns.models import Audience, CampaignStatus, Phase, Recurrence, Schedule, WinnerMetric
from notifications.api.shapes import StrategyBody
from notifications.choices import Channel, Priority, Strategy

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Slug = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Words = Annotated[str, msgspec.Meta(max_length=100)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
WallTime = Annotated[time, msgspec.Meta(tz=False, description="By the clock on the wall, as in 09:30:00")]
ExternalIds = Annotated[
    list[Annotated[str, msgspec.Meta(min_length=1, max_length=128)]], msgspec.Meta(max_length=50_000)
]
Ids = Annotated[list[int], msgspec.Meta(max_length=50)]
Days = Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=31)]], msgspec.Meta(max_length=31)]


class VariantShape(msgspec.Struct, forbid_unknown_fields=True):
    """A wording to be tried: a template's slug, and the percent of the test that get it."""

    template: Slug
    weight: Annotated[int, msgspec.Meta(ge=1, le=99)]


StrategyOfCampaign = Annotated[
    Strategy | StrategyBody | None,
    msgspec.Meta(description="How its channels are used, as a notification's `strategy`; null: as the category says"),
]
Variants = Annotated[list[VariantShape], msgspec.Meta(max_length=4)]


class CampaignBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A draft to be. `template` and `category` by their slugs, segments and saved lists by their ids; `recipients` by
    external id, for the audience `list`."""

    name: Name
    template: Slug
    category: Slug
    channels: list[Channel] = []
    strategy: StrategyOfCampaign = None
    priority: Priority | None = None
    data: dict[str, Any] = {}
    utm_source: Words = ""
    utm_medium: Words = ""
    utm_campaign: Words = ""
    utm_term: Words = ""
    utm_content: Words = ""
    audience: Audience = Audience.EVERYONE
    segment: int | None = None
    saved_list: int | None = None
    exclude_segments: Ids = []
    exclude_lists: Ids = []
    recipients: ExternalIds = []
    leave_out_unknown: bool = False
    schedule: Schedule = Schedule.NOW
    send_at: Moment | None = None
    local_date: date | None = None
    local_time: WallTime | None = None
    recurrence: Recurrence | None = None
    recurs_on: Days = []
    recurrence_zone: Words = "UTC"
    recurs_until: date | None = None
    throttle_per_minute: Annotated[int, msgspec.Meta(ge=1, le=100_000_000)] | None = None
    canary_percent: Annotated[int, msgspec.Meta(ge=0, le=50)] = 0
    canary_minutes: Annotated[int, msgspec.Meta(ge=1, le=10_080)] = 30
    canary_max_failures: Annotated[int, msgspec.Meta(ge=0, le=100)] = 5
    variants: Variants = []
    test_percent: Annotated[int, msgspec.Meta(ge=1, le=100)] = 100
    winner_metric: WinnerMetric = WinnerMetric.NONE
    decide_after_minutes: Annotated[int, msgspec.Meta(ge=1, le=10_080)] = 240


#: The same, where what is named is changed and the rest stays.
CampaignChange = msgspec.defstruct(
    "CampaignChange",
    [(field.name, field.type | UnsetType, UNSET) for field in msgspec.structs.fields(CampaignBody)],
    namespace={"__doc__": "What is named is changed, the rest stays."},
    forbid_unknown_fields=True,
    kw_only=True,
)


class CampaignBrief(msgspec.Struct, kw_only=True):
    """A campaign in a list. `audience_size` is of when it was submitted, and of its start once it has one."""

    id: int
    name: str
    status: CampaignStatus
    template: str
    category: str
    audience: Audience
    audience_size: int
    schedule: Schedule
    starts_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    archived: bool
    created_by: str | None
    created_at: datetime


class CampaignShape(CampaignBrief, kw_only=True):
    """A campaign. `problem` says why it paused by itself; `review_note` why it was sent back."""

    channels: list[str]
    strategy: StrategyOfCampaign
    segment: int | None
    saved_list: int | None
    exclude_segments: list[int]
    exclude_lists: list[int]
    priority: Priority | None
    data: dict[str, Any]
    utm_source: str
    utm_medium: str
    utm_campaign: str
    utm_term: str
    utm_content: str
    send_at: datetime | None
    local_date: date | None
    local_time: time | None
    recurrence: Recurrence | None
    recurs_on: list[int]
    recurrence_zone: str
    recurs_until: date | None
    throttle_per_minute: int | None
    canary_percent: int
    canary_minutes: int
    canary_max_failures: int
    variants: list[VariantShape]
    test_percent: int
    winner_metric: WinnerMetric
    decide_after_minutes: int
    winner: str | None
    phase: Phase
    held_until: datetime | None
    problem: str
    review_note: str
    submitted_by: str | None
    submitted_at: datetime | None
    approved_by: str | None
    approved_at: datetime | None
    template_version: int | None
    parent: int | None


class CampaignPage(msgspec.Struct):
    """Newest first."""

    results: list[CampaignBrief]
    next_cursor: str | None


class CampaignFilter(msgspec.Struct, forbid_unknown_fields=True):
    """Which campaigns; archived ones only when asked for."""

    status: CampaignStatus | None = None
    archived: bool = False


class LaunchBody(msgspec.Struct, forbid_unknown_fields=True):
    """`people` repeats `audience_size` where the campaign goes to many (CAMPAIGN_TYPE_ABOVE)."""

    people: Annotated[int, msgspec.Meta(ge=0)] | None = None


class SendBackBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be changed."""

    note: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class PlanSkip(msgspec.Struct):
    """Why people are left out on a channel, and how many."""

    label: str
    count: int


class PlanChannel(msgspec.Struct):
    """How many people one channel reaches, and `turn`: when it has its turn, empty where all go out at once. Who has
    been reached by then gets nothing more, so later channels reach fewer."""

    key: str
    label: str
    reachable: int
    turn: str
    skipped: list[PlanSkip]


class PlanProblem(msgspec.Struct):
    """What has to be put right first: the field, and a sentence."""

    field: str
    text: str


class CampaignPlan(msgspec.Struct):
    """What will happen. `people` is exact or, with `is_exact` false, an estimate; `sampled` is from how many people the
    channels' figures are scaled up, null where everybody was looked at."""

    people: int
    is_exact: bool
    sampled: int | None
    channels: list[PlanChannel]
    when: str
    order: str
    pace: str
    care: list[str]
    approval: str
    problems: list[PlanProblem]


class CampaignEventShape(msgspec.Struct):
    """A line of the audit trail. `by` is null for the system itself."""

    id: int
    at: datetime
    action: str
    by: str | None
    detail: dict[str, Any]


class CampaignEventPage(msgspec.Struct):
    """Newest first."""

    results: list[CampaignEventShape]
    next_cursor: str | None


class ChannelFigures(msgspec.Struct):
    """Messages of one channel."""

    key: str
    label: str
    queued: int
    sent: int
    delivered: int
    opened: int
    clicked: int
    skipped: int
    failed: int


class ReasonFigures(msgspec.Struct):
    """How many messages ended for one reason."""

    label: str
    count: int
    reason: str


class PhaseStep(msgspec.Struct):
    """One of a campaign's phases; `state` is done, now or next."""

    key: str
    label: str
    about: str
    state: str


class PhaseNow(msgspec.Struct):
    """What runs, as a sentence, and the moment at which it goes on by itself where it waits for one."""

    steps: list[PhaseStep]
    text: str
    until: datetime | None


class VariantFigures(msgspec.Struct):
    """People of one variant: handed out (`recipients`), sent something (`people`), and what these did. `rate` is the
    share, 0 to 1, of those sent who did what `metric` asks for."""

    label: str
    template: str
    winner: bool
    recipients: int
    people: int
    delivered: int
    opened: int
    clicked: int
    rate: float


class VariantsStanding(msgspec.Struct):
    """The variants as of `at`, null before the first reading; they are read at most every 30 seconds. `leader` is ahead
    by `metric`, `is_certain` by more than chance (19 times of 20)."""

    at: datetime | None
    metric: str
    leader: str
    is_certain: bool
    variants: list[VariantFigures]


class ChooseBody(msgspec.Struct, forbid_unknown_fields=True):
    """The variant that everybody else gets, by its label."""

    variant: Literal["A", "B", "C", "D"]


class CampaignFigures(msgspec.Struct):
    """A started campaign at the moment `at`. People: audience = reached + unreachable + dropped + erased + waiting;
    messages: queued = ended + in_flight. `phase` is null where it goes to everybody at once."""

    at: datetime
    status: CampaignStatus
    people: dict[str, int]
    messages: dict[str, int]
    channels: list[ChannelFigures]
    skips: list[ReasonFigures]
    errors: list[ReasonFigures]
    phase: PhaseNow | None
    variants: VariantsStanding
