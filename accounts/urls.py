"""Pages of one's account and one's clinics. What logs people in and out is allauth's."""

from django.urls import path

from accounts import views

urlpatterns = [
    path("account/", views.account, name="account"),
    path("account/keys/", views.api_key_new, name="api_key_new"),
    path("account/keys/<uuid:pk>/revoke/", views.api_key_revoke, name="api_key_revoke"),
    path("clinics/new/", views.clinic_new, name="clinic_new"),
    path("clinics/<uuid:pk>/", views.clinic, name="clinic"),
    path("clinics/<uuid:pk>/reviewing/", views.reviewing, name="clinic_reviewing"),
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
    path("invitations/<str:token>/", views.accept_invitation, name="accept_invitation"),
]
