"""Copies: those of holdout and failure photos are left out, near copies of each other stay on one side of a split."""
