"""Ports: what a service needs from the outside, in our own words. Adapters are in `kindred_kit.adapters`."""
