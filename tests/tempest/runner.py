"""Run inside tempest's environment: each test of the named modules, one JSON line for each, and nothing judged here.

    python runner.py RESULTS MODULE …

It knows nothing of ours: it has to run with the standard library and what tempest brings.
"""

from __future__ import annotations

import json
import sys
import time
import unittest
from pathlib import Path
from typing import Any

from typing_extensions import override


class Recorder(unittest.TestResult):
    """Writes a line as soon as a test has ended."""

    def __init__(self, results: Path) -> None:
        super().__init__()
        self._file = results.open("a", buffering=1)
        self._began = 0.0

    @override
    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self._began = time.monotonic()

    @override
    def addSuccess(self, test: Any) -> None:
        self._write(test, "pass", "")

    @override
    def addError(self, test: Any, err: Any) -> None:
        self._write(test, "fail", self._text(test, err))

    @override
    def addFailure(self, test: Any, err: Any) -> None:
        self._write(test, "fail", self._text(test, err))

    @override
    def addSkip(self, test: Any, reason: str) -> None:
        self._write(test, "skip", reason)

    def _text(self, test: Any, err: Any) -> str:
        return str(self._exc_info_to_string(err, test))  # type: ignore[attr-defined]

    def _write(self, test: Any, outcome: str, words: str) -> None:
        seconds = round(time.monotonic() - self._began, 1) if self._began else 0.0
        name = test.id().partition("[")[0]
        line = {"name": name, "outcome": outcome, "words": words, "seconds": seconds}
        self._file.write(json.dumps(line) + "\n")


def main() -> None:
    """Load and run. A module that cannot be loaded is an error of its own, as unittest has it."""
    results, *modules = sys.argv[1:]
    unittest.defaultTestLoader.loadTestsFromNames(modules).run(Recorder(Path(results)))


if __name__ == "__main__":
    main()
