"""The Python side of `make bench`: PyTorch and scikit-learn. The comment at the top of bench.c
describes the nets and the requests. bench.py runs this program with one thread and with all:

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 peers.py

It answers "skipped" to a request for a package that is not installed.
"""

import os
import sys
import time

try:
    import torch
    from torch import nn
except ImportError:
    torch = None
try:
    import numpy
    import sklearn
    from sklearn.neural_network import MLPClassifier
except ImportError:
    sklearn = None


def measure(work, units, seconds):
    """Units per second of work(), which does `units` of them, after one call to warm the caches."""
    one_thread = os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "1"
    clock = time.process_time if one_thread else time.perf_counter  # as in tests/bench/bench.c
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


def torch_net(widths, output):
    hidden = nn.Sigmoid if widths[-1] == 1 else nn.ReLU
    modules = []
    for i in range(len(widths) - 1):
        modules += [nn.Linear(widths[i], widths[i + 1]), hidden()]
    modules[-1:] = output
    return nn.Sequential(*modules)


def train_torch(seconds, widths, batch, rows):
    x = torch.rand(rows, widths[0]) * 2 - 1
    if widths[-1] == 1:
        net = torch_net(widths, [nn.Sigmoid()])
        y, loss = torch.randint(0, 2, (rows, 1)).float(), nn.MSELoss()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    else:
        net = torch_net(widths, [])  # nn.CrossEntropyLoss takes logits
        y, loss = torch.randint(0, widths[-1], (rows,)), nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(net.parameters())
    batches = list(zip(x.split(batch), y.split(batch)))
    state = {"next": 0}

    def step():
        batch_x, batch_y = batches[state["next"]]
        state["next"] = (state["next"] + 1) % len(batches)
        optimizer.zero_grad(set_to_none=True)  # the faster way, and the default since 2.0
        loss(net(batch_x), batch_y).backward()
        optimizer.step()

    return measure(step, batch, seconds)


def predict_torch(seconds, widths, batch, rows):
    net = torch_net(widths, [nn.Sigmoid() if widths[-1] == 1 else nn.Softmax(dim=1)])
    x = torch.rand(1, widths[0])
    with torch.no_grad():
        return measure(lambda: net(x), 1, seconds)


def train_sklearn(seconds, widths, batch, rows):
    x = numpy.random.rand(rows, widths[0]).astype("float32") * 2 - 1
    y = numpy.random.randint(0, widths[-1], rows)
    net = MLPClassifier(widths[1:-1], solver="adam", alpha=0, batch_size=batch)
    net.partial_fit(x, y, classes=range(widths[-1]))
    return measure(lambda: net.partial_fit(x, y), rows, seconds)  # one pass over the rows


WORKS = {}
if torch:
    WORKS.update({("train", "torch"): train_torch, ("predict", "torch"): predict_torch})
if sklearn:
    WORKS["train", "sklearn"] = train_sklearn


def answer(what, side=None, seconds=0, sizes="", batch=1, rows=1):
    if what == "about":
        packages = [("torch: PyTorch", torch), ("sklearn: scikit-learn", sklearn)]
        return "; ".join(f"{name} {module.__version__ if module else 'absent'}"
                         for name, module in packages)
    if (what, side) not in WORKS:
        return "skipped"
    widths = [int(width) for width in sizes.split("-")]
    return WORKS[what, side](float(seconds), widths, int(batch), int(rows))


def main():
    if torch:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        torch.manual_seed(1)
    for line in sys.stdin:
        print(answer(*line.split()), flush=True)


main()
