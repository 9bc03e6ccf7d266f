/* Every kernel of every back-end against the scalar one, bit for bit: at every size from 0 to 40 in
   each dimension and at larger ones, on ordinary numbers and on denormals, infinities, NaN, zeros
   of both signs and huge values. Arrays lie between guards, at any alignment or against a page that
   may not be touched; outputs begin as NaN; what a kernel may only read must not change.

       kernels [SEED] [quick] [no-page]

   SEED of all that is random, default 1, more where NN_BACKEND names a later back-end (each is
   tested every time); quick: fewer sizes; no-page: without such a page, for emulators that read
   what a masked load leaves out.

   The file is long because every kernel has the same arrays, guards and comparison: a kernel that
   is added is a line of a table here.

   Equal is equal in every bit, but for two NaN: IEEE 754 leaves a NaN's sign and payload open,
   processors differ in which operand's they hand on, and compilers exchange operands. */
#define _DEFAULT_SOURCE /* for mmap */

#define NN_IMPLEMENTATION
static const char *forced; /* the back-end that models are made with; NULL: the best */
#define NN_BACKEND forced
#include "../test.h"

#undef NN_USE_OPENBLAS /* has bits of its own */
#include "../../nn.h"

#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __unix__
#include <signal.h>
#include <sys/mman.h>
#endif

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

static const nn_layer layers[] = {NN_DENSE(257, NN_RELU), NN_DENSE(130, NN_TANH),
                                  NN_DENSE(10, NN_SOFTMAX)};

#ifdef NN__SIMD

/* The numbers of threads that large kernels are run with. */
#ifdef _OPENMP
static const int thread_counts[] = {1, 2, 7};
#else
static const int thread_counts[] = {1};
#endif

static int seed = 1, quick, page = 1;
static uint64_t state;

/* Random in 0 .. n - 1. */
static int below(int n)
{
    return (int)(nn__random(&state) % (uint32_t)n);
}

/* nn__level asks the processor each time, and a virtual one takes long to answer. */
static const nn__kernels *back_ends[8];

static void find_back_ends(void)
{
    const char *wanted = getenv("NN_BACKEND");
    int i;

    for (i = 0; i < COUNT(back_ends) - 1; i++) {
        back_ends[i] = nn__kernels_of(i, nn__level());
        if (!back_ends[i]) break;
        if (wanted && strcmp(back_ends[i]->name, wanted) == 0) seed = i + 1;
    }
}

/* ---- Numbers --------------------------------------------------------------------------------- */

enum kind { PLAIN, BROAD, ZEROS, TINY, HUGE_ONES, SOME_ODD, CURVED, WILD, KINDS };
enum { POOL = 16381 }; /* prime, so that rows of a matrix do not repeat */

#define INFINITY_BITS ((nn__bits)(2 * NN__BIAS + 1) << NN__MANTISSA)

static nn_real number_pool[KINDS][POOL];

static nn_real any_bits(void)
{
    const uint64_t low = nn__random(&state);
    return nn__from_bits((nn__bits)(low << 32 | nn__random(&state)));
}

/* Any sign and mantissa, an exponent from `from` to `to`; from = -NN__BIAS: denormals too. */
static nn_real number(int from, int to)
{
    const nn__bits fraction = ((nn__bits)1 << NN__MANTISSA) - 1;
    const nn__bits exponent = (nn__bits)(NN__BIAS + from + below(to - from + 1));
    return nn__from_bits((nn__to_bits(any_bits()) & (NN__SIGN_BIT | fraction)) |
                         exponent << NN__MANTISSA);
}

static nn_real odd_number(void)
{
    static const double numbers[] = {0,    1,      2,     87.32, 87.34,   88.5,
                                     70.1, 708.38, 708.4, 709.5, 0x1p-100};
    const int i = below(COUNT(numbers) + 4);
    const nn__bits sign = below(2) ? NN__SIGN_BIT : 0;
    nn_real x;

    if (i < COUNT(numbers))
        x = (nn_real)numbers[i];
    else if (i == COUNT(numbers))
        x = nn__from_bits(INFINITY_BITS - 1); /* the largest finite number */
    else if (i == COUNT(numbers) + 1)
        x = nn__from_bits(1); /* the smallest */
    else if (i == COUNT(numbers) + 2)
        x = nn__from_bits(INFINITY_BITS);
    else
        x = nn__from_bits(INFINITY_BITS | ((nn__bits)3 << (NN__MANTISSA - 2))); /* NaN */
    return nn__from_bits(nn__to_bits(x) ^ sign);
}

static nn_real number_of_kind(int kind)
{
    switch (kind) {
    case BROAD: return number(-30, 30);
    case ZEROS: return below(3) ? number(-2, 1) * 0 : number(-4, 3);
    case TINY: return below(4) ? number(-NN__BIAS, 3 - NN__BIAS) : number(-4, 3);
    case HUGE_ONES: return below(4) ? number(-4, 3) : number(NN__BIAS - 8, NN__BIAS);
    case SOME_ODD: return below(64) ? number(-4, 3) : odd_number();
    case CURVED: return 120 * (2 * nn__uniform(&state) - 1); /* where exp is not 0 or infinite */
    case WILD: return any_bits();
    default: return number(-4, 3);
    }
}

static void fill_pool(void)
{
    int kind, i;

    state = nn__random_start((uint64_t)seed);
    for (kind = 0; kind < KINDS; kind++)
        for (i = 0; i < POOL; i++) number_pool[kind][i] = number_of_kind(kind);
}

static nn_real quiet_nan(void)
{
    return nn__from_bits(INFINITY_BITS | ((nn__bits)5 << (NN__MANTISSA - 3)));
}

/* ---- Guarded arrays -------------------------------------------------------------------------- */

enum { ARRAYS = 5, GUARD = 64, SHIFT = 16, PAGE = 1 << 16, CAPACITY = (1 << 20) + PAGE };
enum image { START, WANT, GOT, IMAGES }; /* before; after the scalar kernel; after the other one */

typedef struct array {
    nn_real *memory[IMAGES]; /* [CAPACITY]; numbers begin at the same place of each */
    size_t begin, count;     /* of the numbers; GUARD others lie before and, if they fit, after */
    int scratch;             /* what a kernel leaves in it does not matter */
} array;

static array arrays[ARRAYS];

/* Memory of CAPACITY numbers, at a multiple of 64; behind it, where that can be had, a page that
   stops the program when it is read or written. */
static nn_real *new_memory(void)
{
    const size_t bytes = CAPACITY * sizeof(nn_real);
#ifdef __unix__
    char *memory = (char *)mmap(NULL, bytes + PAGE, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED || mprotect(memory + bytes, PAGE, PROT_NONE) != 0) exit(2);
#else
    char *memory = (char *)malloc(bytes + 64);

    if (!memory) exit(2);
    memory += 64 - (uintptr_t)memory % 64;
#endif
    return (nn_real *)(void *)memory;
}

static void make_arrays(void)
{
    int i, image;

    for (i = 0; i < ARRAYS; i++)
        for (image = 0; image < IMAGES; image++) arrays[i].memory[image] = new_memory();
}

static size_t array_end(const array *a)
{
    const size_t end = a->begin + a->count + GUARD;
    return end < CAPACITY ? end : CAPACITY;
}

/* Chooses where the numbers lie: aligned, not aligned, or up against the end of the memory. */
static void place(array *a, size_t count)
{
    nn_real *memory = a->memory[START];
    size_t i;

    if (count > CAPACITY - GUARD - SHIFT) exit(2);
    a->count = count;
    a->begin = GUARD + (size_t)(below(2) * below(SHIFT));
#ifdef __unix__
    if (page && below(3) == 0) a->begin = CAPACITY - count;
#endif
    for (i = a->begin - GUARD; i < a->begin; i++) memory[i] = quiet_nan();
    for (i = a->begin + count; i < array_end(a); i++) memory[i] = quiet_nan();
}

static void fill(array *a, int kind)
{
    nn_real *x = a->memory[START] + a->begin;
    size_t i = 0, from = (size_t)below(POOL), part;

    for (; i < a->count; i += part, from = 0) {
        part = a->count - i < POOL - from ? a->count - i : POOL - from;
        memcpy(x + i, number_pool[kind] + from, part * sizeof *x);
    }
}

static void copy_arrays(enum image to, nn_real *data[ARRAYS])
{
    int i;

    for (i = 0; i < ARRAYS; i++) {
        const array *a = &arrays[i];
        const size_t low = a->begin - GUARD, size = array_end(a) - low;

        memcpy(a->memory[to] + low, a->memory[START] + low, size * sizeof(nn_real));
        data[i] = a->memory[to] + a->begin;
    }
}

/* The first place from `from` to `to` (exclusive) where GOT is not WANT; `to` when there is none.
   Guards are compared in every bit: exact. */
static size_t difference(const array *a, size_t from, size_t to, int exact)
{
    const nn_real *want = a->memory[WANT], *got = a->memory[GOT];

    if (memcmp(want + from, got + from, (to - from) * sizeof *want) == 0) return to;
    for (; from < to; from++)
        if (nn__to_bits(want[from]) != nn__to_bits(got[from]) &&
            (exact || want[from] == want[from] || got[from] == got[from]))
            return from;
    return to;
}

/* -1 when all arrays are as they should be, else the number of the first that is not, and where. */
static int find_difference(long *where)
{
    int i;

    for (i = 0; i < ARRAYS; i++) {
        const array *a = &arrays[i];
        const size_t end = a->begin + a->count;
        size_t at = difference(a, a->begin - GUARD, a->begin, 1);

        if (at == a->begin) at = a->scratch ? end : difference(a, a->begin, end, 0);
        if (at == end) at = difference(a, end, array_end(a), 1);
        *where = (long)at - (long)a->begin;
        if (at != array_end(a)) return i;
    }
    return -1;
}

/* ---- The kernels: their arrays, and how they are called -------------------------------------- */

typedef struct problem {
    int rows, in, out; /* kernels of one dimension: 1, 0 and the count */
    nn_activation activation;
    int extra; /* add to the gradient; have a mask; have velocities; take rows in another order */
    nn__step step;
} problem;

enum { MOST_ROWS = 40 };
static size_t rows_of_data[MOST_ROWS]; /* that scale_rows takes */

enum size { NONE, ROWS, OUT, ROWS_OUT, ROWS_IN, IN_OUT };

/* What an array begins as. Those to be overwritten are NaN: SUM unless it is added to, LAYER when
   the layer before is linear. */
enum content { DATA, POSITIVE, RESULT, SUM, LAYER, SCRATCH };

typedef struct kernel {
    const char *name;
    int (*run)(const nn__kernels *k, const problem *p, nn_real *const *a);
    struct {
        enum size size;
        enum content content;
    } array[ARRAYS];
} kernel;

static int run_activate(const nn__kernels *k, const problem *p, nn_real *const *a)
{
    k->activate(p->activation, a[0], p->rows, p->out);
    return 0;
}

static int run_activation_gradient(const nn__kernels *k, const problem *p, nn_real *const *a)
{
    k->activation_gradient(p->activation, a[0], a[1], p->rows, p->out);
    return 0;
}

static int run_forward(const nn__kernels *k, const problem *p, nn_real *const *a)
{
    k->dense_forward(a[0], a[1], a[2], a[3], p->rows, p->in, p->out, p->activation);
    return 0;
}

static int run_weight_gradient(const nn__kernels *k, const problem *p, nn_real *const *a)
{
    k->dense_weight_gradient(a[0], a[1], a[2], a[3], p->rows, p->in, p->out, p->extra);
    return 0;
}

static int run_input_gradient(const nn__kernels *k, const problem *p, nn_real *const *a)
{
    k->dense_input_gradient(a[0], a[1], p->extra ? a[2] : NULL, a[3], a[4], p->rows, p->in, p->out,
                            p->activation);
    return 0;
}

static int run_softplus(const nn__kernels *k, const problem *p, nn_real *const *a)
{
    k->softplus_tails(a[0], a[1], (size_t)p->out);
    return 0;
}

/* Of magnitudes: it is for numbers >= 0. */
static int run_log1ps(const nn__kernels *k, const problem *p, nn_real *const *a)
{
    int i;

    for (i = 0; i < p->out; i++) a[0][i] = nn__absolute(a[0][i]);
    k->log1ps(a[0], (size_t)p->out);
    return 0;
}

static int run_sgd(const nn__kernels *k, const problem *p, nn_real *const *a)
{
    return k->sgd(a[0], a[1], p->extra ? a[2] : NULL, NULL, (size_t)p->out, &p->step);
}

static int run_adam(const nn__kernels *k, const problem *p, nn_real *const *a)
{
    return k->adam(a[0], a[1], a[2], a[3], (size_t)p->out, &p->step);
}

static int run_rmsprop(const nn__kernels *k, const problem *p, nn_real *const *a)
{
    return k->rmsprop(a[0], a[1], p->extra ? a[2] : NULL, a[3], (size_t)p->out, &p->step);
}

static int run_scale_rows(const nn__kernels *k, const problem *p, nn_real *const *a)
{
    k->scale_rows(a[0], p->extra ? rows_of_data : NULL, a[1], a[2], a[3], p->rows, p->out);
    return 0;
}

static int run_softmax_row(const nn__kernels *k, const problem *p, nn_real *const *a)
{
    a[1][0] = k->softmax_row(a[0], p->out);
    return 0;
}

static int run_all_finite(const nn__kernels *k, const problem *p, nn_real *const *a)
{
    return k->all_finite(a[0], (size_t)p->out);
}

static const kernel activate = {"activate", run_activate, {{ROWS_OUT, DATA}}};
static const kernel activation_gradient = {
    "activation_gradient", run_activation_gradient, {{ROWS_OUT, DATA}, {ROWS_OUT, DATA}}};
static const kernel scale_rows = {
    "scale_rows", run_scale_rows, {{ROWS_OUT, DATA}, {OUT, DATA}, {OUT, DATA}, {ROWS_OUT, RESULT}}};
static const kernel products[] = {
    {"dense_forward",
     run_forward,
     {{ROWS_IN, DATA}, {IN_OUT, DATA}, {OUT, DATA}, {ROWS_OUT, RESULT}}},
    {"dense_weight_gradient",
     run_weight_gradient,
     {{ROWS_IN, DATA}, {ROWS_OUT, DATA}, {IN_OUT, SUM}, {OUT, SUM}}},
    {"dense_input_gradient",
     run_input_gradient,
     {{ROWS_OUT, DATA}, {IN_OUT, DATA}, {ROWS_IN, DATA}, {ROWS_IN, LAYER}, {ROWS_IN, SCRATCH}}}};
static const kernel vectors[] = {
    {"sgd", run_sgd, {{OUT, DATA}, {OUT, DATA}, {OUT, DATA}}},
    {"adam", run_adam, {{OUT, DATA}, {OUT, DATA}, {OUT, DATA}, {OUT, POSITIVE}}},
    {"rmsprop", run_rmsprop, {{OUT, DATA}, {OUT, DATA}, {OUT, DATA}, {OUT, POSITIVE}}},
    {"scale_rows", run_scale_rows, {{OUT, DATA}, {OUT, DATA}, {OUT, DATA}, {OUT, RESULT}}},
    {"all_finite", run_all_finite, {{OUT, DATA}}},
    {"softplus", run_softplus, {{OUT, DATA}, {OUT, RESULT}}},
    {"log1ps", run_log1ps, {{OUT, DATA}}},
    {"softmax_row", run_softmax_row, {{OUT, DATA}, {ROWS, RESULT}}}};

static size_t size_of(enum size size, const problem *p)
{
    const size_t rows = (size_t)p->rows, in = (size_t)p->in, out = (size_t)p->out;

    switch (size) {
    case ROWS: return rows;
    case OUT: return out;
    case ROWS_OUT: return rows * out;
    case ROWS_IN: return rows * in;
    case IN_OUT: return in * out;
    default: return 0;
    }
}

/* Places and fills the arrays; plain: with ordinary numbers only. */
static void prepare(const kernel *the, const problem *p, int plain)
{
    size_t j;
    int i;

    for (i = 0; i < MOST_ROWS && i < p->rows; i++) rows_of_data[i] = (size_t)below(p->rows);
    for (i = 0; i < ARRAYS; i++) {
        const enum content content = the->array[i].content;
        const int fresh = content == RESULT || content == SCRATCH ||
                          (content == SUM && !p->extra) ||
                          (content == LAYER && p->activation == NN_LINEAR);
        const int kind = plain || below(8) < 5 ? PLAIN : below(KINDS);
        array *a = &arrays[i];
        nn_real *x;

        place(a, size_of(the->array[i].size, p));
        a->scratch = content == SCRATCH;
        fill(a, kind);
        x = a->memory[START] + a->begin;
        for (j = 0; fresh && j < a->count; j++) x[j] = quiet_nan();
        for (j = 0; content == POSITIVE && kind != WILD && j < a->count; j++)
            x[j] = nn__absolute(x[j]);
    }
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static void set_threads(int count)
{
#ifdef _OPENMP
    omp_set_num_threads(count);
#else
    (void)count;
#endif
}

/* What is being run, for the message of a failure or a crash. */
static const kernel *running;
static const problem *running_on;
static const nn__kernels *running_in;

static void tell_running(void)
{
    const problem *p = running_on;
    printf("%s of %s, seed %d: rows %d, in %d, out %d, activation %d, extra %d: ", running->name,
           running_in->name, seed, p->rows, p->in, p->out, (int)p->activation, p->extra);
}

#ifdef __unix__
static void tell_crash(int signal_number)
{
    if (running) tell_running();
    printf("died of signal %d\n", signal_number);
    fflush(stdout);
    _Exit(3);
}
#endif

static void tell_difference(int number, long where)
{
    const array *a = &arrays[number < 0 ? 0 : number];
    const nn__bits want = nn__to_bits((a->memory[WANT] + a->begin)[where]);
    const nn__bits got = nn__to_bits((a->memory[GOT] + a->begin)[where]);

    if (test_bad > 5) return;
    tell_running();
    if (number < 0)
        printf("another value is returned\n");
    else
        printf("array %d [%ld of %lu] is %#lx, not %#lx\n", number, where, (unsigned long)a->count,
               (unsigned long)got, (unsigned long)want);
}

/* The prepared arrays through every back-end. With several threads the scalar one is compared to
   itself on one thread. */
static void compare(const kernel *the, const problem *p, int threads)
{
    nn_real *data[ARRAYS];
    const nn__kernels *k = back_ends[0];
    long where = 0;
    int want, got, number, i;

    running = the;
    running_on = p;
    running_in = k;
    set_threads(1);
    copy_arrays(WANT, data);
    want = the->run(k, p, data);
    set_threads(threads);
    if (!back_ends[1]) test_skipped = 1; /* main has said so */
    for (i = threads == 1; (k = back_ends[i]) != NULL; i++) {
        running_in = k;
        copy_arrays(GOT, data);
        got = the->run(k, p, data);
        number = find_difference(&where);
        if (!CHECK(number < 0 && !want == !got)) tell_difference(number, number < 0 ? 0 : where);
    }
    running = NULL;
}

/* Any activation that takes a number, not a row. */
static nn_activation any_element(void)
{
    const int i = below(NN_ACTIVATION_COUNT - 1);
    return (nn_activation)(i < (int)NN_SOFTMAX ? i : i + 1);
}

/* One in four as the default options have it. */
static void choose_options(problem *p)
{
    const int usual = below(4) == 0;
    nn__step *s = &p->step;

    p->extra = below(2);
    p->activation = any_element();
    s->learning_rate = usual ? (nn_real)0.01 : nn__uniform(&state);
    s->clip = usual ? 1 : nn__uniform(&state);
    s->decay = usual ? 0 : nn__uniform(&state);
    s->momentum = usual ? (nn_real)0.9 : nn__uniform(&state);
    s->nesterov = below(2);
    s->beta1 = usual ? (nn_real)0.9 : nn__uniform(&state);
    s->beta2 = usual ? (nn_real)0.999 : nn__uniform(&state);
    s->epsilon = (nn_real)1e-8;
    s->root = usual ? 1 : 1 + 30 * nn__uniform(&state);
    s->negligible = usual ? 0 : below(2) ? NN__NEGLIGIBLE : nn__uniform(&state);
}

static void set_size(problem *p, int rows, int in, int out)
{
    p->rows = rows;
    p->in = in;
    p->out = out;
}

/* A kernel at one size, with options drawn at random. */
static void check(const kernel *the, int rows, int in, int out)
{
    problem p;

    set_size(&p, rows, in, out);
    choose_options(&p);
    if (the == &products[0] && out > 0 && below(6) == 0) p.activation = NN_SOFTMAX;
    prepare(the, &p, 0);
    compare(the, &p, 1);
}

/* ---- Tests: sizes ---------------------------------------------------------------------------- */

/* Every size from 0 to 40, or, to be quick, around the widths of vectors and tiles only. */
static int next_size(int size)
{
    static const int edges[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 40, 41};
    int i = 0;

    if (!quick) return size + 1;
    while (edges[i] <= size) i++;
    return edges[i];
}

/* Every product at every combination. Where the reference's fma is slow, each at every third one,
   so that it still meets every pair of sizes; three seeds in a row have them all. */
static void test_products(void)
{
#if defined(NN_NO_FMA) || defined(__FMA__) || defined(__aarch64__)
    const int part = 1;
#else
    const int part = COUNT(products);
#endif
    int rows, in, out, i;

    for (rows = 0; rows <= 40; rows = next_size(rows))
        for (in = 0; in <= 40; in = next_size(in))
            for (out = 0; out <= 40; out = next_size(out))
                for (i = (seed + rows + in + out) % part; i < COUNT(products); i += part)
                    check(&products[i], rows, in, out);
}

static void check_rows(int rows, int width)
{
    problem p;
    int activation;

    memset(&p, 0, sizeof p);
    set_size(&p, rows, 0, width);
    for (activation = 0; activation < NN_ACTIVATION_COUNT; activation++) {
        if (activation == (int)NN_SOFTMAX && width == 0) continue; /* there is none of nothing */
        p.activation = (nn_activation)activation;
        prepare(&activate, &p, 0);
        compare(&activate, &p, 1);
        prepare(&activation_gradient, &p, 0);
        compare(&activation_gradient, &p, 1);
    }
    check(&scale_rows, rows, 0, width);
}

static void test_rows(void)
{
    int rows, width, i;

    for (rows = 0; rows <= 40; rows = next_size(rows))
        for (width = 0; width <= 40; width = next_size(width)) check_rows(rows, width);
    for (i = 0; i < (quick ? 5 : 100); i++) check_rows(1 + below(MOST_ROWS), 1 + below(1000));
}

static void check_vectors(int count)
{
    int i;

    for (i = 0; i < COUNT(vectors); i++)
        if (count > 0 || vectors[i].run != run_softmax_row) check(&vectors[i], 1, 0, count);
}

static void test_vectors(void)
{
    int count, i;

    for (count = 0; count <= 140; count = count < 40 ? next_size(count) : count + 1)
        for (i = 0; i < (quick ? 5 : 30); i++) check_vectors(count);
    for (i = 0; i < (quick ? 5 : 200); i++) check_vectors(below(5000));
}

/* One bad number among good ones, at each position of each array: the back-ends agree on it, an
   update leaves that parameter alone and says so, and it is not overlooked. */
static void check_one_bad(const kernel *the, int count)
{
    static const nn__bits bad[] = {INFINITY_BITS, INFINITY_BITS | NN__SIGN_BIT, INFINITY_BITS + 1};
    problem p;
    int i, j, position;

    set_size(&p, 1, 0, count);
    choose_options(&p);
    for (i = 0; i < ARRAYS && the->array[i].content <= POSITIVE; i++)
        for (position = 0; position < count * (the->array[i].size == OUT); position++)
            for (j = 0; j < COUNT(bad); j++) {
                prepare(the, &p, 1);
                arrays[i].memory[START][arrays[i].begin + (size_t)position] = nn__from_bits(bad[j]);
                compare(the, &p, 1);
            }
}

static void test_one_bad_number(void)
{
    int count, i;

    for (count = 1; count <= (quick ? 33 : 40); count = quick ? next_size(count) : count + 1)
        for (i = 0; i < COUNT(vectors); i++) check_one_bad(&vectors[i], count);
}

/* What the last test leaves to the scalar kernels, stated. */
static void test_updates_refuse(void)
{
    const nn_real plain[2] = {0.5f, 0.25f};
    nn_real theta[2], gradient[2], first[2], second[2];
    nn__step step;
    int i, bad, kind; /* kind: SGD, Adam, RMSprop with momentum and without */

    memset(&step, 0, sizeof step);
    step.learning_rate = step.clip = step.decay = step.epsilon = step.root = 1;
    step.momentum = step.beta1 = step.beta2 = 0.5f;
    for (i = 0; back_ends[i]; i++)
        for (bad = 0; bad < 2; bad++)
            for (kind = 0; kind < 4; kind++) {
                const nn__kernels *k = back_ends[i];
                int good = 1;

                memcpy(theta, plain, sizeof plain);
                gradient[0] = gradient[1] = 2;
                memcpy(first, plain, sizeof plain);
                memcpy(second, plain, sizeof plain);
                gradient[bad] = quiet_nan();
                if (kind == 0) good = k->sgd(theta, gradient, first, NULL, 2, &step);
                if (kind == 1) good = k->adam(theta, gradient, first, second, 2, &step);
                if (kind == 2) good = k->rmsprop(theta, gradient, first, second, 2, &step);
                if (kind == 3) good = k->rmsprop(theta, gradient, NULL, second, 2, &step);
                CHECK(!good);
                CHECK(theta[bad] == plain[bad] && theta[!bad] != plain[!bad]);
                CHECK(first[bad] == plain[bad] && (kind == 3 || first[!bad] != plain[!bad]));
                CHECK(second[bad] == plain[bad] && (kind == 0 || second[!bad] != plain[!bad]));
            }
}

/* Rows of an order are permuted many at a time: each as nn__permute does it, for every number of
   rows, where few or nearly half of the results must be permuted again, and where n is largest. */
static void test_permutation(void)
{
    static const uint32_t sizes[] = {1, 2, 15, 16, 17, 33, 1000, 1024, 1025, 65537, INT_MAX};
    uint32_t elements[NN__PERMUTED], wanted[NN__PERMUTED];
    int i, j, count, b;

    for (i = 0; back_ends[i]; i++)
        for (j = 0; j < COUNT(sizes); j++)
            for (count = 0; count <= NN__PERMUTED; count++) {
                const uint64_t key = (uint64_t)nn__random(&state) << 32 | nn__random(&state);
                for (b = 0; b < NN__PERMUTED; b++) {
                    elements[b] = nn__random(&state) % sizes[j];
                    wanted[b] = nn__permute(elements[b], sizes[j], key);
                }
                back_ends[i]->permute_elements(elements, count, sizes[j], key);
                CHECK(memcmp(elements, wanted, (size_t)count * sizeof *elements) == 0);
            }
}

/* ---- Tests: every number --------------------------------------------------------------------- */

/* Values and derivatives over all numbers: of float one in `stride`, of double as many, spread over
   the patterns of bits, so that every exponent, both infinities, NaN and both zeros are met. Where
   an activation changes its formula, each number nearby. */
static void check_numbers(nn_activation activation, nn__bits from, nn__bits step, int count)
{
    problem p;
    nn_real *z;
    int i;

    memset(&p, 0, sizeof p);
    set_size(&p, 1, 0, count);
    p.activation = activation;
    place(&arrays[0], (size_t)count);
    place(&arrays[1], (size_t)count);
    for (i = 2; i < ARRAYS; i++) place(&arrays[i], 0);
    for (i = 0; i < ARRAYS; i++) arrays[i].scratch = 0;
    z = arrays[0].memory[START] + arrays[0].begin;
    for (i = 0; i < count; i++) z[i] = nn__from_bits(from + step * (nn__bits)i);
    fill(&arrays[1], below(2) ? PLAIN : WILD);
    compare(&activate, &p, 1);
    compare(&activation_gradient, &p, 1);
}

static void test_every_number(void)
{
    static const double edges[] = {0, 0.5,  0.6, 0.9,  1,     5.5, 5.95,  6.0,
                                   9, 17.3, 37,  88.7, 103.9, 104, 709.7, 745.1};
    enum { AT_ONCE = 4096 };
    const int parts = quick ? 16 : 64;
    int activation, i, sign;

    for (activation = 0; activation < NN_ACTIVATION_COUNT; activation++) {
        const nn__bits part = ~(nn__bits)0 / (nn__bits)parts, step = part / AT_ONCE;
        if (activation == (int)NN_SOFTMAX) continue;
        for (i = 0; i < parts; i++)
            check_numbers((nn_activation)activation,
                          part * (nn__bits)i + (nn__bits)below((int)(step & 0xffff) + 1), step,
                          AT_ONCE);
        for (i = 0; i < COUNT(edges); i++)
            for (sign = -1; sign < 2; sign += 2)
                check_numbers((nn_activation)activation,
                              nn__to_bits(sign * (nn_real)edges[i]) - AT_ONCE / 2, 1, AT_ONCE);
    }
}

/* ---- Tests: larger sizes --------------------------------------------------------------------- */

/* Deep in each of the three products, powers of two, and what networks have. */
static const int large[][3] = {
    {0, 70, 600},    {70, 0, 600},    {70, 600, 0},    {9, 20, 2050},   {9, 2050, 20},
    {2050, 9, 20},   {5, 1030, 130},  {33, 40, 2050},  {33, 2050, 40},  {2050, 33, 40},
    {1, 4100, 70},   {70, 1030, 17},  {17, 1300, 100}, {1300, 17, 100}, {17, 100, 1300},
    {3, 1024, 1024}, {40, 256, 256},  {7, 2048, 256},  {5, 512, 2048},  {65, 1030, 67},
    {65, 67, 1030},  {1030, 65, 67},  {128, 784, 128}, {32, 784, 128},  {1, 784, 128},
    {257, 257, 257}, {67, 1025, 258}, {1, 33, 50},     {1, 33, 64},     {1, 4097, 30}};

/* What decides about packing and about blocks: rows that share places in the cache (of w, of x) or
   do not, depths around those of a block and of a strip, more columns than one strip is used for,
   more rows than a block has. */
static const int packed[][3] = {{41, 5, 1024},   {42, 257, 1024}, {33, 256, 1023}, {60, 514, 1025},
                                {57, 30, 513},   {41, 4100, 20},  {41, 1030, 256}, {41, 600, 512},
                                {515, 30, 1024}, {6300, 20, 17},  {3, 1024, 40},   {2, 1025, 150},
                                {2, 1021, 150},  {64, 1024, 160}, {65, 1023, 150}, {130, 512, 150},
                                {129, 2048, 20}, {9, 20, 257},    {257, 60, 257}};

static void check_threads(const kernel *the, const problem *p)
{
    int i;

    prepare(the, p, below(2));
    for (i = 0; i < COUNT(thread_counts); i++) compare(the, p, thread_counts[i]);
    set_threads(1);
}

static void check_large(int rows, int in, int out)
{
    problem p;
    int i;

    set_size(&p, rows, in, out);
    if (quick && rows * in * out > (COUNT(thread_counts) > 1 ? 3000000 : 700000)) return;
    for (i = 0; i < COUNT(products); i++) {
        choose_options(&p);
        check_threads(&products[i], &p);
    }
}

static void test_large_products(void)
{
    int i, j, size[3];

    for (i = 0; i < COUNT(large); i++) check_large(large[i][0], large[i][1], large[i][2]);
    for (i = 0; i < COUNT(packed); i++) check_large(packed[i][0], packed[i][1], packed[i][2]);
    for (i = 0; i < (quick ? 5 : 60);) {
        for (j = 0; j < 3; j++) size[j] = 1 + below(1 << (3 + below(quick ? 5 : 7)));
        if ((double)size[0] * size[1] * size[2] > 3e6) continue;
        check_large(size[0], size[1], size[2]);
        i++;
    }
}

static void test_large_vectors(void)
{
    problem p;
    int i;

    set_size(&p, quick ? 64 : 257, 0, 1025);
    for (i = 0; i < NN_ACTIVATION_COUNT; i++) {
        choose_options(&p);
        p.activation = (nn_activation)i;
        check_threads(&activate, &p);
        check_threads(&activation_gradient, &p);
    }
    p.out *= p.rows;
    p.rows = 1;
    for (i = 0; i < COUNT(vectors); i++) check_threads(&vectors[i], &p);
}

/* ---- Tests: through the API ------------------------------------------------------------------ */

enum {
    EXAMPLES = 65,
    INPUTS = 300,
    OUTPUTS = 10,
    PARAMETERS = 301 * 257 + 258 * 130 + 131 * OUTPUTS
};

/* Trains a model of the forced back-end for some steps; fills result with parameters, then
   predictions. */
static void train(nn_real result[PARAMETERS + EXAMPLES * OUTPUTS])
{
    static const nn_real dropout[] = {0.25f, 0, 0};
    static nn_real x[EXAMPLES * INPUTS], y[EXAMPLES * OUTPUTS];
    uint64_t random = nn__random_start(3);
    nn_model *model;
    nn_data data;
    nn_options how;
    int i;

    memset(&data, 0, sizeof data);
    memset(&how, 0, sizeof how);
    memset(y, 0, sizeof y);
    for (i = 0; i < EXAMPLES * INPUTS; i++) x[i] = 2 * nn__uniform(&random) - 1;
    for (i = 0; i < EXAMPLES; i++) y[i * OUTPUTS + i * i % OUTPUTS] = 1;
    data.rows = EXAMPLES;
    data.inputs = INPUTS;
    data.outputs = data.classes = OUTPUTS;
    data.x = x;
    data.y = y;
    how.loss = NN_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.epochs = quick ? 1 : 3;
    how.batch_size = EXAMPLES;
    how.dropout = dropout;
    how.scaling = NN_SCALE_STANDARD;
    if (!CHECK(nn_model_create(&model, INPUTS, layers, COUNT(layers), 1) == NN_OK)) return;
    CHECK(strcmp(nn_backend(model), nn__find_kernels(forced)->name) == 0);
    CHECK(nn_parameter_count(model) == PARAMETERS);
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    memcpy(result, nn_parameters(model), PARAMETERS * sizeof *result);
    CHECK(nn_predict(model, x, EXAMPLES, result + PARAMETERS, NULL) == NN_OK);
    nn_model_free(model);
}

static void test_training(void)
{
    static nn_real want[PARAMETERS + EXAMPLES * OUTPUTS], got[PARAMETERS + EXAMPLES * OUTPUTS];
    int i, j;

    set_threads(1);
    forced = "scalar";
    train(want);
    for (i = 0; back_ends[i]; i++) {
        forced = back_ends[i]->name;
        for (j = 0; j < COUNT(thread_counts); j++) {
            set_threads(thread_counts[j]);
            memset(got, 0, sizeof got);
            train(got);
            if (!CHECK(memcmp(want, got, sizeof want) == 0)) printf("with %s\n", forced);
        }
    }
    forced = NULL;
    set_threads(1);
}

/* A model's back-end is the forced one however it was made. */
static void test_forcing(void)
{
    nn_shape shape;
    nn_model *made, *other;
    unsigned char *file;
    size_t size;
    int i;

    shape.inputs = 3;
    shape.layers = layers + 2;
    shape.count = 1;
    for (i = 0; back_ends[i]; i++) {
        void *memory = malloc(nn_model_size(&shape));
        forced = back_ends[i]->name;
        CHECK(nn__find_kernels(forced) == back_ends[i]);
        if (!CHECK(nn_model_create(&made, 3, layers + 2, 1, 1) == NN_OK)) return;
        CHECK(strcmp(nn_backend(made), forced) == 0);
        if (!CHECK(nn_model_create_in(&other, memory, nn_model_size(&shape), &shape, 1) == NN_OK))
            return;
        CHECK(strcmp(nn_backend(other), forced) == 0);
        free(memory);
        CHECK(nn_save_memory(made, NULL, 0, &size) == NN_OK);
        file = (unsigned char *)malloc(size);
        CHECK(nn_save_memory(made, file, size, &size) == NN_OK);
        nn_model_free(made);
        if (!CHECK(nn_load_memory(&made, file, size, NULL) == NN_OK)) return;
        CHECK(strcmp(nn_backend(made), forced) == 0);
        nn_model_free(made);
        free(file);
    }
    CHECK(i >= 1);
    forced = "abacus";
    if (!CHECK(nn_model_create(&made, 3, layers + 2, 1, 1) == NN_OK)) return;
    CHECK(strcmp(nn_backend(made), "scalar") == 0);
    nn_model_free(made);
    forced = NULL;
}

/* The machine's back-ends are there: a missing one would pass every other test. */
static void test_what_there_is(void)
{
    const nn__kernels *scalar = back_ends[0];
    int i;

    CHECK(scalar && strcmp(scalar->name, "scalar") == 0);
    CHECK(scalar->dense_forward == nn__dense_forward_scalar);
    CHECK(scalar->dense_weight_gradient == nn__dense_weight_gradient_scalar);
    printf("back-ends:");
    for (i = 0; back_ends[i]; i++) printf(" %s", back_ends[i]->name);
    printf("\n");
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__TINYC__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        CHECK(strcmp(nn__find_kernels("avx2")->name, "avx2") == 0);
    if (__builtin_cpu_supports("avx512f"))
        CHECK(strcmp(nn__find_kernels("avx512")->name, "avx512") == 0);
#elif defined(__aarch64__)
    CHECK(strcmp(nn__find_kernels(NULL)->name, "neon") == 0);
#elif defined(__wasm_simd128__) && defined(NN_NO_FMA)
    CHECK(strcmp(nn__find_kernels(NULL)->name, "wasm") == 0);
#endif
}

int main(int argc, char **argv)
{
    int i;

    test_needs_backend = 1; /* it chooses the seed */
    find_back_ends();
#if defined(__SANITIZE_ADDRESS__) && defined(NN_DOUBLE)
    quick = 1; /* the kernels have the same text as with float, whose build takes every size */
#endif
    for (i = 1; i < argc; i++)
        if (strcmp(argv[i], "quick") == 0)
            quick = 1;
        else if (strcmp(argv[i], "no-page") == 0)
            page = 0;
        else
            seed = abs(atoi(argv[i]));
#ifdef __unix__
    signal(SIGSEGV, tell_crash);
    signal(SIGILL, tell_crash);
#endif
    make_arrays();
    fill_pool();
    set_threads(1);
    if (!back_ends[1]) printf("skipped: comparisons; there is no back-end but the scalar one\n");
    RUN(test_what_there_is);
    RUN(test_forcing);
    RUN(test_rows);
    RUN(test_vectors);
    RUN(test_one_bad_number);
    RUN(test_updates_refuse);
    RUN(test_permutation);
    RUN(test_every_number);
    RUN(test_products);
    RUN(test_large_products);
    RUN(test_large_vectors);
    RUN(test_training);
    return test_done();
}

#else /* no back-end but the scalar one */

static void test_scalar_only(void)
{
    nn_model *model;

    forced = "avx2";
    if (!CHECK(nn_model_create(&model, 3, layers, COUNT(layers), 1) == NN_OK)) return;
    CHECK(strcmp(nn_backend(model), "scalar") == 0);
    nn_model_free(model);
}

int main(void)
{
    RUN(test_scalar_only);
    return test_done();
}

#endif
