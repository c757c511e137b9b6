from django.apps import AppConfig
from django.db.models.signals import post_delete, post_save


class PreferencesConfig(AppConfig):
    name = "preferences"
    verbose_name = "Recipients and preferences"

    def ready(self) -> None:
        from preferences.models import Category
        from preferences.services.service import category_cache

        for signal in (post_save, post_delete):
            signal.connect(category_cache.forget, sender=Category, dispatch_uid="preferences.category_cache")
