# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""The owner's side: a wrapper pins the handle, and its end is the handle's."""
from __future__ import annotations

import ctypes
import weakref
from collections import deque
from ctypes import c_int, c_uint64
from typing import Any, Callable, NamedTuple, TYPE_CHECKING

from . import codecs
from ._native import DEFAULT_MAX_ARG, DEFAULT_QUEUED_BYTES, DEFAULT_QUEUED_CALLS, MAX_LABEL, fits, \
    lib, new
from .errors import Error, check

if TYPE_CHECKING:
    from ._receiver import Waker
    from .peer import Peer


class Access(NamedTuple):
    """Who may call: one of the constants here, or user(), group()."""
    mode: int
    id: int = 0


SAME_USER = Access(0)   # the owner's effective uid, in its user and pid namespace
ANYONE = Access(3)
STUB_ONLY = Access(4)   # whoever has a stub descriptor, and nobody by handle


def user(uid: int) -> Access:
    """Only processes of this effective uid."""
    return Access(1, uid)


def group(gid: int) -> Access:
    """Only processes of this group, effective or supplementary."""
    return Access(2, gid)


class Options(NamedTuple):
    """How a callable is exported; see Peer.export()."""
    codec: codecs.Codec
    access: Access = SAME_USER
    signature: str | int | None = None
    serial: bool = False
    label: str | None = None
    word: int = 0
    max_arg: int = DEFAULT_MAX_ARG
    queued_calls: int = DEFAULT_QUEUED_CALLS
    queued_bytes: int = DEFAULT_QUEUED_BYTES
    auto_release: bool = False
    on_unreferenced: Callable[[Wrapper], object] | None = None


class Wrapper:
    """A callable that other processes can call by its `handle`.

    It keeps the callable, and the handle lives as long as the wrapper: when it is released,
    or collected, calls that run may finish, and all others are answered Stale and NOT_DELIVERED, for ever.
    Calling the wrapper itself just calls the callable, here.

    handle              the number that callers need, 1 to 2**53 - 1
    on_unreferenced     run with the wrapper when the last stub descriptor was closed; exported with one
    """

    def __init__(self, peer: Peer, function: Callable, options: Options) -> None:
        if not callable(function):
            raise TypeError(f"{function!r} is not callable")
        self._peer, self._function, self._codec = peer, function, options.codec
        self.on_unreferenced = options.on_unreferenced
        self._names: list[str] = []
        self.handle = 0
        native = peer._need()
        self._entry = peer._table.add()
        # Before the kernel knows it: the first call may come before this function is done
        self._entry.wrapper = weakref.ref(self)
        handle = c_uint64()
        try:
            _register(native.ptr, options, _label(function, options.label), self._entry.cookie, handle)
        except BaseException:
            peer._table.remove(self._entry)
            raise
        self.handle = handle.value
        self._finalizer = weakref.finalize(self, _collected, peer._garbage, peer._receiver.waker,
                                           self.handle, self._names)
        self._finalizer.atexit = False      # the kernel sees to that
        peer._table.set_handle(self._entry, self.handle)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __enter__(self) -> Wrapper:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.release()

    def __repr__(self) -> str:
        state = "" if self.alive else ", released"
        return f"<upcall.Wrapper {self.handle:#x} of {self._function!r}{state}>"

    @property
    def alive(self) -> bool:
        """It was not released by this object. (The kernel's word is Peer.stat().)"""
        return self._finalizer.alive

    def publish(self, name: str) -> Wrapper:
        """Let others find it by this name as well. Withdrawn when the wrapper is released or
        collected; a name that somebody else took meanwhile is left alone.

        Errors: Stale; EINVAL no name (1 to 64 of A-Z a-z 0-9 . _ -); or of the file system."""
        check(lib.publish(self._peer._need().ptr, name.encode(), self.handle), name)
        self._names.append(name)
        return self

    def rebind(self, function: Callable) -> None:
        """Another callable under the same handle: no delivery that begins after this returned
        runs the old one. Calls that run finish in the old one. Errors: Stale."""
        if not callable(function):
            raise TypeError(f"{function!r} is not callable")
        native, old = self._peer._need(), self._function
        self._function = function
        ret = lib.rebind(native.ptr, self.handle, self._peer._table.renew(self._entry))
        if ret < 0:
            self._function = old
            check(ret, "rebind")

    def release(self, *, abort: bool = False) -> None:
        """Retire the handle now; nothing if that was done before. Calls that run may finish;
        with abort they fail for their callers, with Canceled and DELIVERED."""
        if not self._finalizer.detach():
            return
        native = self._peer._native
        if native is None:
            return      # it went with its peer, or this is a child of fork()
        withdraw(native.ptr, self._names, self.handle)
        lib.release(native.ptr, self.handle, int(abort))

    def export_fd(self) -> int:
        """A stub: a new descriptor, close-on-exec, that may call this one callable and nothing else,
        whoever has it; the caller's to close, to pass or to let a child inherit.

        Errors: Stale; EMFILE, ENFILE; ENOTTY (a module without stubs, the test double)."""
        fd = c_int()
        check(lib.export(self._peer._need().ptr, self.handle, ctypes.byref(fd)), "export")
        return fd.value


def _label(function: Callable, label: str | None) -> bytes:
    text = label if label is not None else getattr(function, "__name__", type(function).__name__)
    data = text.encode(errors="replace").replace(b"\0", b"?")
    if label is not None and len(data) > MAX_LABEL:
        raise ValueError(f"a label is at most {MAX_LABEL} bytes")
    return data[:MAX_LABEL]


def _register(peer: object, options: Options, label: bytes, cookie: int, handle: c_uint64) -> None:
    for number, bits in ((options.word, 64), (options.max_arg, 32), (options.queued_calls, 32),
                         (options.queued_bytes, 64), (options.access[1], 32)):
        fits(number, bits)
    err, made = new(lib.options_new)
    check(err)
    try:
        check(lib.options_set_label(made, label), "label")
        lib.options_set_access(made, *options.access)
        if options.signature is not None:
            lib.options_set_signature(made, signature_number(options.signature))
        lib.options_set_serial(made, options.serial)
        lib.options_set_word(made, options.word)
        lib.options_set_limits(made, options.max_arg, options.queued_calls, options.queued_bytes)
        lib.options_set_auto_release(made, options.auto_release)
        lib.options_set_unreferenced(made, options.on_unreferenced is not None)
        check(lib.register(peer, made, cookie, ctypes.byref(handle)), "export")
    finally:
        lib.options_free(made)


def signature_number(signature: str | int) -> int:
    """What both sides compare: a number, or the hash of a text that describes the interface."""
    if isinstance(signature, str):
        return lib.signature(signature.encode())
    return fits(signature, 64, "a signature")


def _collected(garbage: deque, waker: Waker, handle: int, names: list[str]) -> None:
    """A wrapper is gone. This may run at any point of any thread, so it takes no lock, asks
    nothing of the kernel that could wait, and leaves the rest to whoever comes next."""
    garbage.append((handle, names))
    waker.wake()


def withdraw(peer: object, names: list[str], handle: int) -> None:
    """Take names back, but those that stand for another callback by now."""
    for name in names:
        lib.withdraw(peer, name.encode(), handle)


def release_all(peer: object, garbage: deque) -> None:
    """Release what was collected, up to 256 of them in one system call."""
    while garbage:
        batch = []
        while len(batch) < 256:
            try:
                batch.append(garbage.popleft())
            except IndexError:
                break
        try:
            _release_batch(peer, batch)
        except Error:
            garbage.extend(batch)       # no memory: next time
            return


def _release_batch(peer: object, batch: list) -> None:
    err, commands = new(lib.commands_new, peer)
    check(err)
    try:
        for handle, names in batch:
            withdraw(peer, names, handle)
            lib.commands_release(commands, handle, 0)
        # One that fails was released otherwise
        check(lib.commands_send(commands))
    finally:
        lib.commands_free(commands)
