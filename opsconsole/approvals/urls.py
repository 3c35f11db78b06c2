"""Addresses of approvals, under /api/."""

from django.urls import path

from opsconsole.approvals import api

urlpatterns = [
    path("approvals", api.RequestList.as_view(), name="approval-list"),
    path("approvals/<uuid:request_id>", api.RequestDetail.as_view(), name="approval"),
    path("approvals/<uuid:request_id>/approve", api.RequestApprove.as_view(), name="approval-approve"),
    path("approvals/<uuid:request_id>/revoke", api.RequestRevoke.as_view(), name="approval-revoke"),
    path("approvals/<uuid:request_id>/comment", api.RequestComment.as_view(), name="approval-comment"),
    path("ops/reviews", api.ReviewList.as_view(), name="review-list"),
    path("ops/reviews/<uuid:review_id>/review", api.ReviewAnswerDoor.as_view(), name="review-answer"),
    path("signer-keys/<uuid:key_id>/revoke", api.SignerKeyRevoke.as_view(), name="signer-key-revoke"),
]
