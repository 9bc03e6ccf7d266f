"""Draws the chart of speed from a table that bench.py wrote; `make pictures` runs it.

    chart.py tests/bench/results-PROCESSOR.md examples/speed.svg

Each group of bars is one row of the table: nn.h and the libraries beside it. The longest bar of a
group is the fastest. The program prints the same six rows as lines of README.md.
"""

import re
import sys

GROUPS = [  # a row's work, and the group's title
    ("forward 256x256x256", "Product of two 256 x 256 matrices"),
    ("training 784-128-10, batch 32", "Training 784-128-10 with Adam, batch 32"),
    ("training 1024-1024-1024-1024-10, batch 256", "Training 1024-1024-1024-1024-10, batch 256"),
    ("training image-net, batch 32", "Training two convolutions of 28 x 28 pixels"),
    ("training 2-8-1, batch 1", "Training 2-8-1 one row at a time"),
    ("predicting one row, 784-128-10", "Predicting one row, 784-128-10"),
]
WIDTH, LEFT, BAR, GROUP_GAP = 720, 160, 14, 14
OURS, OTHERS, TEXT = "#2f81f7", "#8b949e", "#7d8590"  # readable on white and on black


def read_rows(path):
    """{work: [(library, value, text of the value, nn.h's speed in multiples of the library's)]}."""
    rows = {}
    for line in open(path):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) < 4 or not re.match("[0-9]", cells[1]):
            continue
        value, unit = cells[1].split(" ")[:2]
        bars = [("nn.h", value, "1.00")]
        bars += re.findall(r"([^:;(]+?)(?: \([^)]*\))?: ([0-9.,]+) \(([0-9.]+) x", cells[3])
        rows[cells[0]] = [(name.strip(), float(number.replace(",", "")), f"{number} {unit}", ratio)
                          for name, number, ratio in bars]
    return rows


def draw(rows, title):
    body, y = [], 26
    for work, label in GROUPS:
        bars = rows[work]
        # A time is better when it is shorter: its bar shows how many there are in a second.
        speeds = [1 / value if "microseconds" in text else value for _, value, text, _ in bars]
        body.append(f'<text x="0" y="{y}" font-weight="600">{label}</text>')
        y += 8
        for (name, _, text, _), speed in zip(bars, speeds):
            length = max(2, (WIDTH - LEFT - 150) * speed / max(speeds))
            color = OURS if name == "nn.h" else OTHERS
            body.append(
                f'<text x="{LEFT - 8}" y="{y + BAR - 3}" text-anchor="end">{name}</text>'
                f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 2}" rx="2" '
                f'fill="{color}"/>'
                f'<text x="{LEFT + length + 6:.1f}" y="{y + BAR - 3}">{text}</text>')
            y += BAR + 2
        y += GROUP_GAP + 8
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y - 18}" '
            f'width="{WIDTH}" font-family="system-ui, sans-serif" font-size="12" fill="{TEXT}">\n'
            f'<text x="{WIDTH}" y="10" text-anchor="end">{title}</text>\n'
            + "\n".join(body) + "\n</svg>\n")


def main():
    table, picture = sys.argv[1:]
    title = open(table).readline().strip("# \n").replace("The benchmark", "One thread")
    rows = read_rows(table)
    with open(picture, "w") as file:
        file.write(draw(rows, title))
    for work, label in GROUPS:
        (_, _, text, _), (peer, _, _, ratio) = rows[work][:2]
        print(f"- {label}: {text}, {ratio} times as fast as {peer}.")


main()
