from django.urls import path

from preferences.centre import views
from preferences.personal import views as personal

urlpatterns = [
    path("preferences/", views.by_session, name="preferences"),
    path("preferences/data/", personal.data_by_session, name="preferences-data"),
    path("preferences/data/<str:token>/", personal.data_by_link, name="preferences-data-link"),
    path("preferences/confirm/<str:token>/", personal.confirm, name="preferences-confirm"),
    path("preferences/<str:token>/", views.by_link, name="preferences-link"),
]
