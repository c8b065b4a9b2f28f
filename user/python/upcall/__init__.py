# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""Callbacks across processes, by handle: a binding to libupcall.

    wrapper = upcall.export(lambda text: text.upper(), name="upper")
    upcall.start()                          # a thread receives; or serve_forever(), or serve()

    upper = upcall.stub("upper")            # in any process
    upper(b"hello")                         # b"HELLO"; or: await upper.aio(b"hello")

The wrapper keeps the handle alive. When it is collected the kernel retires the handle: a late call
raises Stale, whose stage says NOT_DELIVERED, and the handle is never another callback's.

Threads: every function and method may be used by any thread. Callables run in the thread or loop
that receives, one at a time unless start(threads=N) says otherwise.

fork(): the child has no part in its parent's wrappers, and a default peer of its own.
"""
from __future__ import annotations

import asyncio
from typing import Any, Callable

from . import errors
from ._current import Call, current, detached
from ._native import lib as _lib
from .errors import AccessDenied, Busy, Canceled, Closed, Deadlock, Error, Failure, Mismatch, \
    OwnerDied, Refuse, RemoteError, ReplyError, Stage, Stale, TimedOut, TooLong
from .peer import Peer, default_peer
from .stub import Stub
from .wrapper import ANYONE, SAME_USER, STUB_ONLY, Access, Wrapper, group, user

UNKNOWN, NOT_DELIVERED, DELIVERED, REPLIED = Stage

__all__ = [
    "ANYONE", "Access", "AccessDenied", "Busy", "Call", "Canceled", "Closed", "DELIVERED",
    "Deadlock", "Error", "Failure", "Mismatch", "NOT_DELIVERED", "OwnerDied", "Peer", "REPLIED",
    "Refuse", "RemoteError", "ReplyError", "SAME_USER", "STUB_ONLY", "Stage", "Stale", "Stub",
    "TimedOut", "TooLong", "UNKNOWN", "Wrapper", "current", "default_peer", "detached", "errors",
    "export", "group", "serve", "serve_forever", "start", "stop", "stub", "user", "version",
]


def version() -> str:
    """Of the C library, for instance "0.1.0"."""
    return _lib.version().decode()


def export(function: Callable | None = None, **options: Any) -> Any:
    """Peer.export() of the default peer."""
    return default_peer().export(function, **options)


def stub(target: int | str | Wrapper | None = None, *, fd: int | None = None,
         **options: Any) -> Stub:
    """Peer.stub() of the default peer; of the one that is the default when it is called, so that it
    works in a child of fork() too. With a descriptor no device is needed to call it."""
    return Stub(None, target, fd=fd, **options)


def start(threads: int = 1) -> None:
    """Peer.start() of the default peer."""
    default_peer().start(threads)


def serve_forever(threads: int = 1) -> None:
    """Peer.serve_forever() of the default peer."""
    default_peer().serve_forever(threads)


def serve(loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Peer.serve() of the default peer."""
    default_peer().serve(loop)


def stop() -> None:
    """Peer.stop() of the default peer."""
    default_peer().stop()
