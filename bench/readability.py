"""How dense this tree is: ``python -m bench.readability``.

Counts the tracked Python files without migrations, and prints a table, then each module of more
than 300 lines and each function of more than 60. «Lines» are neither blank nor comments.
"""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from mediahub.env import BASE_DIR

PARTS = {
    "product": ("media_app", "messages_app", "mediahub"),
    "simulator": ("simulator",),
    "tests": ("tests",),
    "bench": ("bench",),
}
LONG_LINE, LONG_MODULE, LONG_FUNCTION = 100, 300, 60
# So many of the last commits are looked at.
COMMITS = 64
COLUMNS = (
    *("files", "lines", "nodes/line", "ternaries/1,000"),
    *(f"over {LONG_LINE} columns", f"modules over {LONG_MODULE}"),
    f"functions over {LONG_FUNCTION}",
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Measured:
    """The files of one part of the tree, added up."""

    files: int = 0
    lines: int = 0
    nodes: int = 0
    ternaries: int = 0
    long_lines: int = 0
    long_modules: list[str] = field(default_factory=list)
    long_functions: list[str] = field(default_factory=list)
    test_names: list[str] = field(default_factory=list)

    def add(self, path: str, source: str) -> None:
        everything = source.splitlines()
        nodes = list(ast.walk(ast.parse(source)))
        self.files += 1
        self.lines += sum(_is_counted(line) for line in everything)
        self.nodes += len(nodes)
        self.ternaries += sum(isinstance(node, ast.IfExp) for node in nodes)
        self.long_lines += sum(len(line) > LONG_LINE for line in everything)
        if len(everything) > LONG_MODULE:
            self.long_modules.append(f"{path}: {len(everything)} lines")
        for node in nodes:
            if isinstance(node, Function):
                self._add_function(path, node)

    def _add_function(self, path: str, function: Function) -> None:
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > LONG_FUNCTION:
            self.long_functions.append(f"{path}: {function.name}, {lines} lines")
        if function.name.startswith("test_"):
            self.test_names.append(function.name)

    def row(self) -> tuple[str, ...]:
        """One cell for each of the columns."""
        return (
            str(self.files),
            f"{self.lines:,}",
            f"{self.nodes / self.lines:.2f}",
            f"{self.ternaries * 1000 / self.lines:.1f}",
            str(self.long_lines),
            str(len(self.long_modules)),
            str(len(self.long_functions)),
        )


def _is_counted(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def measure(paths: list[str]) -> Measured:
    """The files of these paths, which begin at the project's folder."""
    measured = Measured()
    for path in paths:
        measured.add(path, (BASE_DIR / path).read_text())
    return measured


def main() -> None:
    paths = [path for path in _git("ls-files", "*.py").splitlines() if _is_ours(path)]
    parts = {
        name: measure([path for path in paths if path.split("/")[0] in folders])
        for name, folders in PARTS.items()
    }
    _print_row("", *COLUMNS)
    for name, part in parts.items():
        _print_row(name, *part.row())
    tests, product = parts["tests"], parts["product"]
    words = [len(name.split("_")) - 1 for name in tests.test_names]
    helpers = [path for path in paths if _is_test_helper(path)]
    print()
    print(f"words per test name       {sum(words) / len(words):.1f}")
    print(f"tests : product           {tests.lines / product.lines:.2f} : 1")
    print(f"non-test code in tests/   {measure(helpers).lines:,} lines")
    print(f"commits with a body       {_bodies()} of {COMMITS}")
    for part in parts.values():
        for line in part.long_modules + part.long_functions:
            print(f"  {line}")


def _is_ours(path: str) -> bool:
    # A file may be tracked and deleted.
    return "migrations" not in Path(path).parts and (BASE_DIR / path).exists()


def _is_test_helper(path: str) -> bool:
    return path.startswith("tests/") and not Path(path).name.startswith("test_")


def _print_row(name: str, *cells: str) -> None:
    widths = (max(len(column), 6) for column in COLUMNS)
    aligned = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    print("  ".join([f"{name:<9}", *aligned]))


def _bodies() -> int:
    """How many of the last commits have a body."""
    log = _git("log", f"-{COMMITS}", "--no-merges", "--format=%b%x00")
    return sum(bool(body.strip()) for body in log.split("\0"))


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=BASE_DIR, check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    main()
