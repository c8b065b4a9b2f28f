# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""libupcall, as ctypes sees it: prototypes, constants of the ABI, and who owns a C object.

Every function is an attribute of `lib`, without its "upcall_". Functions that may enter the
kernel let other Python threads run meanwhile; accessors, which only read memory, do not.
"""
from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p

EVENT_CALL, EVENT_RESULT, EVENT_CANCEL, EVENT_RELEASED, EVENT_UNREFERENCED = 1, 2, 3, 4, 5
CALL_STUB = 1 << 1
START_STUB, START_SIGNATURE = 1 << 0, 1 << 1
STATE_LIVE = 1
STATUS_RAISED = -1
REASON_EXITED = 6
NO_DEADLINE = (1 << 64) - 1
NO_WAIT = 0
MAX_COMMANDS = 256
MAX_LABEL = 16          # bytes
DEFAULT_REPLY_MAX = 64 << 10    # bytes
DEFAULT_MAX_ARG = 64 << 10      # bytes
DEFAULT_QUEUED_CALLS = 256
DEFAULT_QUEUED_BYTES = 1 << 20  # bytes


class Stat(ctypes.Structure):
    """struct upcall_stat"""
    _fields_ = [
        ("size", c_uint32), ("flags", c_uint32), ("handle", c_uint64),
        ("state", c_uint32), ("reason", c_uint32), ("exit_status", c_uint32), ("owned", c_uint32),
        ("died_ns", c_uint64), ("word", c_uint64),
        ("uid", c_uint32), ("gid", c_uint32), ("pid", c_uint32),
        ("access", c_uint32), ("access_id", c_uint32), ("register_flags", c_uint32),
        ("start_time", c_uint64), ("label", ctypes.c_char * MAX_LABEL), ("signature", c_uint64),
        ("max_arg", c_uint32), ("max_queued_calls", c_uint32), ("max_queued_bytes", c_uint64),
        ("cookie", c_uint64), ("registered_ns", c_uint64),
        ("stubs", c_uint32), ("queued", c_uint32), ("queued_bytes", c_uint64),
        ("running", c_uint32), ("reserved", c_uint32),
        ("calls", c_uint64), ("delivered", c_uint64), ("replied", c_uint64), ("refused", c_uint64),
        ("queued_ns", c_uint64), ("run_ns", c_uint64),
    ]


class Start(ctypes.Structure):
    """struct upcall_start"""
    _fields_ = [
        ("handle", c_uint64), ("op", c_uint32), ("reply_max", c_uint32), ("arg", c_char_p),
        ("len", c_size_t), ("deadline", c_uint64), ("parent", c_uint64), ("user_data", c_uint64),
        ("flags", c_uint32), ("fd_count", c_uint32), ("fds", c_void_p), ("signature", c_uint64),
        ("reply_fd_max", c_uint32),
    ]


def fits(value: int, bits: int, what: str = "a number") -> int:
    """The value, if it is an unsigned one of so many bits: ctypes itself would cut it off."""
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{what} has to be 0 to 2**{bits} - 1, not {value}")
    return value


class _U32(c_uint32):
    @classmethod
    def from_param(cls, value):
        return c_uint32(fits(value, 32))


class _U64(c_uint64):
    @classmethod
    def from_param(cls, value):
        return value if isinstance(value, c_uint64) else c_uint64(fits(value, 64))


_OBJECT = POINTER(c_void_p)     # where a _new() or an open writes its pointer

_PROTOTYPES = {
    "open": (c_int, c_char_p, _OBJECT),
    "open_stub": (c_int, c_int, _OBJECT),
    "close": (None, c_void_p),
    "shutdown": (c_int, c_void_p),
    "fd": (c_int, c_void_p),
    "stat": (c_int, c_void_p, _U64, POINTER(Stat), c_size_t),
    "options_new": (c_int, _OBJECT),
    "options_free": (None, c_void_p),
    "options_set_label": (c_int, c_void_p, c_char_p),
    "options_set_access": (None, c_void_p, _U32, _U32),
    "options_set_signature": (None, c_void_p, _U64),
    "options_set_serial": (None, c_void_p, c_int),
    "options_set_unreferenced": (None, c_void_p, c_int),
    "options_set_auto_release": (None, c_void_p, c_int),
    "options_set_word": (None, c_void_p, _U64),
    "options_set_limits": (None, c_void_p, _U32, _U32, _U64),
    "register": (c_int, c_void_p, c_void_p, _U64, POINTER(c_uint64)),
    "rebind": (c_int, c_void_p, _U64, _U64),
    "release": (c_int, c_void_p, _U64, _U32),
    "export": (c_int, c_void_p, _U64, POINTER(c_int)),
    "next": (c_int, c_void_p, _U64, _OBJECT),
    "reply": (c_int, c_void_p, c_int32, c_char_p, c_size_t),
    "refuse": (c_int, c_void_p, c_int),
    "incoming_free": (None, c_void_p),
    "call_new": (c_int, c_void_p, _OBJECT),
    "call_free": (None, c_void_p),
    "call_set_signature": (None, c_void_p, _U64),
    "call_set_reply_max": (None, c_void_p, _U32),
    "call_set_interruptible": (None, c_void_p, c_int),
    "call_set_latest": (None, c_void_p, c_int),
    "call_invoke": (c_int, c_void_p, _U64, _U32, c_char_p, c_size_t, _U64),
    "call_notify": (c_int, c_void_p, _U64, _U32, c_char_p, c_size_t, _U64),
    "call_wait": (c_int, c_void_p, _U64),
    "start": (c_int, c_void_p, POINTER(Start), POINTER(c_uint64)),
    "cancel": (c_int, c_void_p, _U64),
    "commands_new": (c_int, c_void_p, _OBJECT),
    "commands_free": (None, c_void_p),
    "commands_release": (c_int, c_void_p, _U64, _U32),
    "commands_send": (c_int, c_void_p),
    "publish": (c_int, c_void_p, c_char_p, _U64),
    "withdraw": (c_int, c_void_p, c_char_p, _U64),
    "lookup": (c_int, c_void_p, c_char_p, POINTER(c_uint64)),
}

# Neither block nor enter the kernel
_ACCESSORS = {
    "version": (c_char_p,),
    "signature": (c_uint64, c_char_p),
    "strerror": (c_char_p, c_int),
    "errname": (c_char_p, c_int),
    "stage_name": (c_char_p, c_uint32),
    "stage_text": (c_char_p, c_uint32),
    "reason_text": (c_char_p, c_uint32),
    "death_text": (c_char_p, c_uint32, c_uint32, c_char_p, c_size_t),
    "call_pending": (c_int, c_void_p),
    "call_stage": (c_uint32, c_void_p),
    "call_status": (c_int32, c_void_p),
    "call_reply": (c_void_p, c_void_p),
    "call_reply_len": (c_size_t, c_void_p),
    "call_needed": (c_uint32, c_void_p),
    "call_reason": (c_uint32, c_void_p),
    "call_exit_status": (c_uint32, c_void_p),
    "call_word": (c_uint64, c_void_p),
    "incoming_handle": (c_uint64, c_void_p),
    "incoming_cookie": (c_uint64, c_void_p),
    "incoming_id": (c_uint64, c_void_p),
    "incoming_op": (c_uint32, c_void_p),
    "incoming_data": (c_void_p, c_void_p),
    "incoming_len": (c_size_t, c_void_p),
    "incoming_pid": (c_uint32, c_void_p),
    "incoming_tid": (c_uint32, c_void_p),
    "incoming_uid": (c_uint32, c_void_p),
    "incoming_gid": (c_uint32, c_void_p),
    "incoming_deadline": (c_uint64, c_void_p),
    "incoming_oneway": (c_int, c_void_p),
    "incoming_reply_max": (c_uint32, c_void_p),
    "incoming_flags": (c_uint32, c_void_p),
    "incoming_cancelled": (c_int, c_void_p),
    "incoming_error": (c_int, c_void_p),
    "incoming_stage": (c_uint32, c_void_p),
    "incoming_status": (c_int32, c_void_p),
    "incoming_reason": (c_uint32, c_void_p),
    "incoming_exit_status": (c_uint32, c_void_p),
    "incoming_word": (c_uint64, c_void_p),
}


class _Library:
    """The functions of libupcall; $UPCALL_LIBRARY names another file than libupcall.so.0."""

    def __init__(self) -> None:
        path = os.environ.get("UPCALL_LIBRARY") or "libupcall.so.0"
        self._declare(ctypes.CDLL(path), _PROTOTYPES)
        self._declare(ctypes.PyDLL(path), _ACCESSORS)

    def _declare(self, library: ctypes.CDLL, prototypes: dict) -> None:
        for name, (result, *arguments) in prototypes.items():
            function = library["upcall_" + name]
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)


lib = _Library()


def new(make, *arguments) -> tuple[int, c_void_p]:
    """Call a function of the library that makes an object: its result, and the object."""
    made = c_void_p()
    return make(*arguments, ctypes.byref(made)), made


class NativePeer:
    """A struct upcall_peer. It is freed when nobody uses it any more, which is the point: a
    thread that is in the library on behalf of a peer that another thread closes holds a reference."""

    __slots__ = ("ptr", "__weakref__")

    def __init__(self, ptr: c_void_p) -> None:
        self.ptr = ptr

    def forget(self) -> None:
        """In a child of fork(): free what was inherited, now. Nothing else is alive there."""
        ptr, self.ptr = self.ptr, None
        lib.close(ptr)

    def __del__(self, close=lib.close) -> None:     # as the interpreter ends, lib may be gone
        if self.ptr:
            close(self.ptr)
