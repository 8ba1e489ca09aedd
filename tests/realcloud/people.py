"""Who acts in these tests: users of projects that the suite made, and the variables of a client that is one of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import SecretStr

from shared.client.api import JeroboamClient
from shared.client.login import Credentials
from shared.openstack.auth import Credential
from shared.openstack.cloud import Cloud, CloudConfig
from tests.support.realcloud import RealCloud


@dataclass(frozen=True)
class Person:
    """A user with the role `member` in one project; user and project are of one domain."""

    cloud: RealCloud
    name: str
    user_id: str
    project: str
    project_id: str
    domain: str
    password: str = field(repr=False)

    @property
    def credential(self) -> Credential:
        """For our own clients of the cloud."""
        return Credential(
            url=self.cloud.credential.url,
            username=self.name,
            password=SecretStr(self.password),
            user_domain=self.domain,
            service_project=self.project,
            region=self.cloud.credential.region,
            interface=self.cloud.credential.interface,
            cafile=self.cloud.credential.cafile,
        )

    def open(self) -> Cloud:
        """The cloud as this user; `for_service()` is the project."""
        return Cloud(CloudConfig(self.credential, call_limit=60.0), self.cloud.egress)

    def client(self) -> JeroboamClient:
        """Our own API as this user, found in the catalog."""
        region = self.cloud.credential.region
        who = Credentials(self.name, SecretStr(self.password), self.project, self.domain, region)
        return JeroboamClient.connect(self.cloud.credential.url, who, egress=self.cloud.egress)


def environment(who: Credential) -> dict[str, str]:
    """What an openrc file of this user would set."""
    variables = {
        "OS_AUTH_URL": who.url,
        "OS_USERNAME": who.username,
        "OS_PASSWORD": who.password.get_secret_value(),
        "OS_PROJECT_NAME": who.service_project,
        "OS_USER_DOMAIN_NAME": who.user_domain,
        "OS_PROJECT_DOMAIN_NAME": who.user_domain,
        "OS_REGION_NAME": who.region,
        "OS_INTERFACE": who.interface,
        "OS_IDENTITY_API_VERSION": "3",
    }
    return variables | ({"OS_CACERT": who.cafile} if who.cafile else {})
