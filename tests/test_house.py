"""The rules of the house, kept by a test so that nobody has to remember them."""

import ast
import inspect
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import octoplex.wire.error as errors

HOUSE = Path(errors.__file__).parents[1]
ROOT = Path(__file__).parents[1]
MODULES = sorted(HOUSE.rglob("*.py"))
ALL_PYTHON = MODULES + sorted(ROOT.glob("tests/**/*.py")) + sorted(ROOT.glob("bench/*.py"))

# Who may import whom. A room that is not listed here does not exist.
MAY_IMPORT: dict[str, set[str]] = {
    "wire": set(),
    "telemetry": {"wire"},
    "catalog": {"wire", "telemetry"},
    "transport": {"wire", "telemetry"},
    "ledger": {"wire", "telemetry", "catalog"},
    "secrets": {"wire", "transport"},
    "dialects": {"wire", "catalog"},
    "upstreams": {"wire", "telemetry", "catalog", "transport", "secrets", "ledger", "dialects"},
    "reflex": {"wire", "telemetry", "catalog", "ledger"},
    "routing": {"wire", "telemetry", "catalog", "upstreams"},
    "optimizer": {"wire", "ledger", "reflex", "routing"},
    "sandbox": {"wire", "transport"},
    "agents": {
        "wire",
        "telemetry",
        "catalog",
        "transport",
        "ledger",
        "dialects",
        "reflex",
        "sandbox",
    },
    "settings": {
        "wire",
        "catalog",
        "transport",
        "secrets",
        "ledger",
        "upstreams",
        "reflex",
        "routing",
        "optimizer",
        "sandbox",
        "agents",
    },
    "gateway": {
        "wire",
        "telemetry",
        "catalog",
        "transport",
        "secrets",
        "ledger",
        "dialects",
        "upstreams",
        "reflex",
        "routing",
        "optimizer",
        "sandbox",
        "agents",
        "settings",
        "assembly",
    },
}
MAY_IMPORT["assembly"] = MAY_IMPORT["gateway"] - {"assembly"}  # compiles what gateway.py joins
MAY_IMPORT["jobs"] = MAY_IMPORT["gateway"] | {"gateway"}
MAY_IMPORT["server"] = MAY_IMPORT["jobs"] | {"jobs"}
MAY_IMPORT["client"] = MAY_IMPORT["gateway"] | {"gateway"}
MAY_IMPORT["cli"] = MAY_IMPORT["server"] | {"server", "client"}

FORBIDDEN_NAMES = re.compile(
    r"(Manager|Handler|Helper|Util|Utils|Base|Abstract|Impl|Factory|Info|Data|Misc)(?![a-z])"
)
SCOPES = {"timeout", "timeout_at", "TaskGroup"}
MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def called(scope: ast.AsyncWith) -> set[str]:
    calls = [i.context_expr.func for i in scope.items if isinstance(i.context_expr, ast.Call)]
    return {getattr(f, "attr", getattr(f, "id", "")) for f in calls}


def rooms_imported(tree: ast.Module) -> set[str]:
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    froms = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    names += [f"{n.module}.{a.name}" for n in froms for a in n.names]
    parts = [n.split(".") for n in names if n.startswith("octoplex.")]
    return {p[1] for p in parts if p[1] in MAY_IMPORT}


def test_the_rooms_form_no_circle() -> None:
    assert list(TopologicalSorter(MAY_IMPORT).static_order())


def test_every_room_is_on_the_floor_plan() -> None:
    found = {room(p) for p in MODULES} - {"__init__", "__main__"}
    assert found <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_imports_only_earlier_rooms(path: Path) -> None:
    if path.parent == HOUSE and path.name in {"__init__.py", "__main__.py"}:
        return
    stray = rooms_imported(ast.parse(path.read_text())) - MAY_IMPORT[room(path)] - {room(path)}
    assert not stray, f"{room(path)} may not import {sorted(stray)}"


@pytest.mark.parametrize("path", ALL_PYTHON, ids=name)
def test_sizes(path: Path) -> None:
    source = path.read_text()
    assert source.count("\n") <= 500, "split this module"
    for node in functions(ast.parse(source)):
        assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is too long"


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    args = [a.arg for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
    return len([a for a in args if a not in {"self", "cls"}])


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_shape_of_code(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "say what this module is for"
    for node in functions(tree):
        assert parameters(node) <= 6, f"{node.name} takes too many parameters"
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Global), f"line {node.lineno}: no global state"
        if isinstance(node, ast.AsyncWith) and SCOPES & called(node):
            spans = any(isinstance(n, ast.Yield) for n in ast.walk(node))
            assert not spans, f"line {node.lineno}: a scope around a yield cancels the consumer"
        if isinstance(node, ast.ClassDef):
            assert not FORBIDDEN_NAMES.search(node.name), f"{node.name} says nothing"
            assert len(node.bases) <= 2
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            raise AssertionError(f"line {node.lineno}: TYPE_CHECKING hides a cycle")


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_mutable_module_state(path: Path) -> None:
    """A module-level list, dict or set must be a constant by name and never be changed."""
    tree = ast.parse(path.read_text())
    mutable = set()
    for node in tree.body:
        value = getattr(node, "value", None)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(value, MUTABLE):
            names = {t.id for t in targets if isinstance(t, ast.Name)} - {"__all__"}
            assert all(n.lstrip("_").isupper() for n in names), f"{names} is mutable state"
            mutable |= names
    for node in ast.walk(tree):
        stores = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del)
        if stores and isinstance(node.value, ast.Name):
            assert node.value.id not in mutable, f"line {node.lineno} changes {node.value.id}"


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py"], ids=name)
def test_packages_hold_only_a_docstring_and_exports(path: Path) -> None:
    allowed = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign)
    for node in ast.parse(path.read_text()).body:
        is_lazy_export = isinstance(node, ast.FunctionDef) and node.name == "__getattr__"
        assert isinstance(node, allowed) or is_lazy_export, f"line {node.lineno}: move this out"


def depth(cls: type) -> int:
    own = [b for b in cls.__mro__ if b.__module__.startswith("octoplex")]
    return len(own)


def test_inheritance_is_shallow() -> None:
    for sub in [c for d in errors.GatewayError.__subclasses__() for c in d.__subclasses__()]:
        assert depth(sub) <= 3
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, ast.ClassDef) or len(node.bases) <= 2, node.name


def test_only_settings_reads_the_environment() -> None:
    readers = [p for p in MODULES if re.search(r"os\.(environ|getenv)", p.read_text())]
    assert [name(p) for p in readers] in ([], ["src/octoplex/settings.py"])


def test_nothing_swallows_cancellation() -> None:
    """`except BaseException` and `except CancelledError` must raise again or say why not."""
    for path in MODULES:
        source = path.read_text()
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.ExceptHandler) or node.type is None:
                continue
            if not re.search(r"BaseException|CancelledError", ast.dump(node.type)):
                continue
            raises = any(isinstance(n, ast.Raise) for n in ast.walk(node))
            reason = "#" in lines[node.lineno - 1]
            assert raises or reason, f"{name(path)}:{node.lineno} swallows cancellation"


def test_the_error_tree_is_the_documented_one() -> None:
    def draw(cls: type[errors.GatewayError], depth: int = 0) -> list[tuple[int, str]]:
        below = [row for sub in cls.__subclasses__() for row in draw(sub, depth + 1)]
        return [(depth, cls.__name__), *below]

    lines = inspect.cleandoc(errors.__doc__ or "").split("\n\n")[1].splitlines()
    drawn = [((len(line) - len(line.lstrip())) // 2, line.split()[0]) for line in lines]
    assert drawn == draw(errors.GatewayError)


def test_documented_statuses_are_the_real_ones() -> None:
    for line in inspect.cleandoc(errors.__doc__ or "").split("\n\n")[1].splitlines():
        words = line.split()
        if len(words) > 1 and words[1].isdigit():
            assert getattr(errors, words[0]).status == int(words[1]), words[0]


def test_error_codes_are_unique() -> None:
    leaves = [c for d in errors.GatewayError.__subclasses__() for c in d.__subclasses__()]
    codes = [c.code for c in leaves]
    assert len(codes) == len(set(codes))
