"""Who may do what: the defaults as a table, and what an operator's file makes of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts import generate_policy
from services.api.policy import Policy
from services.api.policy_file import BrokenPolicy
from services.api.policy_rules import DEFAULTS
from shared.domain.errors import Forbidden
from shared.openstack.catalog import Endpoints
from shared.openstack.validate import Caller
from tests.api.harness import database, detail, running

WRITERS = ("admin", "manager", "member", "_member_")
READERS = (*WRITERS, "reader")
ALL = (*READERS, "auditor")
NOT_ADMIN = ("manager", "member", "_member_")

ROW = ("get", "get_all", "detail", "update", "delete")
WIDE = ("get_one", "get_all", "detail", "update", "delete")

TABLE: dict[str, tuple[str, ...]] = {
    **{
        f"{face}:{action}": READERS if action in ("get", "get_all", "detail", "dry_run") else WRITERS
        for face in ("bay", "cluster")
        for action in (*ROW, "create", "resize", "upgrade", "update_health_status", "dry_run")
    },
    **{
        f"{face}:{action}": READERS if action in ("get", "get_all", "detail") else WRITERS
        for face in ("baymodel", "clustertemplate", "federation")
        for action in (*ROW, "create")
    },
    **{
        f"{face}:{action}_all_projects": ("admin",)
        for face in ("bay", "cluster", "baymodel", "clustertemplate")
        for action in WIDE
    },
    "bay:delete_force": ("admin",),
    "cluster:delete_force": ("admin",),
    "baymodel:publish": ("admin",),
    "clustertemplate:publish": ("admin",),
    "nodegroup:get": READERS,
    "nodegroup:get_all": READERS,
    "nodegroup:create": WRITERS,
    "nodegroup:update": WRITERS,
    "nodegroup:delete": WRITERS,
    "scaling_policy:get": READERS,
    "scaling_policy:update": WRITERS,
    "scaling_policy:delete": WRITERS,
    "scaling_decision:get_all": READERS,
    "certificate:create": WRITERS,
    "certificate:create_reader": WRITERS,
    "certificate:get": READERS,
    "certificate:rotate_ca": WRITERS,
    "credential:rotate": NOT_ADMIN,
    "quota:get": READERS,
    **{f"quota:{action}": ("admin",) for action in ("get_all", "create", "update", "delete")},
    "stats:get_all": READERS,
    "magnum-service:get_all": ("admin",),
    **{f"dead_letter:{action}": ("admin",) for action in ("get", "get_all", "resend", "delete")},
    "operation:get_all": ("admin",),
}
"""Rule → the roles that each alone let a user act on their own row in their own project."""

MAKER = {
    "certificate:create",
    "certificate:create_reader",
    "certificate:get",
    "bay:update_health_status",
    "cluster:update_health_status",
}
"""Rules that only the user who made the cluster passes."""


def caller(*roles: str, user: str = "u1", project: str = "p1") -> Caller:
    """A caller with these roles."""
    endpoints = Endpoints.from_catalog((), region="RegionOne", interface="public")
    return Caller(
        user_id=user,
        user_name=user,
        user_domain_id="default",
        user_domain_name="Default",
        project_id=project,
        project_name=project,
        project_domain_id="default",
        project_domain_name="Default",
        roles=frozenset(roles),
        expires_at=9e9,
        endpoints=endpoints,
    )


@pytest.fixture(scope="module")
def defaults() -> Policy:
    """The policy without a file."""
    return Policy()


def written(path: Path, rules: object) -> Path:
    """A policy file with these rules, in the language that its name says."""
    path.write_text(json.dumps(rules) if path.suffix == ".json" else yaml.safe_dump(rules))
    return path


# the defaults


def test_the_table_has_every_rule_of_an_action() -> None:
    assert TABLE.keys() == {name for name in DEFAULTS if ":" in name}


@pytest.mark.parametrize("rule", TABLE)
def test_who_may_by_default(defaults: Policy, rule: str) -> None:
    assert tuple(role for role in ALL if defaults.allows(caller(role), rule)) == TABLE[rule]


@pytest.mark.parametrize("rule", [rule for rule in TABLE if not rule.endswith("_all_projects")])
def test_in_another_project_only_an_administrator_may(defaults: Policy, rule: str) -> None:
    may = [role for role in ALL if defaults.allows(caller(role), rule, project_id="p2")]
    assert may == ([] if rule == "credential:rotate" else ["admin"])


@pytest.mark.parametrize("rule", TABLE)
def test_another_user_s_row(defaults: Policy, rule: str) -> None:
    may = tuple(role for role in ALL if defaults.allows(caller(role), rule, user_id="u2"))
    assert may == (("admin",) if rule in MAKER else TABLE[rule])


@pytest.mark.parametrize(
    "name",
    [
        *("context_is_admin", "admin_or_owner", "admin_or_user", "is_user", "cluster_user", "deny_cluster_user"),
        *("project_member", "project_reader", "admin_or_project_member", "admin_or_project_reader"),
        *("admin_or_project_member_user", "admin_or_project_reader_user", "admin_or_project_member_deny_cluster_user"),
        *("project_reader_deny_cluster_user", "admin_or_project_member_user_or_cluster_user"),
    ],
)
def test_rules_that_magnum_s_files_refer_to(name: str, tmp_path: Path) -> None:
    policy = Policy(written(tmp_path / "policy.yaml", {"cluster:get": f"rule:{name}"}))
    assert policy.allows(caller("admin", "member"), "cluster:get") is (name != "cluster_user")


def test_refusal_names_the_rule(defaults: Policy) -> None:
    with pytest.raises(Forbidden, match=r"^Policy doesn't allow cluster:create to be performed\.$"):
        defaults.enforce(caller("reader"), "cluster:create")


def test_an_unknown_rule_is_our_mistake(defaults: Policy) -> None:
    with pytest.raises(KeyError):
        defaults.allows(caller("admin"), "cluster:destroy")
    with pytest.raises(ValueError, match="all projects"):
        defaults.scope(caller("admin"), "cluster:get_all")


def test_scope(defaults: Policy) -> None:
    assert defaults.scope(caller("admin"), "cluster:get_all_all_projects") is None
    assert defaults.scope(caller("member"), "cluster:get_all_all_projects") == "p1"


# an operator's file


@pytest.mark.parametrize("name", ["policy.yaml", "policy.json"])
def test_a_file_changes_a_rule_and_no_other(name: str, tmp_path: Path) -> None:
    policy = Policy(written(tmp_path / name, {"cluster:delete": "role:admin"}))
    assert not policy.allows(caller("member"), "cluster:delete")
    assert not policy.allows(caller("member"), "bay:delete"), "the same row under its older name"
    assert policy.allows(caller("member"), "cluster:update")


def test_certificates_for_the_whole_project(tmp_path: Path) -> None:
    """What the sample's header offers."""
    rules = {
        "certificate:create": "rule:admin_or_project_member",
        "certificate:get": "rule:admin_or_project_reader",
    }
    assert all(f'"{rule}": "{check}"' in generate_policy.render() for rule, check in rules.items())
    policy = Policy(written(tmp_path / "policy.yaml", rules))
    assert policy.allows(caller("member"), "certificate:create", user_id="u2")
    assert policy.allows(caller("reader"), "certificate:get", user_id="u2")
    assert not policy.allows(caller("reader"), "certificate:create", user_id="u2")
    assert not policy.allows(caller("member"), "certificate:create", user_id="u2", project_id="p2")


def test_a_file_of_magnum_s_older_releases(tmp_path: Path) -> None:
    rules = {
        "context_is_admin": "role:admin",
        "admin_or_owner": "is_admin:True or project_id:%(project_id)s",
        "default": "rule:admin_or_owner",
        "admin_api": "rule:context_is_admin",
        "admin_or_user": "is_admin:True or user_id:%(user_id)s",
        "cluster_user": "user_id:%(trustee_user_id)s",
        "deny_cluster_user": "not domain_id:%(trustee_domain_id)s",
        "bay:create": "rule:deny_cluster_user",
        "certificate:create": "rule:admin_or_user or rule:cluster_user",
        "clustertemplate:delete": [["rule:context_is_admin"], ["role:owner", "project_id:%(project_id)s"]],
        "stats:get_all": "rule:admin_or_owner",
        "x509keypair:create": "rule:admin_or_user",
    }
    policy = Policy(written(tmp_path / "policy.json", rules))
    assert policy.allows(caller("auditor"), "bay:create")
    assert not policy.allows(caller("auditor"), "certificate:create", user_id="u2")
    assert policy.allows(caller("owner"), "clustertemplate:delete")
    assert not policy.allows(caller("member"), "baymodel:delete")
    assert not policy.allows(caller("member"), "stats:get_all", project_id="p2")


@pytest.mark.parametrize(
    ("rule", "check", "words"),
    [
        ("cluster:get", "role:admin or", "cannot be understood"),
        ("cluster:get", "admin", "cannot be understood"),
        ("cluster:get", None, "must be a text"),
        ("cluster:get", True, "must be a text"),
        ("cluster:get", [[7]], "cannot be understood"),
        ("cluster:get", "not rule:nobody", "refers to the rule nobody, which does not exist"),
        ("is_user", "not rule:is_user", "refers to itself"),
        ("cluster:get", "user_id:%(user_id)d", "wrong pattern"),
        ("cluster:get", "not user_id:%(userid)s", "asks for %(userid)s, which no row has"),
        ("cluster:get", "http://127.0.0.1/judge", "not supported here"),
    ],
)
def test_a_broken_rule_is_refused_by_name(rule: str, check: object, words: str, tmp_path: Path) -> None:
    path = written(tmp_path / "policy.yaml", {rule: check})
    with pytest.raises(BrokenPolicy) as refused:
        Policy(path)
    for part in (str(path), f"the rule {rule} ", words):
        assert part in str(refused.value)


@pytest.mark.parametrize("text", ["{", "- a", "a: b: c", "1: '@'", "\x00"])
def test_a_file_that_is_no_map_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(BrokenPolicy, match=r"policy\.yaml"):
        Policy(tmp_path / "policy.yaml")


def test_a_change_is_taken_up_and_a_broken_one_is_not(tmp_path: Path) -> None:
    path = written(tmp_path / "policy.yaml", {"cluster:get": "role:auditor"})
    policy, auditor = Policy(path), caller("auditor")
    assert policy.allows(auditor, "cluster:get")
    written(path, {"cluster:get": "role:somebody_else"})
    assert not policy.allows(auditor, "cluster:get")
    path.write_text("{")
    assert not policy.allows(auditor, "cluster:get")
    path.unlink()
    assert not policy.allows(caller("member"), "cluster:get"), "the defaults must not come back by accident"
    written(path, {})
    assert policy.allows(caller("member"), "cluster:get")


def test_the_gateway_does_not_start_with_a_broken_file(tmp_path: Path) -> None:
    path = written(tmp_path / "policy.yaml", {"cluster:get": "role:admin and"})
    settings = {
        "JEROBOAM_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "JEROBOAM_KEYSTONE_URL": "http://127.0.0.1:1/v3",
        "JEROBOAM_SERVICE_PASSWORD": "x",
        "JEROBOAM_POLICY_FILE": str(path),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JEROBOAM_")}
    ended = subprocess.run(
        [sys.executable, "-m", "services.api"],
        env=kept | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == f"jeroboam-api: {path}: the rule cluster:get cannot be understood: 'role:admin and'\n"


OF_CLUSTERS = (
    *(f"nodegroup:{action}" for action in ("get", "get_all", "create", "update", "delete")),
    *("credential:rotate", "certificate:rotate_ca"),
)
"""What hangs on a cluster: a file may ask for the cluster's user."""


def test_a_file_rules_the_gateway(tmp_path: Path) -> None:
    """Users see their own clusters only, but published templates all the same; certificates are the whole project's."""
    rules = {
        "cluster:get": "rule:admin_or_user",
        "clustertemplate:get": "rule:admin_or_user",
        "cluster:update": "rule:context_is_admin",
        "certificate:get": "rule:admin_or_project_reader",
        **dict.fromkeys(OF_CLUSTERS, "rule:context_is_admin or rule:is_user"),
    }
    path = written(tmp_path / "policy.yaml", rules)
    with database() as dsn, running(dsn, tmp_path, JEROBOAM_POLICY_FILE=str(path)) as system:
        own, public = system.baymodel(), system.baymodel(user="admin", public=True)
        bay = system.bay(baymodel_id=own["uuid"])
        where, model = f"/v1/bays/{bay['uuid']}", f"/v1/baymodels/{own['uuid']}"
        for path_, user, status in (
            (where, "demo", 200),
            (where, "reader", 403),
            (where, "admin", 200),
            (where, "alt", 404),
            (f"{where}/operations", "reader", 403),
            (model, "demo", 200),
            (model, "reader", 403),
            (f"/v1/baymodels/{public['uuid']}", "alt", 200),
            (f"/v1/certificates/{bay['uuid']}", "alt", 404),
        ):
            assert system.call("GET", path_, user=user).status_code == status, (path_, user)
        # 404 as long as it has no authority yet
        assert system.call("GET", f"/v1/certificates/{bay['uuid']}", user="reader").status_code in {200, 404}
        patch = [{"op": "replace", "path": "/node_count", "value": 2}]
        assert detail(system.call("PATCH", where, patch)) == "Policy doesn't allow bay:update to be performed."
        groups = f"/v1/clusters/{bay['uuid']}/nodegroups"
        refused = [
            system.call(method, path_, body, user="reader", version="14")
            for method, path_, body in (
                ("GET", f"{groups}/default-worker", None),
                ("GET", groups, None),
                ("POST", groups, {"name": "x"}),
                ("PATCH", f"{groups}/default-worker", []),
                ("DELETE", f"{groups}/default-worker", None),
                ("PATCH", f"/v1/credentials/{bay['uuid']}", None),
                ("PATCH", f"/v1/certificates/{bay['uuid']}", None),
            )
        ]
        assert [detail(one) for one in refused] == [
            f"Policy doesn't allow {rule} to be performed." for rule in OF_CLUSTERS
        ]
        assert system.call("GET", groups, version="14").status_code == 200


def test_the_sample_is_the_code_s() -> None:
    assert generate_policy.TARGET.read_text() == generate_policy.render(), "run: python -m scripts.generate_policy"
    copied = generate_policy.render().partition("# ---- ")[2].replace('\n#"', '\n"')
    assert yaml.safe_load(copied.partition("\n")[2]) == dict(DEFAULTS)
