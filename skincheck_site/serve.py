"""The web server: ``python -m skincheck_site.serve 127.0.0.1:8000``.

waitress reads requests in one thread and buffers bodies in files. Only complete requests reach the
worker threads, so slow clients block nobody. This module adds limits, by URL and before anything is
stored: how long a request may take to arrive, how large it may be, from whom, and how many large
ones may arrive at once. Callers take turns (``turns``), and only so many uploads wait for a
decoder. It also runs several processes, since threads share one core.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher
from waitress.utilities import Error, RequestEntityTooLarge

from ml.opening.limits import MAX_BYTES
from screening.batches.archives import MAX_ARCHIVE_BYTES
from screening.images.sandbox import AT_ONCE
from skincheck_site.bodies import MOST_OF_A_STRANGER
from skincheck_site.turns import Caller, Turns, with_the_most

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

logger = logging.getLogger(__name__)

PROCESSES, THREADS = 2, 4
# Seconds that a thread which computes keeps the others of its process waiting. Python's own 5 ms
# are due at every query of a page, while pictures are taken in beside it.
TURN_OF_A_THREAD = 0.0005
# Threads that only take in pictures and archives, wait for a reading, or write reports and DICOM
# files: one more than the pictures decoded at once.
UPLOAD_THREADS = AT_ONCE + 1
# How many of these threads, and of those for pages, one key or session may use at the same time, so
# that one caller cannot occupy all of them.
UPLOADS_OF_ONE, PAGES_OF_ONE = 1, THREADS - 1
UPLOADS = re.compile(
    r"/(lesions/[0-9a-f-]+/images/new|api/v1/images)/|/dicomweb/studies(/[0-9.]+)?"
)
WRITTEN = re.compile(
    r"(/api/v1)?/((lesions|patients)/[0-9a-f-]+/report/|images/[0-9a-f-]+/dicom(/report|/mask)?/?)"
    r"|/shares/[0-9a-f-]+/letter\.pdf|/shared/[^/]+/report\.pdf"
    r"|/dicomweb/studies/.+|/fhir/R4/Patient/[^/]+/\$everything"
)

# Seconds. A phone at the edge of its network sends 10 KB a second.
HEAD_SECONDS = 10
GRACE_SECONDS = 10
BYTES_A_SECOND = 2_000
BODY_SECONDS = 15 * 60
ARCHIVE_SECONDS = 60 * 60

# A form with five pictures of the maximum size, and its multipart overhead.
MOST = 5 * MAX_BYTES + 1_000_000
MOST_OF_AN_ARCHIVE = MAX_ARCHIVE_BYTES + 1_000_000
ARCHIVES = ("/api/v1/batches/", "/batches/new/")
# Of a head: what nginx takes at most, twice. Each costs far more to parse than to send.
MOST_OF_A_HEAD = 64 * 1024
# What a chunked body has beside its content: of one line, and how many times the content.
MOST_OF_A_LINE, MOST_FRAMING = 4_096, 4
# Larger bodies are buffered in files, and only this many of them at once in each process.
LARGE = 1_000_000
LARGE_AT_ONCE = 16
# Of these, how many of one key or session.
LARGE_OF_ONE = 4
# Of the uploads that have arrived, how many may wait for a thread in each process, and for how
# long. Beyond that, the caller with the most is refused, who may not be the last.
MOST_WAITING = 32
WAITING_SECONDS = 40
# After a refusal, how long and how much of what still comes is read and dropped: the largest
# picture. A connection that is closed before is reset, and the refusal may be lost on its way.
LEAVING_SECONDS, LEAVING_BYTES = 5, MAX_BYTES + 1_000_000
# An unread response is kept on disk up to this size. Beyond it, its thread waits at most this long,
# and only while the client reads at least at this rate.
MOST_UNREAD = 64_000_000
UNREAD_SECONDS = 5 * 60
READ_A_SECOND = 20_000


# FHIR's word for each status.
ISSUES = {
    400: "invalid",
    401: "login",
    408: "timeout",
    413: "too-long",
    431: "too-long",
    500: "exception",
    501: "not-supported",
    503: "transient",
}


class Problem(Error):
    """A refusal before Django sees the request: as RFC 9457 problem, because programs read it too,
    or under ``/fhir/`` as OperationOutcome. path: of the request, once it is known.
    """

    path = ""

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        if self.path.startswith("/fhir/"):
            kind, body = "application/fhir+json", self._outcome()
        else:
            kind, body = "application/problem+json", self._problem()
        return f"{self.code} {self.reason}", [("Content-Type", kind)], json.dumps(body).encode()

    def _problem(self) -> dict[str, Any]:
        problem = {"type": "about:blank", "title": self.reason, "status": self.code}
        return {**problem, "detail": self.body}

    def _outcome(self) -> dict[str, Any]:
        issue = {"severity": "error", "code": ISSUES[self.code], "diagnostics": self.body}
        return {"resourceType": "OperationOutcome", "issue": [issue]}


class Unreadable(Problem):
    """What waitress refuses itself, in plain text."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.body)
        self.code, self.reason = error.code, error.reason


class TooSlow(Problem):
    code, reason = 408, "Request Timeout"


class TooLarge(Problem):
    code, reason = 413, "Content Too Large"


class TooMuchFraming(Problem):
    code, reason = 400, "Bad Request"


class Unknown(Problem):
    code, reason = 401, "Unauthorized"

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        status, headers, body = super().to_response(ident)
        return status, [*headers, ("WWW-Authenticate", 'Bearer realm="SkinCheck API"')], body


class TooMany(Problem):
    code, reason = 503, "Service Unavailable"

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        status, headers, body = super().to_response(ident)
        return status, [*headers, ("Retry-After", "30")], body


class Request(HTTPRequestParser):
    """A request as it arrives. ``most``: the maximum size of its body in bytes."""

    command = path = ""  # until the head is read

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.begun = time.monotonic()
        self.most = 0
        self.is_asked_about = self.is_admitted = False

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        self.most = self._most()
        if self.content_length > self.most:
            self.refuse(TooLarge(f"At most {self.most:,} bytes are taken here."))

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if isinstance(self.error, RequestEntityTooLarge):  # waitress's own limit comes after ours
            self.refuse(TooLarge(f"At most {self.most:,} bytes are taken here."))
        if not self.completed and self.body_bytes_received > self.most:  # no declared length
            self.refuse(TooLarge(f"At most {self.most:,} bytes are taken here."))
        if not self.completed and self.chunked and self._has_much_framing():
            self.refuse(TooMuchFraming("Send larger chunks, without extensions and trailers."))
        return consumed

    def refuse(self, error: Error) -> None:
        self.error, self.completed, self.connection_close = error, True, True

    @property
    def takes_long(self) -> bool:
        """Whether it takes long to process: decoding pictures, copying archives, waiting for
        readings, writing reports.
        """
        if self.command == "POST" and (self.path in ARCHIVES or UPLOADS.fullmatch(self.path)):
            return True
        waits = "wait" in self.headers.get("PREFER", "").lower()
        return waits or WRITTEN.fullmatch(self.path) is not None

    @property
    def is_of_somebody_known(self) -> bool:
        """Whether strangers do not send as much."""
        return max(self.content_length, self.body_bytes_received) > MOST_OF_A_STRANGER

    @property
    def is_large(self) -> bool:
        return max(self.content_length, self.body_bytes_received) > LARGE

    @property
    def credentials(self) -> tuple[str, str]:
        """The header and the session that were sent, "" for none."""
        return self.headers.get("AUTHORIZATION", ""), self._session()

    def caller(self, peer: str) -> Caller:
        """peer: the address of the other end, which may be a proxy."""
        forwarded = self.headers.get("X_FORWARDED_FOR", "").split(",")
        proxies = min(settings.TRUSTED_PROXIES, len(forwarded))
        address = (proxies and forwarded[-proxies].strip()) or peer
        authorization, session = self.credentials
        return Caller(address, authorization or session)

    def is_too_slow(self, now: float) -> bool:
        took = now - self.begun
        if not self.headers_finished:
            return took > HEAD_SECONDS
        total = ARCHIVE_SECONDS if self.path in ARCHIVES else BODY_SECONDS
        due = BYTES_A_SECOND * (took - GRACE_SECONDS)
        return took > total or self.body_bytes_received < due

    def _most(self) -> int:
        """The body limit. A session or key is trusted here: whether it is anybody's is asked before
        more arrives than a stranger may send.
        """
        if not any(self.credentials):
            return MOST_OF_A_STRANGER
        return MOST_OF_AN_ARCHIVE if self.path in ARCHIVES else MOST

    def _has_much_framing(self) -> bool:
        """Whether a chunked body is mostly lengths of chunks, or one of its lines does not end."""
        body: Any = self.body_rcv
        if max(len(body.control_line), len(body.trailer)) > MOST_OF_A_LINE:
            return True
        return self.body_bytes_received > MOST_OF_A_LINE + MOST_FRAMING * len(body)

    def _session(self) -> str:
        try:
            cookie = SimpleCookie(self.headers.get("COOKIE", "")).get(settings.SESSION_COOKIE_NAME)
        except CookieError:
            return ""
        return cookie.value if cookie else ""


class Refusal(ErrorTask):
    """Answers a request that Django does not see."""

    def execute(self) -> None:
        error = self.request.error
        if not isinstance(error, Problem):
            error = self.request.error = Unreadable(error)
        error.path = self.request.path
        super().execute()


class Channel(HTTPChannel):
    parser_class = Request
    error_task_class = Refusal
    request: Request | None
    requests: list[Request]
    sent = 0
    unread_since: float | None = None
    question: Question | None = None
    is_refused = False
    has_begun_to_answer = False
    leaving_since: float | None = None
    dropped = 0

    @property
    def caller(self) -> Caller:
        """The request that is to be handled, else the one that is arriving."""
        request = self.requests[0] if self.requests else cast(Request, self.request)
        return request.caller(self.addr[0])

    def received(self, data: bytes) -> bool:
        if self.leaving_since is not None:
            self.dropped += len(data)
            if self.dropped > LEAVING_BYTES:
                self.handle_close()
            return False
        try:
            kept: bool = super().received(data)
        except OSError:  # the disk is full
            self.refuse(TooMany("There is no room left to keep it."))
            return False
        arriving = self.request
        if arriving is None:
            return kept
        if arriving.is_of_somebody_known and not arriving.is_asked_about:
            arriving.is_asked_about = True
            self.question = Question(self, arriving)
            self.server.task_dispatcher.add_task(self.question)
        if arriving.is_large and not arriving.is_admitted:
            arriving.is_admitted = True
            if refused := self.server.surplus(self.caller):
                refused.refuse(TooMany("Many uploads are arriving now."))
        return kept

    def readable(self) -> bool:
        """Nothing more arrives until it is known from whom."""
        return self.question is None and bool(super().readable())

    def service(self) -> None:
        caller, dispatcher = self.caller, self.server.dispatcher_of(self.requests[0])
        self.is_refused = self.requests[0].error is not None
        self.has_begun_to_answer = False
        try:
            super().service()
        finally:
            dispatcher.finished(caller)

    def write_soon(self, data: bytes | ReadOnlyFileBasedBuffer) -> int:
        """Of the response to a HEAD only the headers are sent, which waitress writes first. A body,
        which Django leaves to the server to drop, would be taken for the next response.
        """
        if self.requests[0].command == "HEAD" and self.has_begun_to_answer:
            if isinstance(data, ReadOnlyFileBasedBuffer):
                data.close()
            return len(data)
        self.has_begun_to_answer = True
        return cast(int, super().write_soon(data))

    def handle_close(self) -> None:
        """Close; after a refusal that was sent whole, only once the other end has, or soon."""
        is_sent = self.connected and not self.total_outbufs_len
        if self.is_refused and is_sent and self.leaving_since is None:
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:  # the other end is gone
                super().handle_close()
            else:
                self.will_close, self.leaving_since = False, time.monotonic()
            return
        super().handle_close()

    def is_done_leaving(self, now: float) -> bool:
        return self.leaving_since is not None and now - self.leaving_since > LEAVING_SECONDS

    def send(self, data: bytes, do_close: bool = True) -> int:
        sent: int = super().send(data, do_close)
        self.sent += sent
        return sent

    def is_read_too_slowly(self, now: float) -> bool:
        """Whether a thread waits for the client to read its response, and has for too long."""
        if not self.requests or self.total_outbufs_len <= MOST_UNREAD:
            self.unread_since = None
            return False
        if self.unread_since is None:
            self.unread_since, self.sent = now, 0
        took = now - self.unread_since
        return took > UNREAD_SECONDS or self.sent < READ_A_SECOND * (took - GRACE_SECONDS)

    def refuse(self, error: Error) -> None:
        with self.requests_lock:
            request, self.request = self.request, None
            if request is None:
                return
            request.close()
            request.body_rcv = None
            request.refuse(error)
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)

    def refuse_waiting(self) -> None:
        """Refuse the request that waits for a thread, and free what its body takes."""
        waiting = self.requests[0]
        waiting.close()
        waiting.body_rcv = None
        waiting.refuse(TooMany("Many pictures and reports are being handled now."))
        self.server.add_task(self)


class Question:
    """Whether the credentials of a request that is arriving are anybody's: for a thread of pages,
    since the database may take its time.
    """

    def __init__(self, channel: Channel, request: Request) -> None:
        self._channel, self._request = channel, request
        self.caller = request.caller(channel.addr[0])

    def service(self) -> None:
        server = self._channel.server
        try:
            if error := self._refusal():
                self._channel.refuse(error)
            self._request.begun = time.monotonic()
        finally:
            self._channel.question = None
            server.task_dispatcher.finished(self.caller)
            server.pull_trigger()

    def cancel(self) -> None:
        self._channel.cancel()

    def _refusal(self) -> Problem | None:
        close_old_connections()
        try:
            if self._channel.server.is_known(*self._request.credentials):
                return None
        except Exception:
            logger.exception("it could not be asked who sends a large body")
            return TooMany("Who sends this cannot be checked now.")
        finally:
            close_old_connections()
        return Unknown("This key or session is not known, or has ended.")


class Dispatcher(ThreadedTaskDispatcher):
    queue: Turns[Channel | Question]

    def __init__(self, threads: int, *, of_one: int) -> None:
        super().__init__()
        self.queue = Turns(at_once=of_one)
        self.set_thread_count(threads)

    def finished(self, caller: Caller) -> None:
        """The calling thread looks for the next item, so no other is woken."""
        with self.lock:
            self.queue.finished(caller)


class Server(TcpWSGIServer):
    channel_class = Channel
    active_channels: dict[int, Channel]
    next_channel_cleanup: float

    def __init__(
        self, application: WSGIApplication, is_known: Callable[[str, str], bool], **adjustments: Any
    ) -> None:
        self.is_known = is_known
        pages = Dispatcher(THREADS, of_one=PAGES_OF_ONE)
        super().__init__(application, dispatcher=pages, **adjustments)
        self.uploads = Dispatcher(UPLOAD_THREADS, of_one=UPLOADS_OF_ONE)

    def dispatcher_of(self, request: Request) -> Dispatcher:
        is_long = request.error is None and request.takes_long
        return self.uploads if is_long else cast(Dispatcher, self.task_dispatcher)

    def add_task(self, task: Channel) -> None:
        dispatcher = self.dispatcher_of(task.requests[0])
        dispatcher.add_task(task)
        if dispatcher is not self.uploads:
            return
        with self.uploads.lock:
            is_full = len(self.uploads.queue) > MOST_WAITING
            surplus = [self.uploads.queue.pop_surplus()] if is_full else []
        self._refuse_waiting(surplus)

    def run(self) -> None:
        super().run()
        self.uploads.shutdown()

    def surplus(self, caller: Caller) -> Channel | None:
        """The last large body of the caller whose next one is arriving, if they have too many; if
        all have too many, of the caller with the most.
        """
        arriving = [
            channel
            for channel in self.active_channels.values()
            if channel.request is not None and channel.request.is_admitted
        ]
        callers = [channel.caller for channel in arriving]
        if callers.count(caller) > LARGE_OF_ONE:
            most = caller
        elif len(arriving) > LARGE_AT_ONCE:
            most = with_the_most(callers)
        else:
            return None
        return [channel for channel in arriving if channel.caller == most][-1]

    def readable(self) -> bool:
        """Called before each wait. ``maintenance`` is due also after the clock was set back."""
        soon = time.time() + self.adj.cleanup_interval
        self.next_channel_cleanup = min(self.next_channel_cleanup, soon)
        return bool(super().readable())

    def maintenance(self, now: float) -> None:
        """Called once a second."""
        super().maintenance(now)
        if os.getppid() != _parent:
            raise SystemExit  # the parent is gone, and its successor needs the port
        for channel in list(self.active_channels.values()):
            request = channel.request
            is_asked = channel.question is not None
            if request is not None and not is_asked and request.is_too_slow(time.monotonic()):
                channel.refuse(TooSlow("It took too long to arrive."))
            if channel.is_read_too_slowly(time.monotonic()):
                channel.handle_close()  # which its thread notices
            if channel.is_done_leaving(time.monotonic()):
                channel.handle_close()
        with self.uploads.lock:
            tired = self.uploads.queue.pop_older(WAITING_SECONDS)
        self._refuse_waiting(tired)

    @staticmethod
    def _refuse_waiting(uploads: list[Channel | Question]) -> None:
        for channel in uploads:
            cast(Channel, channel).refuse_waiting()


def server(
    application: WSGIApplication, listening: socket.socket, is_known: Callable[[str, str], bool]
) -> Server:
    """is_known: whether a header of authorization, or else a session, is anybody's."""
    return Server(
        application,
        is_known,
        _sock=listening,
        bind_socket=False,
        sockets=[listening],
        connection_limit=1000,
        asyncore_use_poll=True,
        asyncore_loop_timeout=1,
        cleanup_interval=1,
        channel_timeout=60,
        inbuf_overflow=64_000,
        outbuf_high_watermark=MOST_UNREAD,
        max_request_header_size=MOST_OF_A_HEAD,
        max_request_body_size=MOST_OF_AN_ARCHIVE + 1,
        clear_untrusted_proxy_headers=False,  # Django trusts those that TRUSTED_PROXIES says
        ident=None,
    )


def _serve(application: WSGIApplication, listening: socket.socket) -> None:
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # waiting requests are normal
    tempfile.tempdir = str(settings.FILE_UPLOAD_TEMP_DIR)  # /tmp may be memory
    is_known = import_module("accounts.authentication").is_known
    sys.setswitchinterval(TURN_OF_A_THREAD)
    serving = server(application, listening, is_known)
    print(f"Serving in process {os.getpid()}", flush=True)
    serving.run()


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit


def main(address: str) -> None:
    """Run until stopped; a process that exits is replaced."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "skincheck_site.settings")
    # Loaded once and shared by the processes, including the pages and the API's document: otherwise
    # the first request would wait for them, which takes seconds on a busy machine.
    application = get_wsgi_application()
    import_module(settings.ROOT_URLCONF)
    import_module("screening.api.openapi").prepare()
    host, port = address.rsplit(":", 1)
    listening = socket.create_server((host, int(port)), backlog=1024)
    listening.setblocking(False)
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    children: set[int] = set()
    try:
        while True:
            while len(children) < PROCESSES:
                pid = os.fork()
                if pid == 0:
                    children.clear()
                    _serve(application, listening)
                    return
                children.add(pid)
            children.discard(os.wait()[0])
            time.sleep(1)  # a process that cannot start must not use up the machine
    finally:
        for pid in children:
            os.kill(pid, signal.SIGTERM)
        for pid in children:
            os.waitpid(pid, 0)


_parent = os.getpid()

if __name__ == "__main__":
    main(sys.argv[1])
