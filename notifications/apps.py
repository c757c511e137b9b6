from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    def ready(self) -> None:
        from django.core.checks import Tags, register
        from django.db.models.signals import post_delete, post_save

        from notifications import metrics
        from notifications.checks import check_digests, check_settings
        from notifications.digests import upkeep
        from notifications.erasure import scrub
        from notifications.models import RateLimit
        from notifications.services.limits import limit_cache
        from preferences.signals import digests_changed, recipient_erased

        metrics.install()
        register(check_settings)  # without a tag: every command that checks anything checks this
        register(check_digests, Tags.database)
        # In the order in which a cancel locks them: digests, then the record.
        recipient_erased.connect(upkeep.forget, dispatch_uid="notifications.digests.forget")
        recipient_erased.connect(scrub, dispatch_uid="notifications.erasure")
        digests_changed.connect(upkeep.leave_now, dispatch_uid="notifications.digests.leave_now")
        for signal in (post_save, post_delete):
            signal.connect(limit_cache.forget, sender=RateLimit, dispatch_uid="notifications.limit_cache")
