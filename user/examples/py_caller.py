#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""A caller: py_caller.py NAME TEXT calls whoever has the name, waiting; and again, from asyncio."""
import asyncio
import sys

import upcall

name, text = sys.argv[1:]
stub = upcall.stub(name, codec="text", timeout=5)
try:
    print(stub(text))
    print(asyncio.run(stub.aio(text)))
except upcall.RemoteError as error:
    print("it raised:", error)
except upcall.Error as error:
    print("nobody serves it" if error.not_delivered else "it may have run", error, sep=": ")
