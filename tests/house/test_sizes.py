"""Small files, small functions, a docstring in every module, and nothing left undone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.house.tree import PRODUCT, text, with_suffix

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
LONGEST_AGENT = 250
"""The node agent runs on other people's machines: it must be read in one sitting."""

UNDONE = re.compile(r"\b(TODO|FIXME|NotImplementedError)\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef

MODULES = with_suffix(".py")


def test_files_are_small() -> None:
    long = {str(path): _lines(path) for path in with_suffix(".py", ".sh", ".sql") if _lines(path) > LONGEST_FILE}
    golden = {name for name in long if name.startswith("tests/data/")}
    assert {name: lines for name, lines in long.items() if name not in golden} == {}
    assert _lines(Path("shared/drivers/common/node_agent.sh")) <= LONGEST_AGENT


def test_functions_are_small() -> None:
    long = {
        f"{path}:{function.lineno} {function.name}": _length(function)
        for path in MODULES
        for function in _functions(path)
        if _length(function) > LONGEST_FUNCTION
    }
    assert long == {}


def test_every_module_says_what_it_is_for() -> None:
    """An empty `__init__.py` only marks a package."""
    silent = [str(path) for path in MODULES if text(path).strip() and ast.get_docstring(_tree(path)) is None]
    assert silent == []


def test_nothing_is_left_undone() -> None:
    undone = [
        f"{path}:{number}: {line.strip()}"
        for path in with_suffix(".py", ".sh", ".sql", ".yaml", ".yml", under=PRODUCT)
        for number, line in enumerate(text(path).splitlines(), 1)
        if UNDONE.search(line)
    ]
    assert undone == []


def test_no_function_of_the_product_is_a_stub() -> None:
    """A body of nothing but `pass` or `...` is a stub; only a protocol's methods may have one."""
    stubs = [
        f"{path}:{function.lineno} {function.name}"
        for path in with_suffix(".py", under=PRODUCT)
        for function in _implementations(path)
        if _is_stub(function)
    ]
    assert stubs == []


def test_the_medians(capsys: pytest.CaptureFixture[str]) -> None:
    """Figures for people, so that a drift is seen before a limit is met."""
    product = with_suffix(".py", under=PRODUCT)
    of_files = [_lines(path) for path in product if _lines(path)]
    of_functions = [_length(function) for path in product for function in _functions(path)]
    with capsys.disabled():
        print(
            f"\nproduct code: {len(of_files)} files, median {median(of_files):.0f} lines, longest {max(of_files)}; "
            f"{len(of_functions)} functions, median {median(of_functions):.0f} lines, longest {max(of_functions)}"
        )


def _lines(path: Path) -> int:
    return len(text(path).splitlines())


def _tree(path: Path) -> ast.Module:
    return ast.parse(text(path), str(path))


def _functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(_tree(path)) if isinstance(node, Function))


def _implementations(path: Path) -> Iterator[Function]:
    """The functions that are not a protocol's."""
    tree = _tree(path)
    promised = {
        id(node)
        for cls in ast.walk(tree)
        if isinstance(cls, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in cls.bases)
        for node in ast.walk(cls)
    }
    return (node for node in ast.walk(tree) if isinstance(node, Function) and id(node) not in promised)


def _length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _is_stub(function: Function) -> bool:
    body = [node for node in function.body if not (isinstance(node, ast.Expr) and _is_text(node.value))]
    return bool(body) and all(isinstance(node, ast.Pass) or _is_ellipsis(node) for node in body)


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _is_ellipsis(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...
