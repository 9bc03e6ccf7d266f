"""The Python side of `make bench`: PyTorch, JAX or scikit-learn, one of them in a process. The
comment at the top of bench.c describes the nets and the requests. bench.py runs this program with
one thread and with all:

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 peers.py torch|jax|sklearn

It answers "skipped" to every request if the package is not installed.
"""

import importlib
import os
import sys
import time
from collections import namedtuple

ONE_THREAD = os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "1"
SGD_RATE = 0.1
clock = time.process_time if ONE_THREAD else time.perf_counter  # as in bench.c

# A run of training. x[rows, inputs] and y[rows], numbers of classes, are arrays of numpy.
Run = namedtuple("Run", "widths batch slice hidden x y")


def measure(work, units, seconds):
    """Units per second of work(), which does `units` of them, after one call to warm the caches."""
    work()
    n = 1
    while True:
        begin = clock()
        for _ in range(n):
            work()
        elapsed = clock() - begin
        if elapsed >= seconds:
            return units * n / elapsed
        n *= 2


# ---- Short samples ------------------------------------------------------------------------------

def product_torch(what, seconds, m, n, k):
    """The same products as bench.c's, without bias and activation."""
    import torch
    shapes = {"forward": ((m, k), (k, n)), "weights": ((k, m), (k, n)), "inputs": ((m, k), (n, k))}
    a, b = [torch.rand(shape) * 2 - 1 for shape in shapes[what]]
    a, b, c = a.T if what == "weights" else a, b.T if what == "inputs" else b, torch.empty(m, n)
    with torch.inference_mode():
        return measure(lambda: torch.mm(a, b, out=c), 2 * m * n * k, seconds)


def torch_net(widths, hidden):
    """The net without its last activation."""
    from torch import nn
    modules = []
    for inputs, outputs in zip(widths, widths[1:]):
        modules += [nn.Linear(inputs, outputs), hidden()]
    return nn.Sequential(*modules[:-1])


def named_torch(name, rows, layout):
    """A net of convolutions without its last activation, and random rows for it: see bench.c."""
    import torch
    from torch import nn
    if name == "image-net":
        net = nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 5),
                            nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 64),
                            nn.ReLU(), nn.Linear(64, 10))
        x = torch.rand(rows, 1, 28, 28)
    else:
        net = nn.Sequential(nn.Conv1d(3, 8, 5), nn.ReLU(), nn.Conv1d(8, 16, 3), nn.ReLU(),
                            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 6))
        x = torch.rand(rows, 3, 128)
    if layout == "last" and x.dim() == 4:
        net = net.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    return net, x


def predict_named_torch(seconds, name, layout):
    import torch
    net, x = named_torch(name, 1, layout)
    net.append(torch.nn.Softmax(dim=1))
    with torch.inference_mode():
        return measure(lambda: net(x), 1, seconds)


def train_named_torch(seconds, name, layout, batch, rows):
    """Steps of training whose batches cycle through the rows."""
    import torch
    net, x = named_torch(name, rows, layout)
    y = torch.arange(rows) % (10 if name == "image-net" else 6)
    loss_of = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), **fused_if_possible())
    first = [0]

    def step():
        begin, first[0] = first[0], (first[0] + batch) % rows
        optimizer.zero_grad(set_to_none=True)
        loss_of(net(x[begin:begin + batch]), y[begin:begin + batch]).backward()
        optimizer.step()

    return measure(step, batch, seconds)


def fused_if_possible():
    import torch
    return {"fused": True} if int(torch.__version__.split(".")[0]) >= 2 else {}


def predict_torch(what, seconds, *widths):
    import torch
    one = widths[-1] == 1
    net = torch_net(widths, torch.nn.Sigmoid if one else torch.nn.ReLU)
    net.append(torch.nn.Sigmoid() if one else torch.nn.Softmax(dim=1))
    x = torch.rand(1, widths[0])
    with torch.inference_mode():
        return measure(lambda: net(x), 1, seconds)


# ---- Runs of training: each yields once when it is ready, then the mean loss of each slice ------

def shuffled_batches(run):
    """The rows of the batches of one slice after the other, in shuffled epochs: [batches, batch].
    A slice is a part of an epoch, or several epochs."""
    import numpy
    random, rows = numpy.random.default_rng(1), len(run.x)
    epochs = numpy.tile(numpy.arange(rows, dtype="int32"), (max(1, run.slice // rows), 1))
    while True:
        order = random.permuted(epochs, axis=1).reshape(-1, run.batch)
        for begin in range(0, len(order), run.slice // run.batch):
            yield order[begin:begin + run.slice // run.batch]


def run_torch(run):
    import torch
    from torch import nn
    hidden = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}[run.hidden]
    net = torch_net(run.widths, hidden)
    x, y = torch.from_numpy(run.x), torch.from_numpy(run.y)
    if run.widths[-1] == 1:
        net.append(nn.Sigmoid())
        y, loss_of = y.reshape(-1, 1), nn.MSELoss()
        optimizer = torch.optim.SGD(net.parameters(), lr=SGD_RATE)
    else:
        y, loss_of = y.long(), nn.CrossEntropyLoss()  # it takes logits
        optimizer = torch.optim.Adam(net.parameters(), **fused_if_possible())
    yield
    for batches in shuffled_batches(run):
        total = torch.zeros(())
        for rows in torch.from_numpy(batches):
            optimizer.zero_grad(set_to_none=True)  # the faster way, and the default since 2.0
            loss = loss_of(net(x.index_select(0, rows)), y.index_select(0, rows))
            loss.backward()
            optimizer.step()
            total += loss.detach()
        yield float(total) / len(batches)


def run_jax(run):
    """One jit-compiled scan over the batches of a slice."""
    import jax
    from jax import lax, numpy as jnp, tree
    one, inputs = run.widths[-1] == 1, run.widths[0]
    hidden = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh}[run.hidden]

    def loss_of(layers, x, y):
        for weights, biases in layers[:-1]:
            x = hidden(x @ weights + biases)
        z = x @ layers[-1][0] + layers[-1][1]
        if one:
            return jnp.mean((jax.nn.sigmoid(z) - y) ** 2)
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(z), axis=1))

    def adam(layers, gradients, m, v, t):
        m = tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradients)
        v = tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradients)
        rate, root = 1e-3 / (1 - 0.9 ** t), jnp.sqrt(1 - 0.999 ** t)
        step = lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + 1e-8)
        return tree.map(step, layers, m, v), m, v

    def train_slice(state, x, y, batches):
        def train_batch(state, rows):
            layers, m, v, t = state
            loss, gradients = jax.value_and_grad(loss_of)(layers, x[rows], y[rows])
            if one:
                layers = tree.map(lambda p, g: p - SGD_RATE * g, layers, gradients)
            else:
                layers, m, v = adam(layers, gradients, m, v, t)
            return (layers, m, v, t + 1), loss
        state, losses = lax.scan(train_batch, state, batches)
        return state, jnp.mean(losses)

    keys = jax.random.split(jax.random.key(1), len(run.widths))
    layers = [(jax.random.uniform(key, (i, o), minval=-1, maxval=1) / i ** 0.5, jnp.zeros(o))
              for key, i, o in zip(keys, run.widths, run.widths[1:])]
    zeros = lambda: tree.map(jnp.zeros_like, layers)
    state = (layers, zeros(), zeros(), jnp.float32(1))
    x = jnp.asarray(run.x)
    y = jnp.asarray(run.y).reshape(-1, 1) if one else jax.nn.one_hot(run.y, run.widths[-1])
    order = shuffled_batches(run)
    batches = next(order)
    trained = jax.jit(train_slice, donate_argnums=0).lower(state, x, y, batches).compile()
    yield
    while True:
        state, loss = trained(state, x, y, batches)
        yield float(loss)
        batches = next(order)


def run_sklearn(run):
    """Slices are epochs: partial_fit shuffles the rows and takes each of them once."""
    from sklearn.neural_network import MLPClassifier
    net = MLPClassifier(run.widths[1:-1], activation=run.hidden, alpha=0, batch_size=run.batch)
    yield
    while True:
        for _ in range(run.slice // len(run.x)):
            net.partial_fit(run.x, run.y, classes=range(run.widths[-1]))
        yield net.loss_


def read_run(net, batch, rows, hidden, path):
    import numpy
    widths = [int(width) for width in net.split("-")]
    floats = numpy.fromfile(path, "float32")
    x, y = numpy.split(floats, [floats.size // (widths[0] + 1) * widths[0]])
    return Run(widths, int(batch), int(rows), hidden, x.reshape(-1, widths[0]), y)


def train(side, arguments):
    """Answers slice by slice: see bench.c."""
    losses = {"torch": run_torch, "jax": run_jax, "sklearn": run_sklearn}[side](
        read_run(*arguments))
    next(losses)
    while True:
        begin = clock()
        loss = next(losses)
        print(clock() - begin, loss, flush=True)
        if sys.stdin.readline() != "go\n":
            return


# ---- Requests -----------------------------------------------------------------------------------

def answer(package, what, side="", seconds=0, sizes="", *run):
    if what == "about":
        title = {"torch": "PyTorch", "jax": "JAX", "sklearn": "scikit-learn"}[package.__name__]
        print(f"{package.__name__}: {title} {package.__version__.split('+')[0]}", flush=True)
    elif what == "run":
        train(side, [sizes, *run])
    elif sizes.endswith("-net"):
        kind, _, layout = what.partition("_")
        works = {"predict": predict_named_torch, "train": train_named_torch}
        print(works[kind](float(seconds), sizes, layout, *map(int, run)), flush=True)
    else:
        works = {"predict": predict_torch}
        sizes = [int(size) for size in sizes.replace("x", "-").split("-")]
        print(works.get(what, product_torch)(what, float(seconds), *sizes), flush=True)


def main(name):
    if name == "jax" and ONE_THREAD and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # JAX takes as many threads as this
    try:
        package = importlib.import_module(name)
    except (ImportError, OSError):  # OSError: a library that PyTorch needs is missing
        package = None
    if package and name == "torch":
        package.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        package.manual_seed(1)
    for line in sys.stdin:
        if package:
            answer(package, *line.split())
        else:
            print("skipped", flush=True)


main(sys.argv[1])
