#!/usr/bin/env python3
"""Compares the tool, examples/nn.c, with scikit-learn on the tables of examples/data:

    python3 tests/reference/tables.py build/nn

For each seed, a fifth of the rows is held out. The tool trains on the others, in one command, and
`nn evaluate` measures it on those. scikit-learn gets the same rows: SimpleImputer for numbers,
OneHotEncoder for texts, StandardScaler for all, and MLPClassifier or MLPRegressor with the same
layers, Adam, learning rate, batches and early stopping (its target scaled for the prices).
Compared are accuracies, or R2. The tool's mean may be lower by two standard errors of the mean
difference, or by 0.01, whichever is more.
"""
import csv
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

SEEDS = range(1, 9)
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'examples', 'data')
TABLES = [('parcels.csv', 'late', ['parcel', 'label']), ('tents.csv', 'judged', []),
          ('houses.csv', 'price', ['id', 'sold'])]
MISSING = ('', 'NA')


def is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


class Table:
    def __init__(self, name, target, ignored):
        with open(os.path.join(DATA, name), newline='') as file:
            self.header, *self.rows = list(csv.reader(file))
        self.name, self.target, self.ignored = name, target, ignored
        self.place = self.header.index(target)
        self.used = [i for i, column in enumerate(self.header)
                     if column != target and column not in ignored]
        self.numeric = [all(row[i] in MISSING or is_number(row[i]) for row in self.rows)
                        for i in self.used]
        self.regression = all(is_number(row[self.place]) for row in self.rows)

    def inputs(self, rows):
        x = np.empty((len(rows), len(self.used)), dtype=object)
        for r, row in enumerate(rows):
            for k, (i, numeric) in enumerate(zip(self.used, self.numeric)):
                cell = row[i]
                x[r, k] = (np.nan if cell in MISSING else float(cell)) if numeric else cell
        return x

    def targets(self, rows):
        y = np.array([row[self.place] for row in rows])
        return y.astype(float) if self.regression else y

    def write(self, path, rows):
        with open(path, 'w', newline='') as file:
            csv.writer(file).writerows([self.header] + rows)


def score_of_tool(program, table, train, test, seed, folder):
    """Accuracy or R2, as `nn evaluate` prints it."""
    paths = [os.path.join(folder, name) for name in ('train.csv', 'test.csv', 'model.safetensors')]
    table.write(paths[0], train)
    table.write(paths[1], test)
    command = [program, 'train', paths[0], '--target', table.target, '--test', '0', '--seed',
               str(seed), '--quiet', '-o', paths[2]]
    if table.ignored:
        command += ['--ignore', ','.join(table.ignored)]
    subprocess.run(command, check=True, capture_output=True)
    told = subprocess.run([program, 'evaluate', paths[2], paths[1]], check=True,
                          capture_output=True, text=True).stdout
    return float(told.split('R2 ' if table.regression else 'accuracy ')[1].split()[0])


def score_of_scikit_learn(table, train, test, seed):
    numbers = [k for k, numeric in enumerate(table.numeric) if numeric]
    texts = [k for k, numeric in enumerate(table.numeric) if not numeric]
    columns = ColumnTransformer([
        ('numbers', SimpleImputer(), numbers),
        ('texts', OneHotEncoder(handle_unknown='ignore', sparse_output=False), texts)])
    net = (MLPRegressor if table.regression else MLPClassifier)(
        hidden_layer_sizes=(32, 16), learning_rate_init=0.003, batch_size=32, max_iter=300,
        early_stopping=True, validation_fraction=0.2, n_iter_no_change=30, random_state=seed)
    model = make_pipeline(columns, StandardScaler(), net)
    if table.regression:
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    model.fit(table.inputs(train), table.targets(train))
    return model.score(table.inputs(test), table.targets(test))


def compare(program, table):
    """Prints both means; returns whether the tool's is high enough."""
    scores = []
    for seed in SEEDS:
        train, test = train_test_split(table.rows, test_size=0.2, random_state=seed)
        with tempfile.TemporaryDirectory() as folder:
            scores.append((score_of_tool(program, table, train, test, seed, folder),
                           score_of_scikit_learn(table, train, test, seed)))
    ours, theirs = np.array(scores).T
    error = np.std(ours - theirs, ddof=1) / np.sqrt(len(scores))
    passed = ours.mean() >= theirs.mean() - max(2 * error, 0.01)
    print('%-12s %s: nn %.4f, scikit-learn %.4f, standard error of the difference %.4f: %s' % (
        table.name, 'R2' if table.regression else 'accuracy', ours.mean(), theirs.mean(), error,
        'ok' if passed else 'FAILED'))
    return passed


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    warnings.filterwarnings('ignore')  # epochs that end before the net has converged
    results = [compare(sys.argv[1], Table(*table)) for table in TABLES]
    print('tables: %d passed, %d failed' % (sum(results), len(results) - sum(results)))
    sys.exit(not all(results))


if __name__ == '__main__':
    main()
