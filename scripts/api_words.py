"""Words of the API reference that no class says: its head, and what fields mean that explain themselves in code."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

HEAD: Final = """\
# API

Drawn from the gateway's own OpenAPI document by `make generate`; do not edit. A running gateway answers the document
itself at `/openapi.json`. Where it differs from Magnum's, request by request, is in the
[compatibility tables](../../magnum-compatibility.md).

## Rules for every request

| | |
| --- | --- |
| address | what the catalog has for `container-infra`, which ends in `/v1`; the examples call it `$API` |
| who | `X-Auth-Token`: a token of Keystone, scoped to a project. `GET /`, `/v1` and `/healthcheck` need none |
| microversion | `{header}: container-infra 1.x`: {version}. The examples have it in `$VERSION` |
| bodies | JSON, at most 256 KiB; an unknown field is refused. Numbers and truth values may come as text |
| lists | pages: `limit`, `marker`, `sort_key`, `sort_dir`; `next` in the answer is the address of the next page |
| names | a path takes a uuid or a name; a name that several things have is answered 409 |
| changes | accepted at once, done later: `status` tells how far they are, [events](../events.md) tell as it happens |
| answers | `X-OpenStack-Request-ID` names the request in our logs; `Warning` says what has no effect |

```bash
TOKEN=$(openstack token issue -f value -c id)
API=$(openstack endpoint list --service container-infra --interface public -f value -c URL)
VERSION="{header}: container-infra latest"
```

Writing a client: [the list of statuses](../../bay-states.md#states) says which are at rest; 409 and 503 come with
`Retry-After`; a POST that was not answered may have been done, so look for its name before you ask again.
"""

WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "api_address": "Where the engine's API answers; null until it does.",
        "at": "When.",
        "attempt": "How often it was run, waits included.",
        "base": "The form in general.",
        "bay": "The bay that it is about.",
        "bay_uuid": "The bay. A request may name it instead.",
        "baymodels": "The page.",
        "bays": "The page.",
        "binary": "The name of the process.",
        "bus": "Whether the message bus answers.",
        "ca_cert_type": "Which authority signs: `kubernetes` (the usual one), `etcd` or `front_proxy`.",
        "cluster_distro": "The image's `os_distro`.",
        "NodegroupFull.cluster_id": "The cluster's uuid.",
        "cluster_uuid": "The same bay, under its later name.",
        "clusters": "The page.",
        "StatsOut.clusters": "How many clusters.",
        "clustertemplates": "The page.",
        "code": "Whose fault: `client` or `server`; empty where Magnum says nothing.",
        "Stranger.code": "401.",
        "coe_version": "Version of the engine.",
        "container_version": "Version of what runs the containers.",
        "counts": "How many nodes are how far.",
        "created_at": "When it was made.",
        "csr": "The certificate signing request, PEM.",
        "database": "Whether the database answers.",
        "dead_letters": "The page.",
        "deadline": "When it fails if it is not through by then; null: never, or it waits for its turn.",
        "description": "In a sentence.",
        "detail": "What is wrong and what to do.",
        "disabled": "Always false.",
        "disabled_reason": "Always null.",
        "effect": "What becomes of pods that do not tolerate it.",
        "effective": "What holds.",
        "effective_labels": "The labels that the driver works with, its own defaults among them.",
        "environment": "The stack's environment.",
        "error": "Why it failed; null when it did not.",
        "StrangerBody.error": "What is wrong.",
        "errors": "One, as a rule.",
        "federations": "Empty.",
        "finished_at": "When it ended; null until then.",
        "forced_down": "Always false.",
        "NodeCredentialOut.generation": "Which one it is; they count up.",
        "headers": "Its headers.",
        "health_status": "`HEALTHY`, `UNHEALTHY` or `UNKNOWN`; null while nobody has looked.",
        "health_status_reason": "By part of the cluster, how it is.",
        "healthy": "Whether all of its units run.",
        "host": "The machine.",
        "href": "Its address.",
        "id": "Its id.",
        "is_default": "Whether the cluster came with it.",
        "key": "Its key.",
        "kind": "What was asked for: `create`, `resize`, `delete` and so on.",
        "NodegroupFull.labels_added": "Labels that its cluster does not have.",
        "NodegroupFull.labels_overridden": "The cluster's values of labels that have others here.",
        "NodegroupFull.labels_skipped": "Labels of the cluster that it does not have.",
        "last_seen_up": "When it last said that it lives.",
        "links": "Where it is.",
        "master_addresses": "The masters' addresses.",
        "RotationCounts.masters": "Masters.",
        "masters_reached": "Masters that have reached the phase.",
        "max_version": "The highest microversion.",
        "media_types": "The forms that bodies have.",
        "member_ids": "Clusters in it, by uuid or name.",
        "message": "What is wrong.",
        "min_version": "The lowest microversion.",
        "mservices": "All of them.",
        "next": "URL of the next page; absent when this page is not full.",
        "node_addresses": "The workers' addresses.",
        "nodegroups": "The page.",
        "RotationOut.nodes": "The nodes, one by one.",
        "note": "What it waits for or what went wrong; null when there is nothing to say.",
        "op": "`add`, `replace` or `remove`.",
        "operation_active": "Whether something is done to the bay just now.",
        "operations": "The page.",
        "path": "The attribute, after a slash; `/labels/name` for one label.",
        "pem": "The certificate, PEM.",
        "policy": "What was put.",
        "quotas": "The page.",
        "ready": "Whether all of it answers.",
        "reason": "Why.",
        "rel": "`self` or `bookmark`; `next` and `describedby` elsewhere.",
        "renew": "Whether it is to have its certificate signed anew.",
        "WorkerOut.report_count": "How often it has said that it lives.",
        "reported_at": "When it last said how it is; null when it never did.",
        "request_id": "Empty; the header `X-OpenStack-Request-ID` has it.",
        "requested_by": "Who asked.",
        "resource": "`Cluster`.",
        "revision": "What the node has of what is wanted of it, as one word.",
        "role": "`master` or `worker`; a nodegroup may have a word of its own.",
        "scaling_decisions": "All of them.",
        "secret": "What the node was born with; not needed by one that shows a certificate.",
        "sentence": "The step, for people.",
        "seq": "Its place in the bay's queue; they count up.",
        "server_id": "The server's id in Nova.",
        "OperationStepOut.service": "The process that does it.",
        "source": "Who said it.",
        "stack_id": "The stack in Heat.",
        "OperationStepOut.started_at": "When it first ran; null until then.",
        "RotationOut.started_at": "When it was accepted.",
        "state": "How far it is.",
        "MserviceOut.state": "Whether all of its workers live.",
        "WorkerOut.state": "Whether it lives.",
        "status": "How far it is.",
        "VersionOut.status": "`CURRENT`.",
        "ErrorItem.status": "The answer's status.",
        "status_reason": "Why the status is what it is.",
        "steps": "Its steps in their order.",
        "title": "The same, short.",
        "type": "The form.",
        "units": "By unit of systemd, its state.",
        "updated_at": "When it last changed; null: never.",
        "user_id": "Who made it.",
        "uuid": "Its id.",
        "DeadLetterBrief.version": "The message's version.",
        "DeadLetterFull.version": "The message's version.",
        "versions": "Those that there are.",
        "UpgradePreview.warnings": "What the real answer would warn of.",
        "RotationCounts.workers": "Workers.",
        "workers_reached": "Workers that have reached the phase.",
    }
)
"""Field, or schema and field → what it is for."""
