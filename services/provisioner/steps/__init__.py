"""Every step of this service, by the name that the flows use (shared/domain/operation.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.provisioner.factory import Deps
from services.provisioner.steps.attached import remove_attached
from services.provisioner.steps.collect import collect_created, collect_resized
from services.provisioner.steps.create import create_stack, render_stack
from services.provisioner.steps.delete import delete_stack, follow_delete, revoke_credentials, verify_gone
from services.provisioner.steps.follow import follow_stack
from services.provisioner.steps.resize import resize_stack
from services.provisioner.steps.rotate_credentials import await_nodes, revoke_old, seal_for_nodes
from services.provisioner.steps.shards import settle_shards
from shared.worker.outcome import StepFunction

STEPS: Final[Mapping[str, StepFunction[Deps]]] = {
    "create.render": render_stack,
    "create.stack": create_stack,
    "create.follow": follow_stack,
    "create.shards": settle_shards,
    "create.collect": collect_created,
    "resize.stack": resize_stack,
    "resize.follow": follow_stack,
    "resize.shards": settle_shards,
    "resize.collect": collect_resized,
    "rotate_credentials.seal": seal_for_nodes,
    "rotate_credentials.wait": await_nodes,
    "rotate_credentials.revoke": revoke_old,
    "delete.credentials": revoke_credentials,
    "delete.attached": remove_attached,
    "delete.stack": delete_stack,
    "delete.follow": follow_delete,
    "delete.verify": verify_gone,
}
