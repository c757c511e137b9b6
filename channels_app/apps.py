from django.apps import AppConfig


class ChannelsAppConfig(AppConfig):
    """The in-app channel: the feed, its socket, its API and the widget."""

    name = "channels_app"
    verbose_name = "In-app feed"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_out

        from channels_app import receivers
        from channels_app.api import schema  # noqa: F401  registers its OpenAPI extensions by being loaded
        from preferences.signals import recipient_erased

        recipient_erased.connect(receivers.scrub, dispatch_uid="channels_app.scrub")
        user_logged_out.connect(receivers.signed_out, dispatch_uid="channels_app.signed_out")
