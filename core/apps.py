from django.apps import AppConfig


class CoreConfig(AppConfig):
    """What every app stands on and no app owns: ids, the Redis client, the admin base, problem details."""

    name = "core"
    verbose_name = "Core"
