"""What people see of a run: a live picture at a terminal, plain lines anywhere else, and one table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table

from services.cli.output import harmless
from shared.contracts.http.bays import OperationOut, OperationStepOut
from shared.openstack.stacks import StackResource

_SHOWN_RESOURCES = 10
_SIGNS = {"done": "[green]✓[/]", "failed": "[red]✗[/]", "pending": "[dim]·[/]"}


@dataclass
class Stage:
    """One thing that the run does: its sentence, how long it took, and the steps that it had."""

    title: str
    started: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    steps: Sequence[OperationStepOut] = ()
    resources: Sequence[StackResource] = ()


class View:
    """Stages one after another. `operation` and `resources` may be called as often as there is news."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.stages: list[Stage] = []
        self._live: Live | None = None
        self._told: set[str] = set()

    @contextmanager
    def showing(self) -> Iterator[None]:
        """The live picture, for as long as the body runs; nothing at all where there is no terminal."""
        if not self.console.is_terminal or self.console.is_dumb_terminal:
            yield
            return
        with Live(console=self.console, refresh_per_second=8, transient=True, get_renderable=self._picture) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    @contextmanager
    def stage(self, title: str) -> Iterator[Stage]:
        """A stage: timed, and done when the body ends without an error."""
        stage = Stage(title)
        self.stages.append(stage)
        self._told.clear()
        if self._live is None:
            self.console.print(f"[bold]{escape(title)}[/]")
        try:
            yield stage
        except BaseException:
            if self._live is not None:  # the picture goes, and what was done is to be read beside the reason
                self.console.print(f"[bold]{escape(title)}[/]")
                for step in stage.steps:
                    self.console.print(f"  {step_line(step)}", soft_wrap=True)
            raise
        stage.seconds = time.monotonic() - stage.started
        sign = _SIGNS["done"]
        if self._live is None:
            self.console.print(f"  {sign} {stage.seconds:.1f} s")
        else:
            self.console.print(f"{sign} {escape(title)} [dim]{stage.seconds:.1f} s[/]")

    def operation(self, operation: OperationOut) -> None:
        """The newest word on the operation of the current stage."""
        self.stages[-1].steps = operation.steps
        if self._live is not None:
            return
        for step in operation.steps:
            if step.state in {"done", "failed"} and step.name not in self._told:
                self._told.add(step.name)
                self.console.print(f"  {step_line(step)}", soft_wrap=True)

    def resources(self, resources: Sequence[StackResource]) -> None:
        """The newest word on the Heat resources of the current stage."""
        self.stages[-1].resources = resources
        count = _count(resources)
        if self._live is None and resources and count not in self._told:
            self._told.add(count)
            self.console.print(f"  [dim]Heat: {count}[/]")

    def table(self) -> Table:
        """What happened and how long each thing took."""
        table = Table(title="What happened", title_justify="left")
        table.add_column("what")
        table.add_column("by")
        table.add_column("seconds", justify="right")
        for stage in self.stages:
            table.add_row(f"[bold]{escape(stage.title)}[/]", "", f"[bold]{_figure(stage.seconds)}[/]")
            for step in stage.steps:
                table.add_row(f"  {escape(step.sentence)}", step.service, _figure(duration(step)))
        table.add_section()
        table.add_row("[bold]In all[/]", "", f"[bold]{sum(stage.seconds or 0.0 for stage in self.stages):.1f}[/]")
        return table

    def _picture(self) -> RenderableType:
        if not self.stages or self.stages[-1].seconds is not None:
            return ""
        stage = self.stages[-1]
        elapsed = f"[dim]{time.monotonic() - stage.started:.1f} s[/]"
        parts: list[RenderableType] = [Spinner("dots", f"[bold]{escape(stage.title)}[/] {elapsed}")]
        parts += [Padding(step_line(step), (0, 0, 0, 2)) for step in stage.steps]
        if stage.resources:
            parts.append(Padding(_resource_table(stage.resources), (0, 0, 0, 2)))
        return Group(*parts)


def duration(step: OperationStepOut | OperationOut) -> float | None:
    """Seconds from its start to its end, None while it has not ended."""
    if step.started_at is None or step.finished_at is None:
        return None
    return (datetime.fromisoformat(step.finished_at) - datetime.fromisoformat(step.started_at)).total_seconds()


def step_line(step: OperationStepOut) -> str:
    """A step in a line, with rich's markup."""
    seconds = duration(step)
    took = "" if seconds is None else f" [dim]{seconds:.1f} s[/]"
    again = f" [yellow]attempt {step.attempt}[/]" if step.attempt > 1 and step.state == "failed" else ""
    note = f" [dim]{escape(harmless(step.note))}[/]" if step.note else ""
    return f"{_SIGNS.get(step.state, '[cyan]▸[/]')} {escape(step.sentence)} [dim]({step.service})[/]{took}{again}{note}"


def _count(resources: Sequence[StackResource]) -> str:
    complete = sum(resource.status.endswith("_COMPLETE") for resource in resources)
    return f"{complete} of {len(resources)} resources complete"


def _resource_table(resources: Sequence[StackResource]) -> Table:
    """Those that Heat works on, the rest as a count."""
    table = Table.grid(padding=(0, 2))
    table.add_row(f"[dim]Heat: {_count(resources)}[/]")
    busy = [resource for resource in resources if not resource.status.endswith("_COMPLETE")]
    for resource in busy[:_SHOWN_RESOURCES]:
        table.add_row(f"[cyan]{escape(resource.name)}[/]", f"[dim]{escape(resource.type)}[/]", escape(resource.status))
    if len(busy) > _SHOWN_RESOURCES:
        table.add_row(f"[dim]and {len(busy) - _SHOWN_RESOURCES} more[/]")
    return table


def _figure(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"
