"""What the long runs are told by name is there."""

from __future__ import annotations

import tomllib

from bench.guards import GUARDS
from mediahub.env import BASE_DIR


def test_each_guard_is_one_line() -> None:
    assert [guard.name for guard in GUARDS if guard.places(BASE_DIR) != 1] == []


def test_each_guard_names_tests_that_are_there() -> None:
    named = {word for guard in GUARDS for word in guard.tests.split() if "/" in word}
    assert [path for path in sorted(named) if not list(BASE_DIR.glob(path))] == []


def test_mutmut_is_told_of_files_that_are_there() -> None:
    project = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())
    told = project["tool"]["mutmut"]
    named = [*told["only_mutate"], *told["pytest_add_cli_args_test_selection"][2:]]
    assert [name for name in named if not _is_there(name)] == []


def _is_there(name: str) -> bool:
    """Whether there are files of this pattern, with this test where one is named."""
    pattern, _, test = name.partition("::")
    return any(f"{test}(" in file.read_text() for file in BASE_DIR.glob(pattern))
