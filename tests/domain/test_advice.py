"""What is told of a failure: the resource, the cloud's own words, and one sentence on what to do."""

from __future__ import annotations

import pytest

from shared.domain.advice import LONGEST, MOST_FAULTS, Cause, aborted, advice, failure, faults, lateness

KNOWN = {
    'ResourceInError: resources.server: Went to status ERROR due to "Message: No valid host was found. There are not '
    'enough hosts available., Code: 500"': "smaller flavor or fewer nodes",
    "Forbidden: resources.server: Quota exceeded for instances: Requested 1, but already used 10 of 10 instances (HTTP "
    "403) (Request-ID: req-1)": "compute quota",
    "Quota exceeded for cores, ram: Requested 4, 8192, but already used 20, 51200 of 20, 51200 cores, ram (HTTP 403)": (
        "compute quota"
    ),
    "Quota exceeded, too many server groups. (HTTP 403)": "server groups",
    "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 10G, "
    "quota is 1000G and 995G has been consumed. (HTTP 413)": "volume quota",
    "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'. (HTTP 413)": (
        "volume quota"
    ),
    "OverQuotaClient: resources.port: Quota exceeded for resources: ['port'].": "network quota",
    "Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures for instance "
    "5d12f6fd.": "Several hosts were tried",
    "Property error: resources.server.properties.image: Error validating value 'f21': The Image (f21) could not be "
    "found.": "openstack image show",
    "Image 3b1f could not be found.": "openstack image show",
    "Flavor's disk is too small for requested image. Flavor disk is 1073741824 bytes, image is 2147483648 bytes.": (
        "larger root disk"
    ),
    "Flavor's memory is too small for requested image.": "more memory",
    "The Flavor (m9.huge) could not be found.": "openstack flavor list",
    "IpAddressGenerationFailureClient: resources.port: No more IP addresses available on network 7a.": (
        "no free address left"
    ),
    "NotFound: Unable to find any IP address on external network 9c.": "no free address left",
    "ExternalGatewayForFloatingIPNotFoundClient: External network 1 is not reachable from subnet 2.  Therefore, cannot "
    "associate Port 3 with a Floating IP.": "no router to the external network",
    "The Network (private) could not be found.": "openstack network list",
    "WaitConditionTimeout: resources.wait: 0 of 1 received": "console log",
    "WaitConditionFailure: resources.wait: docker did not start": "setup failed",
    "CREATE aborted (Task create from Server timed out)": "create_timeout",
    "Timed out": "create_timeout",
    "Keypair testkey could not be found. (HTTP 404)": "Key pairs belong to users",
    "The Key (testkey) could not be found.": "Key pairs belong to users",
    "Volume type with name ssd could not be found.": "openstack volume type list",
    "Build of instance 1 aborted: Failed to allocate the network(s), not rescheduling.": "network service",
    "Unable to allocate the port: no VNI is free": "network service",
    "Conflict: resources.network: Unable to complete operation on network 8. There are one or more ports still in use "
    "on the network.": "load balancer that the cluster itself made",
    "Unable to complete operation on subnet 8: One or more ports have an IP allocation from this subnet.": (
        "load balancer that the cluster itself made"
    ),
    "Conflict: Router interface for subnet 1 on router 2 cannot be deleted, as it is required by one or more floating "
    "IPs.": "floating IP still leads",
    "Conflict: Security Group 4 in use.": "security group",
    "Volume status must be available or error, but is in-use: volume 9": "Detach",
    "You are not authorized to perform the requested action: trusts. (HTTP 403)": "policy refused",
    "Unable to establish connection to http://nova:8774": "did not answer",
    "The requested availability zone is not available": "availability zone list",
}


@pytest.mark.parametrize(("reason", "helps"), KNOWN.items())
def test_reasons_of_openstack_come_with_advice(reason: str, helps: str) -> None:
    said = advice(reason)
    assert said is not None
    assert helps in said
    assert said.endswith(".")


def test_what_is_not_known_gets_no_guess() -> None:
    assert advice("resources.x: the moon was in the wrong quarter") is None
    assert advice("") is None


def test_a_load_balancer_says_no_more_than_error() -> None:
    reason = 'ResourceInError: resources.lb: Went to status ERROR due to "Unknown"'
    assert advice(reason) is None
    said = advice(reason, "OS::Octavia::LoadBalancer")
    assert said is not None
    assert "master_lb_enabled" in said


SERVER = Cause("kube_minions.0.server", "OS::Nova::Server", "No valid host was found.", "5d12f6fd")


def test_the_reason_names_deed_resource_words_and_help() -> None:
    assert failure("Creating the bay", [SERVER]) == (
        "Creating the bay: kube_minions.0.server (OS::Nova::Server, 5d12f6fd): No valid host was found. No host has "
        "room for a server of this flavor: choose a smaller flavor or fewer nodes, try again later, or ask the "
        "operator for capacity."
    )


def test_several_causes_share_an_advice_and_the_rest_is_counted() -> None:
    told = failure(
        "Resizing the bay", [Cause(f"n.{i}", "OS::Nova::Server", "No valid host was found.") for i in range(5)]
    )
    assert "n.2 (OS::Nova::Server): No valid host was found.; and 2 more." in told
    assert "n.3" not in told
    assert told.count("No host has room") == 1


def test_without_a_resource_to_blame_the_stack_s_words_are_told() -> None:
    assert failure("Creating the bay", [], fallback="Heat says CREATE_FAILED: Timed out").startswith(
        "Creating the bay: Heat says CREATE_FAILED: Timed out. Ask for more time"
    )
    assert "no reason given" in failure("Creating the bay", [Cause("x", "OS::Nova::Server")])


def test_faults_are_all_of_them_with_words_and_help() -> None:
    found = faults([SERVER, Cause("vol", "OS::Cinder::Volume", "odd")])
    assert found["vol"] == "odd."
    assert found["kube_minions.0.server"].startswith("No valid host was found. No host has room")
    assert len(faults(Cause(str(i), "t", "r") for i in range(1000))) == MOST_FAULTS


def test_however_long_the_cloud_talks_the_advice_is_kept() -> None:
    endless = "x" * 5000 + " No valid host was found."
    told = failure("Creating the bay", [Cause("n" * 900, "OS::Nova::Server", endless) for _ in range(9)])
    assert len(told) <= LONGEST
    assert told.endswith("ask the operator for capacity.")
    assert "\n" not in failure("Creating the bay", [Cause("a", "t", "one\n  two")])


def test_what_is_late_is_named_with_since_when() -> None:
    awaited = Cause("kube_masters.0.wait", "OS::Heat::WaitCondition", since="2026-11-22T10:00:00Z", physical_id="w1")
    told = lateness("Creating the bay", "Heat was not done after 60 minutes", [awaited])
    assert told.startswith(
        "Creating the bay: Heat was not done after 60 minutes; it still waits for kube_masters.0.wait "
        "(OS::Heat::WaitCondition, w1) since 2026-11-22T10:00:00Z. That node was started and has not reported yet"
    )
    assert lateness("Creating the bay", "Heat was not done after 1 minute", []).endswith("waits for its last resource.")


def test_what_was_merely_aborted_is_told_from_what_failed() -> None:
    assert aborted("CREATE aborted")
    assert aborted("resources.kube_minions: resources[0]: CREATE aborted (Task create from Server timed out)")
    assert aborted("Resource CREATE cancelled")
    assert not aborted("Build of instance 1 aborted: Failed to allocate the network(s), not rescheduling.")
    assert "console log" in str(advice("CREATE aborted", "OS::Heat::WaitCondition"))
    assert advice("CREATE aborted", "OS::Neutron::Port") is None
