"""The installed wheel: python_wheel.py PROGRAM, from the repository root; python.sh runs it.

PROGRAM is python.c, compiled: what it makes of the same data and options must be the same bytes.
Needs scikit-learn, pandas and safetensors. The last line is "python: N passed, N failed".
"""

import copy
import ctypes
import gc
import os
import pathlib
import pickle
import re
import resource
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings

os.environ["SCIPY_ARRAY_API"] = "1"  # before the imports: for a check of scikit-learn's

import nn
import numpy as np
import pandas as pd
from nn import _c
from nn.sklearn import NNClassifier, NNRegressor
from safetensors.numpy import load_file
from sklearn.base import clone
from sklearn.datasets import load_iris, make_regression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

PROGRAM = sys.argv[1]
HEADER = pathlib.Path("nn.h").read_text("ascii")
PUBLIC = re.sub(r"/\*.*?\*/", "", HEADER[:HEADER.index("Users stop here")], flags=re.S)
FOLDER = tempfile.TemporaryDirectory()


def raises(kind, text, call, *arguments, **options):
    """The call raises this kind of exception, with the text in its message."""
    try:
        call(*arguments, **options)
    except Exception as error:
        assert type(error) is kind, f"{type(error)} instead of {kind}: {error}"
        assert text in str(error), f"{error} does not say: {text}"
        return
    raise AssertionError(f"no {kind.__name__}: {text}")


def refused(status, call, *arguments, **options):
    """The call raises nn.Error with this status and the sentence of nn_status_text."""
    number = _c.ENUMS["nn_status"][status[3:].lower()]
    raises(nn.Error, _c.library.nn_status_text(number).decode(), call, *arguments, **options)


def same(a, b):
    """Of one shape and type, and the same to the last bit."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def small_model(seed=1):
    return nn.Model(3, [(4, "relu"), (2, "linear")], seed=seed)


def small_data(rows=20, seed=5):
    random = np.random.default_rng(seed)
    return (random.normal(size=(rows, 3)).astype(np.float32),
            random.normal(size=(rows, 2)).astype(np.float32))


# ---- What setup.py wrote -------------------------------------------------------------------------


def compiled(lines):
    """What a C program with these lines in its main prints, as a list of words for each line."""
    source, program = f"{FOLDER.name}/probe.c", f"{FOLDER.name}/probe"
    with open(source, "w") as file:
        file.write('#include "nn.h"\n#include <stddef.h>\n#include <stdio.h>\n'
                   "#define KIND(x) _Generic((x), char: 'c', int: 'i', unsigned: 'i', long: 'l', "
                   "float: 'f', double: 'd', unsigned long: 'u', unsigned long long: 'u', "
                   "default: 'p')\nint main(void)\n{\n" + "\n".join(lines) + "\nreturn 0;\n}\n")
    subprocess.run([os.environ.get("CC", "cc"), "-I.", source, "-o", program], check=True)
    printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return [line.split() for line in printed.splitlines()]


def test_structs():
    """All structs of the API are there, with the compiler's sizes, offsets and types."""
    structs = {name: struct for name, struct in vars(_c).items() if name.startswith("nn_")
               and isinstance(struct, type) and issubclass(struct, _c.Struct)}
    assert sorted(structs) == sorted(re.findall(r"struct (nn_\w+) \{", PUBLIC))
    kinds = {ctypes.c_int: "i", ctypes.c_long: "l", ctypes.c_float: "f", ctypes.c_double: "d",
             ctypes.c_uint64: "u", ctypes.c_char: "c"}
    lines, expected = [], []
    for name, struct in structs.items():
        lines.append(f'{{ {name} s; printf("{name} %zu\\n", sizeof s);')
        expected.append([name, str(ctypes.sizeof(struct))])
        for field, kind in struct.types().items():
            lines.append(f'printf("{field} %zu %zu %c\\n", offsetof({name}, {field}), '
                         f"sizeof s.{field}, KIND(s.{field}));")
            place = getattr(struct, field)
            expected.append([field, str(place.offset), str(place.size), kinds.get(kind, "p")])
        lines.append("}")
    assert compiled(lines) == expected


def test_enums():
    """All enumerators are there, under the right names, with the compiler's values."""
    lines, expected = [], []
    enums = re.findall(r"typedef enum (nn_\w+) \{(.*?)\}", re.sub(r"#.*", "", PUBLIC), re.S)
    assert [name for name, _ in enums] == list(_c.ENUMS)
    for name, body in enums:
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        expected.append([name, str(ctypes.sizeof(ctypes.c_int))])
        names = [word for word in re.findall(r"NN_\w+", body) if not word.endswith("_COUNT")]
        assert len(names) == len(_c.ENUMS[name])
        for enumerator, (text, value) in zip(names, _c.ENUMS[name].items()):
            assert enumerator.lower().endswith("_" + text)
            lines.append(f'printf("{text} %d\\n", (int){enumerator});')
            expected.append([text, str(value)])
    assert compiled(lines) == expected


def test_layers():
    """The functions that make layers give what the macros give, field by field."""
    calls = {"dense": (7, "gelu"), "image": (3, 4, 5), "conv2d": (6, 3, 2, "same", "tanh"),
             "conv1d": (6, 3, 2, "none", "relu"), "convolution": (6, 3, 5, 1, 2, "same", "elu"),
             "max_pool2d": (2, 3), "max_pool1d": (2, 3), "max_pool": (2, 3, 4, 5),
             "average_pool2d": (2, 3), "average_pool1d": (2, 3), "average_pool": (2, 3, 4, 5),
             "global_average": None}
    assert sorted(calls) == sorted(set(nn.__all__) - {"Error", "Layer", "Model"})
    lines, expected = [], []
    for name, arguments in calls.items():
        layer = getattr(nn, name)
        macro = "NN_" + name.upper()
        if arguments:
            layer = layer(*arguments)
            words = [str(word) if isinstance(word, int) else
                     ("NN_PADDING_" if word in ("same", "none") else "NN_") + word.upper()
                     for word in arguments]
            macro += f"({', '.join(words)})"
        struct = _c.nn_layer()
        struct.set(**layer._asdict())
        fields = list(_c.nn_layer.types())
        assert fields == list(layer._fields)
        lines.append(f"{{ nn_layer s = {macro};")
        lines += [f'printf("%d ", (int)s.{field});' for field in fields] + ['printf("\\n"); }']
        expected.append([str(getattr(struct, field)) for field in fields])
    assert compiled(lines) == expected


def test_functions():
    """All functions of the API are in the library, with a result and as many arguments."""
    declared = re.findall(r"NN_DEF [^()]*?(nn_\w+)\(([^()]*)\);", PUBLIC)
    assert len(declared) > 70
    for name, arguments in declared:
        assert len(getattr(_c.library, name).argtypes) == arguments.count(",") + 1, name


def test_zero():
    """The options whose 0 is another number in C are those that Python treats so."""
    options = HEADER[HEADER.index("typedef struct nn_options {"):HEADER.index("} nn_options;")]
    found = re.findall(r"(\w+(?:, \w+)*);\s*/\*([^*]*)\*/", options)
    defaults = {name for names, comment in found for name in names.split(", ")
                if re.search(r"\b0 means \d", comment)}
    zeros = {name for names, comment in found for name in names.split(", ")
             if "NN_ZERO" in comment}
    assert zeros == set(nn._ZERO)
    assert defaults == set(nn._ZERO) | set(nn._NOT_ZERO)


def test_version():
    assert nn.__version__ == re.search(r'NN_VERSION +"(.*)"', HEADER).group(1)


# ---- The same bits as in C -----------------------------------------------------------------------


def compare_with_c(case, layers, inputs, data, options):
    """Trains here and in PROGRAM. data: train and perhaps validation, as {"x": array, ...}."""
    folder = f"{FOLDER.name}/{case}"
    os.mkdir(folder)
    for name, arrays in data.items():
        for key, array in arrays.items():
            array.tofile(f"{folder}/{name}.{key}")

    def arguments(arrays):
        return (arrays["x"], arrays.get("y", arrays.get("labels")), arrays.get("weight"))

    x, y, weight = arguments(data["train"])
    given = {"validation": arguments(data["validation"])} if "validation" in data else {}
    model = nn.Model(inputs, layers, seed=11)
    history = model.fit(x, y, weight=weight, **given, **options)
    model.save(f"{folder}/python.safetensors")
    subprocess.run([PROGRAM, case, folder], check=True)

    def bytes_of(name):
        return pathlib.Path(f"{folder}/{name}").read_bytes()

    assert bytes_of("c.safetensors") == bytes_of("python.safetensors") == model.to_bytes()
    assert bytes_of("c.history") == history.tobytes() and len(history) > 3
    assert bytes_of("c.outputs") == model.predict(x).tobytes() == bytes_of("c.again")
    metrics = _c.nn_metrics.from_buffer_copy(bytes_of("c.metrics")).as_dict()
    np.testing.assert_equal(model.evaluate(x, y, weight=weight, **options), metrics)
    again = nn.Model.load(f"{folder}/c.safetensors")
    assert same(again.predict(x), model.predict(x))
    assert again.layers == model.layers
    return model, f"{folder}/python.safetensors"


def test_classes_as_in_c():
    random = np.random.default_rng(1)
    x = random.normal(size=(90, 3)).astype(np.float32) * 5 + 2
    labels = (x.sum(axis=1) > 7).astype(np.intc)
    model, path = compare_with_c(
        "classes", [(16, "gelu"), (1, "sigmoid")], 3, {"train": {"x": x, "labels": labels}},
        {"loss": "binary_cross_entropy", "optimizer": "adam", "learning_rate": 0.01, "beta1": 0,
         "weight_decay": 0.001, "batch_size": 7, "epochs": 30, "scaling": "standard",
         "validation_fraction": 0.25, "patience": 5, "balance_classes": True, "seed": 2**64 - 1})
    tensors = load_file(path)  # in PyTorch's layout
    assert same(tensors["0.weight"], np.ascontiguousarray(model.parameters[0].T))
    assert same(tensors["0.bias"], model.parameters[1])


def test_numbers_as_in_c():
    random = np.random.default_rng(2)
    x = random.normal(size=(63, 5)).astype(np.float32)
    y = (x[:, :2] * x[:, 2:4] * 1000 + 500).astype(np.float32)
    weight = random.uniform(0, 2, size=63).astype(np.float32)
    compare_with_c(
        "numbers", [(12, "tanh"), nn.dense(9, "relu"), (2, "linear")], 5,
        {"train": {"x": x[:43], "y": y[:43], "weight": weight[:43]},
         "validation": {"x": x[43:], "y": y[43:], "weight": weight[43:]}},
        {"loss": "huber", "huber_delta": 0.7, "optimizer": "rmsprop", "momentum": 0.5,
         "learning_rate": 0.003, "schedule": "cosine", "minimum_learning_rate": 0.0001,
         "warmup_steps": 5, "clip_norm": 1, "batch_size": 10, "micro_batch_size": 4, "epochs": 12,
         "target_scaling": "standard", "dropout": [0.25, 0.5, 0]})


def test_images_as_in_c():
    random = np.random.default_rng(3)
    x = random.uniform(size=(50, 6, 5, 2)).astype(np.float32)
    labels = random.integers(0, 3, size=50).astype(np.intc)
    x[np.arange(50), labels] += 1
    compare_with_c(
        "images", [nn.image(6, 5, 2), nn.conv2d(4, 3, 1, "same", "relu"), nn.max_pool2d(2, 2),
                   nn.convolution(5, 2, 1, 1, 1, "none", "elu"), nn.average_pool1d(2, 1),
                   nn.dense(3, "softmax")], 60, {"train": {"x": x, "labels": labels}},
        {"loss": "cross_entropy", "label_smoothing": 0.1, "momentum": 0.9, "nesterov": 1,
         "epochs": 6, "class_weights": [1, 0.5, 2], "seed": 3})


# ---- Model ---------------------------------------------------------------------------------------


def test_arrays():
    """Any type, order and byte order of numbers gives the result of float32 in row-major order."""
    model = small_model()
    x = np.arange(30).reshape(10, 3)
    expected = model.predict(x.astype(np.float32))
    strided = np.zeros((20, 6))
    strided[::2, ::2] = x
    unaligned = np.frombuffer(b"?" + x.astype(np.float32).tobytes(), np.float32, offset=1)
    backwards = x[::-1].astype(np.float32)[::-1]
    for other in (x, x.astype(np.uint8), x.astype(np.float64), x.astype(np.float16), x.tolist(),
                  np.asfortranarray(x, np.float32), x.astype(">f4"), strided[::2, ::2],
                  unaligned.reshape(10, 3), backwards, pd.DataFrame(x)):
        assert same(model.predict(other), expected)
    fixed = x.astype(np.float32)
    fixed.flags.writeable = False
    assert same(model.predict(fixed), expected)
    assert expected.dtype == np.float32 and expected.shape == (10, 2)
    assert np.shares_memory(nn._array(fixed, "x", (10, 3)), fixed)  # no copy


def test_wrong_arrays():
    model, (x, y) = small_model(), small_data()
    image = nn.Model(12, [nn.image(2, 3, 2), (2, "linear")])
    for other in (x[:, :2], x[0], x[0, 0], x.reshape(-1, 3, 1), x.T, x[:, None, None, :], [], [[]],
                  x.reshape(20, 0 + 1, 3)):
        raises(ValueError, "shape", model.predict, other)
    raises(ValueError, "shape", image.predict, np.zeros((5, 2, 2, 3)))  # channels first
    raises(ValueError, "shape", image.predict, np.zeros((5, 3, 2, 2)))
    assert image.predict(np.zeros((5, 2, 3, 2))).shape == (5, 2)
    raises(ValueError, "shape", model.predict, np.zeros((5, 0, 4, 0)))  # the layer's own fields
    refused("NN_ERROR_SIZE", model.predict, np.zeros((0, 3)))
    for other in (x.astype(complex), x.astype(object), x.astype(str), np.ma.masked_array(x, x > 0),
                  x.astype("M8[s]"), [[None, 1, 2]]):
        raises(TypeError, "no array of numbers", model.predict, other)
    for number in (np.nan, np.inf, 1e39, 1e300):
        bad = x.astype(np.float64)
        bad[3, 1] = number
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, about the overflow
            refused("NN_ERROR_DATA", model.predict, bad)
            refused("NN_ERROR_DATA", model.fit, bad, y)
    before = model.to_bytes()
    for other in (y[:-1], y[:, :1], y[:, 0], y.ravel(), y.T, y[:, :, None]):
        raises(ValueError, "shape", model.fit, x, other)
    raises(ValueError, "shape", model.fit, x, y, weight=np.ones(19))
    raises(ValueError, "shape", model.fit, x, y, weight=np.ones((20, 1)))
    raises(ValueError, "shape", model.fit, x, y, validation=(x, y[:3]))
    raises(TypeError, "no array of numbers", model.fit, x, y.astype(object))
    refused("NN_ERROR_WEIGHT", model.fit, x, y, weight=-np.ones(20))
    assert model.to_bytes() == before


def test_labels():
    """Labels are integers from 0; one output has two classes. What is none of these is refused."""
    x = small_data(12)[0]
    one = nn.Model(3, [(1, "sigmoid")], seed=1)
    many = nn.Model(3, [(3, "softmax")], seed=1)
    y = np.arange(12) % 3
    for labels in (y, y.astype(np.int8), y.astype(np.uint64), y.tolist()):
        model = copy.copy(many)
        model.fit(x, labels, loss="cross_entropy", epochs=2)
        hot = copy.copy(many)
        hot.fit(x, np.eye(3)[y], loss="cross_entropy", epochs=2)
        assert same(model.predict(x), hot.predict(x))
    fit = {"loss": "cross_entropy", "epochs": 1}
    refused("NN_ERROR_LABEL", many.fit, x, y + 1, **fit)
    refused("NN_ERROR_LABEL", many.fit, x, y - 1, **fit)
    raises(ValueError, "no int", many.fit, x, y + 2**32, **fit)
    raises(ValueError, "shape", many.fit, x, y.astype(float), **fit)
    raises(TypeError, "no array of numbers", many.fit, x, np.ma.masked_array(y, y == 0), **fit)
    raises(TypeError, "no array of numbers", many.fit, x, y.astype(str), **fit)
    fit["loss"] = "binary_cross_entropy"
    refused("NN_ERROR_LABEL", one.fit, x, y, **fit)
    refused("NN_ERROR_TARGET", one.fit, x, y.astype(float), **fit)
    one.fit(x, y > 1, **fit)
    assert one.evaluate(x, y > 1, loss="binary_cross_entropy")["auc"] > 0
    numbers = nn.Model(3, [(1, "linear")], seed=1)
    numbers.fit(x, y * 100, epochs=1)  # a regression: integers are numbers
    other = nn.Model(3, [(1, "linear")], seed=1)
    other.fit(x, y[:, None] * 100.0, epochs=1)
    assert same(numbers.predict(x), other.predict(x))


def test_options():
    model, (x, y) = small_model(), small_data()
    before = model.to_bytes()
    raises(TypeError, "no option 'lr'; the options are epochs, loss", model.fit, x, y, lr=0.1)
    for name in ("history", "user", "callbacks", "kept", "set"):
        raises(TypeError, "no option", model.fit, x, y, **{name: None})
    raises(ValueError, "optimizer 'adamw' is none of sgd, adam, rmsprop", model.fit, x, y,
           optimizer="adamw")
    raises(ValueError, "optimizer 1 is none of", model.fit, x, y, optimizer=1)
    for name in nn._NOT_ZERO:
        raises(ValueError, f"{name} 0 is outside", model.fit, x, y, **{name: 0})
    for name in nn._ZERO:
        raises(ValueError, f"{name} -1 is outside", model.fit, x, y, **{name: -1})
    for name in ("epochs", "batch_size", "patience", "seed"):
        for value in (2**32, 2**32 + 5, 2**64, -2**31 - 1) if name != "seed" else (-1, 2**64):
            raises(ValueError, "outside the range of its type", model.fit, x, y, **{name: value})
        raises(TypeError, "float", model.fit, x, y, **{name: 1.5})
        raises(TypeError, "str", model.fit, x, y, **{name: "5"})
    raises(ValueError, "outside the range of its type", model.fit, x, y, learning_rate=1e-60)
    for value in (-1, float("nan"), float("inf"), 1e300):
        for name in [name for name, kind in _c.nn_options.types().items() if kind is _c.c_float]:
            if (name, value) not in [(zero, -1) for zero in nn._ZERO]:
                refused("NN_ERROR_OPTION", model.fit, x, y, **{name: value})
    refused("NN_ERROR_OPTION", model.fit, x, y, optimizer="adam", momentum=0.5)
    refused("NN_ERROR_OPTION", model.fit, x, y, callback_batches=1)
    refused("NN_ERROR_LOSS", model.fit, x, y, loss="cross_entropy")
    raises(ValueError, "dropout has the shape (1,), not (2,)", model.fit, x, y, dropout=[0.5])
    refused("NN_ERROR_OPTION", model.fit, x, y, dropout=[0, 0.5])
    assert model.to_bytes() == before
    default = small_model()
    default.fit(x, y, learning_rate=None, optimizer=None, dropout=None)
    model.fit(x, y, learning_rate=0.01, optimizer="sgd", epochs=100, batch_size=32, momentum=0)
    assert default.to_bytes() == model.to_bytes() != before


def test_shapes():
    for layers, status in (([], "NN_ERROR_SIZE"), ([(0, "relu")], "NN_ERROR_SIZE"),
                           ([(3, "softmax"), (2, "relu")], "NN_ERROR_ACTIVATION"),
                           ([nn.max_pool2d(2, 2), (2, "relu")], "NN_ERROR_IMAGE"),
                           ([nn.image(2, 2, 1), nn.conv2d(1, 3, 1, "none", "relu"),
                             (2, "relu")], "NN_ERROR_KERNEL")):
        refused(status, nn.Model, 4, layers)
    raises(nn.Error, "layer 1: ", nn.Model, 4, [(3, "relu"), (0, "relu")])
    raises(ValueError, "activation 'swish' is none of linear, relu", nn.Model, 4, [(3, "swish")])
    raises(ValueError, "padding 'valid' is none of none, same", nn.Model, 4,
           [nn.image(2, 2, 1), nn.conv2d(1, 2, 1, "valid", "relu"), (1, "linear")])
    raises(ValueError, "outside the range", nn.Model, 2**32 + 4, [(3, "relu")])
    raises(ValueError, "outside the range", nn.Model, 4, [(2**32 + 4, "relu")])
    raises(ValueError, "outside the range", nn.Model, 4, [(3, "relu")], seed=-1)
    raises(TypeError, "", nn.Model, 4.5, [(3, "relu")])
    raises(TypeError, "", nn.Model, 4, ["relu"])
    raises(TypeError, "", nn.Model, 4, [3])


def test_parameters():
    """Views show and change the model's own numbers, and stay when the model has gone."""
    model, (x, y) = small_model(), small_data()
    weights, biases, last, _ = views = model.parameters
    assert [view.shape for view in views] == [(3, 4), (4,), (4, 2), (2,)]
    hidden = np.maximum(x @ weights + biases, 0)
    np.testing.assert_allclose(model.predict(x), hidden @ last + views[3], rtol=1e-5, atol=1e-6)
    model.fit(x, y, epochs=1)
    assert all(same(view, new) for view, new in zip(views, model.parameters))
    for view in views:
        view[:] = 0
    views[3][:] = 7, 8
    assert (model.predict(x) == [7, 8]).all()
    biases[0] = np.nan
    refused("NN_ERROR_PARAMETER", model.predict, x)
    refused("NN_ERROR_PARAMETER", model.to_bytes)
    biases[0] = 0
    flat = views[3]
    del model, views, weights, biases, last, view
    gc.collect()
    others = [small_model(seed) for seed in range(50)]  # would reuse the memory
    assert flat.tolist() == [7, 8] and len(others) == 50
    image = nn.Model(8, [nn.image(2, 2, 2), nn.max_pool2d(2, 2), (3, "linear")])
    assert [view.shape for view in image.parameters] == [(2, 3), (3,)]


def test_closing():
    with small_model() as model:
        view, (x, _) = model.parameters[0], small_data()
        expected = view.copy()
        assert model.predict(x).shape == (20, 2)
    others = [small_model(seed) for seed in range(50)]
    assert same(view, expected) and others
    for call in (model.predict, model.evaluate, model.fit):
        refused("NN_ERROR_NULL", call, *((x,) if call == model.predict else small_data()))
    refused("NN_ERROR_NULL", lambda: model.parameters)
    refused("NN_ERROR_NULL", model.to_bytes)
    model.close()


def test_memory():
    """Models that nobody refers to are freed: 2,000 of 1 MB fit in far less."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(2000):
        model = nn.Model(500, [(500, "relu"), (1, "linear")], seed=seed)
        model.parameters[0][0, 0] = 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000, f"{grown} kB"


def test_files():
    model, (x, y) = small_model(), small_data()
    model.fit(x, y, scaling="min_max", epochs=3)
    path = pathlib.Path(FOLDER.name) / "a model \u00e9.safetensors"
    model.save(path)
    for again in (nn.Model.load(path), nn.Model.load(str(path)), nn.Model.from_bytes(
            path.read_bytes()), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert same(again.predict(x), model.predict(x)) and again.layers == model.layers
        assert not any(np.shares_memory(a, b) for a, b in zip(again.parameters, model.parameters))
        assert again.to_bytes() == path.read_bytes()
    refused("NN_ERROR_OPEN", nn.Model.load, f"{FOLDER.name}/missing")
    raises(nn.Error, f"{FOLDER.name}/missing", nn.Model.load, f"{FOLDER.name}/missing")
    refused("NN_ERROR_OPEN", model.save, f"{FOLDER.name}/missing/file")
    raises(nn.Error, f"{FOLDER.name}/missing/file", model.save, f"{FOLDER.name}/missing/file")
    raises(ValueError, "zero byte", model.save, f"{FOLDER.name}/name\0.safetensors")
    raises(ValueError, "zero byte", nn.Model.load, f"{path}\0")
    raises(TypeError, "", model.save, None)
    file = bytearray(path.read_bytes())
    refused("NN_ERROR_TRUNCATED", nn.Model.from_bytes, bytes(file[:-1]))
    refused("NN_ERROR_TRUNCATED", nn.Model.from_bytes, b"")
    file[-1] ^= 1
    refused("NN_ERROR_CHECKSUM", nn.Model.from_bytes, bytes(file))
    raises(TypeError, "", nn.Model.from_bytes, "text")


def test_errors():
    """Errors cross processes, as those of scikit-learn's n_jobs do."""
    try:
        small_model().predict([[1, 2, np.nan]])
    except nn.Error as error:
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.status) == (str(error), "NN_ERROR_DATA")
        assert isinstance(error, ValueError) and "nn_predict_data" in str(error)
    x, y = small_data()
    model = small_model()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused("NN_ERROR_DIVERGED", model.fit, x, y * 1e15, learning_rate=1e15)
    assert all(np.isfinite(view).all() for view in model.parameters)  # the last finite weights


def test_history_and_callbacks():
    model, (x, y) = small_model(), small_data()
    seen = []
    history = model.fit(x, y, epochs=5, validation=(x, y), callback=seen.append)
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert history["validation_loss"].tolist() == [epoch["validation_loss"] for epoch in seen]
    assert [epoch["ended"] for epoch in seen] == ["not"] * 4 + ["epochs"]
    stopped = model.fit(x, y, epochs=5, callback=lambda epoch: epoch["epoch"] == 2)
    assert len(stopped) == 2
    batches = []
    model.fit(x, y, epochs=2, batch_size=7, callback=batches.append, callback_batches=True)
    assert [epoch["batch"] for epoch in batches] == [1, 2, 3, 0] * 2
    assert len(model.fit(x, y)) == 100

    def fail(epoch):
        raise KeyboardInterrupt if epoch["epoch"] == 3 else KeyError("mine")

    raises(KeyError, "mine", model.fit, x, y, callback=fail)
    try:
        model.fit(x, y, callback=lambda epoch: epoch["epoch"] < 3 or fail(epoch))
    except KeyboardInterrupt:
        raise AssertionError("training went on after True")

    def predict_and_nest(epoch):
        assert same(model.predict(x), model.predict(x))
        assert model.evaluate(x, y)["rows"] == 20

    model.fit(x, y, epochs=2, callback=predict_and_nest)


def test_interrupt():
    """Ctrl-C ends training after the epoch, wherever in it it comes, and only once."""
    program = ("import nn, numpy as np, os, signal, sys, threading\n"
               "x = np.random.default_rng(1).normal(size=(int(sys.argv[1]), 3))\n"
               "model = nn.Model(3, [(8, 'tanh'), (3, 'linear')])\n"
               "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
               # a shell may have started this test with the signal ignored
               "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
               "usual = signal.getsignal(signal.SIGINT)\n"
               "try:\n    model.fit(x, x, epochs=2**22)\n"
               "except KeyboardInterrupt:\n    print('interrupted')\n"
               "print(len(model.fit(x, x, epochs=3)), signal.getsignal(signal.SIGINT) is usual)\n")
    for rows in ("1", "10", "100", "1000", "100000"):
        done = subprocess.run([sys.executable, "-c", program, rows], capture_output=True,
                              text=True, timeout=60)
        assert (done.stdout, done.stderr) == ("interrupted\n3 True\n", ""), done
    x, y = small_data()
    finished = []
    thread = threading.Thread(target=lambda: finished.append(len(small_model().fit(x, y))))
    thread.start()  # no signal comes there
    thread.join()
    assert finished == [100]


def test_threads():
    """Threads predict with one model, and Python goes on while C trains."""
    model, (x, y) = small_model(), small_data(3000)
    expected = model.predict(x)
    results = [None] * 8

    def predict(i):
        results[i] = all(same(model.predict(x), expected) for _ in range(50))

    threads = [threading.Thread(target=predict, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8

    x, y = small_data(300_000)
    fit = threading.Thread(target=model.fit, args=(x, y), kwargs={"epochs": 1, "batch_size": 1})
    turns = 0
    fit.start()
    while fit.is_alive():
        turns += 1
    fit.join()
    assert turns > 1000, turns  # with Python's lock held it would be about 1

    # fit and evaluate wait for each other: no result is of half an epoch
    losses = []
    x, y = small_data(3000)
    fits = [threading.Thread(target=model.fit, args=(x, y), kwargs={"epochs": 20}),
            threading.Thread(target=lambda: losses.append(model.evaluate(x, y)["loss"]))]
    for thread in fits:
        thread.start()
    for thread in fits:
        thread.join()
    assert np.isfinite(losses).all() and len(losses) == 1


# ---- scikit-learn --------------------------------------------------------------------------------


def test_check_estimator():
    """All checks of scikit-learn pass; none is skipped and none is expected to fail."""
    for estimator in (NNClassifier(), NNRegressor(),
                      NNClassifier([(8, "tanh"), 8], optimizer="rmsprop", scaling="min_max",
                                   learning_rate=0.01, epochs=50, batch_size=10,
                                   options={"clip_norm": 1.0, "validation_fraction": 0.2}),
                      NNRegressor([nn.dense(20, "gelu")], optimizer="sgd", learning_rate=0.05,
                                  options={"momentum": 0.9, "loss": "huber"}, random_state=3)):
        results = check_estimator(estimator, on_skip=None, on_fail=None)
        bad = [(result["check_name"], result["status"], result["exception"])
               for result in results if result["status"] != "passed"]
        assert len(results) > 50 and not bad, (estimator, bad)


def test_estimators():
    x, y = load_iris(return_X_y=True, as_frame=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    classifier = NNClassifier((16,), epochs=60, learning_rate=0.01, random_state=7)
    assert classifier.fit(x, names) is classifier
    assert classifier.score(x, names) > 0.95
    assert classifier.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert classifier.feature_names_in_.tolist() == list(x.columns)
    raises(ValueError, "feature names", classifier.predict, x[x.columns[::-1]])
    probabilities = classifier.predict_proba(x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    assert len(classifier.history_) == 60

    # random_state is the seed of nn.Model
    model = nn.Model(4, [(16, "relu"), (3, "softmax")], seed=7)
    model.fit(x, np.unique(names, return_inverse=True)[1], loss="cross_entropy", optimizer="adam",
              scaling="standard", epochs=60, learning_rate=0.01, seed=7)
    assert model.to_bytes() == classifier.model_.to_bytes()
    for other in (clone(classifier).fit(x, names), copy.deepcopy(classifier),
                  pickle.loads(pickle.dumps(classifier))):
        assert other.model_.to_bytes() == model.to_bytes()
    assert clone(classifier).set_params(random_state=8).fit(x, names).model_.to_bytes() != \
        model.to_bytes()
    two = classifier.fit(x[y < 2], y[y < 2].astype(bool))
    assert two.predict(x).dtype == bool and two.predict_proba(x).shape == (150, 2)
    raises(ValueError, "one class", classifier.fit, x[y < 1], names[y < 1])
    unseeded = [NNClassifier(epochs=1).fit(x, y).model_.to_bytes() for _ in range(2)]
    assert unseeded[0] != unseeded[1]
    raises(ValueError, "optimizer 'x' is none of", NNClassifier(optimizer="x").fit, x, y)
    raises(TypeError, "no option 'lr'", NNClassifier(options={"lr": 1}).fit, x, y)


def test_regressor():
    x, y = make_regression(300, 6, n_targets=2, noise=1, random_state=1)
    regressor = NNRegressor((32,), epochs=100, learning_rate=0.01, random_state=1)
    assert regressor.fit(x, y * 1000 + 1e5).score(x, y * 1000 + 1e5) > 0.98
    assert regressor.predict(x).shape == (300, 2)
    assert regressor.fit(x, y[:, :1]).predict(x).shape == (300, 1)
    assert regressor.fit(x, y[:, 0]).predict(x).shape == (300,)
    assert cross_val_score(regressor, x, y, cv=3).min() > 0.9


def test_search_and_pipeline():
    x, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), NNClassifier(scaling="none", epochs=30,
                                                            random_state=1))
    search = GridSearchCV(pipeline, {"nnclassifier__hidden_layers": [(4,), (16, (8, "tanh"))],
                                     "nnclassifier__learning_rate": np.array([0.003, 0.03]),
                                     "nnclassifier__options": [None, {"clip_norm": 1}]},
                          cv=3, n_jobs=2, error_score="raise")
    search.fit(x, y)
    assert search.best_score_ > 0.93 and len(search.cv_results_["params"]) == 8
    assert search.score(x, y) > 0.93
    image = make_pipeline(NNClassifier([nn.image(2, 2, 1), nn.conv2d(4, 2, 1, "none", "relu"), 8],
                                       epochs=30, learning_rate=0.01, random_state=1))
    assert clone(image).fit(x, y).score(x, y) > 0.9
    assert "conv" in repr(image)


def main():
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            test()
            passed += 1
        except Exception:
            failed += 1
            print(f"FAILED {name}")
            traceback.print_exc(file=sys.stdout)
    FOLDER.cleanup()
    print(f"python: {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
