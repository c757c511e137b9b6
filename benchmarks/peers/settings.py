"""The settings of the peers' processes: Carillon's own, with the peers' tables and what suits one task at a time."""

import os

from config.settings import *  # noqa: F403  the same servers, secrets and durability; then the few that differ

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.peers"]  # noqa: F405  from config.settings
DATABASES["default"].update(  # noqa: F405  from config.settings
    {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": None,  # a connection for the life of the process or thread: no pool to ask, nothing to reopen
    }
)
_options = DATABASES["default"]["OPTIONS"]  # noqa: F405  from config.settings
_options.pop("pool", None)
if os.environ.get("PEER_PREPARE", "1") == "1":  # statements are planned once a connection
    _options.update({"server_side_binding": True, "prepare_threshold": 3})
