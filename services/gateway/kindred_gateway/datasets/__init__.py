"""Data sets over HTTP: the order, its answer, the download."""
