# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""A peer: one open file of /dev/upcall, which owns callbacks and makes calls."""
from __future__ import annotations

import asyncio
import atexit
import ctypes
import errno
import os
import threading
import weakref
from collections import deque
from ctypes import c_uint64
from typing import Any, Callable

from . import codecs
from ._current import Call
from ._native import DEFAULT_MAX_ARG, DEFAULT_QUEUED_BYTES, DEFAULT_QUEUED_CALLS, STATE_LIVE, \
    NativePeer, Stat, lib, new
from ._receiver import Receiver
from ._table import Table
from .errors import check, make_error
from .stub import Results, Stub
from .wrapper import SAME_USER, Access, Options, Wrapper, release_all, withdraw

_peers: weakref.WeakSet[Peer] = weakref.WeakSet()


class Peer:
    """Most programs use the one of upcall.export(), upcall.stub() and so on, see default_peer().

    Any thread may use it at any time. It belongs to the process that used it first: in a child
    of fork() it has ended, with EPERM. Whoever exports has to let somebody receive as well:
    start(), serve_forever() or serve().

    where: the device's path; None: $UPCALL_DEVICE, else /dev/upcall. "test:NAME": the library's
    test double, inside this process, which needs no module.

    Errors: ENOENT the module is not loaded; EACCES."""

    def __init__(self, where: str | None = None) -> None:
        err, ptr = new(lib.open, None if where is None else os.fsencode(where))
        check(err, where or os.environ.get("UPCALL_DEVICE") or "/dev/upcall")
        self._native: NativePeer | None = NativePeer(ptr)
        self._why_closed = errno.ESHUTDOWN
        self._table = Table()
        self._results = Results()
        self._running: dict[int, Call] = {}             # calls of others, while they run
        self._tasks: set[asyncio.Task] = set()
        self._garbage: deque = deque()                  # of wrappers that were collected
        self._receiver = Receiver(self)
        _peers.add(self)

    def close(self) -> None:
        """End it: its callbacks die, calls that wait in it end with Closed, threads that serve
        leave when what they run is done. Names are withdrawn. Nothing if it has ended."""
        native, self._native = self._native, None
        if native is None:
            return
        for wrapper in self._table.wrappers():
            withdraw(native.ptr, wrapper._names, wrapper.handle)
        lib.shutdown(native.ptr)
        self._receiver.close()
        self._results.fail_all(errno.ESHUTDOWN)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """It was closed, or inherited from another process."""
        return self._native is None

    def fileno(self) -> int:
        """The descriptor, for those who want to poll it themselves."""
        return lib.fd(self._need().ptr)

    # --- the owner's side ---

    def export(self, function: Callable | None = None, *, name: str | None = None,
               codec: str | codecs.Codec | None = None, access: Access = SAME_USER,
               signature: str | int | None = None, serial: bool = False, label: str | None = None,
               word: int = 0, max_arg: int = DEFAULT_MAX_ARG,
               queued_calls: int = DEFAULT_QUEUED_CALLS, queued_bytes: int = DEFAULT_QUEUED_BYTES,
               auto_release: bool = False,
               on_unreferenced: Callable[[Wrapper], object] | None = None) -> Any:
        """Give a callable a handle. Returns its Wrapper; keep that, as it is what keeps the handle.

        The callable gets one argument and what it returns is the answer, both through the codec
        (bytes; "text"; "json"; or an object with encode and decode); an `async def` may wait. What it raises
        crosses as RemoteError with its text; Failure and Refuse say more. current() is the call.
        Without a callable it is a decorator.

        name            to be found by, see Wrapper.publish()
        access          SAME_USER, ANYONE, STUB_ONLY, user(uid), group(gid)
        signature       callers have to name the same number, or text
        serial          one call at a time, strictly in order
        label           for people, at most 16 bytes; as it is, the callable's name
        word            a number that callers find in Stale.word when it has died
        max_arg         bytes of one argument
        queued_calls    calls that may wait
        queued_bytes    of their arguments
        auto_release    released when its last stub descriptor is closed
        on_unreferenced instead, run with the wrapper then

        Errors: EINVAL; EDQUOT, ENOSPC too many callbacks; of publish()."""
        options = Options(codecs.find(codec), access, signature, serial, label, word, max_arg,
                          queued_calls, queued_bytes, auto_release, on_unreferenced)

        def make(function: Callable) -> Wrapper:
            wrapper = Wrapper(self, function, options)
            if name is not None:
                wrapper.publish(name)
            return wrapper

        return make if function is None else make(function)

    def start(self, threads: int = 1) -> None:
        """Let a daemon thread receive and run what is called. With more than one, others are
        started as they are needed: then callables run at the same time, and one that is called
        by what it calls itself has a thread to run on."""
        self._need()
        self._receiver.start(threads)

    def serve_forever(self, threads: int = 1) -> None:
        """As start(), with this thread as the first: until stop() or close(), or
        KeyboardInterrupt."""
        self._need()
        self._receiver.serve_forever(threads)

    def serve(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Let an asyncio loop receive, the one that runs here by default: callables run in it, async
        ones as tasks. Until stop(), close(), or the loop's own end."""
        self._receiver.attach(loop or asyncio.get_running_loop())

    def stop(self) -> None:
        """Receive no more, until started again: waits for the threads to finish what they run.
        Handles stay alive, and calls wait. A loop that waits for an answer goes on meanwhile."""
        self._receiver.stop()

    # --- the caller's side ---

    def stub(self, target: int | str | Wrapper | None = None, *, fd: int | None = None,
             **options: Any) -> Stub:
        """A callable for a handle or a published name, or for a stub descriptor, which it takes over.

        codec           as export()'s, on the other side
        signature       as the callback demands it
        timeout         in seconds, for calls that name none; None: no deadline
        reply_max       bytes that are taken as an answer, 64 KiB by default, to 1 MiB
        uid             only call what belongs to this user

        Nothing is asked of the kernel here: a handle may be dead, and calling it tells. A name is
        looked up at the first call, and again when its owner is gone before it took the call.

        Errors: of a descriptor, ENOTTY no stub, EBADF."""
        return Stub(self, target, fd=fd, **options)

    def lookup(self, name: str) -> int:
        """The handle behind a published name. Errors: ENOENT nobody has it; Stale; EINVAL."""
        handle = c_uint64()
        check(lib.lookup(self._need().ptr, name.encode(), ctypes.byref(handle)), name)
        return handle.value

    def stat(self, handle: int) -> Stat:
        """What the kernel says of a handle: state, owner, why it died; members as those of struct
        upcall_stat. Errors: Stale never issued; AccessDenied."""
        stat = Stat(size=ctypes.sizeof(Stat))
        check(lib.stat(self._need().ptr, handle, ctypes.byref(stat), ctypes.sizeof(stat)), "stat")
        return stat

    def is_live(self, handle: int) -> bool:
        """It can be called, as far as its being alive goes."""
        return self.stat(handle).state == STATE_LIVE

    # --- inside ---

    def _need(self) -> NativePeer:
        native = self._native
        if native is None:
            raise make_error(self._why_closed)
        if self._garbage:
            release_all(native.ptr, self._garbage)
        return native

    def _flush(self) -> None:
        native = self._native
        if native is not None and self._garbage:
            release_all(native.ptr, self._garbage)

    def _forget(self) -> None:
        """In a child of fork(): all of this is the parent's, where it goes on undisturbed."""
        native, self._native = self._native, None
        self._why_closed = errno.EPERM
        self._receiver.forget()
        if native is not None:
            native.forget()


_default: Peer | None = None
_default_lock = threading.RLock()   # a collector may come by again while it is held


def default_peer() -> Peer:
    """The peer of this process: opened when it is first asked for, and anew after close() and in
    a child of fork()."""
    global _default
    with _default_lock:
        if _default is None or _default.closed:
            fresh = Peer()
            if _default is None or _default.closed:
                _default = fresh
        return _default


def _in_child() -> None:
    global _default_lock
    _default_lock = threading.RLock()
    for peer in list(_peers):
        peer._forget()


def _at_exit() -> None:
    for peer in list(_peers):
        peer.close()


os.register_at_fork(after_in_child=_in_child)
atexit.register(_at_exit)
