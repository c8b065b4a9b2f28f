#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""An owner: answers every call with its argument in upper case, and can be found by the
name "upper". Ctrl-C ends it."""
import upcall

# Keep the wrapper: it keeps the handle. What the function raises, its caller gets.
wrapper = upcall.export(str.upper, codec="text", name="upper")
print(wrapper.handle, flush=True)
try:
    upcall.serve_forever()
except KeyboardInterrupt:
    pass
