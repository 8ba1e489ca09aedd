"""Make the folder and the registry line of a new driver.

    python -m scripts.new_driver NAME --key vm,debian,nomad [--into FOLDER]

What it makes renders a bay that Heat can build and whose nodes get certificates, run docker and report; all else is
yours. docs/driver-contract.md says what the conformance tests will hold it to.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from string import Template

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def main(arguments: list[str] | None = None) -> int:
    """Run it; 2 when the name or the triple cannot be used."""
    parser = argparse.ArgumentParser(
        prog="new-driver", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", help="name of the driver and of its folder, such as nomad_debian")
    parser.add_argument("--key", default="", help="server type, os_distro and COE, separated by commas")
    parser.add_argument("--into", type=Path, default=ROOT, help="the checkout to write to (this one)")
    given = parser.parse_args(arguments)
    if problem := _problem(given.name, given.key, given.into):
        print(f"new-driver: {problem}", file=sys.stderr)
        return 2
    words = _words(given.name, given.key)
    folder = given.into / "shared" / "drivers" / given.name
    for source in sorted(HERE.rglob("*.tmpl")):
        target = folder / source.relative_to(HERE).with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(source.read_text()).substitute(words))
    _register(given.into / "shared" / "drivers" / "registry.py", given.name, words["class_name"])
    print(f"Made {folder.relative_to(given.into)} and its line in shared/drivers/registry.py. Next:")
    print("  1. say in driver.py what it supports, and write payload/ and README.md;")
    print("  2. run  pytest tests/drivers -k " + given.name + "  (docs/driver-contract.md has the rules);")
    print("  3. write its golden stacks with  JEROBOAM_UPDATE_GOLDEN=1 pytest tests/drivers/test_golden.py")
    return 0


def _problem(name: str, key: str, into: Path) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        return f"{name!r} is no name for a folder: use lower-case letters, digits and single underscores."
    if (into / "shared" / "drivers" / name).exists():
        return f"shared/drivers/{name} exists."
    if not re.fullmatch(r"[a-z]+,[a-z0-9-]+,[a-z0-9-]+", key):
        return "--key must be server type, os_distro and COE, such as vm,debian,nomad."
    return ""


def _words(name: str, key: str) -> dict[str, str]:
    server_type, distro, coe = key.split(",")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    return {"name": name, "class_name": class_name, "server_type": server_type, "os_distro": distro, "coe": coe}


def _register(path: Path, name: str, class_name: str) -> None:
    """Put the import among the others, and the instance at the end of DRIVERS."""
    text = path.read_text()
    imports = [line for line in text.splitlines() if re.match(r"from shared\.drivers\.\w+\.driver import ", line)]
    line = f"from shared.drivers.{name}.driver import {class_name}"
    text = text.replace("\n".join(imports), "\n".join(sorted([*imports, line])))
    head, listed, rest = re.split(
        r"(?<=DRIVERS: tuple\[Driver, \.\.\.\] = )\((.*?)\)\n\n", text, maxsplit=1, flags=re.DOTALL
    )
    entries = [entry.strip() for entry in listed.split(",") if entry.strip()]
    body = "".join(f"    {entry},\n" for entry in [*entries, f"{class_name}()"])
    path.write_text(f"{head}(\n{body})\n\n{rest}")


if __name__ == "__main__":
    sys.exit(main())
