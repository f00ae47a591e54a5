"""Places where this process can be made to die, to test that nothing is lost by it.

``FAILPOINT=after_put`` in the environment kills it with SIGKILL when it gets there;
``after_put:3`` on the third time. With ``FAILPOINT_ONCE=/a/file`` only the first process
that gets there dies: it leaves the file behind. Without the variable nothing happens.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

_name, _, _times = os.environ.get("FAILPOINT", "").partition(":")
_left = int(_times or 1)


def arm(name: str, *, times: int = 1) -> None:
    """Arm a failpoint in this process, as the environment would."""
    global _name, _left
    _name, _left = name, times


def failpoint(name: str) -> None:
    """Die here, if this failpoint is armed."""
    global _left
    if name != _name:
        return
    _left -= 1
    if _left == 0 and _is_first():
        os.kill(os.getpid(), signal.SIGKILL)


def _is_first() -> bool:
    marker = os.environ.get("FAILPOINT_ONCE")
    if not marker:
        return True
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
