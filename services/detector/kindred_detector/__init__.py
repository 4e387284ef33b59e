"""Image -> labelled boxes: a gRPC service (its worker comes with models that do not share the embedder's pass)."""
