"""docker-compose.yml, its overlay and example.env: what must hold of them wherever they run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from services.api.settings import ApiSettings
from services.certs.settings import CertsSettings
from services.provisioner.settings import ProvisionerSettings
from services.scaler.settings import ScalerSettings
from shared.db.roles import SERVICE_ROLES
from shared.runtime.settings import CommonSettings
from tests.deploy.files import BARBICAN, CLOUD, COMPOSE, DEPLOY, load, secret_targets, variables

SETTINGS: dict[str, type[CommonSettings]] = {
    "api": ApiSettings,
    "provisioner": ProvisionerSettings,
    "certs": CertsSettings,
    "scaler": ScalerSettings,
}
OURS = {*SETTINGS, "migrate", "cloudsim"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = load(COMPOSE)["services"]
    return found


def test_services_are_the_designs(services: dict[str, Any]) -> None:
    assert set(services) == OURS | {"postgres", "rabbitmq"}


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_variable_and_secret_is_a_setting(services: dict[str, Any], name: str) -> None:
    service = services[name]
    given = [key for key in service["environment"] if key.startswith("JEROBOAM_")]
    given += [target for target in secret_targets(service).values() if target.startswith("JEROBOAM_")]
    fields = {f"JEROBOAM_{field.upper()}" for field in SETTINGS[name].model_fields}
    assert set(given) <= fields
    assert len(given) == len(set(given))


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_what_settings_require_is_given(services: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in [key for key in os.environ if key.startswith("JEROBOAM_")]:
        monkeypatch.delenv(key)
    for key, value in services[name]["environment"].items():
        monkeypatch.setenv(key, str(value))
    for target in secret_targets(services[name]).values():
        if target.startswith("JEROBOAM_"):
            monkeypatch.setenv(target, "postgresql://a:b@c/d")
    settings = SETTINGS[name]()
    assert settings.egress_deny, "the back end is not to be dialled on a user's behalf"


def test_files_that_settings_name_are_mounted_secrets(services: dict[str, Any]) -> None:
    for service in services.values():
        mounted = {f"/run/secrets/{target}" for target in secret_targets(service).values()}
        named = {v for v in (service.get("environment") or {}).values() if str(v).startswith("/run/secrets/")}
        assert named <= mounted


def test_no_password_stands_in_the_files() -> None:
    for path in (COMPOSE, CLOUD, BARBICAN, DEPLOY / "example.env"):
        for line in path.read_text().splitlines():
            assert not re.search(r"://[^/@\s]+:[^/@\s]+@", line)
            assert not re.search(r"PASSWORD: |PASSWORD=", line)


def test_migration_sets_the_password_of_every_service_role(services: dict[str, Any]) -> None:
    targets = set(secret_targets(services["migrate"]).values())
    names = {f"JEROBOAM_DB_PASSWORD_{role.removeprefix('jb_').upper()}" for role in SERVICE_ROLES}
    assert targets == names | {"JEROBOAM_DATABASE_URL"}


def test_only_certs_may_read_the_master_key_and_each_service_its_own_database_url(services: dict[str, Any]) -> None:
    readers: dict[str, set[str]] = {}
    for name, service in services.items():
        for source in secret_targets(service):
            readers.setdefault(source, set()).add(name)
    assert readers["master_key"] == {"certs"}
    assert readers["seal_private_key"] == {"provisioner"}
    for name in (*SETTINGS, "migrate"):
        assert readers[f"database_url_{name}"] == {name}


def test_start_is_ordered(services: dict[str, Any]) -> None:
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in SETTINGS:
        after = {key: value["condition"] for key, value in services[name]["depends_on"].items()}
        assert after == {"migrate": "service_completed_successfully", "rabbitmq": "service_healthy"}
    for name in ("postgres", "rabbitmq"):
        assert services[name]["healthcheck"]["test"][0] == "CMD"


def test_only_api_and_cloud_are_published_and_only_on_loopback(services: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(ports) == {"api", "cloudsim"}
    assert all(entry.startswith("127.0.0.1:") for entries in ports.values() for entry in entries)


def test_database_and_broker_are_on_an_internal_network_alone(services: dict[str, Any]) -> None:
    assert load(COMPOSE)["networks"]["backend"]["internal"] is True
    assert services["postgres"]["networks"] == services["rabbitmq"]["networks"] == ["backend"]
    assert services["cloudsim"]["networks"] == ["cloud"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_can_do_little(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["build"]["target"] == name


def test_example_env_documents_every_variable_with_its_default() -> None:
    lines = (DEPLOY / "example.env").read_text().splitlines()
    documented = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    used = variables(BARBICAN) | variables(CLOUD) | variables(COMPOSE)
    assert set(documented) == set(used) | {"COMPOSE_PROJECT_NAME"}
    assert {name: documented[name] for name in used} == used


def test_overlay_wants_a_real_keystone_and_leaves_the_simulation_out() -> None:
    overlay = load(CLOUD)
    assert variables(CLOUD)["JEROBOAM_KEYSTONE_URL"] is None
    assert overlay["services"]["cloudsim"] == {"profiles": ["simulation"]}
    talkers = {name for name, service in load(COMPOSE)["services"].items() if "cloud" in service["networks"]}
    assert set(overlay["services"]) == talkers  # certs is on no network that leads out


def test_only_with_keys_in_barbican_may_certs_talk_to_the_cloud() -> None:
    overlay = load(BARBICAN)["services"]
    assert set(overlay) == {"certs"}
    assert overlay["certs"]["networks"] == ["cloud"]  # compose adds it to those of the first file
    assert overlay["certs"]["environment"]["JEROBOAM_CERTIFICATE_STORE"] == "barbican"
    fields = {f"JEROBOAM_{field.upper()}" for field in CertsSettings.model_fields}
    assert {key for key in overlay["certs"]["environment"] if key.startswith("JEROBOAM_")} <= fields
    assert overlay["certs"]["volumes"] == load(CLOUD)["services"]["api"]["volumes"]


def _compose_program() -> list[str]:
    for program in (["docker", "compose"], ["docker-compose"]):
        found = shutil.which(program[0])
        if found and subprocess.run([*program, "version"], capture_output=True, check=False).returncode == 0:
            return program
    pytest.skip("NOT RUN: deploy (compose's own check of the files: neither docker compose nor docker-compose here)")


@pytest.mark.parametrize(
    "files", [[COMPOSE], [COMPOSE, CLOUD], [COMPOSE, CLOUD, BARBICAN]], ids=["simulated", "real", "barbican"]
)
def test_compose_itself_accepts_the_files(files: list[Path]) -> None:
    arguments = [word for path in files for word in ("-f", str(path))]
    done = subprocess.run(
        [*_compose_program(), *arguments, "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"JEROBOAM_KEYSTONE_URL": "https://keystone.example.org/v3"},
    )
    assert done.returncode == 0, done.stderr
