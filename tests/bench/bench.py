"""Measures nn.h and other libraries side by side. `make bench` runs it, from the repository root.

    bench.py [--backend NAME] [--rounds N] [NAME...]

Without arguments it measures everything and writes the table tests/bench/results-PROCESSOR.md, from
which `make pictures` draws the chart. With NAMEs it measures only the results whose names contain
one of them, and writes no file. --backend forces one of nn.h's back-ends; avx2 is forced in the
other libraries too. The program builds bench.c and data.c with $CC and $CFLAGS, and with OpenBLAS
and FANN if they are installed; it compares with PyTorch, JAX and scikit-learn if this Python has
them.

Products, predictions and the cost of nn_fit are measured in rounds. In each round every library
takes one short sample in turn, so that a change of the machine's clock rate meets all of them. The
best sample of each library counts: noise can only make a sample slower.

Training is measured in runs. Every library trains the same net on the same rows, each in its own
shuffled order, and pauses after each slice of the run while the others train theirs. The last third
of the slices counts, of each library the fastest: by then optimizers and data are in the state in
which a long training spends its time. The loss in the table is the mean of the last slice.

With one thread, times are processor times, which other programs hardly change. With several
threads, times are wall-clock times, and the machine must be idle. The last lines are for other
programs to read:

    bench NAME VALUE UNIT OTHER RATIO

RATIO is VALUE divided by the other library's value in the same UNIT, or "skipped" where one of the
two is missing. OTHER is one of

    peak        what one core can do with multiply-adds alone; in training, a run that does nothing
                but its matrix products at that rate
    openblas    cblas_sgemm on the same shapes, without bias and activation
    im2col      convolutions by copied patches and cblas_sgemm: see im2col.h
    torch       PyTorch: eager training, fused Adam if it has that; torch.mm for products
    jax         JAX: one jit-compiled scan over the batches of a slice
    sklearn     scikit-learn's MLPClassifier.partial_fit
    fann        FANN's incremental training, or fann_run
    train       nn_train_batch in a loop, to which nn_fit is compared
    one_thread  nn.h without OpenMP
    first_epoch nn.h's first epoch, to which its last one is compared
"""

import argparse
import functools
import math
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections import namedtuple

CORES = os.cpu_count()
PRODUCT = (0.004, 30, "GFLOP/s", lambda rate: rate / 1e9)
SAMPLES = {  # what is measured: seconds of one sample, rounds, unit, value from units per second
    "peak": PRODUCT,
    "forward": PRODUCT,
    "weights": PRODUCT,
    "inputs": PRODUCT,
    "fit": (0.05, 12, "rows/s", lambda rate: rate),
    "train": (0.05, 12, "rows/s", lambda rate: rate),
    "run": (0, 0, "rows/s", lambda rate: rate),
    "predict": (0.01, 15, "us", lambda rate: 1e6 / rate),
    "epoch": (0, 0, "s", lambda rate: 1 / rate),
}
IDLE = 0.3  # results with several threads are kept if no more cores than this were busy before
AVX2 = {"OPENBLAS_CORETYPE": "Haswell", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}  # how the libraries are told to use no more
LONGEST, LONGEST_RUN = 15, 120  # no result gets a further round or slice after so many seconds

# Side: the process that is asked, and the request. Of a peer with several sides the fastest counts.
Side = namedtuple("Side", "process what name")
# Case: work is its description in the table; flops are those of one unit, for the peak. slices is 0
# for short samples.
Case = namedtuple("Case", "name work arguments ours peers flops slices", defaults=(0,))
# Result: values and losses of the libraries, "nn" is ours; None where a library is missing.
Result = namedtuple("Result", "case values losses")


def sides(process, what, *names):
    return {name: [Side(process, what, name)] for name in names}


PEAK = {"peak": [Side("peak", "peak", "nn")]}


def product(what, shape, *peers):
    peers = {**PEAK, **sides("c", what, "openblas"), **sides("python", what, *peers)}
    work = {"forward": "forward", "weights": "weight gradient", "inputs": "input gradient"}[what]
    return Case(f"{what}_{shape}", f"{work} {shape}", shape, Side("c", what, "nn"), peers, 1)


def training_flops(net):
    """One row's: forward, weight gradient, and input gradient of all layers but the first."""
    widths = [int(width) for width in net.split("-")]
    products = [2 * rows * columns for rows, columns in zip(widths, widths[1:])]
    return 3 * sum(products) - products[0]


def training(net, hidden, data, batch, rows, slices, *peers):
    """A run of slices of so many rows, with one thread."""
    everyone = {"peak": PEAK, "fann": sides("c", "run", "fann")}
    for peer in "torch", "jax", "sklearn":
        everyone[peer] = sides("python", "run", peer)
    chosen = {name: side for peer in peers for name, side in everyone[peer].items()}
    return Case(f"train_{net}_batch{batch}", f"training {net}, batch {batch}",
                f"{net} {batch} {rows} {hidden} build/{data}.data", Side("c", "run", "nn"), chosen,
                training_flops(net), slices)


def with_all_threads(case, slices=0):
    """The same with all threads, for nn.h and the peers that have them."""
    # PyTorch's threads and OpenBLAS's may compete for the cores, as in Debian's packages. So
    # PyTorch is measured with both, and with OpenBLAS's alone.
    processes = {"torch": ["python_all", "python_blas"], "jax": ["python_all"]}
    peers = {peer: [side._replace(process=process) for side in sides for process in processes[peer]]
             for peer, sides in case.peers.items() if peer in processes}
    return case._replace(name=case.name + "_all", work=f"{case.work}, {CORES} threads",
                         peers={"one_thread": [case.ours], **peers},
                         ours=case.ours._replace(process="c_all"), slices=slices)


def fitting(net, batch, rows):
    return Case(f"fit_{net}_batch{batch}", f"nn_fit {net}, batch {batch}", f"{net} {batch} {rows}",
                Side("c", "fit", "nn"), {"train": [Side("c", "train", "nn")]}, 1)


def prediction(net, process, *peers):
    return Case(f"predict_{net}", f"predicting one row, {net}", net, Side("c", "predict", "nn"),
                sides(process, "predict", *peers), 1)


def convolution_flops(height, width, channels, patch, first=False):
    """One row's: forward, weight gradient, and input gradient but of the first layer."""
    return 2 * height * width * channels * patch * (2 if first else 3)


# Nets of convolutions: see named_nets in bench.c. PyTorch has two layouts of images.
NAMED = {
    "image-net": convolution_flops(24, 24, 8, 25, True) + convolution_flops(8, 8, 16, 200)
    + 3 * 2 * (256 * 64 + 64 * 10),
    "sensor-net": convolution_flops(1, 124, 8, 15, True) + convolution_flops(1, 122, 16, 24)
    + 3 * 2 * 16 * 6}


def torch_layouts(what):
    return {"torch": [Side("python", what, "torch"), Side("python", what + "_last", "torch")]}


def training_named(net, batch):
    """Short samples of training."""
    return Case(f"train_{net}_batch{batch}", f"training {net}, batch {batch}",
                f"{net} {batch} {8 * batch}", Side("c", "train", "nn"),
                {**PEAK, **torch_layouts("train"), **sides("c", "train", "im2col")}, NAMED[net])


def prediction_named(net):
    return Case(f"predict_{net}", f"predicting one row, {net}", net, Side("c", "predict", "nn"),
                {**torch_layouts("predict"), **sides("c", "predict", "im2col")}, 1)


# Rows of images in an epoch: see data.c. All others are small.
EPOCH = 58 * 1024
IMAGES = "mnist" if os.environ.get("MNIST") else "images784"
MNIST = functools.partial(training, "784-128-10", "relu", IMAGES)
WIDE = training("1024-1024-1024-1024-10", "relu", "images1024", 256, EPOCH // 8, 20, "peak",
                "torch", "jax")

CASES = [
    *(product("forward", shape, "torch") for shape in (
        "128x128x784", "32x128x784", "256x256x256", "512x512x512", "1024x1024x1024",
        "256x1024x1024")),
    # PyTorch is called from Python, which takes longer than these products.
    *(product("forward", shape) for shape in ("64x64x64", "32x32x16", "1x128x784")),
    *(product("weights", shape, "torch") for shape in (
        "784x128x128", "784x128x32", "784x128x1024", "1024x1024x256")),
    *(product("inputs", shape, "torch") for shape in (
        "128x784x128", "128x128x10", "256x1024x1024")),
    MNIST(1, EPOCH // 16, 16, "peak", "torch", "jax"),
    MNIST(8, EPOCH // 4, 12, "peak", "torch", "jax"),
    MNIST(32, EPOCH, 12, "peak", "torch", "jax", "sklearn"),
    MNIST(128, EPOCH, 12, "peak", "torch", "jax", "sklearn"),
    MNIST(1024, EPOCH, 15, "peak", "torch", "jax"),
    WIDE,
    training("64-64-64-10", "tanh", "digits", 32, 17920, 15, "peak", "torch", "jax", "sklearn"),
    training("2-8-1", "sigmoid", "iris2", 10, 50000, 12, "torch", "jax", "fann"),
    training("2-8-1", "sigmoid", "iris2", 1, 100000, 24, "jax", "fann"),
    with_all_threads(MNIST(32, EPOCH, 0, "torch", "jax"), 6),
    with_all_threads(MNIST(128, EPOCH, 0, "torch", "jax"), 9),
    with_all_threads(MNIST(1024, EPOCH, 0, "torch", "jax"), 9),
    with_all_threads(WIDE, 9),
    fitting("2-8-1", 10, 1000),
    training_named("image-net", 32),
    training_named("image-net", 128),
    training_named("sensor-net", 32),
    with_all_threads(training_named("image-net", 32)),
    with_all_threads(training_named("image-net", 128)),
    with_all_threads(training_named("sensor-net", 32)),
    prediction("784-128-10", "python", "torch"),
    prediction("64-32-32-1", "python", "torch"),
    prediction("2-8-1", "c", "fann"),
    prediction_named("image-net"),
    prediction_named("sensor-net"),
]


# ---- The programs that are asked ----------------------------------------------------------------

def output_of(command, **how):
    """What the command prints; None if it fails or is not installed."""
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, **how).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def build():
    """Makes build/bench_data, build/bench and, if the compiler has OpenMP, build/bench_openmp."""
    compiler = shlex.split(os.environ.get("CC", "cc") + " " + os.environ.get("CFLAGS", "-O2"))
    options, libraries = [], []

    def try_library(macro, header, flags):
        program = f"#include <{header}>\nint main(void) {{ return 0; }}\n"
        if output_of([*compiler, "-x", "c", "-", "-o", os.devnull, *flags], input=program) is None:
            print(f"{header}: not found, skipped")
        else:
            options.append(macro)
            libraries.extend(flags)

    # Only pkg-config finds OpenBLAS: a <cblas.h> alone may belong to another library.
    openblas = output_of(["pkg-config", "--cflags", "--libs", "openblas"])
    try_library("-DBENCH_OPENBLAS", "cblas.h", shlex.split(openblas or "-lopenblas_not_found"))
    try_library("-DBENCH_FANN", "fann.h", ["-lfann"])
    os.makedirs("build", exist_ok=True)
    subprocess.run([*compiler, "-I.", "tests/bench/data.c", "-lm", "-o", "build/bench_data"],
                   check=True)
    command = [*compiler, *options, "-I.", "tests/bench/bench.c", *libraries, "-lm", "-o"]
    subprocess.run(command + ["build/bench"], check=True)
    if output_of(command + ["build/bench_openmp", "-fopenmp"]) is None:
        print("OpenMP: not found, skipped")
        if os.path.exists("build/bench_openmp"):
            os.remove("build/bench_openmp")


def busy_cores():
    """How many cores other programs keep busy."""
    def read():
        with open("/proc/stat") as file:
            times = [int(number) for number in file.readline().split()[1:9]]
        return sum(times), times[3] + times[4]  # of which idle, waiting for files
    try:
        before = read()
        time.sleep(2)
        total, idle = [new - old for new, old in zip(read(), before)]
    except OSError:
        return os.getloadavg()[0]
    return CORES * (1 - idle / total)


def cpu_info(field):
    """A field of Linux's /proc/cpuinfo, of the first core; "" where there is none."""
    try:
        with open("/proc/cpuinfo") as file:
            found = re.search(rf"^{field}\s*:\s*(.*)$", file.read(), re.MULTILINE)
    except OSError:
        return ""
    return found.group(1) if found else ""


class Process:
    """A program that answers each line with a line: see bench.c."""

    def __init__(self, command, threads, blas_threads, backend):
        # A machine may force OpenBLAS's kernels by a variable. Here it takes the fastest it has.
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("OPENBLAS_")}
        environment.update(OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(blas_threads))
        environment.update(AVX2 if backend == "avx2" else {})
        self.pipe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     env=environment, text=True)

    def tell(self, request):
        self.pipe.stdin.write(request + "\n")
        self.pipe.stdin.flush()

    def ask(self, request):
        self.tell(request)
        answer = self.pipe.stdout.readline().strip()
        if not answer:
            sys.exit(f"no answer to: {request}")
        return answer


@functools.lru_cache(maxsize=None)
def process(name, side, backend):
    """The program for one side, started when it is first needed; None if it could not be built."""
    forced = ["--backend", backend] if backend else []
    if name in ("c", "peak"):
        return Process(["build/bench", *forced], 1, 1, backend)
    if name == "c_all":
        command = ["build/bench_openmp", *forced]
        return Process(command, CORES, 1, backend) if os.path.exists(command[0]) else None
    threads = CORES if name == "python_all" else 1
    blas_threads = 1 if name == "python" else CORES
    return Process([sys.executable, "tests/bench/peers.py", side], threads, blas_threads, backend)


# ---- Measuring ----------------------------------------------------------------------------------

def ask(side, backend, request):
    """The answer's numbers; None if the side is not installed."""
    program = process(side.process, side.name, backend)
    answer = program.ask(request) if program else "skipped"
    if side.process in ("c_all", "python_all", "python_blas"):
        time.sleep(0.02)  # its threads may still be spinning
    return None if answer == "skipped" else [float(number) for number in answer.split()]


def sample(case, side, backend):
    """Units per second; None if the side is not installed."""
    seconds = SAMPLES[side.what.partition("_")[0]][0]
    rate = ask(side, backend, f"{side.what} {side.name} {seconds} {case.arguments}")
    return rate and rate[0] / (case.flops if side.what == "peak" else 1)


def every_side(case):
    return [("nn", case.ours)] + [(peer, side) for peer, several in case.peers.items()
                                  for side in several]


def measure_samples(case, rounds, backend):
    """The most units per second of each library."""
    best = dict.fromkeys(["nn", *case.peers])
    every = every_side(case)
    begin = time.monotonic()
    for _ in range(rounds or SAMPLES[case.ours.what][1]):
        for peer, side in list(every):
            rate = sample(case, side, backend)
            if rate is None:
                every.remove((peer, side))
            else:
                best[peer] = max(rate, best[peer] or 0)
        if time.monotonic() - begin > LONGEST:
            break
    return [Result(case, in_units(case, best), {})]


@functools.lru_cache(maxsize=None)
def make_data(path):
    """Writes the rows of a run. An old file may come from an older data.c, so it is made anew."""
    name = os.path.splitext(os.path.basename(path))[0]
    subprocess.run(["build/bench_data", name, path], check=True)


def run_in_turn(case, slices, backend):
    """The (seconds, loss) of each slice for each (library, side) that is installed."""
    rows, path = case.arguments.split()[2], case.arguments.split()[-1]
    answers = {key: [] for key in every_side(case)}
    make_data(path)
    begin = time.monotonic()
    for turn in range(slices):
        if time.monotonic() - begin > LONGEST_RUN:
            break
        for peer, side in list(answers):
            if side.what == "peak":
                answer = [int(rows) / sample(case, side, backend), None]
            else:
                request = "go" if turn else f"run {side.name} 0 {case.arguments}"
                answer = ask(side, backend, request)
            if answer:
                answers[peer, side].append(answer)
            else:
                del answers[peer, side]
    for _, side in answers:
        if side.what == "run":
            process(side.process, side.name, backend).tell("stop")
    return answers


def measure_run(case, rounds, backend):
    """Rows per second and loss of each library, at the end of the run; of MNIST's epochs with
    batch 32 a second result, the last epoch."""
    answers = run_in_turn(case, rounds + 1 if rounds else case.slices, backend)
    rates, losses = dict.fromkeys(["nn", *case.peers]), {}
    for (peer, _), slices in answers.items():
        fastest = min(seconds for seconds, _ in slices[-max(1, len(slices) // 3):])
        rate = int(case.arguments.split()[2]) / fastest
        if rate > (rates[peer] or 0):
            rates[peer], losses[peer] = rate, slices[-1][1]
    results = [Result(case, in_units(case, rates), losses)]
    if "build/mnist" in case.arguments and case.name.endswith("_batch32"):
        results.append(last_epoch(case, {peer: slices for (peer, _), slices in answers.items()}))
    return results


def last_epoch(case, answers):
    """The seconds of the last epoch, of nn.h also those of the first: no epoch may be slower."""
    values = {"nn": answers["nn"][-1][0], "first_epoch": answers["nn"][0][0]}
    values.update({peer: slices[-1][0] for peer, slices in answers.items()
                   if peer not in ("nn", "peak")})
    case = case._replace(name=case.name + "_epoch", ours=case.ours._replace(what="epoch"),
                         work=f"{case.work}: last of {len(answers['nn'])} epochs")
    return Result(case, values, {})


# ---- Reporting ----------------------------------------------------------------------------------

def digits(value):
    """At least four digits, and no exponent."""
    return f"{value:,.{max(0, 3 - math.floor(math.log10(value)))}f}"


def in_units(case, rates):
    """The values in the case's unit by library; None for a missing library."""
    convert = SAMPLES[case.ours.what][3]
    return {name: rate and convert(rate) for name, rate in rates.items()}


def faster(case, ours, other):
    """How many times as fast as the other nn.h is: times are better when they are smaller."""
    return other / ours if SAMPLES[case.ours.what][2] in ("us", "s") else ours / other


def print_line(result):
    """Prints the line for a person to read; returns the lines for other programs."""
    case, values = result.case, result.values
    unit, ours = SAMPLES[case.ours.what][2], values["nn"]
    cells, lines = [], []
    for peer, value in list(values.items())[1:]:
        ratio = f"{ours / value:.3f}" if ours and value else "skipped"
        cells.append(f"{ratio} x {peer} ({digits(value)})" if ours and value else f"{peer} skipped")
        figure = digits(ours).replace(",", "") if ours else "skipped"
        lines.append(f"bench {case.name} {figure} {unit} {peer} {ratio}")
    print(f"{case.name:42}{digits(ours) if ours else 'skipped':>10} {unit:9}  {', '.join(cells)}",
          flush=True)
    return lines


def versions(cases, backend):
    """What is compared, by the names of the libraries."""
    found = {"fann": "FANN " + (output_of(["pkg-config", "--modversion", "fann"]) or "").strip()}
    asked = {side._replace(what="") for case in cases for _, side in every_side(case)
             if side.process in ("c", "python")}
    for side in sorted(asked):
        for part in process(side.process, side.name, backend).ask("about").split("; "):
            found.update([part.split(": ", 1)] if ": " in part else [])
    return found


PROSE = """# The benchmark on {processor}

`make bench` wrote this file. Do not edit it; run the command again.

- Processor: {processor}, {cores} cores, {peak} GFLOP/s peak on one core.
- Library: {nn} kernels, compiled by {compiler} with `{flags}`.
- Other programs kept {busy:.1f} cores busy before the start. Results with several threads need an
  idle machine: {threads}.
- "Of peak" is nn.h's share of what one core can do with multiply-adds alone. In training only the
  multiply-adds of the matrix products count.
- "(2.0 x)" says that nn.h is 2.0 times as fast as the library before it. The fastest library is
  named first.
- A product `forward MxNxK` has M rows, N outputs and K inputs; it includes the bias and ReLU.
  A weight gradient has M inputs, N outputs and K rows; an input gradient M rows, N inputs and
  K outputs.
- Training: every library trains the same net on the same rows, with the same loss, optimizer and
  number of epochs, in float32 and in its own shuffled order; nn.h with nn_fit, which also counts
  the right predictions. The rate is that at the end of the run, "loss" the mean loss there.
- 784-128-10 trains on 59,392 images: {images}. 1024-1024-1024-1024-10 trains on as many
  generated ones. Both are larger than the caches. 64-64-64-10 trains on `digits.csv` and 2-8-1 on
  `iris2.csv` in `examples/data`.
- image-net has images of 28 x 28 pixels, 8 and 16 channels of 5 x 5 kernels, each with a largest
  number of 2 x 2 behind it, and dense layers of 64 and 10. sensor-net has 128 samples of 3 signals,
  8 channels of 5 and 16 of 3 samples, their averages, and a dense layer of 6. Both are measured in
  short samples of nn_train_batch. PyTorch has the layout of images that is faster. "im2col,
  OpenBLAS" is `im2col.h`: the patches of an image are copied to a matrix, which OpenBLAS multiplies
  by the kernels, as many libraries do.
- Nets with one output are sigmoid throughout and are trained with the squared error and SGD (FANN
  one row at a time, whatever the batch). The others end in softmax and are trained with the
  cross-entropy and Adam; their hidden layers are ReLU, those of 64-64-64-10 tanh.

| work | nn.h | of peak | other libraries | processor |
|---|---|---|---|---|
"""


def cell(value, *notes):
    """A value and, in parentheses, what is known beside it."""
    notes = ", ".join(note for note in notes if note)
    return f"{value} ({notes})" if notes else value


def loss_text(loss):
    """The loss at the end of a run tells that the net was trained."""
    return f"loss {loss:.3g}" if loss else ""


def write_table(results, backend, busy):
    found = versions([result.case for result in results], backend)
    found.update(train="nn_train_batch", im2col="im2col, OpenBLAS",
                 one_thread="one thread", first_epoch="the first epoch")
    family = cpu_info("cpu family")
    processor = cpu_info("model name") or platform.processor() or platform.machine()
    processor += f" (family {family}, model {cpu_info('model')})" if family else ""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    text = PROSE.format(
        processor=processor, cores=CORES, nn=found["nn"], busy=busy,
        peak=round(max(result.values.get("peak") or 0 for result in results
                       if result.case.flops == 1)),
        threads="they are in the table" if busy <= IDLE else "they are left out here",
        compiler=(output_of([*compiler, "--version"]) or compiler[0]).splitlines()[0],
        flags=os.environ.get("CFLAGS", "-O2"),
        images="the first of MNIST" if IMAGES == "mnist" else "generated")
    units = {"us": "microseconds", "s": "seconds"}
    for case, values, losses in results:
        unit, ours = SAMPLES[case.ours.what][2], values["nn"]
        if not ours:
            continue
        peak = f"{ours / values['peak']:.2f}" if values.get("peak") else ""
        ratios = {peer: faster(case, ours, value) for peer, value in values.items()
                  if value and peer not in ("nn", "peak")}
        others = "; ".join(
            f"{found[peer]}: " + cell(digits(values[peer]), f"{ratios[peer]:.2f} x",
                                      loss_text(losses.get(peer)))
            for peer in sorted(ratios, key=ratios.get))
        own = cell(f"{digits(ours)} {units.get(unit, unit)}", loss_text(losses.get("nn")))
        text += f"| {case.work} | {own} | {peak} | {others} | {processor} |\n"
    path = "tests/bench/results-" + re.sub("[^a-z0-9]+", "-", processor.lower()).strip("-") + ".md"
    with open(path, "w") as file:
        file.write(text)
    print(f"written to {path}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    chosen = [case for case in CASES
              if not options.names or any(name in case.name for name in options.names)]
    if not chosen:
        sys.exit("no such name")
    busy = 0 if options.names else busy_cores()
    build()
    print("; ".join(versions(chosen, options.backend).values()))
    results, lines = [], []
    for case in chosen:
        if case.ours.process == "c_all" and busy > IDLE:
            print(f"{case.name}: skipped, the machine is not idle")
            continue
        measure = measure_run if case.slices else measure_samples
        for result in measure(case, options.rounds, options.backend):
            results.append(result)
            lines += print_line(result)
    if not options.names and not options.rounds and not options.backend:
        write_table(results, options.backend, busy)
    print("\n".join(lines))


main()
