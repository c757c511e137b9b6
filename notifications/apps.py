from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    def ready(self) -> None:
        from notifications.erasure import scrub
        from preferences.signals import recipient_erased

        recipient_erased.connect(scrub, dispatch_uid="notifications.erasure")
