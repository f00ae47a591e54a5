"""Every guard is needed: ``python -m bench.guards`` removes each, and expects a test to fail.

The guards are in guards.toml. Works on copies of the tracked files. Prints a line for each guard
with the first test that failed without it; exits 1 if there is one that no test missed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from mediahub.env import BASE_DIR

# A test that waits for what never comes has missed the guard as well.
TIMEOUT_SECONDS = 180
# A line of pytest's summary; lines of a log begin with ERROR, too.
_FAILED = re.compile(
    r"^(?:FAILED|ERROR) (?:[\w/]*/)?(\w+\.py::.+?)(?: - .*)?$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Guard:
    """A line that keeps something from going wrong, what it is without, and where that must be
    seen: arguments for pytest.
    """

    name: str
    file: str
    line: str
    without: str
    tests: str

    def places(self, tree: Path) -> int:
        """How often the file has the line. The guard can be removed where that is once."""
        return (tree / self.file).read_text().count(self.line)


GUARDS = tuple(
    Guard(**each)
    for each in tomllib.loads((BASE_DIR / "bench/guards.toml").read_text())["guard"]
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", help="only guards whose name or file contains one of these"
    )
    parser.add_argument("--jobs", type=int, default=2, help="guards at a time: 2")
    options = parser.parse_args()
    chosen = [guard for guard in GUARDS if _is_chosen(guard, options.names)]
    with tempfile.TemporaryDirectory(prefix="mediahub-guards-") as directory:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.jobs):
            trees.put(_copy(Path(directory) / str(number)))
        missed = _missed(chosen, trees, options.jobs)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} guards are held by a test")
    for guard in missed:
        print(f"  NOT CAUGHT: {guard.name} ({guard.file})")
    return 1 if missed else 0


def _is_chosen(guard: Guard, names: list[str]) -> bool:
    return not names or any(name in guard.name or name in guard.file for name in names)


def _missed(
    guards: Sequence[Guard], trees: SimpleQueue[Path], jobs: int
) -> list[Guard]:
    """The guards that no test held, each removed in a tree that nobody else works on."""

    def removed(guard: Guard) -> str | None:
        tree = trees.get()
        try:
            return _remove(tree, guard)
        finally:
            trees.put(tree)

    missed = []
    with ThreadPoolExecutor(jobs) as pool:
        for guard, caught in zip(guards, pool.map(removed, guards), strict=True):
            print(f"{guard.name:<60} {caught or 'NOT CAUGHT'}", flush=True)
            if caught is None:
                missed.append(guard)
    return missed


def _copy(directory: Path) -> Path:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=BASE_DIR,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        if (BASE_DIR / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(BASE_DIR / name, directory / name)
    return directory


def _remove(tree: Path, guard: Guard) -> str | None:
    """The first test that fails without the guard, or None. Raises RuntimeError where the guard's
    line has moved.
    """
    if guard.places(tree) != 1:
        raise RuntimeError(
            f"{guard.name}: {guard.file} has its line {guard.places(tree)} times"
        )
    file = tree / guard.file
    source = file.read_text()
    file.write_text(source.replace(guard.line, guard.without))
    try:
        done = _run(tree, guard.tests)
    except subprocess.TimeoutExpired:
        done = None
    finally:
        file.write_text(source)
    if done is None:
        return _never_ends(tree, guard)
    failed = _FAILED.search(done.stdout)
    return failed[1] if done.returncode == 1 and failed else None


def _never_ends(tree: Path, guard: Guard) -> str | None:
    """What is said of tests that did not end without the guard; None where they do not end with it
    either, in this time.
    """
    try:
        _run(tree, guard.tests)
    except subprocess.TimeoutExpired:
        return None
    return "(a test that never ends)"


def _run(tree: Path, tests: str) -> subprocess.CompletedProcess[str]:
    pytest = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*pytest, *tests.split()],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
