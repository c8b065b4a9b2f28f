# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests beside this file and prints TAP: a line for each, and before it what there is to
say about it. Their names are claims."""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class Result(unittest.TestResult):
    """One line for each test, when it and its clean-up are over."""

    def __init__(self):
        super().__init__()
        self.number, self.verdict, self.reason = 0, "ok", ""

    def startTest(self, test):
        super().startTest(test)
        self.verdict, self.reason = "ok", ""

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.reason = f" # SKIP {reason}"

    def addError(self, test, err):
        super().addError(test, err)
        self._failed(self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failed(self.failures[-1][1])

    def _failed(self, text):
        self.verdict = "not ok"
        print(text, flush=True)

    def stopTest(self, test):
        super().stopTest(test)
        self.number += 1
        print(f"{self.verdict} {self.number} - {name_of(test)}{self.reason}", flush=True)


def name_of(test):
    """The file's noun and the claim."""
    module, method = test.id().partition(".")[0], test.id().rpartition(".")[2]
    return f"{module.removeprefix('test_')}.{method.removeprefix('test_')}"


def flatten(suite):
    """The tests of a suite of suites."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def main():
    tests = list(flatten(unittest.defaultTestLoader.discover(HERE)))
    if sys.argv[1:]:
        # a file that cannot be imported is there as unittest.NAME
        tests = [t for t in tests if any(word in name_of(t) for word in ["unittest.", *sys.argv[1:]])]
    print(f"1..{len(tests)}", flush=True)
    result = Result()
    unittest.TestSuite(tests).run(result)
    return not result.wasSuccessful()


if __name__ == "__main__":
    sys.exit(main())
