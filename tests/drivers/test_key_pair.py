"""The creator's public key works on every node, without a key pair of Nova's, which belongs to one user alone."""

from __future__ import annotations

import email
import json
from typing import Any

import pytest
import yaml

from shared.drivers import registry
from shared.drivers.contract import Driver, RenderedStack, Role
from tests.drivers.cases import CREDENTIAL, FAST, facts

ROLES: tuple[Role, ...] = ("master", "worker")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHtu9h+++y4SmROJwVDcL7JSsy/x2VFMzfhbiqHorvqf me@example.org"


def users_of(user_data: str) -> list[dict[str, Any]]:
    """What cloud-init, or Ignition, reads of them."""
    if user_data.startswith("{"):
        users: list[dict[str, Any]] = json.loads(user_data)["passwd"]["users"]
        return [{"name": one["name"], "ssh_authorized_keys": one["sshAuthorizedKeys"]} for one in users]
    (config,) = (
        yaml.load(str(part.get_payload()), Loader=FAST)
        for part in email.message_from_string(user_data).walk()
        if part.get_content_type() == "text/cloud-config"
    )
    found: list[dict[str, Any]] = config["users"]
    return found


def stack_of(driver: Driver) -> RenderedStack:
    return driver.render(facts(driver, ssh_public_key=f" {KEY}\n", keypair_name="mine"), CREDENTIAL)


@pytest.mark.parametrize("driver", registry.DRIVERS, ids=lambda driver: driver.name)
def test_the_key_travels_in_the_user_data_of_every_node(driver: Driver) -> None:
    stack = stack_of(driver)
    for role in ROLES:
        (user,) = users_of(stack.files[f"{role}.user-data"])
        assert user["ssh_authorized_keys"] == [KEY], role
    texts = [stack.template, *(text for name, text in stack.files.items() if name.endswith(".yaml"))]
    assert not any("key_name" in text or "KeyPair" in text for text in texts)
    assert "mine" not in stack.parameters.values()
