"""Dynamically quantised graphs with their activations in float again; the weights stay the publisher's int8.

`onnxruntime.quantization.quantize_dynamic` scales the activations of a whole batch by its largest value, so that an
embedding changes with its neighbours. Each of its products

    A -> DynamicQuantizeLinear -> MatMulInteger (B int8) -> Cast -> Mul (scale of A x scale of B)

is one of the same int8 B with float A: MatMul(A, DequantizeLinear(B)). Decision record 0006.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from kindred_kit.errors import ModelInvalid
from kindred_kit.graphs.published import constants_of, keep_outputs

_PRODUCTS = {"MatMulInteger": "MatMul", "ConvInteger": "Conv"}
_DYNAMIC = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulIntegerToFloat"}


def float_activations(model: onnx.ModelProto) -> None:
    """Rewrite in place. Raises ModelInvalid where an activation stays that is scaled by its batch."""
    if not any(node.op_type in _DYNAMIC for node in model.graph.node):
        return
    rewriting = _Rewriting(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes += rewriting.instead_of(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    keep_outputs(model, {value.name for value in model.graph.output})
    left = [node for node in model.graph.node if node.op_type in _DYNAMIC]
    if left:
        raise ModelInvalid(
            f"the file scales activations by their batch in {len(left)} places that can't be made float "
            f"({left[0].op_type}): an embedding would change with its neighbours; take a file of another precision"
        )


class _Rewriting:
    def __init__(self, model: onnx.ModelProto) -> None:
        self._constants = constants_of(model)
        self._makers = {name: node for node in model.graph.node for name in node.output}

    def instead_of(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The last node of the pattern becomes a float product; those before it fall away as unused."""
        product = self._product(node)
        if product is None:
            return [node]
        (activation, scale_a), (weights, scale_b, zero_point) = self._operands(product, node)
        if not activation or not scale_a:
            return [node]
        per_channel = self._constants[scale_b].size > 1
        if per_channel and product.op_type == "ConvInteger":
            return [node]
        name = f"{node.output[0]}/weights"
        axis = self._constants[weights].ndim - 1 if per_channel else None  # make_node leaves None out
        points = [zero_point] if zero_point else []
        return [
            helper.make_node("DequantizeLinear", [weights, scale_b, *points], [name], axis=axis),
            self._float_product(product, activation, name, node.output[0]),
        ]

    def _product(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """MatMulInteger whose cast result `node` scales."""
        if node.op_type != "Mul":
            return None
        for name in node.input:
            cast = self._makers.get(name)
            if cast is not None and cast.op_type == "Cast" and cast.attribute[0].i == TensorProto.FLOAT:
                product = self._makers.get(cast.input[0])
                if product is not None and product.op_type in _PRODUCTS:
                    return product
        return None

    def _operands(
        self, product: onnx.NodeProto, scaled: onnx.NodeProto
    ) -> tuple[tuple[str, str], tuple[str, str, str]]:
        """(float activation, its scale), (int8 weights, their scale, their zero point or empty); empty: no match."""
        none = ("", ""), ("", "", "")
        quantised = self._makers.get(product.input[0])
        weights = product.input[1]
        if quantised is None or quantised.op_type != "DynamicQuantizeLinear" or weights not in self._constants:
            return none
        scale_a = quantised.output[1]
        for name in scaled.input:
            scales = self._makers.get(name)
            if scales is not None and scales.op_type == "Mul" and scale_a in scales.input:
                [scale_b] = [other for other in scales.input if other != scale_a] or [""]
                zero_point = product.input[3] if len(product.input) > 3 else ""
                if scale_b in self._constants and (not zero_point or zero_point in self._constants):
                    return (quantised.input[0], scale_a), (weights, scale_b, zero_point)
        return none

    @staticmethod
    def _float_product(product: onnx.NodeProto, activation: str, weights: str, output: str) -> onnx.NodeProto:
        node = helper.make_node(_PRODUCTS[product.op_type], [activation, weights], [output])
        node.attribute.extend(product.attribute)
        return node
