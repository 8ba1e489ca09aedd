"""`make test-tempest`: the API tests of an unmodified magnum-tempest-plugin against a whole stack on this machine.

Each module runs in a process of its own, once as before 2023 and once with the rbac personas. Every result is held
against `expected.EXPECTED`; the exit code is 1 when one differs.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import client_venvs
from services.cli.stack import LocalStack
from tests.tempest import config
from tests.tempest.expected import CLASSIC, EXPECTED, PACKAGE, RBAC, TESTS

RUNNER = Path(__file__).with_name("runner.py")
LITTER = Path("/tmp/magnum-nodes")
"""The plugin writes there, wherever it is told to write."""
LONGEST = 900.0


@dataclass(frozen=True)
class Result:
    """One test's, by its name without the plugin's package."""

    name: str
    outcome: str
    words: str
    seconds: float

    @property
    def verdict(self) -> str:
        """`ok` if it is as expected, else what is not."""
        wanted = EXPECTED.get(self.name)
        if wanted is None:
            return "ok" if self.outcome == "pass" else f"UNEXPECTED {self.outcome}"
        if self.outcome != "fail":
            return f"UNEXPECTED {self.outcome}, should fail"
        return "ok" if wanted.is_in(self.words) else "UNEXPECTED kind of failure"


async def run_module(module: str, folder: Path, conf: Path) -> list[Result]:
    """One module's tests, with a configuration."""
    results, log = folder / f"{module}.json", folder / f"{module}.log"
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", "TMPDIR": str(folder)}
    environ |= {"TEMPEST_CONFIG": conf.name, "TEMPEST_CONFIG_DIR": str(conf.parent)}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            str(client_venvs.program("tempest", "python")),
            *(str(RUNNER), str(results), PACKAGE + module),
            cwd=folder,
            env=environ,
            stdout=output,
            stderr=output,
        )
        try:
            await asyncio.wait_for(process.wait(), LONGEST)
        except TimeoutError:
            process.kill()
            await process.wait()
    found = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    for one in found:
        one["name"] = one["name"].replace(PACKAGE, "")
    if process.returncode != 0:
        found.append({"name": module, "outcome": "broke off", "words": log.read_text()[-2000:], "seconds": 0.0})
    return [Result(**one) for one in found]


async def run_all(folder: Path) -> list[Result]:
    """Every module against one stack."""
    results: list[Result] = []
    async with LocalStack(folder / "stack", speed=20, time_scale=0.2) as stack:
        await asyncio.to_thread(config.let_admin_in, stack.keystone_url)
        for module in (*CLASSIC, *RBAC):
            # A folder for each: a class that breaks off at its start leaves its accounts locked.
            conf = config.write(folder / module, stack.keystone_url, rbac=module in RBAC)
            for result in await run_module(module, conf.parent, conf):
                print(f"{result.seconds:6.1f} s  {result.verdict:<20} {result.name}", flush=True)
                results.append(result)
    return results


def report(results: Sequence[Result]) -> int:
    """Say what differs and what was expected; the exit code. The last line is for `scripts.test` to count."""
    wrong = [result for result in results if result.verdict != "ok"]
    for result in wrong:
        print(f"\n──── {result.name}: {result.verdict} ────\n{result.words[-3000:]}")
    print("\nFails here as expected:")
    for name, why in EXPECTED.items():
        print(f"  {name}\n    {why.because}")
    passed = sum(result.outcome == "pass" and result.verdict == "ok" for result in results)
    skipped = sum(result.outcome == "skip" for result in results)
    print(f"\ntempest: {len(results)} of {TESTS} tests, {len(wrong)} not as expected")
    print(f"{passed} passed, {len(wrong) - skipped} failed, {skipped} skipped")
    return 1 if wrong or len(results) != TESTS else 0


def main() -> int:
    """Run it all. A machine without a package index is told so; that is no failure."""
    try:
        client_venvs.ensure(["tempest"])
    except client_venvs.NoClients as reason:
        print(f"NOT RUN: tempest ({reason})")
        return 0
    there_before = LITTER.exists()
    with tempfile.TemporaryDirectory(prefix="jeroboam-tempest-") as folder:
        try:
            return report(asyncio.run(run_all(Path(folder))))
        finally:
            if not there_before:
                shutil.rmtree(LITTER, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
