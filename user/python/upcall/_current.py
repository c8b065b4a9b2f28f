# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""The call that a callable runs for, and deadlines, which calls within calls inherit."""
from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from ctypes import c_void_p
from typing import Callable, Iterator

from ._native import CALL_STUB, NO_DEADLINE, lib

_LONGEST = 1e9          # seconds: 31 years are for ever


class Call:
    """Who calls and what for: the kernel's word, as of the moment when the call was made.

    handle      of the callback that is called
    op          which of its operations, as the two sides agreed
    pid, tid    of the caller; 2**32 - 1 if this process's namespaces do not show it, as
    uid, gid    its effective user and group
    deadline    time.monotonic_ns() by which it wants the answer; None: there is none
    oneway      a notification: nobody waits, and what is returned goes nowhere
    stub        it came through a stub descriptor
    """

    __slots__ = ("handle", "op", "pid", "tid", "uid", "gid", "deadline", "oneway", "stub",
                 "_id", "_peer", "_reply_max", "_cancelled", "_on_cancel")

    def __init__(self, peer: object, incoming: c_void_p) -> None:
        self.handle = lib.incoming_handle(incoming)
        self.op = lib.incoming_op(incoming)
        self.pid, self.tid = lib.incoming_pid(incoming), lib.incoming_tid(incoming)
        self.uid, self.gid = lib.incoming_uid(incoming), lib.incoming_gid(incoming)
        deadline = lib.incoming_deadline(incoming)
        self.deadline = None if deadline == NO_DEADLINE else deadline
        self.oneway = bool(lib.incoming_oneway(incoming))
        self.stub = bool(lib.incoming_flags(incoming) & CALL_STUB)
        self._id, self._peer = lib.incoming_id(incoming), peer
        self._reply_max = lib.incoming_reply_max(incoming)
        self._cancelled = False
        self._on_cancel: Callable[[], object] | None = None

    @property
    def cancelled(self) -> bool:
        """Nobody wants the answer any more; known when somebody has received that. A callable
        that takes long looks now and then; a coroutine is cancelled."""
        return self._cancelled

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, not below 0; None: there is none."""
        if self.deadline is None:
            return None
        return max(0, self.deadline - time.monotonic_ns()) / 1e9

    def _cancel(self) -> None:
        self._cancelled = True
        if self._on_cancel:
            self._on_cancel()


running: ContextVar[Call | None] = ContextVar("upcall_call", default=None)


def current() -> Call | None:
    """The call on whose behalf this code runs, in this thread or asyncio task; None: none."""
    return running.get()


@contextmanager
def detached() -> Iterator[None]:
    """Calls made in here have nothing to do with the one on whose behalf this code runs: neither
    its deadline nor its place in a chain of calls."""
    token = running.set(None)
    try:
        yield
    finally:
        running.reset(token)


def deadline_in(timeout: float | None) -> int:
    """As the library takes it: seconds from now, but not after the deadline of the call on
    whose behalf this one is made."""
    call = running.get()
    if timeout is None or timeout > _LONGEST:
        deadline = NO_DEADLINE
    else:
        deadline = time.monotonic_ns() + int(max(0, timeout) * 1e9)
    if call and call.deadline is not None:
        deadline = min(deadline, call.deadline)
    return deadline
