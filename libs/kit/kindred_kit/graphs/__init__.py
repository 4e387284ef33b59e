"""Publishers' ONNX files -> the graphs that Kindred serves.

Needs the `onnx` library, which nothing that serves imports: models are prepared once, when they are pulled.
"""
