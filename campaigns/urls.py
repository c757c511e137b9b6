from django.contrib import admin
from django.urls import path

from campaigns import people_views, views

urlpatterns = [
    path(f"campaigns/campaign/<int:campaign_id>/{name}/", admin.site.admin_view(view), name=f"campaign-{name}")
    for name, view in {
        "live": views.live,
        "send": views.send,
        "pause": views.pause,
        "resume": views.resume,
        "cancel": views.cancel,
        "people": people_views.people_page,
        "export": people_views.export,
        "languages": people_views.languages,
    }.items()
]
