# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""Who receives the events of a peer: threads, or asyncio loops, or both.

Threads take turns: one at a time waits, in poll(2), for an event or for the waker; with an
event in hand it lets the next one wait, and sees to its event. A thread that leaves
nobody to wait starts another one first, up to a limit.
"""
from __future__ import annotations

import asyncio
import errno
import itertools
import os
import select
import threading
import time
from ctypes import c_void_p
from typing import TYPE_CHECKING

from ._dispatch import dispatch
from ._native import EVENT_CALL, NO_WAIT, NativePeer, lib, new

if TYPE_CHECKING:
    from .peer import Peer

_EVENTS_AT_ONCE = 64    # then a loop gets to see to other things


class Waker:
    """Wakes who waits, from anywhere: also from within a garbage collection, as it takes no
    lock and cannot block. The descriptor is closed when nobody can use it any more."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def wake(self) -> None:
        """Whoever waits looks around."""
        if self.fd >= 0:
            os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        """Seen."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            pass

    def forget(self, close=os.close) -> None:
        """Close it; what wakes afterwards does nothing."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            close(fd)

    __del__ = forget


def _poll_on(*fds: int) -> select.poll:
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return poll


class Receiver:
    """Of one peer."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.waker = Waker()
        self._turn = threading.Lock()
        self._waiting: set[int] = set()         # threads whose turn it is, or will be
        self._threads: dict[int, threading.Thread] = {}
        self._limit = 1
        self._stopping = False
        self._names = itertools.count(1)
        self._loops: dict[asyncio.AbstractEventLoop, NativePeer] = {}

    # --- threads ---

    def start(self, threads: int) -> None:
        """See Peer.start()."""
        if threads < 1:
            raise ValueError("at least one thread has to serve")
        self._stopping = False
        self._limit = max(threads, self._limit if self._threads else 1)
        if not self._threads:
            self._start_thread()

    def serve_forever(self, threads: int) -> None:
        """See Peer.serve_forever()."""
        if threads < 1:
            raise ValueError("at least one thread has to serve")
        self._stopping = False
        self._limit = threads
        self._serve()

    def stop(self) -> None:
        """See Peer.stop()."""
        self._stopping = True
        self.waker.wake()
        for thread in list(self._threads.values()):
            if thread is not threading.current_thread():
                thread.join()
        waiting = self._peer._results.loops()
        for loop in list(self._loops):
            if loop not in waiting:
                self._detach(loop)
        for loop in waiting:
            if loop not in self._loops and not loop.is_closed():
                loop.call_soon_threadsafe(self.ensure, loop)

    def _start_thread(self) -> None:
        entered = threading.Event()
        threading.Thread(target=self._serve, args=(entered,), name=f"upcall-{next(self._names)}",
                         daemon=True).start()
        entered.wait()          # else who calls now would find that nobody serves

    def _serve(self, entered: threading.Event | None = None) -> None:
        me = threading.get_ident()
        self._threads[me] = threading.current_thread()
        if entered:
            entered.set()
        try:
            while True:
                self._waiting.add(me)
                with self._turn:
                    event = self._wait()
                    self._waiting.discard(me)
                    if event and event[0] == EVENT_CALL and not self._waiting and \
                            len(self._threads) < self._limit:
                        self._start_thread()
                if not event:
                    return
                dispatch(self._peer, *event)
        finally:
            self._waiting.discard(me)
            self._threads.pop(me, None)

    def _wait(self) -> tuple[int, c_void_p] | None:
        """The next event; None: it is over."""
        native = self._peer._native
        if native is None:
            return None
        poll = None
        while not self._stopping:
            self._peer._flush()
            kind, incoming = new(lib.next, native.ptr, NO_WAIT)
            if kind >= 0:
                return kind, incoming
            if kind == -errno.EAGAIN:
                poll = poll or _poll_on(lib.fd(native.ptr), self.waker.fd)
                poll.poll()
                self.waker.clear()
            elif kind in (-errno.ESHUTDOWN, -errno.EPERM):
                return None
            elif kind != -errno.EINTR:
                time.sleep(0.01)        # no memory; or too much is to be answered first
        return None

    # --- asyncio ---

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on the loop receives. In its thread, or before it runs."""
        if loop in self._loops:
            return
        native = self._peer._need()
        for old in [old for old in self._loops if old.is_closed()]:
            self._loops.pop(old, None)
        self._loops[loop] = native
        loop.add_reader(lib.fd(native.ptr), self._readable, loop, native)
        loop.add_reader(self.waker.fd, self._woken)
        loop.call_soon(self._readable, loop, native)    # what the library has is seen by no poll

    def ensure(self, loop: asyncio.AbstractEventLoop) -> None:
        """Somebody receives as long as this loop waits for an answer: threads, or else itself."""
        if not self._threads:
            self.attach(loop)

    def loop_that_runs(self) -> asyncio.AbstractEventLoop | None:
        """A loop that receives, if there is one: this thread's, or else any."""
        here = self.loop_here()
        return here or next((loop for loop in list(self._loops) if loop.is_running()), None)

    def loop_here(self) -> asyncio.AbstractEventLoop | None:
        """The one that runs in this thread, if it receives."""
        loop = asyncio._get_running_loop()
        return loop if loop in self._loops else None

    def _detach(self, loop: asyncio.AbstractEventLoop) -> None:
        native = self._loops.pop(loop, None)
        if native is None or loop.is_closed():
            return
        if loop.is_running() and loop is not asyncio._get_running_loop():
            loop.call_soon_threadsafe(self._remove, loop, native)
        else:
            self._remove(loop, native)

    def _remove(self, loop: asyncio.AbstractEventLoop, native: NativePeer) -> None:
        for fd in (lib.fd(native.ptr), self.waker.fd):
            loop.remove_reader(fd)

    def _readable(self, loop: asyncio.AbstractEventLoop, native: NativePeer) -> None:
        for _ in range(_EVENTS_AT_ONCE):
            if loop not in self._loops:
                return
            kind, incoming = new(lib.next, native.ptr, NO_WAIT)
            if kind in (-errno.ESHUTDOWN, -errno.EPERM):
                self._detach(loop)
            if kind < 0:
                return
            dispatch(self._peer, kind, incoming)
        loop.call_soon(self._readable, loop, native)

    def _woken(self) -> None:
        self.waker.clear()
        self._peer._flush()

    # --- both ---

    def close(self) -> None:
        """The peer has been shut down: who waits hears of that by himself, a loop has to let go."""
        self.waker.wake()
        for loop in list(self._loops):
            self._detach(loop)

    def forget(self) -> None:
        """In a child of fork(), where none of the threads exists, and a lock may be held by one."""
        self._turn = threading.Lock()
        self._stopping = True
        self._threads.clear()
        self._waiting.clear()
        self._loops.clear()
        self.waker.forget()

    def nobody_else(self) -> bool:
        """No thread but this one could run a call that is made now."""
        if self._threads.keys() - {threading.get_ident()}:
            return False
        here = self.loop_here()
        return not any(loop.is_running() and loop is not here for loop in list(self._loops))
