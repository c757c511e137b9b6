"""Production settings with the edges of a test: isolated names on the shared servers, plain passwords, quiet logs."""

import os

RUN_ID = os.environ.get("TEST_RUN_ID") or f"p{os.getpid()}"
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
ISOLATION = f"{RUN_ID}{WORKER}"

os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "x" * 50)
os.environ.setdefault("DATABASE_URL", "postgres://root@127.0.0.1:5432/postgres")
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:6379/0")
os.environ.setdefault("BROKER_URL", "")
os.environ["REDIS_PREFIX"] = f"test-{ISOLATION}"
os.environ["BROKER_PREFIX"] = f"test.{ISOLATION}"
os.environ.setdefault("LOG_LEVEL", "WARNING")
os.environ["HTTPS"] = "0"

from config.settings import *  # noqa: F403,E402  every production setting, then the few that differ

TEST_BROKER_URL = os.environ.get("TEST_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
DATABASES["default"]["TEST"] = {"NAME": f"test_carillon_{RUN_ID}"}  # noqa: F405  pytest-xdist adds its own suffix
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # noqa: F405
DATABASES["default"]["OPTIONS"].pop("pool", None)  # noqa: F405  the test database is dropped at the end
DATABASES["default"]["ENGINE"] = "tests.postgresql"  # noqa: F405  quick to empty and to commit
