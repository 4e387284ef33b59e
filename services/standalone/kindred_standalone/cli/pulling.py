"""`kindred models pull` and `kindred models import`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kindred_standalone.cli.options import JsonOption

if TYPE_CHECKING:
    from kindred_kit.models import ModelManifest, ModelSet

AcceptOption = Annotated[
    bool, typer.Option("--accept-license", help="You have read and accept the licence of weights that ask for it.")
]


def pull(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME…", help="Models, or a profile such as clip: all that it needs.")
    ],
    accept_license: AcceptOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch weights from their publishers and make them ready to serve.

    A file has the SHA-256 that its model.yaml pins, or it is not kept. A download that was stopped goes on when the
    command is given again. KINDRED_MODEL_MIRROR is asked in the publishers' place.
    """
    from kindred_standalone.settings import StandaloneSettings

    settings = StandaloneSettings()
    models = _chosen(settings.load_models(), names)
    _require_acceptance(models, accepted=accept_license)
    with _stoppable():
        for model in models:
            _fetch(model, settings.model_mirror, quiet=as_json)
        _prepare(models, quiet=as_json)
    _say(models, as_json=as_json)


def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Publishers' files, under any name.")],
    accept_license: AcceptOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take weights from files, for a machine without a connection. A file is known by its SHA-256, or is refused."""
    from kindred_kit.models.pulling import import_file, models_of
    from kindred_standalone.settings import StandaloneSettings

    known = list(StandaloneSettings().load_models())
    taken: list[ModelManifest] = []
    with _stoppable():
        for file in files:
            found = models_of(known, file)
            _require_acceptance(found, accepted=accept_license)
            import_file(found, file)
            taken += found
        _prepare(taken, quiet=as_json)
    _say(taken, as_json=as_json)


def _chosen(models: ModelSet, names: Sequence[str]) -> list[ModelManifest]:
    """Of names of models, `-` for `_` allowed, and of profiles. Raises UsageError."""
    from kindred_standalone.errors import UsageError
    from kindred_standalone.text import printable

    profiles = {model.profile for model in models}
    found: dict[str, ModelManifest] = {}
    for name in names:
        if name in profiles:
            found |= {model.name: model for model in models.needed(name)}
        elif (own := name.replace("-", "_")) in models.models or name in models.models:
            model = models.models.get(name) or models.models[own]
            found[model.name] = model
        else:
            raise UsageError(
                f"no model or profile {printable(name)!r}; there are {', '.join(models.models)} "
                f"and the profiles {', '.join(sorted(profiles))}"
            )
    return list(found.values())


def _require_acceptance(models: Sequence[ModelManifest], *, accepted: bool) -> None:
    from kindred_kit.errors import LicenseNotAccepted

    asking = [model for model in models if model.license_acceptance and model.state == "not pulled"]
    if asking and not accepted:
        named = " and ".join(f"{model.name} ({model.license})" for model in asking)
        raise LicenseNotAccepted(f"the licence of {named} has to be accepted first: it binds who uses the weights")


def _fetch(model: ModelManifest, mirror: str, *, quiet: bool) -> None:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from kindred_kit.errors import ModelDownloadFailed
    from kindred_kit.models.pulling import pull as fetch
    from kindred_standalone.cli.running import err

    if model.source is None or model.state != "not pulled":
        return
    if not model.source.is_published:
        raise ModelDownloadFailed(f"nobody publishes {model.source.file_name}:  kindred models import FILE")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=err, transient=True, disable=quiet) as progress:
        task = progress.add_task(model.name, total=None)
        fetch(
            model.store,
            model.source,
            mirror,
            lambda done, total: progress.update(task, completed=done, total=total),
        )


def _prepare(models: Sequence[ModelManifest], *, quiet: bool) -> None:
    """Graphs of what is pulled: seconds each."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from kindred_kit.graphs.prepare import make_ready
    from kindred_standalone.cli.running import err

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet) as progress:
        for model in models:
            task = progress.add_task(f"Preparing {model.name}", total=None)
            make_ready(model)
            progress.remove_task(task)


def _say(models: Sequence[ModelManifest], *, as_json: bool) -> None:
    import orjson

    from kindred_standalone.cli.running import out
    from kindred_standalone.text import printable_path, size_text

    if as_json:
        rows = [{"name": model.name, "state": model.state, "onnx_path": str(model.onnx_path)} for model in models]
        typer.echo(orjson.dumps({"models": rows}).decode())
        return
    for model in models:
        where = printable_path(model.onnx_path)
        out.print(f"{model.name}: {model.state}, {size_text(model.size_bytes)}, {where}", markup=False, soft_wrap=True)


@contextmanager
def _stoppable() -> Iterator[None]:
    from kindred_standalone.cli.failure import INTERRUPTED
    from kindred_standalone.cli.running import err

    try:
        yield
    except KeyboardInterrupt:
        err.print("\nStopped. What came is kept; run the same command again to go on from there.")
        raise typer.Exit(INTERRUPTED) from None
