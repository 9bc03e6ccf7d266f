"""What the tests reach in nn.h, by room: gcov -bjt FILE.gcno... | coverage.py nn.h BACK-END...

Prints a table and what was not reached, and returns 1 when that is too much. coverage.sh says what
is counted.
"""
import json
import re
import sys
from collections import Counter, defaultdict

LEAST_LINES, LEAST = 100, 98  # percent of lines, of branches
INSTRUCTION_SETS = ["avx512", "avx2", "neon", "wasm"]

with open(sys.argv[1], encoding="ascii") as header:
    source = [""] + header.read().split("\n")
here = sys.argv[2:]

rooms = []  # of each line
kernel_lines = {}  # name without its instruction set, or name##_loop: where a macro defines it
for number, text in enumerate(source):
    tag = re.fullmatch(r"   >>(\w+)", text)
    rooms.append(tag.group(1) if tag else rooms[-1] if rooms else "doc")
    for name in re.findall(r"NN__NAME\(([\w#]+)\)", text):
        kernel_lines.setdefault(name, number)  # defined before it is used

def excused(number):
    """The source says why a line or a branch of it is not reached."""
    text = source[number]
    while number + 1 < len(source) and "/*" in text and "*/" not in text:
        number += 1
        text += source[number]
    return "/* unreached: " in text


def unreached_default(number):
    """Whether line `number` is a switch whose default cannot be reached."""
    if not re.match(r" +switch \(", source[number]):
        return False
    while not source[number].strip().startswith("default:"):
        number += 1
        if source[number].startswith("}"):
            return False
    return excused(number)


def kernel_of(function):
    """A kernel's name and instruction set, or None."""
    parts = function.removeprefix("nn__").rsplit("_", 1)
    return parts if len(parts) == 2 and parts[1] in INSTRUCTION_SETS else None


def definition(kernel):
    """The line of a kernel's definition in its macro."""
    if kernel in kernel_lines:
        return kernel_lines[kernel]
    made = [name for name in kernel_lines if "##" in name and kernel.endswith(name.split("##")[1])]
    return kernel_lines[made[0]] if made else 0


lines = Counter()  # line: how often it ran
kernels = Counter()  # kernel with its instruction set: how often it was called
variants = defaultdict(dict)  # line or kernel: number of branches: how often each was taken
for document in sys.stdin:
    for file in json.loads(document)["files"]:
        if not file["file"].endswith("nn.h"):
            continue
        # Code of a macro has the line where the macro is used: kernels are told apart by name.
        shared = Counter(line["line_number"] for line in file["lines"])
        for function in file["functions"]:
            if shared[function["start_line"]] > 1 and kernel_of(function["name"]):
                kernels[function["name"]] += function["execution_count"]
        for line in file["lines"]:
            number = line["line_number"]
            place = number
            if shared[number] > 1 and kernel_of(line["function_name"]):
                place = line["function_name"]
            else:
                lines[number] += line["count"]
            taken = [branch["count"] for branch in line["branches"]]
            before = variants[place].get(len(taken), [0] * len(taken))
            variants[place][len(taken)] = [a + b for a, b in zip(before, taken)]

total = defaultdict(lambda: [0] * 5)  # room: lines, reached; branches, reached; places excused
missed = []


def count(room, where, what, reached, excuse):
    """what: 0 for a line, 2 for branches; reached: a list of how often."""
    reached = [n for n in reached if n or not excuse] + [1 for n in reached if not n and excuse]
    total[room][what] += len(reached)
    total[room][what + 1] += sum(1 for n in reached if n)
    if 0 in reached:
        kind = "branch" if what else "line"
        missed.append((room, where, kind, "".join("+" if n else "-" for n in reached)))


left_out = set()
for number, times in lines.items():
    if source[number].strip() == "}":
        continue  # no statement
    excuse = excused(number)
    if excuse:
        total[rooms[number]][4] += 1
    count(rooms[number], number, 0, [times], excuse)
for place, seen in variants.items():
    # Where programs replace what a line calls, the one that reaches most of its branches counts.
    taken = max(seen.values(), key=lambda counts: (sum(1 for n in counts if n), -len(counts)))
    if isinstance(place, int):
        if unreached_default(place) and 0 in taken:
            taken.remove(0)  # gcov counts the default with the switch
        if "NN_ASSERT(" not in source[place]:
            count(rooms[place], place, 2, taken, excused(place))
        continue
    name, isa = kernel_of(place)
    if isa not in here:
        left_out.add(isa)
        continue
    number = definition(name)
    count(rooms[number], place, 2, taken, excused(number))
    if place in kernels:
        count(rooms[number], place, 0, [kernels[place]], excused(number))

print(f"{'room':12} {'lines':>6} {'reached':>8} {'branches':>9} {'reached':>8} {'marked':>7}")
total["all"] = [sum(room[i] for room in total.values()) for i in range(5)]
for room in [room for room in dict.fromkeys(rooms) if room in total] + ["all"]:
    of = total[room]
    shares = [100 * of[i + 1] / max(of[i], 1) for i in (0, 2)]
    print(f"{room:12} {of[0]:6} {shares[0]:7.2f}% {of[2]:9} {shares[1]:7.2f}% {of[4]:7}")
for room, where, kind, reached in sorted(missed, key=lambda m: (str(type(m[1])), m[1])):
    text = f"line {where}" if isinstance(where, int) else where
    shown = source[where].strip() if isinstance(where, int) else ""
    if kind == "line" or "-v" in sys.argv:
        print(f"not reached: {text} in >>{room}, {kind} {reached if kind == 'branch' else ''} {shown}")
for isa in sorted(left_out):
    print(f"not judged: the kernels of {isa}, which this machine does not have")
of = total["all"]
good = of[0] > 4000 and 100 * of[1] >= LEAST_LINES * of[0] and 100 * of[3] >= LEAST * of[2]
wanted = f"{LEAST_LINES} % of lines and {LEAST} % of branches"
print(f"coverage: {'good' if good else 'FAILED'}; {wanted} are wanted")
sys.exit(0 if good else 1)
