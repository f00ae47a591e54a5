"""What is changed in boto3's requests before they are sent."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest


def in_region(context: dict[str, object], **kwargs: object) -> None:
    """Links lead where requests do. boto3 signs them for AWS's global address: a new bucket of
    another region than us-east-1 answers a redirect there, for hours.
    """
    context["use_global_endpoint"] = False


def add_md5(request: AWSRequest, **kwargs: object) -> None:
    """Content-MD5 beside boto3's CRC32: servers older than that checksum want it for a
    DeleteObjects.
    """
    if "Content-MD5" not in request.headers:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        request.headers["Content-MD5"] = b64encode(digest).decode()
