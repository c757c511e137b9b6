"""The composition root: every knob by one environment name, typed, with its number and its reason.

Read through django-environ. A `.env` beside manage.py is read when it is there. What is missing stops the start with a
sentence that names the setting. How messages go through and who sends them stand in `config.parts`.
"""

import warnings
from typing import Any

from config import content_policies, embedded, unfold
from config.environment import Environment
from config.log import logging_config
from config.parts.pipeline import *  # noqa: F403  every setting of it
from config.parts.process import *  # noqa: F403  every setting of it
from config.parts.process import BASE_DIR, DEBUG, DEMO, EMBEDDED, HTTPS, LOG_JSON, LOG_LEVEL, env, required
from config.parts.providers import *  # noqa: F403  every setting of it

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
