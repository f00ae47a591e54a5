"""How long things last: leases, deadlines, pauses, and when a file is given up.

Which pause follows which failure is decided in ``media_app.retry``.
"""

from __future__ import annotations

from datetime import timedelta

# --- Fetching ---------------------------------------------------------------------

#: Renewed while the work goes on; free for others soon after the worker is gone.
FETCH_LEASE = timedelta(seconds=45)
LEASE_RENEWAL_INTERVAL = timedelta(seconds=10)
#: 100 MB, the largest file that Meta accepts, at a third of a megabyte a second.
FETCH_DEADLINE_SECONDS = 300
#: RQ's own time-out is the last resort, behind the deadline of the transfer.
FETCH_JOB_SECONDS = FETCH_DEADLINE_SECONDS + 60
#: How long a queued job is trusted before the sweeper queues the same file again.
QUEUED_FOR = timedelta(seconds=60)
#: A body that only a second fetch can confirm is soon fetched again.
CONFIRM_AFTER = timedelta(seconds=1)

# --- Trying again -----------------------------------------------------------------

MIN_PAUSE = timedelta(seconds=1)
FIRST_PAUSE = timedelta(seconds=4)
MAX_PAUSE = timedelta(hours=1)
#: A pause is no longer than the larger of this and a tenth of the file's age: what failed in a
#: short outage is fetched soon after it.
SHORT_OUTAGE = timedelta(minutes=1)
#: For a file whose workers are lost one after the other.
MAX_LOST_WORKER_PAUSE = timedelta(minutes=10)
#: What the operator can repair (credentials, the storage) is tried again this often, for ever.
OPERATOR_FAULT_PAUSE = timedelta(minutes=5)
#: Twilio announces a file up to some seconds before it serves it.
EARLY_ANNOUNCEMENT = timedelta(minutes=2)
EARLY_ANNOUNCEMENT_PAUSE = timedelta(seconds=3)

# --- Giving up --------------------------------------------------------------------

#: After its expiry a file is tried for this long: an outage of ours must not pass for the
#: provider's.
EXPIRY_GRACE = timedelta(days=1)
#: How long a file is tried whose source never deletes it.
GIVE_UP_WITHOUT_EXPIRY = timedelta(days=30)
#: How long a file is tried that is pending again, however old it is.
GIVE_UP_AFTER_REVIVAL = timedelta(days=1)

# --- Paused accounts --------------------------------------------------------------

#: How often one file of an account is tried whose credentials were refused.
TRIAL_INTERVAL = timedelta(minutes=5)
#: The file that paused its account waits longer than its account. More than a sweep: when the
#: pause ends, the other files of the account come first.
PAUSING_FILE_DELAY = timedelta(seconds=30)

# --- Other work on files ----------------------------------------------------------

#: Longer than a storage takes to delete a batch, with its time-outs and repetitions.
PURGE_LEASE = timedelta(minutes=5)
#: How long the object of a file that staff or its retention period deleted can be restored.
DELETED_FILES_WAIT = timedelta(days=30)
#: How long a restoration may read an object, and the lease that keeps the file from being purged
#: meanwhile.
RESTORE_DEADLINE_SECONDS = 240
RESTORE_LEASE = timedelta(minutes=5)
#: Longer than a copy takes, with its time-outs and repetitions. It is also the pause after a
#: failure: a server that did not answer may still be copying, and a removal before the end of
#: that would leave the copy behind.
PUBLIC_COPY_LEASE = timedelta(minutes=5)
PREVIEW_JOB_SECONDS = 120
#: A worker that dies while it decodes a file frees it after this; longer than a job may take.
PREVIEW_LEASE = timedelta(minutes=3)
#: While the storage is down, or after the decoder was stopped.
PREVIEW_RETRY_PAUSE = timedelta(minutes=5)

# --- Operators' commands ----------------------------------------------------------

#: How long a command that was killed keeps others from being started. The files that it was
#: fetching are free before, even where their leases were renewed last.
COMMAND_LEASE = FETCH_LEASE + LEASE_RENEWAL_INTERVAL + timedelta(seconds=5)
COMMAND_LEASE_RENEWAL_SECONDS = 10.0
#: RQ's own time-out, for a command that staff start.
COMMAND_JOB_SECONDS = 24 * 3600
#: How often a command says how far it is, where nobody sees a progress bar.
PROGRESS_LINE_SECONDS = 10.0

#: An object without a file is deleted when two runs have seen it that are so far apart; what a
#: killed writer left, when it is so old.
STRAY_AGE = timedelta(days=1)
#: A plan of a cleanup is applied within this time.
PLAN_LIFE = timedelta(days=7)
#: After so long without a message a clock may be wrong instead.
LONGEST_SILENCE = timedelta(days=180)
#: How far the clocks of the database and of the storage may be apart.
CLOCK_TOLERANCE = timedelta(hours=1)

# --- Viewers ----------------------------------------------------------------------

#: How long a request waits for a file that is not stored yet.
VIEWER_WAIT_SECONDS = 20.0
#: Retry-After of an answer that says so.
VIEWER_RETRY_SECONDS = 5
#: How long a browser may cache a file: deleted ones must not live on for long.
BROWSER_CACHE_SECONDS = 3600
#: A player asks for a video in many ranges, a download manager for eight parts at once: together
#: they are one viewing.
VIEWING_LENGTH = timedelta(minutes=30)
