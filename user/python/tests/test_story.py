# SPDX-License-Identifier: GPL-2.0-only
"""What the registry is for: a handle that lives exactly as long as the wrapper."""
import gc
import weakref

import upcall
from base import Case, collect, listed, needs_module, until


class Callable:
    """One that a weak reference can watch."""

    def __call__(self, data):
        return data


class Story(Case):

    def test_a_wrapper_has_a_handle_and_a_stub_of_it_calls_the_callable(self):
        wrapper = self.peer.export(lambda text: text.upper())
        self.peer.start()
        self.assertEqual(self.stub(wrapper.handle)(b"hello"), b"HELLO")

    def test_drop_the_wrapper_and_a_late_call_is_stale_and_not_delivered(self):
        ran = []
        wrapper = self.peer.export(ran.append)
        self.peer.start()
        handle = wrapper.handle
        late = self.stub(handle)
        late(b"in time")
        del wrapper
        collect()
        until(lambda: not self.caller.is_live(handle), "the release")
        self.raises_stale(late, b"late")
        self.assertEqual(ran, [b"in time"])

    def test_it_is_stale_at_once_for_its_own_peer_though_nobody_serves(self):
        wrapper = self.peer.export(bytes)
        late = self.peer.stub(wrapper.handle)
        del wrapper
        collect()
        self.raises_stale(late, b"")

    def test_the_callable_alone_pins_nothing(self):
        function = Callable()
        wrapper = self.peer.export(function)
        late = self.peer.stub(wrapper.handle)
        del wrapper
        collect()
        self.raises_stale(late)
        self.assertEqual(function(b"alive"), b"alive")

    def test_the_stub_alone_pins_nothing(self):
        late = self.peer.stub(self.peer.export(bytes))
        collect()
        self.raises_stale(late)

    def test_the_wrapper_keeps_its_callable_and_nothing_else_does(self):
        function = Callable()
        gone = weakref.ref(function)
        wrapper = self.peer.export(function)
        del function
        collect()
        self.assertIsNotNone(gone())
        del wrapper
        collect()
        self.assertIsNone(gone())

    def test_a_wrapper_in_a_cycle_with_its_callable_is_collected(self):
        class Service:
            def __init__(self, peer):
                self.wrapper = peer.export(self.serve)

            def serve(self, data):
                return data
        service = Service(self.peer)
        late = self.peer.stub(service.wrapper)
        gone = weakref.ref(service)
        del service
        collect()
        self.assertIsNone(gone())
        self.raises_stale(late)

    def test_the_callable_may_be_swapped_under_a_live_handle(self):
        wrapper = self.peer.export(lambda _data: b"old")
        self.peer.start()
        stub = self.stub(wrapper.handle)
        self.assertEqual(stub(), b"old")
        handle, cookie = wrapper.handle, self.peer.stat(wrapper.handle).cookie
        wrapper.rebind(lambda _data: b"new")
        self.assertEqual(stub(), b"new")
        self.assertEqual(wrapper.handle, handle)
        self.assertNotEqual(self.peer.stat(handle).cookie, cookie)

    def test_what_was_swapped_out_is_collected(self):
        old = Callable()
        gone = weakref.ref(old)
        wrapper = self.peer.export(old)
        del old
        wrapper.rebind(bytes)
        collect()
        self.assertIsNone(gone())

    def test_swapping_under_a_dead_handle_is_stale_and_changes_nothing(self):
        wrapper = self.peer.export(bytes)
        wrapper.release()
        with self.assertRaises(upcall.Stale):
            wrapper.rebind(bytearray)
        self.assertEqual(wrapper(b"here"), b"here")

    def test_a_stub_without_its_wrapper_is_a_clean_error(self):
        for handle in 0, 1, 12345, 2**53 - 1, 2**53, 2**64 - 1:
            self.raises_stale(self.stub(handle), b"")
        released = self.peer.export(bytes)
        released.release()
        self.raises_stale(self.stub(released), b"")
        self.raises(upcall.Error, upcall.NOT_DELIVERED, self.stub("nobody"), b"")

    def test_a_handle_is_never_issued_again(self):
        handles = []
        for _ in range(300):
            wrapper = self.peer.export(bytes)
            handles.append(wrapper.handle)
            del wrapper
        self.assertEqual(len(set(handles)), len(handles))

    def test_a_thousand_exports_and_collections_leave_nothing(self):
        before = listed(self.peer)
        self.peer.start()
        wrappers = [self.peer.export(bytes) for _ in range(1000)]
        handles = [wrapper.handle for wrapper in wrappers]
        self.assertLessEqual(set(handles), listed(self.peer))
        del wrappers
        collect()
        until(lambda: len(self.peer._table) == 0, "the last RELEASED")
        self.assertEqual(listed(self.peer), before)
        self.assertFalse(any(self.peer.is_live(handle) for handle in handles))
        self.assertEqual(len(self.peer._garbage), 0)
        self.assertFalse([x for x in gc.get_objects() if isinstance(x, upcall.Wrapper)
                          and x.handle in handles])

    def test_an_index_is_used_again_once_released_came(self):
        self.peer.start()
        for _ in range(20):
            wrappers = [self.peer.export(bytes) for _ in range(50)]
            self.assertLess(max(wrapper._entry.index for wrapper in wrappers), 50)
            del wrappers
            collect()
            until(lambda: len(self.peer._table) == 0, "the last RELEASED")

    @needs_module
    def test_another_process_calls_and_later_finds_it_stale(self):
        wrapper = self.peer.export(lambda text: text.upper())
        self.peer.start()
        child = self.python("""
stub = upcall.stub(int(sys.argv[1]))
print(stub(b"hello").decode(), flush=True)
sys.stdin.readline()
try:
    stub(b"late")
except upcall.Stale as error:
    print(error.stage.name)
""", wrapper.handle)
        self.assertEqual(child.stdout.readline(), "HELLO\n")
        handle = wrapper.handle
        del wrapper
        collect()
        until(lambda: not self.caller.is_live(handle), "the release")
        self.assertEqual(child.communicate("\n")[0], "NOT_DELIVERED\n")
