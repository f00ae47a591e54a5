"""One file from its provider into the storage.

``flow`` is the order of the steps; ``verification`` tells whether the bytes are the announced ones;
``adoption`` uses an object that is there already; ``saving`` puts a new one.
"""

from __future__ import annotations

from media_app.ingest.flow import ingest, ingest_next

__all__ = ["ingest", "ingest_next"]
