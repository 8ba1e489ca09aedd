"""Write docs/policy.yaml.sample from the policy's rules (`python -m scripts.generate_policy [--check]`)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from services.api.policy_rules import BASE, DEFAULTS

TARGET: Final = Path(__file__).parents[1] / "docs" / "policy.yaml.sample"

_HEAD: Final = """\
# Who may do what: every rule with its default. Written by scripts/generate_policy.py; do not edit.
#
# To change a rule, write that rule alone into a file of your own, YAML or JSON, and name the file in
# JEROBOAM_POLICY_FILE, an environment variable of the gateway. Rules that the file does not have keep their defaults.
# The language is oslo.policy's and the names are Magnum's, so Magnum's policy file can be used as it is, but for
# checks by "http:" and plug-ins, which are refused. A file with a mistake stops the gateway at its start with the
# rule's name. A change is taken up with the next request; a mistake in it is logged, and the rules stay as they were.
# Replace the file in one step (mv): half a file is a file with fewer rules.
#
# A rule is judged with the project_id and user_id of the row; where there is no row, with the caller's own.
# Rules "..._all_projects" say who reaches rows of other projects at all. What is done there is judged by the plain rule
# too. A rule of bay or baymodel is that of cluster or clustertemplate, unless you change it by its own name.
#
# For instance, to let all members of a project use its clusters, not only who made the cluster and administrators:
#
#     "certificate:create": "rule:admin_or_project_member"
#     "certificate:get": "rule:admin_or_project_reader"
"""


def render() -> str:
    """The whole file. The rules are comments, so that a copy changes nothing."""
    lines = [_HEAD]
    group = None
    for name, rule in DEFAULTS.items():
        resource = "what the rules below are made of" if name in BASE else name.partition(":")[0]
        if resource != group:
            lines += [] if group is None else [""]
            lines.append(f"# ---- {resource}")
            group = resource
        lines.append(f'#"{name}": "{rule}"')
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or with --check say whether it is stale; returns the exit status."""
    text = render()
    stale = not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text
    if "--check" in arguments:
        if stale:
            sys.stderr.write("docs/policy.yaml.sample is stale: run python -m scripts.generate_policy\n")
        return 1 if stale else 0
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
