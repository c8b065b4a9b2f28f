# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""Between Python's values and the bytes that cross: both sides have to agree.

    bytes       as they are; None is b""
    text        str, in UTF-8
    json        what json.dumps() takes; no bytes at all are None

Anything with encode(value) -> bytes and decode(bytes) -> value serves as well.
"""
from __future__ import annotations

import json
from typing import Any, Protocol


class Codec(Protocol):
    """Both directions; a ValueError or TypeError says that a value cannot cross."""

    def encode(self, value: Any) -> bytes:
        """The bytes for a value."""

    def decode(self, data: bytes) -> Any:
        """The value of the bytes."""


class BytesCodec:
    """bytes, bytearray and memoryview; None is b""."""

    def encode(self, value: Any) -> bytes:
        if value is None:
            return b""
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        raise TypeError(f"{type(value).__name__} instead of bytes; codec='json' or 'text' takes more")

    def decode(self, data: bytes) -> bytes:
        return data


class TextCodec:
    """str, in UTF-8; None is ""."""

    def encode(self, value: Any) -> bytes:
        if value is None:
            return b""
        if isinstance(value, str):
            return value.encode()
        raise TypeError(f"{type(value).__name__} instead of str")

    def decode(self, data: bytes) -> str:
        return data.decode()


class JsonCodec:
    """Whatever json takes."""

    def encode(self, value: Any) -> bytes:
        return json.dumps(value, separators=(",", ":")).encode()

    def decode(self, data: bytes) -> Any:
        return json.loads(data) if data else None


_CODECS = {"bytes": BytesCodec(), "text": TextCodec(), "json": JsonCodec()}


def find(codec: str | Codec | None) -> Codec:
    """A codec by its name, or itself; None is bytes."""
    if codec is None:
        return _CODECS["bytes"]
    if isinstance(codec, str):
        try:
            return _CODECS[codec]
        except KeyError:
            raise ValueError(f"no codec {codec!r}: bytes, text or json") from None
    return codec
