"""Staff who may change accounts raise neither themselves nor others."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from tests.admin.conftest import Staff

ACCOUNTS = ("auth.view_user", "auth.change_user", "auth.add_user", "auth.delete_user")
GROUPS = ("auth.view_group", "auth.change_group", "auth.add_group", "auth.delete_group")
NEW_PASSWORD = {
    "password1": "a quite long one",
    "password2": "a quite long one",
    "usable_password": "true",
}


@pytest.fixture
def clerk(staff: Staff) -> Client:
    return staff(*ACCOUNTS, *GROUPS)


def saved(client: Client, user: User, **more: object) -> int:
    """Save somebody's page with these changes."""
    day, time = f"{user.date_joined:%Y-%m-%d}", f"{user.date_joined:%H:%M:%S}"
    kept = {
        "username": user.username,
        "is_active": "on",
        "date_joined_0": day,
        "date_joined_1": time,
    }
    return client.post(
        reverse("admin:auth_user_change", args=[user.pk]), {**kept, **more}
    ).status_code


def permission(name: str) -> Permission:
    return Permission.objects.get(codename=name)


def test_staff_who_change_accounts_cannot_give_rights(clerk: Client) -> None:
    group = Group.objects.create(name="all")
    group.permissions.add(permission("delete_media"))
    me, other = User.objects.get(), User.objects.create_user("other")
    rights = {"is_superuser": "on", "is_staff": "on", "groups": [group.pk]}
    for user in (me, other):
        status = saved(
            clerk,
            user,
            first_name="Ada",
            user_permissions=[permission("delete_media").pk],
            **rights,
        )
        assert status == 302
        user = User.objects.get(pk=user.pk)
        assert user.first_name == "Ada"
        assert not user.is_superuser
        assert not user.has_perm("media_app.delete_media")
    assert (
        User.objects.get(pk=me.pk).is_staff
        and not User.objects.get(pk=other.pk).is_staff
    )


@pytest.mark.parametrize("rights", ["superuser", "delete_media"])
def test_an_account_with_more_rights_is_not_taken_over(
    clerk: Client, rights: str
) -> None:
    user = User.objects.create_user(
        "above", password="before", is_superuser=rights == "superuser", is_staff=True
    )
    if rights != "superuser":
        user.user_permissions.add(permission(rights))
    assert saved(clerk, user, username="below") == 403
    assert (
        clerk.post(
            reverse("admin:auth_user_password_change", args=[user.pk]), NEW_PASSWORD
        ).status_code
        == 403
    )
    assert (
        clerk.post(
            reverse("admin:auth_user_delete", args=[user.pk]), {"post": "yes"}
        ).status_code
        == 403
    )
    selected = {
        "action": "delete_selected",
        "_selected_action": [user.pk],
        "post": "yes",
    }
    clerk.post(reverse("admin:auth_user_changelist"), selected)
    after = User.objects.get(pk=user.pk)
    assert after.username == "above" and after.check_password("before")


def test_a_group_is_changed_by_superusers_alone(
    clerk: Client, superuser: Client
) -> None:
    group = Group.objects.create(name="mine")
    page = reverse("admin:auth_group_change", args=[group.pk])
    wanted = {"name": "mine", "permissions": [permission("delete_media").pk]}
    assert clerk.get(page).status_code == 200
    assert clerk.post(page, wanted).status_code == 403
    assert (
        clerk.post(
            reverse("admin:auth_group_add"), {**wanted, "name": "new"}
        ).status_code
        == 403
    )
    assert (
        clerk.post(
            reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"}
        ).status_code
        == 403
    )
    assert superuser.post(page, wanted).status_code == 302
    assert [*group.permissions.values_list("codename", flat=True)] == ["delete_media"]


def test_staff_who_change_accounts_add_one_without_rights(clerk: Client) -> None:
    added = clerk.post(
        reverse("admin:auth_user_add"),
        {"username": "new", "is_superuser": "on", **NEW_PASSWORD},
    )
    assert added.status_code == 302
    user = User.objects.get(username="new")
    assert not user.is_superuser and not user.is_staff
    assert (
        clerk.post(
            reverse("admin:auth_user_password_change", args=[user.pk]), NEW_PASSWORD
        ).status_code
        == 302
    )


def test_a_superuser_gives_rights(superuser: Client) -> None:
    user = User.objects.create_user("other")
    assert (
        saved(
            superuser,
            user,
            is_superuser="on",
            user_permissions=[permission("view_media").pk],
        )
        == 302
    )
    after = User.objects.get(pk=user.pk)
    assert after.is_superuser and after.user_permissions.count() == 1
