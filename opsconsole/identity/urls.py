"""Addresses of people, under /api/."""

from django.urls import path

from opsconsole.identity import api

urlpatterns = [
    path("signer-keys", api.SignerKeys.as_view(), name="signer-key-list"),
    path("users", api.People.as_view(), name="users"),
    path("users/<uuid:user_id>/offboard", api.Offboard.as_view(), name="user-offboard"),
    path("users/<uuid:user_id>/take-away", api.TakeAway.as_view(), name="user-take-away"),
]
