"""nn.h for Python: neural networks with the same weights, to the last bit, on every machine.

    model = nn.Model(2, [nn.dense(8, "relu"), nn.dense(1, "sigmoid")], seed=1)
    history = model.fit(x, labels, loss="binary_cross_entropy", optimizer="adam", epochs=50)
    model.save("flowers.safetensors")

Arrays are float32 in row-major order; others are converted, which costs a copy. What is no number,
is not finite or has another shape is refused. Layers are made as by nn.h's macros. Options have the
names, ranges and defaults of nn_options. Enumerators are texts: NN_SCALE_MIN_MAX is "min_max".

Threads: a call releases Python's lock while it computes, but for callbacks. Any number may predict
with one model; its fit and evaluate wait for each other. A thread that predicts with a model or
saves it while another one trains it sees a mixture of old and new weights.
"""
from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from ctypes import byref, c_float, c_int, c_size_t, create_string_buffer, pointer
from os import PathLike
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
import numpy.typing as npt

from . import _c
from ._c import *

__version__ = _c.VERSION
__all__ = _c.__all__ + ["Model"]
Floats = npt.NDArray[np.float32]
_LISTS = ("dropout", "class_weights")
_OPTIONS = (*(n for n, kind in _c.nn_options.types().items() if kind in _c.NUMBERS), *_LISTS)
# In C, 0 means the default. Where that is not 0, Python's 0 becomes NN_ZERO (-1), or is refused.
_ZERO = ("beta1", "beta2", "alpha", "step_factor")
_NOT_ZERO = "epochs batch_size learning_rate epsilon plateau_patience huber_delta quantile".split()


def _array(values: npt.ArrayLike, name: str, shape: Tuple[int, ...], kind: Any = np.float32) -> Any:
    """The numbers in row-major order, without a copy if they are of the kind and so already."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"{name}: {type(values).__name__} of {array.dtype} is no array of numbers")
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {array.shape}, not {shape}")
    converted = np.require(array, kind, ["C", "A"])
    if kind is np.intc and not np.array_equal(array, converted):
        raise ValueError(f"{name} has numbers that are no int")
    return converted


class Model(AbstractContextManager["Model"]):
    """A network of `inputs` numbers and the layers, of which the last one gives the output;
    (8, "relu") is short for nn.dense(8, "relu"). The seed draws the parameters.
    Attributes: inputs, outputs, layers, backend (the kernels in use, such as "avx2")."""

    def __init__(self, inputs: int, layers: Sequence[Union[Layer, Tuple[int, str]]],
                 seed: int = 0) -> None:
        array, shape, handle = (_c.nn_layer * len(layers))(), _c.nn_shape(), _c.Handle()
        for struct, layer in zip(array, layers):
            struct.set(**(layer if isinstance(layer, Layer) else dense(*layer))._asdict())
        shape.set(inputs=inputs, layers=array, count=len(layers))
        _c.nn_options().set(seed=seed)  # which checks it
        _c.library.nn_check_shape(shape, pointer(c_int(-1)))
        _c.library.nn_model_create(byref(handle), inputs, array, len(layers), seed)
        self._adopt(handle)

    def _adopt(self, handle: _c.Handle) -> None:
        self._handle, self._lock, shape = handle, threading.RLock(), _c.nn_shape()
        _c.library.nn_get_shape(handle, shape)
        self.inputs: int = shape.inputs
        self.outputs: int = _c.library.nn_outputs(handle)
        self.layers = tuple(Layer(**layer.as_dict()) for layer in shape.layers[:shape.count])
        self.backend: str = _c.library.nn_backend(handle).decode()

    @classmethod
    def _loaded(cls, function: Any, *source: Any) -> Model:
        handle, model = _c.Handle(), cls.__new__(cls)
        function(byref(handle), *source, _c.nn_location())
        model._adopt(handle)
        return model

    @classmethod
    def load(cls, path: Union[str, PathLike[str]]) -> Model:
        """The model in a file that save wrote, here or in C."""
        return cls._loaded(_c.library.nn_load, _c.encoded(path))

    def save(self, path: Union[str, PathLike[str]]) -> None:
        """Writes a safetensors file, for PyTorch too. An old one stays until this one is whole."""
        _c.library.nn_save(self._handle, _c.encoded(path))

    @classmethod
    def from_bytes(cls, file: bytes) -> Model:
        """The model in the bytes of such a file."""
        return cls._loaded(_c.library.nn_load_memory, bytes(file), len(file))

    def to_bytes(self) -> bytes:
        """The bytes of such a file."""
        size = c_size_t()
        _c.library.nn_save_memory(self._handle, None, 0, byref(size))
        buffer = create_string_buffer(size.value)
        _c.library.nn_save_memory(self._handle, buffer, size, byref(size))
        return buffer.raw

    def __reduce__(self) -> Any:  # for pickle and copy
        return type(self).from_bytes, (self.to_bytes(),)

    def close(self) -> None:
        """Frees the model, as the end of `with` does; views of its parameters delay this."""
        self._handle = _c.Handle()

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def parameters(self) -> List[Floats]:
        """Views, which may be changed, of the weights [inputs x outputs] and biases [outputs] of
        each layer that has some: see nn_layer_arrays."""
        views, arrays, handle = [], _c.nn_layer_arrays(), self._handle
        for i in range(len(self.layers)):
            _c.library.nn_layer_parameters(handle, i, arrays)
            sizes = (arrays.inputs, arrays.outputs)
            for shape, start in ((sizes, arrays.weights), (sizes[1:], arrays.biases)):
                if start:
                    memory: Any = (c_float * int(np.prod(shape))).from_address(start)
                    memory.owner = handle
                    views.append(np.frombuffer(memory, np.float32).reshape(shape))
        return views

    def _data(self, x: npt.ArrayLike, y: Optional[npt.ArrayLike] = None,
              weight: Optional[npt.ArrayLike] = None, *, how: Any = None) -> Any:
        """nn_data over arrays, which it keeps."""
        data, first, rows = _c.nn_data(), self.layers[0], np.shape(x)[:1]
        image = first.kind == "image" and np.ndim(x) == 4
        row = (first.height, first.width, first.channels) if image else (self.inputs,)
        data.kept = {"x": _array(x, "x", rows + row)}
        if weight is not None:
            data.kept["weight"] = _array(weight, "weight", rows)
        if y is not None and np.ndim(y) == 1 and np.asarray(y).dtype.kind in "biu" and (
                self.outputs > 1 or how.as_dict()["loss"] == "binary_cross_entropy"):
            data.kept["labels"] = _array(y, "y", rows, np.intc)
            data.classes = max(2, self.outputs)
        elif y is not None:
            column = np.ndim(y) == 1 and self.outputs == 1
            data.kept["y"] = _array(y, "y", rows if column else rows + (self.outputs,))
        data.set(rows=rows[0], inputs=self.inputs, outputs=self.outputs,
                 **{name: array.ctypes.data for name, array in data.kept.items()})
        return data

    def _options(self, given: Dict[str, Any]) -> Any:
        options, lengths = _c.nn_options(), (len(self.layers), max(2, self.outputs))
        for name, value in given.items():
            if name not in _OPTIONS:
                raise TypeError(f"no option {name!r}; the options are {', '.join(_OPTIONS)}")
            if name in _LISTS and value is not None:
                value = (array := _array(value, name, (lengths[_LISTS.index(name)],))).ctypes.data
                setattr(options, f"{name}_array", array)  # which keeps it
            elif value == 0 and name in _NOT_ZERO or value == -1 and name in _ZERO:
                raise ValueError(f"{name} {value} is outside its range")
            if value is not None:
                options.set(**{name: -1 if value == 0 and name in _ZERO else value})
        return options

    def fit(self, x: npt.ArrayLike, y: npt.ArrayLike, *, weight: Optional[npt.ArrayLike] = None,
            validation: Any = None, callback: Optional[Callable[[Dict[str, Any]], object]] = None,
            **options: Any) -> npt.NDArray[Any]:
        """Trains, and returns the history: an array with the fields of nn_epoch.

        x [rows x inputs], or images [rows x height x width x channels]; y [rows x outputs], or
        [rows] for one output; classes are integers y [rows], from 0; weight [rows]: of each row.
        validation: (x, y) or (x, y, weight). callback: called after each epoch with the fields of
        nn_progress; True ends training. Of the options, dropout and class_weights are arrays."""
        how = self._options(options)
        errors: List[BaseException] = []
        data = self._data(x, y, weight, how=how)
        history = _c.nn_history(capacity=how.epochs or 100)
        epochs = (_c.nn_epoch * history.capacity)()
        history.epochs, how.history = epochs, pointer(history)
        if validation is not None:
            how.validation = pointer(self._data(*validation, how=how))

        def called(progress: Any, _: Any) -> int:
            try:
                return bool(interrupts.noted or callback and callback(progress.contents.as_dict()))
            except BaseException as error:
                errors.append(error)
                return 1

        if callback or not how.callback_batches:  # without a callback, nn.h refuses these
            how.callback = _c.nn_callback(called)
        with self._lock, _c.Interrupts() as interrupts:
            _c.library.nn_fit(self._handle, data, how)
        if errors:
            raise errors[0]
        return np.ctypeslib.as_array(epochs)[:history.count].copy()

    def predict(self, x: npt.ArrayLike) -> Floats:
        """The outputs [rows x outputs] for x as in fit."""
        data = self._data(x)
        y = np.empty((data.rows, self.outputs), np.float32)
        scratch = np.empty(_c.library.nn_scratch_size(self._handle, data.rows), np.uint8)
        _c.library.nn_predict_data(self._handle, data, y.ctypes.data, scratch.ctypes.data)
        return y

    def evaluate(self, x: npt.ArrayLike, y: npt.ArrayLike, *,
                 weight: Optional[npt.ArrayLike] = None, **options: Any) -> Dict[str, Any]:
        """The fields of nn_metrics, for data and options as in fit, the loss among them."""
        how, metrics = self._options(options), _c.nn_metrics()
        with self._lock:
            _c.library.nn_evaluate(self._handle, self._data(x, y, weight, how=how), how, metrics)
        return metrics.as_dict()
