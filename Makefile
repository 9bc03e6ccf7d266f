# make            build the examples           make sanitize  the tests under ASan, UBSan and TSan
# make run        train the bundled classifier make interop   model files in PyTorch and ONNX
# make test       build and run every test     make portable  the same bits on other machines
# make bench      compare with other libraries make pictures  the SVG files of README.md
# make install    for pkg-config and CMake         make embedded  microcontrollers, in emulators
# make uninstall  remove what that has installed   make arduino   a library for Arduino, PlatformIO
# make clean      remove build/                                   and ESP-IDF
# make coverage   what the tests reach in nn.h     make analyse   clang-tidy, gcc, cppcheck
# make fuzz       files and sequences of calls that nobody would think of
# make playground a page on which one sees networks learn, build/playground.html
# make python     build a wheel, for Python
# make mpi        one training in many processes
#
# make, make run and make test need only a C compiler and make; the rest says what it needs.
# OpenBLAS is used in the examples where pkg-config finds it; make OPENBLAS=0 does without.
# MNIST=folder make test adds the test of accuracy on MNIST.

CFLAGS = -O2
LDLIBS = -lm
# What a program depends on is written beside it by the compiler, and read at the end of this file.
DEPENDENCIES = -MMD -MP -MF $@.d -MT $@
# Where the tests are built: make BUILD=build/other CFLAGS=... test leaves the usual ones alone.
BUILD = build

OPENBLAS := $(shell pkg-config --exists openblas 2>/dev/null && echo 1)
ifeq ($(OPENBLAS),1)
BLAS_CFLAGS := -DNN_USE_OPENBLAS $(shell pkg-config --cflags openblas)
BLAS_LIBS := $(shell pkg-config --libs openblas)
endif

all: $(patsubst build/mpi,build/mpi_alone,$(patsubst examples/%.c,build/%,$(wildcard examples/*.c)))

run: build/iris2
	./build/iris2

# ---- Tests --------------------------------------------------------------------------------------

# tests/unit/csv.c becomes build/unit/csv and, with FLAGS.double, build/unit/csv.double.
FLAGS.double = -DNN_DOUBLE
FLAGS.no_fma = -DNN_NO_FMA
FLAGS.static = -DNN_NO_MALLOC -DNN_NO_STDIO -DNN_NO_SIMD
FLAGS.dense = -DNN_NO_CONVOLUTION
FLAGS.bare = -DNN_NO_CONVOLUTION -DNN_NO_SIMD
FLAGS.flash = -DFLASH=0x5a
FLAGS.replay = -DFUZZ_REPLAY

# These have an implementation of nn.h of their own and test what no set of kernels changes: it is
# compiled without the vector kernels, which take most of the compiler's time.
SCALAR = checkpoint_options decimal export faults math onnx safetensors_limits safetensors_time \
    saving unchanged
$(foreach program,$(SCALAR),$(eval FLAGS/unit/$(program) = -DNN_NO_SIMD))

# What single programs need. -O3 -march=native changes the speed of the test on MNIST, not its bits;
# export_models only writes text, and is compiled faster.
FLAGS/reference/accuracy = $(if $(MNIST),-O3 -march=native -DNN_IMPLEMENTATION)
FLAGS/platform/threads = -pthread
FLAGS/unit/export_models = -O0 -DNN_NO_SIMD
FLAGS/platform/openblas = $(BLAS_CFLAGS) $(BLAS_LIBS)

# Those that run longest come first. gradient.c is in double alone.
UNITS = $(filter-out unit/export_models,$(patsubst tests/%.c,%,$(wildcard tests/unit/*.c)))
TESTS = $(addprefix $(BUILD)/,unit/kernels reference/accuracy unit/kernels.double \
    $(filter-out unit/kernels unit/gradient unit/convolution_gradient,$(UNITS)) \
    $(patsubst %,%.double,$(filter-out unit/kernels unit/faults,$(UNITS))) \
    $(patsubst %,%.flash,$(filter unit/safetensors_open%,$(UNITS))) unit/export.no_fma \
    platform/bits platform/bits.dense platform/bits.bare platform/openblas platform/saving \
    platform/sizes platform/sizes.dense platform/sizes.static platform/threads \
    reference/golden reference/golden.double reference/torch_file)
# make SKIP="unit/kernels unit/csv.double" test: without these.
TESTS := $(filter-out $(SKIP:%=$(BUILD)/%),$(TESTS))

# These have the implementation of nn.h in themselves; the others are linked with the library.
WHOLE := $(shell grep -l '^ *# *define NN_IMPLEMENTATION' tests/*/*.c)
WHOLE += $(if $(MNIST),tests/reference/accuracy.c) $(wildcard tests/fuzz/*.c)

test: $(TESTS:%=%.result)
	@sh tests/run -sum $(TESTS)

# Every program with each back-end that the machine has; make BACKENDS=best test: with its best.
BACKENDS = $$($(BUILD)/platform/backends)

$(TESTS:%=%.result): %.result: % $(BUILD)/platform/backends always
	@BACKENDS="$(BACKENDS)" sh tests/run -one $<

# The compiler writes these beside the programs.
$(BUILD)/%.d: ;

.SECONDEXPANSION:
.PRECIOUS: $(BUILD)/%.o

$(BUILD)/%.o: tests/$$(basename $$*).c
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(FLAGS$(suffix $*)) $(DEPENDENCIES) -I. -c -o $@ $<

$(BUILD)/%: tests/$$(basename $$*).c \
    $$(if $$(filter tests/$$(basename $$*).c,$(WHOLE)),,$(BUILD)/library$$(suffix $$*).o)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(FLAGS$(suffix $*)) $(if $(filter %.o,$^),-DTEST_LINKED) $(DEPENDENCIES) \
	    -I. -o $@ $< $(filter %.o,$^) $(FLAGS/$(basename $*)) $(LDLIBS)

# The test of exported models compiles what these programs write.
$(BUILD)/unit/export $(BUILD)/unit/export.no_fma: build/exported.c
$(BUILD)/unit/export.double: build/exported_double.c

build/exported.c: $(BUILD)/unit/export_models
	@$< $@

build/exported_double.c: $(BUILD)/unit/export_models.double
	@$< $@

build/%: examples/%.c
	@mkdir -p build
	$(CC) $(CFLAGS) $(BLAS_CFLAGS) $(DEPENDENCIES) -I. -o $@ $< $(LDLIBS) $(BLAS_LIBS)

# Needs clang for WebAssembly (Debian: clang lld wasi-libc libclang-rt-14-dev-wasm32). The page is
# one file; playground_native is the same engine as a program. tests/platform/playground.py tests it.
playground: build/playground.html build/playground_native
.PHONY: playground

build/playground.wasm: examples/playground/playground.c
	@mkdir -p build
	clang --target=wasm32-wasi -mexec-model=reactor -msimd128 -Os -Wl,--strip-all $(DEPENDENCIES) \
	    -o $@ $<

build/playground.html: build/playground.wasm $(wildcard examples/playground/*)
	sh examples/playground/build.sh $< $@

build/playground_native: examples/playground/playground.c
	@mkdir -p build
	$(CC) $(CFLAGS) $(DEPENDENCIES) -o $@ $< $(LDLIBS)

# examples/mpi.c as one process without MPI, and with it (Debian: openmpi-bin libopenmpi-dev). Neither
# uses OpenBLAS, whose bits depend on more than the shards.
build/mpi_alone: examples/mpi.c
	@mkdir -p build
	$(CC) $(CFLAGS) -DNO_MPI $(DEPENDENCIES) -I. -o $@ $< $(LDLIBS)

build/mpi: examples/mpi.c
	@mkdir -p build
	mpicc $(CFLAGS) $(DEPENDENCIES) -I. -o $@ $< $(LDLIBS)

mpi:
	sh tests/platform/mpi.sh
.PHONY: mpi

# Needs gcc or clang with their sanitizers.
sanitize:
	CC="$(CC)" sh tests/platform/sanitize.sh

# Needs clang with libFuzzer; make fuzz FUZZ=csv FUZZ_SECONDS=600: see tests/fuzz/fuzz.sh. Without
# libFuzzer, make build/fuzz/csv.replay && build/fuzz/csv.replay tests/fuzz/corpus/csv.
fuzz:
	FUZZ="$(FUZZ)" FUZZ_SECONDS="$(FUZZ_SECONDS)" sh tests/fuzz/fuzz.sh

# Needs Python 3 with PyTorch, scikit-learn and venv (Debian: python3-torch python3-sklearn
# python3-venv), and PyPI's safetensors, onnx and onnxruntime. These two need a newer NumPy than
# Debian's PyTorch: they have their own venv.
interop: build/reference/interop build/reference/interop.double build/venv/installed \
    build/venv-onnx/installed build/nn
	build/venv/bin/python tests/reference/interop.py check build/reference/interop \
	    build/reference/interop.double
	build/venv-onnx/bin/python tests/reference/onnx_files.py build/reference/interop \
	    build/reference/interop.double
	build/venv/bin/python tests/reference/tables.py build/nn

build/venv/installed:
	/usr/bin/python3 -m venv --system-site-packages build/venv
	build/venv/bin/pip install --quiet --disable-pip-version-check safetensors
	touch $@

build/venv-onnx/installed:
	/usr/bin/python3 -m venv build/venv-onnx
	build/venv-onnx/bin/pip install --quiet --disable-pip-version-check onnx onnxruntime
	touch $@

# Needs Python 3 with venv (Debian: python3-venv), and PyPI for setuptools. The wheel in build/python
# has nn.h in it, compiled by $(CC): see examples/python/README.md, and tests/platform/python.sh.
WHEEL = $(addprefix examples/python/,README.md nn.c pyproject.toml setup.py src) nn.h LICENSE

.PHONY: python
python: build/venv-python/installed
	rm -rf build/python
	mkdir -p build/python/source
	cp -r $(WHEEL) build/python/source
	CC="$(CC)" build/venv-python/bin/pip wheel --quiet --disable-pip-version-check \
	    --no-build-isolation --no-deps --wheel-dir build/python build/python/source
	@ls build/python/*.whl

build/venv-python/installed:
	/usr/bin/python3 -m venv build/venv-python
	build/venv-python/bin/pip install --quiet --disable-pip-version-check --upgrade setuptools
	touch $@

build/venv-sklearn/installed:
	/usr/bin/python3 -m venv build/venv-sklearn
	build/venv-sklearn/bin/pip install --quiet --disable-pip-version-check scikit-learn pandas \
	    safetensors mypy
	touch $@

# Installs nothing; runs what toolchains it finds and names the others.
portable:
	sh tests/platform/portable.sh

# Installs nothing; see tests/embedded/embedded.sh. What each function weighs: sh tests/embedded/embedded.sh sizes
embedded:
	sh tests/embedded/embedded.sh

# Needs gcc with gcov, and Python 3.
coverage:
	sh tests/platform/coverage.sh

# Needs clang-tidy, cppcheck and gcc.
analyse:
	sh tests/platform/analyse.sh

# Needs Python 3. Compares with OpenBLAS, FANN, PyTorch, JAX and scikit-learn if they are installed
# (Debian: libopenblas-dev libfann-dev python3-torch python3-sklearn), and writes
# tests/bench/results-PROCESSOR.md. BENCH="forward 2-8-1" selects results and writes no file.
# MNIST=folder trains on MNIST instead of generated images. PEERS="torch jax scikit-learn" first
# installs the newest of these in build/peers with pip (6 GB); needs Debian's python3-venv.
bench: $(if $(PEERS),build/peers/bin/python)
	$(if $(PEERS),build/peers/bin/pip install --quiet --disable-pip-version-check $(PEERS))
	CC="$(CC)" CFLAGS="$(CFLAGS)" $(if $(PEERS),build/peers/bin/python,/usr/bin/python3) \
	    tests/bench/bench.py $(BENCH)

build/peers/bin/python:
	/usr/bin/python3 -m venv build/peers

# Needs Python 3. The chart of speed is drawn from the table of make bench that README.md links to.
RESULTS = $(shell grep -o 'tests/bench/results-[a-z0-9-]*\.md' README.md)

pictures: build/spiral build/nn
	build/spiral examples/boundary.svg
	build/nn train examples/data/parcels.csv --target late --ignore parcel,label --quiet \
	    --svg examples/parcels.svg
	python3 tests/bench/chart.py $(RESULTS) examples/speed.svg

# ---- Installing ---------------------------------------------------------------------------------

# Installs the header, its licence, and what pkg-config and CMake's find_package need, below PREFIX,
# or below DESTDIR for a package. Each folder can be given: make install includedir=/usr/include/nn.
# There is no library, so that nothing depends on the kind of processor. The version is read from
# nn.h, and stands nowhere else.
PREFIX = /usr/local
prefix = $(PREFIX)
includedir = $(prefix)/include
datadir = $(prefix)/share
docdir = $(datadir)/doc/nn
pkgconfigdir = $(datadir)/pkgconfig
cmakedir = $(datadir)/cmake/nn

VERSION := $(shell awk -F '"' '/define NN_VERSION +"/ { print $$2; exit }' nn.h)
FILL = sed -e 's|@version@|$(VERSION)|g' -e 's|@prefix@|$(prefix)|g' -e 's|@cmakedir@|$(cmakedir)|g'
TEMPLATES = examples/packaging

# In nn.pc the header's folder is said by ${prefix}, where it is below that.
install:
	@case "$(prefix)" in /* | ?:/*) ;; *) echo "PREFIX is no absolute path: $(prefix)"; exit 1 ;; esac
	install -d "$(DESTDIR)$(includedir)" "$(DESTDIR)$(docdir)" "$(DESTDIR)$(pkgconfigdir)" \
	    "$(DESTDIR)$(cmakedir)"
	install -m 644 nn.h "$(DESTDIR)$(includedir)/nn.h"
	install -m 644 LICENSE "$(DESTDIR)$(docdir)/LICENSE"
	mkdir -p build
	$(FILL) -e 's|@includedir@|$(patsubst $(prefix)/%,$${prefix}/%,$(includedir))|g' \
	    $(TEMPLATES)/nn.pc.in >build/nn.pc
	for file in nnConfig nnConfigVersion; do \
	    $(FILL) -e 's|@includedir@|$(includedir)|g' $(TEMPLATES)/$$file.cmake.in \
	        >build/$$file.cmake || exit 1; \
	done
	install -m 644 build/nn.pc "$(DESTDIR)$(pkgconfigdir)/nn.pc"
	install -m 644 build/nnConfig.cmake build/nnConfigVersion.cmake "$(DESTDIR)$(cmakedir)"

uninstall:
	rm -f "$(DESTDIR)$(includedir)/nn.h" "$(DESTDIR)$(docdir)/LICENSE" \
	    "$(DESTDIR)$(pkgconfigdir)/nn.pc" "$(DESTDIR)$(cmakedir)/nnConfig.cmake" \
	    "$(DESTDIR)$(cmakedir)/nnConfigVersion.cmake"
	rmdir "$(DESTDIR)$(docdir)" "$(DESTDIR)$(cmakedir)" 2>/dev/null || :

# The folder build/arduino/nn and build/nn-VERSION.zip, as the registries of Arduino, PlatformIO and
# ESP-IDF want a library. Needs zip. HOMEPAGE is the address that they show: the project has none yet.
HOMEPAGE = https://example.org/nn.h

arduino: build/iris2.safetensors build/export
	sh $(TEMPLATES)/arduino.sh "$(VERSION)" "$(HOMEPAGE)"

# The registries' own checks, for sh tests/platform/arduino.sh: PlatformIO's and ESP-IDF's.
build/venv-arduino/installed:
	/usr/bin/python3 -m venv build/venv-arduino
	build/venv-arduino/bin/pip install --quiet --disable-pip-version-check platformio \
	    idf-component-manager
	touch $@

build/iris2.safetensors: build/iris2
	build/iris2 >/dev/null

clean:
	rm -rf build

.PHONY: all run test always sanitize fuzz interop portable embedded coverage analyse bench pictures \
    install uninstall arduino clean

-include $(wildcard build/*.d $(BUILD)/*.d $(BUILD)/*/*.d)
