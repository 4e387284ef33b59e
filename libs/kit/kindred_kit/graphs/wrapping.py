"""A publisher's graph with nodes of ours before its inputs and after its outputs."""

from __future__ import annotations

import onnx
from onnx import helper

from kindred_kit.graphs.builder import GraphBuilder
from kindred_kit.graphs.published import opset_of


class Wrapping:
    """`before` makes the publisher's inputs, `after` reads its outputs; what they take and give are the new ones."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        opset = opset_of(model)
        self.before = GraphBuilder("before/", opset)
        self.after = GraphBuilder("after/", opset)

    def feed(self, value: str, published_input: str) -> None:
        """Let a value of `before` be an input of the publisher's."""
        self.before.nodes.append(helper.make_node("Identity", [value], [published_input]))

    def finish(self, name: str) -> onnx.ModelProto:
        """The whole graph; the publisher's model is used up."""
        graph = self._model.graph
        nodes = [*self.before.nodes, *graph.node, *self.after.nodes]
        weights = [*self.before.initializers, *self.after.initializers]
        del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
        graph.node.extend(nodes)
        graph.initializer.extend(weights)
        graph.input.extend(self.before.inputs)
        graph.output.extend(self.after.outputs)
        graph.name = name
        return self._model
