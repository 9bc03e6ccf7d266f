# make            build the examples           make sanitize  the tests under ASan, UBSan and TSan
# make run        train the bundled classifier make interop   model files against PyTorch's
# make test       build and run every test     make portable  the same bits on other machines
# make bench      compare with other libraries make pictures  the SVG files of README.md
# make install    copy the header to PREFIX/include            make embedded  microcontrollers,
# make clean      remove build/                                               in emulators
#
# make, make run and make test need only a C compiler and make; the rest says what it needs.
# OpenBLAS is used in the examples where pkg-config finds it; make OPENBLAS=0 does without.

CFLAGS = -O2
LDLIBS = -lm

OPENBLAS := $(shell pkg-config --exists openblas 2>/dev/null && echo 1)
ifeq ($(OPENBLAS),1)
BLAS_CFLAGS := -DNN_USE_OPENBLAS $(shell pkg-config --cflags openblas)
BLAS_LIBS := $(shell pkg-config --libs openblas)
endif

EXAMPLES = $(patsubst examples/%.c,build/%,$(wildcard examples/*.c))
TESTS = $(patsubst tests/%.c,build/%,$(filter-out %/backends.c %/interop.c %/export_models.c \
    %/export_models_double.c,$(wildcard tests/unit/*.c tests/reference/*.c tests/platform/*.c)))

all: $(EXAMPLES)

run: build/iris2
	./build/iris2

# Every test with each back-end that the machine has.
test: $(TESTS) build/platform/backends
	BACKENDS="$$(build/platform/backends)" sh tests/run $(TESTS)

# MNIST=folder adds the test on MNIST. -O3 -march=native changes its speed, not its bits.
build/reference/accuracy: CFLAGS += $(if $(MNIST),-O3 -march=native)
build/platform/threads: CFLAGS += -pthread
build/platform/openblas: CFLAGS += $(BLAS_CFLAGS)
build/platform/openblas: LDLIBS += $(BLAS_LIBS)

# The test of exported models compiles what these programs write.
build/unit/export build/unit/export_no_fma: build/exported.c tests/unit/export.c
build/unit/export_double: build/exported_double.c tests/unit/export.c
build/unit/export_models build/unit/export_models_double: tests/unit/export_models.c \
    tests/unit/export_models.h

build/exported.c: build/unit/export_models
	build/unit/export_models $@

build/exported_double.c: build/unit/export_models_double
	build/unit/export_models_double $@

build/%: examples/%.c nn.h
	@mkdir -p build
	$(CC) $(CFLAGS) $(BLAS_CFLAGS) -I. -o $@ $< $(LDLIBS) $(BLAS_LIBS)

build/%: tests/%.c tests/test.h tests/counted_heap.h nn.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -I. -o $@ $< $(LDLIBS)

# Needs gcc or clang with their sanitizers.
sanitize: build/exported.c build/exported_double.c
	CC="$(CC)" sh tests/sanitize.sh

# Needs Python 3 with PyTorch and venv (Debian: python3-torch python3-venv), and PyPI's safetensors.
interop: build/reference/interop build/reference/interop_double build/venv/installed
	build/venv/bin/python tests/reference/interop.py check build/reference/interop \
	    build/reference/interop_double

build/reference/interop_double: tests/reference/interop.c nn.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -DNN_DOUBLE -I. -o $@ $< $(LDLIBS)

build/venv/installed:
	/usr/bin/python3 -m venv --system-site-packages build/venv
	build/venv/bin/pip install --quiet --disable-pip-version-check safetensors
	touch $@

# Installs nothing; runs what toolchains it finds and names the others.
portable:
	sh tests/portable.sh

# Installs nothing; see tests/embedded.sh. What each function weighs: sh tests/embedded.sh sizes
embedded:
	sh tests/embedded.sh

# Needs Python 3. Compares with OpenBLAS, FANN, PyTorch and scikit-learn if they are installed
# (Debian: libopenblas-dev libfann-dev python3-torch python3-sklearn), and writes
# tests/bench/results-PROCESSOR.md. BENCH="forward 2-8-1" selects results and writes no file.
bench:
	CC="$(CC)" CFLAGS="$(CFLAGS)" /usr/bin/python3 tests/bench/bench.py $(BENCH)

# Needs Python 3. The chart of speed is drawn from the table that make bench wrote.
RESULTS = $(firstword $(wildcard tests/bench/results-*.md))

pictures: build/spiral
	build/spiral examples/boundary.svg
	python3 tests/bench/chart.py $(RESULTS) examples/speed.svg

PREFIX = /usr/local

install:
	mkdir -p $(DESTDIR)$(PREFIX)/include
	cp nn.h $(DESTDIR)$(PREFIX)/include/nn.h

clean:
	rm -rf build

.PHONY: all run test sanitize interop portable embedded bench pictures install clean
