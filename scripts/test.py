"""`make test`: every suite in turn, its seconds, and at the end what did not run and why.

    python -m scripts.test            all suites
    python -m scripts.test kill e2e   these suites

Suites that leave a core idle go two at a time; what such a one prints comes at its end. A suite that fails does not
stop the others; the exit code is 1 when any failed. A suite that could not run on this machine prints its reason as
`NOT RUN: suite (reason)` in the last lines; it never passes in silence.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

PYTHON = sys.executable
BIN = PYTHON.rsplit("/", 1)[0]

_CLOSING = re.compile(
    r"^=*\s*(?:\d+ \w+,? ?)+ in [\d.]+s|^\d+ passed, \d+ failed, \d+ skipped$",
    re.MULTILINE,
)
"""The last line of pytest, with its seconds, and that of a suite which is not pytest's."""


@dataclass(frozen=True)
class Suite:
    """One line of the report."""

    name: str
    command: tuple[str, ...]
    light: bool = False
    """Whether it leaves a core idle, so that it may run beside another such suite that stands next to it.

    The longest of such neighbours come first, so that none of them is left alone at the end.
    """


@dataclass(frozen=True)
class Result:
    """How a suite went. `output` is searched for the counts and for what was not run."""

    suite: Suite
    code: int
    seconds: float
    output: str

    @property
    def counts(self) -> dict[str, int]:
        """Passed, failed and skipped tests; empty for a suite that is no test run."""
        last = [found[0] for found in _CLOSING.finditer(self.output)]
        found = re.findall(r"(\d+) (passed|failed|skipped|error)", last[-1] if last else "")
        return {word: int(number) for number, word in found}


def _pytest(*arguments: str) -> tuple[str, ...]:
    """Without the plugin of schemathesis, which costs every process a second: `fuzz` uses it as a library."""
    without = ("-p", "no:cacheprovider", "-p", "no:schemathesis")
    return (PYTHON, "-m", "pytest", "-q", "--no-header", *without, *arguments)


ONLY_CLOUD, NO_CLOUD = ("-m", "real_cloud"), ("-m", "not real_cloud")
"""What needs a real cloud waits for the suite that starts one: it takes memory and time from all others."""

SUITES = (
    Suite("lint", (f"{BIN}/ruff", "check", ".")),
    Suite("format", (f"{BIN}/ruff", "format", "--check", ".")),
    Suite("types", (f"{BIN}/mypy", "shared", "services", "cloudsim", "scripts", "benchmarks", "tests")),
    Suite("layers", (f"{BIN}/lint-imports", "--no-logo")),
    Suite("api", _pytest("tests/api"), light=True),
    Suite("scaler", _pytest("tests/scaler", "tests/coe"), light=True),
    Suite("fuzz", _pytest("tests/fuzz"), light=True),
    Suite("cli", _pytest("tests/cli", "--timeout=300"), light=True),
    Suite("certs", _pytest("tests/certs", *NO_CLOUD), light=True),
    Suite("guide", _pytest("tests/guide", "--timeout=300"), light=True),
    Suite("docs", _pytest("tests/docs", "--timeout=300"), light=True),
    Suite("runtime", _pytest("tests/runtime", *NO_CLOUD), light=True),
    Suite("cloudsim", _pytest("tests/cloudsim"), light=True),
    Suite("bus", _pytest("tests/bus"), light=True),
    Suite("openstack", _pytest("tests/openstack"), light=True),
    Suite("database", _pytest("tests/db", "tests/worker"), light=True),
    Suite("domain", _pytest("tests/domain", "tests/contracts", "tests/house"), light=True),
    Suite("drivers", _pytest("tests/drivers", "--numprocesses=2")),
    Suite("payloads", _pytest("tests/payloads", "--timeout=300", "--numprocesses=2", "--dist=loadscope")),
    Suite("e2e", _pytest("tests/e2e", "--timeout=600", "--numprocesses=4", "--dist=worksteal")),
    Suite("kill", _pytest("tests/kill", "--timeout=600", "--numprocesses=4", "--dist=load", "--maxschedchunk=1")),
    Suite("nodes", _pytest("tests/nodes", "--timeout=600"), light=True),
    Suite("clients", _pytest("tests/clients", "--timeout=300"), light=True),
    Suite("walk", _pytest("tests/walk", "--timeout=600"), light=True),
    Suite("pairwise", _pytest("tests/pairwise", "--timeout=300"), light=True),
    Suite("tempest", (PYTHON, "-m", "tests.tempest"), light=True),
    Suite("deploy", _pytest("tests/deploy"), light=True),
    Suite("native", _pytest("tests/native", "--timeout=300")),
    Suite(
        "realcloud", _pytest("tests/realcloud", "tests/certs/test_barbican.py", "-m", "real_cloud", "--timeout=1800")
    ),
    Suite("realheat", _pytest("tests/realheat", "--timeout=1800")),
)


def run(suite: Suite) -> Result:
    """Run one suite, showing its output as it comes, or at its end where another runs beside it."""
    if not suite.light:
        print(_headline(suite), flush=True)
    began = time.monotonic()
    process = subprocess.Popen(suite.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        if not suite.light:
            print(line, end="", flush=True)
        lines.append(line)
    result = Result(suite, process.wait(), time.monotonic() - began, "".join(lines))
    if suite.light:
        print(f"{_headline(suite)}\n{result.output}", end="", flush=True)
    return result


def run_all(suites: Iterable[Suite]) -> list[Result]:
    """Run them in their order, light neighbours two at a time."""
    results: list[Result] = []
    for light, group in groupby(suites, key=lambda suite: suite.light):
        with ThreadPoolExecutor(2 if light else 1) as lanes:
            results += lanes.map(run, group)
    return results


def _headline(suite: Suite) -> str:
    return f"\n──── {suite.name} ────"


def report(results: list[Result]) -> int:
    """Print the table and the closing lines; the exit code."""
    print("\n──── summary ────")
    for result in results:
        word = "ok" if result.code == 0 else f"FAILED ({result.code})"
        counts = ", ".join(f"{number} {kind}" for kind, number in result.counts.items())
        print(f"{result.suite.name:<12} {result.seconds:7.1f} s  {word:<12} {counts}")
    total = {kind: sum(r.counts.get(kind, 0) for r in results) for kind in ("passed", "failed", "error", "skipped")}
    broken = [r.suite.name for r in results if r.code != 0]
    missing = sorted({line for r in results for line in re.findall(r"NOT RUN: .+", r.output)})
    for line in missing:
        print(line)
    if broken:
        print(f"Failed suites: {', '.join(broken)}")
    print(f"{total['passed']} passed, {total['failed'] + total['error']} failed, {total['skipped']} skipped")
    return 1 if broken else 0


def main() -> int:
    """Run what was asked for."""
    wanted = sys.argv[1:]
    unknown = set(wanted) - {suite.name for suite in SUITES}
    if unknown:
        print(f"No such suite: {', '.join(sorted(unknown))}. There are: {', '.join(s.name for s in SUITES)}")
        return 2
    return report(run_all(suite for suite in SUITES if not wanted or suite.name in wanted))


if __name__ == "__main__":
    sys.exit(main())
