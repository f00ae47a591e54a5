"""Programs that the machine brings and pip does not."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str) -> str:
    """Its path, found by name or in the variable of that name (CHROMIUM). The test is left out
    where there is none.

    REQUIRE_ALL=1 makes that a failure.
    """
    found = os.environ.get(name.upper()) or shutil.which(name)
    if found is None:
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(
                f"There is no {name}, and REQUIRE_ALL=1 says that there must be."
            )
        pytest.skip(f"There is no {name}. Name it in {name.upper()}.")
    return found
