/* The kernels of convolutions and pools of every back-end against the scalar ones, bit for bit: on
   windows of random shapes around the widths of vectors and the edges of tiles, on ordinary numbers
   and on zeros of both signs, equal numbers, huge ones, infinities and NaN. Arrays lie between
   guards; outputs begin as NaN; what a kernel may only read must not change.

       kernels_convolution [SEED]

   As in kernels.c two NaN are equal whatever their bits are. */
#define NN_IMPLEMENTATION
static const char *forced; /* the back-end that models are made with; NULL: the best */
#define NN_BACKEND forced
#include "../test.h"

#undef NN_USE_OPENBLAS /* has bits of its own */
#include "../../nn.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

#if defined(NN__SIMD) && !defined(NN_NO_CONVOLUTION)

enum { ARRAYS = 5, GUARD = 64, CAPACITY = 1 << 19 };
enum kind { PLAIN, EQUAL, ZEROS, HUGE_ONES, SOME_ODD, KINDS };
enum image { START, WANT, GOT, IMAGES }; /* before; after the scalar kernel; after the other one */

/* An array of a kernel. GUARD numbers that may not change lie before it and after it. */
typedef struct array {
    nn_real *memory[IMAGES]; /* [CAPACITY]; the array begins at `begin` of each */
    size_t begin, count;
    int scratch; /* what a kernel leaves in it does not matter */
} array;

static array arrays[ARRAYS];
static int level; /* nn__level asks the processor each time, which may take long */
static uint64_t state;
static int seed = 1;

/* Random in 0 .. n - 1. */
static int below(int n)
{
    return (int)(nn__random(&state) % (uint32_t)n);
}

static nn_real number(int kind)
{
    static const double odd[] = {0, -0.0, 1, -1, 1e30, -1e30, 1e-30};
    const nn_real x = 2 * nn__uniform(&state) - 1;
    const nn_real infinity = nn__from_bits((nn__bits)(2 * NN__BIAS + 1) << NN__MANTISSA);

    switch (kind) {
    case EQUAL: return (nn_real)(below(4) - 2); /* ties for the largest number of a patch */
    case ZEROS: return below(3) ? 0 * x : x;
    case HUGE_ONES: return x * (nn_real)1e37;
    case SOME_ODD:
        if (below(50)) return x;
        if (below(4)) return (nn_real)odd[below(COUNT(odd))];
        return below(3) ? (below(2) ? infinity : -infinity) : infinity - infinity;
    default: return x;
    }
}

/* ---- Guarded arrays -------------------------------------------------------------------------- */

static nn_real quiet_nan(void)
{
    return nn__from_bits((nn__bits)(2 * NN__BIAS + 1) << NN__MANTISSA | (nn__bits)5
                                                                            << (NN__MANTISSA - 3));
}

/* Places an array of `count` numbers, of NaN where kind is -1. */
static void place(int i, size_t count, int kind)
{
    array *a = &arrays[i];
    nn_real *x = a->memory[START];
    size_t j;

    a->begin = GUARD + (size_t)(below(2) * below(16));
    a->count = count;
    a->scratch = 0;
    if (!CHECK(a->begin + count + GUARD <= CAPACITY)) exit(1);
    for (j = 0; j < a->begin + count + GUARD; j++) x[j] = quiet_nan();
    for (j = 0; kind >= 0 && j < count; j++) x[a->begin + j] = number(kind);
}

static void copy_arrays(enum image to, nn_real *data[ARRAYS])
{
    int i;

    for (i = 0; i < ARRAYS; i++) {
        array *a = &arrays[i];
        memcpy(a->memory[to], a->memory[START], (a->begin + a->count + GUARD) * sizeof(nn_real));
        data[i] = a->memory[to] + a->begin;
    }
}

/* Returns whether WANT and GOT are equal, but for an array of scratch. */
static int same_array(const array *a)
{
    size_t j;

    for (j = 0; j < a->begin + a->count + GUARD; j++) {
        const nn_real want = a->memory[WANT][j], got = a->memory[GOT][j];
        const int inside = j >= a->begin && j < a->begin + a->count;
        if (inside && a->scratch) continue;
        if (nn__to_bits(want) == nn__to_bits(got)) continue;
        if (!inside || want == want || got == got) {
            printf("[%ld of %ld] is %.9g, not %.9g: ", (long)j - (long)a->begin, (long)a->count,
                   (double)got, (double)want);
            return 0;
        }
    }
    return 1;
}

/* ---- Windows --------------------------------------------------------------------------------- */

typedef struct problem {
    nn__window window;
    int rows, average, accumulate;
    nn_activation activation;
} problem;

static nn__map map_of(int height, int width, int channels)
{
    nn__map map;

    memset(&map, 0, sizeof map);
    map.height = height;
    map.width = width;
    map.channels = channels;
    map.size = height * width * channels;
    return map;
}

static nn__window window_of(int height, int width, int channels, int kernel_height,
                            int kernel_width, int stride_height, int stride_width, int out)
{
    nn__window window;

    memset(&window, 0, sizeof window);
    window.height = kernel_height;
    window.width = kernel_width;
    window.stride_height = stride_height;
    window.stride_width = stride_width;
    window.in = window.padded = map_of(height, width, channels);
    window.out = map_of((height - kernel_height) / stride_height + 1,
                        (width - kernel_width) / stride_width + 1, out);
    return window;
}

enum kernel { FORWARD, WEIGHTS, INPUTS, POOL, POOL_GRADIENT, KERNELS };
static const char *const names[KERNELS] = {"convolution_forward", "convolution_weight_gradient",
                                           "convolution_input_gradient", "pool", "pool_gradient"};

/* Places the arrays of a kernel: those that it reads, then those that it writes. */
static void prepare(enum kernel the, const problem *p, int kind)
{
    const nn__window *w = &p->window;
    const size_t rows = (size_t)p->rows, in = rows * (size_t)w->in.size;
    const size_t out = rows * (size_t)w->out.size, channels = (size_t)w->out.channels;
    const size_t weights = (size_t)(w->height * nn__run_length(w)) * channels;
    const int sum = p->accumulate ? kind : -1;
    int i;

    for (i = 0; i < ARRAYS; i++) place(i, 0, -1);
    place(0, the == INPUTS ? out : in, kind);
    switch (the) {
    case FORWARD:
        place(1, weights, below(2) ? kind : (int)PLAIN);
        place(2, channels, kind);
        place(3, out, -1);
        break;
    case WEIGHTS:
        place(1, out, below(2) ? kind : (int)PLAIN);
        place(2, weights, sum);
        place(3, channels, sum);
        break;
    case INPUTS:
        place(1, weights, below(2) ? kind : (int)PLAIN);
        place(2, weights, -1);
        place(3, in, -1);
        arrays[2].scratch = 1;
        break;
    case POOL: place(1, out, -1); break;
    default:
        place(1, out, below(2) ? kind : (int)PLAIN);
        place(2, in, -1);
        break;
    }
}

static void run(const nn__kernels *k, enum kernel the, const problem *p, nn_real *const *a)
{
    const nn__window *w = &p->window;

    switch (the) {
    case FORWARD: k->convolution_forward(w, a[0], a[1], a[2], a[3], p->rows, p->activation); break;
#ifndef NN_NO_TRAIN
    case WEIGHTS:
        k->convolution_weight_gradient(w, a[0], a[1], a[2], a[3], p->rows, p->accumulate);
        break;
    case INPUTS: k->convolution_input_gradient(w, a[0], a[1], a[2], a[3], p->rows); break;
    case POOL_GRADIENT: k->pool_gradient(w, p->average, a[0], a[1], a[2], p->rows); break;
#endif
    default: k->pool(w, p->average, a[0], a[1], p->rows); break;
    }
}

static void set_threads(int count)
{
#ifdef _OPENMP
    omp_set_num_threads(count);
#else
    (void)count;
#endif
}

static void tell(const nn__kernels *k, enum kernel the, const problem *p)
{
    const nn__window *w = &p->window;

    printf("%s of %s, seed %d: %d images %dx%dx%d, window %dx%d, stride %dx%d, %d channels, "
           "average %d, accumulate %d, activation %d\n",
           names[the], k->name, seed, p->rows, w->in.height, w->in.width, w->in.channels, w->height,
           w->width, w->stride_height, w->stride_width, w->out.channels, p->average, p->accumulate,
           (int)p->activation);
}

/* A kernel of every back-end against the scalar one, with one thread and with more. */
static void compare(enum kernel the, const problem *p)
{
    const nn__kernels *k;
    nn_real *data[ARRAYS];
    int i, j, threads, same;

    prepare(the, p, below(2) ? (int)PLAIN : below(KINDS));
    copy_arrays(WANT, data);
    run(nn__kernels_of(0, level), the, p, data);
    for (i = 1; (k = nn__kernels_of(i, level)) != NULL; i++)
        for (threads = 1; threads <= 3; threads += 2) {
            set_threads(threads);
            copy_arrays(GOT, data);
            run(k, the, p, data);
            for (j = 0, same = 1; j < ARRAYS; j++) same = same_array(&arrays[j]) && same;
            if (!CHECK(same)) tell(k, the, p);
        }
    set_threads(1);
}

/* All kernels on this window. */
static void compare_all(problem *p)
{
    nn__window *w = &p->window;

    p->accumulate = below(2);
    p->average = below(2);
    p->activation = (nn_activation)below(4);
    if (p->activation == NN_SOFTMAX) p->activation = NN_LINEAR;
    compare(FORWARD, p);
    compare(WEIGHTS, p);
    compare(INPUTS, p);
    w->out = map_of(w->out.height, w->out.width, w->in.channels);
    compare(POOL, p);
    compare(POOL_GRADIENT, p);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static int any_channels(void)
{
    static const int some[] = {31, 32, 33, 47, 48, 49, 64, 65};
    return below(5) ? 1 + below(17) : some[below(COUNT(some))];
}

/* Windows of any shape. */
static void test_shapes(void)
{
    problem p;
    int i;

    memset(&p, 0, sizeof p);
    for (i = 0; i < 3000; i++) {
        const int kernel_height = 1 + below(5), kernel_width = 1 + below(5);
        const int stride_height = 1 + below(3), stride_width = 1 + below(3);
        const int in = any_channels(), out = any_channels();
        const int most = in * out > 600 ? 4 : 20;
        const int height = kernel_height + below(most), width = kernel_width + below(most);

        p.window = window_of(height, width, in, kernel_height, kernel_width, stride_height,
                             stride_width, out);
        p.rows = below(4);
        if ((double)p.rows * p.window.out.size * kernel_height * kernel_width * in > 2e6) continue;
        compare_all(&p);
    }
}

/* Every number of channels to 33, before and after, with short windows. */
static void test_channels(void)
{
    problem p;
    int in, out;

    memset(&p, 0, sizeof p);
    for (in = 1; in <= 33; in = in < 17 ? in + 1 : in == 17 ? 31 : in + 1)
        for (out = 1; out <= 33; out = out < 17 ? out + 1 : out == 17 ? 31 : out + 1) {
            p.window = window_of(4, 11, in, 3, 2, 1, 1, out);
            p.rows = 2;
            compare_all(&p);
        }
}

/* Every length of a line, so that there is every number of positions, with one channel too, and a
   window whose patches are longer than the memory of the input gradient. */
static void test_lengths(void)
{
    problem p;
    int width, stride, out;

    memset(&p, 0, sizeof p);
    p.rows = 2;
    for (width = 3; width < 60; width++)
        for (stride = 1; stride <= 4; stride++) {
            p.window = window_of(1, width, 3, 1, 3, 1, stride, 8);
            compare_all(&p);
        }
    for (width = 3; width < 120; width++)
        for (out = 1; out <= 8; out *= 2) {
            p.window = window_of(3, width, 1, 2, 3, 1, 1, out);
            compare_all(&p);
        }
    p.rows = 1;
    p.window = window_of(2, 12, 500, 2, 10, 1, 1, 3);
    compare_all(&p);
    p.window = window_of(1, 700, 5, 1, 4, 1, 2, 6);
    compare_all(&p);
}

/* Large enough for threads. */
static void test_large(void)
{
    problem p;

    memset(&p, 0, sizeof p);
    p.rows = 9;
    p.window = window_of(28, 28, 1, 5, 5, 1, 1, 8);
    compare_all(&p);
    p.window = window_of(12, 12, 8, 5, 5, 1, 1, 16);
    compare_all(&p);
    p.window = window_of(12, 12, 17, 2, 5, 2, 1, 33);
    compare_all(&p);
    p.window = window_of(24, 24, 8, 2, 2, 2, 2, 8);
    compare_all(&p);
}

/* Trains and predicts with the forced back-end; fills result with the parameters. */
static size_t train(nn_real result[4096])
{
    static const nn_layer layers[] = {
        NN_IMAGE(9, 10, 2),  NN_CONV2D(9, 3, 1, NN_PADDING_SAME, NN_GELU),
        NN_MAX_POOL2D(2, 2), NN_CONV2D(5, 3, 2, NN_PADDING_SAME, NN_TANH),
        NN_GLOBAL_AVERAGE,   NN_DENSE(3, NN_SOFTMAX)};
    static nn_real x[40 * 180], y[40 * 3];
    uint64_t random = nn__random_start(3);
    nn_model *model;
    nn_data data;
    nn_options how;
    size_t count;
    int i;

    memset(&data, 0, sizeof data);
    memset(&how, 0, sizeof how);
    memset(y, 0, sizeof y);
    for (i = 0; i < COUNT(x); i++) x[i] = 2 * nn__uniform(&random) - 1;
    for (i = 0; i < 40; i++) y[i * 3 + i % 3] = 1;
    data.rows = 40;
    data.inputs = 180;
    data.outputs = data.classes = 3;
    data.x = x;
    data.y = y;
    how.loss = NN_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.epochs = 3;
    how.batch_size = 16;
    how.micro_batch_size = 7;
    if (!CHECK(nn_model_create(&model, 180, layers, COUNT(layers), 1) == NN_OK)) return 0;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    count = nn_parameter_count(model);
    if (!CHECK(count <= 4000)) return 0;
    memcpy(result, nn_parameters(model), count * sizeof *result);
    CHECK(nn_predict(model, x, 32, result + count, NULL) == NN_OK);
    nn_model_free(model);
    return count + 32 * 3;
}

static void test_training(void)
{
    static nn_real want[4096], got[4096];
    const nn__kernels *k;
    size_t count;
    int i;

    forced = "scalar";
    count = train(want);
    for (i = 1; (k = nn__kernels_of(i, level)) != NULL; i++) {
        forced = k->name;
        memset(got, 0, sizeof got);
        CHECK(train(got) == count);
        if (!CHECK(memcmp(want, got, count * sizeof *want) == 0)) printf("with %s\n", forced);
    }
    forced = NULL;
}

int main(int argc, char **argv)
{
    int i, image;

    if (argc > 1) seed = abs(atoi(argv[1]));
    level = nn__level();
    state = nn__random_start((uint64_t)seed);
    for (i = 0; i < ARRAYS; i++)
        for (image = 0; image < IMAGES; image++) {
            arrays[i].memory[image] = (nn_real *)malloc(CAPACITY * sizeof(nn_real));
            if (!arrays[i].memory[image]) return 2;
        }
    if (!nn__kernels_of(1, level)) printf("skipped: there is only the scalar back-end\n");
    RUN(test_channels);
    RUN(test_lengths);
    RUN(test_shapes);
    RUN(test_large);
    RUN(test_training);
    for (i = 0; i < ARRAYS; i++)
        for (image = 0; image < IMAGES; image++) free(arrays[i].memory[image]);
    return test_done();
}

#else /* no back-end but the scalar one, or no convolutions */

static void test_nothing(void)
{
    CHECK(forced == NULL);
}

int main(void)
{
    RUN(test_nothing);
    return test_done();
}

#endif
