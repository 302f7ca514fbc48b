from django.urls import path

from shop.stock import views

urlpatterns = [path("items", views.items), path("whoami", views.whoami), path("stream", views.stream)]
