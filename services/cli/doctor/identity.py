"""Keystone: the service user, what it may do there, and in which projects."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.cli.doctor.cloud import IDENTITY, Patient, is_refusal
from services.cli.doctor.findings import Area, Finding
from shared.domain.errors import CloudError
from shared.openstack.answers import Doc
from shared.openstack.errors import RoleMissing
from shared.openstack.keystone import Project
from shared.runtime.egress import EgressRefused

AREA: Final = Area("keystone")
_SKEW: Final = 30.0
_NAMED: Final = 5


async def login(patient: Patient) -> list[Finding]:
    """Whether Keystone answers and lets our service user into its project. What is missing here ends it all."""
    settings = patient.settings
    try:
        token = await patient.cloud.auth.token()
    except RoleMissing as error:
        grant = f"openstack role add {patient.user} {patient.own_project} admin"
        return [AREA.missing(error.message, grant)]
    except EgressRefused as error:
        return [AREA.missing(error.message, "mend JEROBOAM_EGRESS_ALLOW")]
    except CloudError as error:
        todo = "mend JEROBOAM_KEYSTONE_URL (it ends in /v3)"
        if is_refusal(error):
            create = f"openstack user create --domain {settings.service_user_domain} --password-prompt"
            todo = f"{create} {settings.service_username} (or user set, when it is there)"
        return [AREA.missing(error.message, todo)]
    left = token.expires_at - time.time()
    entered = AREA.ok(f"{settings.service_username} logs in to project {settings.service_project}")
    if left < 180:
        text = f"tokens live {left:.0f} s: below three minutes the cloud's own services refuse one another's"
        return [entered, AREA.warning(text, "[token] expiration in keystone.conf")]
    return [entered]


async def abilities(patient: Patient) -> list[Finding]:
    """What our service user must be able to do in Keystone beside logging in."""
    keystone, roles = patient.own.keystone, await own_roles(patient)
    grant = f"openstack role add {patient.user} {patient.own_project}"
    found = [AREA.ok("it may validate tokens, by Keystone's default policy")]
    if not roles & _VALIDATORS:
        text = f"it may not validate tokens, by Keystone's default policy (its roles: {', '.join(sorted(roles))})"
        found = [AREA.missing(text, f"{grant} service")]
    try:
        await keystone.application_credentials(_NOBODY)
        await keystone.delete_application_credential(_NOBODY, _NOBODY)
        found.append(AREA.ok("it may revoke the nodes' application credentials, which belong to the bays' owners"))
    except CloudError as error:
        text = "it may not revoke the nodes' application credentials: bays with a volume_driver cannot be deleted"
        found.append(AREA.missing(f"{text} ({error.message})", f"{grant} admin"))
    return found


_NOBODY: Final = "0" * 32
_VALIDATORS: Final = {"admin", "service"}


async def own_roles(patient: Patient) -> set[str]:
    """The roles in our own token. It cannot be tried on a token of somebody else, and on one's own all may."""
    return {role.text("name") for role in (await _own_token(patient)).docs("roles")}


async def _own_token(patient: Patient) -> Doc:
    subject = {"X-Subject-Token": (await patient.cloud.auth.token()).token}
    reply = await patient.own.session.call(IDENTITY, "GET", "/auth/tokens", headers=subject, wants_json=True)
    return reply.json().doc("token")


async def projects(patient: Patient) -> list[Finding]:
    """In which projects bays can be built; the grant for every domain that has others."""
    granted = {one.id for one in await patient.granted()}
    own = (await patient.cloud.auth.token()).project_id
    try:
        domains = await patient.by_domain()
    except CloudError as error:
        if not is_refusal(error):
            raise
        return [AREA.warning(f"it has a role in {len(granted)} projects; of which others, it may not see")]
    found = [
        _domain(patient, name, members, [one for one in members if one.id not in granted])
        for name, members in sorted(domains.items())
    ]
    if granted - {own}:
        return found
    todo = f"openstack role add {patient.user} --domain DOMAIN --inherited member"
    return [*found, AREA.missing("it has no role in any project but its own: no bay can be built", todo)]


def _domain(patient: Patient, name: str, members: Sequence[Project], without: Sequence[Project]) -> Finding:
    if not without:
        return AREA.ok(f"domain {name}: it has a role in each of {len(members)} projects")
    listed = ", ".join(sorted(one.name for one in without)[:_NAMED])
    more = f" and {len(without) - _NAMED} more" if len(without) > _NAMED else ""
    text = f"domain {name}: no role in {len(without)} of {len(members)} projects, so no bays there: {listed}{more}"
    return AREA.warning(text, f"openstack role add {patient.user} --domain {name} --inherited member")


async def clock(patient: Patient) -> list[Finding]:
    """Our clock against Keystone's: a token's end is compared with ours, and certificates begin by ours."""
    patient.cloud.auth.invalidate(None)
    before = time.time()
    await patient.cloud.auth.token()
    after = time.time()
    issued = datetime.fromisoformat((await _own_token(patient)).text("issued_at")).timestamp()
    skew = max(before - issued, issued - after, 0.0)
    if skew > _SKEW:
        return [AREA.missing(f"our clock and Keystone's differ by {skew:.0f} s", "run chrony or ntpd on both")]
    return [AREA.ok("our clock agrees with Keystone's")]
