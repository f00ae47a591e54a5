"""What is asked of a bucket alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit
from uuid import uuid4

from django.conf import settings

from media_app.capabilities.answers import Answer, failed, ok, warning
from media_app.capabilities.contract import KEYS, put
from media_app.capabilities.links import open_link
from media_app.clock import database_now
from media_app.identity import ERASURES, PREVIEWS, SCHEMES
from media_app.publication import public_bucket
from media_app.storage import RefusedError
from media_app.storage.s3.errors import s3_errors
from media_app.storage.s3.hidden import HiddenObjects

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import LifecycleRuleOutputTypeDef

_KEY = KEYS[0]
_BODY = b"a probe of check_storage"
_LINK_SECONDS = 60
_OLD_UPLOAD = timedelta(days=1)
_STRANGER = "https://stranger.example"
# What keys of ours begin with.
_OURS = (*(f"{scheme}:" for scheme in SCHEMES), PREVIEWS, ERASURES)


def attempts(scratch: HiddenObjects) -> dict[str, Callable[[], Answer]]:
    found: dict[str, Callable[[], Answer]] = {
        "signed_link": partial(_signed_link, scratch),
        "cors": partial(_cors, scratch),
        "public": partial(_public, scratch),
        "permissions": partial(_permissions, scratch),
        "lifecycle": partial(_lifecycle, scratch),
        "versioning": partial(_versioning, scratch),
        "multipart": partial(_multipart, scratch),
    }
    if public_bucket():
        found["public_copies"] = partial(_public_copies, scratch)
    return found


def _signed_link(scratch: HiddenObjects) -> Answer:
    put(scratch, _KEY, _BODY)
    disposition = "attachment; filename*=UTF-8''Gr%C3%BC%C3%9Fe.png"
    link = scratch.url(
        _KEY, _LINK_SECONDS, content_type="image/png", disposition=disposition
    )
    opened = open_link(link)
    problem = ""
    if opened.status != 200 or opened.body != _BODY:
        problem = f"A signed link does not open its object ({opened.status})."
    elif opened.headers.get("Content-Type") != "image/png":
        problem = "The bucket does not send the type that a signed link asks for."
    elif opened.headers.get("Content-Disposition") != disposition:
        problem = "The bucket does not send the file name that a signed link asks for."
    if not problem:
        return ok("Signed links open objects, with their type and name.")
    if settings.MEDIA_DELIVERY == "redirect":
        return failed(problem)
    return warning(problem)


def _cors(scratch: HiddenObjects) -> Answer:
    put(scratch, _KEY, _BODY)
    link = scratch.url(_KEY, _LINK_SECONDS)
    parts = urlsplit(settings.PUBLIC_URL)
    own = f"{parts.scheme}://{parts.netloc}"
    if _allows(link, _STRANGER):
        return warning("Scripts of any web page may read what a signed link opens.")
    if _allows(link, own):
        return ok("Scripts of the hub's own address alone may read files.")
    return ok("Scripts of web pages may not read files; showing them needs no rule.")


def _allows(link: str, origin: str) -> bool:
    allowed = open_link(link, origin=origin).headers.get("Access-Control-Allow-Origin")
    return allowed in ("*", origin)


def _public(scratch: HiddenObjects) -> Answer:
    put(scratch, _KEY, _BODY)
    # What a signed link adds to the address is in its query.
    address = scratch.url(_KEY, _LINK_SECONDS).partition("?")[0]
    if open_link(address).body == _BODY:
        return failed("Everybody can read the files, without a signature.")
    name = quote(scratch.prefix + _KEY)
    bucket = address.removesuffix(name)
    if b"<ListBucketResult" in open_link(f"{bucket}?list-type=2&max-keys=1").body:
        return failed("Everybody can list the files, without a signature.")
    address = settings.R2_PUBLIC_URL
    if address and open_link(f"{address}/{name}").body == _BODY:
        return failed("Everybody can read all files at R2_PUBLIC_URL.")
    return ok("Without a signature nobody reads or lists files.")


def _public_copies(scratch: HiddenObjects) -> Answer:
    public = HiddenObjects(scratch.client, public_bucket(), scratch.prefix)
    # Nobody can guess it while it is there.
    key = f"{uuid4()}.txt"
    put(public, key, _BODY)
    try:
        opened = open_link(f"{settings.R2_PUBLIC_URL}/{public.prefix}{key}")
        listing = open_link(f"{settings.R2_PUBLIC_URL}/")
    finally:
        public.delete([key])
    if opened.body != _BODY:
        return failed(f"R2_PUBLIC_URL does not have the copy ({opened.status}).")
    if b"<ListBucketResult" in listing.body:
        return failed("Everybody can list the public copies.")
    return ok("Public copies can be read at R2_PUBLIC_URL, one by one.")


def _permissions(scratch: HiddenObjects) -> Answer:
    client, text = scratch.client, ""
    with suppress(RefusedError), s3_errors("list buckets"):
        names = {each.get("Name") for each in client.list_buckets().get("Buckets", ())}
        if others := len(names - {scratch.bucket, public_bucket()}):
            text = f"The access key sees {others} other buckets."
    # A bucket that nobody has: who may delete it may delete the others, too.
    try:
        with s3_errors("delete a bucket that does not exist"):
            client.delete_bucket(Bucket=f"mediahub-check-{uuid4()}")
    except RefusedError as error:
        if error.code == "NoSuchBucket":
            text = f"{text} The access key may delete buckets.".strip()
    if text:
        return warning(text)
    return ok("The access key lists no other buckets and deletes none.")


def _lifecycle(scratch: HiddenObjects) -> Answer:
    try:
        with s3_errors("get the lifecycle rules"):
            rules = scratch.client.get_bucket_lifecycle_configuration(
                Bucket=scratch.bucket
            )
    except RefusedError as error:
        if error.code == "NoSuchLifecycleConfiguration":
            return ok("No rule deletes objects.")
        return ok(f"Whether a rule deletes objects can't be told ({error.code}).")
    if deletes_files(rules.get("Rules", ())):
        return failed("A lifecycle rule of the bucket deletes files after a time.")
    return ok("No lifecycle rule deletes files.")


def deletes_files(rules: Iterable[LifecycleRuleOutputTypeDef]) -> bool:
    for rule in rules:
        expiration = rule.get("Expiration", {})
        if rule["Status"] != "Enabled" or not expiration.keys() & {"Days", "Date"}:
            continue
        limits = rule.get("Filter", {})
        prefix = limits.get("Prefix") or limits.get("And", {}).get("Prefix", "")
        prefix = prefix or rule.get("Prefix", "")
        if any(ours.startswith(prefix) or prefix.startswith(ours) for ours in _OURS):
            return True
    return False


def _versioning(scratch: HiddenObjects) -> Answer:
    try:
        with s3_errors("get the versioning"):
            found = scratch.client.get_bucket_versioning(Bucket=scratch.bucket)
    except RefusedError as error:
        return ok(f"Whether old versions are kept can't be told ({error.code}).")
    status: str = found.get("Status", "")
    if status:
        return warning("The bucket keeps old versions of objects.")
    return ok("The bucket keeps no old versions.")


def _multipart(scratch: HiddenObjects) -> Answer:
    old = database_now() - _OLD_UPLOAD
    try:
        with s3_errors("list the uploads"):
            page = scratch.client.list_multipart_uploads(Bucket=scratch.bucket)
    except RefusedError as error:
        return ok(f"Unfinished uploads can't be listed ({error.code}).")
    left = sum(upload["Initiated"] < old for upload in page.get("Uploads", ()))
    if left:
        return warning(f"{left:,} uploads or more were never finished.")
    return ok("No upload was left unfinished.")
