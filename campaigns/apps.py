from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"
    verbose_name = "Campaigns"

    def ready(self) -> None:
        from campaigns.segments.lists import forget
        from preferences.signals import recipient_erased

        recipient_erased.connect(forget, dispatch_uid="campaigns.lists")
