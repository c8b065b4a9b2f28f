# SPDX-License-Identifier: GPL-2.0-only
"""After fork() the child has no part in what is its parent's."""
import errno
import gc
import os
import sys
import traceback
import warnings

import upcall
from base import LIMIT, Case, Gate, Thread, collect, listed, needs_module


class Fork(Case):

    def setUp(self):
        super().setUp()
        catch = warnings.catch_warnings()       # Python 3.12 warns of threads
        catch.__enter__()
        self.addCleanup(catch.__exit__, None, None, None)
        warnings.simplefilter("ignore")

    def in_child(self, function):
        """Run it in a child of fork(): what it asserts is asserted here."""
        pid = os.fork()
        if pid == 0:
            try:
                function()
            except BaseException:
                traceback.print_exc(file=sys.stdout)
                sys.stdout.flush()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        self.assertEqual(status, 0, "in the child")

    def test_what_a_child_collects_stays_alive_in_its_parent(self):
        wrapper = self.peer.export(lambda data: data)
        self.peer.start()
        held = [wrapper]

        def child():
            nonlocal wrapper
            wrapper = None
            held.clear()
            collect()
        self.in_child(child)
        self.assertEqual(self.stub(held[0])(b"x"), b"x")
        self.assertEqual(len(self.peer._garbage), 0)

    def test_a_child_that_releases_and_closes_does_not_either(self):
        wrapper = self.peer.export(lambda data: data)
        self.peer.start()

        def child():
            wrapper.release()
            self.peer.close()
            self.peer.stop()
        self.in_child(child)
        self.assertEqual(self.stub(wrapper)(b"x"), b"x")

    def test_a_childs_use_of_its_parents_peer_is_eperm(self):
        wrapper = self.peer.export(bytes)
        stub = self.stub(wrapper)

        def child():
            for attempt in (lambda: self.peer.export(bytes), self.peer.start, stub,
                            lambda: wrapper.rebind(bytes), lambda: wrapper.publish("x"),
                            lambda: self.peer.stat(wrapper.handle)):
                try:
                    attempt()
                except upcall.Error as error:
                    assert error.errno == errno.EPERM, error
                else:
                    raise AssertionError("it worked")
        self.in_child(child)
        self.assertTrue(self.peer.is_live(wrapper.handle))

    def test_a_fork_in_the_middle_of_everything_leaves_both_whole(self):
        gate = Gate()
        self.gate, echo = self.peer.export(gate), self.peer.export(lambda data: data)
        self.peer.start(threads=3)
        running = Thread(self.stub(self.gate), b"")
        gate.wait()

        def load():
            stub = self.stub(echo)
            return all(stub(b"x", timeout=LIMIT) == b"x" for _ in range(100))
        others = [Thread(load) for _ in range(2)]
        for _ in range(5):
            self.in_child(gc.collect)
        gate.open.set()
        self.assertEqual(running.outcome(), b"done")
        self.assertTrue(all(other.outcome() for other in others))

    def test_a_callable_that_forks_answers_once(self):
        def forks(_data):
            pid = os.fork()
            if pid == 0:
                return b"from the child"        # where it goes nowhere, and its thread ends
            children.append(pid)
            return b"from the parent"
        children = []
        self.wrapper = self.peer.export(forks)
        self.peer.start()
        self.assertEqual(self.stub(self.wrapper)(b""), b"from the parent")
        os.kill(children[0], 9)
        os.waitpid(children[0], 0)
        self.wrapper.rebind(lambda data: data)
        self.assertEqual(self.stub(self.wrapper)(b"next"), b"next")

    @needs_module
    def test_a_child_has_a_default_peer_of_its_own(self):
        self.addCleanup(lambda: upcall.default_peer().close())
        wrapper = upcall.export(lambda data: data.upper())
        upcall.start()
        stub = upcall.stub(wrapper.handle)
        self.assertEqual(stub(b"parent"), b"PARENT")
        before = upcall.default_peer()

        def child():
            assert stub(b"child", timeout=LIMIT) == b"CHILD"
            assert upcall.default_peer() is not before
            own = upcall.export(lambda data: data + data)
            upcall.start()
            assert upcall.stub(own)(b"ab", timeout=LIMIT) == b"abab"
            assert listed(upcall.default_peer()) == {own.handle}
        self.in_child(child)
        self.assertIs(upcall.default_peer(), before)
