"""How messages go through: the broker, workers, retries, limits, what is kept for how long, and campaigns."""

from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from config.parts.process import DEMO, env

BROKER_URL = env.str("BROKER_URL", default="")  # empty: the database transport
if BROKER_URL and urlsplit(BROKER_URL).scheme not in {"amqp", "amqps"}:
    raise ImproperlyConfigured("BROKER_URL must start with amqp:// or amqps://; empty means the database transport.")
BROKER_PREFIX = env.str("BROKER_PREFIX", default="carillon.v1")  # versioned: queue arguments cannot change
BROKER_MAX_QUEUE_LENGTH = env.int("BROKER_MAX_QUEUE_LENGTH", default=20_000)  # messages a queue; full: the relay waits
BROKER_DELIVERY_LIMIT = env.int("BROKER_DELIVERY_LIMIT", default=10)  # redeliveries before a message is poison
BROKER_CONFIRM_TIMEOUT_SECONDS = env.float("BROKER_CONFIRM_TIMEOUT_SECONDS", default=10.0)

RELAY_POLL_SECONDS = env.float("RELAY_POLL_SECONDS", default=0.03)  # idle poll; accept to publish stays under 100 ms
WORKER_POLL_SECONDS = env.float("WORKER_POLL_SECONDS", default=0.05)  # database transport only
EVENTS_POLL_SECONDS = env.float("EVENTS_POLL_SECONDS", default=0.2)  # idle poll: how late a receipt may be applied
# Receipts, opens and clicks that wait to be applied; 0: no bound. Three minutes of 5,000 a second, 300 MB. Beyond it
# webhooks are answered with 503, and whoever sends them comes again.
EVENTS_MAX_ROWS = env.int("EVENTS_MAX_ROWS", default=1_000_000)
WORKER_THREADS = env.int("WORKER_THREADS", default=2)  # batches in flight a process: one computes, one waits
VISIBILITY_SECONDS = env.int("VISIBILITY_SECONDS", default=120)  # database transport: an unacked row comes back
LEASE_SECONDS = env.int("LEASE_SECONDS", default=90)  # a claim runs out; longer than any provider call
DRAIN_SECONDS = env.float("DRAIN_SECONDS", default=25.0)  # SIGTERM to exit, at most
# One provider call of one batch. Below DRAIN_SECONDS: a stop in the middle of a call leaves time to record its outcome.
PROVIDER_TIMEOUT_SECONDS = env.float("PROVIDER_TIMEOUT_SECONDS", default=20.0)

MAX_ATTEMPTS = env.int("MAX_ATTEMPTS", default=8)  # then dead
RETRY_BASE_SECONDS = env.float("RETRY_BASE_SECONDS", default=2.0)  # first window of the full-jitter backoff
RETRY_CAP_SECONDS = env.float("RETRY_CAP_SECONDS", default=900.0)  # widest window, and the longest Retry-After obeyed

# A provider's circuit breaker, shared by all workers. Calls are counted in messages, failures by their share.
BREAKER_WINDOW_SECONDS = env.float("BREAKER_WINDOW_SECONDS", default=60.0)  # how far back a provider is judged
BREAKER_MIN_CALLS = env.int("BREAKER_MIN_CALLS", default=10)  # fewer say nothing
BREAKER_FAILURE_RATE = env.float("BREAKER_FAILURE_RATE", default=0.5)  # this share failed: open
BREAKER_SLOW_RATE = env.float("BREAKER_SLOW_RATE", default=0.5)  # this share was slow: open
BREAKER_SLOW_SECONDS = env.float("BREAKER_SLOW_SECONDS", default=5.0)  # a call that takes longer is slow
BREAKER_OPEN_SECONDS = env.float("BREAKER_OPEN_SECONDS", default=15.0)  # to the first probe; doubles while probes fail
BREAKER_OPEN_MAX_SECONDS = env.float("BREAKER_OPEN_MAX_SECONDS", default=300.0)  # no probe comes later

# Processes that are supposed to share a limit while Redis is away: each then keeps to max / this, and at least 1.
RATE_LIMIT_PROCESSES = env.int("RATE_LIMIT_PROCESSES", default=4)
# Due outbox rows beyond which the API takes critical notifications alone; 0: no bound. Of single sends that is some
# ten seconds of work at 16,000 a second; more would only be late.
OUTBOX_MAX_ROWS = env.int("OUTBOX_MAX_ROWS", default=200_000)

PREFERENCE_CACHE_SECONDS = env.int("PREFERENCE_CACHE_SECONDS", default=300)
# Of everybody who has none of their own, in their time zone, as 22:00-08:00; empty for none.
QUIET_HOURS = env.str("QUIET_HOURS", default="")
# What quiet hours held leaves within so many seconds after they end, not all at once.
QUIET_HOURS_SPREAD_SECONDS = env.int("QUIET_HOURS_SPREAD_SECONDS", default=300)
RECONCILE_AFTER_SECONDS = env.int("RECONCILE_AFTER_SECONDS", default=300)  # older and unfinished: is it reachable?
RECONCILE_FULL_SECONDS = env.int("RECONCILE_FULL_SECONDS", default=6 * 3600)  # then the whole record is read again
WEBHOOK_TIMEOUT_SECONDS = env.float("WEBHOOK_TIMEOUT_SECONDS", default=10.0)  # one request to a client's endpoint
WEBHOOK_MAX_ATTEMPTS = env.int("WEBHOOK_MAX_ATTEMPTS", default=8)  # over up to 18 hours; then failed, to be replayed
WEBHOOK_DISABLE_DAYS = env.float("WEBHOOK_DISABLE_DAYS", default=5.0)  # failing for so long switches an endpoint off
WEBHOOK_RETENTION_DAYS = env.int("WEBHOOK_RETENTION_DAYS", default=30)  # of the delivery log; 0 keeps it for ever
RETENTION_WEEKS = env.int("RETENTION_WEEKS", default=0)  # 0 keeps the record for ever
DIGEST_RETENTION_DAYS = env.int("DIGEST_RETENTION_DAYS", default=30)  # of what went with which digest; 0 for ever
PARTITIONS_AHEAD = env.int("PARTITIONS_AHEAD", default=4)  # weeks

PREFERENCES_LINK_DAYS = env.int("PREFERENCES_LINK_DAYS", default=90)  # how long links to the preference centre work
PHONE_CODES_PER_HOUR = env.int("PHONE_CODES_PER_HOUR", default=200)  # sent to confirm phone numbers; 0: none
PREFERENCE_HISTORY_DAYS = env.int("PREFERENCE_HISTORY_DAYS", default=730)  # who changed what; 0 keeps it for ever
FEED_RETENTION_DAYS = env.int("FEED_RETENTION_DAYS", default=90)  # items of the inbox; 0 keeps them for ever
# The figures: a year and a margin, by the day. By the hour two months, so that a month and the one before compare to
# the hour; by ten minutes and by the minute for looking closely at what has just happened.
COUNTS_RETENTION_DAYS = env.int("COUNTS_RETENTION_DAYS", default=400)
COUNTS_HOURS_DAYS = env.int("COUNTS_HOURS_DAYS", default=62)
COUNTS_TEN_MINUTES_DAYS = env.int("COUNTS_TEN_MINUTES_DAYS", default=15)
COUNTS_MINUTES_DAYS = env.int("COUNTS_MINUTES_DAYS", default=3)

# How alerts travel that go by email: past our own providers, which may be what is broken.
EMAIL_URL = env.str("EMAIL_URL", default="")  # smtp://user:password@host:587, smtp+tls://, smtp+ssl://
if EMAIL_URL:
    if urlsplit(EMAIL_URL).scheme not in {"smtp", "smtp+tls", "smtp+ssl", "smtps", "consolemail", "filemail"}:
        raise ImproperlyConfigured(
            "EMAIL_URL must start with smtp://, smtp+tls:// or smtp+ssl://; empty means no mail."
        )
    globals().update(env.email_url_config(EMAIL_URL))
EMAIL_TIMEOUT = 10  # a mail server that hangs
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Carillon <carillon@localhost>")
ALERT_RETENTION_DAYS = env.int("ALERT_RETENTION_DAYS", default=400)  # of alerts that are over

# The dead man's switch: a URL of a service that raises the alarm when nobody calls it any more.
ALERT_HEARTBEAT_URL = env.str("ALERT_HEARTBEAT_URL", default="")
ALERT_HEARTBEAT_SECONDS = env.float("ALERT_HEARTBEAT_SECONDS", default=60.0)

# Networks of one's own that webhooks and alerts may be sent to; nothing else that is not on the public internet.
OUTBOUND_ALLOW_PRIVATE = env.list("OUTBOUND_ALLOW_PRIVATE", default=["127.0.0.0/8", "::1/128"] if DEMO else [])

LINK_SCHEMES = env.list("LINK_SCHEMES", default=["http", "https"])  # of links; the feed takes these two alone

CAMPAIGN_CHUNK = env.int("CAMPAIGN_CHUNK", default=500)  # recipients a fan-out transaction
CAMPAIGN_POLL_SECONDS = env.float("CAMPAIGN_POLL_SECONDS", default=0.5)  # idle poll: Send to first chunk
CAMPAIGN_OUTBOX_LIMIT = env.int(
    "CAMPAIGN_OUTBOX_LIMIT", default=400
)  # due rows in its lanes, 500 deliveries each: 12 s of
# work at 16,000/s. More would keep nobody busier and only delay what a pause, a cancel or another campaign asks for.
# People above whom who wrote a campaign may not approve it, and above whom its size must be typed to launch it.
CAMPAIGN_REVIEW_ABOVE = env.int("CAMPAIGN_REVIEW_ABOVE", default=1000)
CAMPAIGN_TYPE_ABOVE = env.int("CAMPAIGN_TYPE_ABOVE", default=10_000)
API_MAX_BODY_BYTES = env.int("API_MAX_BODY_BYTES", default=2 * 1024 * 1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = API_MAX_BODY_BYTES
# The preferences page without JavaScript sends each switch of 200 categories twice, the admin's grid a thousand cells.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 4000
FEED_ALLOWED_ORIGINS = env.list("FEED_ALLOWED_ORIGINS", default=[])  # other sites that embed the inbox
FEED_TOKEN_SECONDS = env.int("FEED_TOKEN_SECONDS", default=3600)  # a page asks its service for the next one
FEED_SOCKETS_PER_RECIPIENT = env.int("FEED_SOCKETS_PER_RECIPIENT", default=20)  # tabs, in one web process
DEMO_RECIPIENT = env.str("DEMO_RECIPIENT", default="user-42")  # whose inbox the demo shows
LOGIN_REDIRECT_URL = "admin:index"  # who signs in without having been sent from somewhere
LOGIN_URL = env.str("LOGIN_URL", default="admin:login")  # where /inbox/ sends a visitor; a host project has its own
