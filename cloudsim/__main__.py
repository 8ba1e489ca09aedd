"""`python -m cloudsim`: run the simulated OpenStack."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from cloudsim.app import create_app
from cloudsim.clock import Clock
from cloudsim.serve import CloudServer, configure
from cloudsim.world import FIRST_FLOATING, CloudsimSettings, World

_EPILOG = """\
Paths: /identity/v3 /orchestration/v1 /compute/v2.1 /network/v2.0 /image/v2 /volume/v3 and, without authentication and
for loopback only, /control (state, requests, clock, speed, settings, faults, catalog, coe, reset).
Users (password = name): admin, demo, alt, reader, jeroboam. Domain Default, region RegionOne.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        "python -m cloudsim",
        description="A simulated OpenStack over HTTP for demo, tests and load. It boots nothing and secures nothing.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=0, help="port to listen on; 0 asks the kernel (default: %(default)s)")
    add("--port-file", type=Path, help="file to write the port to once listening; it appears whole or not at all")
    add("--speed", type=float, default=1.0, help="simulated seconds per second; 0 is virtual time (default: 1)")
    add(
        "--container-url",
        default="http://127.0.0.1:9511/v1",
        help="address of the container service in the catalog, ending in /v1 (default: %(default)s)",
    )
    add("--boot-seconds", type=float, default=3.0, help="simulated seconds until a server is ACTIVE (default: 3)")
    add("--token-seconds", type=int, default=3600, help="life of a token in seconds (default: 3600)")
    add("--max-resources-per-stack", type=int, default=1000, help="Heat's limit (default: 1000)")
    add("--max-template-size", type=int, default=524288, help="Heat's limit in bytes (default: 524288)")
    add("--global-stack-list", action="store_true", help="let the service user list all projects' stacks")
    add("--no-user-data", action="store_true", help="do not keep servers' user-data (saves memory under load)")
    add("--parent-pid", type=int, help="end when this process is no longer our parent")
    add("--access-log", action="store_true", help="log every request to standard error")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal, or until the parent is gone. Returns the exit status."""
    args = parser().parse_args(arguments)
    if args.speed < 0:
        parser().error(f"--speed must be 0 or more, not {args.speed}")
    settings = CloudsimSettings(
        speed=args.speed,
        container_url=args.container_url.rstrip("/"),
        boot_seconds=args.boot_seconds,
        token_seconds=args.token_seconds,
        max_resources_per_stack=args.max_resources_per_stack,
        max_template_size=args.max_template_size,
        keep_user_data=not args.no_user_data,
        global_stack_list=args.global_stack_list,
        # Bays' APIs listen on floating addresses, and other simulated clouds of this machine have the same pool.
        first_floating=FIRST_FLOATING + os.getpid() % 4096 * 1000,
    )
    app = create_app(World(settings, Clock(settings.speed)))
    config = configure(app, args.host, args.port, access_log=args.access_log)
    server = CloudServer(config, port_file=args.port_file, parent_pid=args.parent_pid)
    asyncio.run(server.serve())
    return 0 if server.started else 1


if __name__ == "__main__":
    raise SystemExit(main())
