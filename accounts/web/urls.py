"""Pages of the account and its clinics. Login and logout are allauth's."""

from django.contrib.auth.decorators import login_not_required
from django.urls import path

from accounts.web import (
    agreement_views,
    application_views,
    erasure_views,
    mail_views,
    provider_views,
    session_views,
    token_views,
    views,
)

urlpatterns = [
    path("account/", views.account, name="account"),
    path("account/keys/", views.api_key_new, name="api_key_new"),
    path("account/keys/<uuid:pk>/revoke/", views.api_key_revoke, name="api_key_revoke"),
    path("privacy/", agreement_views.privacy, name="privacy"),
    path("privacy/terms/", agreement_views.terms, name="terms"),
    path("privacy/agree/", agreement_views.agree, name="agree"),
    path("privacy/withdraw/", agreement_views.withdraw, name="agreement_withdraw"),
    path("mail/off/<str:token>/", mail_views.off, name="mail_off"),
    path("account/mail/", mail_views.switch, name="mail_switch"),
    path("account/sessions/<int:pk>/end/", session_views.end, name="session_end"),
    path("account/erase/", erasure_views.account, name="account_erase"),
    path("patients/<uuid:pk>/erase/", erasure_views.record, name="patient_erase"),
    path("erasures/", erasure_views.listing, name="erasures"),
    path("erasures/<uuid:pk>/confirm/", erasure_views.confirm, name="erasure_confirm"),
    path("erasures/<uuid:pk>/undo/", erasure_views.undo, name="erasure_undo"),
    path("erasures/receipt/<str:token>/", erasure_views.receipt, name="erasure_receipt"),
    path(
        "erasures/receipt/<str:token>/receipt.json",
        erasure_views.receipt_file,
        name="erasure_receipt_file",
    ),
    path("clinics/new/", views.clinic_new, name="clinic_new"),
    path("clinics/<uuid:pk>/", views.clinic, name="clinic"),
    path("clinics/<uuid:pk>/reviewing/", views.reviewing, name="clinic_reviewing"),
    path("clinics/<uuid:pk>/second-factor/", views.second_factor, name="clinic_second_factor"),
    path("clinics/<uuid:pk>/keys/", views.bound_keys, name="clinic_bound_keys"),
    path("clinics/<uuid:pk>/invitations/", views.invite, name="clinic_invite"),
    path(
        "clinics/<uuid:pk>/invitations/<uuid:invitation_pk>/withdraw/",
        views.withdraw_invitation,
        name="invitation_withdraw",
    ),
    path(
        "clinics/<uuid:pk>/members/<uuid:membership_pk>/role/",
        views.change_role,
        name="membership_role",
    ),
    path(
        "clinics/<uuid:pk>/members/<uuid:membership_pk>/remove/",
        views.remove_member,
        name="membership_remove",
    ),
    path("clinics/<uuid:pk>/applications/", application_views.register, name="application_new"),
    path(
        "clinics/<uuid:pk>/applications/<uuid:application_pk>/renew/",
        application_views.renew,
        name="application_renew",
    ),
    path(
        "clinics/<uuid:pk>/applications/<uuid:application_pk>/keys/",
        application_views.set_keys,
        name="application_keys",
    ),
    path(
        "clinics/<uuid:pk>/applications/<uuid:application_pk>/take-over/",
        application_views.take_over,
        name="application_take_over",
    ),
    path(
        "clinics/<uuid:pk>/applications/<uuid:application_pk>/revoke/",
        application_views.revoke,
        name="application_revoke",
    ),
    # For applications, which authenticate with their secret (RFC 6749, RFC 7009).
    path("oauth/token", login_not_required(token_views.TokenView.as_view()), name="oauth_token"),
    path(
        "oauth/revoke",
        login_not_required(token_views.RevokeTokenView.as_view()),
        name="oauth_revoke",
    ),
    path(".well-known/oauth-authorization-server", token_views.metadata, name="oauth_metadata"),
    path("accounts/again/", provider_views.again, name="log_in_again"),
    path("accounts/again/done/", provider_views.done, name="logged_in_again"),
    path("invitations/<str:token>/", views.accept_invitation, name="accept_invitation"),
]
