"""What a provider's refusal means, and which credentials are tried."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from datetime import timedelta

import pytest
from pytest_django import Settings

from messages_app.providers.sending import (
    CredentialsRefusedError,
    NotSentError,
    RefusedError,
    SendError,
    UnknownOutcomeError,
)
from tests.providers.receiver import (
    hang_up,
)
from tests.providers.sending_cases import (
    META,
    SECRETS,
    TWILIO,
    ProviderCase,
)

pytestmark = pytest.mark.usefixtures("hub")


def test_our_twilio_password_is_not_used_for_another_account(
    settings: Settings,
) -> None:
    with (
        TWILIO.answering(settings) as receiver,
        pytest.raises(RefusedError, match="account AC…ffff"),
    ):
        TWILIO.send(account="AC" + "f" * 32)
    assert not receiver.requests


CODES = [
    (META, 400, 131047, RefusedError),
    (META, 400, 131026, RefusedError),
    (META, 400, 131009, RefusedError),
    (META, 400, 100, RefusedError),
    (META, 400, 131062, RefusedError),
    (META, 403, 10, RefusedError),
    (META, 404, 2500, RefusedError),
    *(
        (META, 400, code, NotSentError)
        for code in (4, 80007, 130429, 131048, 131056, 133016, 131016)
    ),
    (META, 403, 4, NotSentError),
    (META, 429, 4, NotSentError),
    (META, 401, 190, CredentialsRefusedError),
    (META, 400, 190, CredentialsRefusedError),
    (META, 500, 131000, UnknownOutcomeError),
    (META, 503, 4, UnknownOutcomeError),
    (META, 200, 190, UnknownOutcomeError),
    (TWILIO, 400, 63016, RefusedError),
    (TWILIO, 400, 21610, RefusedError),
    (TWILIO, 400, 21211, RefusedError),
    (TWILIO, 404, 20404, RefusedError),
    (TWILIO, 400, 63018, NotSentError),
    (TWILIO, 429, 20429, NotSentError),
    (TWILIO, 401, 20003, CredentialsRefusedError),
    (TWILIO, 403, 20003, CredentialsRefusedError),
    (TWILIO, 500, 20500, UnknownOutcomeError),
    (TWILIO, 503, 20503, UnknownOutcomeError),
]


@pytest.mark.parametrize(
    ("case", "status", "code", "error"),
    CODES,
    ids=lambda value: getattr(value, "name", None),
)
def test_an_error_of_the_provider_s_means(
    settings: Settings,
    case: ProviderCase,
    status: int,
    code: int,
    error: type[SendError],
) -> None:
    failing = case.error(status, code)
    with (
        case.answering(settings, failing, failing) as receiver,
        pytest.raises(SendError) as caught,
    ):
        case.send()
    assert type(caught.value) is error
    assert f"answered {status}, code {code}" in str(caught.value)
    assert len(receiver.requests) == (2 if error is CredentialsRefusedError else 1)
    assert not any(secret in str(caught.value) for secret in SECRETS)


@pytest.mark.parametrize(
    ("case", "code", "words"),
    [
        (META, 131047, "24 hours old"),
        (TWILIO, 63016, "24 hours old"),
        (META, 100, "something in the message that it can't take"),
        (TWILIO, 21212, "the business's number is not"),
        (TWILIO, 63007, "the business's number is not"),
    ],
)
def test_staff_read_why_a_message_was_refused(
    settings: Settings, case: ProviderCase, code: int, words: str
) -> None:
    with (
        case.answering(settings, case.error(400, code)),
        pytest.raises(RefusedError, match=words),
    ):
        case.send()


def test_a_busy_provider_says_when_to_come_back(
    case: ProviderCase, settings: Settings
) -> None:
    busy = case.error(429, 1, "retry-after: 7")
    with case.answering(settings, busy), pytest.raises(NotSentError) as caught:
        case.send()
    assert caught.value.retry_after == timedelta(seconds=7)


# --- which credentials ------------------------------------------------------------


def test_the_second_secret_is_tried_when_the_first_is_refused(
    case: ProviderCase, settings: Settings
) -> None:
    with case.answering(settings, case.error(401, 0), case.taken) as receiver:
        assert case.send() == "the-id"
    assert (
        tuple(request.headers["authorization"] for request in receiver.requests)
        == case.authorizations
    )
    assert {request.line for request in receiver.requests} == {f"POST {case.path}"}


def test_no_second_secret_is_tried_once_the_first_was_accepted(
    case: ProviderCase, settings: Settings
) -> None:
    for ending in (case.taken, hang_up, case.error(500, 1), case.error(400, 100)):
        with (
            case.answering(settings, ending, case.taken) as receiver,
            suppress(SendError),
        ):
            case.send()
        assert [request.headers["authorization"] for request in receiver.requests] == [
            case.authorizations[0]
        ]


def test_without_a_secret_nothing_is_sent(
    case: ProviderCase, settings: Settings
) -> None:
    with (
        case.answering(settings) as receiver,
        pytest.raises(CredentialsRefusedError, match=case.secrets),
    ):
        setattr(settings, case.secrets, [])
        case.send()
    assert not receiver.requests


def test_a_secret_that_can_not_be_sent_is_skipped_and_not_shown(
    settings: Settings,
) -> None:
    with META.answering(settings, META.taken) as receiver:
        settings.META_ACCESS_TOKEN = ["hush\nhush", "hush-日本"]
        with pytest.raises(
            CredentialsRefusedError, match=r"^The credentials have characters"
        ) as caught:
            META.send()
        assert caught.value.__suppress_context__
        settings.META_ACCESS_TOKEN = ["hush\nhush", "good"]
        assert META.send() == "the-id"
    assert [request.headers["authorization"] for request in receiver.requests] == [
        "Bearer good"
    ]


def test_twilio_s_api_key_goes_with_its_own_secrets_only(settings: Settings) -> None:
    settings.TWILIO_API_KEY, settings.TWILIO_API_SECRET = "SKkey", ["old", "new"]
    refused = TWILIO.error(401, 20003)
    answering = TWILIO.answering(settings, refused, refused, TWILIO.taken)
    with answering as receiver, pytest.raises(CredentialsRefusedError):
        TWILIO.send()
    expected = [
        f"Basic {b64encode(f'SKkey:{secret}'.encode()).decode()}"
        for secret in ("old", "new")
    ]
    assert [
        request.headers["authorization"] for request in receiver.requests
    ] == expected
