from django.urls import path

from preferences.unsubscribing.views import unsubscribe

urlpatterns = [path("u/<str:token>/", unsubscribe, name="unsubscribe")]
