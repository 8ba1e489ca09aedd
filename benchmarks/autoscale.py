"""How well autoscaling follows a load: a day of visitors, a spike and batches of jobs on a simulated clock.

    .venv/bin/python -m benchmarks.autoscale [--plot docs/autoscaling.svg] [--compare]

"ideal" is what who knows the future and whose nodes boot in no time would have: as few nodes as the work of each minute
fits on. Unmet are the minutes in which any work waits for room; new nodes take four minutes here. With --compare other
policies stand beside the default one, and the same group without autoscaling, as large as its load ever needs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.autoscale_plot import picture
from benchmarks.autoscale_replay import Batch, Demand, Life, daily, live, spike
from shared.domain import scaling_policy
from shared.domain.autoscaling import Limits

LOADS: Final[Mapping[str, Callable[[], Demand]]] = {
    "daily curve": daily,
    "spike": lambda: spike,
    "batches": Batch,
}


def default() -> Limits:
    """The policy of who says nothing but a maximum that does not bind."""
    labels = {"auto_scaling_enabled": "true", "max_node_count": "100"}
    return scaling_policy.limits_of(scaling_policy.effective(labels, {}, born=3, count=3, group=(0, None)))


def main() -> None:
    """Print the table and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, help="where to write the picture (SVG)")
    parser.add_argument("--compare", action="store_true", help="other policies beside the default one")
    arguments = parser.parse_args()
    print(
        f"{'load':<13}{'policy':<22}{'node-hours':>11}{'ideal':>8}{'over':>8}{'over %':>8}"
        f"{'unmet min':>11}{'waited min':>12}{'changes':>9}"
    )
    policies = {"default": default(), **(_others() if arguments.compare else {})}
    lives = {}
    for load, make in LOADS.items():
        for name, limits in policies.items():
            life = live(make(), limits)
            lives[load, name] = life
            _print(load, name, life)
        if arguments.compare:
            most = max(lives[load, "default"].ideal)
            never = live(make(), replace(default(), least=most, most=most), begin=most)
            never.ideal = lives[load, "default"].ideal
            _print(load, "never scaled", never)
    if arguments.plot is not None:
        arguments.plot.write_text(picture({load: lives[load, "default"] for load in LOADS}), encoding="utf-8")


def _others() -> dict[str, Limits]:
    plain = default()
    return {
        "quiet 300 s": replace(plain, quiet=300.0),
        "quiet 1200 s": replace(plain, quiet=1200.0),
        "target 95 %": replace(plain, target=0.95),
        "target 75 %": replace(plain, target=0.75),
        "scale-in 50 %": replace(plain, scale_in=0.5),
        "scale-in 75 %": replace(plain, scale_in=0.75),
        "steps 1 and 1": replace(plain, step_out=1, step_in=1),
        "steps 10 and 5": replace(plain, step_out=10, step_in=5),
    }


def _print(load: str, policy: str, life: Life) -> None:
    over = life.node_hours - life.ideal_hours
    print(
        f"{load:<13}{policy:<22}{life.node_hours:>11.1f}{life.ideal_hours:>8.1f}{over:>8.1f}"
        f"{100 * over / life.ideal_hours:>8.1f}{life.unmet_minutes:>11.0f}{life.waited_minutes:>12.0f}{life.changes:>9}"
    )


if __name__ == "__main__":
    main()
