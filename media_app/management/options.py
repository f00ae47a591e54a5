"""Options that several commands have, and the values they accept."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import datetime

from django.core.management.base import CommandParser
from django.utils.timezone import is_naive, make_aware

from media_app.identity import owner_of


def add_period(parser: CommandParser, what: str) -> None:
    """``--since`` and ``--until``: ``what`` says which time counts, as in ``received``."""
    parser.add_argument(
        "--since", type=moment, metavar="TIME", help=f"{what} then or later (ISO 8601)"
    )
    parser.add_argument(
        "--until", type=moment, metavar="TIME", help=f"{what} before then (ISO 8601)"
    )


def add_sender(parser: CommandParser) -> None:
    parser.add_argument(
        "--sender",
        type=sender,
        metavar="NUMBER",
        help="only this sender: +14335551212, whatsapp:+14335551212, …",
    )


def add_limit(parser: CommandParser, what: str) -> None:
    parser.add_argument(
        "--limit", type=positive, metavar="N", help=f"at most so many {what}"
    )


def add_workers(parser: CommandParser, default: int) -> None:
    parser.add_argument(
        "--workers",
        type=positive,
        default=default,
        metavar="N",
        help=f"so many at a time ({default})",
    )


def add_apply(parser: CommandParser) -> None:
    parser.add_argument(
        "--apply", action="store_true", help="do it; without this, only report"
    )


def moment(text: str) -> datetime:
    """An aware time: a day, or a time of the settings' zone or with one of its own."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(
            f"{text!r} is not a time like 2026-11-20 or 2026-11-20T14:30+01:00"
        ) from error
    if is_naive(parsed):
        return make_aware(parsed)
    return parsed


def sender(text: str) -> str:
    """A sender's owner, as keys have it."""
    owner = owner_of(text)
    if owner is None:
        raise ArgumentTypeError(f"{text!r} is not a number like +14335551212")
    return owner


def positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def percent(text: str) -> float:
    """``5`` or ``5%``; more than 0, at most 100."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = 0.0
    if not 0 < number <= 100:
        raise ArgumentTypeError(f"{text!r} is not a percentage like 10%")
    return number


class SomeOf:
    """A type for a list like ``expired,missing``: a tuple of some of these names."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __call__(self, text: str) -> tuple[str, ...]:
        given = tuple(dict.fromkeys(text.split(",")))
        if unknown := set(given) - set(self._names):
            raise ArgumentTypeError(
                f"{', '.join(sorted(unknown))}: choose among {', '.join(self._names)}"
            )
        return given


#: The types of values that can't be a name, a number of a person or a path: runs record them.
HARMLESS = (moment, positive, percent)
