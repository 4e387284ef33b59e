"""How many cores this process may use."""

import os


def available_cores() -> int:
    """By the process's affinity where the system tells it, else the machine's count; at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
