from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    def ready(self) -> None:
        from django.core.checks import register

        from notifications.checks import check_settings
        from notifications.erasure import scrub
        from preferences.signals import recipient_erased

        register(check_settings)  # without a tag: every command that checks anything checks this
        recipient_erased.connect(scrub, dispatch_uid="notifications.erasure")
