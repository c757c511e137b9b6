"""Production settings, and one app more: it breaks what the environment names. For processes under `tests.faults`."""

from config.settings import *  # noqa: F403  every production setting
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.faults"]
SILENCED_SYSTEM_CHECKS = ["notifications.W001"]  # leases here are as short as they may be
