"""Every guard is needed: ``python -m bench.guards`` removes each in turn and expects a test to go
red.

Works on a copy of the tracked files. Prints a line for each guard with the first test
that caught its absence; exits 1 if one was not missed by anybody.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mediahub.env import BASE_DIR

# A test that waits for what never comes has missed the guard as well.
TIMEOUT_SECONDS = 150


@dataclass(frozen=True, slots=True)
class Guard:
    """A line that keeps something from going wrong, what it is without, and where that must be
    seen.
    """

    name: str
    file: str
    line: str
    without: str
    tests: str


GUARDS = (
    Guard(
        "computed ids",
        "media_app/identity.py",
        "return uuid5(\n        NAMESPACE,\n",
        "import uuid; return uuid.uuid4() or (\n",
        "tests/media/test_identity.py",
    ),
    Guard(
        "parts of an id are kept apart",
        "media_app/identity.py",
        '.replace("|", "%7C")',
        "",
        "tests/media/test_identity.py",
    ),
    Guard(
        "a message keeps the contact that it was read with",
        "messages_app/event_rows.py",
        "return replace(event, owners=(owner,) if owner else ())",
        "return event",
        "tests/messages/test_channels.py",
    ),
    Guard(
        "a folder is asked whose it is each time",
        "media_app/installation.py",
        "if is_recent and not storage.may_be_replaced:",
        "if is_recent:",
        "tests/media/test_installation.py",
    ),
    Guard(
        "a session that waits for its rebuild is marked again",
        "messages_app/rebuild_marks.py",
        "until[conversation_of(row)] = FOR_EVER",
        "pass",
        "tests/messages/conversations/test_rebuilds.py",
    ),
    Guard(
        "an ended session is marked by photos on their way",
        "messages_app/rebuild_marks.py",
        "max(last_at, ended_at or last_at) + LATE_PHOTO_GRACE",
        "last_at",
        "tests/messages/conversations/test_rebuilds.py",
    ),
    Guard(
        "a group is no part of a private session",
        "messages_app/models/message.py",
        '            group_id="",\n',
        "",
        "tests/messages/test_groups.py",
    ),
    Guard(
        "each participant of a group has a status",
        "messages_app/event_rows.py",
        "            *participant,\n",
        "",
        "tests/messages/test_inbox.py -k participant",
    ),
    Guard(
        "a shared key's signature names its algorithm",
        "messages_app/providers/twilio_signature.py",
        'algorithm = parts.get("algorithm", "").strip().upper() or _LEGACY',
        'algorithm = "HMAC_SHA256"',
        "tests/providers/test_twilio_signature.py",
    ),
    Guard(
        "conflicts name their target",
        "media_app/inserts.py",
        "update_conflicts=True,\n            unique_fields=on,\n"
        "            update_fields=[unchanged],",
        "ignore_conflicts=True,",
        "tests/media/test_announce.py",
    ),
    Guard(
        "a live lease is not claimed",
        "media_app/models/claims.py",
        "return self.filter(Q(lease_until=None) | Q(lease_until__lt=Now()))",
        "return self.all()",
        "tests/media/test_claims.py",
    ),
    Guard(
        "a file waits for its next attempt",
        "media_app/models/claims.py",
        "next_attempt_at__lte=Now(),",
        "",
        "tests/media/test_claims.py",
    ),
    Guard(
        "a failure needs its own lease token",
        "media_app/models/claims.py",
        "id=lease.media.id, lease_token=lease.token, state=State.FETCHING",
        "id=lease.media.id",
        "tests/media/test_claims.py",
    ),
    Guard(
        "a file that kills its worker waits",
        "media_app/models/claims.py",
        "if media.state == State.FETCHING:\n"
        "                    return self._claim(media, ends_lost_attempt=True)",
        "if False:\n                    pass",
        "tests/faults/test_lost_workers.py",
    ),
    Guard(
        "a provider that drips is cut",
        "media_app/sources/pace.py",
        "watcher.start()\n",
        "watcher.run = lambda: None; watcher.start()\n",
        "tests/sources/test_pace.py",
    ),
    Guard(
        "a queued file is not queued again",
        "media_app/models/claims.py",
        "self.due().filter(not_queued)",
        "self.due()",
        "tests/media/test_claims.py",
    ),
    Guard(
        "what expires first is fetched first",
        "media_app/models/claims.py",
        'self.order_by("give_up_at", "next_attempt_at", "id")',
        'self.order_by("-give_up_at")',
        "tests/media/test_claims.py",
    ),
    Guard(
        "a deleted file stays deleted",
        "media_app/models/outcomes.py",
        ".exclude(state=State.DELETED)\n                .exclude(is_being_purged)",
        ".exclude(is_being_purged)",
        "tests/media/test_states.py tests/media/test_ingest.py",
    ),
    Guard(
        "a paused account is left alone",
        "media_app/models/claims.py",
        "~Exists(paused),",
        "",
        "tests/media/test_pauses.py",
    ),
    Guard(
        "a paused account tries one file",
        "media_app/models/pause.py",
        "row.filter(until__lte=Now()).update(until=Now() + TRIAL_INTERVAL) == 1",
        "True",
        "tests/media/test_pauses.py",
    ),
    Guard(
        "the lease is renewed beside the transfer",
        "media_app/lease.py",
        "renewer.start()\n",
        "renewer.run = lambda: None; renewer.start()\n",
        "tests/media/test_lease.py",
    ),
    Guard(
        "the digest is compared",
        "media_app/ingest/verification.py",
        "if spool.sha256 != digest:",
        "if False:",
        "tests/media/test_ingest.py",
    ),
    Guard(
        "the announced length is compared",
        "media_app/ingest/verification.py",
        "if spool.size != size:",
        "if False:",
        "tests/media/test_ingest_faults.py tests/faults/test_provider_faults.py",
    ),
    Guard(
        "an error page is no photo",
        "media_app/ingest/verification.py",
        "if filetypes.looks_like_an_error_page(sniffed, media.announced_type):",
        "if False:",
        "tests/media/test_ingest_faults.py",
    ),
    Guard(
        "a body without an end is fetched twice",
        "media_app/ingest/verification.py",
        "if not opened.delimited and spool.sha256 != media.unconfirmed_sha256:",
        "if False:",
        "tests/media/test_ingest_faults.py",
    ),
    Guard(
        "the size cap",
        "media_app/spool.py",
        "if self.size > self._max_bytes:",
        "if False:",
        "tests/media/test_spool.py",
    ),
    Guard(
        "an object that is there is adopted",
        "media_app/ingest/flow.py",
        "if adopted is not None:",
        "if False:",
        "tests/media/test_ingest.py",
    ),
    Guard(
        "only whole and right objects are adopted",
        "media_app/ingest/adoption.py",
        "return head if digest.hexdigest() == sha256 else None",
        "return head",
        "tests/media/test_ingest.py",
    ),
    Guard(
        "object before row",
        "media_app/ingest/flow.py",
        'failpoint("ingest_before_put")',
        'Media.objects.filter(id=media.id).update(state="stored"); failpoint("ingest_before_put")',
        "tests/faults/test_failpoints.py",
    ),
    Guard(
        "the object of a deleted file is removed",
        "media_app/ingest/flow.py",
        "purge_deleted(Media.objects.filter(id=media.id))",
        "pass",
        "tests/media/test_ingest.py",
    ),
    Guard(
        "a file that comes back waits for its purge",
        "media_app/models/purges.py",
        "lease_token=purge.token, lease_until=Now() + PURGE_LEASE",
        "lease_token=purge.token, lease_until=None",
        "tests/media/test_purge.py",
    ),
    Guard(
        "what is being purged is not marked stored",
        "media_app/models/outcomes.py",
        ".exclude(is_being_purged)",
        "",
        "tests/media/test_purge.py",
    ),
    Guard(
        "a purge that came too late brings back what it deleted",
        "media_app/purge.py",
        "            _bring_back(purge)\n",
        "",
        "tests/media/test_purge.py",
    ),
    Guard(
        "an object that was put too late is purged again",
        "media_app/models/purges.py",
        "update(purged_at=None, key=key, lease_token=uuid.uuid4())",
        "update(purged_at=None, key=key)",
        "tests/media/test_purge.py",
    ),
    Guard(
        "nothing is fetched without the marker",
        "media_app/ingest/flow.py",
        "    installation.check_recently(storage)\n    existing",
        "    existing",
        "tests/media/test_installation.py",
    ),
    Guard(
        "nothing is put without the marker",
        "media_app/ingest/flow.py",
        "    installation.check_recently(storage)\n    failpoint",
        "    failpoint",
        "tests/media/test_installation.py",
    ),
    Guard(
        "nothing is missing without the marker",
        "media_app/serving.py",
        "    installation.check(media_storage())\n",
        "",
        "tests/media/test_installation.py",
    ),
    Guard(
        "nothing is purged without the marker",
        "media_app/purge.py",
        "    installation.check(storage)\n    try:",
        "    try:",
        "tests/media/test_installation.py",
    ),
    Guard(
        "a marker is written once",
        "media_app/installation.py",
        "installation.marked_at is None and _holds_our_files",
        "_holds_our_files",
        "tests/media/test_installation.py",
    ),
    Guard(
        "a full disk is tried out before a download",
        "media_app/ingest/flow.py",
        "if media.unkept_size is not None:",
        "if False:",
        "tests/faults/test_storage_faults.py",
    ),
    Guard(
        "the deadline cuts the socket",
        "media_app/sources/deadline.py",
        "held.shutdown(socket.SHUT_RDWR)",
        "pass",
        "tests/sources/test_http.py",
    ),
    Guard(
        "a kept connection that was closed costs no attempt",
        "media_app/sources/connections.py",
        "if not terms.on_reused_connection:",
        "if True:",
        "tests/sources/test_http.py",
    ),
    Guard(
        "what follows an answer without a body is not read",
        "media_app/sources/connections.py",
        "if response.status in _WITHOUT_BODY:",
        "if False:",
        "tests/sources/test_http.py",
    ),
    Guard(
        "credentials stay with the first host",
        "media_app/sources/http.py",
        "if address_of(url) != first:",
        "if False:",
        "tests/sources",
    ),
    Guard(
        "private addresses are not called",
        "media_app/sources/connections.py",
        "return self.permit.private or is_public(address)",
        "return True",
        "tests/sources",
    ),
    Guard(
        "compressed bodies are refused",
        "media_app/sources/http.py",
        "_refuse_encoded(response.headers)\n",
        "pass\n",
        "tests/sources",
    ),
    Guard(
        "a prefix ends in a slash",
        "media_app/storage/base.py",
        'if prefix and not prefix.endswith("/"):',
        "if False:",
        "tests/storage/test_contract.py",
    ),
    Guard(
        "a put does not overwrite",
        "media_app/storage/disk/folder.py",
        "elif path.is_file():",
        "elif False:",
        "tests/storage/test_contract.py",
    ),
    Guard(
        "the sidecar never describes other bytes",
        "media_app/storage/disk/folder.py",
        "path.unlink(missing_ok=True)\n                elif",
        "pass\n                elif",
        "tests/storage/test_disk.py",
    ),
    Guard(
        "the signature",
        "messages_app/webhooks.py",
        "if not provider.is_genuine(",
        "if False and not provider.is_genuine(",
        "tests/messages/test_webhook.py",
    ),
    Guard(
        "no secret, no entry",
        "messages_app/providers/meta_signature.py",
        "return any(\n        hmac.compare_digest(",
        "return not secrets or any(\n        hmac.compare_digest(",
        "tests/providers/test_contract.py",
    ),
    Guard(
        "no 200 before the commit",
        "messages_app/webhooks.py",
        "except Error as error:",
        "except ZeroDivisionError as error:",
        "tests/messages/test_webhook.py",
    ),
    Guard(
        "one drainer at a time",
        "messages_app/models/delivery.py",
        "free = cls.objects.filter(Q(until=None) | Q(until__lt=Now()), id=1)",
        "free = cls.objects.filter(id=1)",
        "tests/messages/test_drain_lease.py",
    ),
    Guard(
        "a delivery that failed is read alone",
        "messages_app/delivery_batches.py",
        "alone = len(batch) == 1 and batch[0].attempts >= ALONE_FROM",
        "alone = False",
        "tests/messages/test_inbox_faults.py",
    ),
    Guard(
        "a database that fails for all counts against no delivery",
        "messages_app/inbox.py",
        "run.is_database_fine = run.is_database_fine or database_works_without(batch[0])",
        "run.is_database_fine = True",
        "tests/messages/test_inbox_faults.py",
    ),
    Guard(
        "a drain ends in time",
        "messages_app/inbox.py",
        "        if run.is_over:\n            break\n",
        "",
        "tests/messages/test_drain_lease.py",
    ),
    Guard(
        "a frozen transaction is an outage, not a fault",
        "media_app/database_errors.py",
        '("08", "57P", "25P03")',
        '("08", "57P")',
        "tests/media/test_database_errors.py",
    ),
    Guard(
        "a frozen transaction ends",
        "mediahub/databases.py",
        '        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",\n',
        "",
        "tests/test_databases.py",
    ),
    Guard(
        "webhooks have connections of their own",
        "messages_app/webhooks.py",
        'DATABASE = "webhooks"',
        'DATABASE = "default"',
        "tests/messages/test_webhook_server.py",
    ),
    Guard(
        "Redis is asked before rows are written",
        "media_app/jobs.py",
        "claim_unqueued(room) if room else []",
        "claim_unqueued(MAX_QUEUED_FETCH_JOBS)",
        "tests/media/test_jobs.py",
    ),
    Guard(
        "only a new message revives",
        "messages_app/event_rows.py",
        "    _attach(new)\n",
        "    _attach({**new, **{id: (delivery, event) for id, delivery, event in again}})\n",
        "tests/messages/test_inbox.py",
    ),
    Guard(
        "a job starts before it looks for work",
        "messages_app/jobs.py",
        "queues.started(DRAIN)\n",
        "pass\n",
        "tests/messages/test_drain_jobs.py",
    ),
    Guard(
        "one unreadable message does not stop the others",
        "messages_app/providers/meta_reader.py",
        "except UnreadableError as error:",
        "except ZeroDivisionError as error:",
        "tests/providers tests/messages/test_inbox.py",
    ),
    Guard(
        "files are for those who may view them",
        "media_app/access.py",
        'user.has_perm("media_app.view_media")',
        "True",
        "tests/media/test_views.py",
    ),
    Guard(
        "a link opens one file",
        "media_app/signing.py",
        "media_app.signing:{id}:",
        "media_app.signing:",
        "tests/media/test_signing.py",
    ),
    Guard(
        "a revoked link opens nothing",
        "media_app/signing.py",
        ":{version}",
        "",
        "tests/media/test_signing.py",
    ),
    Guard(
        "a link ends",
        "media_app/signing.py",
        "if granted.expires_at <= now:",
        "if False:",
        "tests/media/test_signing.py",
    ),
    Guard(
        "a slow reader holds no connection",
        "media_app/serving.py",
        "        connection.close_if_unusable_or_obsolete()\n",
        "        pass\n",
        "tests/flow/test_slow_readers.py",
    ),
    Guard(
        "only safe types are shown inline",
        "media_app/serving.py",
        "is_safe and ",
        "",
        "tests/media/test_views.py",
    ),
    Guard(
        "what a page would run is only bytes",
        "media_app/filetypes.py",
        "UNKNOWN if _ACTIVE.search(content_type) else content_type",
        "content_type",
        "tests/media/test_views.py",
    ),
    Guard(
        "preconditions come first",
        "media_app/responses/response.py",
        "    if answer is not None:\n        return answer\n    if request.method",
        "    if request.method",
        "tests/media/test_response.py",
    ),
    Guard(
        "a part is one of this very file",
        "media_app/responses/conditional.py",
        "return if_range == etag",
        "return True",
        "tests/media/test_response.py tests/flow/test_http_table.py",
    ),
    Guard(
        "half an object is no answer",
        "media_app/responses/response.py",
        "if opened.total != file.size:",
        "if False:",
        "tests/media/test_response.py",
    ),
    Guard(
        "HEAD knows no ranges",
        "media_app/responses/response.py",
        'if request.method == "HEAD":',
        "if False:",
        "tests/media/test_response.py tests/media/test_views.py",
    ),
    Guard(
        "the viewers of a file share one fetch",
        "media_app/on_demand.py",
        "fetch = _fetches.get(media_id)",
        "fetch = None",
        "tests/media/test_on_demand.py",
    ),
    Guard(
        "a file that came back is not missing",
        "media_app/models/outcomes.py",
        "stored = stored.filter(stored_at__lte=stored_at)",
        "pass",
        "tests/media/test_on_demand.py",
    ),
    Guard(
        "the end of a file is held back until it is known to be right",
        "media_app/spool.py",
        "ready -= HELD_BACK",
        "pass",
        "tests/media/test_on_demand.py",
    ),
    Guard(
        "ranges of one viewing are one row",
        "media_app/models/viewing.py",
        "if seen.filter(at__gt=Now() - VIEWING_LENGTH).exists():",
        "if False:",
        "tests/media/test_viewings.py",
    ),
    Guard(
        "nginx is left only what is plain",
        "media_app/delegation.py",
        "    if not _is_plain(request, part):\n        return None\n",
        "",
        "tests/media/test_delegation.py",
    ),
    Guard(
        "only staff are sent to an address with a key in it",
        "media_app/delegation.py",
        "if not url and access.user is not None:",
        "if not url:",
        "tests/media/test_delegation.py -k link",
    ),
    Guard(
        "only a complete public copy has an address",
        "media_app/publication.py",
        "if not media.public_key or next_step(media, public_bucket()) is not None:",
        "if not media.public_key:",
        "tests/media/test_delegation.py -k complete",
    ),
    Guard(
        "public copies have a bucket of their own",
        "media_app/publication.py",
        "or not own or named == own:",
        "or not own:",
        "tests/media/test_public_copies.py -k of_its_own",
    ),
    Guard(
        "a public copy has one worker at a time",
        "media_app/public_copies.py",
        "CONCERNS_PUBLIC, is_free, ",
        "CONCERNS_PUBLIC, ",
        "tests/media/test_public_copies.py -k waits",
    ),
    Guard(
        "the key of a public copy is on its row before the copy",
        "media_app/public_copies.py",
        "            public_bucket=media.public_bucket,\n"
        "            public_key=media.public_key,\n",
        "",
        "tests/media/test_public_copies.py -k killed",
    ),
    Guard(
        "a public copy is confirmed only while it is wanted",
        "media_app/public_copies.py",
        "is_public=True, state=Media.State.STORED, stored_at__lte=media.stored_at",
        "",
        "tests/media/test_public_copies.py -k while_it_is",
    ),
    Guard(
        "a public copy is confirmed by whose key it has",
        "media_app/public_copies.py",
        "return Media.objects.filter(id=media.id, public_key=media.public_key)",
        "return Media.objects.filter(id=media.id)",
        "tests/media/test_public_copies.py -k late",
    ),
    Guard(
        "a public copy of former bytes is replaced",
        "media_app/public_copies.py",
        ' | Q(published_at__lt=F("stored_at"))',
        "",
        "tests/media/test_public_copies.py -k names",
    ),
    Guard(
        "a deleted file that comes back is private",
        "media_app/models/purges.py",
        "            is_public=False,\n",
        "",
        "tests/media/test_public_copies.py -k private",
    ),
    Guard(
        "nothing of an object's metadata is published",
        "media_app/storage/s3/bucket.py",
        '                    MetadataDirective="REPLACE",\n',
        "",
        "tests/storage/test_s3.py -k copy",
    ),
    Guard(
        "one open session for a contact and number",
        "messages_app/session_rows.py",
        "                _void(other)\n",
        "                pass\n",
        "tests/messages/conversations/test_open_session.py",
    ),
    Guard(
        "a reply goes when nothing older is unread",
        "messages_app/outbox_queues.py",
        '        Q(unread_since=None) | Q(caused_at__lt=F("unread_since")),\n',
        "",
        "tests/messages/test_outbox.py",
    ),
    Guard(
        "what is blocked is left out by the query",
        "messages_app/outbox_queues.py",
        "        ~Exists(ahead),\n",
        "",
        "tests/messages/test_sendable.py",
    ),
    Guard(
        "a run is bounded",
        "messages_app/outbox.py",
        "if tried and is_over:",
        "if False:",
        "tests/messages/test_sendable.py",
    ),
    Guard(
        "an item is tried once in a run",
        "messages_app/outbox.py",
        "sendable(queue).exclude(id__in=tried)",
        "sendable(queue)",
        "tests/messages/test_sendable.py",
    ),
    Guard(
        "what was cut off is not sent again",
        "messages_app/outbox_results.py",
        "again = cut_off.filter(kind=Kind.HAND_OVER).update",
        "again = cut_off.update",
        "tests/faults/test_conversation_deaths.py",
    ),
    Guard(
        "no reply is sent after the reply window",
        "messages_app/outbox.py",
        "if not reply_windows.is_open(item.session, now):",
        "if False:",
        "tests/messages/test_outbox.py",
    ),
    Guard(
        "what can not be prepared stops nobody",
        "messages_app/outbox.py",
        "    if isinstance(error, _OUTAGES):\n        raise error\n",
        "    raise error\n",
        "tests/messages/test_sendable.py",
    ),
    Guard(
        "a frozen sender leaves the next attempt alone",
        "messages_app/outbox_results.py",
        ", sending_at=item.sending_at",
        "",
        "tests/messages/test_sending_clocks.py",
    ),
    Guard(
        "RESET leaves what was sent elsewhere",
        "messages_app/session_rows.py",
        "~Exists(elsewhere), ",
        "",
        "tests/messages/conversations/test_decisions.py",
    ),
    Guard(
        "a hold keeps files",
        "messages_app/session_rows.py",
        "if Contact.objects.get(id=row.contact_id).is_held:",
        "if False:",
        "tests/messages/conversations/test_decisions.py",
    ),
    Guard(
        "silence is silence by our clock, too",
        "messages_app/sessions.py",
        "and now - session.last.received_at > ttl",
        "",
        "tests/messages/test_sessions.py",
    ),
    Guard(
        "a picture of too many pixels is not decoded",
        "media_app/decoding/picture.py",
        "> MAX_PIXELS:",
        "> 10**12:",
        "tests/media/test_previews.py",
    ),
    Guard(
        "a JPEG of too many scans is not decoded",
        "media_app/decoding/picture.py",
        "stop_after=MAX_SCANS) > MAX_SCANS",
        "stop_after=MAX_SCANS) > 10**12",
        "tests/media/test_decoding.py",
    ),
    Guard(
        "the memory of a decoder is limited",
        "media_app/decoding/child.py",
        "        _limit(resource.RLIMIT_AS, memory)\n",
        "        pass\n",
        "tests/media/test_decoding.py",
    ),
    Guard(
        "the CPU time of a decoder is limited",
        "media_app/decoding/child.py",
        "    _limit(resource.RLIMIT_CPU, cpu_seconds)\n",
        "",
        "tests/media/test_decoding.py",
    ),
    Guard(
        "the answer of a decoder is limited",
        "media_app/decoding/child.py",
        "    _limit(resource.RLIMIT_FSIZE, output)\n",
        "",
        "tests/media/test_decoding.py",
    ),
    Guard(
        "a decoder ends without its worker",
        "media_app/decoding/child.py",
        "    signal.alarm(seconds)\n",
        "",
        "tests/media/test_decoding.py",
    ),
    Guard(
        "a worker does not wait for ever for a decoder",
        "media_app/decoding/decoder.py",
        "return child.wait(seconds)",
        "return child.wait()",
        "tests/media/test_decoding.py",
    ),
    Guard(
        "a decoder has no secret",
        "media_app/decoding/decoder.py",
        "for name in _ENVIRONMENT if name in os.environ",
        "for name in os.environ",
        "tests/media/test_decoding.py",
    ),
    Guard(
        "only pictures come back from a decoder",
        "media_app/decoding/decoder.py",
        " or not all(map(_is_webp, pictures))",
        "",
        "tests/media/test_decoding.py",
    ),
    Guard(
        "previews that were cut off wait behind all others",
        "media_app/previews/waiting.py",
        '"preview_attempts", "preview_due_at"',
        '"preview_due_at"',
        "tests/media/test_jobs.py",
    ),
    Guard(
        "RQ's dashboard is behind its permission",
        "mediahub/admin.py",
        "if request.user.is_authenticated and not self.has_view_permission(request):",
        "if False:",
        "tests/admin/test_queues.py",
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", help="only guards whose name contains one of these"
    )
    options = parser.parse_args()
    chosen = [
        guard
        for guard in GUARDS
        if not options.names or any(name in guard.name for name in options.names)
    ]
    missed = 0
    with tempfile.TemporaryDirectory(prefix="mediahub-guards-") as directory:
        tree = _copy(Path(directory))
        for guard in chosen:
            caught = _remove(tree, guard)
            missed += caught is None
            print(f"{guard.name:<60} {caught or 'NOT CAUGHT'}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} guards are held by a test")
    return 1 if missed else 0


def _copy(directory: Path) -> Path:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=BASE_DIR,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        if (BASE_DIR / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(BASE_DIR / name, directory / name)
    return directory


def _remove(tree: Path, guard: Guard) -> str | None:
    """The first test that fails without the guard, or None. Raises RuntimeError where the guard's
    line has moved.
    """
    file = tree / guard.file
    source = file.read_text()
    if source.count(guard.line) != 1:
        raise RuntimeError(
            f"{guard.name}: {guard.file} has its line {source.count(guard.line)} times"
        )
    file.write_text(source.replace(guard.line, guard.without))
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-x",
                "-p",
                "no:cacheprovider",
                *guard.tests.split(),
            ],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "(a test that never ends)"
    finally:
        file.write_text(source)
    failed = re.search(
        r"^(?:FAILED|ERROR) (?:[\w/]*/)?(.+?)(?: - .*)?$", done.stdout, re.MULTILINE
    )
    return failed[1] if done.returncode == 1 and failed else None


if __name__ == "__main__":
    sys.exit(main())
