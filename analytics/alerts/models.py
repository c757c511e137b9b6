"""The rows of alerting. Rules, routes and silences are people's; alerts, their history and messages are written by
`analytics.alerts` alone."""

from datetime import timedelta
from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from analytics.alerts import choices
from analytics.alerts.choices import Condition, GroupBy, MessageState, Metric, Phase, Receives, RouteKind, Severity
from analytics.alerts.machine import Bounds, Pace
from analytics.alerts.muting import Scope
from core.ids import uuid7
from notifications.choices import Channel, Priority

#: Seconds: the longest window a rule may look back, and the longest it may wait or leave between two words.
MAX_WINDOW = 31 * 24 * 3600
MAX_WAIT = 24 * 3600
MAX_REPEAT = 7 * 24 * 3600


def _seconds(name: str, default: int, most: int, help_text: str, least: int = 0) -> models.PositiveIntegerField:
    return models.PositiveIntegerField(
        name, default=default, validators=[MinValueValidator(least), MaxValueValidator(most)], help_text=help_text
    )


class AlertRoute(models.Model):
    """A way to people: where messages go, which alerts it is told of, and who stands in for it."""

    id = models.SmallAutoField(primary_key=True)
    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=8, choices=RouteKind.choices)
    is_on = models.BooleanField("on", default=True)
    target = models.TextField(
        blank=True,
        default="",
        help_text="Email: addresses, one a line. Webhook and Slack: the URL. In-app: external ids of recipients, one a"
        " line",
    )
    secret = models.CharField(max_length=80, blank=True, default="", editable=False)
    receives = models.CharField(
        max_length=8,
        choices=Receives.choices,
        default=Receives.WARNINGS,
        help_text="Of rules without routes of their own",
    )
    group_by = models.CharField(
        "one message for", max_length=8, choices=GroupBy.choices, default=GroupBy.ALL, help_text=""
    )
    wait_seconds = _seconds(
        "wait", 10, 600, "Seconds from the first alert to the message: what else happens in them goes into it"
    )
    fallback = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="stands_in_for",
        verbose_name="second route",
        help_text="Told instead when this one fails three times, or for good",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = "alert route"

    def __str__(self) -> str:
        return self.name


class AlertRule(models.Model):
    """When an alert opens, and when it clears. `key` names a rule that came along; a team's own have none."""

    id = models.SmallAutoField(primary_key=True)
    key = models.SlugField(max_length=40, unique=True, null=True, blank=True, editable=False)
    name = models.CharField(max_length=80, unique=True)
    is_on = models.BooleanField("on", default=True)
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.WARNING)
    metric = models.CharField(max_length=24, choices=Metric.choices)
    channel = models.CharField(max_length=8, choices=Channel.choices, blank=True, default="")
    provider = models.CharField(max_length=32, blank=True, default="", help_text="A name of PROVIDERS; empty: all")
    source = models.CharField(
        max_length=64, blank=True, default="", help_text="campaign:42, or api:<prefix of a key>; empty: all"
    )
    priority = models.CharField(
        max_length=8, choices=Priority.choices, blank=True, default="", help_text="Of what waits; empty: all"
    )
    split_by = models.CharField(
        "an alert for", max_length=8, choices=choices.SplitBy.choices, blank=True, default=choices.SplitBy.NOTHING
    )
    window_seconds = _seconds(
        "window", 300, MAX_WINDOW, "Seconds looked back; the figures are by the minute. States have no window", 60
    )
    condition = models.CharField(max_length=8, choices=Condition.choices, default=Condition.ABOVE)
    threshold = models.FloatField(help_text="Shares: 0.05 is 5%. Ages: seconds. Burn: 14.4 is 14.4 times too fast")
    clear_threshold = models.FloatField(
        "clears at", null=True, blank=True, help_text="On the good side of the threshold; empty: the same"
    )
    objective = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.5), MaxValueValidator(0.99999)],
        help_text="Of a burn rate: the share that must be good, 0.99",
    )
    short_window_seconds = _seconds(
        "short window", 0, MAX_WINDOW, "Of a burn rate: seconds of the second window, which must burn too; 0: none"
    )
    minimum_traffic = models.PositiveIntegerField(
        default=0, help_text="Messages in the window below which the value says nothing"
    )
    for_seconds = _seconds("bad for", 60, MAX_WAIT, "Seconds it must be bad at every look before an alert opens")
    clear_seconds = _seconds("good for", 60, MAX_WAIT, "Seconds it must be good at every look before the alert clears")
    repeat_seconds = _seconds(
        "repeat after", 4 * 3600, MAX_REPEAT, "Seconds until it is told again, unless acknowledged; 0: never"
    )
    advice = models.TextField(blank=True, default="", help_text="What to look at first; stands in the message")
    explained_by = models.ManyToManyField(
        "self",
        symmetrical=False,
        blank=True,
        related_name="explains",
        help_text="Root causes: while one of these fires for the same channel or provider, nobody is told of this one",
    )
    routes = models.ManyToManyField(
        AlertRoute, blank=True, related_name="rules", help_text="None: every route that receives this severity"
    )
    # What the last look said, for the list of rules. Written by the evaluator alone.
    seen_at = models.DateTimeField(null=True, editable=False)
    standing = models.CharField(max_length=8, blank=True, default="", editable=False)
    seen = models.CharField(max_length=80, blank=True, default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = "alert rule"

    def __str__(self) -> str:
        return self.name

    @property
    def scope(self) -> Scope:
        return Scope(self.channel, self.provider)

    @property
    def bounds(self) -> Bounds:
        clear = self.threshold if self.clear_threshold is None else self.clear_threshold
        return Bounds(Condition(self.condition), self.threshold, clear)

    @property
    def pace(self) -> Pace:
        return Pace(timedelta(seconds=self.for_seconds), timedelta(seconds=self.clear_seconds))

    @property
    def window(self) -> timedelta:
        return timedelta(seconds=self.window_seconds)

    @property
    def short_window(self) -> timedelta:
        return timedelta(seconds=self.short_window_seconds)


class Silence(models.Model):
    """A time in which nobody is told of the alerts it covers. They open and clear as ever, and can be seen."""

    id = models.AutoField(primary_key=True)
    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, null=True, blank=True, help_text="Empty: every rule")
    channel = models.CharField(max_length=8, choices=Channel.choices, blank=True, default="")
    provider = models.CharField(max_length=32, blank=True, default="", help_text="A name of PROVIDERS; empty: all")
    starts_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200)
    by = models.CharField(max_length=150, editable=False)

    class Meta:
        ordering: ClassVar = ["-ends_at"]

    def __str__(self) -> str:
        return self.reason

    @property
    def scope(self) -> Scope:
        return Scope(self.channel, self.provider)


class Alert(models.Model):
    """One thing that is wrong, from the first bad look to the end. There is one open alert per fingerprint; the
    database sees to it, however many evaluators there are."""

    id = models.BigAutoField(primary_key=True)
    rule = models.ForeignKey(AlertRule, on_delete=models.SET_NULL, null=True, related_name="alerts")
    fingerprint = models.CharField(max_length=80)
    title = models.CharField(max_length=160)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    channel = models.CharField(max_length=8, choices=Channel.choices, blank=True, default="")
    provider = models.CharField(max_length=32, blank=True, default="")
    phase = models.CharField(max_length=8, choices=Phase.choices)
    summary = models.CharField(max_length=300, help_text="The value and what it is held against, in words")
    since = models.DateTimeField()
    seen_at = models.DateTimeField()
    good_since = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True, help_text="When people were last told; null: never")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=150, blank=True, default="")
    silence = models.ForeignKey(Silence, on_delete=models.SET_NULL, null=True, related_name="alerts")
    explained_by = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="explains")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["fingerprint"], condition=Q(resolved_at=None), name="alert_open_once_per_fingerprint"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["resolved_at"], name="alert_resolved_at")]

    def __str__(self) -> str:
        return self.title

    @property
    def scope(self) -> Scope:
        return Scope(self.channel, self.provider)

    @property
    def is_firing(self) -> bool:
        return self.phase == Phase.FIRING


class AlertEvent(models.Model):
    """A line of an alert's history. Append-only."""

    id = models.BigAutoField(primary_key=True)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(db_default=Now())
    what = models.CharField(max_length=16, choices=choices.Happening.choices)
    by = models.CharField(max_length=150, blank=True, default="")
    note = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.alert_id} {self.what}"


class AlertMessage(models.Model):
    """One message to one route, about the events of one or more alerts. Composed when it is sent; `id` stays the same
    over all its tries and is what a receiver may tell doubles by."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    route = models.ForeignKey(AlertRoute, on_delete=models.CASCADE, related_name="messages")
    group = models.CharField(max_length=40, blank=True, default="")
    events = models.ManyToManyField(AlertEvent, related_name="messages")
    state = models.CharField(max_length=12, choices=MessageState.choices, default=MessageState.WAITING)
    is_test = models.BooleanField(default=False)
    instead_of = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="handed_to")
    subject = models.CharField(max_length=200, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    leased_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="alert_message_waiting"),
        ]

    def __str__(self) -> str:
        return self.subject or str(self.id)
