"""`python -m scripts.record_answers --cloud NAME [SERVICE[/CONVERSATION] …]`: record, all or those that are named.

NAME is an administrator's cloud in clouds.yaml (OS_CLIENT_CONFIG_FILE, or here). Two projects and three users of names
that begin with `rec-` are made there and deleted at the end, with everything in them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from scripts.record_answers.cloud import RealCloud, from_clouds_yaml
from scripts.record_answers.conversations import SERVICES
from scripts.record_answers.talk import Talk

FOLDER: Final = Path(__file__).parents[2] / "tests" / "cloudsim" / "recorded"


def main() -> int:
    """Record; 1 when a conversation did not come to its end."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cloud", required=True, help="an administrator's cloud in clouds.yaml")
    options.add_argument("which", nargs="*", help="a service's type, or service/conversation")
    given = options.parse_args()
    cloud = from_clouds_yaml(given.cloud)
    cloud.enter()
    try:
        ended = [_record(cloud, service, name) for service, name in _wanted(given.which)]
        return 0 if all(ended) else 1
    finally:
        cloud.leave()


def _wanted(which: list[str]) -> list[tuple[str, str]]:
    everything = [(service, name) for service, found in SERVICES.items() for name in found]
    return [one for one in everything if not which or one[0] in which or "/".join(one) in which]


def _record(cloud: RealCloud, service: str, name: str) -> bool:
    talk = Talk(cloud, service)
    try:
        SERVICES[service][name](talk)
    except Exception as error:
        last = json.dumps(talk.steps[-1:])
        print(f"{service}/{name}: {type(error).__name__}: {error}, after {last}", file=sys.stderr)
        return False
    finally:
        talk.close()
    file = FOLDER / service / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"steps": talk.steps}, indent=1, ensure_ascii=False) + "\n")
    print(f"{service}/{name}: {len(talk.steps)} answers")
    return True


if __name__ == "__main__":
    sys.exit(main())
