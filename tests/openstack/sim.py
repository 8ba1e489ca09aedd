"""The hand of the tests on cloudsim: faults, counts, and logins of its users."""

from __future__ import annotations

from typing import Any

import httpx


class Sim:
    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=20)

    @property
    def identity(self) -> str:
        """Where `make_cloud` finds Keystone."""
        return f"{self.url}/identity"

    async def control(self, method: str, path: str, json: object | None = None) -> Any:
        answer = await self._http.request(method, f"/control{path}", json=json)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def reset(self) -> None:
        await self.control("POST", "/reset")

    async def fault(self, **rule: object) -> None:
        await self.control("POST", "/faults", rule)

    async def count(self, service: str, method: str, contains: str = "") -> int:
        """How many calls to a service had this method, and this in their path."""
        rows = (await self.control("GET", f"/requests?service={service}&method={method}"))["requests"]
        return sum(row["count"] for row in rows if contains in row["path"])

    async def forget(self) -> None:
        await self.control("DELETE", "/requests")

    async def login(self, user: str, project: str | None = None) -> tuple[str, dict[str, Any]]:
        """A token and its body."""
        domain = {"name": "Default"}
        auth = {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": user, "domain": domain, "password": user}},
            },
            "scope": {"project": {"name": project or user, "domain": domain}},
        }
        return await self._tokens(auth)

    async def login_app_credential(self, ident: str, secret: str) -> tuple[str, dict[str, Any]]:
        return await self._tokens(
            {
                "identity": {
                    "methods": ["application_credential"],
                    "application_credential": {"id": ident, "secret": secret},
                }
            }
        )

    async def _tokens(self, auth: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        answer = await self._http.post("/identity/v3/auth/tokens", json={"auth": auth})
        answer.raise_for_status()
        return answer.headers["X-Subject-Token"], answer.json()["token"]

    async def api(self, method: str, path: str, token: str, json: object | None = None) -> Any:
        answer = await self._http.request(method, path, json=json, headers={"X-Auth-Token": token})
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def close(self) -> None:
        await self._http.aclose()
