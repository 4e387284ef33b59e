"""Mechanism that Kindred's services share: ports and adapters, gRPC, telemetry, imaging. It imports no service."""
