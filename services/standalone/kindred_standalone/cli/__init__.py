"""The `kindred` command line. Importing it is cheap: commands import what they need when they run."""

from kindred_standalone.cli.app import app, main

__all__ = ["app", "main"]
