"""The process that decodes one file: ``python -m media_app.decoding.child {"sizes": […], …}``.

The file is its standard input. Its answer on standard output is a line of JSON and then the small
pictures, one directly after the other: ``{"lengths": [bytes of each]}``, or ``{"error": "why
not"}``. The kernel ends it at its limits, which it sets before it reads a byte of the file.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import warnings

from PIL import Image

from media_app.decoding.picture import MAX_PIXELS, PictureError, small_pictures


def set_limits(*, memory: int, cpu_seconds: int, seconds: int, output: int) -> None:
    """Limit this process for the rest of its life; sizes are bytes.

    Past ``memory`` allocations fail. Past the others it is killed, except that a longer output is
    an OSError.
    """
    # The process ends by itself when its worker is gone.
    signal.alarm(seconds)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, cpu_seconds)
    _limit(resource.RLIMIT_FSIZE, output)
    # macOS refuses every value for this one.
    if sys.platform == "linux":
        _limit(resource.RLIMIT_AS, memory)


def _limit(which: int, most: int) -> None:
    """A stricter limit that is in force already stays."""
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    # At the soft limit of CPU time SIGXCPU ends the process, at the hard one SIGKILL, which may
    # have other causes.
    above = most
    if which == resource.RLIMIT_CPU and hard != most:
        above = most + 1
    resource.setrlimit(which, (most, above))


def main() -> None:
    order = json.loads(sys.argv[1])
    set_limits(**order["limits"])
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        made = small_pictures(sys.stdin.buffer.read(), order["sizes"])
        answer: dict[str, object] = {"lengths": [len(each) for each in made]}
    except PictureError as error:
        made, answer = [], {"error": str(error)}
    out = sys.stdout.buffer
    out.write(json.dumps(answer).encode() + b"\n" + b"".join(made))
    out.flush()


if __name__ == "__main__":
    main()
