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
from services.provisioner.steps.heal import (
    collect_healed,
    follow_replacement,
    reboot_server,
    replace_server,
    settle_replacement,
)
from services.provisioner.steps.masters import collect_masters, join_master, leave_masters
from services.provisioner.steps.masters_stack import change_masters, follow_masters
from services.provisioner.steps.resize import resize_stack
from services.provisioner.steps.rotate_credentials import await_nodes, revoke_old, seal_for_nodes
from services.provisioner.steps.shards import settle_shards
from services.provisioner.steps.upgrade import collect_upgraded, render_upgrade
from services.provisioner.steps.upgrade_batches import grow_new, shrink_old
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
    "resize_masters.leave": leave_masters,
    "resize_masters.stack": change_masters,
    "resize_masters.follow": follow_masters,
    "resize_masters.join": join_master,
    "resize_masters.collect": collect_masters,
    "heal.reboot": reboot_server,
    "heal.stack": replace_server,
    "heal.follow": follow_replacement,
    "heal.shards": settle_replacement,
    "heal.collect": collect_healed,
    "upgrade.render": render_upgrade,
    "upgrade.grow": grow_new,
    "upgrade.shrink": shrink_old,
    "upgrade.collect": collect_upgraded,
    "rotate_credentials.seal": seal_for_nodes,
    "rotate_credentials.wait": await_nodes,
    "rotate_credentials.revoke": revoke_old,
    "delete.credentials": revoke_credentials,
    "delete.attached": remove_attached,
    "delete.stack": delete_stack,
    "delete.follow": follow_delete,
    "delete.verify": verify_gone,
}
