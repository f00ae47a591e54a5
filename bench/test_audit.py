from __future__ import annotations

from typing import Any

import pytest

from bench.audit import judge

GOOD = {"name": "django", "version": "5.2.19", "vulns": []}
BAD = {
    "name": "pillow",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}],
}
UNKNOWN = {"name": "boto3", "skip_reason": "not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([GOOD], 0, "1 packages asked for, 0 known"),
        ([GOOD, BAD], 1, "pillow 1.0: PYSEC-1, fixed in 1.1"),
        ([GOOD, UNKNOWN], 0, "NOT AUDITED: boto3"),
        ([UNKNOWN], 0, "*** NOT AUDITED"),
    ],
)
def test_an_audit_fails_for_a_finding_alone(
    packages: list[dict[str, Any]], code: int, said: str
) -> None:
    judged, text = judge({"dependencies": packages})
    assert (judged, said in text) == (code, True)
