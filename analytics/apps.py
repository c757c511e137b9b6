from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    name = "analytics"
    verbose_name = "Analytics"

    def ready(self) -> None:
        from analytics.alerts import figures
        from analytics.webhooks.erasure import scrub
        from preferences.signals import recipient_erased

        figures.install()
        recipient_erased.connect(scrub, dispatch_uid="analytics.webhooks.erasure")
