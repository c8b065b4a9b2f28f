# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""What a call can end with.

    Error (an OSError)          no answer: `errno`, and `stage`, which says whether it may have run
        Stale                   not a live handle: released, collected, its owner is gone
        OwnerDied               the owner died with the call
        TimedOut                also a TimeoutError
        Canceled                given up, or aborted by its owner
        AccessDenied            also a PermissionError
        Mismatch                the signature is another one
        TooLong                 the argument or the reply; `needed` says how much is possible
        Busy                    a queue is full, or a quota: later, perhaps
        Deadlock                nobody would be free to run it
        Closed                  this peer has ended
    ReplyError                  an answer that says that it went wrong: `status`, `data`
        RemoteError             the callable raised; `text` says what
        Failure                 its own way to say no: a positive status
    Refuse                      to be raised by a callable: it did not and will not run
"""
from __future__ import annotations

import ctypes
import enum
import errno as errnos

from ._native import REASON_EXITED, STATUS_RAISED, lib


class Stage(enum.IntEnum):
    """How far a call came."""
    UNKNOWN = 0             # treat it as DELIVERED
    NOT_DELIVERED = 1       # did not run and will not: a retry is safe
    DELIVERED = 2           # may have run, may be running
    REPLIED = 3             # ran to its end


class Error(OSError):
    """A call, or another operation, that came to no answer.

    errno       as the kernel or the library gave it
    stage       of a call: a Stage; of other operations NOT_DELIVERED
    reason      UPCALL_REASON_*, with Stale and OwnerDied
    word        with Stale: the number that the owner left behind
    needed      with TooLong: bytes that would have been taken
    """

    def __init__(self, errno: int, stage: int = Stage.NOT_DELIVERED, *, reason: int = 0,
                 exit_status: int = 0, word: int = 0, needed: int = 0, what: str = "") -> None:
        self.stage = Stage(stage)
        self.reason, self.exit_status = reason, exit_status
        self.word, self.needed = word, needed
        self.what = what
        super().__init__(errno, _describe(errno, self.stage, reason, exit_status, what))

    def __reduce__(self):
        return _again, (type(self), self.errno, self.stage,
                        {name: getattr(self, name) for name in
                         ("reason", "exit_status", "word", "needed", "what")})

    @property
    def not_delivered(self) -> bool:
        """It did not run and will not: to try again is safe."""
        return self.stage == Stage.NOT_DELIVERED


class Stale(Error):
    """Not a live handle, and it will never be another callback's."""


class OwnerDied(Error):
    """The owner died with the call, which may have run."""


class TimedOut(Error, TimeoutError):
    """The deadline passed."""


class Canceled(Error):
    """Given up by its caller, or aborted by its owner."""


class AccessDenied(Error, PermissionError):
    """The callback's access rule does not let this process in."""


class Mismatch(Error):
    """The callback demands another signature."""


class TooLong(Error):
    """The argument is longer than the callback takes, or the reply than the caller takes."""


class Busy(Error):
    """A queue, or what this user may have under way, is full."""


class Deadlock(Error):
    """Nobody would be free to run it."""


class Closed(Error):
    """The peer has ended."""


_CLASSES = {
    errnos.ESTALE: Stale, errnos.EOWNERDEAD: OwnerDied, errnos.ETIMEDOUT: TimedOut,
    errnos.ECANCELED: Canceled, errnos.EACCES: AccessDenied, errnos.EPROTOTYPE: Mismatch,
    errnos.EMSGSIZE: TooLong, errnos.EAGAIN: Busy, errnos.EDQUOT: Busy,
    errnos.EDEADLK: Deadlock, errnos.ESHUTDOWN: Closed,
}


class ReplyError(Exception):
    """An answer whose status is not 0: it ran to its end, and says that it went wrong."""

    def __init__(self, status: int, data: bytes = b"") -> None:
        super().__init__(status, data)
        self.status, self.data = status, data


class Failure(ReplyError):
    """The callable's own failure. One that raises Failure(3, b"why") gives its caller just that;
    the status is 1 to 2**31 - 1."""

    def __init__(self, status: int, data: bytes = b"") -> None:
        if not 0 < status < 1 << 31:
            raise ValueError(f"the status of a failure is positive, not {status}")
        super().__init__(status, bytes(data))

    def __str__(self) -> str:
        return f"status {self.status}" + (f": {self.data!r}" if self.data else "")


class RemoteError(ReplyError):
    """The callable raised; `text` is what its owner says about that."""

    def __init__(self, text: str, status: int = STATUS_RAISED) -> None:
        super().__init__(status, text.encode())
        self.text, self.args = text, (text, status)

    def __str__(self) -> str:
        return self.text


class Refuse(Exception):
    """To be raised by a callable that has not begun: its caller gets this errno, and that a
    retry is safe. The errno is 1 to 511."""

    def __init__(self, errno: int = errnos.EAGAIN) -> None:
        super().__init__(errno)
        self.errno = errno


def _describe(errno: int, stage: int, reason: int, exit_status: int, what: str) -> str:
    text = lib.strerror(errno).decode()
    if reason:
        room = ctypes.create_string_buffer(128)
        text += ": " + lib.death_text(reason, exit_status if reason == REASON_EXITED else 0, room,
                                      len(room)).decode()
    name = lib.errname(errno).decode()
    return (f"{what}: " if what else "") + f"{name} ({text}), " \
        f"{lib.stage_name(stage).decode()}: {lib.stage_text(stage).decode()}"


def _again(cls: type, errno: int, stage: int, more: dict) -> Error:
    return cls(errno, stage, **more)


def make_error(errno: int, stage: int = Stage.NOT_DELIVERED, **more) -> Error:
    """The Error, or the class below it, for an errno of either sign."""
    errno = abs(errno)
    return _CLASSES.get(errno, Error)(errno, stage, **more)


def check(ret: int, what: str = "") -> int:
    """A result of the library, if it is none of its errors."""
    if ret < 0:
        raise make_error(ret, what=what)
    return ret
