"""What nn_export_onnx writes, in ONNX's checker and in onnxruntime. Run from the repository root.

    onnx_files.py FLOAT DOUBLE [SEED]   runs the two builds of interop.c; `make interop` does it

Random models of every activation, with and without images and scaling, are exported. Each file must
pass onnx.checker, must be as short as the format allows, and must give the outputs of nn_predict in
onnxruntime. Its graph is also computed here with more digits. Both outputs must agree with that up
to the rounding errors of the type: see Rounding. Needs onnx and onnxruntime. The last line is
"onnx: N passed, M failed".
"""

import math
import os
import random
import subprocess
import sys

import numpy
import onnx
import onnx.checker
import onnx.numpy_helper
import onnxruntime

FOLDER = "build/interop-files"
HIDDEN = ["linear", "relu", "leaky_relu", "sigmoid", "tanh", "elu", "silu", "gelu", "softplus"]
SCALINGS = ["none", "standard", "min-max"]
ROWS = 48  # interop.c takes 64
# What onnxruntime does not have for double.
MISSING = {"Erf", "Conv", "AveragePool", "GlobalAveragePool"}

counts = {True: 0, False: 0}
worst = {}


def check(good, what):
    counts[bool(good)] += 1
    if not good:
        print(f"FAILED {what}")
    return bool(good)


class Rounding:
    """Computes a graph with more digits, and with each value a bound of the error that the same
    computation has in float or double, to first order. unit is half the distance from 1 to the
    next number.

      + - * /     one rounding: unit |y|
      Gemm        sums of n products: (1 + sqrt(n)) unit (|x| |W| + |b|). The roundings are taken
                  as independent (Higham and Mary 2019, "A new approach to probabilistic rounding
                  error analysis"); in the worst case n would stand in place of its root.
      Conv        the same, n being the numbers of a patch
      averages    sums of n numbers, then one division or a product with the rounded 1 / n
      functions   8 unit |y|: 4 to 8 units in the last place. In onnxruntime's sigmoid, and in most
                  of its functions in float, the absolute error does not get smaller with y: there
                  values below 1 count as 1.
    An error of an input is multiplied by the derivative."""

    def __init__(self, dtype):
        self.unit = numpy.finfo(dtype).eps / 2
        self.exact = numpy.float64 if dtype == numpy.float32 else numpy.longdouble
        self.least = 1 if dtype == numpy.float32 else 0
        self.tiny = numpy.finfo(dtype).tiny  # results below may be 0

    def rounded(self, y, error):
        return y, error + self.unit * abs(y) + self.tiny

    def function(self, y, error, least=0):
        return y, error + 8 * self.unit * numpy.maximum(abs(y), max(least, self.least)) + self.tiny

    def apply(self, node, inputs):
        attributes = {attribute.name: list(attribute.ints) for attribute in node.attribute}
        with numpy.errstate(under="ignore", over="ignore"):
            return getattr(self, node.op_type)(*inputs, **attributes)

    def Add(self, a, b):
        return self.rounded(a[0] + b[0], a[1] + b[1])

    def Sub(self, a, b):
        return self.rounded(a[0] - b[0], a[1] + b[1])

    def Mul(self, a, b):
        return self.rounded(a[0] * b[0], abs(a[0]) * b[1] + abs(b[0]) * a[1])

    def Div(self, a, b):
        return self.rounded(a[0] / b[0], a[1] / abs(b[0]))

    def Gemm(self, a, w, b):
        size = abs(a[0]) @ abs(w[0]) + abs(b[0])
        return (a[0] @ w[0] + b[0], a[1] @ abs(w[0]) + self.tiny
                + (1 + math.sqrt(len(w[0]))) * self.unit * size)

    def Reshape(self, a, shape):
        size = [int(n) or a[0].shape[i] for i, n in enumerate(shape[0])]
        return a[0].reshape(size), numpy.broadcast_to(a[1], a[0].shape).reshape(size)

    def Transpose(self, a, perm):
        return a[0].transpose(perm), a[1].transpose(perm)

    def Flatten(self, a):
        return a[0].reshape(len(a[0]), -1), a[1].reshape(len(a[0]), -1)

    def patches(self, a, kernel_shape, strides, pads=(0, 0, 0, 0)):
        """Of images [batch x channels x height x width], their patches as dimensions 4 and 5."""
        top, left, bottom, right = pads
        padded = numpy.pad(a, ((0, 0), (0, 0), (top, bottom), (left, right)))
        view = numpy.lib.stride_tricks.sliding_window_view(padded, kernel_shape, (2, 3))
        return view[:, :, ::strides[0], ::strides[1]]

    def Conv(self, a, w, b, **how):
        def product(x, w, b):
            return numpy.einsum("bcijmn,ocmn->boij", self.patches(x, **how), w) + b[:, None, None]

        y, size = product(a[0], w[0], b[0]), product(abs(a[0]), abs(w[0]), abs(b[0]))
        n = math.prod(w[0].shape[1:])
        return y, (product(a[1], abs(w[0]), 0 * b[0]) + self.tiny
                   + (1 + math.sqrt(n)) * self.unit * size)

    def MaxPool(self, a, **how):
        y, error = (self.patches(v, **how).max((4, 5)) for v in a)
        return y, error + self.tiny

    def AveragePool(self, a, **how):
        y, error, size = (self.patches(v, **how).mean((4, 5)) for v in (*a, abs(a[0])))
        n = math.prod(how["kernel_shape"])
        return self.rounded(y, error + (2 + math.sqrt(n)) * self.unit * size)

    def GlobalAveragePool(self, a):
        return self.AveragePool(a, kernel_shape=a[0].shape[2:], strides=[1, 1])

    def Max(self, a, b):
        return numpy.maximum(a[0], b[0]), numpy.maximum(a[1], b[1])

    def Min(self, a, b):
        return numpy.minimum(a[0], b[0]), numpy.maximum(a[1], b[1])

    def Neg(self, a):
        return -a[0], a[1]

    def Relu(self, a):
        return numpy.maximum(a[0], 0), a[1]

    def LeakyRelu(self, a):  # the default of alpha is 0.01 in float
        alpha = self.exact(numpy.float32(0.01))
        return self.rounded(numpy.where(a[0] > 0, a[0], alpha * a[0]), a[1])

    def Exp(self, a):
        return self.function(numpy.exp(a[0]), numpy.exp(a[0]) * a[1])

    def Log(self, a):
        return self.function(numpy.log(a[0]), a[1] / a[0])

    def Sigmoid(self, a):
        y = 1 / (1 + numpy.exp(-a[0]))
        return self.function(y, y * (1 - y) * a[1], 1)

    def Tanh(self, a):
        y = numpy.tanh(a[0])
        return self.function(y, (1 - y * y) * a[1])

    def Erf(self, a):
        y = numpy.vectorize(math.erf, otypes=[self.exact])(a[0])
        return self.function(y, 2 / math.sqrt(math.pi) * numpy.exp(-a[0] * a[0]) * a[1])

    def IsNaN(self, a):
        return numpy.isnan(a[0]), 0

    def Where(self, a, b, c):
        return numpy.where(a[0], b[0], c[0]), numpy.where(a[0], b[1], c[1])

    def Elu(self, a):
        return self.function(numpy.where(a[0] > 0, a[0], numpy.expm1(numpy.minimum(a[0], 0))),
                             numpy.exp(numpy.minimum(a[0], 0)) * a[1])

    def Softplus(self, a):
        return self.function(numpy.maximum(a[0], 0) + numpy.log1p(numpy.exp(-abs(a[0]))),
                             a[1] / (1 + numpy.exp(-a[0])))

    def Softmax(self, a):
        z, error = self.Sub(a, (a[0].max(1, keepdims=True), 0))
        y = numpy.exp(z)
        y /= y.sum(1, keepdims=True)
        error = error + (y * error).sum(1, keepdims=True) + math.sqrt(y.shape[1]) * self.unit
        return self.function(y, y * error)

    def run(self, graph, x):
        """y and the bound of its error."""
        values = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
        values[graph.input[0].name] = x
        values = {name: (v.astype(self.exact), numpy.zeros(v.shape)) for name, v in values.items()}
        for node in graph.node:
            values[node.output[0]] = self.apply(node, [values[name] for name in node.input])
        y, error = values[graph.output[0].name]
        return y, error + self.tiny  # also where nothing is rounded, as in a net of MaxPool alone


def run_runtime(content, x, optimised):
    """onnxruntime's outputs; None where it does not have an operator for this type."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(content, options,
                                               providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        return None
    return session.run(None, {"x": x})[0]


def shape_of(value):
    tensor = value.type.tensor_type
    return (value.name, tensor.elem_type, [d.dim_param or d.dim_value for d in tensor.shape.dim])


def inputs_of(spec):
    return math.prod(int(n) for n in spec.split(",")[0].split("x"))


def check_format(content, model, spec, dtype, outputs):
    """What the checker and the format say; the name and the type of what goes in and out."""
    try:
        onnx.checker.check_model(model, full_check=True)
        check(True, spec)
    except Exception as error:  # the checker has several
        check(False, f"{spec}: {error}")
    model.DiscardUnknownFields()
    check(len(model.SerializeToString()) == len(content), f"{spec}: {len(content)} bytes")
    real = onnx.helper.np_dtype_to_tensor_dtype(numpy.dtype(dtype))
    widths = inputs_of(spec), outputs
    graph = model.graph
    check([shape_of(v) for v in graph.input] == [("x", real, ["batch", widths[0]])], f"{spec}: x")
    check([shape_of(v) for v in graph.output] == [("y", real, ["batch", widths[-1]])], f"{spec}: y")
    notes = [(pair.key, pair.value) for pair in model.metadata_props if pair.key != "recipe"]
    check(notes == [("note", 'caf\u00e9,\n"quoted"')], f"{spec}: metadata {notes}")
    check(model.producer_name == "nn.h" and model.producer_version, f"{spec}: producer")


def check_close(got, expected, bound, what):
    """Nowhere further apart than the bound; the share of it that is used up is reported."""
    if not check(got.shape == expected.shape and numpy.isfinite(got).all(), f"{what}: numbers"):
        return
    used = float((abs(got - expected) / bound).max())
    key = what.split(":")[0]
    worst[key] = max(worst.get(key, 0), used)
    check(used <= 1, f"{what}: {used:.3g} times the bound of the rounding errors")


def check_model(program, dtype, spec, scaling, x, seed):
    path = f"{FOLDER}/{os.path.basename(program)}.onnx"
    text = "\n".join(" ".join(repr(float(v)) for v in row) for row in x)
    done = subprocess.run([program, "onnx", path, spec, scaling, str(seed)], input=text,
                          stdout=subprocess.PIPE, text=True, timeout=60)
    what = f"{dtype.__name__}, {spec}, {scaling}, seed {seed}"
    if not check(done.returncode == 0, f"{what}: {done.stdout}"):
        return
    predicted = numpy.array([[float(v) for v in line.split()[1:]]
                             for line in done.stdout.splitlines()], dtype)
    with open(path, "rb") as file:
        content = file.read()
    model = onnx.load_from_string(content)
    check_format(content, model, spec, dtype, predicted.shape[1])
    nodes = [node.op_type for node in model.graph.node]
    imputed = nodes[:2] == ["IsNaN", "Where"]
    check(imputed == (scaling == "min-max"), f"{what}: missing numbers")
    scaled = nodes[2 * imputed:][:2] == ["Sub", "Mul"]
    check(scaled == (scaling != "none"), f"{what}: scaling")
    unscaled = nodes[-2:] == ["Div", "Add"]
    check(unscaled == (scaling == "standard" and "softmax" not in spec), f"{what}: target scaling")

    expected, bound = Rounding(dtype).run(model.graph, x)
    check_close(predicted, expected, bound, f"{dtype.__name__} nn_predict: {what}")
    for optimised in True, False:
        got = run_runtime(content, x, optimised)
        if got is None:
            check(dtype == numpy.float64 and MISSING & set(nodes), f"{what}: not implemented")
            continue
        check(got.dtype == dtype, f"{what}: type")
        check_close(got, expected, bound, f"{dtype.__name__} onnxruntime: {what}")
        check_close(got, predicted, 2 * bound, f"{dtype.__name__} both: {what}")
        one = run_runtime(content, x[:1], optimised)
        check(one.shape == got[:1].shape, f"{what}: one row")
        if imputed:  # input i, from 1 on, is i / 2 where it is missing
            missing = numpy.random.default_rng(seed).random(x.shape) < 0.3
            means = numpy.arange(1, x.shape[1] + 1, dtype=dtype) / 2
            filled, holes = (numpy.where(missing, v, x).astype(dtype) for v in (means, numpy.nan))
            same = run_runtime(content, filled, optimised) == run_runtime(content, holes, optimised)
            check(same.all(), f"{what}: missing numbers are not the means")


def random_spec(source):
    layers = [f"{source.randint(1, 40)}:{source.choice(HIDDEN)}"
              for _ in range(source.randint(0, 4))]
    last = source.choice(HIDDEN + ["softmax"])
    return ",".join([str(source.randint(1, 40)), *layers, f"{source.randint(2, 20)}:{last}"])


def random_image_spec(source, flat):
    """A net with an image, of height 1 if flat. Its layers are within the 512 of interop.c."""
    size = [1 if flat else source.randint(1, 8), source.randint(1, 10)]
    layers = ["{}x{}x{}".format(*size, source.randint(1, 4))]
    for _ in range(source.randint(0, 4)):
        kind = source.choice(["conv", "conv", "max", "average"])
        same = kind == "conv" and source.random() < 0.5
        window = [source.randint(1, 4 if same and n > 1 else min(n, 4)) for n in size]
        stride = [source.randint(1, 3) for _ in size]
        size = [(n - 1) // s + 1 if same else (n - w) // s + 1
                for n, w, s in zip(size, window, stride)]
        form = "{}x{}s{}x{}".format(*window, *stride)
        layers.append(f"{kind}{form}" if kind != "conv" else
                      f"{source.randint(1, 6)}k{form}{'same' if same else 'none'}:"
                      f"{source.choice(HIDDEN)}")
    if len(layers) == 1 or source.random() < 0.3:
        layers.append("global")
    layers += [f"{source.randint(2, 20)}:{source.choice(HIDDEN + ['softmax'])}"
               for _ in range(source.randint(0, 1))]
    return ",".join(layers)


def main():
    if len(sys.argv) not in (3, 4):
        print(__doc__)
        return 2
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    source = random.Random(seed)
    numbers = numpy.random.default_rng(seed)
    os.makedirs(FOLDER, exist_ok=True)
    for program, dtype in (sys.argv[1], numpy.float32), (sys.argv[2], numpy.float64):
        # Each activation alone, near 0 and to where exp overflows.
        for width in 5, 60, 1000:
            x = numpy.linspace(-width, width, ROWS).reshape(ROWS, 1).astype(dtype)
            for activation in HIDDEN + ["softmax"]:
                check_model(program, dtype, f"1,9:{activation}", "none", x, seed)
        # Columns of different means and widths, which scaling makes equal.
        for i in range(100):
            spec = random_spec(source) if i < 40 else random_image_spec(source, i % 4 == 0)
            scaling = SCALINGS[i % 3]
            x = numbers.standard_normal((ROWS, inputs_of(spec)))
            if scaling != "none":
                x *= numbers.uniform(0.01, 100, x.shape[1])
                x += numbers.uniform(-50, 50, x.shape[1])
            check_model(program, dtype, spec, scaling, x.astype(dtype), source.randint(1, 1000000))
    for key, used in worst.items():
        print(f"{key}: at most {used:.2f} of the bound")
    print(f"onnx: {counts[True]} passed, {counts[False]} failed")
    return 1 if counts[False] or not counts[True] else 0


if __name__ == "__main__":
    sys.exit(main())
