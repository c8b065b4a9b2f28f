# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""One event, and what it asks for. Each incoming that comes in here is freed here."""
from __future__ import annotations

import asyncio
import ctypes
import errno
import inspect
import logging
import threading
from ctypes import c_void_p
from typing import Any, Awaitable, TYPE_CHECKING

from ._current import Call, running
from ._native import EVENT_CALL, EVENT_CANCEL, EVENT_RELEASED, EVENT_RESULT, EVENT_UNREFERENCED, \
    STATUS_RAISED, lib
from ._outcome import Outcome
from .codecs import Codec
from .errors import Failure, Refuse

if TYPE_CHECKING:
    from .peer import Peer

log = logging.getLogger("upcall")


def dispatch(peer: Peer, kind: int, incoming: c_void_p) -> None:
    """See to one event. A callable's own exceptions go to its caller; only those that are
    meant for this thread, like KeyboardInterrupt, also come out of here."""
    if kind == EVENT_CALL:
        _run(peer, incoming)
        return
    try:
        if kind == EVENT_RESULT:
            peer._results.finish(lib.incoming_cookie(incoming), Outcome.of_result(incoming))
        elif kind == EVENT_CANCEL:
            call = peer._running.get(lib.incoming_id(incoming))
            if call:
                call._cancel()
        elif kind in (EVENT_RELEASED, EVENT_UNREFERENCED):
            _about_entry(peer, kind, incoming)
    finally:
        lib.incoming_free(incoming)


def _about_entry(peer: Peer, kind: int, incoming: c_void_p) -> None:
    entry = peer._table.find(lib.incoming_cookie(incoming), lib.incoming_handle(incoming))
    if not entry:
        return
    if kind == EVENT_RELEASED:
        peer._table.remove(entry)
        return
    wrapper = entry.wrapper()
    if wrapper and wrapper.on_unreferenced:
        try:
            wrapper.on_unreferenced(wrapper)
        except Exception:
            log.exception("on_unreferenced of %r", wrapper)


def _run(peer: Peer, incoming: c_void_p) -> None:
    entry = peer._table.find(lib.incoming_cookie(incoming), lib.incoming_handle(incoming))
    wrapper = entry.wrapper() if entry else None
    if wrapper is None:
        # Collected, and the kernel is about to hear of it: what it will say from then on
        lib.refuse(incoming, errno.ESTALE)
        lib.incoming_free(incoming)
        return
    # From here on the callable is kept, and not its wrapper, which may be collected meanwhile
    function, codec = wrapper._function, wrapper._codec
    del wrapper, entry
    job = _Job(peer, incoming, codec)
    token = running.set(job.call)
    try:
        job.run(function)
    finally:
        running.reset(token)


class _Job:
    """One call while it runs: it ends by exactly one end(), which frees the incoming."""

    def __init__(self, peer: Peer, incoming: c_void_p, codec: Codec) -> None:
        self.peer, self.incoming, self.codec = peer, incoming, codec
        self.call = Call(peer, incoming)
        peer._running[self.call._id] = self.call
        if lib.incoming_cancelled(incoming):    # before it was in there
            self.call._cancel()

    def run(self, function) -> None:
        """Call it; a coroutine goes to the loop, or runs here if there is none."""
        try:
            data = ctypes.string_at(lib.incoming_data(self.incoming),
                                    lib.incoming_len(self.incoming))
            value = function(self.codec.decode(data))
            if inspect.isawaitable(value):
                self._run_coroutine(self._wait(value))
                return
            self._reply(value)
        except BaseException as error:
            self._raised(error)
            self.end()
            if not isinstance(error, Exception) and _is_main_thread():
                raise
        else:
            self.end()

    def _run_coroutine(self, coroutine: Awaitable) -> None:
        loop = self.peer._receiver.loop_that_runs()
        if loop is None:
            asyncio.run(coroutine)
        elif loop is self.peer._receiver.loop_here():
            self._make_task(loop, coroutine)
        else:
            loop.call_soon_threadsafe(self._make_task, loop, coroutine)

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Awaitable) -> None:
        task = loop.create_task(coroutine)
        self.peer._tasks.add(task)      # a loop holds its tasks weakly
        task.add_done_callback(self.peer._tasks.discard)

    async def _wait(self, value: Awaitable) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        self.call._on_cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        if self.call.cancelled:
            task.cancel()
        try:
            self._reply(await value)
        except BaseException as error:
            self._raised(error)
            if not isinstance(error, (Exception, asyncio.CancelledError)):
                raise
        finally:
            self.call._on_cancel = None
            self.end()

    def _reply(self, value: Any) -> None:
        data = self.codec.encode(value)
        if lib.reply(self.incoming, 0, data, len(data)) == -errno.EMSGSIZE:
            raise ValueError(f"a reply of {len(data)} bytes; "
                             f"the caller takes {self.call._reply_max}")

    def _raised(self, error: BaseException) -> None:
        if isinstance(error, Refuse):
            lib.refuse(self.incoming, error.errno)
        elif isinstance(error, Failure):
            lib.reply(self.incoming, error.status, error.data, len(error.data))
        else:
            # A caller reads the text; of a notification nobody would
            log.log(logging.ERROR if self.call.oneway else logging.DEBUG,
                    "call of op %d by pid %d raised", self.call.op, self.call.pid, exc_info=error)
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            data = text.encode(errors="replace")[:self.call._reply_max]
            data = data.decode(errors="ignore").encode()    # whole characters
            lib.reply(self.incoming, STATUS_RAISED, data, len(data))

    def end(self) -> None:
        """What was not answered by now is answered by the library."""
        self.peer._running.pop(self.call._id, None)
        lib.incoming_free(self.incoming)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
