import numpy as np
import pytest

from kindred.embedder.v1 import embedder_pb2
from kindred_kit.embeddings import embedding_message, embedding_vector
from kindred_kit.errors import InvalidArgument


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_vector_comes_back_as_float32(dtype: type) -> None:
    vector = np.array([0.5, -0.25, 1 / 3], dtype)
    there = embedder_pb2.Embedding.FromString(embedding_message(vector).SerializeToString())
    assert embedding_vector(there).dtype == np.float32
    assert embedding_vector(there).tolist() == vector.astype(np.float32).tolist()


def test_the_wire_is_that_of_a_packed_repeated_float() -> None:
    field, length = 0x0A, 8
    assert embedding_message(np.array([1, -2], np.float32)).SerializeToString() == bytes(
        [field, length, 0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]
    )


def test_bytes_that_are_no_floats_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="float32"):
        embedding_vector(embedder_pb2.Embedding(values=b"12345"))
