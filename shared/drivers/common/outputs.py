"""Reading a stack's outputs: the same names in every driver's templates.

`api_address`; per role `masters`/`nodes` (index to Nova id) and `master_details`/`node_details` (index to a map with
name, address, private_address). Heat gives indices as texts, and leaves members out that it has not made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shared.drivers.contract import BayOutputs, NodeInfo, Role


def read_outputs(outputs: Mapping[str, object]) -> BayOutputs:
    """Read them; raises ValueError naming an output that is missing or misshapen."""
    api_address = outputs.get("api_address")
    if not isinstance(api_address, str) or not api_address:
        raise ValueError("The stack has no output api_address.")
    masters = tuple(_nodes(outputs, "master", "masters", "master_details"))
    workers = tuple(_nodes(outputs, "worker", "nodes", "node_details"))
    return BayOutputs(
        api_address=api_address,
        master_addresses=tuple(node.address for node in masters),
        node_addresses=tuple(node.address for node in workers),
        nodes=masters + workers,
    )


def read_workers(outputs: Mapping[str, object]) -> tuple[NodeInfo, ...]:
    """Read the workers alone, as a bay's further stacks have them; raises ValueError as above."""
    return tuple(_nodes(outputs, "worker", "nodes", "node_details"))


def _nodes(outputs: Mapping[str, object], role: Role, refs_name: str, details_name: str) -> Iterator[NodeInfo]:
    refs = _mapping(outputs, refs_name)
    details = _mapping(outputs, details_name)
    for index in sorted(refs, key=int):
        detail = details.get(index)
        yield NodeInfo(
            server_id=str(refs[index]),
            name=_text(detail, "name", details_name),
            role=role,
            index=int(index),
            address=_text(detail, "address", details_name),
            private_address=_text(detail, "private_address", details_name),
        )


def _mapping(outputs: Mapping[str, object], name: str) -> dict[str, object]:
    value = outputs.get(name)
    if not isinstance(value, Mapping) or not all(str(key).isdigit() for key in value):
        raise ValueError(f"Output {name} of the stack is missing or no map by index.")
    return {str(key): entry for key, entry in value.items()}


def _text(detail: object, key: str, name: str) -> str:
    value = detail.get(key) if isinstance(detail, Mapping) else None
    if not isinstance(value, str) or not value:
        raise ValueError(f"Output {name} of the stack has a member without {key}.")
    return value
