"""`kindred models list` and `verify`; `pull` and `import` are in pulling.py."""

from __future__ import annotations

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
