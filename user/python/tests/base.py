# SPDX-License-Identifier: GPL-2.0-only
"""What the tests share: peers that go at the end, waiting with a deadline, other processes."""
import ctypes
import gc
import os
import subprocess
import sys
import threading
import time
import unittest

import upcall
from upcall._native import new

LIMIT = 180      # seconds for whatever has to happen
DOUBLE = os.environ.get("UPCALL_DEVICE", "").startswith("test:")
LIST_CALLBACKS = 1

_library = ctypes.CDLL(os.environ.get("UPCALL_LIBRARY") or "libupcall.so.0")
_library.upcall_listing_free.argtypes = [ctypes.c_void_p]
_library.upcall_listing_next.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)]


def needs_module(test):
    """Not on the test double, which is within one process and has no stubs: left out there."""
    return None if DOUBLE else test


class ListedCallback(ctypes.Structure):
    """struct upcall_list_callback"""
    _fields_ = [
        ("handle", ctypes.c_uint64), ("peer", ctypes.c_uint64), ("label", ctypes.c_char * 16),
        ("words", ctypes.c_uint32 * 4), ("pid", ctypes.c_uint32), ("uid", ctypes.c_uint32),
        ("queued", ctypes.c_uint32), ("running", ctypes.c_uint32), ("sums", ctypes.c_uint64 * 6),
    ]


def listed(peer):
    """The handles that LIST has of this process."""
    handles, record = set(), ctypes.c_void_p()
    err, listing = new(_library.upcall_listing_new, peer._need().ptr, ctypes.c_uint32(LIST_CALLBACKS),
                       ctypes.c_uint32(ctypes.sizeof(ListedCallback)))
    assert err == 0, err
    while _library.upcall_listing_next(listing, ctypes.byref(record)) == 1:
        found = ListedCallback.from_address(record.value)
        if found.pid == os.getpid():
            handles.add(found.handle)
    _library.upcall_listing_free(listing)
    return handles


def until(condition, what="it"):
    """Wait for the thing itself; what it last was."""
    end = time.monotonic() + LIMIT
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come about in {LIMIT} s")
        time.sleep(0.005)
    return value


def collect():
    """Twice: what a finaliser let go of goes as well."""
    gc.collect()
    gc.collect()


class Thread(threading.Thread):
    """A function in a thread, and what came of it."""

    def __init__(self, function, *args, **kwargs):
        super().__init__(daemon=True)
        self.function, self.args, self.kwargs = function, args, kwargs
        self.value, self.error = None, None
        self.start()

    def run(self):
        try:
            self.value = self.function(*self.args, **self.kwargs)
        except BaseException as error:
            self.error = error

    def outcome(self):
        """The value, or its exception raised here."""
        self.join(LIMIT)
        if self.is_alive():
            raise AssertionError(f"it did not end in {LIMIT} s")
        if self.error:
            raise self.error
        return self.value


class Gate:
    """A callable that is held up until the test lets it go on."""

    def __init__(self, answer=b"done"):
        self.answer, self.count = answer, 0
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, _data):
        self.count += 1
        self.entered.set()
        assert self.open.wait(LIMIT)
        return self.answer

    def wait(self):
        """It runs."""
        assert self.entered.wait(LIMIT)


class Case(unittest.TestCase):
    """`peer` owns, `caller` calls: two peers that know of each other's callbacks."""

    def setUp(self):
        self.where = f"test:{self.id()[-40:]}" if DOUBLE else None
        self.peer, self.caller = self.open(), self.open()

    def open(self):
        """One more peer."""
        peer = upcall.Peer(self.where)
        self.addCleanup(peer.close)
        return peer

    def stub(self, target, **options):
        """Of the caller's peer."""
        return self.caller.stub(target, **options)

    def raises(self, kind, stage, function, *args, **kwargs):
        """An Error of that class and that stage."""
        with self.assertRaises(kind) as raised:
            function(*args, **kwargs)
        self.assertIs(raised.exception.stage, stage)
        return raised.exception

    def raises_stale(self, stub, *args):
        """A late call: it says so, and that it has not run."""
        return self.raises(upcall.Stale, upcall.NOT_DELIVERED, stub, *args)

    def until_queued(self, handle, count=1):
        """So many calls wait for it."""
        until(lambda: self.peer.stat(handle).queued >= count, f"{count} queued")

    def python(self, program, *args, **options):
        """Another process, which has upcall and sys, and gets the arguments."""
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys, upcall\n" + program, *map(str, args)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
        self.addCleanup(self._reap, process)
        return process

    @staticmethod
    def _reap(process):
        process.kill()
        process.communicate()

    def output(self, program, *args, **options):
        """What another process prints, once it has exited with 0."""
        process = self.python(program, *args, **options)
        output, _ = process.communicate(timeout=LIMIT)
        self.assertEqual(process.returncode, 0)
        return output.strip()
