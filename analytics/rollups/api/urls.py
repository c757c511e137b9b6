from django.urls import URLPattern, URLResolver, path

from analytics.rollups.api.views import StatsLatencyView, StatsSeriesView, StatsTopView, StatsView

urlpatterns: list[URLPattern | URLResolver] = [
    path("stats/", StatsView.as_view()),
    path("stats/series/", StatsSeriesView.as_view()),
    path("stats/latency/", StatsLatencyView.as_view()),
    path("stats/top/", StatsTopView.as_view()),
]
