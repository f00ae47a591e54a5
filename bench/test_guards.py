from __future__ import annotations

from bench.guards import GUARDS
from mediahub.env import BASE_DIR


def test_each_guard_is_one_line() -> None:
    assert [guard.name for guard in GUARDS if guard.places(BASE_DIR) != 1] == []
