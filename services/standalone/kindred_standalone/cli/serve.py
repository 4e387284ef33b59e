"""`kindred serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kindred_standalone.cli.options import DataDirOption, directory

if TYPE_CHECKING:
    from kindred_standalone.datadir import DataDirectory


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="A loopback address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 8080,
    data_dir: DataDirOption = None,
) -> None:
    """Serve the HTTP API and the search page until Ctrl-C; requests in flight end first.

    Other kindred commands on the same data directory go through this process meanwhile.
    """
    from kindred_standalone.cli.running import run
    from kindred_standalone.listening import require_loopback

    require_loopback(host)
    run(_serve(directory(context, data_dir), host, port))


async def _serve(where: DataDirectory, host: str, port: int) -> None:
    from kindred_kit.lifecycle import wait_for_signal
    from kindred_standalone.cli.running import err
    from kindred_standalone.connect import own
    from kindred_standalone.listening import listen
    from kindred_standalone.settings import StandaloneSettings

    where.create()
    with listen(host, port) as listener:
        ownership = await own(where, "serve", on_wait=lambda text: err.print(text, markup=False))
        from kindred_standalone.compose import Standalone  # seconds: not before a refusal

        async with Standalone(ownership, StandaloneSettings(), listener=listener) as standalone:
            err.print(f"Kindred serves {standalone.info.url} - Ctrl-C ends it.", markup=False)
            await wait_for_signal()
            err.print("Stopping; requests in flight end first.")
