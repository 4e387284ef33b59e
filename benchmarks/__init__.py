"""Benchmarks: each module is one command (`python -m benchmarks.<name> --help`), prints a table and takes `--json`."""
