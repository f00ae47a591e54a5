"""Whoever guesses passwords has to wait; nobody is locked out by somebody else."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import F
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from mediahub.login import ACCOUNT_TRIES, ADDRESS_TRIES, WINDOW, client_address
from mediahub.models import LoginTries

LOGIN = "/admin/login/"
PASSWORD = "the right one of vera"


@pytest.fixture(autouse=True)
def vera(db: None, settings: Settings) -> User:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return User.objects.create_user("vera", password=PASSWORD, is_staff=True)


def log_in(
    password: str, account: str = "vera", address: str = "203.0.113.7"
) -> HttpResponse:
    form = {"username": account, "password": password}
    return post(Client(), form, address)


def post(
    client: Client, form: dict[str, str], address: str = "203.0.113.7"
) -> HttpResponse:
    """As a browser sends it; the test client's own way is for files, which nobody may send here."""
    answer: Any = client.post(
        LOGIN, urlencode(form), "application/x-www-form-urlencoded", REMOTE_ADDR=address
    )
    return cast(HttpResponse, answer)


def guess(times: int, account: str = "vera", address: str = "203.0.113.7") -> list[int]:
    return [
        log_in(f"wrong {number}", account, address).status_code
        for number in range(times)
    ]


def window_passes() -> None:
    LoginTries.objects.update(since=F("since") - WINDOW - timedelta(seconds=1))


@pytest.mark.both_databases
def test_after_ten_wrong_passwords_even_the_right_one_has_to_wait() -> None:
    assert guess(20) == [200] * ACCOUNT_TRIES + [429] * (20 - ACCOUNT_TRIES)
    refused = log_in(PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= WINDOW.total_seconds()
    assert "Try again in 15 minutes" in refused.content.decode()
    window_passes()
    assert log_in(PASSWORD).status_code == 302


def test_wrong_passwords_from_elsewhere_lock_nobody_out() -> None:
    guess(ACCOUNT_TRIES + 1)
    assert log_in(PASSWORD, address="198.51.100.9").status_code == 302


@pytest.mark.parametrize(
    "addresses",
    [["203.0.113.7"], ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::9"]],
)
def test_one_address_cannot_try_one_password_on_many_accounts(
    addresses: list[str],
) -> None:
    tries = [
        log_in(
            "summer", f"account {number}", addresses[number % len(addresses)]
        ).status_code
        for number in range(ADDRESS_TRIES + 2)
    ]
    assert tries == [200] * ADDRESS_TRIES + [429] * 2


def test_who_logs_in_uses_up_nothing() -> None:
    for _ in range(2):
        assert guess(ACCOUNT_TRIES - 1) == [200] * (ACCOUNT_TRIES - 1)
        assert log_in(PASSWORD).status_code == 302
    LoginTries.objects.all().delete()
    assert [log_in(PASSWORD).status_code for _ in range(ADDRESS_TRIES + 2)] == [302] * (
        ADDRESS_TRIES + 2
    )


def test_who_is_logged_in_guesses_no_more_than_others(vera: User) -> None:
    client = Client()
    client.force_login(vera)
    answers = [
        post(client, {"username": "root", "password": f"{n}"}).status_code
        for n in range(12)
    ]
    assert answers[ACCOUNT_TRIES:] == [429, 429]


@pytest.mark.django_db(transaction=True)
@pytest.mark.both_databases
def test_guesses_at_the_same_time_are_counted_each() -> None:
    def try_one(number: int) -> int:
        try:
            return log_in(f"wrong {number}").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(try_one, range(24)))
    assert answers == {200: ACCOUNT_TRIES, 429: 24 - ACCOUNT_TRIES}


@pytest.mark.parametrize("account", ["", "a\x00b", "x" * 10_000, "Ünïcode ‮", "a|b"])
def test_any_name_is_answered(account: str) -> None:
    assert log_in("wrong", account).status_code == 200


def test_nothing_of_who_tried_is_kept_in_words() -> None:
    guess(1)
    kept = "".join(LoginTries.objects.values_list("key", flat=True))
    assert "vera" not in kept and "203.0.113" not in kept


def test_rows_of_the_past_go_away() -> None:
    guess(3, account="nobody")
    window_passes()
    log_in(PASSWORD)
    assert not LoginTries.objects.filter(tries__gt=0).exists()


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        # Nobody but a proxy of ours is believed.
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("::1", "203.0.113.7", "203.0.113.7"),
        # Of a unix socket.
        ("", "203.0.113.7", "203.0.113.7"),
        # What a client writes there itself stands before what the proxy adds.
        ("127.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.7, é\x00", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("::ffff:203.0.113.7", "", "203.0.113.7"),
    ],
)
def test_the_address_is_that_of_the_client(
    settings: Settings, peer: str, forwarded: str, client: str
) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1", "::1", "10.0.0.0/8"]
    request = RequestFactory().get(
        "/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded
    )
    assert client_address(request) == client


@pytest.mark.parametrize(
    "password", ["short", "12345678901234", "password1234", "vera-vera-vera"]
)
def test_a_password_that_is_easily_guessed_is_not_taken(password: str) -> None:
    with pytest.raises(ValidationError):
        validate_password(password, User(username="vera-vera-vera"))
