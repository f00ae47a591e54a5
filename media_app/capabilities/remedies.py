"""What to do about each capability that a storage lacks."""

from __future__ import annotations

REMEDIES = {
    # --- every storage
    "marker": "Look at the settings: are bucket, endpoint and keys the right ones, is the folder "
    "mounted?",
    "write": "A bucket: allow s3:PutObject and s3:GetObject on all its objects. A folder: let "
    "the hub's user own it.",
    "create_only": "Use a server that knows If-None-Match. Until then two workers that fetch the "
    "same file at once may both write it, with the same bytes.",
    "overwrite": "Take object lock and write-once policies off the bucket: files that were "
    "fetched again could not be stored.",
    "range": "Look for a proxy between the hub and the storage that changes Range or "
    "Content-Range. Without ranges videos can't be played from the middle.",
    "list": "A bucket: allow s3:ListBucket on the bucket itself. If a sender's list has files of "
    "another number, do not use this server: erasing one sender would delete another one's files.",
    "metadata": "Use a server that keeps 2 KB of x-amz-meta-… headers unchanged. Without them "
    "rows can't be made again from the bucket.",
    "delete": "Allow s3:DeleteObject on all objects: files that are deleted or erased would stay.",
    "clock": "Run a time service (chrony, systemd-timesyncd) on the hosts of the hub, of the "
    "database and of the storage. A bucket refuses signatures that are 15 minutes off.",
    # --- a bucket
    "signed_link": "Let viewers reach the bucket's endpoint, and use a server that knows "
    "response-content-type and response-content-disposition; or set MEDIA_DELIVERY to accel or "
    "stream.",
    "cors": "Allow GET and HEAD from the hub's own address alone in the bucket's CORS rules; "
    "pages of the hub itself need none.",
    "public": "Close the bucket: block public access, remove public policies and addresses "
    "(r2.dev, custom domains). Public copies belong in a second bucket, R2_PUBLIC_BUCKET.",
    "public_copies": "Give R2_PUBLIC_BUCKET a public address for reading single objects, "
    "name it in R2_PUBLIC_URL, and let the hub's keys write and delete there.",
    "permissions": "Give the hub keys of its own, for its buckets alone: s3:ListBucket and "
    "s3:ListBucketMultipartUploads on the bucket, s3:GetObject, s3:PutObject, s3:DeleteObject and "
    "s3:AbortMultipartUpload on its objects, and nothing else.",
    "lifecycle": "Remove the rule, or limit it to a prefix that no file has: it deletes files "
    "that the hub counts as stored.",
    "versioning": "What the hub deletes stays as an old version, also after an erasure. Let a "
    "lifecycle rule delete noncurrent versions after a time that you can state.",
    "multipart": "Run `manage.py cleanup_media`, or add a lifecycle rule that aborts incomplete "
    "multipart uploads after some days. Until then they cost money and no listing shows them.",
    # --- a folder
    "owner": "Let the hub's user own the folder: chown mediahub:mediahub, and chmod -R o= for "
    "what others may read now.",
    "room": "Make room on the disk, or move the files to a larger one (docs/operations.md, "
    "Backups). While it is full, files wait at their providers, which forget them.",
    "locks": "Mount the folder with locks (NFS: version 4, or without nolock), or use a bucket. "
    "Without locks a reader may get an object with another one's metadata.",
    "file_system": "Use a local disk or a bucket. On a network file system run this command on "
    "each host, and keep the mount hard, so that an outage is not taken for an error.",
    "hosts": "Mount the same folder on all hosts, run this command on each of them, then here "
    "again; or use a bucket.",
}
