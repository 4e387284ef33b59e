"""Data sets: photos that are alike, their labels, split and packed for training."""
