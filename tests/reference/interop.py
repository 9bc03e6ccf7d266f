"""Model files between nn.h, the safetensors package and PyTorch. Run from the repository root.

    interop.py make-sample            writes torch_mlp.safetensors and torch_mlp.txt, and the same
                                      for torch_images, in tests/reference/data, which torch_file.c
                                      reads
    interop.py check FLOAT DOUBLE     runs the two builds of interop.c (FLOAT and NN_DOUBLE)
                                      against PyTorch; `make interop` does it

Needs PyTorch and safetensors. The last line of check is "interop: N passed, M failed".
"""

import json
import math
import os
import random
import re
import struct
import subprocess
import sys
import zlib

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

sys.path.insert(0, "examples/python")
import pytorch  # the example program

SAMPLES = {"tests/reference/data/torch_mlp": "3,4:relu,4:tanh,2:linear",
           "tests/reference/data/torch_images":
           "5x4x2,3k2x3s1x1same:relu,max2x2s2x2,4k1x2s1x1none:tanh,2:sigmoid"}
FOLDER = "build/interop-files"
MODULES = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU,
           "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "softmax": lambda: nn.Softmax(dim=1),
           "elu": nn.ELU, "silu": nn.SiLU, "gelu": nn.GELU, "softplus": nn.Softplus}
CHECKED = ["nn.version", "nn.widths", "nn.layers", "nn.activations", "nn.scaling", "nn.scaling_values", "nn.state"]
DEEP = "3," + "4:tanh," * 11 + "2:linear"  # 0.weight to 22.weight: 10 sorts before 2 as text

NOTE = "\"quoted\", back\\slash, \t tab, \x01 \u00e9 \u4e2d \U0001f600 {}[]:\x7f"  # of interop.c

counts = {True: 0, False: 0}


def check(good, what):
    counts[bool(good)] += 1
    if not good:
        print(f"FAILED {what}")


def close(got, expected, tolerance):
    """Of one shape, and nowhere further apart than tolerance times the largest value."""
    if got.shape != expected.shape:
        return False
    return bool((got - expected).abs().max() <= tolerance * expected.abs().max())


def activation_of(layer):
    return layer.split(":")[1] if ":" in layer else "linear"


def window_of(layer):
    """Kernel, or window of a pool, and strides."""
    match = re.search(r"(\d+)x(\d+)s(\d+)x(\d+)", layer)
    return tuple(int(n) for n in match.groups()) if match else (1, 1, 1, 1)


class Images(nn.Sequential):
    """Takes and gives rows as nn.h has them, with the channels of an image last."""

    def __init__(self, shape, flat, *modules):
        super().__init__(*modules)
        self.shape, self.flat = shape, flat

    def forward(self, rows):
        x = rows.reshape(len(rows), *self.shape).permute(0, 3, 1, 2)
        y = super().forward(x.squeeze(2) if self.flat else x)
        return y.movedim(1, -1).reshape(len(rows), -1)


def images(spec, dtype):
    """The same for a text such as "9x8x1,4k3x3s1x1same:relu,max2x2s2x2,2:linear"."""
    image, *layers = spec.split(",")
    shape = [int(n) for n in image.split("x")]
    channels = shape[2]
    flat = shape[0] == 1 and all(window_of(layer)[0] == 1 for layer in layers if "k" in layer)
    form = (lambda *sizes: sizes[1]) if flat else (lambda *sizes: sizes)
    modules, width = [], None
    for layer in layers:
        height, across, *strides = window_of(layer)
        kernel, stride = form(height, across), form(*strides)
        if re.match(r"\d+k", layer):
            padding = 0
            if "same" in layer:  # of an odd kernel it is half of that, with any stride
                padding = "same" if strides == [1, 1] else form(height // 2, across // 2)
            module = nn.Conv1d if flat else nn.Conv2d
            modules.append(module(channels, int(layer.split("k")[0]), kernel, stride, padding))
            channels = int(layer.split("k")[0])
        elif layer.startswith("max"):
            modules.append((nn.MaxPool1d if flat else nn.MaxPool2d)(kernel, stride))
        elif layer.startswith("average"):
            modules.append((nn.AvgPool1d if flat else nn.AvgPool2d)(kernel, stride))
        elif layer == "global":
            modules.append((nn.AdaptiveAvgPool1d if flat else nn.AdaptiveAvgPool2d)(1))
        else:
            if width is None:
                modules.append(nn.Flatten())
                width = nn.Sequential(*modules)(torch.zeros(1, shape[2],
                                                            *shape[flat:2])).shape[1]
            modules.append(nn.Linear(width, int(layer.split(":")[0])))
            width = int(layer.split(":")[0])
        if activation_of(layer) != "linear":
            modules.append(MODULES[activation_of(layer)]())
    return Images(shape, flat, *modules).to(dtype)


def sequential(spec, dtype):
    """nn.Sequential of a text such as "3,4:relu,2:linear"; a linear activation adds no module."""
    inputs, *layers = spec.split(",")
    if "x" in inputs:
        return images(spec, dtype)
    modules, width = [], int(inputs)
    for layer in layers:
        outputs, activation = layer.split(":")
        modules.append(nn.Linear(width, int(outputs)))
        if activation != "linear":
            modules.append(MODULES[activation]())
        width = int(outputs)
    return nn.Sequential(*modules).to(dtype)


def outputs_of(model, x):
    """PyTorch's outputs, computed in double from the model's own weights."""
    dtype = next(model.parameters(), x).dtype  # pools alone have no parameters
    with torch.no_grad():
        y = model.double()(x)
    model.to(dtype)
    return y


def rows_for(inputs, rows=5):
    """Inputs that are multiples of 1/64: the same numbers in float and double."""
    return torch.randint(-128, 128, (rows, inputs)).double() / 64


def numbers(values):
    return " ".join(repr(float(v)) for v in values)


def run(*command, x=None):
    """The C program's status, what it printed, and that as name -> tensor of rows."""
    text = "\n".join(numbers(row) for row in x) if x is not None else ""
    result = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, timeout=60)
    tables = {}
    if result.returncode == 0:
        for line in result.stdout.splitlines():
            name, *values = line.split()
            tables.setdefault(name, []).append([float(v) for v in values])
    return (result.returncode, {name: torch.tensor(rows, dtype=torch.float64)
                                for name, rows in tables.items()}, result.stdout)


def make_sample(path, spec):
    torch.manual_seed(7)
    model = sequential(spec, torch.float32)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    save_file(model.state_dict(), path + ".safetensors")
    os.chmod(path + ".safetensors", 0o644)  # the package makes it private
    x = rows_for(math.prod(int(n) for n in spec.split(",")[0].split("x")), 8)
    y = outputs_of(model, x)
    with open(path + ".txt", "w", newline="\n") as file:
        file.write(f"rows {len(x)}\n")
        for a, b in zip(x, y):
            file.write(f"{numbers(a)} {numbers(b)}\n")


# ---- From nn.h to PyTorch ------------------------------------------------------------------------


def check_format(path, dtype, spec):
    """What a reader of the format sees: names, shapes, types, metadata, checksum, no holes."""
    shapes = {name: tuple(t.shape) for name, t in sequential(spec, dtype).state_dict().items()}
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        found = {name: file.get_tensor(name) for name in file.keys()}
    for name, shape in shapes.items():
        check(name in found and tuple(found[name].shape) == shape, f"{path}: shape of {name}")
        check(name in found and found[name].dtype == dtype, f"{path}: type of {name}")
    layers = spec.split(",")
    activations = ",".join(activation_of(layer) for layer in layers["x" not in layers[0]:])
    check(metadata.get("nn.activations") == activations, f"{path}: activations in {metadata}")
    check(metadata.get("format") == "pt", f"{path}: format in {metadata}")

    with open(path, "rb") as file:
        content = file.read()
    start = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:start])
    header.pop("__metadata__")
    spans = sorted(entry["data_offsets"] for entry in header.values()) or [[0, 0]]
    check(spans[0][0] == 0 and spans[-1][1] == len(content) - start
          and all(a[1] == b[0] for a, b in zip(spans, spans[1:])), f"{path}: no holes")
    check(start % 8 == 0, f"{path}: the data begins at a multiple of 8")
    values = "".join(metadata.get(key, "") for key in CHECKED).encode()
    rest = content[content.index(b'"', content.index(b"nn.crc32") + 11) + 1:start]
    rest = rest[1:] if rest[:1] == b"}" else rest
    check(metadata.get("nn.crc32") == f"{zlib.crc32(content[start:] + values + rest):08x}",
          f"{path}: checksum in {metadata}")


def decimals(text):
    """The decimal numbers of a text, with commas."""
    return torch.tensor([float(number) for number in text.split(",")], dtype=torch.float64)


def check_scaling(path, dtype, x):
    """The decimal numbers of the scaling are those that nn.h computes with, to the last bit."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    check(("nn.input_offset" in metadata) == (metadata["nn.scaling"] != "none"), f"{path}: decimals")
    if metadata["nn.scaling"] == "none":
        return
    letter = "d" if dtype == torch.float64 else "f"
    count = 2 * x.shape[1]
    stored = torch.tensor(struct.unpack(f">{count}{letter}",
                                        bytes.fromhex(metadata["nn.scaling_values"])), dtype=dtype)
    offset, scale = (decimals(metadata[key]).to(dtype) for key in ("nn.input_offset",
                                                                   "nn.input_scale"))
    check(torch.equal(torch.cat((offset, scale)), torch.cat((stored[:count // 2],
                                                             1 / stored[count // 2:]))),
          f"{path}: decimals of {metadata}")
    scaled = (x - x.mean(0)) / x.std(0, unbiased=False)
    check(close((x - offset.double()) / scale.double(), scaled, 1e-6), f"{path}: scaled inputs")


def load_strictly(path, dtype, spec):
    """PyTorch's model of a file that nn.h wrote, None after a failed check."""
    model = sequential(spec, dtype)
    try:
        model.load_state_dict(load_file(path), strict=True)
    except RuntimeError as error:
        check(False, f"{path}: load_state_dict: {error}")
        return None
    check(True, path)
    return model


def check_trained(program, dtype, tolerance, folder):
    """A trained model with and without input scaling, and a checkpoint."""
    spec = "3,8:relu,5:tanh,2:linear"
    status, got, text = run(program, "save", folder)
    check(status == 0, f"{program} save: {text}")
    if status:
        return
    x = got["x"]
    scaled_x = (x - x.mean(0)) / x.std(0, unbiased=False)
    for name, inputs in ("plain", x), ("scaled", scaled_x):
        path = f"{folder}/{name}.safetensors"
        check_format(path, dtype, spec)
        check_scaling(path, dtype, x)
        model = load_strictly(path, dtype, spec)
        check(model and close(got[name], outputs_of(model, inputs), tolerance), f"{path}: outputs")
        status, again, text = run(program, "load", path, x=x)
        check(status == 0 and torch.equal(again["y"], got[name]), f"{path}: nn_load: {text[:200]}")
    check(not close(got["plain"], got["scaled"], 0.01), "scaling matters in this check")
    path = f"{folder}/targets.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    check(metadata["nn.target_offset"] == "250000,-0.1", f"{path}: {metadata}")
    offset, scale = (decimals(metadata[key]) for key in ("nn.target_offset", "nn.target_scale"))
    check(close(scale, torch.tensor([90000, 0.003], dtype=torch.float64), 1e-6), f"{path}: scale")
    check_format(path, dtype, spec)
    model = load_strictly(path, dtype, spec)
    expected = outputs_of(model, scaled_x) * scale + offset
    check(model and all(close(got["targets"][:, j], expected[:, j], tolerance) for j in (0, 1)),
          f"{path}: outputs")
    status, again, text = run(program, "load", path, x=x)
    check(status == 0 and torch.equal(again["y"], got["targets"]), f"{path}: {text[:200]}")

    with safe_open(f"{folder}/scaled.safetensors", framework="pt") as file:
        metadata = file.metadata()
    check(metadata.get("note") == NOTE and metadata.get("class_names") == 'cat,"dog, big"',
          f"{folder}: the user's pairs in {metadata}")

    plain = load_file(f"{folder}/plain.safetensors")
    path = f"{folder}/checkpoint.safetensors"
    check_format(path, dtype, spec)
    state = load_file(path)
    check(all(torch.equal(state[name], plain[name]) for name in plain), f"{path}: parameters")
    count = sum(tensor.numel() for tensor in plain.values())
    extra = [tensor.numel() for name, tensor in state.items() if name not in plain]
    check(extra == [count, count], f"{path}: Adam's two moments")

    # PyTorch writes the tensors in another order, so that the old checksum is wrong.
    with safe_open(path, framework="pt") as file:
        save_file(plain, f"{folder}/stale.safetensors", metadata=file.metadata())
    status, _, text = run(program, "load", f"{folder}/stale.safetensors", x=x)
    check(status == 1 and text.startswith("error"), f"{program} refuses a stale checksum: {text}")


def check_created(program, dtype, tolerance, folder):
    """Names and layout for each activation and depth, as nn.Sequential has them."""
    path = f"{folder}/created.safetensors"
    for spec in ("3,2:linear", "2,3:linear,4:sigmoid,5:linear,2:softmax", DEEP,
                 "4,5:leaky_relu,1:sigmoid", "17,33:relu,40:tanh,9:linear",
                 "3,9:elu,8:silu,7:gelu,6:softplus,2:linear", "17,33:gelu,40:silu,9:elu",
                 "4,5:softplus,3:gelu", "2,6:silu,3:softplus", "2,4:gelu,3:silu"):
        status, _, text = run(program, "create", path, spec)
        check(status == 0, f"{program} create {spec}: {text}")
        if status:
            continue
        check_format(path, dtype, spec)
        model = load_strictly(path, dtype, spec)
        x = rows_for(int(spec.split(",")[0]))
        status, got, text = run(program, "load", path, x=x)
        check(model and status == 0 and close(got["y"], outputs_of(model, x), tolerance),
              f"{program} {spec}: outputs {text[:200]}")


# ---- From PyTorch to nn.h ------------------------------------------------------------------------

# label, model, how a name of nn.Sequential becomes one of the file, metadata
FORMS = [
    ("plain", "3,4:relu,2:linear", None, None),
    ("metadata", "3,4:relu,4:tanh,2:sigmoid", None, {"format": "pt"}),
    ("odd metadata", "3,4:leaky_relu,3:softmax", None,
     {"": "", "note": "\"quoted\", back\\slash, \t tab, \u00e9 \u4e2d \U0001f600 {}[]:"}),
    ("one layer", "5,3:linear", None, None),
    ("one by one", "1,1:linear", None, None),
    ("deep", DEEP, None, None),
    ("prefix", DEEP, lambda index, kind: f"model.net.{2 * index}.{kind}", {"format": "pt"}),
    ("fc1, fc2, fc10", "3,4:relu,4:relu,2:linear",
     lambda index, kind: f"fc{(1, 2, 10)[index]}.{kind}", None),
    ("fc01, fc2, fc010", "3,4:sigmoid,4:relu,2:linear",
     lambda index, kind: ("fc01", "fc2", "fc010")[index] + "." + kind, None),
    ("wide", "40,70:relu,33:tanh,17:softmax", None, None),
    ("smooth", "5,9:gelu,8:softplus,7:elu,4:silu", None, None),
    ("smooth, wide", "20,40:silu,33:gelu,17:softplus,5:softmax", None, {"format": "pt"}),
]


def renamed(state, rename):
    """Layers of a state_dict, in order, under the names that rename(index, kind) gives them."""
    if rename is None:
        return state
    indices = sorted({int(name.split(".")[0]) for name in state})
    return {rename(indices.index(int(name.split(".")[0])), name.split(".")[1]): tensor
            for name, tensor in state.items()}


def check_loaded(program, dtype, tolerance, folder):
    """Files of both types: the other one is converted."""
    path = f"{folder}/from-torch.safetensors"
    other = torch.float32 if dtype == torch.float64 else torch.float64
    for label, spec, rename, metadata in FORMS:
        for stored in dtype, other:
            model = sequential(spec, stored)
            save_file(renamed(model.state_dict(), rename), path, metadata=metadata)
            x = rows_for(int(spec.split(",")[0]))
            status, got, text = run(program, "predict", path, spec, x=x)
            check(status == 0 and close(got["y"], outputs_of(model, x), tolerance),
                  f"{program} loads {label}, {stored}: {text[:200]}")
        status, _, text = run(program, "load", path, x=x)
        check(status == 1 and text.startswith("error"), f"{label}: nn_load needs nn.h's metadata")


def check_types(program, dtype, tolerance, folder):
    """Half precision is widened exactly; without a bias it is zero; a list of names orders layers."""
    path = f"{folder}/types.safetensors"
    spec = "3,4:relu,4:tanh,2:linear"
    x = rows_for(3)
    for stored in torch.float16, torch.bfloat16:
        model = sequential(spec, stored)
        save_file(model.state_dict(), path)
        status, got, text = run(program, "predict", path, spec, x=x)
        check(status == 0 and close(got["y"], outputs_of(model.to(dtype), x), tolerance),
              f"{program} loads {stored}: {text[:200]}")
    model = sequential(spec, dtype)
    with torch.no_grad():
        model[2].bias.zero_()
    save_file({name: tensor for name, tensor in model.state_dict().items() if name != "2.bias"},
              path)
    status, got, text = run(program, "predict", path, spec, x=x)
    check(status == 0 and close(got["y"], outputs_of(model, x), tolerance),
          f"{program} loads a layer without a bias: {text[:200]}")
    names = ["input", "hidden", "output"]
    state = renamed(model.state_dict(), lambda index, kind: f"{names[index]}.{kind}")
    save_file({**state, "embedding.weight": torch.ones(5, 7), "norm.bias": torch.ones(9)}, path)
    status, got, text = run(program, "predict", path, spec, *names, x=x)
    check(status == 0 and close(got["y"], outputs_of(model, x), tolerance),
          f"{program} loads named layers: {text[:200]}")


def with_module(module, dtype):
    """The state of a model that has the module between its two layers."""
    return nn.Sequential(nn.Linear(3, 4), module, nn.ReLU(), nn.Linear(4, 2)).to(dtype).state_dict()


def random_images(numbers):
    """A random net of images; even kernels have no padding with a stride, which Conv2d has not."""
    flat = numbers.random() < 0.4
    size = [1 if flat else numbers.randint(1, 9), numbers.randint(1, 30 if flat else 9)]
    layers = [f"{size[0]}x{size[1]}x{numbers.randint(1, 4)}"]
    for _ in range(numbers.randint(0, 4)):
        kind = numbers.choice(("k", "k", "max", "average"))
        same = kind == "k" and numbers.random() < 0.5
        most = [n if flat and n == 1 else 4 if same else min(n, 4) for n in size]
        window = [numbers.randint(1, n) for n in most]
        stride = [numbers.randint(1, 3) for _ in size]
        if same and any(n % 2 == 0 for n in window):
            stride = [1, 1]
        size = [(n - 1) // s + 1 if same else (n - w) // s + 1
                for n, w, s in zip(size, window, stride)]
        text = f"{window[0]}x{window[1]}s{stride[0]}x{stride[1]}"
        if kind == "k":
            text = f"{numbers.randint(1, 6)}k{text}{'same' if same else 'none'}:"
            text += numbers.choice(("linear", "relu", "tanh", "gelu", "silu"))
        layers.append(text if kind == "k" else kind + text)
    if numbers.random() < 0.3 or len(layers) == 1:
        layers.append("global")
    for last in range(numbers.randint(0, 2)):
        layers.append(f"{numbers.randint(2, 9)}:{numbers.choice(('relu', 'sigmoid', 'linear'))}")
    return ",".join(layers)


IMAGES = ["9x8x1,4k3x3s1x1same:relu,max2x2s2x2,6k2x3s1x1none:tanh,average2x1s1x1,5:relu,3:softmax",
          "6x6x3,2:linear", "1x1x5,3:relu,2:linear", "5x7x2,3k5x7s1x1none:sigmoid,4:linear",
          "8x8x2,4k3x5s2x1same:elu,global,3:softmax", "7x9x3,5k4x2s1x1same:softplus,max3x3s1x2",
          "1x32x3,8k1x5s1x1same:relu,max1x2s1x2,6k1x3s1x1none:relu,max1x2s1x2,4:softmax",
          "1x20x2,4k1x4s1x1same:gelu,6k1x3s1x2same:silu,global,3:linear",
          "1x20x2,4k1x4s1x2none:leaky_relu,average1x3s1x1", "1x16x4,3k3x3s1x1same:relu,4:linear",
          "4x4x3,global", "6x5x2,max2x2s1x1,average2x2s2x2"]


def check_images(program, dtype, tolerance, folder):
    """Convolutions and pools: from nn.h to PyTorch, and back, output against output."""
    path, back = f"{folder}/images.safetensors", f"{folder}/images-from-torch.safetensors"
    generator = random.Random(1)
    for spec in IMAGES + [random_images(generator) for _ in range(40)]:
        height, width, channels = (int(n) for n in spec.split(",")[0].split("x"))
        x = rows_for(height * width * channels)
        status, created, text = run(program, "create", path, spec, x=x)
        check(status == 0, f"{program} create {spec}: {text}")
        if status:
            continue
        check_format(path, dtype, spec)
        model = load_strictly(path, dtype, spec)
        check(model and close(created["y"], outputs_of(model, x), tolerance),
              f"{program} {spec}: outputs")
        check(close(created["y"], pytorch.load(path)(x), tolerance), f"{spec}: pytorch.py")
        status, got, text = run(program, "load", path, x=x)
        check(status == 0 and torch.equal(got["y"], created["y"]),
              f"{program} {spec}: nn_load: {text[:200]}")
        if not sequential(spec, dtype).state_dict():  # pools alone
            continue
        for stored in torch.float32, torch.float64, torch.float16, torch.bfloat16:
            model = sequential(spec, torch.float32).to(stored)
            save_file(model.state_dict(), back)
            status, got, text = run(program, "predict", back, spec, x=x)
            check(status == 0 and close(got["y"], outputs_of(model.to(dtype), x), tolerance),
                  f"{program} loads {spec}, {stored}: {text[:200]}")
    spec = "1x9x2,4k1x3s1x1same:relu,max1x2s1x2,3k1x2s1x1none:tanh,2:linear"
    x = rows_for(18)
    model = sequential(spec, dtype)
    state = model.state_dict()
    expected = outputs_of(model, x)
    conv2d = {name: tensor.unsqueeze(2) if tensor.dim() == 3 else tensor
              for name, tensor in state.items()}
    named = {f"{'cab'[(0, 3, 6).index(int(name[0]))]}{name[1:]}": tensor
             for name, tensor in state.items()}
    for label, tensors, names in (("Conv2d", conv2d, ()), ("names", named, ("c", "a", "b"))):
        save_file(tensors, back)
        status, got, text = run(program, "predict", back, spec, *names, x=x)
        check(status == 0 and close(got["y"], expected, tolerance), f"{label}: {text[:200]}")
    wrong = [
        ("an order of names", named, ("a", "b", "c")),
        ("names of pools", named, ("c", "pool", "a", "b")),
        ("a transposed kernel", {**conv2d, "0.weight": conv2d["0.weight"].transpose(2, 3)
                                 .contiguous()}, ()),
        ("a BatchNorm1d", {**state, **{f"1.{name}": tensor for name, tensor in
                                       nn.BatchNorm1d(4).state_dict().items()}}, ()),
    ]
    for label, tensors, names in wrong:
        save_file(tensors, back)
        status, _, text = run(program, "predict", back, spec, *names, x=x)
        check(status == 1 and text.startswith("error"), f"{program} refuses {label}: {text[:200]}")


def weight_normed(dtype):
    model = sequential("3,4:relu,2:linear", dtype)
    nn.utils.weight_norm(model[0])
    return model.state_dict()


def check_refused(program, dtype, folder):
    """Files that PyTorch can write and that are not this model."""
    path = f"{folder}/refused.safetensors"
    spec = "3,4:relu,2:linear"
    state = sequential(spec, dtype).state_dict()
    wrong = [
        ("integers", {name: tensor.long() for name, tensor in state.items()}),
        ("[in, out]", {**state, "0.weight": state["0.weight"].t().contiguous()}),
        ("a bias of [1, 4]", {**state, "0.bias": state["0.bias"].reshape(1, 4)}),
        ("a weight of [4, 3, 1]", {**state, "0.weight": state["0.weight"].reshape(4, 3, 1)}),
        ("a layer too few", {name: state[name] for name in ("0.weight", "0.bias")}),
        ("a layer too many", {**state, "4.weight": torch.ones(2, 2, dtype=dtype),
                              "4.bias": torch.ones(2, dtype=dtype)}),
        ("NaN", {**state, "0.bias": torch.full((4,), float("nan"), dtype=dtype)}),
        ("infinity", {**state, "2.weight": torch.full((2, 4), float("-inf"), dtype=dtype)}),
        ("no tensors", {}),
        ("a BatchNorm1d", with_module(nn.BatchNorm1d(4), dtype)),
        ("one without parameters", with_module(nn.BatchNorm1d(4, affine=False), dtype)),
        ("weight_norm", weight_normed(dtype)),
        ("an LSTM", {**state, **{f"lstm.{name}": tensor.to(dtype)
                                 for name, tensor in nn.LSTM(2, 2).state_dict().items()}}),
        ("names without numbers", renamed(state, lambda index, kind: f"{'ab'[index]}.{kind}")),
    ]
    if dtype == torch.float32:
        wrong.append(("a number that is infinite in float",
                      {**state, "0.bias": torch.full((4,), 1e39, dtype=torch.float64)}))
    for label, tensors in wrong:
        save_file(tensors, path)
        status, _, text = run(program, "predict", path, spec, x=rows_for(3))
        check(status == 1 and text.startswith("error"), f"{program} refuses {label}: {text[:200]}")


def main():
    if sys.argv[1:] == ["make-sample"]:
        for path, spec in SAMPLES.items():
            make_sample(path, spec)
        return 0
    if len(sys.argv) != 4 or sys.argv[1] != "check":
        print(__doc__)
        return 2
    torch.manual_seed(1)
    for program, dtype, tolerance in ((sys.argv[2], torch.float32, 1e-6),
                                      (sys.argv[3], torch.float64, 1e-14)):
        folder = f"{FOLDER}/{os.path.basename(program)}"
        os.makedirs(folder, exist_ok=True)
        check_trained(program, dtype, tolerance, folder)
        check_created(program, dtype, tolerance, folder)
        check_loaded(program, dtype, tolerance, folder)
        check_types(program, dtype, tolerance, folder)
        check_images(program, dtype, tolerance, folder)
        check_refused(program, dtype, folder)
    print(f"interop: {counts[True]} passed, {counts[False]} failed")
    return 1 if counts[False] or not counts[True] else 0


if __name__ == "__main__":
    sys.exit(main())
