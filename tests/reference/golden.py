"""Makes the golden vectors in tests/reference/golden/ with PyTorch, in double precision.

    python3 tests/reference/golden.py    (needs PyTorch; made with 1.13; run from the root)

golden.c reads them. Every input, weight, target and option is a multiple of 1/64 or a short
decimal, so that a float build and a double build start from the same numbers; the expected
values are written with repr(), whose digits give back the same double. Each file says in its first
line how many cases it holds. Weights are written as nn.h keeps them: for each layer W [in][out],
then the bias [out]; PyTorch's own weight is [out][in].

PyTorch's exp and tanh differ in their last digit from processor to processor, and with them the
values and, where two problems would do for a case, which of them is taken. Add new cases behind the
old ones and keep what is committed.

PyTorch's exp and tanh differ in the last digit from processor to processor, and so do the values.
"""

import os
import random

import torch
from torch import nn
from torch.nn import functional as F

FOLDER = "tests/reference/golden"
HIDDEN = ["linear", "relu", "leaky_relu", "sigmoid", "tanh"]
OUTPUT = HIDDEN + ["softmax"]
SMOOTH = ["elu", "silu", "gelu", "softplus"]
MODULES = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.01),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softmax": lambda: nn.Softmax(dim=1),
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
}
HUBER_DELTAS = [1.0, 0.25]
COPIES = 4  # problems of each depth and number of rows
MARGIN = 1e-3  # distance that pre-activations and residuals keep from a kink

# (output activation, loss, kind of target, Huber's delta or the quantile, label smoothing)
LOSSES = (
    [(output, "mse", "real", 1.0, 0.0) for output in OUTPUT]
    + [(output, "huber", "real", delta, 0.0) for delta in HUBER_DELTAS for output in OUTPUT]
    + [("sigmoid", "binary_cross_entropy", "unit", 1.0, 0.0)]
    + [("softmax", "cross_entropy", target, 1.0, smoothing)
       for target in ("probability", "onehot") for smoothing in (0.0, 0.125)]
)

# The same for the activations of SMOOTH, of which one is always there, and for the losses MAE and
# quantile. They have problems of their own.
QUANTILES = [0.5, 0.125, 0.875, 0.25]
SMOOTH_LOSSES = (
    [(output, "mse", "real", 1.0, 0.0) for output in SMOOTH]
    + [(output, "huber", "real", delta, 0.0) for delta in HUBER_DELTAS for output in SMOOTH]
    + [("sigmoid", "binary_cross_entropy", "unit", 1.0, 0.0)]
    + [("softmax", "cross_entropy", "probability", 1.0, smoothing) for smoothing in (0.0, 0.125)]
    + [(output, "mae", "real", 1.0, 0.0) for output in OUTPUT + SMOOTH]
    + [(output, "quantile", "real", QUANTILES[(i + k) % 4], 0.0)
       for k in (1, 2) for i, output in enumerate(OUTPUT + SMOOTH)]
)


class Problem:
    """Inputs, parameters, targets and row weights, all multiples of 1/64 (or of 1/unit)."""

    def __init__(self, shape, rows, seed, unit=64, reach=64):
        self.random = random.Random(seed)
        self.shape, self.rows = shape, rows
        self.layers = [(self.draw(a, b, unit, reach), self.draw(1, b, unit, reach)[0])
                       for a, b in zip(shape, shape[1:])]
        self.x = self.draw(rows, shape[0], 64, 128)
        self.weight = self.draw(rows, 1, 64, 128).flatten().abs()
        self.weight[rows // 2] = 0.0 if rows > 1 else 1.5  # one row masked, never all
        outputs = shape[-1]
        self.target = {
            "real": self.draw(rows, outputs, 64, 128),
            "unit": self.draw(rows, outputs, 64, 128).clamp(-0.5, 0.5) + 0.5,  # some exactly 0, 1
            "probability": self.probabilities(outputs),
            "onehot": F.one_hot(torch.tensor([self.random.randrange(outputs) for _ in range(rows)]),
                                outputs).double(),
        }

    def draw(self, rows, columns, unit, reach):
        return torch.tensor([[self.random.randint(-reach, reach) / unit for _ in range(columns)]
                             for _ in range(rows)], dtype=torch.float64)

    def probabilities(self, outputs):
        """Rows of multiples of 1/64 that add up to exactly 1."""
        table = []
        for _ in range(self.rows):
            cuts = sorted(self.random.randint(0, 64) for _ in range(outputs - 1))
            table.append([(b - a) / 64 for a, b in zip([0] + cuts, cuts + [64])])
        return torch.tensor(table, dtype=torch.float64)

    def model(self, hidden, dtype=torch.float64):
        """nn.Sequential without the activation of the last layer."""
        modules = []
        for w, b in self.layers:
            linear = nn.Linear(w.shape[0], w.shape[1]).to(dtype)
            with torch.no_grad():
                linear.weight.copy_(w.t())
                linear.bias.copy_(b)
            modules += [linear, MODULES[hidden]()]
        return nn.Sequential(*modules[:-1])


def flatten(values_of_layers):
    """[(weight [out][in], bias)] -> one list in nn.h's order."""
    flat = []
    for weight, bias in values_of_layers:
        flat += weight.t().flatten().tolist() + bias.tolist()
    return flat


def linears(model):
    return [module for module in model if isinstance(module, nn.Linear)]


def parameters_of(model):
    return flatten([(m.weight.detach(), m.bias.detach()) for m in linears(model)])


def gradients_of(model):
    return flatten([(m.weight.grad, m.bias.grad) for m in linears(model)])


def row_losses(loss, z, p, target, delta, smoothing):
    """The loss of each row [rows], from PyTorch's own losses: mean over outputs, or their sum for
    cross-entropy. The quantile loss, which PyTorch has not, by its definition; delta is then the
    quantile."""
    if loss == "mse":
        return F.mse_loss(p, target, reduction="none").mean(1)
    if loss == "huber":
        return F.huber_loss(p, target, reduction="none", delta=delta).mean(1)
    if loss == "mae":
        return F.l1_loss(p, target, reduction="none").mean(1)
    if loss == "quantile":
        return torch.maximum(delta * (target - p), (1 - delta) * (p - target)).mean(1)
    if loss == "binary_cross_entropy":
        return nn.BCEWithLogitsLoss(reduction="none")(z, target).mean(1)
    return nn.CrossEntropyLoss(reduction="none", label_smoothing=smoothing)(z, target)


def row_losses_of_outputs(loss, p, target, delta, smoothing):
    """The same from the outputs alone, for dL/d(output)."""
    if loss == "binary_cross_entropy":
        return F.binary_cross_entropy(p, target, reduction="none").mean(1)
    if loss == "cross_entropy":
        smooth = (1 - smoothing) * target + smoothing / target.shape[1]
        return -(smooth * p.log()).sum(1)
    return row_losses(loss, None, p, target, delta, smoothing)


def average(losses, weight):
    return (losses * weight).sum() / weight.sum()


def measure(problem, hidden, what, weighted, dtype=torch.float64):
    """Loss, gradients of the parameters, dL/d(output) and dL/dx of one case."""
    output, loss, target, delta, smoothing = what
    model = problem.model(hidden, dtype)
    weight = (problem.weight if weighted else torch.ones(problem.rows)).to(dtype)
    t = problem.target[target].to(dtype)
    x = problem.x.clone().to(dtype).detach().requires_grad_()
    z = model(x)
    p = MODULES[output]()(z)
    value = average(row_losses(loss, z, p, t, delta, smoothing), weight)
    value.backward(retain_graph=True)
    tensors = [g for m in linears(model) for g in (m.weight.grad.clone(), m.bias.grad.clone())]
    gradients, dx = gradients_of(model), x.grad.clone()

    leaf = p.detach().clone().requires_grad_()
    average(row_losses_of_outputs(loss, leaf, t, delta, smoothing), weight).backward()
    x.grad = None
    p.backward(leaf.grad)
    return value.item(), gradients, leaf.grad, dx, tensors + [dx, x.grad]


def near(exact, rough):
    """The comparison of tests/reference/golden.c, three times closer; and not all are zero."""
    largest = exact.abs().max()
    return largest > 1e-4 and bool(
        ((exact - rough).abs() <= 3e-6 * exact.abs().clamp(min=0.06 * largest)).all())


def well_conditioned(problem, hidden, what, weighted):
    """Whether float can compute the case at all: PyTorch's own float is then near its double, the
    fused gradient and the one that goes through dL/d(output). It is not where p - t cancels, or
    where all outputs of a softmax get nearly the same dL/d(output). No gradient is all zero."""
    exact = measure(problem, hidden, what, weighted)[4]
    exact[-1] = exact[-2]
    rough = measure(problem, hidden, what, weighted, torch.float32)[4]
    return all(near(a, b) for a, b in zip(exact, rough))


def clear_of_kinks(problem):
    """No pre-activation near 0 where ReLU could meet it, no residual near a Huber delta, some
    gradient in every weight matrix, and both sides of ReLU and Huber met when there are 7 rows."""
    for hidden in HIDDEN:
        model = problem.model(hidden)
        z = problem.x
        for module in model:
            z = module(z)
            if isinstance(module, nn.Linear) and (z.abs() < MARGIN).any():
                return False
        for output in OUTPUT:
            p = MODULES[output]()(z)
            r = (p - problem.target["real"]).abs()
            for delta in HUBER_DELTAS:
                if ((r - delta).abs() < MARGIN).any():
                    return False
                if problem.rows > 1 and not ((r < delta).any() and (r > delta).any()):
                    return False
            for delta in HUBER_DELTAS + [1e9]:  # the last one is MSE / 2
                model.zero_grad()
                F.huber_loss(p, problem.target["real"], delta=delta).backward(retain_graph=True)
                if any(m.weight.grad.abs().max() < 1e-4 for m in linears(model)):
                    return False
    return True


def clear_of_more_kinks(problem):
    """The same for the activations of SMOOTH and for MAE and the quantile loss, which bend where a
    residual is 0: with 7 rows there are residuals of both signs."""
    for hidden in SMOOTH:
        model = problem.model(hidden)
        z = problem.x
        for module in model:
            z = module(z)
            if isinstance(module, nn.Linear) and (z.abs() < MARGIN).any():
                return False
        for output in OUTPUT + SMOOTH:
            p = MODULES[output]()(z)
            r = p - problem.target["real"]
            for kink in HUBER_DELTAS + [0.0]:
                if ((r.abs() - kink).abs() < MARGIN).any():
                    return False
            if problem.rows > 1 and not ((r < 0).any() and (r > 0).any()):
                return False
    return True


def find_problem(shape, rows, seed, clear=clear_of_kinks, **how):
    while not clear(Problem(shape, rows, seed, **how)):
        seed += 1
    return Problem(shape, rows, seed, **how)


# ---- Writing ------------------------------------------------------------------------------------


def number(value):
    """The shortest decimal that reads back as the same double."""
    value = float(value)
    return str(int(value)) if value == int(value) and abs(value) < 1e9 else repr(value)


def array(name, values):
    if isinstance(values, torch.Tensor):
        values = values.flatten().tolist()
    return " ".join([name, str(len(values))] + [number(v) for v in values]) + "\n"


def write(name, cases):
    os.makedirs(FOLDER, exist_ok=True)
    path = f"{FOLDER}/{name}.txt"
    with open(path, "w", newline="\n") as file:
        file.write(f"golden {name} {len(cases)}\n" + "".join(cases) + "end\n")
    print(f"{path}: {len(cases)} cases, {os.path.getsize(path)} bytes")


def problem_text(problem):
    return (array("problem", problem.shape) + f"rows {problem.rows}\n"
            + array("parameters", parameters_of(problem.model("linear")))
            + array("x", problem.x) + array("weight", problem.weight)
            + "".join(array(kind, t) for kind, t in problem.target.items()))


# ---- Outputs, losses, gradients -----------------------------------------------------------------


def make_problems():
    """Problems by (depth, rows, copy), then "wide" and "extreme"."""
    problems = {}
    for depth, shape in {1: (2, 3), 2: (2, 3, 3), 3: (2, 3, 2, 2)}.items():
        for rows in (1, 7):
            for copy in range(COPIES):
                problems[depth, rows, copy] = find_problem(
                    shape, rows, 10000 * depth + 1000 * rows + 300 * copy)
    # Wider than any vector register, and than two of them and a tail; weights of at most 1/4.
    problems["wide"] = find_problem((9, 33, 17, 5), 7, 50000, unit=256)
    # Logits up to +-120, beyond exp in float: nothing may overflow, saturated rows keep a gradient.
    problems["extreme"] = Problem((2, 3), 7, 60000, unit=1)
    return problems


def make_smooth_problems():
    """Problems for the activations of SMOOTH, MAE and the quantile loss, by the same keys."""
    problems = {}
    for depth, shape in {1: (2, 3), 2: (2, 3, 3), 3: (2, 3, 2, 2)}.items():
        for rows in (1, 7):
            for copy in range(COPIES):
                problems[depth, rows, copy] = find_problem(
                    shape, rows, 100000 * depth + 20000 * rows + 5000 * copy, clear_of_more_kinks)
    problems["wide"] = find_problem((9, 33, 17, 5), 7, 500000, unit=256)
    return problems


def outputs_case(index, problem, hidden, output):
    y = MODULES[output]()(problem.model(hidden)(problem.x)).detach()
    return f"case {index} {hidden} {output}\n" + array("y", y)


def make_outputs(problems):
    cases = []
    for index, (key, problem) in enumerate(problems.items()):
        if isinstance(key, tuple) and key[2] > 0:
            continue  # the other copies serve the losses
        for i, hidden in enumerate(["linear"] if len(problem.shape) == 2 else HIDDEN):
            outputs = OUTPUT[i:i + 1] + ["softmax"] if key == "wide" else OUTPUT
            cases += [outputs_case(index, problem, hidden, output) for output in outputs]
    return cases


def make_smooth_outputs(problems, first):
    """Each of SMOOTH in the middle and at the end, beside each other activation. `first` is the
    index of the first problem."""
    cases = []
    for index, (key, problem) in enumerate(problems.items(), first):
        if key == "wide":
            pairs = list(zip(SMOOTH, SMOOTH[1:] + SMOOTH[:1]))
        elif key[2] > 0:
            continue
        elif key[0] == 1:
            pairs = [("linear", output) for output in SMOOTH]
        elif key[0] == 2:
            pairs = [(hidden, output) for hidden in HIDDEN for output in SMOOTH]
        else:
            pairs = [(hidden, output) for hidden in SMOOTH for output in OUTPUT + SMOOTH]
        cases += [outputs_case(index, problem, *pair) for pair in pairs]
    return cases


def loss_case(index, problem, hidden, what, weighted, inputs=True):
    output, loss, target, delta, smoothing = what
    value, gradients, dy, dx, _ = measure(problem, hidden, what, weighted)
    return (f"case {index} {hidden} {output} {loss} {target} {weighted:d} "
            f"{number(delta)} {number(smoothing)}\nloss {number(value)}\n"
            + array("gradients", gradients) + array("dy", dy if inputs else [])
            + array("dx", dx if inputs else []))


def choose_problem(problems, depth, rows, first, hidden, what, weighted):
    """The first of the copies, from `first` on, that suits the case."""
    for i in range(COPIES):
        key = depth, rows, (first + i) % COPIES
        if well_conditioned(problems[key], hidden, what, weighted):
            return key
    raise ValueError(f"no problem suits {depth, rows, hidden, what}")


def make_losses(problems):
    """Each hidden activation x each of LOSSES with 7 rows at depth 2 or 3 and with 1 row at the
    other, row weights every second time; depth 1 has no hidden activation."""
    plan = []  # (depth, rows, preferred copy), hidden activation, loss, row weights
    for i, what in enumerate(LOSSES):
        plan += [((1, 7, i), "linear", what, i % 2 == 0), ((1, 1, i), "linear", what, i % 3 == 0)]
        for j, hidden in enumerate(HIDDEN):
            k = i + j
            depth = 2 + k % 2
            plan += [((depth, 7, k), hidden, what, k // 2 % 2 == 0),
                     ((5 - depth, 1, k), hidden, what, k % 3 == 0)]
    plan = [(choose_problem(problems, *key, *rest), *rest) for key, *rest in plan]
    plan += [("wide", hidden, what, True)
             for hidden, what in (("relu", LOSSES[-1]), ("tanh", LOSSES[0]))]
    keys = list(problems)
    cases = [loss_case(keys.index(key), problems[key], *rest) for key, *rest in plan]
    cases += [loss_case(keys.index("extreme"), problems["extreme"], "linear", what, False, False)
              for what in LOSSES if "entropy" in what[1]]
    return cases


def make_smooth_losses(problems, first):
    """Each of SMOOTH_LOSSES behind two of the activations of SMOOTH, with 7 rows and with 1, at depth
    2 and 3 in turn, and without a hidden layer; row weights every second time. Softmax is at depth 2
    alone, where it has 3 outputs: of 2, MAE and quantile leave hardly a gradient."""
    plan = []
    for i, what in enumerate(SMOOTH_LOSSES):
        plan.append(((1, 7 if i % 2 else 1, i), "linear", what, i % 4 > 1))
        for j in range(2):
            depth = 2 if what[0] == "softmax" else 2 + (i + j) % 2
            plan.append(((depth, 7 if j else 1, i), SMOOTH[(i + i // 4 + j) % 4], what,
                         (i + j) % 2 == 0))
    plan = [(choose_problem(problems, *key, *rest), *rest) for key, *rest in plan]
    plan += [("wide", hidden, what, True) for hidden, what in
             (("gelu", ("silu", "mse", "real", 1.0, 0.0)),
              ("softplus", ("linear", "quantile", "real", 0.125, 0.0)))]
    keys = list(problems)
    return [loss_case(first + keys.index(key), problems[key], *rest) for key, *rest in plan]


# ---- Training -----------------------------------------------------------------------------------

STEPS = 20
KEPT = (1, 2, 20)  # the steps after which the parameters are written
CYCLE = (4, 4, 2)  # rows of the batches, over and over
WHOLE = (10,)

# name: (batches, options as nn_options has them; those left out are the defaults)
TRAININGS = {
    "sgd default": (CYCLE, {"optimizer": "sgd"}),
    "sgd": (CYCLE, {"optimizer": "sgd", "learning_rate": 0.125}),
    "sgd momentum": (CYCLE, {"optimizer": "sgd", "learning_rate": 0.0625, "momentum": 0.875}),
    "sgd nesterov": (CYCLE, {"optimizer": "sgd", "learning_rate": 0.0625, "momentum": 0.875,
                             "nesterov": 1}),
    "sgd decay": (CYCLE, {"optimizer": "sgd", "learning_rate": 0.125, "weight_decay": 0.0625}),
    "sgd momentum decay": (CYCLE, {"optimizer": "sgd", "learning_rate": 0.0625, "momentum": 0.75,
                                   "weight_decay": 0.125}),
    "sgd nesterov decay clip": (WHOLE, {"optimizer": "sgd", "learning_rate": 0.125,
                                        "momentum": 0.75, "nesterov": 1, "weight_decay": 0.0625,
                                        "clip_norm": 0.5}),
    "adam default": (CYCLE, {"optimizer": "adam"}),
    "adam": (CYCLE, {"optimizer": "adam", "learning_rate": 0.03125}),
    "adam betas": (CYCLE, {"optimizer": "adam", "learning_rate": 0.03125, "beta1": 0.5,
                           "beta2": 0.75}),
    "adam epsilon": (CYCLE, {"optimizer": "adam", "learning_rate": 0.0625, "epsilon": 0.25}),
    "adam decay": (CYCLE, {"optimizer": "adam", "learning_rate": 0.03125, "weight_decay": 0.5}),
    "adam all": (WHOLE, {"optimizer": "adam", "learning_rate": 0.03125, "beta1": 0.75,
                         "beta2": 0.9375, "epsilon": 0.015625, "weight_decay": 0.25,
                         "clip_norm": 0.25}),
    "clip": (WHOLE, {"optimizer": "sgd", "learning_rate": 0.25, "clip_norm": 0.125}),
    "clip idle": (WHOLE, {"optimizer": "sgd", "learning_rate": 0.0625, "clip_norm": 64}),
    "step": (CYCLE, {"optimizer": "sgd", "learning_rate": 0.25, "schedule": "step",
                     "schedule_steps": 6, "step_factor": 0.5}),
    "step default": (CYCLE, {"optimizer": "adam", "learning_rate": 0.0625, "schedule": "step",
                             "schedule_steps": 8}),
    "cosine": (CYCLE, {"optimizer": "sgd", "learning_rate": 0.25, "schedule": "cosine",
                       "schedule_steps": 20, "minimum_learning_rate": 0.03125}),
    "cosine to zero": (CYCLE, {"optimizer": "adam", "learning_rate": 0.0625, "schedule": "cosine",
                               "schedule_steps": 20}),
    "warm-up": (CYCLE, {"optimizer": "sgd", "learning_rate": 0.25, "warmup_steps": 7}),
    "warm-up step": (WHOLE, {"optimizer": "sgd", "learning_rate": 0.25, "momentum": 0.5,
                             "schedule": "step", "schedule_steps": 5, "step_factor": 0.75,
                             "warmup_steps": 4}),
    "warm-up cosine": (WHOLE, {"optimizer": "adam", "learning_rate": 0.0625, "schedule": "cosine",
                               "schedule_steps": 15, "minimum_learning_rate": 0.015625,
                               "warmup_steps": 5}),
}
SMOOTH_TRAININGS = {
    "rmsprop default": (CYCLE, {"optimizer": "rmsprop"}),
    "rmsprop": (CYCLE, {"optimizer": "rmsprop", "learning_rate": 0.00390625}),
    "rmsprop momentum": (CYCLE, {"optimizer": "rmsprop", "learning_rate": 0.001953125,
                                 "momentum": 0.875}),
    "rmsprop decay": (CYCLE, {"optimizer": "rmsprop", "learning_rate": 0.0078125,
                              "weight_decay": 0.125}),
    "rmsprop alpha": (CYCLE, {"optimizer": "rmsprop", "learning_rate": 0.015625, "alpha": 0.75}),
    "rmsprop alpha zero": (CYCLE, {"optimizer": "rmsprop", "learning_rate": 0.015625, "alpha": 0,
                                   "epsilon": 0.0625}),
    "rmsprop epsilon": (CYCLE, {"optimizer": "rmsprop", "learning_rate": 0.03125,
                                "epsilon": 0.25}),
    "rmsprop all": (WHOLE, {"optimizer": "rmsprop", "learning_rate": 0.0078125, "momentum": 0.5,
                            "alpha": 0.9375, "epsilon": 0.015625, "weight_decay": 0.0625,
                            "clip_norm": 0.25}),
    "rmsprop cosine": (WHOLE, {"optimizer": "rmsprop", "learning_rate": 0.015625,
                               "schedule": "cosine", "schedule_steps": 15, "warmup_steps": 5,
                               "minimum_learning_rate": 0.00390625}),
    "adam beta1 zero": (CYCLE, {"optimizer": "adam", "learning_rate": 0.03125, "beta1": 0}),
    "adam betas zero": (CYCLE, {"optimizer": "adam", "learning_rate": 0.03125, "beta1": 0,
                                "beta2": 0, "epsilon": 0.0625}),
    "step to zero": (CYCLE, {"optimizer": "sgd", "learning_rate": 0.25, "schedule": "step",
                             "schedule_steps": 8, "step_factor": 0}),
    "mae": (CYCLE, {"optimizer": "sgd", "learning_rate": 0.0625}),
    "quantile": (WHOLE, {"optimizer": "sgd", "learning_rate": 0.0625, "momentum": 0.5,
                         "quantile": 0.125}),
    "quantile rmsprop": (CYCLE, {"optimizer": "rmsprop", "learning_rate": 0.00390625,
                                 "quantile": 0.875}),
}
# Most train with MSE; these two go through the fused losses.
ENTROPIES = {"adam all": ("softmax", "cross_entropy", "probability"),
             "sgd momentum decay": ("sigmoid", "binary_cross_entropy", "unit")}
# Hidden activation, then the same. Those that are not named have tanh and MSE.
SMOOTH_MODELS = {
    "rmsprop": ("silu", "softplus", "mse", "real"),
    "rmsprop momentum": ("gelu", "linear", "mse", "real"),
    "rmsprop all": ("elu", "softmax", "cross_entropy", "probability"),
    "rmsprop epsilon": ("softplus", "sigmoid", "binary_cross_entropy", "unit"),
    "adam beta1 zero": ("gelu", "silu", "mse", "real"),
    "mae": ("silu", "linear", "mae", "real"),
    "quantile": ("elu", "linear", "quantile", "real"),
    "quantile rmsprop": ("gelu", "elu", "quantile", "real"),
}

RATES = {
    "constant": {"learning_rate": 0.125},
    "step 7": {"learning_rate": 0.125, "schedule": "step", "schedule_steps": 7,
               "step_factor": 0.875},
    "cosine 100": {"learning_rate": 0.125, "schedule": "cosine", "schedule_steps": 100,
                   "minimum_learning_rate": 0.0078125},
    "cosine 100 to zero": {"learning_rate": 0.125, "schedule": "cosine", "schedule_steps": 100},
    "warm-up 12": {"learning_rate": 0.125, "warmup_steps": 12},
    "warm-up 1 step 10": {"learning_rate": 0.125, "schedule": "step", "schedule_steps": 10,
                          "step_factor": 0.25, "warmup_steps": 1},
    "warm-up 37 cosine 63": {"learning_rate": 0.125, "schedule": "cosine", "schedule_steps": 63,
                             "minimum_learning_rate": 0.015625, "warmup_steps": 37},
}


def make_optimizer(parameters, how):
    if how.get("optimizer", "sgd") == "sgd":
        return torch.optim.SGD(parameters, lr=how.get("learning_rate", 1e-2),
                               momentum=how.get("momentum", 0), nesterov="nesterov" in how,
                               weight_decay=how.get("weight_decay", 0))
    if how["optimizer"] == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=how.get("learning_rate", 1e-2),
                                   alpha=how.get("alpha", 0.99), eps=how.get("epsilon", 1e-8),
                                   weight_decay=how.get("weight_decay", 0),
                                   momentum=how.get("momentum", 0))
    return torch.optim.AdamW(parameters, lr=how.get("learning_rate", 1e-3),
                             betas=(how.get("beta1", 0.9), how.get("beta2", 0.999)),
                             eps=how.get("epsilon", 1e-8), weight_decay=how.get("weight_decay", 0))


class Schedule:
    """Linear warm-up by hand, then PyTorch's own scheduler, stepped once for each update."""

    def __init__(self, optimizer, how):
        self.optimizer, self.updates = optimizer, 0
        self.base, self.warmup = optimizer.param_groups[0]["lr"], how.get("warmup_steps", 0)
        self.inner = None
        if how.get("schedule") == "step":
            self.inner = torch.optim.lr_scheduler.StepLR(
                optimizer, how["schedule_steps"], how.get("step_factor", 0.1))
        if how.get("schedule") == "cosine":
            self.inner = torch.optim.lr_scheduler.CosineAnnealingLR(
                optimizer, how["schedule_steps"], how.get("minimum_learning_rate", 0))
        self.set(self.rate())

    def set(self, rate):
        self.optimizer.param_groups[0]["lr"] = rate

    def rate(self):
        if self.updates < self.warmup:
            return self.base * (self.updates + 1) / self.warmup
        return self.optimizer.param_groups[0]["lr"]

    def step(self):
        self.updates += 1
        if self.updates <= self.warmup:
            self.set(self.base)  # where PyTorch's scheduler starts
            self.set(self.rate())
        elif self.inner:
            self.inner.step()


def options_text(how):
    """A 0 is written as the word zero: nn_options needs NN_ZERO there."""
    return f"options {len(how)} " + " ".join(
        f"{key} {value if isinstance(value, str) else number(value) if value else 'zero'}"
        for key, value in how.items()) + "\n"


def train(problem, what, batches, how):
    """20 updates: losses before each, norms before clipping, rates, and the parameters."""
    hidden, output, loss, target = what
    model = problem.model(hidden)
    optimizer = make_optimizer(model.parameters(), how)
    schedule = Schedule(optimizer, how)
    losses, norms, rates, kept = [], [], [schedule.rate()], []
    for step in range(STEPS):
        start = sum(batches[:step % len(batches)])
        rows = slice(start, start + batches[step % len(batches)])
        z = model(problem.x[rows])
        p = MODULES[output]()(z)
        t = problem.target[target][rows]
        value = row_losses(loss, z, p, t, how.get("quantile", 1.0), 0.0).mean()
        if loss in ("mae", "quantile"):  # float must see the same signs
            assert (p - t).abs().min() > 1e-4
        optimizer.zero_grad()
        value.backward()
        if "clip_norm" in how:
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), how["clip_norm"]).item())
        optimizer.step()
        schedule.step()
        losses.append(value.item())
        rates.append(schedule.rate())
        if step + 1 in KEPT:
            kept.append(parameters_of(model))
    return losses, norms, rates, kept


def training_case(name, batches, how):
    problem = Problem((2, 3, 2), 10, 70000)
    what = ("tanh", *ENTROPIES.get(name, ("linear", "mse", "real")))
    what = SMOOTH_MODELS.get(name, what)
    losses, norms, rates, kept = train(problem, what, batches, how)
    if name == "clip":
        assert min(norms) > how["clip_norm"]  # every step is clipped
    if name == "clip idle":
        assert max(norms) < how["clip_norm"]
    return ("case " + name.replace(" ", "_") + "\n" + options_text(how)
            + f"model {' '.join(what)}\n" + array("batches", batches)
            + array("losses", losses) + array("norms", norms) + array("rates", rates)
            + array("kept", KEPT) + "".join(array("after", p) for p in kept))


def rates_case(name, how):
    parameter = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = make_optimizer([parameter], how)
    schedule = Schedule(optimizer, how)
    rates = [schedule.rate()]
    for _ in range(100):
        optimizer.step()
        schedule.step()
        rates.append(schedule.rate())
    return ("case " + name.replace(" ", "_") + "\n" + options_text(how) + array("rates", rates))


# ---- Images -------------------------------------------------------------------------------------

# Nets of images: (height, width, channels), rows, layers, loss, options; made with PyTorch 2.15. A
# layer is written as a word and numbers: "conv" height width stride_height stride_width same channels activation; "max" and
# "average" height width stride_height stride_width; "global"; "dense" outputs activation.
IMAGE_STEPS = 4
IMAGE_NETS = {
    "plain": ((5, 4, 2), 3, ["conv 3 3 1 1 0 3 tanh", "dense 2 linear"],
              "mse", {"optimizer": "sgd", "learning_rate": 0.0625}),
    "same": ((6, 5, 3), 3, ["conv 3 3 1 1 1 4 relu", "max 2 2 2 2", "conv 2 2 1 1 1 5 gelu",
                            "dense 3 softmax"],
             "cross_entropy", {"optimizer": "adam", "learning_rate": 0.015625}),
    "strides": ((7, 9, 1), 2, ["conv 3 5 2 3 1 9 silu", "conv 2 1 1 2 0 3 leaky_relu",
                               "dense 2 sigmoid"],
                "binary_cross_entropy", {"optimizer": "adam", "learning_rate": 0.03125,
                                         "weight_decay": 0.25}),
    "even": ((5, 5, 2), 3, ["conv 4 2 1 1 1 3 elu", "conv 1 4 1 1 1 2 tanh", "dense 2 linear"],
             "mse", {"optimizer": "sgd", "learning_rate": 0.03125, "momentum": 0.75}),
    "overlap": ((6, 6, 2), 3, ["conv 2 2 1 1 0 3 softplus", "max 3 2 1 1", "average 2 2 1 1",
                               "dense 3 softmax"],
                "cross_entropy", {"optimizer": "sgd", "learning_rate": 0.125}),
    "average": ((8, 4, 3), 2, ["average 2 2 2 1", "conv 3 3 1 1 1 17 sigmoid", "global",
                               "dense 2 linear"],
                "mse", {"optimizer": "adam", "learning_rate": 0.015625}),
    "sequence": ((1, 20, 3), 4, ["conv 1 5 1 2 1 8 relu", "max 1 2 1 2", "conv 1 3 1 1 0 6 relu",
                                 "global", "dense 3 softmax"],
                 "cross_entropy", {"optimizer": "adam", "learning_rate": 0.015625}),
    "sequence last": ((1, 15, 1), 2, ["conv 1 4 1 1 1 2 tanh", "average 1 3 1 2",
                                      "conv 1 7 1 1 0 3 linear"],
                      "mse", {"optimizer": "sgd", "learning_rate": 0.0625, "clip_norm": 0.25}),
    "column": ((13, 1, 2), 2, ["conv 5 1 2 1 1 3 relu", "max 2 1 1 1", "dense 2 linear"],
               "mse", {"optimizer": "rmsprop", "learning_rate": 0.00390625}),
    "pool first": ((6, 7, 2), 2, ["max 2 3 2 2", "conv 2 2 1 1 0 2 tanh", "dense 4 relu",
                                  "dense 2 linear"],
                   "mse", {"optimizer": "sgd", "learning_rate": 0.0625}),
}


class ImageProblem:
    """A net of an image, its rows and targets. Images are [rows][height][width][channels], as nn.h
    has them, and PyTorch sees them as [rows][channels][height][width]."""

    def __init__(self, name, seed):
        self.random = random.Random(seed)
        self.image, self.rows, self.layers, self.loss, self.how = IMAGE_NETS[name]
        height, width, channels = self.image
        self.modules, self.output = [], "linear"
        size, flat = self.image, None  # what comes before the next layer
        for text in self.layers:
            kind, *words = text.split()
            if kind == "dense":
                before = size[0] * size[1] * size[2] if flat is None else flat
                order = size if flat is None else None  # of the image that it flattens
                flat, self.output = int(words[0]), words[1]
                self.modules.append((nn.Linear(before, flat).double(), order, words[1]))
                continue
            if kind == "global":
                module, self.output = nn.AdaptiveAvgPool2d(1), "linear"
            elif kind == "conv":
                kh, kw, sh, sw, same, out = map(int, words[:6])
                pads = ((kw - 1) // 2, kw - 1 - (kw - 1) // 2,
                        (kh - 1) // 2, kh - 1 - (kh - 1) // 2) if same else (0, 0, 0, 0)
                conv = nn.Conv2d(size[2], out, (kh, kw), stride=(sh, sw))
                module, self.output = nn.Sequential(nn.ZeroPad2d(pads), conv).double(), words[6]
            else:
                numbers = list(map(int, words))
                pool = nn.MaxPool2d if kind == "max" else nn.AvgPool2d
                module, self.output = pool(tuple(numbers[:2]), tuple(numbers[2:])), "linear"
            self.modules.append((module, None, self.output))
            empty = torch.zeros(1, size[2], size[0], size[1], dtype=torch.float64)
            shape = module(empty).shape
            size = shape[2], shape[3], shape[1]
        self.outputs = flat or size[0] * size[1] * size[2]
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(self.draw(p.shape, 32, 128 if p.numel() > 60 else 64))
        self.x = self.draw((self.rows, height, width, channels), 128, 64)
        if self.loss == "mse":
            self.target = self.draw((self.rows, self.outputs), 64, 64)
        elif self.loss == "binary_cross_entropy":
            self.target = self.draw((self.rows, self.outputs), 1, 2) + 0.5
        else:
            self.target = F.one_hot(torch.tensor(
                [self.random.randrange(self.outputs) for _ in range(self.rows)]),
                self.outputs).double()

    def draw(self, shape, reach, unit):
        count = 1
        for n in shape:
            count *= n
        return torch.tensor([self.random.randint(-reach, reach) / unit for _ in range(count)],
                            dtype=torch.float64).reshape(tuple(shape))

    def parameters(self):
        return [p for module, _, _ in self.modules for p in module.parameters()]

    def logits(self, x, seen=None):
        """What comes before the last activation. seen collects what must keep from kinks."""
        z = x.permute(0, 3, 1, 2)
        for i, (module, _, activation) in enumerate(self.modules):
            if isinstance(module, nn.Linear):
                z = z.flatten(1)  # of an image: channels first
            if seen is not None and isinstance(module, nn.MaxPool2d):
                windows = z.unfold(2, module.kernel_size[0], module.stride[0])
                windows = windows.unfold(3, module.kernel_size[1], module.stride[1])
                top = windows.flatten(4).topk(2, 4).values
                gap = top[..., 0] - top[..., 1]
                # Zeros behind ReLU get no gradient, whichever of them is the largest. Inputs are
                # multiples of 1/64, and so may be equal: PyTorch, too, takes the first.
                seen.append(torch.where((top[..., 0] == 0) | torch.tensor(i == 0), gap + 1, gap))
            z = module(z)
            if seen is not None and activation in ("relu", "leaky_relu"):
                seen.append(z.abs())
            if i + 1 < len(self.modules):
                z = MODULES[activation]()(z)
        return z

    def outputs_of(self, x):
        z = self.logits(x)
        if z.dim() == 4:
            z = z.permute(0, 2, 3, 1).flatten(1)
        return z, MODULES[self.output]()(z)

    def loss_of(self, z, p, rows=slice(None)):
        return row_losses(self.loss, z, p, self.target[rows], 1.0, 0.0).mean()

    def in_order(self, gradients=False):
        """Parameters or gradients as nn.h keeps them: a kernel as [height][width][channels
        before][channels], the first dense layer's rows in the order of channels last."""
        flat = []
        for module, order, _ in self.modules:
            for p in module.parameters():
                v = p.grad if gradients else p.detach()
                if v.dim() == 4:
                    v = v.permute(2, 3, 1, 0)
                elif v.dim() == 2:
                    if order:
                        v = v.reshape(v.shape[0], order[2], order[0], order[1]).permute(2, 3, 1, 0)
                    else:
                        v = v.t()
                flat += v.flatten().tolist()
        return flat

    def clear_of_kinks(self):
        seen = []
        self.logits(self.x, seen)
        return all(bool((s > MARGIN).all()) for s in seen)


def image_case(name, seed):
    while not ImageProblem(name, seed).clear_of_kinks():
        seed += 1
        assert seed % 1000, name
    p = ImageProblem(name, seed)
    text = ("case " + name.replace(" ", "_") + "\n" + options_text(p.how) + f"loss {p.loss}\n"
            + array("image", p.image) + f"layers {len(p.layers)}\n"
            + "".join(layer + "\n" for layer in p.layers) + f"rows {p.rows}\n"
            + array("parameters", p.in_order()) + array("x", p.x) + array("target", p.target))
    x = p.x.clone().requires_grad_()
    z, y = p.outputs_of(x)
    y.retain_grad()
    value = p.loss_of(z, y)
    value.backward(retain_graph=True)
    text += (array("y", y.detach()) + f"value {number(value.item())}\n"
             + array("gradients", p.in_order(True)))
    dy = p.target * 0.5 + 0.25  # any dL/d(output), for the level of steps
    for q in p.parameters():
        q.grad = None
    x.grad = None
    y.backward(dy)
    text += array("step_dx", x.grad) + array("step_gradients", p.in_order(True))
    optimizer = make_optimizer(p.parameters(), p.how)
    losses = []
    for _ in range(IMAGE_STEPS):
        z, y = p.outputs_of(p.x)
        value = p.loss_of(z, y)
        optimizer.zero_grad()
        value.backward()
        if "clip_norm" in p.how:
            nn.utils.clip_grad_norm_(p.parameters(), p.how["clip_norm"])
        optimizer.step()
        losses.append(value.item())
    return text + array("losses", losses) + array("after", p.in_order())


def main():
    torch.set_num_threads(1)
    problems, smooth = make_problems(), make_smooth_problems()
    training = Problem((2, 3, 2), 10, 70000)
    first = len(problems)
    write("problems", [problem_text(p) for p in [*problems.values(), *smooth.values(), training]])
    write("outputs", make_outputs(problems) + make_smooth_outputs(smooth, first))
    write("losses", make_losses(problems) + make_smooth_losses(smooth, first))
    write("steps", [training_case(name, *what)
                    for name, what in {**TRAININGS, **SMOOTH_TRAININGS}.items()])
    write("rates", [rates_case(name, how) for name, how in RATES.items()])
    write_images()


def write_images():
    write("images", [image_case(name, 800000 + 1000 * i) for i, name in enumerate(IMAGE_NETS)])


if __name__ == "__main__":
    main()
