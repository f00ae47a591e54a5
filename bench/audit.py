"""Known vulnerabilities of what servers install: ``python -m bench.audit``.

Asks PyPI's advisories for each package of requirements/base.txt, by pip-audit in an environment of
its own. Exits 1 if one is known to be vulnerable. Where nobody can be asked it says so and exits 0:
no network is no finding.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from mediahub.env import BASE_DIR

ENVIRONMENT = BASE_DIR / ".venv" / "audit"
REQUIREMENTS = BASE_DIR / "requirements"
# For each of three programs.
LIMIT_SECONDS = 300


def main() -> int:
    try:
        code, text = judge(_ask())
    except (subprocess.SubprocessError, ValueError) as error:
        # pip-audit prints no report where it can't reach the advisories at all.
        code, text = 0, _not_audited(type(error).__name__)
    print(text)
    return code


def judge(report: dict[str, Any]) -> tuple[int, str]:
    """The exit code for pip-audit's report (``--format json``), and what to tell."""
    packages = report["dependencies"]
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        return 0, _not_audited("no package was found there")
    findings = [
        f"{package['name']} {package['version']}: {found['id']}, fixed in "
        f"{', '.join(found['fix_versions']) or 'none'}"
        for package in asked
        for found in package.get("vulns", ())
    ]
    skipped = [
        f"NOT AUDITED: {package['name']}"
        for package in packages
        if "skip_reason" in package
    ]
    lines = [
        *skipped,
        *findings,
        f"{len(asked)} packages asked for, {len(findings)} known vulnerabilities.",
    ]
    return (1 if findings else 0), "\n".join(lines)


def _not_audited(reason: str) -> str:
    return (
        f"*** NOT AUDITED: the advisories could not be asked ({reason}). Run `make audit` "
        "where PyPI is reached. ***"
    )


def _ask() -> dict[str, Any]:
    """pip-audit's report. Raises SubprocessError, ValueError."""
    _run(sys.executable, "-m", "venv", ENVIRONMENT)
    python = ENVIRONMENT / "bin" / "python"
    _run(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "-r",
        REQUIREMENTS / "audit.txt",
    )
    options = (
        "--disable-pip",
        "--require-hashes",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    )
    command = [
        str(python),
        "-m",
        "pip_audit",
        *options,
        "-r",
        str(REQUIREMENTS / "base.txt"),
    ]
    # It exits 1 for a finding as well as for a failure; only a finding comes with a report.
    asked = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    report: dict[str, Any] = json.loads(asked.stdout)
    return report


def _run(*command: object) -> None:
    subprocess.run(
        [*map(str, command)], check=True, capture_output=True, timeout=LIMIT_SECONDS
    )


if __name__ == "__main__":
    sys.exit(main())
