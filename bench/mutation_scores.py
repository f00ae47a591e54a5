"""What ``mutmut run`` found, by module: ``python -m bench.mutation_scores``.

Reads what mutmut leaves in ``mutants``. A mutant is killed when a test fails with it, or does not
end. Prints the score of each module, worst first, and the names of the others: ``mutmut show NAME``
shows one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mediahub.env import BASE_DIR

FOLDER = BASE_DIR / "mutants"
# mutmut's exit codes: no test runs the function, a test passed with the mutant.
UNTESTED, SURVIVED = 33, 0


@dataclass(frozen=True, slots=True)
class Module:
    """One file. Named are the mutants that no test runs, and those with which all tests pass."""

    path: str
    mutants: int
    untested: tuple[str, ...]
    survived: tuple[str, ...]

    @property
    def killed(self) -> int:
        return self.mutants - len(self.untested) - len(self.survived)


def module(meta: Path) -> Module:
    """What mutmut's ``.meta`` file says. Raises ValueError where the run was cut off."""
    codes = json.loads(meta.read_text())["exit_code_by_key"]
    path = str(meta.relative_to(FOLDER)).removesuffix(".meta")
    if None in codes.values():
        raise ValueError(f"{path}: not all mutants were tried")
    return Module(
        path=path,
        mutants=len(codes),
        untested=tuple(name for name, code in codes.items() if code == UNTESTED),
        survived=tuple(name for name, code in codes.items() if code == SURVIVED),
    )


def main() -> None:
    modules = [module(meta) for meta in FOLDER.rglob("*.meta")]
    modules = [each for each in modules if each.mutants]
    for each in modules:
        for name in each.survived:
            print(f"survived  {name}")
        for name in each.untested:
            print(f"untested  {name}")
    print(f"{'module':<50} {'mutants':>8} {'killed':>8} {'score':>6}")
    for each in sorted(modules, key=lambda each: each.killed / each.mutants):
        _print_row(each.path, each.mutants, each.killed)
    _print_row(
        "all",
        sum(each.mutants for each in modules),
        sum(each.killed for each in modules),
    )


def _print_row(name: str, mutants: int, killed: int) -> None:
    print(f"{name:<50} {mutants:>8,} {killed:>8,} {killed / mutants:>6.0%}")


if __name__ == "__main__":
    main()
