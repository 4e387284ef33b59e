"""`kindred models list`, `verify` and `repository`; `pull` and `import` are in pulling.py."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kindred_standalone.cli import pulling
from kindred_standalone.cli.options import JsonOption

app = typer.Typer(help="The models that embed and label.", no_args_is_help=True)
app.command("pull")(pulling.pull)
app.command("import")(pulling.import_)


@app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List the models of the repository: profile, space, licence, and whether their weights are here."""
    import orjson
    from rich.table import Table

    from kindred_standalone.cli.running import out
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.text import size_text

    models = StandaloneSettings().load_models()
    if as_json:
        fields = ("name", "version", "profile", "kind", "space", "dimension", "license", "label_set", "state")
        rows = [{name: getattr(model, name) for name in (*fields, "size_bytes")} for model in models]
        typer.echo(orjson.dumps({"models": rows}).decode())
        return
    table = Table()
    for column in ("model", "profile", "kind", "label set", "space", "size", "licence", "state"):
        table.add_column(column, overflow="fold")
    for model in models:
        name, size = f"{model.name}/{model.version}", size_text(model.size_bytes)
        cells = (model.profile, model.kind, model.label_set, model.space, size, model.license, model.state)
        table.add_row(name, *cells)
    out.print(table)


@app.command()
def verify(as_json: JsonOption = False) -> None:
    """Compare every model file that is here with its SHA-256; exit code 1 where one differs."""
    import orjson

    from kindred_kit.errors import ModelInvalid
    from kindred_standalone.cli.failure import FAILED
    from kindred_standalone.cli.running import out
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.text import printable

    problems: dict[str, str] = {}
    models = StandaloneSettings().load_models()
    for model in models:
        try:
            model.verify()
        except ModelInvalid as error:
            problems[model.name] = error.detail
    if as_json:
        rows = [
            {
                "name": model.name,
                "ok": model.name not in problems,
                "state": model.state,
                "detail": problems.get(model.name),
            }
            for model in models
        ]
        typer.echo(orjson.dumps({"models": rows}).decode())
    else:
        for model in models:
            said = problems.get(model.name) or ("as published" if model.state == "ready" else model.state)
            out.print(f"{model.name}: {printable(said)}", markup=False, soft_wrap=True)
    if problems:
        raise typer.Exit(FAILED)


class Runtime(StrEnum):
    """What executes the models of a repository; the values are `kindred_kit.triton.serving.TARGETS`."""

    tensorrt = "tensorrt"
    onnxruntime = "onnxruntime"
    python = "python"


@app.command()
def repository(
    target: Annotated[
        Runtime,
        typer.Option(
            help="tensorrt: plans, built on the node by deploy/triton/build_plans.py. onnxruntime: the ONNX files as "
            "they are. python: ONNX Runtime on CPUs in Triton's python backend."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write it; made if it is not there.")],
    profile: Annotated[
        str | None, typer.Option(help="Models of this profile. Default: KINDRED_PROFILE, else lite.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a model repository that Triton Inference Server serves.

    Models of the profile that are not pulled yet are left out and named.
    """
    import orjson

    from kindred_kit.models import pull_command
    from kindred_standalone.cli.running import err
    from kindred_standalone.cli.running import out as console
    from kindred_standalone.settings import StandaloneSettings
    from kindred_standalone.text import printable
    from kindred_standalone.triton_repository import write_repository

    settings = StandaloneSettings()
    written, missing = write_repository(settings.load_models(), profile or settings.profile, target.value, out)
    if as_json:
        rows = [{"name": entry.name, "needs_plan": entry.needs_plan} for entry in written]
        found = {"out": str(out), "target": target.value, "models": rows, "missing": [model.name for model in missing]}
        typer.echo(orjson.dumps(found).decode())
        return
    for entry in written:
        console.print(printable(f"{entry.name}: {entry.folder}"), markup=False)
    for model in missing:
        err.print(f"{model.name}: left out, not pulled yet; get it with:  {pull_command([model])}", markup=False)
    if any(entry.needs_plan for entry in written):
        console.print(
            "Build the plans on the machine that serves them:  deploy/triton/build_plans.py --help", markup=False
        )
