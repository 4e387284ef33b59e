"""The service's own database: data sets, their leases, and the checkpoints from which a build goes on."""
