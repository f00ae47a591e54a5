"""What messages make of sessions, without a database."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messages_app.session_state import (
    Photo,
    Reply,
    Rules,
    Session,
    SessionMessage,
    State,
    Word,
)
from messages_app.sessions import sessions_of

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TTL = 3600
WORDS = {
    "sell": Word.START,
    "start": Word.START,
    "done": Word.DONE,
    "all done": Word.DONE,
    "cancel": Word.CANCEL,
    "reset": Word.RESET,
    "no, skip": Word.SKIP,
    "yes, add": Word.ADD,
}
KEYWORD = Rules(words=WORDS, starts_with_photo=False, ttl=timedelta(seconds=TTL))
PHOTO = replace(KEYWORD, starts_with_photo=True)

_ids = count()


def at(second: int) -> datetime:
    return NOON + timedelta(seconds=second)


def new_id() -> UUID:
    return uuid5(UUID(int=0), str(next(_ids)))


def assumed(one: SessionMessage, milliseconds: int = 0) -> SessionMessage:
    """The same from a provider that sends no times, received so much later."""
    return replace(
        one, at=one.at + timedelta(milliseconds=milliseconds), time_assumed=True
    )


def message(
    second: int, text: str = "", *, payload: str = "", received: int | None = None
) -> SessionMessage:
    return SessionMessage(
        new_id(),
        at(second),
        at(second if received is None else received),
        text=text,
        payload=payload,
    )


def photo(
    second: int,
    text: str = "",
    *,
    received: int | None = None,
    refused: bool = False,
    files: int = 1,
) -> SessionMessage:
    photos = tuple(Photo(new_id(), is_refused=refused) for _ in range(files))
    return replace(message(second, text, received=received), photos=photos)


def decision(second: int, verb: str) -> SessionMessage:
    return SessionMessage(new_id(), at(second), at(second), decision=verb)


def built(
    *history: SessionMessage,
    rules: Rules = PHOTO,
    now: int = 10,
    may_expire: bool = False,
) -> list[Session]:
    return sessions_of(history, rules, now=at(now), may_expire=may_expire)


def states(sessions: list[Session]) -> list[tuple[State, int]]:
    """How each session stands, and how many photos it has."""
    return [(session.state, len(session.photos)) for session in sessions]


def replies(session: Session) -> list[Reply]:
    return [pending.reply for pending in session.replies]


# --- how it begins ------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["SELL", "sell", " Start \n", "start!", "\tSELL. "])
@pytest.mark.parametrize("rules", [KEYWORD, PHOTO])
def test_a_word_begins_a_session_in_any_case_and_with_space_around(
    typed: str, rules: Rules
) -> None:
    (session,) = built(message(0, typed), rules=rules)
    assert (session.state, replies(session)) == (State.COLLECTING, [Reply.START])


@pytest.mark.parametrize(
    ("rules", "begun"), [(PHOTO, [(State.COLLECTING, 2)]), (KEYWORD, [])]
)
def test_photos_begin_a_session_where_it_is_set_so(
    rules: Rules, begun: list[tuple[State, int]]
) -> None:
    assert states(built(photo(0), photo(1), rules=rules)) == begun


@pytest.mark.parametrize(
    "typed", ["done", "cancel", "reset", "hello", "no, skip", "sell my car"]
)
def test_other_words_begin_none(typed: str) -> None:
    assert built(message(0, typed)) == []


def test_buttons_begin_none() -> None:
    assert (
        built(
            message(0, "NO, SKIP", payload="skip"),
            message(1, "YES, ADD", payload="add"),
        )
        == []
    )


def test_a_second_start_in_a_session_is_nothing() -> None:
    (session,) = built(message(0, "sell"), photo(1), message(2, "start"), photo(3))
    assert (len(session.photos), replies(session)) == (2, [Reply.START, Reply.ACK])


def test_a_caption_that_begins_a_session_begins_it_for_the_whole_album() -> None:
    album = [photo(0) for _ in range(8)]
    (session,) = built(*album, photo(0, "Sell"), rules=KEYWORD)
    assert (len(session.photos), replies(session)) == (9, [Reply.ACK])


def test_the_word_that_begins_comes_before_photos_of_its_second() -> None:
    (session,) = built(*(photo(0) for _ in range(8)), message(0, "sell"), rules=KEYWORD)
    assert len(session.photos) == 8


# --- photos, and DONE ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed", ["DONE", "done", " Done ", "done.", "Done!", "all   DONE"]
)
def test_done_asks_for_details_once(typed: str) -> None:
    (session,) = built(
        photo(0), photo(1), photo(2), message(3, typed), message(4, typed)
    )
    assert (session.state, session.done_at) == (State.AWAITING_DETAILS, at(3))
    assert replies(session) == [Reply.ACK, Reply.QUESTION]


def test_what_only_begins_with_the_word_is_not_the_word() -> None:
    (session,) = built(photo(0), message(1, "done with my car"))
    assert session.state == State.COLLECTING


def test_photos_come_before_words_of_their_second() -> None:
    (session,) = built(message(1, "done"), *(photo(1) for _ in range(8)))
    assert (session.state, len(session.photos), session.done_at) == (
        State.AWAITING_DETAILS,
        8,
        at(1),
    )


@pytest.mark.parametrize("caption", ["cancel", "reset"])
def test_a_caption_that_ends_ends_it_for_the_whole_album(caption: str) -> None:
    album = [photo(0) for _ in range(8)]
    assert states(built(*album, photo(0, caption))) == [(State.CANCELLED, 9)]


def test_a_caption_may_say_done() -> None:
    (session,) = built(photo(0), photo(1, "Done"))
    assert (session.state, len(session.photos)) == (State.AWAITING_DETAILS, 2)


def test_done_without_photos_asks_for_photos_each_time() -> None:
    first, second = message(1, "done"), message(2, "done")
    (session,) = built(message(0, "sell"), first, second)
    assert session.state == State.COLLECTING
    assert [pending.cause for pending in session.replies] == [
        "",
        str(first.id),
        str(second.id),
    ]
    assert replies(session) == [Reply.START, Reply.NO_PHOTOS, Reply.NO_PHOTOS]


@pytest.mark.parametrize(("late", "photos"), [(119, 2), (120, 2), (121, 1)])
def test_a_photo_on_its_way_at_done_still_counts(late: int, photos: int) -> None:
    (session,) = built(photo(0), message(10, "done"), photo(10 + late))
    assert (session.state, len(session.photos)) == (State.AWAITING_DETAILS, photos)


@pytest.mark.parametrize("rules", [KEYWORD, PHOTO])
@pytest.mark.parametrize("answer", ["no, skip", "A scratch."])
def test_a_photo_on_its_way_at_done_counts_after_the_answer_too(
    rules: Rules, answer: str
) -> None:
    (session,) = built(
        message(0, "sell"),
        photo(1),
        message(10, "done"),
        message(12, answer),
        photo(130),
        rules=rules,
    )
    assert (session.state, len(session.photos), session.ended_at) == (
        State.SUBMITTED,
        2,
        at(12),
    )
    assert (session.last.at, replies(session)[-1]) == (at(130), Reply.SUBMITTED)


def test_what_is_sent_longer_after_submission_is_another_session() -> None:
    assert states(
        built(photo(0), message(1, "done"), message(2, "scratched"), photo(122))
    ) == [
        (State.SUBMITTED, 1),
        (State.COLLECTING, 1),
    ]


@pytest.mark.parametrize(
    ("typed", "state"),
    [
        ("done", State.AWAITING_DETAILS),
        ("cancel", State.CANCELLED),
        ("reset", State.CANCELLED),
    ],
)
def test_a_word_after_such_a_photo_shows_that_it_was_another_session(
    typed: str, state: State
) -> None:
    history = [
        photo(0),
        message(1, "done"),
        message(2, "none"),
        photo(3),
        photo(4),
        message(5, typed),
    ]
    assert states(built(*history)) == [(State.SUBMITTED, 1), (state, 2)]


def test_a_new_session_takes_the_photos_that_follow_its_word() -> None:
    history = [
        message(0, "sell"),
        photo(1),
        message(2, "done"),
        message(3, "none"),
        message(4, "sell"),
        photo(5),
    ]
    assert states(built(*history, rules=KEYWORD)) == [
        (State.SUBMITTED, 1),
        (State.COLLECTING, 1),
    ]


def test_a_photo_that_comes_late_belongs_to_the_session_of_its_own_time() -> None:
    history = [
        photo(0),
        message(2, "done"),
        message(4, "none"),
        photo(6),
        message(7, "done"),
    ]
    late = photo(1, received=500)
    first, second = built(*history, late)
    assert late.photos[0] in first.photos
    assert (len(first.photos), len(second.photos)) == (2, 1)


def test_photos_count_again_where_all_before_were_refused() -> None:
    again = [photo(500), photo(700)]
    (session,) = built(
        photo(0, refused=True),
        message(1, "done"),
        *again,
        message(900, "done"),
        now=900,
    )
    assert (session.state, session.done_at) == (State.AWAITING_DETAILS, at(900))
    assert [each.is_refused for each in session.photos] == [True, False, False]


def test_what_comes_too_late_waits_for_another_done() -> None:
    history = [photo(0), message(10, "done"), photo(200), photo(210)]
    assert states(built(*history)) == [(State.AWAITING_DETAILS, 1)]
    (session,) = built(*history, message(220, "done"), photo(225))
    assert (session.state, len(session.photos), session.done_at) == (
        State.AWAITING_DETAILS,
        4,
        at(220),
    )
    assert replies(session) == [Reply.ACK, Reply.QUESTION]


# --- hints --------------------------------------------------------------------------------


def test_chat_gets_a_hint_at_most_once_a_minute() -> None:
    chat = [message(second, "hello") for second in (1, 30, 60, 61, 62, 121)]
    (session,) = built(message(0, "sell"), *chat)
    hinted = [
        pending.cause for pending in session.replies if pending.reply == Reply.HINT
    ]
    assert hinted == [str(chat[0].id), str(chat[3].id), str(chat[5].id)]


def test_captions_and_messages_without_words_get_no_hint() -> None:
    (session,) = built(photo(0, "my car"), message(1), photo(2, "its wheels"))
    assert replies(session) == [Reply.ACK]


# --- details ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "details"),
    [
        (message(2, "A scratch."), "A scratch."),
        (message(2, "No, skip"), ""),
        (message(2, " NO,  SKIP. "), ""),
        (message(2, "Nein danke", payload="skip"), ""),
    ],
)
def test_any_answer_submits(answer: SessionMessage, details: str) -> None:
    (session,) = built(photo(0), message(1, "done"), answer)
    assert (session.state, session.details, session.ended_at) == (
        State.SUBMITTED,
        details,
        at(2),
    )
    assert replies(session) == [Reply.ACK, Reply.QUESTION, Reply.SUBMITTED]


@pytest.mark.parametrize(
    "add", [message(2, "yes, add"), message(2, "Ja", payload="add")]
)
def test_whoever_wants_to_add_is_asked_to_and_then_submits(add: SessionMessage) -> None:
    waiting = built(photo(0), message(1, "done"), add)
    assert (waiting[0].state, replies(waiting[0])[-1]) == (
        State.AWAITING_DETAILS,
        Reply.ADD,
    )
    (session,) = built(photo(0), message(1, "done"), add, message(3, "A scratch."))
    assert (session.state, session.details) == (State.SUBMITTED, "A scratch.")


def test_the_caption_of_a_photo_after_done_is_not_the_details() -> None:
    (session,) = built(photo(0), message(1, "done"), photo(2, "from behind"))
    assert (session.state, session.details) == (State.AWAITING_DETAILS, "")


def test_replies_are_sent_once_or_once_for_each_cause() -> None:
    adds = [message(2, payload="add"), message(3, payload="add")]
    (session,) = built(photo(0), message(1, "done"), *adds, message(4, "done"))
    assert [
        pending.cause for pending in session.replies if pending.reply == Reply.ADD
    ] == [str(add.id) for add in adds]
    assert replies(session).count(Reply.QUESTION) == 1


def test_a_reply_is_caused_when_its_cause_was_received() -> None:
    (session,) = built(photo(0, received=70), message(1, "done", received=90))
    assert [pending.caused_at for pending in session.replies] == [at(70), at(90)]


# --- times that were assumed --------------------------------------------------------------


@pytest.mark.parametrize(("later", "photos"), [(5, 1), (2000, 1), (2001, 0)])
def test_a_photo_received_just_before_its_start_belongs_to_the_session(
    later: int, photos: int
) -> None:
    history = [assumed(photo(0)), assumed(message(0, "sell"), later)]
    (session,) = built(*history, rules=KEYWORD)
    assert (len(session.photos), session.first.at == at(0)) == (photos, bool(photos))
    assert replies(session) == [Reply.START, Reply.ACK][: 1 + photos]


def test_where_the_provider_sends_times_a_photo_before_its_start_is_left_out() -> None:
    assert states(built(photo(0), message(1, "sell"), rules=KEYWORD)) == [
        (State.COLLECTING, 0)
    ]


def test_photos_received_just_after_done_were_sent_before_it() -> None:
    done = assumed(message(1, "done"))
    late = [assumed(photo(1), milliseconds) for milliseconds in (5, 9)]
    (session,) = built(assumed(message(0, "sell")), done, *late, rules=KEYWORD)
    assert (session.state, session.done_at, len(session.photos)) == (
        State.AWAITING_DETAILS,
        done.at,
        2,
    )
    assert replies(session) == [Reply.START, Reply.ACK, Reply.QUESTION]


@pytest.mark.parametrize("typed", ["cancel", "reset"])
@pytest.mark.parametrize(("later", "photos"), [(5, [2]), (2001, [1, 1])])
def test_a_photo_received_just_after_the_end_belongs_to_what_was_ended(
    typed: str, later: int, photos: list[int]
) -> None:
    made = built(
        assumed(photo(0)), assumed(message(1, typed)), assumed(photo(1), later)
    )
    assert [len(session.photos) for session in made] == photos


# --- how it ends --------------------------------------------------------------------------


@pytest.mark.parametrize("done", [[], [message(5, "done")]])
@pytest.mark.parametrize(
    ("typed", "reply"), [("Cancel", Reply.CANCELLED), (" RESET ", Reply.RESET)]
)
def test_a_session_is_cancelled_until_it_is_submitted(
    done: list[SessionMessage], typed: str, reply: Reply
) -> None:
    (session,) = built(photo(0), *done, message(9, typed))
    assert (session.state, session.ended_at, replies(session)[-1]) == (
        State.CANCELLED,
        at(9),
        reply,
    )
    assert session.is_reset == (reply == Reply.RESET)


@pytest.mark.parametrize(
    ("pause", "sessions"),
    [
        (TTL, [(State.COLLECTING, 2)]),
        (TTL + 1, [(State.EXPIRED, 1), (State.COLLECTING, 1)]),
    ],
)
def test_a_longer_pause_than_the_ttl_ends_it(
    pause: int, sessions: list[tuple[State, int]]
) -> None:
    made = built(photo(0), photo(pause))
    assert states(made) == sessions
    if len(made) == 2:
        assert made[0].ended_at == at(TTL)


def test_the_pause_is_counted_from_the_last_message_not_from_the_first() -> None:
    assert states(built(photo(0), message(3000, "wait"), photo(6000))) == [
        (State.COLLECTING, 2)
    ]


@pytest.mark.parametrize("later", [[], [photo(TTL + 100)]])
def test_whoever_never_answers_the_question_has_still_submitted(
    later: list[SessionMessage],
) -> None:
    session, *_ = built(
        photo(0), message(10, "done"), *later, now=TTL + 11, may_expire=True
    )
    assert (session.state, session.is_unanswered, session.ended_at) == (
        State.SUBMITTED,
        True,
        at(TTL + 10),
    )
    assert replies(session) == [Reply.ACK, Reply.QUESTION]


def test_an_answer_that_comes_late_was_an_answer() -> None:
    history = [photo(0), message(10, "done"), message(20, "A scratch.", received=9000)]
    (session,) = built(*history, now=20_000, may_expire=True)
    assert (session.state, session.is_unanswered, session.details) == (
        State.SUBMITTED,
        False,
        "A scratch.",
    )


@pytest.mark.parametrize(
    ("received", "now", "may_expire", "state"),
    [
        (0, TTL, True, State.COLLECTING),
        (0, TTL + 1, True, State.EXPIRED),
        (0, TTL + 1, False, State.COLLECTING),
        (7200, TTL + 1, True, State.COLLECTING),
        (7200, 7200 + TTL, True, State.COLLECTING),
        (7200, 7200 + TTL + 1, True, State.EXPIRED),
    ],
)
def test_silence_ends_it_by_the_contacts_clock_and_by_ours(
    received: int, now: int, may_expire: bool, state: State
) -> None:
    (session,) = built(photo(0, received=received), now=now, may_expire=may_expire)
    assert session.state == state
    assert session.ended_at == (at(TTL) if state == State.EXPIRED else None)


def test_a_clock_ahead_of_ours_does_not_end_it() -> None:
    (session,) = built(photo(5000, received=0), now=TTL + 1, may_expire=True)
    assert session.state == State.COLLECTING


def test_an_outage_of_two_hours_ends_nothing() -> None:
    history = [
        photo(0),
        photo(1, received=7200),
        message(2, "done", received=7201),
        message(3, "none", received=7201),
    ]
    assert states(built(*history, now=7300, may_expire=True)) == [(State.SUBMITTED, 2)]


def test_too_late_done_asks_for_photos_again() -> None:
    expired, again = built(photo(0), photo(1), message(3662, "done"))
    assert states([expired, again]) == [(State.EXPIRED, 2), (State.COLLECTING, 0)]
    assert (replies(expired), replies(again)) == ([Reply.ACK], [Reply.NO_PHOTOS])


@pytest.mark.parametrize(("pause", "sessions"), [(86400, 2), (86401, 1)])
def test_a_day_later_nobody_means_that_session(pause: int, sessions: int) -> None:
    made = built(photo(0), message(pause, "done"), now=TTL + 1, may_expire=True)
    assert len(made) == sessions


@pytest.mark.parametrize(("before", "begun"), [(0, 1), (-86400, 0), (None, 0)])
def test_done_may_be_too_late_for_a_session_before_all_these_messages(
    before: int | None, begun: int
) -> None:
    last_message = None if before is None else at(before)
    assert (
        len(
            sessions_of(
                [message(TTL + 1, "done")],
                KEYWORD,
                now=at(0),
                may_expire=False,
                last_at_of_expired=last_message,
            )
        )
        == begun
    )


@pytest.mark.parametrize("end", ["cancel", "reset"])
def test_done_after_another_end_than_silence_is_nothing(end: str) -> None:
    last_message = at(-TTL - 1)
    history = [message(0, "sell"), message(1, end), message(2, "done")]
    made = sessions_of(
        history,
        KEYWORD,
        now=at(3),
        may_expire=False,
        last_at_of_expired=last_message,
    )
    assert len(made) == 1


# --- staff --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "state"), [("close", State.SUBMITTED), ("cancel", State.CANCELLED)]
)
@pytest.mark.parametrize("second", [5, 9000])
def test_staff_end_a_session_however_long_it_is_silent(
    verb: str, state: State, second: int
) -> None:
    (session,) = built(photo(0), decision(second, verb), now=second)
    assert (session.state, session.ended_at, replies(session)) == (
        state,
        at(second),
        [Reply.ACK],
    )


def test_a_decision_counts_at_its_time() -> None:
    assert states(
        built(photo(0), photo(7), decision(5, "close"), photo(3, received=9))
    ) == [
        (State.SUBMITTED, 2),
        (State.COLLECTING, 1),
    ]


def test_a_decision_comes_after_all_messages_of_its_second() -> None:
    words = [message(0, "hello") for _ in range(8)]
    (session,) = built(message(0, "sell"), *words, decision(0, "cancel"))
    assert (session.state, len(session.messages)) == (State.CANCELLED, 9)


def test_a_decision_about_nothing_is_nothing() -> None:
    assert built(decision(0, "close")) == []


# --- late messages ------------------------------------------------------------------------


def test_a_late_message_joins_what_a_pause_had_parted() -> None:
    history = [photo(0), photo(5000)]
    assert len(built(*history)) == 2
    assert states(built(*history, message(2500, "wait", received=9000))) == [
        (State.COLLECTING, 2)
    ]


def test_a_late_cancel_parts_what_was_one() -> None:
    assert states(built(photo(0), photo(9), message(5, "cancel", received=20))) == [
        (State.CANCELLED, 1),
        (State.COLLECTING, 1),
    ]


def test_a_late_photo_makes_an_empty_done_count() -> None:
    start, done = message(0, "sell"), message(5, "done")
    (session,) = built(start, done, photo(4, received=9))
    assert (session.state, replies(session)) == (
        State.AWAITING_DETAILS,
        [Reply.START, Reply.ACK, Reply.QUESTION],
    )


TEXTS = ("", "sell", "done", "cancel", "reset", "hello", "no, skip", "yes, add")
ANYTHING = st.builds(
    lambda second, text, files, delay, is_assumed: replace(
        photo(second, text, files=files, received=second + delay)
        if files
        else message(second, text, received=second + delay),
        time_assumed=is_assumed,
    ),
    st.one_of(st.integers(0, 400), st.integers(0, 20_000)),
    st.sampled_from(TEXTS),
    st.integers(0, 2),
    st.sampled_from([0, 1, 7200]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(ANYTHING, max_size=15),
    st.sampled_from([PHOTO, KEYWORD]),
    st.booleans(),
    st.randoms(),
)
def test_any_order_of_arrival_makes_the_same_sessions(
    history: list[SessionMessage], rules: Rules, may_expire: bool, order: random.Random
) -> None:
    expected = built(*history, rules=rules, now=20_000, may_expire=may_expire)
    for _ in range(100 if len(history) < 5 else 5):
        shuffled = order.sample(history, len(history))
        assert (
            built(*shuffled, rules=rules, now=20_000, may_expire=may_expire) == expected
        )


def test_a_hundred_orders_of_an_outage_make_the_same_sessions() -> None:
    history = [
        message(0, "sell"),
        *(photo(second % 7, received=7200 + second) for second in range(30)),
    ]
    history += [
        message(7, "done", received=7200),
        message(9, "none"),
        photo(9000),
        message(9001, "cancel"),
    ]
    expected = built(*history)
    assert states(expected) == [(State.SUBMITTED, 30), (State.CANCELLED, 1)]
    for seed in range(100):
        assert built(*random.Random(seed).sample(history, len(history))) == expected


@settings(max_examples=150, deadline=None)
@given(
    st.lists(ANYTHING, max_size=15),
    st.integers(0, 15),
    st.sampled_from([PHOTO, KEYWORD]),
    st.booleans(),
)
def test_only_the_last_session_is_ever_open(
    history: list[SessionMessage], known: int, rules: Rules, may_expire: bool
) -> None:
    for arrived in (history[:known], history):
        made = built(*arrived, rules=rules, now=20_000, may_expire=may_expire)
        assert not any(session.is_open for session in made[:-1])
        spoken = [id for session in made for id in session.messages]
        assert len(spoken) == len(set(spoken))
        assert all(
            session.ended_at is not None for session in made if not session.is_open
        )
