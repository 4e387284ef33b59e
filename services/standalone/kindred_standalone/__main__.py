"""`python -m kindred_standalone` is `kindred`."""

from kindred_standalone.cli import main

main()
