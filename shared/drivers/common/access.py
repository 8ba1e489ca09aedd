"""What a bay's restricted application credential may do: Keystone access rules, as the credential is created with.

Only what Kubernetes' OpenStack provider needs to attach an existing Cinder volume to the node where a pod runs.
In a path `*` stands for one segment and `**` for any number.
"""

from __future__ import annotations

ACCESS_RULES: tuple[dict[str, str], ...] = (
    {"service": "compute", "method": "GET", "path": "/v2.1/servers/detail"},
    {"service": "compute", "method": "GET", "path": "/v2.1/servers/*"},
    {"service": "compute", "method": "GET", "path": "/v2.1/servers/*/os-interface"},
    {"service": "compute", "method": "GET", "path": "/v2.1/servers/*/os-volume_attachments"},
    {"service": "compute", "method": "POST", "path": "/v2.1/servers/*/os-volume_attachments"},
    {"service": "compute", "method": "DELETE", "path": "/v2.1/servers/*/os-volume_attachments/*"},
    {"service": "volumev3", "method": "GET", "path": "/v3/*/volumes/detail"},
    {"service": "volumev3", "method": "GET", "path": "/v3/*/volumes/*"},
)
