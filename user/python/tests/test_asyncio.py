# SPDX-License-Identifier: GPL-2.0-only
"""One loop on the peer's descriptor: it calls, it serves, both at once."""
import asyncio

import upcall
from base import LIMIT, Case, Gate, Thread, collect, needs_module


async def eventually(condition):
    """until(), for a loop that has to go on."""
    async def look():
        while not condition():
            await asyncio.sleep(0.005)
    await asyncio.wait_for(look(), LIMIT)


class Asyncio(Case):

    def run_in_loop(self, coroutine):
        """With a limit, and with a loop that tells what went wrong in it."""
        async def main():
            errors = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
            value = await asyncio.wait_for(coroutine, LIMIT)
            self.assertEqual(errors, [])
            return value
        return asyncio.run(main())

    def test_an_awaited_call_has_its_answer(self):
        self.wrapper = self.peer.export(lambda text: text.upper())
        self.peer.start()
        self.assertEqual(self.run_in_loop(self.stub(self.wrapper).aio(b"hello")), b"HELLO")

    def test_a_thousand_calls_are_under_way_from_one_loop(self):
        self.wrapper = self.peer.export(lambda data: data, queued_calls=2000)
        stub = self.stub(self.wrapper)

        async def main():
            calls = [asyncio.ensure_future(stub.aio(b"%d" % i)) for i in range(1000)]
            await eventually(lambda: self.peer.stat(self.wrapper.handle).queued == 1000)
            self.peer.start()
            return await asyncio.gather(*calls)
        self.assertEqual(self.run_in_loop(main()), [b"%d" % i for i in range(1000)])
        self.assertEqual(len(self.caller._results), 0)

    def test_the_loop_serves_while_it_calls_itself(self):
        async def main():
            self.wrapper = self.peer.export(lambda text: text.upper())
            self.peer.serve()
            return await self.peer.stub(self.wrapper).aio(b"myself")
        self.assertEqual(self.run_in_loop(main()), b"MYSELF")

    def test_async_callables_wait_beside_each_other(self):
        async def main():
            together = asyncio.Event()
            inside = []

            async def meet(_data):
                inside.append(1)
                if len(inside) == 10:
                    together.set()
                await together.wait()
                return b"met"
            self.wrapper = self.peer.export(meet)
            self.peer.serve()
            stub = self.stub(self.wrapper)
            return await asyncio.gather(*[stub.aio(b"") for _ in range(10)])
        self.assertEqual(self.run_in_loop(main()), [b"met"] * 10)

    def test_an_async_callable_runs_in_a_thread_too(self):
        async def slowly(data):
            await asyncio.sleep(0)
            return data * 2
        self.wrapper = self.peer.export(slowly)
        self.peer.start()
        self.assertEqual(self.stub(self.wrapper)(b"ab"), b"abab")

    def test_an_exception_of_an_async_callable_crosses(self):
        async def main():
            async def fails(_data):
                await asyncio.sleep(0)
                raise ValueError("later")
            self.wrapper = self.peer.export(fails)
            self.peer.serve()
            with self.assertRaisesRegex(upcall.RemoteError, "ValueError: later"):
                await self.stub(self.wrapper).aio(b"")
        self.run_in_loop(main())

    def test_a_cancelled_task_gives_its_call_up_and_the_coroutine_is_cancelled(self):
        async def main():
            entered, cancelled = asyncio.Event(), asyncio.Event()

            async def forever(_data):
                entered.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    cancelled.set()
                    raise
            self.wrapper = self.peer.export(forever)
            self.peer.serve()
            task = asyncio.ensure_future(self.stub(self.wrapper).aio(b""))
            await entered.wait()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            await cancelled.wait()
            await eventually(lambda: self.peer.stat(self.wrapper.handle).running == 0)
            await eventually(lambda: len(self.caller._results) == 0)
        self.run_in_loop(main())

    def test_a_task_cancelled_in_the_queue_never_runs(self):
        ran = []
        self.wrapper = self.peer.export(ran.append)

        async def main():
            task = asyncio.ensure_future(self.stub(self.wrapper).aio(b""))
            await eventually(lambda: self.peer.stat(self.wrapper.handle).queued == 1)
            task.cancel()
            await eventually(lambda: self.peer.stat(self.wrapper.handle).queued == 0)
            self.peer.serve()
            await self.stub(self.wrapper).aio(b"next")
        self.run_in_loop(main())
        self.assertEqual(ran, [b"next"])

    def test_timeouts_are_the_kernels(self):
        self.wrapper = self.peer.export(bytes)
        with self.assertRaises(upcall.TimedOut) as raised:
            self.run_in_loop(self.stub(self.wrapper).aio(b"", timeout=0.05))
        self.assertIs(raised.exception.stage, upcall.NOT_DELIVERED)

    def test_a_late_call_is_stale_here_too(self):
        wrapper = self.peer.export(bytes)
        late = self.stub(wrapper)
        wrapper.release()
        with self.assertRaises(upcall.Stale) as raised:
            self.run_in_loop(late.aio(b""))
        self.assertIs(raised.exception.stage, upcall.NOT_DELIVERED)

    def test_a_signature_is_named_here_too(self):
        self.wrapper = self.peer.export(lambda data: data, signature="v2")
        self.peer.start()
        self.assertEqual(self.run_in_loop(self.stub(self.wrapper, signature="v2").aio(b"x")), b"x")
        with self.assertRaises(upcall.Mismatch):
            self.run_in_loop(self.stub(self.wrapper).aio(b"x"))

    @needs_module
    def test_a_name_finds_its_new_owner_here_too(self):
        wrapper = self.peer.export(lambda _data: b"old", name="name")
        self.peer.start()
        stub = self.stub("name")
        self.assertEqual(self.run_in_loop(stub.aio()), b"old")
        wrapper.release()
        wrapper = self.peer.export(lambda _data: b"new", name="name")
        self.assertEqual(self.run_in_loop(stub.aio()), b"new")

    def test_one_loop_after_the_other_and_then_threads(self):
        self.wrapper = self.peer.export(lambda data: data)
        stub = self.peer.stub(self.wrapper)
        for _ in range(3):
            self.assertEqual(self.run_in_loop(stub.aio(b"x")), b"x")
        self.peer.start()
        self.assertEqual(stub(b"x"), b"x")
        self.assertEqual(self.run_in_loop(stub.aio(b"x")), b"x")

    def test_two_loops_in_two_threads_share_a_peer(self):
        self.wrapper = self.peer.export(lambda data: data, queued_calls=1000)
        self.peer.start()
        stub = self.stub(self.wrapper)

        async def main(mark):
            return await asyncio.gather(*[stub.aio(b"%d" % (mark + i)) for i in range(100)])
        threads = [Thread(asyncio.run, main(mark)) for mark in (0, 1000)]
        for thread, mark in zip(threads, (0, 1000)):
            self.assertEqual(thread.outcome(), [b"%d" % (mark + i) for i in range(100)])

    def test_a_loop_that_ends_leaves_no_other_without_its_answer(self):
        gate = Gate(b"late")
        self.slow, self.fast = self.peer.export(gate), self.peer.export(bytes)
        self.peer.start(threads=2)
        fast, slow = self.stub(self.fast), self.stub(self.slow)

        async def first():
            thread = Thread(asyncio.run, slow.aio(b""))
            await eventually(gate.entered.is_set)
            return thread
        thread = asyncio.run(first())
        gate.open.set()
        self.assertEqual(thread.outcome(), b"late")
        self.assertEqual(fast(b""), b"")

    def test_stopped_threads_leave_a_loop_its_answer(self):
        gate = Gate(b"late")
        self.wrapper = self.peer.export(gate)
        self.peer.start()
        self.caller.start()

        async def main():
            call = asyncio.ensure_future(self.stub(self.wrapper).aio(b""))
            await eventually(gate.entered.is_set)
            self.caller.stop()
            gate.open.set()
            return await call
        self.assertEqual(self.run_in_loop(main()), b"late")

    def test_a_wrapper_collected_in_a_loop_is_released_by_it(self):
        async def main():
            wrapper = self.peer.export(bytes)
            handle = wrapper.handle
            self.peer.serve()
            del wrapper
            collect()
            await eventually(lambda: not self.caller.is_live(handle))
            await eventually(lambda: len(self.peer._table) == 0)
        self.run_in_loop(main())

    def test_a_wrapper_collected_while_its_coroutine_waits_still_answers(self):
        async def main():
            go_on, entered = asyncio.Event(), asyncio.Event()

            async def waits(_data):
                entered.set()
                await go_on.wait()
                return b"done"
            wrapper = self.peer.export(waits)
            self.peer.serve()
            stub = self.stub(wrapper)
            task = asyncio.ensure_future(stub.aio(b""))
            await entered.wait()
            handle = wrapper.handle
            del wrapper, waits
            collect()
            await eventually(lambda: not self.caller.is_live(handle))
            go_on.set()
            self.assertEqual(await task, b"done")
            await eventually(lambda: len(self.peer._table) == 0)
        self.run_in_loop(main())

    def test_close_fails_what_is_under_way(self):
        self.wrapper = self.peer.export(bytes)

        async def main():
            task = asyncio.ensure_future(self.stub(self.wrapper).aio(b""))
            await eventually(lambda: self.peer.stat(self.wrapper.handle).queued == 1)
            self.caller.close()
            with self.assertRaises(upcall.Closed):
                await task
        self.run_in_loop(main())

    def test_a_call_in_a_call_names_its_parent_and_inherits_its_deadline(self):
        async def main():
            depths = []
            self.inner = self.peer.export(lambda _data: depths.append(upcall.current().remaining))

            async def outer(_data):
                await self.peer.stub(self.inner).aio(b"")
                return b""
            self.wrapper = self.peer.export(outer)
            self.peer.serve()
            await self.stub(self.wrapper).aio(b"", timeout=LIMIT)
            self.assertTrue(0 < depths[0] <= LIMIT)
        self.run_in_loop(main())

    def test_a_task_that_outlives_its_call_may_still_call(self):
        async def main():
            self.inner = self.peer.export(lambda data: data)
            tasks, answered = [], asyncio.Event()

            async def later():
                await answered.wait()
                return await self.peer.stub(self.inner).aio(b"late")

            async def outer(_data):
                tasks.append(asyncio.ensure_future(later()))
            self.wrapper = self.peer.export(outer)
            self.peer.serve()
            await self.stub(self.wrapper).aio(b"")
            answered.set()
            self.assertEqual(await tasks[0], b"late")
        self.run_in_loop(main())

    def test_a_blocking_call_to_what_its_own_loop_serves_is_deadlock_at_once(self):
        async def main():
            self.wrapper = self.peer.export(bytes)
            self.peer.serve()
            self.raises(upcall.Deadlock, upcall.NOT_DELIVERED, self.peer.stub(self.wrapper), b"")
        self.run_in_loop(main())
