"""The addresses of treasury, under /api/ops/."""

from django.urls import path

from opsconsole.treasury import api

urlpatterns = [
    path("payouts", api.Payouts.as_view(), name="payouts"),
    path("payouts/<uuid:payout_id>", api.OnePayout.as_view(), name="payout"),
    path("payouts/<uuid:payout_id>/hold", api.HoldPayout.as_view(), name="payout-hold"),
    path("payouts/<uuid:payout_id>/release", api.ReleasePayout.as_view(), name="payout-release"),
    path("payouts/<uuid:payout_id>/retry", api.RetryPayout.as_view(), name="payout-retry"),
    path("banks", api.Banks.as_view(), name="banks"),
    path("accounts", api.Accounts.as_view(), name="accounts"),
    path("accounts/<uuid:account_id>", api.OneAccount.as_view(), name="account"),
    path("routes", api.Routes.as_view(), name="routes"),
    path("routes/<uuid:route_id>", api.OneRoute.as_view(), name="route"),
]
