"""What an update would do to servers that it must not touch."""

from __future__ import annotations

from services.provisioner.steps.broken import Broken
from shared.openstack.stacks import StackChanges


def harm(changes: StackChanges, named: int, broken: Broken, replaceable: int = 0) -> str | None:
    """Why the update must not happen: it would replace a server, or end more than were named.

    What Heat's preview cannot do decides how it is asked (docs/decisions/0002): it fails for a member that is not
    there yet, and of removal lists it understands indices only, forgetting those of earlier removals. So growth is
    rehearsed with the present count, and the list holds the index of every member that left or is to leave. Those that
    did leave are compared with those named once more afterwards (`resize.collect`).

    A preview does not tell which servers it means, so their number decides: `replaceable` may be.
    """
    if len(changes.replaced_servers) > replaceable:
        servers = ", ".join(sorted({one.physical_id or one.name for one in changes.replaced_servers}))
        return f"Heat would replace servers that this resize did not name: {servers}."
    fewer = changes.servers_fewer - broken.servers
    if fewer > named:
        return f"Heat would remove {fewer} servers where {named} were named."
    return None
