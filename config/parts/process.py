"""What every other setting may depend on: the environment, the secrets, and how this process presents itself."""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from config import embedded
from config.environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent.parent
env = Environment()
Environment.read_env(BASE_DIR / ".env")


def required(name: str, example: str) -> str:
    """The value of a setting that has no sound default."""
    value: str = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. Set it, for example {name}={example} (see .env.example).")
    return value


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
