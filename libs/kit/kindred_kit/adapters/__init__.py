"""Adapters of the ports: onnx (inference), sqlite_bus (bus), object_store and file_references (blobs)."""
