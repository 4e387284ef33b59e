"""Mechanism that Kindred's services share: ports and adapters, gRPC, telemetry, imaging. No service is imported here."""
