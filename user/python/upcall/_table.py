# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""The table of what is exported: by index, so that an event never carries an address.

A cookie is an index and a generation. An entry holds its wrapper weakly: whoever wants
to be called keeps the wrapper, and a cycle through it is the garbage collector's business.
An index is used again when RELEASED came for it, after which nothing about that handle follows.

No lock: a collector may run Python code at any point, and that may come back here. Each step
is one operation on a dict, a deque or an iterator, which the interpreter makes whole.
"""
from __future__ import annotations

import itertools
import weakref
from collections import deque

_INDEX_BITS = 32
_INDEX_MASK = (1 << _INDEX_BITS) - 1


class Entry:
    """One index in use."""

    __slots__ = ("index", "generation", "handle", "wrapper", "__weakref__")

    def __init__(self, index: int, generation: int) -> None:
        self.index, self.generation = index, generation
        self.handle = 0                         # until it is registered
        self.wrapper: weakref.ref | None = None

    @property
    def cookie(self) -> int:
        """What the kernel keeps for it, 64 bits."""
        return self.generation << _INDEX_BITS | self.index


class Table:
    """Entries by index, and handles to entries."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._handles: dict[int, Entry] = {}
        self._free: deque[int] = deque()
        self._next_index = itertools.count()
        self._next_generation = itertools.count(1)

    def add(self) -> Entry:
        """An index that nobody has, of a generation that nobody had."""
        try:
            index = self._free.popleft()
        except IndexError:
            index = next(self._next_index)
        entry = Entry(index, self._generation())
        self._entries[index] = entry
        return entry

    def renew(self, entry: Entry) -> int:
        """Another cookie for an entry, for REBIND."""
        entry.generation = self._generation()
        return entry.cookie

    def set_handle(self, entry: Entry, handle: int) -> None:
        """It is registered."""
        self._handles[handle] = entry
        entry.handle = handle

    def find(self, cookie: int, handle: int) -> Entry | None:
        """Whom an event is for. A cookie from before a REBIND still means the same handle."""
        entry = self._entries.get(cookie & _INDEX_MASK)
        if entry and (entry.cookie == cookie or entry.handle == handle):
            return entry
        return None

    def owns(self, handle: int) -> bool:
        """A callback of this peer, with its wrapper, not released."""
        entry = self._handles.get(handle)
        wrapper = entry.wrapper() if entry else None
        return wrapper is not None and wrapper.alive

    def wrappers(self) -> list:
        """Those that are there."""
        found = (entry.wrapper and entry.wrapper() for entry in list(self._entries.values()))
        return [wrapper for wrapper in found if wrapper]

    def remove(self, entry: Entry) -> None:
        """RELEASED came, or it was never registered: the index may be used again. Once."""
        if self._entries.pop(entry.index, None) is entry:
            self._handles.pop(entry.handle, None)
            self._free.append(entry.index)

    def __len__(self) -> int:
        return len(self._entries)

    def _generation(self) -> int:
        return next(self._next_generation) & _INDEX_MASK
