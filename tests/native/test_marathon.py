"""Marathon speaks plain HTTP: the command prints where, and curl gets there."""

from __future__ import annotations

from pathlib import Path

from tests.native.people import Person
from tests.native.servers import Quiet, listening


def test_curl_with_our_command(person: Person, bays: dict[str, str], folder: Path) -> None:
    class Marathon(Quiet):
        def do_GET(self) -> None:
            self.answer(200 if self.path == "/v2/apps" else 404, {"apps": []})

    with listening(f"http://{bays['mesos']}:8080", Marathon):
        said = person.ok(
            f'eval "$(jeroboam bay config mesos --dir {folder}/unused)"; curl --silent --fail "$MARATHON_URL/v2/apps"'
        )
    assert said.out == '{"apps": []}'
    assert not (folder / "unused").exists()
