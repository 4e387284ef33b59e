"""All commands, and the last resort for errors: one clear line and what to do, never a traceback."""

from __future__ import annotations

import sys

import typer

from kindred_standalone.cli import (
    dataset,
    demo,
    dlq,
    doctor,
    images,
    index,
    ingest,
    label,
    labels,
    models,
    operate,
    relabel,
    search,
    serve,
    takedown,
)
from kindred_standalone.cli.failure import say
from kindred_standalone.cli.options import GlobalDataDirOption, remember

app = typer.Typer(
    name="kindred",
    help="Find images like the ones you have: by text, by image, by label. Your photos stay where they are.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _all(context: typer.Context, data_dir: GlobalDataDirOption = None) -> None:
    remember(context, data_dir)


app.command("index")(index.index)
app.command("ingest")(ingest.ingest)
app.command("label")(label.label)
app.command("search")(search.search)
app.command("show")(images.show)
app.command("rm")(images.rm)
app.command("takedown")(takedown.takedown)
app.command("doctor")(doctor.doctor)
app.command("status")(operate.status)
app.command("reindex")(operate.reindex)
app.command("relabel")(relabel.relabel)
app.command("serve")(serve.serve)
app.add_typer(dataset.app, name="dataset")
app.add_typer(dlq.app, name="dlq")
app.add_typer(labels.app, name="labels")
app.add_typer(models.app, name="models")
app.command("demo")(demo.demo)


def main() -> None:
    """Entry point of `kindred`."""
    # Names of files need not fit the terminal's encoding.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except Exception as error:
        sys.exit(say(error))
