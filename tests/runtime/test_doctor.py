"""`jeroboam doctor`: each missing thing is named, with the command that mends it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from services.cli.doctor import here, rules
from services.cli.doctor.cloud import Patient
from services.cli.doctor.examine import examine
from services.cli.doctor.findings import Finding, Level
from services.cli.doctor.settings import DoctorSettings, read_env_file
from services.cli.stack import LocalStack
from shared.openstack.cloud import Cloud
from shared.runtime import sealing
from tests.openstack.conftest import cloudsim_url, sim  # noqa: F401
from tests.openstack.sim import Sim
from tests.support.database import as_role, migrated_database
from tests.support.servers import fresh_database

NOWHERE = "postgresql://jb_api:the-db-password@127.0.0.1:1/jeroboam"
GRANT = "openstack role add --user jeroboam --user-domain Default"


def settings_for(sim: Sim, **other: Any) -> DoctorSettings:  # noqa: F811
    given: dict[str, Any] = {"egress_allow": "127.0.0.0/8", "database_url": NOWHERE, "service_password": "jeroboam"}
    return DoctorSettings(**{**given, "keystone_url": f"{sim.identity}/v3", **other})


async def examined(settings: DoctorSettings, project: str | None = None) -> list[Finding]:
    return [one async for one in examine(settings, [], project, make_stack=False)]


def one_of(found: list[Finding], level: Level, words: str) -> Finding:
    """The only finding of that level with these words; all are shown when there is not one."""
    matching = [one for one in found if one.level is level and words in one.what]
    assert len(matching) == 1, "\n".join(f"{one.level} {one.what} -> {one.todo}" for one in found)
    return matching[0]


async def test_a_stack_in_order_is_healthy(tmp_path: Path) -> None:
    async with LocalStack(tmp_path / "stack", speed=20, time_scale=0.2) as stack:
        keys = stack.workspace.make_secrets()
        told = {
            "DATABASE_URL": stack.dsn("jb_api"),
            "KEYSTONE_URL": stack.keystone_url,
            "SERVICE_PASSWORD": "jeroboam",
            "EGRESS_ALLOW": "127.0.0.0/8",
            "MASTER_KEY_FILE": str(keys.master_key_file),
            "SEAL_PRIVATE_KEY_FILE": str(keys.seal_private_key_file),
            "SEAL_PUBLIC_KEY_FILE": str(keys.seal_public_key_file),
            "PUBLIC_URL": stack.api_url,
        }
        file = tmp_path / "doctor.env"
        file.write_text("# settings\n" + "".join(f"export JEROBOAM_{name}='{value}'\n" for name, value in told.items()))
        status, said = await run_doctor("--env-file", str(file), "--project", "demo", "--make-stack", "--json")

    report = json.loads(said)
    assert [one for one in report["findings"] if one["level"] == "missing"] == []
    assert (status, report["ok"]) == (0, True)
    assert [one for one in report["findings"] if one["area"] == "rules" and one["level"] != "ok"] == []
    told_ok = " / ".join(one["what"] for one in report["findings"] if one["level"] == "ok")
    for words in ("jeroboam-certs can read its", "are a pair", "each service's role has its rights", "hears of every"):
        assert words in told_ok
    assert "it made a stack for us in project demo" in told_ok
    for service in ("Nova", "Neutron", "Cinder", "Octavia"):
        assert f"{service} obeys the access rules" in told_ok


async def test_a_stack_is_made_only_in_a_project_that_is_named(sim: Sim) -> None:  # noqa: F811
    environment = {
        "JEROBOAM_DATABASE_URL": NOWHERE,
        "JEROBOAM_KEYSTONE_URL": f"{sim.identity}/v3",
        "JEROBOAM_SERVICE_PASSWORD": "jeroboam",
    }
    status, said = await run_doctor("--make-stack", environment=environment)

    assert status == 2
    assert "name the project with --project" in said
    assert await sim.count("orchestration", "POST") == 0


async def test_nothing_set_is_told_by_the_names_of_the_variables() -> None:
    status, said = await run_doctor()

    assert status == 2
    assert "JEROBOAM_DATABASE_URL: Field required" in said


async def test_what_a_service_lacks_is_told_without_any_secret(sim: Sim) -> None:  # noqa: F811
    environment = {
        "JEROBOAM_DATABASE_URL": NOWHERE,
        "JEROBOAM_KEYSTONE_URL": f"{sim.identity}/v3",
        "JEROBOAM_SERVICE_PASSWORD": "the-wrong-password",
        "JEROBOAM_AMQP_URL": "amqp://jeroboam:the-bus-password@127.0.0.1:1/",
    }
    status, said = await run_doctor("--service", "certs", "--service", "scaler", environment=environment)

    assert status == 1
    assert "missing  settings  jeroboam-certs: set exactly one of JEROBOAM_MASTER_KEY_FILE" in said
    assert "ok       settings  jeroboam-scaler can read its settings" in said
    assert "JEROBOAM_SERVICE_PASSWORD) is wrong" in said
    assert "→ openstack user create --domain Default --password-prompt jeroboam" in said
    for secret in ("the-wrong-password", "the-db-password", "the-bus-password"):
        assert secret not in said


async def test_a_missing_inherited_role_is_told_with_its_command(sim: Sim) -> None:  # noqa: F811
    await change_role(sim, "OS-INHERIT/domains/default", "member", "/inherited_to_projects", "DELETE")
    found = await examined(settings_for(sim))

    told = one_of(found, Level.WARNING, "domain Default: no role in 3 of 4 projects")
    assert told.todo == f"{GRANT} --domain Default --inherited member"
    one_of(found, Level.MISSING, "no role in any project but its own")
    told = one_of(await examined(settings_for(sim), "demo"), Level.MISSING, "no role in project demo")
    assert told.todo.startswith(f"{GRANT} --project demo member")


async def test_what_the_service_user_may_not_do_in_keystone(sim: Sim) -> None:  # noqa: F811
    project = (await sim.login("jeroboam", "service"))[1]["project"]["id"]
    await change_role(sim, f"projects/{project}", "admin", "", "DELETE")
    found = await examined(settings_for(sim))
    told = one_of(found, Level.MISSING, "may not revoke the nodes' application credentials")
    assert told.todo == f"{GRANT} --project service --project-domain Default admin"
    one_of(found, Level.OK, "it may validate tokens")
    one_of(found, Level.WARNING, "of which others, it may not see")

    await change_role(sim, f"projects/{project}", "member", "", "PUT")
    await change_role(sim, f"projects/{project}", "service", "", "DELETE")
    told = one_of(await examined(settings_for(sim)), Level.MISSING, "it may not validate tokens")
    assert told.todo == f"{GRANT} --project service --project-domain Default service"


@pytest.mark.parametrize(
    ("without", "level", "words"),
    [
        ("orchestration", Level.MISSING, "the catalog has no orchestration (Heat) in region RegionOne"),
        ("load-balancer", Level.WARNING, "the catalog has no load-balancer (Octavia) in region RegionOne"),
        ("key-manager", Level.MISSING, "the catalog has no key-manager"),
    ],
)
async def test_a_service_that_the_catalog_lacks(sim: Sim, without: str, level: Level, words: str) -> None:  # noqa: F811
    await sim.control("PATCH", "/settings", {"without": [without]})
    try:
        found = await examined(settings_for(sim, certificate_store="barbican"))
    finally:
        await sim.control("PATCH", "/settings", {"without": []})

    one_of(found, level, words)
    one_of(found, Level.OK, "Nova answers in project")


async def test_services_that_refuse_or_cannot_be_reached(sim: Sim) -> None:  # noqa: F811
    await sim.fault(kind="status", service="load-balancer", status=403, count=0)
    await sim.fault(kind="status", service="network", status=503, count=0)
    await sim.fault(kind="status", service="orchestration", method="POST", status=403, count=0)
    found = await examined(settings_for(sim))

    assert one_of(found, Level.WARNING, "Octavia in project").todo.endswith("--inherited load-balancer_member")
    one_of(found, Level.MISSING, "Neutron in project")
    assert one_of(found, Level.MISSING, "Heat answered 403").todo.endswith("--inherited member")
    assert "start jeroboam-api" in one_of(found, Level.MISSING, "our API does not answer").todo


async def test_a_cloud_that_egress_forbids(sim: Sim) -> None:  # noqa: F811
    found = await examined(settings_for(sim, egress_allow=(ip_network("192.0.2.0/24"),)))

    assert "JEROBOAM_EGRESS_ALLOW" in found[-1].todo
    assert found[-1].level is Level.MISSING


async def test_brokers_that_are_away_or_forbidden(sim: Sim) -> None:  # noqa: F811
    away = "amqp://jeroboam:the-bus-password@127.0.0.1:1/"
    settings = settings_for(sim, amqp_url=away, heat_notifications_url=away)
    found = await here.bus(settings) + await here.heat_bus(settings)
    assert "rabbitmqctl add_user" in one_of(found, Level.MISSING, "RabbitMQ: 127.0.0.1:1: AMQPConnectionError").todo
    one_of(found, Level.MISSING, "Heat's notifications cannot be heard: 127.0.0.1:1")
    assert not any("the-bus-password" in one.what + one.todo for one in found)
    denied = settings_for(sim, heat_notifications_url=away, egress_deny=(ip_network("127.0.0.0/8"),))
    assert "JEROBOAM_EGRESS_ALLOW" in one_of(await here.heat_bus(denied), Level.MISSING, "control plane").todo
    assert one_of(await here.heat_bus(settings_for(sim)), Level.WARNING, "stacks are polled").todo.endswith("heat.md")


@pytest.mark.parametrize("blank", ["", " \n"])
async def test_a_blank_address_of_heats_broker_is_none(sim: Sim, blank: str) -> None:  # noqa: F811
    found = await here.heat_bus(settings_for(sim, heat_notifications_url=blank))
    one_of(found, Level.WARNING, "stacks are polled")


@pytest.mark.parametrize("password", ["sesame/street", "sesame#street", "[sesame", "4711/street", "4711?street"])
async def test_a_password_that_breaks_its_url_is_not_shown(sim: Sim, password: str) -> None:  # noqa: F811
    url = f"amqp://jeroboam:{password}@127.0.0.1:1/"
    settings = settings_for(sim, amqp_url=url, heat_notifications_url=url)
    for found in (await here.bus(settings), await here.heat_bus(settings)):
        told = one_of(found, Level.MISSING, "is not a URL: percent-encode the password")
        assert not [part for part in ("sesame", "street", "4711") if part in told.what + told.todo]


@pytest.mark.parametrize("password", ["sesame:street@4711", "sesame@street", "[sesame@street", "sesame@street/4711"])
async def test_a_password_that_breaks_the_databases_url_is_not_shown(sim: Sim, password: str) -> None:  # noqa: F811
    settings = settings_for(sim, database_url=f"postgresql://jb_api:{password}@127.0.0.1:1/jeroboam")
    (told,) = await here.database(settings)
    assert "JEROBOAM_DATABASE_URL is not a URL: percent-encode the password" in told.what
    assert not [part for part in ("sesame", "street", "4711") if part in told.what + told.todo]


async def test_a_credential_that_could_not_be_deleted_again_is_named(sim: Sim) -> None:  # noqa: F811
    settings = settings_for(sim)
    cloud = Cloud.from_settings(settings)
    await sim.fault(kind="status", service="identity", method="DELETE", status=503, count=1)
    found = await rules.rules(Patient(settings, cloud))
    await cloud.close()

    told = one_of(found, Level.WARNING, "was not deleted again")
    (name,) = [word for word in told.what.split() if word.startswith("jeroboam-doctor-")]
    assert f"credential delete {name}" in told.todo
    one_of(found, Level.OK, "Nova obeys")


async def test_images_flavor_and_the_address_of_nodes(sim: Sim) -> None:  # noqa: F811
    found = await examined(settings_for(sim, default_flavor="m9.huge", public_url="http://127.0.0.1:7/"))

    one_of(found, Level.OK, "an image has os_distro=ubuntu (kubernetes or mesos)")
    assert "flavor create" in one_of(found, Level.WARNING, "no flavor m9.huge").todo
    assert (
        "endpoint set --url http://127.0.0.1:7/v1" in one_of(found, Level.MISSING, "our API at http://127.0.0.1:7").todo
    )
    assert "JEROBOAM_API_URL" in one_of(found, Level.WARNING, "is the node itself").todo


async def test_barbican_and_the_master_key_in_it(sim: Sim) -> None:  # noqa: F811
    settings = settings_for(sim, certificate_store="barbican", master_key_secret="http://barbican/v1/secrets/none")
    found = await examined(settings)

    one_of(found, Level.OK, "it keeps secrets for us")
    one_of(found, Level.MISSING, "the secret of JEROBOAM_MASTER_KEY_SECRET is not there")
    cloud = Cloud.from_settings(settings)
    ref = await cloud.for_service().barbican.store("jeroboam-master-key", b"too short to be one")
    one_of(await examined(settings_for(sim, master_key_secret=ref)), Level.MISSING, "must hold 32 bytes")
    await cloud.for_service().barbican.delete(ref)
    await cloud.close()
    token, _ = await sim.login("jeroboam", "service")
    assert (await sim.api("GET", "/key-manager/v1/secrets", token))["secrets"] == []


async def test_a_database_of_another_release_and_one_with_wrong_rights(sim: Sim) -> None:  # noqa: F811
    async with fresh_database() as empty:
        found = await here.database(settings_for(sim, database_url=empty))
    assert "jeroboam db upgrade" in one_of(found, Level.MISSING, "is at revision none").todo
    async with migrated_database() as dsn:
        as_api = settings_for(sim, database_url=as_role(dsn, "jb_api"))
        one_of(await here.database(as_api), Level.OK, "each service's role has its rights")
        await _execute(dsn, "GRANT SELECT ON authority_keys TO jb_api")
        found = await here.database(as_api)
    one_of(found, Level.MISSING, "the role jb_api has the right to SELECT on authority_keys")


async def test_keys_that_are_no_pair_open_to_others_or_too_short(sim: Sim, tmp_path: Path) -> None:  # noqa: F811
    public, private = sealing.generate_keypair()
    files = {"private": private, "public": public, "other": sealing.generate_keypair()[0], "master": "c2hvcnQ="}
    for name, text in files.items():
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(text)

    def look(seal_public: str) -> list[Finding]:
        named = {"seal_private_key_file": tmp_path / "private", "seal_public_key_file": tmp_path / seal_public}
        return here.keys(settings_for(sim, master_key_file=tmp_path / "master", **named))

    one_of(look("public"), Level.OK, "the seal keys are a pair")
    one_of(look("other"), Level.MISSING, "the seal keys are no pair")
    one_of(look("public"), Level.MISSING, "the master key must be 32 bytes")
    (tmp_path / "master").write_text(b64encode(os.urandom(32)).decode())
    one_of(look("public"), Level.OK, "the master key is 32 bytes")
    (tmp_path / "private").chmod(0o644)
    one_of(look("none"), Level.MISSING, f"{tmp_path / 'none'} cannot be read: No such file")
    assert one_of(look("public"), Level.MISSING, "is open to others").todo == f"chmod 600 {tmp_path / 'private'}"


def test_an_env_file_is_read_and_a_bad_line_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# a comment\n\nexport A='one two'\nB=three=four\nC=\n")
    assert read_env_file(file) == {"A": "one two", "B": "three=four", "C": ""}
    file.write_text("A=1\nthe-secret\n")
    with pytest.raises(ValueError, match="line 2 is not NAME=value") as caught:
        read_env_file(file)
    assert "the-secret" not in str(caught.value)


async def run_doctor(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Exit status and everything that it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("JEROBOAM_", "COLUMNS"))}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli",
        "doctor",
        *arguments,
        env={**clean, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await child.communicate()
    assert child.returncode is not None
    return child.returncode, said.decode()


async def change_role(sim: Sim, where: str, role: str, suffix: str, method: str) -> None:  # noqa: F811
    """Give our service user a role, or take it, as the cloud's administrator."""
    admin, _ = await sim.login("admin")
    users = (await sim.api("GET", "/identity/v3/users", admin))["users"]
    roles = (await sim.api("GET", "/identity/v3/roles", admin))["roles"]
    user = next(one["id"] for one in users if one["name"] == "jeroboam")
    role_id = next(one["id"] for one in roles if one["name"] == role)
    await sim.api(method, f"/identity/v3/{where}/users/{user}/roles/{role_id}{suffix}", admin)


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
