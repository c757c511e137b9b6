import os

from django.apps import AppConfig


class FaultsConfig(AppConfig):
    """Loads failpoints and mutations into a process that runs under `tests.faults.settings`; the product knows of
    neither."""

    name = "tests.faults"
    label = "faults"

    def ready(self) -> None:
        from tests.faults import failpoints, mutations

        failpoints.install(os.environ)
        mutations.install(os.environ.get("MUTATION", ""))
