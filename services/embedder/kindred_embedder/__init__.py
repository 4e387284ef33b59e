"""Image and text -> embedding in one space: a gRPC service and a worker on the event bus."""
