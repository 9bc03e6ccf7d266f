/* The C side of `make bench`: nn.h, the peak rate of multiply-adds, OpenBLAS (if compiled with
   -DBENCH_OPENBLAS and linked with it) and FANN (-DBENCH_FANN, -lfann). bench.py builds this
   program, sends it requests, and compares the answers. It can also be run alone:

       echo 'forward nn 0.01 128x128x784' | build/bench [--backend NAME]

   The program reads one request a line and answers each with one line: units per second, measured
   over at least SECONDS, or "skipped" for a library that it was built without.

       WHAT SIDE SECONDS SIZES [BATCH ROWS]     one unit is
       about                                    (the answer is versions and back-end)
       peak nn SECONDS                          a flop of independent multiply-adds
       forward nn|openblas SECONDS MxNxK        a flop of y[M x N] = relu(x[M x K] w[K x N] + bias)
       weights nn|openblas SECONDS MxNxK        a flop of dw[M x N] = x[K x M]^T dz[K x N]
       inputs nn|openblas SECONDS MxNxK         a flop of dx[M x N] = dz[M x K] w[N x K]^T, in nn.h
                                                times the derivative of the ReLU before it
       train nn|im2col SECONDS 784-128-10 BATCH ROWS
                                                a row; the batches cycle through ROWS rows
       fit nn SECONDS 784-128-10 BATCH ROWS     a row in one epoch of nn_fit, everything included
       predict nn|fann|im2col SECONDS 784-128-10
                                                a row, predicted alone

   Nets may be names of named_nets; im2col (see im2col.h) knows only these. These samples are short.
   A run of training is long, and is answered slice by slice:

       run nn|fann 0 784-128-10 BATCH ROWS HIDDEN FILE

   trains in shuffled epochs on all rows of FILE (see data.c). Each time that ROWS more rows have
   been used the program answers with the seconds that they took and their mean loss, and waits for
   a line: "go" for the next slice, anything else ends the run. HIDDEN is relu, sigmoid or tanh.

   A net with one output is sigmoid at its end and is trained with the squared error and SGD. Other
   nets end in softmax, and are trained with the cross-entropy and Adam. The hidden layers of short
   samples are ReLU, with one output sigmoid. FANN's nets are sigmoid throughout and are trained one
   row at a time. */
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *backend; /* NULL: the best one */
#define NN_BACKEND backend
#define NN_STATIC
#define NN_IMPLEMENTATION
#include "nn.h"
#ifndef NN__SIMD
#error "there is no back-end to measure here but the scalar one"
#endif

#ifdef BENCH_OPENBLAS
#include <cblas.h>
#endif
#ifdef BENCH_FANN
#include <fann.h>
#endif

enum { LAYERS = 8, OUTPUTS = 16, EPOCHS = 5 };
#define SGD_RATE 0.1f /* of nets with one output, here and in peers.py */

/* Nets of convolutions, in peers.py too: for small images, and for three signals of a sensor. */
static const nn_layer image_net[] = {
    NN_IMAGE(28, 28, 1),     NN_CONV2D(8, 5, 1, NN_PADDING_NONE, NN_RELU),
    NN_MAX_POOL2D(2, 2),     NN_CONV2D(16, 5, 1, NN_PADDING_NONE, NN_RELU),
    NN_MAX_POOL2D(2, 2),     NN_DENSE(64, NN_RELU),
    NN_DENSE(10, NN_SOFTMAX)};
static const nn_layer sensor_net[] = {
    NN_IMAGE(1, 128, 3), NN_CONV1D(8, 5, 1, NN_PADDING_NONE, NN_RELU),
    NN_CONV1D(16, 3, 1, NN_PADDING_NONE, NN_RELU), NN_GLOBAL_AVERAGE, NN_DENSE(6, NN_SOFTMAX)};
static const struct named_net {
    const char *name;
    const nn_layer *layers;
    int count, sizes[2];
} named_nets[] = {{"image-net", image_net, 7, {784, 10}}, {"sensor-net", sensor_net, 5, {384, 6}}};

typedef struct request {
    char what[16], side[16], sizes_text[64];
    double seconds;
    int sizes[LAYERS + 1], count;  /* of sizes_text; inputs and outputs of a named net */
    const struct named_net *named; /* NULL: a dense net of these sizes */
    int batch, rows;
    char hidden[16], file[256]; /* of a run */
} request;

/* Does a piece of work once and returns how many units that was. */
typedef double (*step)(void *state);

static void fail(const char *why)
{
    fprintf(stderr, "bench: %s\n", why);
    exit(1);
}

static void check(nn_status status)
{
    if (status != NN_OK) fail(nn_status_text(status));
}

/* Seconds: processor time with one thread, so that the time of other programs is not counted, and
   wall-clock time with several threads. */
static double now(void)
{
    struct timespec time;

#ifdef _OPENMP
    clock_gettime(CLOCK_MONOTONIC, &time);
#else
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
#endif
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Units per second, once the caches are warm. */
static double measure(step work, void *state, double seconds)
{
    double units = work(state), begin, elapsed;
    long i, n;

    for (n = 1;; n *= 2) {
        begin = now();
        for (i = 0; i < n; i++) work(state);
        elapsed = now() - begin;
        if (elapsed >= seconds) return units * (double)n / elapsed;
    }
}

/* ---- Memory and numbers ---------------------------------------------------------------------- */

/* count floats in [-1, 1), the same ones every time, aligned to 64 bytes as nn.h aligns its arrays.
   The caller frees *block. */
static float *random_floats(size_t count, void **block)
{
    uint32_t state = 1;
    float *floats;
    size_t i;

    if (!(*block = malloc(count * sizeof *floats + 64))) fail("out of memory");
    floats = (float *)(((uintptr_t)*block + 63) / 64 * 64);
    for (i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        floats[i] = (float)(state >> 8) / 8388608 - 1;
    }
    return floats;
}

/* ---- Peak: independent chains of multiply-adds ----------------------------------------------- */

/* The number of chains must be at least the latency times the number of units (10 on x86, 16 on
   aarch64), and at most the number of registers. */
#define EACH_OF_12(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)
#define EACH_OF_24(F)                                                                              \
    EACH_OF_12(F)                                                                                  \
    F(12) F(13) F(14) F(15) F(16) F(17) F(18) F(19) F(20) F(21) F(22) F(23)

#define BEGIN_CHAIN(i) vector c##i = SET((float)i); /* unequal, or the compiler merges them */
#define STEP_CHAIN(i)  c##i = FMA(c##i, half, half);
#define END_CHAIN(i)   end = FMA(end, half, c##i);
#define PEAK_FUNCTION(EACH_CHAIN, chains)                                                          \
    {                                                                                              \
        const vector half = SET(0.5f);                                                             \
        vector end = half;                                                                         \
        int n;                                                                                     \
        EACH_CHAIN(BEGIN_CHAIN)                                                                    \
        for (n = 0; n < 1000; n++) {                                                               \
            EACH_CHAIN(STEP_CHAIN)                                                                 \
        }                                                                                          \
        EACH_CHAIN(END_CHAIN)                                                                      \
        memcpy(state, &end, sizeof end);                                                           \
        return 1000.0 * chains * 2 * sizeof(vector) / sizeof(float);                               \
    }

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#include <immintrin.h>

#define SET _mm512_set1_ps
#define FMA _mm512_fmadd_ps
__attribute__((target("avx512f"))) static double peak_avx512(void *state)
{
    typedef __m512 vector;
    PEAK_FUNCTION(EACH_OF_24, 24)
}
#undef SET
#undef FMA

#define SET _mm256_set1_ps
#define FMA _mm256_fmadd_ps
__attribute__((target("avx2,fma"))) static double peak_avx2(void *state)
{
    typedef __m256 vector;
    PEAK_FUNCTION(EACH_OF_12, 12)
}
#undef SET
#undef FMA

static step best_peak(void)
{
    const int any = !backend || strcmp(backend, "avx2");

    if (any && __builtin_cpu_supports("avx512f")) return peak_avx512;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? peak_avx2 : NULL;
}

#elif defined(__aarch64__)
#include <arm_neon.h>

#define SET          vdupq_n_f32
#define FMA(a, b, c) vfmaq_f32(c, a, b)
static double peak_neon(void *state)
{
    typedef float32x4_t vector;
    PEAK_FUNCTION(EACH_OF_24, 24)
}
#undef SET
#undef FMA

static step best_peak(void)
{
    return peak_neon;
}

#else
static step best_peak(void)
{
    return NULL;
}
#endif

static double peak_rate(const request *r, step unused)
{
    float last[16];

    (void)unused;
    return best_peak() ? measure(best_peak(), last, r->seconds) : 0;
}

/* ---- Products of matrices -------------------------------------------------------------------- */

typedef struct product {
    int m, n, k;
    double flops;
    float *a, *b, *c, *buffer, *bias; /* m * k, k * n, m * n, m * n, n */
    const nn__kernels *kernels;
} product;

static double forward_nn(void *state)
{
    product *p = (product *)state;

    p->kernels->dense_forward(p->a, p->b, p->bias, p->c, p->m, p->k, p->n, NN_RELU);
    return p->flops;
}

static double weights_nn(void *state)
{
    product *p = (product *)state;

    p->kernels->dense_weight_gradient(p->a, p->b, p->c, p->bias, p->k, p->m, p->n, 0);
    return p->flops;
}

static double inputs_nn(void *state)
{
    product *p = (product *)state;

    p->kernels->dense_input_gradient(p->a, p->b, NULL, p->c, p->buffer, p->m, p->n, p->k, NN_RELU);
    return p->flops;
}

#ifdef BENCH_OPENBLAS
static double forward_openblas(void *state)
{
    product *p = (product *)state;

    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, p->m, p->n, p->k, 1, p->a, p->k, p->b,
                p->n, 0, p->c, p->n);
    return p->flops;
}

static double weights_openblas(void *state)
{
    product *p = (product *)state;

    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, p->m, p->n, p->k, 1, p->a, p->m, p->b,
                p->n, 0, p->c, p->n);
    return p->flops;
}

static double inputs_openblas(void *state)
{
    product *p = (product *)state;

    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, p->m, p->n, p->k, 1, p->a, p->k, p->b,
                p->k, 0, p->c, p->n);
    return p->flops;
}
#endif

/* Takes count floats from *memory, rounded up to a multiple of 64 bytes. */
static float *take(float **memory, size_t count)
{
    float *taken = *memory;

    *memory += (count + 15) / 16 * 16;
    return taken;
}

static double product_rate(const request *r, step work)
{
    const size_t m = (size_t)r->sizes[0], n = (size_t)r->sizes[1], k = (size_t)r->sizes[2];
    product p;
    void *block;
    float *memory = random_floats(m * k + k * n + 2 * m * n + n + 5 * 16, &block);
    double rate;

    p.m = (int)m;
    p.n = (int)n;
    p.k = (int)k;
    p.flops = 2.0 * (double)m * (double)n * (double)k;
    p.a = take(&memory, m * k);
    p.b = take(&memory, k * n);
    p.c = take(&memory, m * n);
    p.buffer = take(&memory, m * n);
    p.bias = take(&memory, n);
    p.kernels = nn__find_kernels(backend);
    rate = measure(work, &p, r->seconds);
    free(block);
    return rate;
}

/* ---- Nets ------------------------------------------------------------------------------------ */

typedef struct net {
    nn_model *model;
    nn_trainer *trainer;
    nn_options options;
    nn_data data;
    int next; /* row of data */
} net;

/* Rows of random inputs with unrelated classes: only the speed matters. */
static nn_data make_data(int rows, int inputs, int outputs)
{
    const size_t count = (size_t)rows * (size_t)inputs;
    nn_data data = {0};
    float *x = random_floats(count + (size_t)rows * (size_t)outputs, &data.memory);
    float *y = x + count;
    int i;

    data.rows = rows;
    data.inputs = inputs;
    data.outputs = outputs;
    data.x = x;
    data.y = y;
    for (i = 0; i < rows * outputs; i++)
        y[i] = outputs > 1 ? (float)(i % outputs == i / outputs * 7 % outputs) : (float)(i % 2);
    return data;
}

static double train_nn(void *state)
{
    net *n = (net *)state;
    const int batch = n->options.batch_size;
    nn_real loss;

    check(nn_train_batch(n->trainer, n->data.x + (size_t)n->next * (size_t)n->data.inputs,
                         n->data.y + (size_t)n->next * (size_t)n->data.outputs, batch, &loss));
    n->next = (n->next + batch) % n->data.rows;
    return batch;
}

static double fit_nn(void *state)
{
    net *n = (net *)state;

    check(nn_fit(n->model, &n->data, &n->options));
    return (double)n->data.rows * EPOCHS;
}

static double predict_nn(void *state)
{
    net *n = (net *)state;
    nn_real y[OUTPUTS];

    check(nn_predict(n->model, n->data.x, 1, y, NULL));
    return 1;
}

static nn_activation hidden_activation(const request *r)
{
    if (!strcmp(r->hidden, "tanh")) return NN_TANH;
    if (!strcmp(r->hidden, "sigmoid")) return NN_SIGMOID;
    return !*r->hidden && r->sizes[r->count - 1] == 1 ? NN_SIGMOID : NN_RELU;
}

/* The request's net, and the options to train it. */
static nn_model *make_model(const request *r, nn_options *options)
{
    const int last = r->count - 2, outputs = r->sizes[r->count - 1];
    nn_layer layers[LAYERS];
    nn_model *model;
    int i;

    if (outputs > OUTPUTS) fail("too many outputs");
    memset(layers, 0, sizeof layers);
    for (i = 0; i <= last; i++) {
        layers[i].width = r->sizes[i + 1];
        layers[i].activation = hidden_activation(r);
    }
    layers[last].activation = outputs == 1 ? NN_SIGMOID : NN_SOFTMAX;
    memset(options, 0, sizeof *options);
    options->loss = outputs == 1 ? NN_MSE : NN_CROSS_ENTROPY;
    options->optimizer = outputs == 1 ? NN_SGD : NN_ADAM;
    options->learning_rate = outputs == 1 ? SGD_RATE : 0;
    options->batch_size = r->batch;
    check(nn_model_create(&model, r->sizes[0], r->named ? r->named->layers : layers,
                          r->named ? r->named->count : last + 1, 1));
    return model;
}

static double net_rate(const request *r, step work)
{
    net n = {0};
    double rate;

    n.data = make_data(r->rows, r->sizes[0], r->sizes[r->count - 1]);
    n.model = make_model(r, &n.options);
    n.options.epochs = EPOCHS;
    check(nn_trainer_create(&n.trainer, n.model, &n.options));
    rate = measure(work, &n, r->seconds);
    nn_trainer_free(n.trainer);
    nn_model_free(n.model);
    nn_data_free(&n.data);
    return rate;
}

#ifdef BENCH_OPENBLAS
#include "im2col.h"

typedef struct peer_net {
    im2col_net net;
    nn_data data;
    int next; /* row of data */
} peer_net;

static double train_im2col(void *state)
{
    peer_net *n = (peer_net *)state;

    im2col_train(&n->net, n->data.x + (size_t)n->next * (size_t)n->data.inputs,
                 n->data.y + (size_t)n->next * (size_t)n->data.outputs, n->net.batch);
    n->next = (n->next + n->net.batch) % n->data.rows;
    return n->net.batch;
}

static double predict_im2col(void *state)
{
    peer_net *n = (peer_net *)state;

    im2col_forward(&n->net, n->data.x, 1);
    return 1;
}

/* Fails unless nn.h and im2col.h find the same loss in each of three steps. */
static void check_im2col(peer_net *n, nn_model *model, const nn_options *options)
{
    nn_trainer *trainer;
    int i;

    check(nn_trainer_create(&trainer, model, options));
    for (i = 0; i < 3; i++) {
        const float loss = im2col_train(&n->net, n->data.x, n->data.y, n->net.batch);
        nn_real own;

        check(nn_train_batch(trainer, n->data.x, n->data.y, n->net.batch, &own));
        if (!(fabsf(loss - own) <= 1e-4f * own)) fail("im2col.h computes another net");
    }
    nn_trainer_free(trainer);
}

static double im2col_rate(const request *r, step work)
{
    peer_net n = {0};
    nn_options options;
    nn_model *model = make_model(r, &options);
    double rate;

    if (!r->named) return 0;
    n.data = make_data(r->rows, r->sizes[0], r->sizes[r->count - 1]);
    n.net = im2col_create(r->named, model, r->batch);
    check_im2col(&n, model, &options);
    rate = measure(work, &n, r->seconds);
    im2col_free(&n.net);
    nn_model_free(model);
    nn_data_free(&n.data);
    return rate;
}
#endif

#ifdef BENCH_FANN
typedef struct fann_net {
    struct fann *ann;
    nn_data data;
} fann_net;

static struct fann *make_fann(const request *r)
{
    unsigned widths[LAYERS + 1];
    struct fann *ann;
    int i;

    for (i = 0; i < r->count; i++) widths[i] = (unsigned)r->sizes[i];
    if (!(ann = fann_create_standard_array((unsigned)r->count, widths))) fail("no net of FANN");
    fann_set_activation_function_hidden(ann, FANN_SIGMOID);
    fann_set_activation_function_output(ann, FANN_SIGMOID);
    fann_set_training_algorithm(ann, FANN_TRAIN_INCREMENTAL);
    fann_set_train_error_function(ann, FANN_ERRORFUNC_LINEAR);
    fann_set_learning_rate(ann, 2 * SGD_RATE); /* its gradient lacks the factor 2 of (p - t)^2 */
    return ann;
}

static double predict_fann(void *state)
{
    fann_net *n = (fann_net *)state;

    /* FANN does not declare its inputs const, but only reads them. */
    fann_run(n->ann, (fann_type *)n->data.x);
    return 1;
}

static double fann_rate(const request *r, step work)
{
    fann_net n;
    double rate;

    n.ann = make_fann(r);
    n.data = make_data(1, r->sizes[0], r->sizes[r->count - 1]);
    rate = measure(work, &n, r->seconds);
    nn_data_free(&n.data);
    fann_destroy(n.ann);
    return rate;
}
#endif

/* ---- Runs of training ------------------------------------------------------------------------ */

typedef struct run {
    const request *request;
    int rows;           /* of the data */
    double epochs_loss; /* the sum over all rows of the epochs that are complete */
    double slices_loss; /* the same of the slices */
    double begin;       /* of this slice, in seconds */
} run;

/* Reads the data that data.c wrote: with several outputs the targets are labels. nn_data_free frees
   them. */
static nn_data read_data(const request *r)
{
    const size_t inputs = (size_t)r->sizes[0], outputs = (size_t)r->sizes[r->count - 1];
    FILE *file = fopen(r->file, "rb");
    nn_data data = {0};
    size_t rows, i;
    long size = 0;
    float *x, *targets;
    int *labels;

    if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0) fail("no data");
    rewind(file);
    rows = (size_t)size / sizeof(float) / (inputs + 1);
    x = (float *)malloc(rows * (inputs + 1) * sizeof(float) + rows * sizeof(int));
    if (!x || fread(x, sizeof(float), rows * (inputs + 1), file) != rows * (inputs + 1))
        fail("no data");
    targets = x + rows * inputs;
    labels = (int *)(void *)(targets + rows);
    for (i = 0; i < rows; i++) labels[i] = (int)targets[i];
    fclose(file);
    data.rows = (int)rows;
    data.inputs = (int)inputs;
    data.outputs = (int)outputs;
    data.x = x;
    data.classes = outputs > 1 ? data.outputs : 0;
    data.labels = outputs > 1 ? labels : NULL;
    data.y = outputs > 1 ? NULL : targets;
    data.memory = x;
    return data;
}

/* Ends a slice when it is complete, and waits for the next. loss is the sum over all rows so far.
   Returns whether the run ends. */
static int end_slice(run *state, double rows, double loss)
{
    const int slice = state->request->rows;
    char line[16];

    if (fmod(rows, slice) != 0) return 0;
    printf("%.9g %.9g\n", now() - state->begin, (loss - state->slices_loss) / slice);
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin) || strcmp(line, "go\n")) return 1;
    state->slices_loss = loss;
    state->begin = now();
    return 0;
}

/* Called by nn_fit after an epoch, or after each batch where a slice is a part of an epoch. */
static int end_batch(const nn_progress *progress, void *user)
{
    run *state = (run *)user;
    const int rows = progress->batch ? progress->batch * state->request->batch : state->rows;
    const double loss = state->epochs_loss + progress->loss * rows;

    if (progress->batch == progress->batches) return 0; /* the call after the epoch follows */
    if (progress->batch == 0) state->epochs_loss = loss;
    return end_slice(state, (double)state->rows * (progress->epoch - 1) + rows, loss);
}

static void run_nn(const request *r)
{
    run state = {0};
    nn_options options;
    nn_model *model = make_model(r, &options);
    nn_data data = read_data(r);

    state.request = r;
    state.rows = data.rows;
    options.epochs = 1000000000; /* until end_slice ends the run */
    options.callback = end_batch;
    options.callback_batches = r->rows < data.rows;
    options.user = &state;
    state.begin = now();
    check(nn_fit(model, &data, &options));
    nn_model_free(model);
    nn_data_free(&data);
}

#ifdef BENCH_FANN
static void run_fann(const request *r)
{
    run state = {0};
    struct fann *ann = make_fann(r);
    nn_data data = read_data(r);
    struct fann_train_data *shuffled =
        fann_create_train((unsigned)data.rows, (unsigned)data.inputs, (unsigned)data.outputs);
    double rows = 0, loss = 0;
    int i, j;

    if (!shuffled) fail("no data of FANN");
    for (i = 0; i < data.rows; i++) {
        for (j = 0; j < data.inputs; j++) shuffled->input[i][j] = data.x[i * data.inputs + j];
        for (j = 0; j < data.outputs; j++)
            shuffled->output[i][j] = data.labels ? data.labels[i] == j : data.y[i];
    }
    state.request = r;
    state.begin = now();
    do {
        fann_shuffle_train_data(shuffled);
        loss += (double)fann_train_epoch(ann, shuffled) * data.rows;
        rows += data.rows;
    } while (!end_slice(&state, rows, loss));
    fann_destroy_train(shuffled);
    fann_destroy(ann);
    nn_data_free(&data);
}
#endif

/* ---- Requests -------------------------------------------------------------------------------- */

static const struct {
    const char *what, *side;
    int sizes; /* at least */
    double (*rate)(const request *, step);
    step work;
} works[] = {
    {"peak", "nn", 0, peak_rate, NULL},
    {"forward", "nn", 3, product_rate, forward_nn},
    {"weights", "nn", 3, product_rate, weights_nn},
    {"inputs", "nn", 3, product_rate, inputs_nn},
    {"train", "nn", 2, net_rate, train_nn},
    {"fit", "nn", 2, net_rate, fit_nn},
    {"predict", "nn", 2, net_rate, predict_nn},
#ifdef BENCH_OPENBLAS
    {"forward", "openblas", 3, product_rate, forward_openblas},
    {"weights", "openblas", 3, product_rate, weights_openblas},
    {"inputs", "openblas", 3, product_rate, inputs_openblas},
    {"train", "im2col", 2, im2col_rate, train_im2col},
    {"predict", "im2col", 2, im2col_rate, predict_im2col},
#endif
#ifdef BENCH_FANN
    {"predict", "fann", 2, fann_rate, predict_fann},
#endif
};

/* Fills r from a line; BATCH and ROWS are 1 if they are left out. */
static void parse(request *r, const char *line)
{
    char *text;
    size_t i;

    memset(r, 0, sizeof *r);
    r->batch = r->rows = 1;
    if (sscanf(line, "%15s %15s %lf %63s %d %d %15s %255s", r->what, r->side, &r->seconds,
               r->sizes_text, &r->batch, &r->rows, r->hidden, r->file) < 1)
        fail("an empty request");
    for (i = 0; i < sizeof named_nets / sizeof *named_nets; i++)
        if (!strcmp(r->sizes_text, named_nets[i].name)) r->named = &named_nets[i];
    if (r->named) memcpy(r->sizes, r->named->sizes, sizeof r->named->sizes);
    r->count = r->named ? 2 : 0;
    for (text = strtok(r->sizes_text, "x-"); text && !r->named; text = strtok(NULL, "x-"))
        if (r->count > LAYERS || (r->sizes[r->count++] = atoi(text)) < 1) fail("bad sizes");
}

static double answer(const request *r)
{
    size_t i;

    for (i = 0; i < sizeof works / sizeof *works; i++) {
        if (strcmp(works[i].what, r->what) || strcmp(works[i].side, r->side)) continue;
        if (r->count < works[i].sizes) fail("too few sizes");
        return works[i].rate(r, works[i].work);
    }
    return 0;
}

/* The back-end and the versions, as NAME: VALUE; NAME: VALUE. */
static void about(void)
{
    printf("nn: nn.h " NN_VERSION ", %s", nn__find_kernels(backend)->name);
#ifdef BENCH_OPENBLAS
    {
        const char *config = openblas_get_config(); /* "OpenBLAS 0.3.21 NO_LAPACKE ..." */
        const int version = (int)(strcspn(config + 9, " ") + 9);

        printf("; openblas: %.*s (%s kernels)", version, config, openblas_get_corename());
    }
#endif
    putchar('\n');
}

int main(int argc, char **argv)
{
    char line[256];
    request r;
    double rate;

    if (argc == 3 && !strcmp(argv[1], "--backend")) backend = argv[2];
    if (argc != (backend ? 3 : 1)) fail("usage: bench [--backend NAME]");
#ifdef BENCH_OPENBLAS
    openblas_set_num_threads(1);
#endif
    while (fgets(line, sizeof line, stdin)) {
        parse(&r, line);
        if (!strcmp(r.what, "about")) {
            about();
        } else if (!strcmp(r.what, "run") && !strcmp(r.side, "nn")) {
            run_nn(&r);
#ifdef BENCH_FANN
        } else if (!strcmp(r.what, "run") && !strcmp(r.side, "fann")) {
            run_fann(&r);
#endif
        } else if ((rate = answer(&r)) > 0) {
            printf("%.9g\n", rate);
        } else {
            puts("skipped");
        }
        fflush(stdout);
    }
    return 0;
}
