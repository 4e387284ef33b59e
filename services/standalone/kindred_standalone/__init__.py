"""The four services in one process, with the embedded adapters, and the `kindred` command line over them."""
