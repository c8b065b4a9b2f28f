# SPDX-License-Identifier: GPL-2.0-only
"""The collector at the worst moments."""
import errno
import gc
import sys
import threading
import weakref

import upcall
from base import LIMIT, Case, Gate, Thread, collect, until


class Collector(Case):

    def test_collected_between_call_and_reply_the_call_is_answered(self):
        gate = Gate()
        wrapper = self.peer.export(gate)
        self.peer.start(threads=2)
        stub = self.stub(wrapper)
        running = Thread(stub, b"")
        gate.wait()
        del wrapper
        collect()
        until(lambda: not self.caller.is_live(stub._handle), "the release")
        self.raises_stale(stub, b"")
        gate.open.set()
        self.assertEqual(running.outcome(), b"done")
        until(lambda: len(self.peer._table) == 0, "RELEASED")

    def test_collected_by_the_very_call_the_call_is_answered(self):
        held = []

        def suicide(_data):
            held.clear()
            collect()
            return b"last words"
        held.append(self.peer.export(suicide))
        self.peer.start()
        stub = self.stub(held[0])
        self.assertEqual(stub(b""), b"last words")
        self.raises_stale(stub, b"")
        until(lambda: len(self.peer._table) == 0, "RELEASED")

    def test_released_and_swapped_in_the_very_call_the_call_is_answered(self):
        def swap(_data):
            wrapper.rebind(lambda _data: b"swapped")
            return b"first"
        wrapper = self.peer.export(swap)
        self.peer.start()
        stub = self.stub(wrapper)
        self.assertEqual((stub(b""), stub(b"")), (b"first", b"swapped"))

    def test_calls_in_the_queue_of_a_collected_wrapper_never_run(self):
        gate, ran = Gate(), []
        self.gate, wrapper = self.peer.export(gate), self.peer.export(ran.append)
        self.peer.start()
        busy = Thread(self.stub(self.gate), b"")
        gate.wait()
        waiting = [Thread(self.stub(wrapper), b"") for _ in range(5)]
        self.until_queued(wrapper.handle, 5)
        del wrapper
        collect()
        gate.open.set()
        for call in waiting:
            self.raises(upcall.Stale, upcall.NOT_DELIVERED, call.outcome)
        self.assertEqual((busy.outcome(), ran), (b"done", []))

    def test_an_event_of_a_collected_wrapper_is_refused_as_if_it_had_been_released(self):
        wrapper = self.peer.export(bytes)
        waiting = Thread(self.stub(wrapper), b"")
        self.until_queued(wrapper.handle)
        wrapper._finalizer.detach()     # so the kernel does not hear of it
        del wrapper
        collect()
        self.peer.start()
        self.raises(upcall.Stale, upcall.NOT_DELIVERED, waiting.outcome)

    def test_an_event_of_another_generation_is_never_another_callables(self):
        wrapper = self.peer.export(bytes)
        entry = wrapper._entry
        handle, cookie = wrapper.handle, entry.cookie
        wrapper.release()
        self.peer._table.remove(entry)
        self.peer._table.remove(entry)      # a second time is nothing
        self.other = self.peer.export(bytes)
        self.assertEqual(self.other._entry.index, entry.index)
        self.assertIsNone(self.peer._table.find(cookie, handle))

    def test_an_event_from_before_a_swap_finds_what_is_there_now(self):
        wrapper = self.peer.export(bytes)
        old = wrapper._entry.cookie
        wrapper.rebind(bytearray)
        self.assertNotEqual(wrapper._entry.cookie, old)
        self.assertIs(self.peer._table.find(old, wrapper.handle), wrapper._entry)

    def test_an_event_that_is_faster_than_its_registration_is_found_too(self):
        entry = self.peer._table.add()
        self.assertIs(self.peer._table.find(entry.cookie, 12345), entry)
        self.assertIsNone(self.peer._table.find(entry.cookie + (1 << 32), 12345))
        self.peer._table.remove(entry)

    def test_an_exception_in_del_costs_nothing_but_its_message(self):
        class Callable:
            def __call__(self, data):
                return data

            def __del__(self):
                raise ValueError("in __del__")
        complaints, hook = [], sys.unraisablehook
        sys.unraisablehook = lambda about: complaints.append(str(about.exc_value))
        self.addCleanup(setattr, sys, "unraisablehook", hook)
        wrapper = self.peer.export(Callable())
        self.peer.start()
        stub = self.stub(wrapper)
        del wrapper
        collect()
        self.assertEqual(complaints, ["in __del__"])
        until(lambda: len(self.peer._table) == 0, "RELEASED")
        self.raises_stale(stub, b"")

    def test_del_may_export_and_call(self):
        answers = []
        self.echo = self.peer.export(lambda data: data)

        class Callable:
            def __init__(self, case):
                self.case, self.itself = case, self     # for the collector, not for the count

            def __call__(self, data):
                return data

            def __del__(self):
                with self.case.peer.export(bytes):
                    answers.append(self.case.stub(self.case.echo)(b"from __del__"))
        wrapper = self.peer.export(Callable(self))
        self.peer.start()
        del wrapper
        collect()
        self.assertEqual(answers, [b"from __del__"])
        until(lambda: len(self.peer._table) == 1, "RELEASED")

    def test_del_may_bring_its_wrapper_back_and_it_stays_dead(self):
        risen = []

        class Callable:
            def __call__(self, data):
                return data

            def __del__(self):
                risen.append(self.wrapper)
        function = Callable()
        function.wrapper = self.peer.export(function)
        handle = function.wrapper.handle
        self.peer.start()
        del function
        collect()
        self.assertEqual(len(risen), 1)
        self.assertFalse(risen[0].alive)
        until(lambda: not self.peer.is_live(handle), "the release")
        self.raises_stale(self.stub(handle), b"")
        with self.assertRaises(upcall.Stale):
            risen[0].rebind(bytes)

    def test_the_collector_may_come_by_at_every_step(self):
        before = gc.get_threshold()
        self.addCleanup(gc.set_threshold, *before)
        self.peer.start()

        def cycle():
            service = type("Service", (), {"__call__": lambda self, data: data})()
            service.wrapper = self.peer.export(service)
            return service.wrapper.handle
        gc.set_threshold(1)
        handles = [cycle() for _ in range(100)]
        echo = self.peer.export(lambda data: data)
        for _ in range(20):
            self.assertEqual(self.stub(echo)(b"x"), b"x")
            cycle()
        gc.set_threshold(*before)
        collect()
        until(lambda: len(self.peer._table) == 1, "the last RELEASED")
        self.assertFalse(any(self.peer.is_live(handle) for handle in handles))

    def test_swapped_under_load_every_call_runs_one_that_was_there(self):
        versions = [0]
        wrapper = self.peer.export(lambda _data: b"0")
        self.peer.start(threads=2)
        end = threading.Event()

        def load():
            stub, count = self.stub(wrapper), 0
            while not end.is_set() or count < 20:
                least = versions[0]         # swapped in, before this call was made
                version = int(stub(b"", timeout=LIMIT))
                assert least <= version <= versions[0] + 1, (least, version, versions)
                count += 1
            return count
        callers = [Thread(load) for _ in range(3)]
        for version in range(1, 200):
            wrapper.rebind(lambda _data, version=version: b"%d" % version)
            versions[0] = version
        end.set()
        self.assertGreaterEqual(min(caller.outcome() for caller in callers), 20)
        self.assertEqual(len(self.peer._table), 1)

    def test_exported_collected_and_called_by_all_at_once_nothing_is_lost(self):
        self.peer.start(threads=3)
        self.keep = self.peer.export(lambda data: data)

        def churn(mark):
            stale = 0
            for i in range(50):
                wrapper = self.peer.export(lambda data: data)
                stub = self.stub(wrapper)
                assert stub(b"%d" % i, timeout=LIMIT) == b"%d" % i
                del wrapper
                assert self.stub(self.keep)(mark, timeout=LIMIT) == mark
                try:
                    assert stub(b"late", timeout=LIMIT) == b"late"
                except upcall.Stale as error:
                    assert error.not_delivered
                    stale += 1
            return stale
        threads = [Thread(churn, b"%d" % i) for i in range(3)]
        self.assertGreater(sum(thread.outcome() for thread in threads), 0)
        collect()
        until(lambda: len(self.peer._table) == 1, "the last RELEASED")

    def test_a_closed_peer_is_collected_with_all_that_was_its(self):
        def use():
            with upcall.Peer(self.where) as peer:
                wrapper = peer.export(bytes)
                peer.start()
                self.stub(wrapper)(b"")
            return weakref.ref(peer), weakref.ref(wrapper)
        gone = use()

        def are_gone():
            collect()
            return gone[0]() is None and gone[1]() is None
        until(are_gone, "the end of its thread")


class Oneself(Case):

    def test_a_call_to_oneself_from_the_only_thread_that_serves_is_deadlock_at_once(self):
        def outer(data):
            return self.peer.stub(self.inner)(data)
        self.inner = self.peer.export(lambda data: data)
        self.wrapper = self.peer.export(outer)
        self.peer.start()
        with self.assertRaisesRegex(upcall.RemoteError, "^Deadlock: .*EDEADLK.*not-delivered"):
            self.stub(self.wrapper)(b"x")

    def test_with_a_second_thread_it_runs(self):
        def outer(data):
            return self.peer.stub(self.inner)(data)
        self.inner = self.peer.export(lambda data: data)
        self.wrapper = self.peer.export(outer)
        self.peer.start(threads=2)
        self.assertEqual(self.stub(self.wrapper)(b"x"), b"x")

    def test_a_call_to_oneself_that_nobody_serves_is_deadlock(self):
        self.wrapper = self.peer.export(bytes)
        error = self.raises(upcall.Deadlock, upcall.NOT_DELIVERED, self.peer.stub(self.wrapper), b"")
        self.assertEqual(error.errno, errno.EDEADLK)

    def test_a_callable_may_stop_and_close_what_it_is_served_by(self):
        def ends(_data):
            self.peer.stop()
            self.peer.close()
        self.wrapper = self.peer.export(ends)
        self.peer.start()
        self.raises(upcall.OwnerDied, upcall.DELIVERED, self.stub(self.wrapper), b"")
        until(lambda: not self.peer._receiver._threads, "its thread's end")
