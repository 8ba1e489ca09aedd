"""What becomes of requests that are held and planned: a decision now, or a certificate to be signed. No database."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from services.certs.planner import Plan, Planned
from services.certs.profiles import Refused
from shared.db.repositories.authorities import Authority
from shared.db.repositories.sign_requests import CertificateState, SignRequest, SignState
from shared.db.repositories.signing import Certificate, Decision, Intent

Signers = Mapping[tuple[UUID, str], Authority]


@dataclass(frozen=True)
class Verdicts:
    """For each request one of the two: what is to be signed, recorded already or yet to be, or how it ends."""

    to_sign: dict[UUID, Certificate | Intent] = field(default_factory=dict)
    ended: list[Decision] = field(default_factory=list)

    @property
    def new(self) -> list[Intent]:
        """What is yet to be recorded, each once."""
        return list({one.id: one for one in self.to_sign.values() if isinstance(one, Intent)}.values())


def judge(
    requests: Sequence[SignRequest],
    plans: Mapping[UUID, Plan],
    signers: Signers,
    known: Mapping[UUID, Certificate],
    overdue: Mapping[UUID, bool],
) -> Verdicts:
    """Judge requests that are held. Of those with the same wish the first that is in time is the one to be signed for,
    and the others get its certificate."""
    verdicts = Verdicts()
    new: dict[tuple[object, ...], Intent] = {}
    for one in requests:
        verdict = _judge(one, plans[one.id], signers, known.get(one.id) or new.get(one.wish), late=overdue[one.id])
        if isinstance(verdict, Decision):
            verdicts.ended.append(verdict)
        elif verdict is not None:
            verdicts.to_sign[one.id] = verdict
            if isinstance(verdict, Intent):
                new[one.wish] = verdict
    return verdicts


def _judge(
    request: SignRequest, plan: Plan, signers: Signers, known: Certificate | Intent | None, *, late: bool
) -> Certificate | Intent | Decision | None:
    if plan is None:
        return None
    if isinstance(plan, Refused):
        return Decision(request.id, SignState.REFUSED, plan.message)
    authority = signers.get((request.bay_id, request.authority_kind))
    if authority is None:
        reason = f"The bay has no {request.authority_kind} certificate authority that can sign."
        return Decision(request.id, SignState.REFUSED, reason)
    if isinstance(known, Certificate):
        if known.state is CertificateState.ISSUED:
            return Decision(request.id, SignState.SIGNED, certificate_id=known.id)
        if known.sign_request_id == request.id:
            return known  # our own intent is carried out even when nobody waits any more
    if late:
        return Decision(request.id, SignState.EXPIRED)
    return known or _intent(request, plan, authority)


def _intent(request: SignRequest, plan: Planned, authority: Authority) -> Intent:
    serial = f"{secrets.randbits(128):032x}"
    return Intent(uuid4(), request, authority, serial, plan.leaf.subject_text, plan.validity)
