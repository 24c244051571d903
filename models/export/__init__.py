"""From checkpoints to a package."""

from models.export.evaluated import Evaluation, read_evaluation
from models.export.packaging import Said, export_package, read_levelled
from models.export.samples import likeness
from models.export.to_onnx import Parity, Served, export_onnx, folded, parity

__all__ = [
    "Evaluation",
    "Parity",
    "Said",
    "Served",
    "export_onnx",
    "export_package",
    "folded",
    "likeness",
    "parity",
    "read_evaluation",
    "read_levelled",
]
