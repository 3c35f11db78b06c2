"""The addresses of treasury, under /api/ops/."""

from django.urls import path

from opsconsole.treasury import api, bank_files_api

urlpatterns = [
    path("payouts", api.Payouts.as_view(), name="payouts"),
    path("payouts/<uuid:payout_id>", api.OnePayout.as_view(), name="payout"),
    path("payouts/<uuid:payout_id>/hold", api.HoldPayout.as_view(), name="payout-hold"),
    path("payouts/<uuid:payout_id>/release", api.ReleasePayout.as_view(), name="payout-release"),
    path("payouts/<uuid:payout_id>/retry", api.RetryPayout.as_view(), name="payout-retry"),
    path("banks", api.Banks.as_view(), name="banks"),
    path("accounts", api.Accounts.as_view(), name="accounts"),
    path("accounts/<uuid:account_id>", api.OneAccount.as_view(), name="account"),
    path("freezes", api.Freezes.as_view(), name="freezes"),
    path("sweeps", bank_files_api.Sweeps.as_view(), name="sweeps"),
    path("bank-files", bank_files_api.BankFiles.as_view(), name="bank-files"),
    path("bank-files/<uuid:file_id>", bank_files_api.OneBankFile.as_view(), name="bank-file"),
    path("breaks", bank_files_api.Breaks.as_view(), name="breaks"),
    path("breaks/<uuid:break_id>/resolve", bank_files_api.ResolveBreak.as_view(), name="break-resolve"),
    path("routes", api.Routes.as_view(), name="routes"),
    path("routes/<uuid:route_id>", api.OneRoute.as_view(), name="route"),
]
