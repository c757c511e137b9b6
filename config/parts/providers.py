"""Who sends, who is told, and what has a hand in a message on its way: the plug points, named by dotted paths."""

from typing import Any

from config.parts.process import DEBUG, DEMO, TRACKING, env

# A provider is a class and its options; a chain names a channel's providers in order.
SIMULATOR_OPTIONS = {
    "seed": env.int("SIMULATOR_SEED", default=1),
    "success_rate": env.float("SIMULATOR_SUCCESS_RATE", default=0.97),
    "temporary_rate": env.float("SIMULATOR_TEMPORARY_RATE", default=0.02),
    "invalid_rate": env.float("SIMULATOR_INVALID_RATE", default=0.002),
    "throttle_rate": env.float("SIMULATOR_THROTTLE_RATE", default=0.0),
    "throttle_seconds": env.float("SIMULATOR_THROTTLE_SECONDS", default=2.0),  # the Retry-After of its 429s
    "throttle_retry_after": env.str("SIMULATOR_THROTTLE_RETRY_AFTER", default=""),  # instead, as text
    "timeout_rate": env.float("SIMULATOR_TIMEOUT_RATE", default=0.0),
    "latency_ms": env.float("SIMULATOR_LATENCY_MS", default=40.0),  # median
    "latency_sigma": env.float("SIMULATOR_LATENCY_SIGMA", default=0.4),  # of the log-normal
    "outage": env.bool("SIMULATOR_OUTAGE", default=False),
    "receipts": env.bool("SIMULATOR_RECEIPTS", default=True),
    "receipt_delay_ms": env.float("SIMULATOR_RECEIPT_DELAY_MS", default=1500.0),
    "bounce_rate": env.float("SIMULATOR_BOUNCE_RATE", default=0.01),
    "complaint_rate": env.float("SIMULATOR_COMPLAINT_RATE", default=0.0005),
    "open_rate": env.float("SIMULATOR_OPEN_RATE", default=0.4),
    "click_rate": env.float("SIMULATOR_CLICK_RATE", default=0.1),
    "record": env.bool("SIMULATOR_RECORD", default=DEBUG or DEMO),  # of live traffic; tests' always is
    "journal": env.str("SIMULATOR_JOURNAL", default=""),
}
#: Where the simulator's webhooks reach the web process, if not at PUBLIC_URL: inside a cluster, at its service.
SIMULATOR_WEBHOOK_URL = env.str("SIMULATOR_WEBHOOK_URL", default="").rstrip("/")
SIMULATOR_KEEP_CALLS = env.int("SIMULATOR_KEEP_CALLS", default=100_000)  # of those recorded, the newest
_SIMULATED = "notifications.providers.simulated.SimulatedProvider"
#: Who reads the webhooks that a provider sends to /webhooks/<name>/.
_RECEIVER = {"class": "notifications.receivers.simulated.SimulatedReceiver"}
_BACKUP_OPTIONS = {**SIMULATOR_OPTIONS, "seed": SIMULATOR_OPTIONS["seed"] + 1}  # another vendor has other bad luck
PROVIDERS: dict[str, dict[str, Any]] = {
    "simulated_email": {"class": _SIMULATED, "options": SIMULATOR_OPTIONS, "receiver": _RECEIVER},
    "simulated_email_backup": {"class": _SIMULATED, "options": _BACKUP_OPTIONS, "receiver": _RECEIVER},
    "simulated_sms": {"class": _SIMULATED, "options": SIMULATOR_OPTIONS, "receiver": _RECEIVER},
    "simulated_sms_backup": {"class": _SIMULATED, "options": _BACKUP_OPTIONS, "receiver": _RECEIVER},
    "simulated_push": {"class": _SIMULATED, "options": SIMULATOR_OPTIONS, "receiver": _RECEIVER},
    "simulated_push_backup": {"class": _SIMULATED, "options": _BACKUP_OPTIONS, "receiver": _RECEIVER},
    "simulated_in_app": {"class": _SIMULATED, "options": SIMULATOR_OPTIONS, "receiver": _RECEIVER},
    "feed": {"class": "channels_app.provider.InAppProvider", "options": {}},
}
PROVIDER_CHAINS = {
    "email": env.list("PROVIDERS_EMAIL", default=["simulated_email", "simulated_email_backup"]),
    "sms": env.list("PROVIDERS_SMS", default=["simulated_sms", "simulated_sms_backup"]),
    "push": env.list("PROVIDERS_PUSH", default=["simulated_push", "simulated_push_backup"]),
    "in_app": env.list("PROVIDERS_IN_APP", default=["feed"]),
}
#: Where test keys end, whatever the chains say.
TEST_PROVIDERS = {c: f"simulated_{c}" for c in ("email", "sms", "push", "in_app")}
#: Told of every batch that is accepted or recorded, inside its transaction.
DELIVERY_OBSERVERS = ["analytics.observer.MinuteCounts", "notifications.metrics.Outcomes"]
SOURCE_NAMERS = ["campaigns.selectors.names_of_sources"]  # what sources are called: notifications.sources
ENGAGEMENT_LOOKUP = "channels_app.attention.of"  # what people did in their inbox: notifications.attention
#: What has a hand in each message between rendering and its provider, in order.
MESSAGE_DECORATORS = ["analytics.engagement.decorator.Engagement"] if TRACKING else []

#: Told of each event whose notification's sender somebody listens for, inside the same transaction.
EVENT_LISTENERS = ["analytics.webhooks.listener.WebhookListener"]
#: Work that is no delivery and goes the same way: the channel of its lanes, and who does it.
LANE_WORKERS = {"webhook": "analytics.webhooks.worker.WebhookWorker"}

#: Of the app that owns the templates: why one cannot be used for a digest on these channels, or an empty string.
DIGEST_TEMPLATE_CHECK = "notifications.digests.wordings.problem"
#: Of the app that owns the providers: sends a text message past the pipeline, and says whether one took it.
TEXT_SENDER = "notifications.services.texts.send"
#: What apps keep about a person, for the copy that people may take along: by name, a function of a recipient's id that
#: gives lists of JSON objects.
PERSONAL_DATA = {
    "notifications": "notifications.personal.notifications",
    "inbox": "channels_app.personal.inbox",
}
#: What apps above the pipeline have `run_maintenance` do: a function without arguments, and its rhythm in seconds.
#: One that may take long is a generator, which yields wherever it may be interrupted.
MAINTENANCE_TASKS = {
    "channels_app.retention.purge": 3600.0,
    "channels_app.waking.wake": 1.0,
    "preferences.retention.purge": 3600.0,
    "analytics.rollups.rolling.roll": 20.0,
    "analytics.retention.purge": 3600.0,
    "analytics.engagement.retention.purge": 3600.0,
    "analytics.webhooks.upkeep.sweep": 60.0,
    "analytics.webhooks.upkeep.purge": 600.0,
    "analytics.alerts.evaluator.run": env.float("ALERT_EVERY_SECONDS", default=10.0),  # how often rules are looked at
    "analytics.alerts.courier.run": 2.0,
    "analytics.alerts.retention.purge": 3600.0,
    "campaigns.segments.uploads.purge": 3600.0,
    "campaigns.segments.reading.read_waiting": 2.0,
}
