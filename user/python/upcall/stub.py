# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""The caller's side: a callable for a number, a name or a descriptor."""
from __future__ import annotations

import asyncio
import ctypes
import errno
import itertools
from ctypes import c_uint64, c_void_p
from typing import Any, TYPE_CHECKING

from . import codecs
from ._current import deadline_in, running
from ._native import DEFAULT_REPLY_MAX, START_SIGNATURE, START_STUB, NativePeer, Start, fits, lib, new
from ._outcome import Outcome
from .errors import AccessDenied, Deadlock, Stage, check
from .wrapper import Wrapper, signature_number

if TYPE_CHECKING:
    from .peer import Peer

_DEFAULT: Any = object()


class Stub:
    """Calls a callback of another process, or of this one: stub(arg) waits for the answer,
    `await stub.aio(arg)` lets an asyncio loop do other things meanwhile.

    It is no more than a number: it keeps nobody alive, and may be called when its owner is
    long gone, which is Stale. Any thread may use it. Made by Peer.stub(), upcall.stub()."""

    def __init__(self, peer: Peer | None, target: int | str | Wrapper | None, *,
                 fd: int | None = None, codec: str | codecs.Codec | None = None,
                 signature: str | int | None = None, timeout: float | None = None,
                 reply_max: int = DEFAULT_REPLY_MAX, uid: int | None = None) -> None:
        if (target is None) == (fd is None):
            raise TypeError("a stub is for a handle, a name or a wrapper, or else for a descriptor")
        if isinstance(target, Wrapper):
            target = target.handle
        if isinstance(target, bool) or not isinstance(target, (int, str, type(None))):
            raise TypeError(f"{target!r} is neither a handle nor a name")
        self._given_peer = peer
        self._name = target if isinstance(target, str) else None
        self._handle = target if isinstance(target, int) else None
        if self._handle is not None:
            fits(self._handle, 64, "a handle")
        self._native = None if fd is None else _open_stub(fd)
        self._codec, self._timeout, self._reply_max = codecs.find(codec), timeout, fits(reply_max, 32, "reply_max")
        self._signature = None if signature is None else signature_number(signature)
        self._uid = uid

    def __repr__(self) -> str:
        if self._native:
            return f"<upcall.Stub fd {self.fileno()}>"
        return f"<upcall.Stub {self._name!r}>" if self._name else f"<upcall.Stub {self._handle:#x}>"

    def __call__(self, arg: Any = None, *, timeout: float | None = _DEFAULT, op: int = 0) -> Any:
        """Call, and wait. arg goes through the codec; timeout is in seconds, None: for ever, but
        within a call no longer than that one's deadline; op says which operation.

        Signals are seen to while it waits: Ctrl-C raises KeyboardInterrupt, and gives the call up.

        Errors: Error and what is below it; RemoteError, Failure; whatever the codec raises."""
        data, deadline = self._prepare(arg, timeout, op)
        native, handle = self._target()
        outcome = self._invoke(native, handle, op, data, deadline)
        newer = self._newer(handle, outcome)
        if newer is not None:
            outcome = self._invoke(native, newer, op, data, deadline)
        return outcome.value(self._codec, repr(self))

    async def aio(self, arg: Any = None, *, timeout: float | None = _DEFAULT, op: int = 0) -> Any:
        """As calling it, without blocking the asyncio loop that runs: it receives on the
        peer's descriptor, unless a thread does. A task that is cancelled gives the call up."""
        data, deadline = self._prepare(arg, timeout, op)
        handle = None if self._native else self._resolve()
        outcome = await self._start(handle, op, data, deadline)
        newer = self._newer(handle, outcome)
        if newer is not None:
            outcome = await self._start(newer, op, data, deadline)
        return outcome.value(self._codec, repr(self))

    def notify(self, arg: Any = None, *, latest: bool = False, timeout: float | None = _DEFAULT,
               op: int = 0) -> None:
        """Call, and do not wait: there is no answer. latest: it takes the place of the last such
        one that still waits. Errors: as a call's before it is delivered."""
        data, deadline = self._prepare(arg, timeout, op)
        native, handle = self._target()
        outcome = self._notify(native, handle, op, data, deadline, latest)
        newer = self._newer(handle, outcome)
        if newer is not None:
            outcome = self._notify(native, newer, op, data, deadline, latest)
        if outcome.error:
            outcome.value(self._codec, repr(self))

    def fileno(self) -> int:
        """Of a stub descriptor: readable by poll(2) as HUP when the callback is no longer live."""
        if not self._native:
            raise ValueError("this stub has no descriptor")
        return lib.fd(self._native.ptr)

    def close(self) -> None:
        """Of a stub descriptor: close it, as collecting the stub does, once no call uses it."""
        if self._native:
            self._native, self._handle = None, 0    # 0 is no handle

    def __enter__(self) -> Stub:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # --- whom ---

    def _peer(self) -> Peer:
        from .peer import default_peer
        return self._given_peer or default_peer()

    def _target(self) -> tuple[NativePeer, int]:
        """Whom to call, and through what: with a stub descriptor no peer is needed."""
        native = self._native
        if native:
            return native, 0
        peer, handle = self._peer(), self._resolve()
        return peer._need(), handle

    def _resolve(self) -> int:
        peer = self._peer()
        if self._handle is None:
            self._handle = peer.lookup(self._name)
        if self._uid is not None and peer.stat(self._handle).uid != self._uid and \
                peer.is_live(self._handle):
            raise AccessDenied(errno.EACCES, what=f"{self!r} belongs to another user")
        return self._handle

    def _newer(self, handle: int | None, outcome: Outcome) -> int | None:
        """Whoever has the name by now, if the one that was called is gone."""
        if not self._name or outcome.error != errno.ESTALE or outcome.stage != Stage.NOT_DELIVERED:
            return None
        self._handle = None
        newer = self._resolve()
        return newer if newer != handle else None

    def _prepare(self, arg: Any, timeout: float | None, op: int) -> tuple[bytes, int]:
        """The bytes and the deadline of a call that can be made."""
        fits(op, 32, "op")
        timeout = self._timeout if timeout is _DEFAULT else timeout
        return self._codec.encode(arg), deadline_in(timeout)

    # --- how ---

    def _call_object(self, native: NativePeer) -> c_void_p:
        err, call = new(lib.call_new, native.ptr)
        check(err)
        lib.call_set_reply_max(call, self._reply_max)
        lib.call_set_interruptible(call, 1)
        if self._signature is not None:
            lib.call_set_signature(call, self._signature)
        return call

    def _invoke(self, native: NativePeer, handle: int, op: int, data: bytes,
                deadline: int) -> Outcome:
        peer = self._given_peer or (None if self._native else self._peer())
        if peer and peer._table.owns(handle) and peer._receiver.nobody_else():
            raise Deadlock(errno.EDEADLK, what=f"{self!r} is served by this very thread, or by none")
        call = self._call_object(native)
        try:
            ret = lib.call_invoke(call, handle, op, data, len(data), deadline)
            while ret == -errno.EINTR:
                # Python has run its signal handlers by now, and none has raised
                if lib.call_pending(call):
                    ret = lib.call_wait(call, deadline)
                else:
                    ret = lib.call_invoke(call, handle, op, data, len(data), deadline)
            return Outcome.of_call(call, ret)
        finally:
            lib.call_free(call)     # gives up what is still under way

    def _notify(self, native: NativePeer, handle: int, op: int, data: bytes, deadline: int,
                latest: bool) -> Outcome:
        call = self._call_object(native)
        try:
            lib.call_set_latest(call, latest)
            ret = lib.call_notify(call, handle, op, data, len(data), deadline)
            return Outcome.of_call(call, min(ret, 0))
        finally:
            lib.call_free(call)

    async def _start(self, handle: int | None, op: int, data: bytes, deadline: int) -> Outcome:
        peer, loop = self._peer(), asyncio.get_running_loop()
        native, stub = peer._need(), self._native
        peer._receiver.ensure(loop)
        flags = START_STUB if stub else 0
        if self._signature is not None:
            flags |= START_SIGNATURE
        token, future = peer._results.expect(loop)
        start = Start(handle=lib.fd(stub.ptr) if stub else handle, op=op, arg=data, len=len(data),
                      reply_max=self._reply_max, deadline=deadline, parent=_parent(peer),
                      user_data=token, flags=flags, signature=self._signature or 0)
        made = c_uint64()
        ret = lib.start(native.ptr, ctypes.byref(start), ctypes.byref(made))
        if ret == -errno.ENOENT and start.parent:   # it has just been answered
            start.parent = 0
            ret = lib.start(native.ptr, ctypes.byref(start), ctypes.byref(made))
        if ret < 0:
            peer._results.forget(token)
            return Outcome(-ret, Stage.NOT_DELIVERED, 0, b"", 0, 0, 0)
        try:
            return await future
        except asyncio.CancelledError:
            lib.cancel(native.ptr, made)
            raise


class Results:
    """The futures of calls under way, by the number that their RESULT carries."""

    def __init__(self) -> None:
        self._futures: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Future]] = {}
        self._tokens = itertools.count(1)

    def expect(self, loop: asyncio.AbstractEventLoop) -> tuple[int, asyncio.Future]:
        """A number for a call that is to be made, and its future."""
        token, future = next(self._tokens), loop.create_future()
        self._futures[token] = loop, future
        return token, future

    def forget(self, token: int) -> None:
        """It was not made after all."""
        self._futures.pop(token, None)

    def finish(self, token: int, outcome: Outcome) -> None:
        """Its RESULT is here, in any thread."""
        loop, future = self._futures.pop(token, (None, None))
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(_finish, future, outcome)
        except RuntimeError:
            pass        # the loop is closed: nobody waits

    def fail_all(self, error: int) -> None:
        """The peer ends: no RESULT will come any more."""
        for token in list(self._futures):
            self.finish(token, Outcome(error, Stage.DELIVERED, 0, b"", 0, 0, 0))

    def loops(self) -> set[asyncio.AbstractEventLoop]:
        """Those that wait for an answer."""
        return {loop for loop, _ in list(self._futures.values())}

    def __len__(self) -> int:
        return len(self._futures)


def _finish(future: asyncio.Future, outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


def _parent(peer: Peer) -> int:
    call = running.get()
    return call._id if call and call._peer is peer and call._id in peer._running else 0


def _open_stub(fd: int) -> NativePeer:
    err, ptr = new(lib.open_stub, fd)
    check(err, f"descriptor {fd}")
    return NativePeer(ptr)
