#!/bin/sh
# The Python wheel: sh tests/platform/python.sh, from the repository root. Builds it, installs it as
# a user would, and tests it with scikit-learn, mypy, PyTorch and python_wheel.py. Needs Python 3
# with venv and PyTorch (Debian: python3-venv python3-torch), and PyPI.
set -eu
data=$PWD/examples/data
source=$PWD/examples/python

# skip WHAT: this machine lacks it, and what follows cannot be tested.
skip()
{
    echo "python: skipped: needs $1"
    [ "${CI:-}" != true ] || exit 1
    exit 0
}

/usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || skip python3-venv
make --no-print-directory build/venv-python/installed build/venv-sklearn/installed || skip PyPI
make --no-print-directory -j2 python build/platform/python

# The limit for the Python code in the wheel, all files together.
lines=$(cat "$source"/src/nn/*.py | wc -l)
[ "$lines" -le 300 ] || { echo "python: $lines lines, more than 300: FAILED"; exit 1; }

# A stranger's machine: a new venv in an empty folder has the wheel and what pip installs with it.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp build/python/*.whl "$folder"
/usr/bin/python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$folder"/*.whl
mkdir "$folder/build"
cd "$folder"
venv/bin/python "$source/handwriting.py" "$data/digits.csv" >"$OLDPWD/build/handwriting.log"
[ -f build/handwriting.safetensors ]
venv/bin/python - >predicted <<'END'
import nn, numpy as np
x = np.random.default_rng(1).normal(size=(50, 3)) * 10
model = nn.Model(3, [(8, "gelu"), (4, "tanh"), (2, "linear")], seed=1)
model.fit(x, x[:, :2] * 1000, scaling="standard", target_scaling="min_max", epochs=20)
model.save("model.safetensors")
for row in model.predict([[1, 2, 3], [-4.5, 6, 0.25]]):
    print(" ".join(f"{y:.4f}" for y in row))
END
cd "$OLDPWD"

if /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    make --no-print-directory build/venv/installed
    # " -4.5": a minus sign would begin an option
    build/venv/bin/python "$source/pytorch.py" "$folder/model.safetensors" 1,2,3 " -4.5,6,0.25" \
        >"$folder/torch"
    paste -d ' ' "$folder/predicted" "$folder/torch" | awk '
        { if (NF != 4) exit 1
          for (i = 1; i <= 2; i++) if (($i - $(i + 2)) ^ 2 > 1e-4) exit 1 }
        END { if (NR != 2) exit 1 }' ||
        { echo "python: PyTorch predicts something else: FAILED"; exit 1; }
else
    echo "python: without PyTorch"
    [ "${CI:-}" != true ] || exit 1
fi

build/venv-sklearn/bin/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall \
    build/python/*.whl
build/venv-sklearn/bin/mypy --config-file "$source/pyproject.toml" --cache-dir build/venv-sklearn \
    -p nn
build/venv-sklearn/bin/mypy --config-file "$source/pyproject.toml" --cache-dir build/venv-sklearn \
    "$source/handwriting.py"
build/venv-sklearn/bin/python tests/platform/python_wheel.py build/platform/python
