"""Barbican, where the settings keep something in it."""

from __future__ import annotations

import secrets
from typing import Final

from services.cli.doctor.cloud import Patient
from services.cli.doctor.findings import Area, Finding
from services.cli.doctor.here import MASTER_KEY_BYTES, is_master_key
from shared.domain.errors import CloudError
from shared.openstack.barbican import SERVICE

AREA: Final = Area("barbican")


async def vault(patient: Patient) -> list[Finding]:
    """Whether keys can be kept there (one is stored, read and deleted), and whether the master key is there."""
    settings = patient.settings
    if settings.certificate_store != "barbican" and settings.master_key_secret is None:
        return []
    if not (await patient.cloud.auth.token()).endpoints.has(SERVICE):
        return [AREA.missing(f"the catalog has no {SERVICE} in region {settings.region}")]
    todo = f"openstack role add {patient.user} {patient.own_project} member  # creator, where Barbican's policy is old"
    found = await AREA.guarded(lambda: _keeps(patient), todo) if settings.certificate_store == "barbican" else []
    if settings.master_key_secret is None:
        return found
    return found + await AREA.guarded(lambda: _master_key(patient, settings.master_key_secret or ""), todo)


async def _keeps(patient: Patient) -> list[Finding]:
    barbican, payload = patient.own.barbican, secrets.token_bytes(16)
    ref = await barbican.store(f"jeroboam-doctor-{secrets.token_hex(4)}", payload, "private")
    try:
        same = await barbican.payload(ref) == payload
    except CloudError as error:
        return [AREA.missing(f"it stores and does not give back: {error.message}")]
    finally:
        await barbican.delete(ref)
    return [AREA.ok("it keeps secrets for us") if same else AREA.missing("it gives back something else than we stored")]


async def _master_key(patient: Patient, ref: str) -> list[Finding]:
    payload = await patient.own.barbican.payload(ref)
    if payload is None:
        return [AREA.missing("the secret of JEROBOAM_MASTER_KEY_SECRET is not there, or has nothing in it")]
    if len(payload) != MASTER_KEY_BYTES and not is_master_key(payload):
        return [AREA.missing("the secret of JEROBOAM_MASTER_KEY_SECRET must hold 32 bytes, as they are or in base64")]
    return [AREA.ok("the master key is there")]
