from django.contrib import admin
from django.urls import path

from analytics.dashboard import views

_PARTS = {
    "live": views.live,
    "figures": views.span_figures,
    "charts": views.span_charts,
    "tops": views.span_tops,
    "wall": views.wall,
}

urlpatterns = [
    path("dashboard/", admin.site.admin_view(views.dashboard), name="analytics-dashboard"),
    *(
        path(f"dashboard/{part}/", admin.site.admin_view(view), name=f"analytics-dashboard-{part}")
        for part, view in _PARTS.items()
    ),
]
