"""Reads handwritten digits with convolutions, by the wheel that `make python` builds.

    make python
    python3 -m venv venv && venv/bin/pip install build/python/*.whl
    venv/bin/python examples/python/handwriting.py examples/data/digits.csv

The numbers that it prints are the same on every machine.
"""

import sys

import nn
import numpy as np

table = np.loadtxt(sys.argv[1], delimiter=",")
images = table[:, :-1].reshape(-1, 8, 8, 1) / 16  # rows x height x width x channels
labels = table[:, -1].astype(int)
train, test = slice(0, 1440), slice(1440, None)

model = nn.Model(64, [nn.image(8, 8, 1),
                      nn.conv2d(16, 3, 1, "same", "relu"),
                      nn.max_pool2d(2, 2),
                      nn.dense(64, "relu"),
                      nn.dense(10, "softmax")], seed=1)
model.fit(images[train], labels[train], loss="cross_entropy", optimizer="adam",
          learning_rate=0.003, epochs=10, seed=1, validation=(images[test], labels[test]),
          callback=lambda epoch: print("Epoch {epoch}: loss {loss:.4f}, validation loss "
                                       "{validation_loss:.4f}".format(**epoch)))

result = model.evaluate(images[test], labels[test], loss="cross_entropy")
print(f"test accuracy {result['accuracy']:.4f} ({result['correct']} of {result['rows']})")

model.save("build/handwriting.safetensors")
again = nn.Model.load("build/handwriting.safetensors")
same = np.array_equal(again.predict(images), model.predict(images))
print("loaded again: the same outputs:", same)
