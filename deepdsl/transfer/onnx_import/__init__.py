"""Reads ONNX files of other programs, and turns pieces of them into layers of the language.

`open_onnx(path, shown, span=None)` gives an `OnnxFile`, which is an analysis.library.Library, or
raises DnnError with a diagnostic at `span`:

    file = open_onnx("resnet18.onnx", "resnet18.onnx")
    file.inputs     # (Port(name="input", shape=(None, 3, 224, 224), dtype="float32"),)
    file.outputs    # (Port(name="logits", shape=(None, 1000), dtype="float32"),)
    file.places()   # (Place(tensor="/conv1/Conv_output_0", shape=(None, 64, 112, 112), depth=1,
                    #        parameters=9408, operator="Conv", node="/conv1/Conv"), …)
    file.piece([Type(("N", 3, 224, 224))], Cut(until="/avgpool/GlobalAveragePool_output_0"), span)
                    # Imported: a Model in layers of ours, its weights, and their names in the file

`places()` has only tensors that every path from the inputs to the outputs goes through, in the
order of the flow: there the graph is a single flow, and can be cut with `until=` or `from=`.  A
shape is None where it is not known, a size None where it is free.  `depth` counts the operators on
the longest way to the tensor, `parameters` the numbers of all weights before it.

`kept()` is the file with its external weights inside, as a run keeps it, `sha256` that of it.

With `emit`, which writes, this package is the only importer of onnx; it is itself imported only
where a file is used.
"""

from deepdsl.transfer.onnx_import.cut_points import CutPoint
from deepdsl.transfer.onnx_import.file import OnnxPort
from deepdsl.transfer.onnx_import.open import OnnxFile, open_onnx

__all__ = ["CutPoint", "OnnxFile", "OnnxPort", "open_onnx"]
