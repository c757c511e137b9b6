from django.urls import path

from analytics.engagement import views

urlpatterns = [
    path("t/c/<str:token>", views.click, name="tracked-click"),
    path("t/o/<str:token>", views.opened, name="tracked-open"),
]
