"""Volumes of pods: claims are bound, volumes made for those that want one, and attached where their pods are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from cloudsim.coe.kubernetes import pods
from cloudsim.coe.kubernetes.quantity import number
from cloudsim.coe.kubernetes.replies import Object

if TYPE_CHECKING:
    from cloudsim.coe.kubernetes.bay import KubernetesBay

CLASS: Final = "cinder"
"""The storage class that bays of ours have as their default."""
DRIVER: Final = "cinder.csi.openstack.org"
UNBOUND: Final = "pod has unbound immediate PersistentVolumeClaims"
_GIB: Final = 1024**3


def storage_class(bay: KubernetesBay) -> None:
    """What a bay with Cinder has from its start."""
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    facts: Object = {"provisioner": DRIVER, "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer"}
    facts |= {"allowVolumeExpansion": True}
    bay.objects.add("storageclasses", "", {"metadata": {"name": CLASS, "annotations": annotations}, **facts})


def bind(bay: KubernetesBay) -> None:
    """Claims get the volume that they name, or a new one; volumes without their claim go as their policy says."""
    for claim in bay.objects.all("persistentvolumeclaims"):
        if claim["status"].get("phase") != "Bound":
            _bind(bay, claim)
    for volume in bay.objects.all("persistentvolumes"):
        if volume["status"].get("phase") == "Bound" and not _claimed(bay, volume):
            _release(bay, volume)


def _claimed(bay: KubernetesBay, volume: Object) -> bool:
    claim = volume["spec"]["claimRef"]
    return bay.objects.get("persistentvolumeclaims", claim["namespace"], claim["name"]) is not None


def _release(bay: KubernetesBay, volume: Object) -> None:
    """Its claim is gone."""
    bay.objects.status(volume, phase="Released")
    if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
        bay.objects.drop("persistentvolumes", volume)
        if bay.disks is not None:
            bay.disks.hold(attached(bay))
            bay.disks.remove(_cinder(volume["spec"]))


def _bind(bay: KubernetesBay, claim: Object) -> None:
    name = claim["spec"].get("volumeName")
    volume = bay.objects.get("persistentvolumes", "", name) if name else _made(bay, claim)
    if volume is None:
        bay.objects.status(claim, phase="Pending")
        return
    meta = claim["metadata"]
    volume["spec"]["claimRef"] = {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}
    claim["spec"]["volumeName"] = volume["metadata"]["name"]
    bay.objects.status(volume, phase="Bound")
    modes, capacity = volume["spec"].get("accessModes"), volume["spec"].get("capacity")
    bay.objects.status(claim, phase="Bound", accessModes=modes, capacity=capacity)


def _made(bay: KubernetesBay, claim: Object) -> Object | None:
    """A volume of the default class for a claim that leaves it open; the claim's pod is not waited for."""
    named = claim["spec"].setdefault("storageClassName", CLASS)
    wanted = bay.objects.get("storageclasses", "", named)
    if wanted is None or bay.disks is None:
        return None
    asked = claim["spec"]["resources"]["requests"]["storage"]
    name = f"pvc-{claim['metadata']['uid']}"
    volume = bay.disks.make(name, math.ceil(number(asked) / _GIB), **{f"{DRIVER}/cluster": bay.bay_id})
    if volume is None:
        return None
    source = {"driver": DRIVER, "volumeHandle": volume, "fsType": "ext4"}
    spec = {"capacity": {"storage": asked}, "accessModes": claim["spec"].get("accessModes"), "csi": source}
    spec |= {"persistentVolumeReclaimPolicy": wanted["reclaimPolicy"], "storageClassName": named}
    return bay.objects.add("persistentvolumes", "", {"metadata": {"name": name}, "spec": spec, "status": {}})


def waits(bay: KubernetesBay, pod: Object) -> bool:
    """Whether a claim of a pod is not bound."""
    return any(
        claim is None or claim["status"].get("phase") != "Bound"
        for claim in (
            bay.objects.get("persistentvolumeclaims", pod["metadata"]["namespace"], name) for name in _claims(pod)
        )
    )


def attached(bay: KubernetesBay) -> dict[str, str]:
    """Which Cinder volume pods want at which server."""
    found: dict[str, str] = {}
    for pod in bay.objects.all("pods"):
        server = bay.server_of(pod["spec"].get("nodeName", ""))
        if server and not pods.over(pod):
            found |= dict.fromkeys(_volumes(bay, pod), server)
    return found


def _volumes(bay: KubernetesBay, pod: Object) -> Iterator[str]:
    yield from (_cinder(one) for one in pod["spec"].get("volumes") or () if _cinder(one))
    for name in _claims(pod):
        claim = bay.objects.get("persistentvolumeclaims", pod["metadata"]["namespace"], name)
        volume = claim and bay.objects.get("persistentvolumes", "", claim["spec"].get("volumeName", ""))
        if volume and _cinder(volume["spec"]):
            yield _cinder(volume["spec"])


def _claims(pod: Object) -> Iterator[str]:
    for one in pod["spec"].get("volumes") or ():
        if name := (one.get("persistentVolumeClaim") or {}).get("claimName"):
            yield str(name)


def _cinder(source: Object) -> str:
    """The id of the Cinder volume that a pod's or a persistent volume's source means; empty: it is of another kind."""
    csi = source.get("csi") or {}
    if csi.get("driver") == DRIVER:
        return str(csi.get("volumeHandle", ""))
    return str((source.get("cinder") or {}).get("volumeID", ""))
