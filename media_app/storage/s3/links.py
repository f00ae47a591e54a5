"""Links to objects that are signed once and used for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from time import monotonic

# The most links in the cache; each is about half a kilobyte.
MAX_LINKS = 4096


class Links:
    """A cache of links: those of the keys requested last. Thread-safe."""

    def __init__(
        self,
        sign: Callable[[str], str],
        *,
        use_for: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """``sign`` makes the link of a key; it must last well beyond the ``use_for`` seconds that
        it is given out.
        """
        self._sign = sign
        self._use_for = use_for
        self._clock = clock
        self._lock = Lock()
        self._cached: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def get(self, key: str) -> str:
        """A link to the key's object. Raises what ``sign`` raises."""
        now = self._clock()
        with self._lock:
            link, until = self._cached.get(key, ("", now))
            if now < until:
                self._cached.move_to_end(key)
                return link
        # Not under the lock: renewing the credentials may take a request of its own.
        link = self._sign(key)
        with self._lock:
            self._cached[key] = link, now + self._use_for
            self._cached.move_to_end(key)
            if len(self._cached) > MAX_LINKS:
                self._cached.popitem(last=False)
        return link

    def forget(self, key: str, link: str) -> None:
        """Drop this link; another one that was signed meanwhile stays."""
        with self._lock:
            if self._cached.get(key, ("", 0))[0] == link:
                del self._cached[key]
