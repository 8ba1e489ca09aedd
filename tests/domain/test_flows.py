"""Flows refuse to be built when they could not run, and the ones there are fit together."""

from __future__ import annotations

import pytest

from shared.contracts.registry import BY_NAME, CONSUMERS
from shared.domain.bay_state import BayEvent
from shared.domain.operation import FLOWS, Flow, OperationKind, Service, Step


def _flow(*steps: Step, handovers: dict[tuple[Service, Service], str] | None = None) -> Flow:
    return Flow(
        OperationKind.RESIZE,
        steps,
        done=BayEvent.UPDATED,
        broke=BayEvent.UPDATE_BROKE,
        requested="bay.resize.requested",
        finished="bay.resized",
        handovers=handovers or {},
    )


def test_doubled_names_are_refused() -> None:
    with pytest.raises(ValueError, match="doubled"):
        _flow(Step("a", Service.CERTS, "A"), Step("a", Service.CERTS, "A again"))


def test_a_hand_over_without_message_is_refused() -> None:
    with pytest.raises(ValueError, match="no message from certs to scaler"):
        _flow(Step("a", Service.CERTS, "A"), Step("b", Service.SCALER, "B"))


@pytest.mark.parametrize("flow", list(FLOWS.values()), ids=lambda flow: flow.kind.value)
def test_the_messages_of_a_flow_reach_the_service_whose_step_is_next(flow: Flow) -> None:
    expected = [(flow.requested, flow.steps[0].service)]
    expected += [(name, receiver) for (_sender, receiver), name in flow.handovers.items()]
    for name, service in expected:
        assert name in {message.name for message in CONSUMERS[service.value]}
    assert flow.finished in BY_NAME


def test_step_names_are_unique_over_all_flows_and_begin_with_their_kind() -> None:
    names = [step.name for flow in FLOWS.values() for step in flow.steps]
    assert len(set(names)) == len(names)
    assert all(step.name.startswith(f"{flow.kind.value}.") for flow in FLOWS.values() for step in flow.steps)
