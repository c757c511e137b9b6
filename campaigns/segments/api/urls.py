from django.urls import URLPattern, URLResolver, path

from campaigns.segments.api.lists import ListMembersView, ListsView, ListView, RemoveListMembersView
from campaigns.segments.api.segments import EstimateSegmentView, SampleSegmentView, SegmentsView, SegmentView

urlpatterns: list[URLPattern | URLResolver] = [
    path("segments/", SegmentsView.as_view()),
    path("segments/estimate/", EstimateSegmentView.as_view()),
    path("segments/sample/", SampleSegmentView.as_view()),
    path("segments/<int:segment_id>/", SegmentView.as_view()),
    path("lists/", ListsView.as_view()),
    path("lists/<int:list_id>/", ListView.as_view()),
    path("lists/<int:list_id>/members/", ListMembersView.as_view()),
    path("lists/<int:list_id>/members/remove/", RemoveListMembersView.as_view()),
]
