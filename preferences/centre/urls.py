from django.urls import path

from preferences.centre import views

urlpatterns = [
    path("preferences/", views.by_session, name="preferences"),
    path("preferences/<str:token>/", views.by_link, name="preferences-link"),
]
