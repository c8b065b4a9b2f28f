# SPDX-License-Identifier: GPL-2.0-only
"""What crosses, either way, and what a caller is told when nothing does."""
import asyncio
import errno
import os
import pickle
import signal
import threading
import time

import upcall
from base import LIMIT, Case, Gate, Thread, collect, needs_module, until


class Values(Case):

    def setUp(self):
        super().setUp()
        self.peer.start()

    def echo(self, **options):
        """A callable that gives back what it gets, and a stub with the same codec."""
        self.wrapper = self.peer.export(lambda value: value, **options)
        return self.stub(self.wrapper, codec=options.get("codec"))

    def test_bytes_cross_as_they_are(self):
        echo = self.echo()
        for data in b"", b"\0", bytes(range(256)), b"x" * 65536:
            self.assertEqual(echo(data), data)
        self.assertEqual(echo(bytearray(b"ab")), b"ab")
        self.assertEqual(echo(memoryview(b"abcd")[::2]), b"ac")
        self.assertEqual(echo(), b"")

    def test_json_takes_what_json_takes(self):
        echo = self.echo(codec="json")
        for value in {"a": [1, 2.5, None, "ä"]}, [], None, "", 2**60, True:
            self.assertEqual(echo(value), value)
        self.assertIsNone(echo())

    def test_text_is_utf_8(self):
        self.assertEqual(self.echo(codec="text")("grüße"), "grüße")

    def test_any_object_with_encode_and_decode_is_a_codec(self):
        echo = self.echo(codec=pickle_codec)
        self.assertEqual(echo({1: (2, 3)}), {1: (2, 3)})

    def test_what_the_codec_does_not_take_is_a_type_error_here(self):
        with self.assertRaisesRegex(TypeError, "codec="):
            self.echo()({"a": 1})
        with self.assertRaises(TypeError):
            self.echo(codec="json")({1, 2})

    def test_an_answer_that_the_codec_does_not_take_is_the_owners_error(self):
        self.wrapper = self.peer.export(lambda _data: 42)
        with self.assertRaisesRegex(upcall.RemoteError, "TypeError: int instead of bytes"):
            self.stub(self.wrapper)(b"")

    def test_an_argument_that_is_no_json_is_the_callers_error(self):
        self.wrapper = self.peer.export(lambda value: value, codec="json")
        with self.assertRaisesRegex(upcall.RemoteError, "JSONDecodeError"):
            self.stub(self.wrapper)(b"{")

    def test_op_says_which_operation(self):
        self.wrapper = self.peer.export(lambda _data: b"%d" % upcall.current().op)
        self.assertEqual(self.stub(self.wrapper)(b"", op=7), b"7")

    def test_the_callable_is_told_who_calls(self):
        calls = []
        self.wrapper = self.peer.export(lambda _data: calls.append(upcall.current()))
        self.stub(self.wrapper)(b"", timeout=LIMIT)
        call, = calls
        self.assertEqual((call.pid, call.uid, call.gid), (os.getpid(), os.geteuid(), os.getegid()))
        self.assertEqual(call.handle, self.wrapper.handle)
        self.assertTrue(0 < call.remaining <= LIMIT)
        self.assertFalse(call.oneway or call.cancelled or call.stub)
        self.assertIsNone(upcall.current())

    def test_a_notification_runs_and_nobody_waits(self):
        ran = []
        self.wrapper = self.peer.export(lambda data: ran.append((data, upcall.current().oneway)))
        self.assertIsNone(self.stub(self.wrapper).notify(b"news"))
        until(lambda: ran, "the notification")
        self.assertEqual(ran, [(b"news", True)])

    def test_the_latest_notification_takes_the_place_of_one_that_waits(self):
        gate, ran = Gate(), []
        self.gate, self.wrapper = self.peer.export(gate), self.peer.export(ran.append)
        busy = Thread(self.stub(self.gate), b"")
        gate.wait()
        stub = self.stub(self.wrapper)
        for i in range(10):
            stub.notify(b"%d" % i, latest=True)
        gate.open.set()
        busy.outcome()
        until(lambda: ran, "the notification")
        self.assertEqual(ran, [b"9"])

    def test_a_wrapper_is_still_the_callable_here(self):
        @self.peer.export
        def add(a, b=1):
            return a + b
        self.assertEqual(add(1, b=2), 3)

    def test_export_with_options_is_a_decorator(self):
        @self.peer.export(codec="json")
        def add(pair):
            return sum(pair)
        self.assertEqual(self.stub(add, codec="json")([1, 2]), 3)
        self.assertEqual(self.peer.stat(add.handle).label, b"add")

    def test_a_long_name_is_cut_for_its_label_and_a_long_label_is_an_error(self):
        def a_function_with_a_long_name(_data):
            return b""
        wrapper = self.peer.export(a_function_with_a_long_name)
        self.assertEqual(self.peer.stat(wrapper.handle).label, b"a_function_with_")
        with self.assertRaises(ValueError):
            self.peer.export(bytes, label="x" * 17)
        self.assertEqual(len(self.peer._table), 1)


class pickle_codec:
    """Between friends."""
    encode, decode = staticmethod(pickle.dumps), staticmethod(pickle.loads)


class Errors(Case):

    def setUp(self):
        super().setUp()
        self.peer.start()

    def test_an_exception_crosses_as_status_minus_1_with_its_text(self):
        def fails(_data):
            raise ValueError("not like this: ä")
        self.wrapper = self.peer.export(fails)
        with self.assertRaises(upcall.RemoteError) as raised:
            self.stub(self.wrapper)(b"")
        self.assertEqual(raised.exception.status, -1)
        self.assertEqual(str(raised.exception), "ValueError: not like this: ä")

    def test_an_exception_does_not_end_the_thread_that_serves(self):
        def fails(data):
            raise {b"exit": SystemExit, b"interrupt": KeyboardInterrupt, b"": OSError}[data]
        self.wrapper = self.peer.export(fails)
        for data, text in (b"exit", "SystemExit"), (b"interrupt", "KeyboardInterrupt"), (b"", "OSError"):
            with self.assertRaisesRegex(upcall.RemoteError, text):
                self.stub(self.wrapper)(data)

    def test_a_text_longer_than_the_caller_takes_is_cut_at_a_character(self):
        def fails(_data):
            raise ValueError("ä" * 100)
        self.wrapper = self.peer.export(fails)
        with self.assertRaises(upcall.RemoteError) as raised:
            self.stub(self.wrapper, reply_max=17)(b"")
        self.assertEqual(str(raised.exception), "ValueError: ää")
        with self.assertRaises(upcall.RemoteError):
            self.stub(self.wrapper, reply_max=0)(b"")

    def test_an_answer_longer_than_the_caller_takes_says_so(self):
        self.wrapper = self.peer.export(lambda _data: b"x" * 1000)
        with self.assertRaisesRegex(upcall.RemoteError, "a reply of 1000 bytes; the caller takes 100"):
            self.stub(self.wrapper, reply_max=100)(b"")

    def test_a_failure_has_a_status_and_data_of_its_own(self):
        def fails(_data):
            raise upcall.Failure(3, b"why")
        self.wrapper = self.peer.export(fails)
        with self.assertRaises(upcall.Failure) as raised:
            self.stub(self.wrapper)(b"")
        self.assertEqual((raised.exception.status, raised.exception.data), (3, b"why"))
        for status in 0, -1, 1 << 31:
            self.assertRaises(ValueError, upcall.Failure, status)

    def test_refuse_is_the_callers_errno_and_not_delivered(self):
        def refuses(_data):
            raise upcall.Refuse(errno.EBUSY)
        self.wrapper = self.peer.export(refuses)
        error = self.raises(upcall.Error, upcall.NOT_DELIVERED, self.stub(self.wrapper), b"")
        self.assertEqual(error.errno, errno.EBUSY)
        self.assertTrue(error.not_delivered)

    def test_a_notification_that_raises_is_in_the_owners_log(self):
        def fails(_data):
            raise ValueError("unheard")
        self.wrapper = self.peer.export(fails)
        with self.assertLogs("upcall", "ERROR") as logs:
            self.stub(self.wrapper).notify(b"")
            until(lambda: logs.records, "the log")
            until(lambda: self.peer.stat(self.wrapper.handle).running == 0, "its end")
        self.assertIn("unheard", logs.output[0])

    def test_an_argument_too_long_says_how_much_is_taken(self):
        self.wrapper = self.peer.export(bytes, max_arg=10)
        error = self.raises(upcall.TooLong, upcall.NOT_DELIVERED, self.stub(self.wrapper), b"x" * 11)
        self.assertEqual(error.needed, 10)

    def test_a_signature_has_to_be_the_same(self):
        self.wrapper = self.peer.export(bytes, signature="bytes -> bytes, version 2")
        self.raises(upcall.Mismatch, upcall.NOT_DELIVERED, self.stub(self.wrapper), b"")
        self.raises(upcall.Mismatch, upcall.NOT_DELIVERED, self.stub(self.wrapper, signature=5), b"")
        self.assertEqual(self.stub(self.wrapper, signature="bytes -> bytes, version 2")(b"x"), b"x")

    def test_access_is_checked_and_says_permission_error(self):
        self.wrapper = self.peer.export(bytes, access=upcall.user(os.geteuid() + 1))
        error = self.raises(upcall.AccessDenied, upcall.NOT_DELIVERED, self.stub(self.wrapper), b"")
        self.assertIsInstance(error, PermissionError)
        self.others = self.peer.export(bytes, access=upcall.ANYONE)
        self.assertEqual(self.stub(self.others)(b"x"), b"x")

    def test_a_full_queue_is_busy(self):
        gate = Gate()
        self.wrapper = self.peer.export(gate, queued_calls=1)
        running = Thread(self.stub(self.wrapper), b"")
        gate.wait()
        waiting = Thread(self.stub(self.wrapper), b"")
        self.until_queued(self.wrapper.handle)
        self.raises(upcall.Busy, upcall.NOT_DELIVERED, self.stub(self.wrapper), b"")
        gate.open.set()
        self.assertEqual((running.outcome(), waiting.outcome()), (b"done", b"done"))

    def test_a_released_handle_tells_late_callers_the_word_its_owner_left(self):
        wrapper = self.peer.export(bytes, word=42)
        wrapper.release()
        self.assertEqual(self.raises_stale(self.stub(wrapper), b"").word, 42)

    def test_release_with_abort_fails_the_calls_that_run(self):
        gate = Gate()
        wrapper = self.peer.export(gate)
        running = Thread(self.stub(wrapper), b"")
        gate.wait()
        wrapper.release(abort=True)
        self.raises(upcall.Canceled, upcall.DELIVERED, running.outcome)
        gate.open.set()
        wrapper.release()   # again is nothing

    def test_a_with_block_releases_at_its_end(self):
        with self.peer.export(bytes) as wrapper:
            self.assertEqual(self.stub(wrapper)(b"x"), b"x")
            self.assertTrue(wrapper.alive)
        self.assertFalse(wrapper.alive)
        self.raises_stale(self.stub(wrapper), b"")

    def test_errors_survive_pickling(self):
        for error in (upcall.Stale(errno.ESTALE, upcall.NOT_DELIVERED, word=7, what="x"),
                      upcall.RemoteError("text"), upcall.Failure(3, b"why"), upcall.Refuse(5)):
            again = pickle.loads(pickle.dumps(error))
            self.assertIs(type(again), type(error))
            self.assertEqual((str(again), vars(again)), (str(error), vars(error)))

    def test_what_is_no_target_is_a_type_error(self):
        for target in (None, True, 1.0, b"name"):
            with self.assertRaises(TypeError):
                self.peer.stub(target)
        for target in (-1, 1 << 64):
            with self.assertRaises(ValueError):
                self.peer.stub(target)
        with self.assertRaises(TypeError):
            self.peer.export(5)

    def test_a_number_that_does_not_fit_is_a_value_error_and_not_cut_off(self):
        self.wrapper = self.peer.export(bytes)
        stub = self.stub(self.wrapper)
        for attempt in (lambda: stub(b"", op=1 << 32), lambda: stub(b"", op=-1),
                        lambda: asyncio.run(stub.aio(b"", op=1 << 32)),
                        lambda: stub.notify(b"", op=1 << 32),
                        lambda: self.stub(self.wrapper, reply_max=-1),
                        lambda: self.stub(self.wrapper, signature=1 << 64),
                        lambda: self.peer.export(bytes, word=1 << 64),
                        lambda: self.peer.export(bytes, max_arg=-1)):
            with self.assertRaises(ValueError):
                attempt()
        self.assertEqual(len(self.peer._table), 1)
        self.assertEqual(len(self.caller._results), 0)

    def test_a_timeout_of_infinity_is_none(self):
        self.wrapper = self.peer.export(lambda _data: b"%d" % (upcall.current().deadline is None))
        for timeout in float("inf"), 1e30, None:
            self.assertEqual(self.stub(self.wrapper)(timeout=timeout), b"1")


class Waiting(Case):

    def test_a_timeout_in_the_queue_is_not_delivered(self):
        self.wrapper = self.peer.export(bytes)
        error = self.raises(upcall.TimedOut, upcall.NOT_DELIVERED, self.stub(self.wrapper), timeout=0.05)
        self.assertIsInstance(error, TimeoutError)
        self.raises(upcall.TimedOut, upcall.NOT_DELIVERED, self.stub(self.wrapper, timeout=0.05))

    def test_a_timeout_while_it_runs_is_delivered_and_the_owner_hears_of_it(self):
        seen = []

        def slow(_data):
            call = upcall.current()
            until(lambda: call.cancelled, "the cancellation")
            seen.append(call.cancelled)
        self.wrapper = self.peer.export(slow)
        self.peer.start(threads=2)      # one of them hears of it
        timeout, stage = 0.5, upcall.NOT_DELIVERED
        while stage == upcall.NOT_DELIVERED and timeout < LIMIT:    # a busy machine is late
            with self.assertRaises(upcall.TimedOut) as raised:
                self.stub(self.wrapper, timeout=timeout)(b"")
            stage, timeout = raised.exception.stage, timeout * 2
        self.assertEqual(stage, upcall.DELIVERED)
        until(lambda: seen, "the owner's end")

    def test_calls_within_a_call_inherit_its_deadline(self):
        deadlines = []

        def note(_data):
            deadlines.append(upcall.current().deadline)

        def outer(_data):
            note(b"")
            inner()
            inner(timeout=2 * LIMIT)
            inner(timeout=LIMIT / 2)
            with upcall.detached():
                self.assertIsNone(upcall.current())
                inner()
        self.inner, self.wrapper = self.peer.export(note), self.peer.export(outer)
        inner = self.stub(self.inner)
        self.peer.start(threads=2)
        self.stub(self.wrapper)(timeout=LIMIT)
        first, same, not_later, earlier, none = deadlines
        self.assertEqual([same, not_later], [first, first])
        self.assertLess(earlier, first)
        self.assertIsNone(none)

    def test_more_threads_run_callables_at_the_same_time(self):
        together = threading.Barrier(4)
        self.wrapper = self.peer.export(lambda _data: b"%d" % (together.wait(LIMIT) >= 0))
        self.peer.start(threads=4)
        calls = [Thread(self.stub(self.wrapper), b"") for _ in range(4)]
        self.assertEqual([call.outcome() for call in calls], [b"1"] * 4)
        self.assertLessEqual(len(self.peer._receiver._threads), 4)

    def test_one_thread_runs_them_one_at_a_time(self):
        inside = []

        def alone(_data):
            inside.append(1)
            time.sleep(0.001)
            count = len(inside)
            inside.pop()
            return b"%d" % count
        self.wrapper = self.peer.export(alone)
        self.peer.start()
        calls = [Thread(self.stub(self.wrapper), b"") for _ in range(20)]
        self.assertEqual({call.outcome() for call in calls}, {b"1"})

    def test_stop_finishes_what_runs_and_leaves_handles_alive(self):
        gate = Gate()
        self.wrapper = self.peer.export(gate)
        self.peer.start()
        running = Thread(self.stub(self.wrapper), b"")
        gate.wait()
        stopping = Thread(self.peer.stop)
        until(lambda: self.peer._receiver._stopping, "its begin")
        waiting = Thread(self.stub(self.wrapper), b"")
        self.until_queued(self.wrapper.handle)
        gate.open.set()
        stopping.outcome()
        self.assertEqual(running.outcome(), b"done")
        self.assertEqual((gate.count, self.peer.is_live(self.wrapper.handle)), (1, True))
        self.peer.start()
        self.assertEqual(waiting.outcome(), b"done")

    def test_start_returns_when_a_thread_serves(self):
        def late(frame, _event, _arg):
            if frame.f_code.co_name == "_serve":
                time.sleep(0.05)
        threading.setprofile(late)      # of threads that begin
        self.addCleanup(threading.setprofile, None)
        self.wrapper = self.peer.export(lambda data: data)
        self.peer.start()
        self.peer.start()
        self.assertEqual(self.peer.stub(self.wrapper.handle)(b"x"), b"x")
        self.assertEqual(len(self.peer._receiver._threads), 1)

    def test_serve_forever_ends_with_stop_and_with_close(self):
        for end in self.peer.stop, self.peer.close:
            serving = Thread(self.peer.serve_forever)
            until(lambda: self.peer._receiver._threads, "its start")
            end()
            serving.outcome()

    def test_close_ends_the_calls_that_wait_in_it(self):
        self.wrapper = self.peer.export(bytes)
        waiting = Thread(self.stub(self.wrapper), b"")
        self.until_queued(self.wrapper.handle)
        self.caller.close()
        self.raises(upcall.Closed, upcall.NOT_DELIVERED, waiting.outcome)
        self.raises(upcall.Closed, upcall.NOT_DELIVERED, self.stub(self.wrapper), b"")

    def test_close_of_the_owner_in_the_middle_of_a_call_is_owner_died(self):
        gate = Gate()
        wrapper = self.peer.export(gate)
        self.peer.start()
        running = Thread(self.stub(wrapper), b"")
        gate.wait()
        self.peer.close()
        self.raises(upcall.OwnerDied, upcall.DELIVERED, running.outcome)
        gate.open.set()
        with self.assertRaises(upcall.Closed):
            self.peer.export(bytes)
        wrapper.release()       # its peer is gone: nothing
        del wrapper
        collect()

    @needs_module
    def test_ctrl_c_interrupts_a_blocking_call_and_gives_it_up(self):
        cancelled = threading.Event()

        def slow(_data):
            call = upcall.current()
            os.kill(os.getpid(), signal.SIGINT)
            until(lambda: call.cancelled, "the cancellation")
            cancelled.set()
        self.wrapper = self.peer.export(slow)
        self.peer.start(threads=2)
        with self.assertRaises(KeyboardInterrupt):
            self.stub(self.wrapper)(b"")
        self.assertTrue(cancelled.wait(LIMIT))

    @needs_module
    def test_a_signal_handler_that_returns_lets_the_call_go_on_once(self):
        handled, ran = threading.Event(), []

        def slow(data):
            ran.append(data)
            os.kill(os.getpid(), signal.SIGUSR1)
            assert handled.wait(LIMIT)
            return b"done"
        before = signal.signal(signal.SIGUSR1, lambda *_: handled.set())
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        self.wrapper = self.peer.export(slow)
        self.peer.start()
        self.assertEqual(self.stub(self.wrapper)(b"once"), b"done")
        self.assertEqual(ran, [b"once"])

    @needs_module
    def test_a_signal_in_the_queue_does_not_lose_the_call(self):
        ran, started = [], []

        def start(*_):
            started.append(1)
            self.peer.start()
        before = signal.signal(signal.SIGUSR1, start)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        self.wrapper = self.peer.export(ran.append)
        kicker = Thread(lambda: (self.until_queued(self.wrapper.handle),
                                 os.kill(os.getpid(), signal.SIGUSR1)))
        self.stub(self.wrapper)(b"once")
        kicker.outcome()
        self.assertEqual((ran, started), ([b"once"], [1]))


@needs_module    # names are files of the system
class Names(Case):

    def setUp(self):
        super().setUp()
        self.peer.start()

    def test_a_published_name_finds_it(self):
        self.wrapper = self.peer.export(lambda _data: b"found", name="name")
        self.assertEqual(self.stub("name")(b""), b"found")
        self.assertEqual(self.caller.lookup("name"), self.wrapper.handle)

    def test_a_name_goes_with_its_wrapper_however_that_goes(self):
        released = self.peer.export(bytes, name="released")
        released.release()
        collected = self.peer.export(bytes).publish("collected")
        del collected
        collect()

        def is_gone(name):
            try:
                return not self.caller.lookup(name)
            except upcall.Error as error:
                return error.errno == errno.ENOENT
        self.assertTrue(is_gone("released"))
        until(lambda: is_gone("collected"), "the withdrawal")

    def test_a_stub_of_a_name_finds_the_new_owner_when_the_old_one_is_gone(self):
        wrapper = self.peer.export(lambda _data: b"old", name="name")
        stub = self.stub("name")
        self.assertEqual(stub(b""), b"old")
        wrapper.release()
        wrapper = self.peer.export(lambda _data: b"new", name="name")
        self.assertEqual(stub(b""), b"new")

    def test_a_name_goes_with_its_peer(self):
        self.wrapper = self.peer.export(bytes, name="name")
        self.peer.close()
        with self.assertRaises(upcall.Error) as raised:
            self.caller.lookup("name")
        self.assertEqual(raised.exception.errno, errno.ENOENT)

    def test_what_belongs_to_another_user_is_not_called(self):
        ran = []
        self.wrapper = self.peer.export(ran.append, name="name")
        for target in "name", self.wrapper:
            self.raises(upcall.AccessDenied, upcall.NOT_DELIVERED,
                        self.stub(target, uid=os.geteuid() + 1), b"")
            self.stub(target, uid=os.geteuid())(b"x")
        self.assertEqual(ran, [b"x", b"x"])

    def test_an_impossible_name_is_einval(self):
        wrapper = self.peer.export(bytes)
        for name in "", ".hidden", "a/b", "x" * 65:
            with self.assertRaises(upcall.Error) as raised:
                wrapper.publish(name)
            self.assertEqual(raised.exception.errno, errno.EINVAL)
