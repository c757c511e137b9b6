from django.contrib import admin
from django.urls import path

from campaigns import people_views, plan_views, variant_views, views

_VIEWS = {
    "live": views.live,
    "check": views.check,
    "plan": plan_views.plan,
    "draft-plan": plan_views.draft_plan,
    "launch": views.launch,
    "send-back": views.send_back,
    "cancel": views.cancel,
    "duplicate": views.duplicate,
    "variants": variant_views.variants,
    "choose": variant_views.choose,
    "people": people_views.people_page,
    "export": people_views.export,
    "languages": people_views.languages,
} | {name: views.step(name) for name in views.STEPS}

urlpatterns = [
    path(f"campaigns/campaign/<int:campaign_id>/{name}/", admin.site.admin_view(view), name=f"campaign-{name}")
    for name, view in _VIEWS.items()
]
