# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""How one call went, whichever way it was made, and what its caller gets from that."""
from __future__ import annotations

import ctypes
from ctypes import c_void_p
from typing import Any, NamedTuple

from ._native import lib
from .codecs import Codec
from .errors import Failure, RemoteError, make_error


class Outcome(NamedTuple):
    """error is 0 or a positive errno; data and status are those of a reply."""
    error: int
    stage: int
    status: int
    data: bytes
    reason: int
    exit_status: int
    word: int
    needed: int = 0

    @classmethod
    def of_call(cls, call: c_void_p, ret: int) -> Outcome:
        """From a call object and what the library returned."""
        data = b"" if ret < 0 else ctypes.string_at(lib.call_reply(call), lib.call_reply_len(call))
        return cls(-min(ret, 0), lib.call_stage(call), lib.call_status(call), data,
                   lib.call_reason(call), lib.call_exit_status(call), lib.call_word(call),
                   lib.call_needed(call))

    @classmethod
    def of_result(cls, incoming: c_void_p) -> Outcome:
        """From a RESULT event."""
        data = ctypes.string_at(lib.incoming_data(incoming), lib.incoming_len(incoming))
        return cls(lib.incoming_error(incoming), lib.incoming_stage(incoming),
                   lib.incoming_status(incoming), data, lib.incoming_reason(incoming),
                   lib.incoming_exit_status(incoming), lib.incoming_word(incoming))

    def value(self, codec: Codec, what: str) -> Any:
        """What the caller gets, or its exception."""
        if self.error:
            raise make_error(self.error, self.stage, reason=self.reason, word=self.word,
                             exit_status=self.exit_status, needed=self.needed, what=what)
        if self.status > 0:
            raise Failure(self.status, self.data)
        if self.status < 0:
            raise RemoteError(self.data.decode(errors="replace") or "it raised", self.status)
        return codec.decode(self.data)
