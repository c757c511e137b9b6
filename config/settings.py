"""The composition root: every knob by one environment name, typed, with its number and its reason.

Read through django-environ. A `.env` beside manage.py is read when it is there. What is missing stops the start with a
sentence that names the setting.
"""

import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from config import content_policies, embedded, unfold
from config.environment import Environment
from config.log import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()
Environment.read_env(BASE_DIR / ".env")


def required(name: str, example: str) -> str:
    """The value of a setting that has no sound default."""
    value: str = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. Set it, for example {name}={example} (see .env.example).")
    return value


# --- the process ------------------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
EMBEDDED = embedded.running(BASE_DIR)  # what `bin/run` started, if it runs; a second terminal joins it
SECRET_KEY = env.str("SECRET_KEY", default="") or EMBEDDED.secret_key
if not SECRET_KEY:
    SECRET_KEY = required("SECRET_KEY", "$(openssl rand -base64 48)")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
# Keys that SECRET_KEY replaced: what they signed stays good. Links in sent messages are followed for years.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PUBLIC_URL = env.str("PUBLIC_URL", default=EMBEDDED.public_url or "http://127.0.0.1:8000").rstrip("/")
# Whether links of messages lead through PUBLIC_URL, and emails carry a pixel, where their category wants it. Off until
# PUBLIC_URL is set: a link to 127.0.0.1 leads nobody anywhere.
TRACKING = env.bool("TRACKING", default="PUBLIC_URL" in env or bool(EMBEDDED.public_url))
HTTPS = env.bool("HTTPS", default=PUBLIC_URL.startswith("https://"))
DEMO = env.bool("DEMO", default=False)  # the sign-in shortcuts of bin/run; never in production
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOG_JSON = env.bool("LOG_JSON", default=not DEBUG)
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")  # empty: /metrics is for this machine alone
METRICS_PORT = env.int("METRICS_PORT", default=0)  # where every process shows its metrics: the first free one; 0: none

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = True

INSTALLED_APPS = [
    "daphne",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",  # the admin groups the digits of its figures
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "core",
    "preferences",
    "notifications",
    "channels_app",
    "analytics",
    "campaigns",
    "config",  # for its commands: demo, seed_demo, run_all
]

MIDDLEWARE = [
    "core.request_id.RequestIdMiddleware",
    "core.api.middleware.ApiMiddleware",  # outside CommonMiddleware: it also rewords Django's own errors under /api/
    "django.middleware.security.SecurityMiddleware",
    "core.content_policy.ContentPolicyMiddleware",
    "core.static_files.StaticFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = ["config.formats"]  # 24 hours and the month in letters: no two readings
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = DEBUG or DEMO  # served from the packages: nothing needs to be collected
if WHITENOISE_USE_FINDERS:
    warnings.filterwarnings("ignore", message="No directory at", category=UserWarning)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if WHITENOISE_USE_FINDERS
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- PostgreSQL: the record -------------------------------------------------------------------------------------

DATABASE_URL = (
    env.str("DATABASE_URL", default="")
    or EMBEDDED.database_url
    or required("DATABASE_URL", "postgres://carillon:secret@127.0.0.1:5432/carillon")
)
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=8)  # connections a process, at most
DATABASE_STATEMENT_TIMEOUT_MS = env.int("DATABASE_STATEMENT_TIMEOUT_MS", default=30_000)
DATABASE_PREPARE = env.bool("DATABASE_PREPARE", default=True)  # off behind a PgBouncer that cannot keep them

_database: dict[str, Any] = dict(Environment.db_url_config(DATABASE_URL))
_database["ENGINE"] = "core.postgresql"  # Django's own, but for what counts as an outage
_database["CONN_MAX_AGE"] = 0
_database["OPTIONS"] = {
    # A server that vanished without a word (its host died, a cable was cut) is noticed within half a minute and not
    # after the two hours of the system's defaults. DATABASE_URL may say otherwise.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
    **_database.get("OPTIONS", {}),
    "pool": {"min_size": 0, "max_size": DATABASE_POOL_SIZE, "timeout": 5, "max_idle": 60},
    "connect_timeout": 5,
    "application_name": "carillon",
    # Only the hot path's statements are ever prepared (core.postgresql.direct). A plan is made for the values at hand:
    # one for all values may be a scan. And none is compiled (JIT): that takes seconds, and no question of ours does.
    "prepare_threshold": 3 if DATABASE_PREPARE else None,
    "options": f"-c statement_timeout={DATABASE_STATEMENT_TIMEOUT_MS} -c timezone=UTC"
    " -c plan_cache_mode=force_custom_plan -c jit=off",
}
DATABASES = {"default": _database}

# --- Redis: caches, sessions, channel layer; nothing that may not be lost ------------------------------------------

REDIS_URL = env.str("REDIS_URL", default="") or EMBEDDED.redis_url or required("REDIS_URL", "redis://127.0.0.1:6379/0")
REDIS_PREFIX = env.str("REDIS_PREFIX", default="carillon")
REDIS_TIMEOUT_SECONDS = env.float("REDIS_TIMEOUT_SECONDS", default=0.25)  # a call to a hung Redis costs this much

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": REDIS_PREFIX,
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": REDIS_TIMEOUT_SECONDS,
            "SOCKET_TIMEOUT": REDIS_TIMEOUT_SECONDS,
            "CONNECTION_POOL_CLASS": "core.redis.PausingPool",
            "IGNORE_EXCEPTIONS": True,
            "CONNECTION_POOL_KWARGS": {"retry": embedded.no_retry(), "max_connections": 64},
        },
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"  # survives Redis, costs a query when it is gone

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # A Redis that hangs must not hold up a socket's handshake: the client falls back to the API.
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_connect_timeout": 1.0}], "prefix": REDIS_PREFIX},
    }
}

# --- the pipeline -------------------------------------------------------------------------------------------------

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
PREFERENCE_HISTORY_DAYS = env.int("PREFERENCE_HISTORY_DAYS", default=730)  # who changed what; 0 keeps it for ever
FEED_RETENTION_DAYS = env.int("FEED_RETENTION_DAYS", default=90)  # items of the inbox; 0 keeps them for ever
# The figures: a year and a margin, by the day. By the hour two months, so that a month and the one before compare to
# the hour; by ten minutes and by the minute for looking closely at what has just happened.
COUNTS_RETENTION_DAYS = env.int("COUNTS_RETENTION_DAYS", default=400)
COUNTS_HOURS_DAYS = env.int("COUNTS_HOURS_DAYS", default=62)
COUNTS_TEN_MINUTES_DAYS = env.int("COUNTS_TEN_MINUTES_DAYS", default=15)
COUNTS_MINUTES_DAYS = env.int("COUNTS_MINUTES_DAYS", default=3)
#: Of the app that owns the templates: why one cannot be used for a digest on these channels, or an empty string.
DIGEST_TEMPLATE_CHECK = "notifications.digests.wordings.problem"
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
FEED_ALLOWED_ORIGINS = env.list("FEED_ALLOWED_ORIGINS", default=[])  # other sites that embed the inbox
FEED_TOKEN_SECONDS = env.int("FEED_TOKEN_SECONDS", default=3600)  # a page asks its service for the next one
FEED_SOCKETS_PER_RECIPIENT = env.int("FEED_SOCKETS_PER_RECIPIENT", default=20)  # tabs, in one web process
DEMO_RECIPIENT = env.str("DEMO_RECIPIENT", default="user-42")  # whose inbox the demo shows
LOGIN_REDIRECT_URL = "admin:index"  # who signs in without having been sent from somewhere
LOGIN_URL = env.str("LOGIN_URL", default="admin:login")  # where /inbox/ sends a visitor; a host project has its own

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

# --- the API ------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["notifications.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["notifications.api.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["core.api.rendering.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.api.parsing.OrjsonParser"],
    "DEFAULT_SCHEMA_CLASS": "core.api.openapi.Schema",
    "EXCEPTION_HANDLER": "core.api.problems.exception_handler",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "core.api.rendering.AlwaysJson",
    "DEFAULT_METADATA_CLASS": None,  # no OPTIONS: the OpenAPI document says more
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Carillon",
    "DESCRIPTION": "Notifications on push, email, SMS and the in-app feed.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "COMPONENT_SPLIT_REQUEST": True,
    "OAS_VERSION": "3.1.0",  # null is a type there, as in the shapes the document is made from
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "core.api.openapi.add_components",
    ],
}

# --- the admin ----------------------------------------------------------------------------------------------------

UNFOLD = unfold.UNFOLD

# --- security -----------------------------------------------------------------------------------------------------

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", default=False) else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000 if HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICIES = content_policies.POLICIES

LOGGING_CONFIG = None
logging_config(level=LOG_LEVEL, json=LOG_JSON)
