# make            build the examples           make sanitize  the tests under ASan, UBSan and TSan
# make run        train the bundled classifier make interop   model files against PyTorch's
# make test       build and run every test     make install   copy the header to PREFIX/include
# make clean      remove build/
#
# make, make run and make test need only a C compiler and make; the rest says what it needs.

CFLAGS = -O2
LDLIBS = -lm

EXAMPLES = $(patsubst examples/%.c,build/%,$(wildcard examples/*.c))
TESTS = $(patsubst tests/%.c,build/%,$(wildcard tests/test_*.c))

all: $(EXAMPLES)

run: build/iris2
	./build/iris2

test: $(TESTS)
	sh tests/run $(TESTS)

# MNIST=folder adds the test on MNIST. -O3 -march=native changes its speed, not its bits.
build/test_accuracy: CFLAGS += $(if $(MNIST),-O3 -march=native)
build/test_threads: CFLAGS += -pthread

build/%: examples/%.c nn.h
	@mkdir -p build
	$(CC) $(CFLAGS) -I. -o $@ $< $(LDLIBS)

build/%: tests/%.c tests/test.h tests/counted_heap.h nn.h
	@mkdir -p build
	$(CC) $(CFLAGS) -I. -o $@ $< $(LDLIBS)

# Needs gcc or clang with their sanitizers.
sanitize:
	CC="$(CC)" sh tests/sanitize.sh

# Needs Python 3 with PyTorch and venv (Debian: python3-torch python3-venv), and PyPI's safetensors.
interop: build/interop build/interop_double build/venv/installed
	build/venv/bin/python tests/interop.py check build/interop build/interop_double

build/interop_double: tests/interop.c nn.h
	@mkdir -p build
	$(CC) $(CFLAGS) -DNN_DOUBLE -I. -o $@ $< $(LDLIBS)

build/venv/installed:
	/usr/bin/python3 -m venv --system-site-packages build/venv
	build/venv/bin/pip install --quiet --disable-pip-version-check safetensors
	touch $@

PREFIX = /usr/local

install:
	mkdir -p $(DESTDIR)$(PREFIX)/include
	cp nn.h $(DESTDIR)$(PREFIX)/include/nn.h

clean:
	rm -rf build

.PHONY: all run test sanitize interop install clean
