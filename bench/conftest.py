"""Fuzzing runs on the database and with the fixtures of the tests."""

from __future__ import annotations

from tests.conftest import *  # noqa: F403
