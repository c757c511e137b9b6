from django.contrib import admin
from django.urls import path

from analytics import views

urlpatterns = [
    path("dashboard/", admin.site.admin_view(views.dashboard), name="analytics-dashboard"),
    path("dashboard/live/", admin.site.admin_view(views.dashboard_live), name="analytics-dashboard-live"),
]
