from django.urls import URLPattern, URLResolver, path

from campaigns.api.actions import (
    ApproveCampaignView,
    ArchiveCampaignView,
    CancelCampaignView,
    ChooseWinnerView,
    DuplicateCampaignView,
    LaunchCampaignView,
    PauseCampaignView,
    ReopenCampaignView,
    ResumeCampaignView,
    SendBackCampaignView,
    SubmitCampaignView,
    UnarchiveCampaignView,
)
from campaigns.api.views import (
    CampaignEventsView,
    CampaignFiguresView,
    CampaignPlanView,
    CampaignsView,
    CampaignView,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("campaigns/", CampaignsView.as_view()),
    path("campaigns/<int:id>/", CampaignView.as_view()),
    path("campaigns/<int:id>/plan/", CampaignPlanView.as_view()),
    path("campaigns/<int:id>/figures/", CampaignFiguresView.as_view()),
    path("campaigns/<int:id>/events/", CampaignEventsView.as_view()),
    path("campaigns/<int:id>/submit/", SubmitCampaignView.as_view()),
    path("campaigns/<int:id>/reopen/", ReopenCampaignView.as_view()),
    path("campaigns/<int:id>/approve/", ApproveCampaignView.as_view()),
    path("campaigns/<int:id>/send-back/", SendBackCampaignView.as_view()),
    path("campaigns/<int:id>/launch/", LaunchCampaignView.as_view()),
    path("campaigns/<int:id>/pause/", PauseCampaignView.as_view()),
    path("campaigns/<int:id>/resume/", ResumeCampaignView.as_view()),
    path("campaigns/<int:id>/choose-winner/", ChooseWinnerView.as_view()),
    path("campaigns/<int:id>/cancel/", CancelCampaignView.as_view()),
    path("campaigns/<int:id>/duplicate/", DuplicateCampaignView.as_view()),
    path("campaigns/<int:id>/archive/", ArchiveCampaignView.as_view()),
    path("campaigns/<int:id>/unarchive/", UnarchiveCampaignView.as_view()),
]
