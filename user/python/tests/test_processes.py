# SPDX-License-Identifier: GPL-2.0-only
"""Owners and callers that are processes of their own, stub descriptors, the examples."""
import asyncio
import errno
import os
import select
import shutil
import signal
import subprocess

import upcall
from base import LIMIT, Case, collect, needs_module, until


@needs_module
class Processes(Case):

    def test_an_owner_killed_with_the_call_is_owner_died_and_then_stale(self):
        owner = self.python("""
import os, signal
wrapper = upcall.export(lambda _data: os.kill(os.getpid(), signal.SIGKILL))
print(wrapper.handle, flush=True)
upcall.serve_forever()
""")
        stub = self.stub(int(owner.stdout.readline()))
        error = self.raises(upcall.OwnerDied, upcall.DELIVERED, stub, b"")
        self.assertIn("signal 9", str(error))
        self.assertIn("signal 9", str(self.raises_stale(stub, b"")))

    def test_serve_forever_ends_with_ctrl_c_and_the_handle_is_stale(self):
        owner = self.python("""
wrapper = upcall.export(bytes)
print(wrapper.handle, flush=True)
try:
    upcall.serve_forever()
except KeyboardInterrupt:
    print("interrupted")
""")
        stub = self.stub(int(owner.stdout.readline()))
        self.assertEqual(stub(b"x"), b"x")
        owner.send_signal(signal.SIGINT)
        self.assertEqual(owner.communicate(timeout=LIMIT)[0], "interrupted\n")
        self.raises_stale(stub, b"")

    def test_a_process_ends_although_its_daemon_threads_serve(self):
        handle = self.output("""
wrapper = upcall.export(bytes)
upcall.start(threads=3)
print(wrapper.handle)
""")
        self.raises_stale(self.stub(int(handle)), b"")

    def test_two_processes_call_each_other_back(self):
        def outer(data):
            handle, depth = data["handle"], data["depth"]
            return self.stub(handle, codec="json")({"depth": depth}, timeout=LIMIT)
        self.wrapper = self.peer.export(outer, codec="json")
        self.peer.start(threads=5)
        said = self.output("""
def back(data):
    if data["depth"] == 0:
        return "bottom"
    return there({"handle": wrapper.handle, "depth": data["depth"] - 1}, timeout=60)
there = upcall.stub(int(sys.argv[1]), codec="json")
wrapper = upcall.export(back, codec="json")
upcall.start(threads=5)
print(back({"depth": 4}))
""", self.wrapper.handle)
        self.assertEqual(said, "bottom")

    def test_the_examples_do_as_they_say(self):
        owner_program, caller_program = shutil.which("py_owner.py"), shutil.which("py_caller.py")
        self.assertTrue(owner_program and caller_program, "they are not installed")
        owner = subprocess.Popen([owner_program], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self._reap, owner)
        handle = int(owner.stdout.readline())

        def call(text):
            return subprocess.run([caller_program, "upper", text], stdout=subprocess.PIPE,
                                  text=True, timeout=LIMIT, check=True).stdout
        self.assertEqual(call("hello"), "HELLO\nHELLO\n")
        owner.send_signal(signal.SIGINT)
        self.assertEqual(owner.wait(LIMIT), 0)
        self.raises_stale(self.stub(handle), b"")
        self.assertIn("nobody serves", call("hello"))


@needs_module
class StubDescriptors(Case):

    def test_a_stub_descriptor_calls_this_one_callable_and_needs_no_device(self):
        self.wrapper = self.peer.export(lambda text: text.upper(), access=upcall.STUB_ONLY)
        self.peer.start()
        self.raises(upcall.AccessDenied, upcall.NOT_DELIVERED, self.stub(self.wrapper), b"")
        fd = self.wrapper.export_fd()
        self.addCleanup(os.close, fd)
        said = self.output("""
print(upcall.stub(fd=int(sys.argv[1]))(b"through the stub").decode())
""", fd, pass_fds=[fd], env={**os.environ, "UPCALL_DEVICE": "/nonexistent"})
        self.assertEqual(said, "THROUGH THE STUB")

    def test_the_callable_sees_that_it_came_through_a_stub(self):
        self.wrapper = self.peer.export(lambda _data: b"%d" % upcall.current().stub)
        self.peer.start()
        with upcall.stub(fd=self.wrapper.export_fd()) as stub:
            self.assertEqual((stub(b""), self.stub(self.wrapper)(b"")), (b"1", b"0"))

    def test_it_can_be_awaited(self):
        self.wrapper = self.peer.export(lambda text: text.upper(), signature="v1")
        self.peer.start()
        stub = self.caller.stub(fd=self.wrapper.export_fd(), signature="v1")
        self.assertEqual(asyncio.run(stub.aio(b"x")), b"X")

    def test_it_does_not_keep_the_wrapper_and_polls_hup_when_that_is_gone(self):
        wrapper = self.peer.export(bytes)
        stub = self.caller.stub(fd=wrapper.export_fd())
        poll = select.poll()
        poll.register(stub, 0)
        self.peer.start()
        self.assertEqual(stub(b"x"), b"x")
        self.assertEqual(poll.poll(0), [])
        del wrapper
        collect()
        self.assertTrue(poll.poll(LIMIT * 1000)[0][1] & select.POLLHUP)
        self.raises_stale(stub, b"")

    def test_a_closed_stub_is_a_clean_error(self):
        self.wrapper = self.peer.export(bytes)
        stub = self.caller.stub(fd=self.wrapper.export_fd())
        stub.close()
        stub.close()
        self.raises_stale(stub, b"")

    def test_collecting_a_stub_closes_its_descriptor(self):
        self.wrapper = self.peer.export(bytes)
        stub = self.caller.stub(fd=self.wrapper.export_fd())
        self.assertEqual(self.peer.stat(self.wrapper.handle).stubs, 1)
        del stub
        collect()
        self.assertEqual(self.peer.stat(self.wrapper.handle).stubs, 0)

    def test_the_owner_is_told_when_the_last_one_is_closed(self):
        told = []
        wrapper = self.peer.export(bytes, on_unreferenced=told.append)
        self.peer.start()
        first, second = wrapper.export_fd(), wrapper.export_fd()
        os.close(first)
        self.assertEqual(told, [])
        os.close(second)
        until(lambda: told, "the event")
        self.assertEqual(told, [wrapper])
        self.assertTrue(self.peer.is_live(wrapper.handle))

    def test_auto_release_ends_it_with_the_last_one(self):
        wrapper = self.peer.export(bytes, auto_release=True)
        self.peer.start()
        os.close(wrapper.export_fd())
        until(lambda: len(self.peer._table) == 0, "RELEASED")
        self.raises_stale(self.stub(wrapper), b"")
        with self.assertRaises(upcall.Stale):
            wrapper.export_fd()

    def test_what_is_no_stub_is_an_error_and_stays_open(self):
        fd = os.open("/dev/null", os.O_RDONLY)
        with self.assertRaises(upcall.Error) as raised:
            upcall.stub(fd=fd)
        self.assertEqual(raised.exception.errno, errno.ENOTTY)
        os.close(fd)
        with self.assertRaises(upcall.Error) as raised:
            upcall.stub(fd=fd)
        self.assertEqual(raised.exception.errno, errno.EBADF)
