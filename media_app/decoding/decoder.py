"""Decoding a file in a child process: a new program for each file, so that none of our memory is in
it.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

_COMMAND = (sys.executable, "-m", "media_app.decoding.child")
_ROOT = Path(__file__).parents[2]
# What a Python needs to find its libraries where they are not in their usual place. Secrets are not
# handed on.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
_MIB = 1024 * 1024
# A child that ends by one of these has crashed on what is in the file, or has used up its CPU time.
_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE}
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost."""

    #: Bytes of address space. 50 million pixels with an alpha channel take 400 MB.
    memory: int = 640 * _MIB
    #: Such a picture takes two seconds.
    cpu_seconds: int = 10
    #: A worker that shares its processor gets a small part of it.
    seconds: int = 60
    #: Bytes of the answer.
    output: int = 8 * _MIB


class DecodingError(Exception):
    """No preview can be made of the file: the text says why. Another attempt ends the same way."""


class CutOffError(Exception):
    """The child was stopped before it had an answer. Another attempt may succeed."""


def decode_picture(
    original: BinaryIO, sizes: Sequence[int], limits: Limits | None = None
) -> list[bytes]:
    """A small WebP of the picture in the file ``original``, for each size, in the same order.

    ``original`` is a real file; it is read from its start. Raises DecodingError, CutOffError.
    """
    limits = limits or Limits()
    order = json.dumps({"sizes": list(sizes), "limits": asdict(limits)})
    original.seek(0)
    # A file, not a pipe: its size is limited by the kernel, and nobody has to read while the child
    # writes.
    with TemporaryFile() as answer:
        status = _run(order, original, answer, limits.seconds)
        _judge(status)
        answer.seek(0)
        return _pictures(answer.read(limits.output + 1), len(sizes))


def _run(order: str, original: BinaryIO, answer: BinaryIO, seconds: float) -> int:
    """The child's exit status. Raises CutOffError when it takes longer."""
    child = subprocess.Popen(  # noqa: S603
        [*_COMMAND, order],
        stdin=original,
        stdout=answer,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
    )
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        raise CutOffError(f"it was not decoded within {seconds} seconds") from None
    finally:
        child.kill()
        child.wait()


def _judge(status: int) -> None:
    """Raise what an exit status means, unless it is success."""
    if status == 0:
        return
    if status == -signal.SIGXCPU:
        raise DecodingError("it takes too long to decode")
    if status == -signal.SIGALRM:
        raise CutOffError("it was not decoded in time")
    if -status in _CRASHES:
        raise DecodingError(f"the decoder crashed ({signal.Signals(-status).name})")
    raise CutOffError(f"the decoder ended with status {status}")


def _pictures(answer: bytes, number: int) -> list[bytes]:
    """The pictures of an answer, which a file that has got hold of the child may have written.

    Raises DecodingError.
    """
    head, _, bodies = answer.partition(b"\n")
    try:
        said = json.loads(head)
        if "error" in said:
            raise DecodingError(str(said["error"])[:200])
        lengths = [int(length) for length in said["lengths"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DecodingError("the decoder gave no answer") from error
    source = io.BytesIO(bodies)
    # A negative length reads all that is left.
    pictures = [source.read(length) for length in lengths]
    if (
        len(pictures) != number
        or source.read()
        or [*map(len, pictures)] != lengths
        or not all(map(_is_webp, pictures))
    ):
        raise DecodingError("the decoder gave no answer")
    return pictures


def _is_webp(body: bytes) -> bool:
    return body[:4] == b"RIFF" and body[8:12] == b"WEBP"
