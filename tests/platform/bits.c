/* The same bits everywhere: short training runs over every activation, loss, optimizer and option
   have one hash of all that they compute, and it stands here. tests/platform/portable.sh builds
   this program for every machine, with every compiler and every set of flags it finds. Run with -v
   to see each run's hash. */
#define NN_IMPLEMENTATION
#undef NN_USE_OPENBLAS /* has bits of its own */
#include "../fixtures.h"

#define ROWS    50
#define INPUTS  144 /* at most */
#define OUTPUTS 3

/* FNV-1a, 64 bits, over numbers and not over bytes in memory: the byte order does not matter. */
static uint64_t add(uint64_t hash, uint64_t number)
{
    int i;

    for (i = 0; i < 8; i++) hash = (hash ^ (number >> (8 * i) & 255)) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t add_reals(uint64_t hash, const nn_real *x, size_t count)
{
    while (count--) hash = add(hash, nn__to_bits(*x++));
    return hash;
}

static nn_real x[ROWS * INPUTS], targets[ROWS * OUTPUTS], weights[ROWS];

/* Data that needs the whole range of the activations; targets that fit every loss. */
static void fill_data(nn_data *data, int inputs)
{
    uint64_t state = nn__random_start(7);
    int b, j;

    for (j = 0; j < ROWS * inputs; j++) x[j] = 8 * nn__uniform(&state) - 4;
    for (b = 0; b < ROWS; b++) {
        weights[b] = 2 * nn__uniform(&state);
        for (j = 0; j < OUTPUTS; j++)
            targets[b * OUTPUTS + j] = (nn_real)(j == (x[b * inputs] > 0) + (b % 7 == 0));
    }
    memset(data, 0, sizeof *data);
    data->rows = ROWS;
    data->inputs = inputs;
    data->outputs = OUTPUTS;
    data->classes = OUTPUTS;
    data->x = x;
    data->y = targets;
}

/* Small nets; then, for the edges of tiles, for packed matrices and for several threads, wide ones
   that train little. The last batch is smaller. */
typedef struct net {
    int first_run, inputs, hidden[2], batch_size, epochs;
} net;

static const net nets[] = {
    {0, 5, {9, 4}, 16, 6}, {24, 70, {97, 40}, 33, 2}, {30, 40, {1030, 70}, 33, 1}};

enum { RUNS = 31, SMOOTH_RUNS = 28 };

typedef struct run {
    const net *net;
    nn_activation hidden[2], output;
    nn_options how;
    nn_options measured; /* nn_evaluate's */
    int weighted;
} run;

/* Each option is on in some runs and off in others. */
static run make_run(int i)
{
    static const nn_activation hidden[] = {NN_RELU, NN_TANH, NN_SIGMOID, NN_LEAKY_RELU, NN_LINEAR};
    static const nn_real dropout[] = {(nn_real)0.25, (nn_real)0.5, 0};
    run r;

    memset(&r, 0, sizeof r);
    r.net = nets;
    while (r.net + 1 < nets + sizeof nets / sizeof *nets && r.net[1].first_run <= i) r.net++;
    r.hidden[0] = r.hidden[1] = hidden[i % 5];
    r.how.loss = (nn_loss)(i % 4);
    r.output = i % 4 == 2   ? NN_SIGMOID
               : i % 4 == 3 ? NN_SOFTMAX
                            : (nn_activation)(i / 4 % 6); /* every one for MSE and Huber */
    r.how.optimizer = i % 3 ? NN_ADAM : NN_SGD;
    r.how.epochs = r.net->epochs;
    r.how.batch_size = r.net->batch_size;
    r.how.learning_rate = (nn_real)(i % 3 ? 0.01 : 0.05);
    if (r.how.optimizer == NN_SGD) {
        r.how.momentum = (nn_real)(i % 2 ? 0.9 : 0);
        r.how.nesterov = i % 2 && i % 4 == 3;
    }
    r.how.weight_decay = (nn_real)(i % 5 == 1 ? 0.01 : 0);
    r.how.clip_norm = (nn_real)(i % 5 == 2 ? 0.5 : 0);
    r.how.schedule = (nn_schedule)(i % 3);
    r.how.warmup_steps = i % 4 == 1 ? 5 : 0;
    r.how.label_smoothing = (nn_real)(i % 8 == 3 ? 0.1 : 0);
    r.how.dropout = i % 5 == 3 ? dropout : NULL;
    r.how.scaling = (nn_scaling)(i % 3);
    r.how.validation_fraction = i % 4 == 0 ? (nn_real)0.2 : 0;
    r.how.patience = i % 7 == 0 ? 3 : 0;
    r.how.seed = (uint64_t)i;
    r.measured.loss = r.how.loss;
    r.weighted = i % 6 == 5;
    return r;
}

/* The runs with ELU, SiLU, GELU, softplus, MAE, the quantile loss, RMSprop, and zeros that are not
   the default. */
static run make_smooth_run(int i)
{
    static const net wide[] = {{0, 5, {9, 4}, 16, 6}, {0, 70, {97, 40}, 33, 2}};
    static const nn_activation smooth[] = {NN_ELU, NN_SILU, NN_GELU, NN_SOFTPLUS};
    static const nn_activation any[] = {NN_LINEAR, NN_ELU,      NN_SILU, NN_GELU,
                                        NN_RELU,   NN_SOFTPLUS, NN_TANH};
    static const nn_loss losses[] = {
        NN_MAE, NN_QUANTILE, NN_MSE,           NN_QUANTILE,
        NN_MAE, NN_HUBER,    NN_CROSS_ENTROPY, NN_BINARY_CROSS_ENTROPY};
    static const nn_real dropout[] = {(nn_real)0.25, (nn_real)0.5, 0};
    static const nn_real quantiles[] = {(nn_real)0.1, (nn_real)0.9, 0};
    run r;

    memset(&r, 0, sizeof r);
    r.net = &wide[i >= 22];
    r.hidden[0] = smooth[i % 4];
    r.hidden[1] = any[i % 7];
    r.how.loss = losses[i % 8];
    r.output = r.how.loss == NN_CROSS_ENTROPY          ? NN_SOFTMAX
               : r.how.loss == NN_BINARY_CROSS_ENTROPY ? NN_SIGMOID
                                                       : any[(i / 3 + i) % 7];
    r.how.optimizer = i % 5 < 3 ? NN_RMSPROP : i % 5 == 3 ? NN_ADAM : NN_SGD;
    r.how.epochs = r.net->epochs;
    r.how.batch_size = r.net->batch_size;
    r.how.micro_batch_size = i % 6 == 1 ? 5 : 0;
    r.how.learning_rate = (nn_real)(i % 5 < 4 ? 0.005 : 0.02);
    if (r.how.optimizer == NN_RMSPROP)
        r.how.alpha = i % 3 == 1 ? (nn_real)0.9 : i % 7 == 2 ? NN_ZERO : 0;
    if (r.how.optimizer == NN_ADAM)
        r.how.beta1 = i % 2 ? NN_ZERO : 0;
    else
        r.how.momentum = (nn_real)(i % 2 ? 0.9 : 0);
    if (r.how.optimizer != NN_SGD) r.how.epsilon = i % 7 == 2 ? (nn_real)0.01 : 0;
    r.how.weight_decay = (nn_real)(i % 4 == 1 ? 0.01 : 0);
    r.how.clip_norm = (nn_real)(i % 4 == 2 ? 0.5 : 0);
    r.how.schedule = (nn_schedule)(i % 3);
    if (r.how.schedule == NN_SCHEDULE_STEP) r.how.step_factor = i % 9 == 1 ? NN_ZERO : 0;
    r.how.quantile = r.how.loss == NN_QUANTILE ? quantiles[i % 3] : 0;
    r.how.dropout = i % 5 == 2 ? dropout : NULL;
    r.how.scaling = (nn_scaling)(i % 3);
    r.how.validation_fraction = i % 4 == 0 ? (nn_real)0.2 : 0;
    r.how.patience = i % 7 == 0 ? 3 : 0;
    r.how.seed = (uint64_t)i;
    r.measured = r.how;
    r.weighted = i % 6 == 5;
    return r;
}

static uint64_t hash_model(uint64_t hash, const nn_model *model, const nn_data *data,
                           const nn_options *how)
{
    static nn_real y[ROWS * OUTPUTS];
    unsigned char *file;
    nn_metrics m;
    size_t size, i;

    CHECK(nn_predict(model, data->x, ROWS, y, NULL) == NN_OK);
    hash = add_reals(hash, y, ROWS * OUTPUTS);
    CHECK(nn_evaluate(model, data, how, &m) == NN_OK);
    hash = add(hash, nn__to_bits(m.loss));
    hash = add(hash, nn__to_bits(m.mae));
    hash = add(hash, nn__to_bits(m.r2));
    hash = add(hash, nn__to_bits(m.macro_f1));
    CHECK(nn_save_memory(model, NULL, 0, &size) == NN_OK);
    file = (unsigned char *)malloc(size);
    if (!CHECK(file && nn_save_memory(model, file, size, &size) == NN_OK)) return 0;
    for (i = 0; i < size; i++) hash = add(hash, file[i]);
    free(file);
    return hash;
}

static int verbose;

static uint64_t hash_run(run r, int i)
{
    nn_layer layers[3];
    nn_data data;
    nn_model *model;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    fill_data(&data, r.net->inputs);
    if (r.weighted) data.weight = weights;
    memset(layers, 0, sizeof layers);
    layers[0].kind = NN_LAYER_DENSE;
    layers[0].width = r.net->hidden[0];
    layers[1].kind = NN_LAYER_DENSE;
    layers[1].width = r.net->hidden[1];
    layers[2].kind = NN_LAYER_DENSE;
    layers[2].width = OUTPUTS;
    layers[0].activation = r.hidden[0];
    layers[1].activation = r.hidden[1];
    layers[2].activation = r.output;
    if (!CHECK(nn_model_create(&model, data.inputs, layers, 3, (uint64_t)i) == NN_OK)) return 0;
    if (i == 0) printf("back-end %s\n", nn_backend(model));
    hash = add_reals(hash, nn_parameters(model), nn_parameter_count(model));
    CHECK(nn_fit(model, &data, &r.how) == NN_OK);
    hash = add_reals(hash, nn_parameters(model), nn_parameter_count(model));
    hash = hash_model(hash, model, &data, &r.measured);
    nn_model_free(model);
    if (verbose)
        printf("run %2d: %08lx%08lx\n", i, (unsigned long)(hash >> 32),
               (unsigned long)(hash & 0xffffffff));
    return hash;
}

#ifndef NN_NO_CONVOLUTION
/* Convolutions and pools, in two dimensions and in one: fewer and more channels than a register has
   lanes, both paddings, strides, windows that overlap, every activation. */
enum { IMAGE_RUNS = 18, IMAGE_LAYERS = 6 };

static uint64_t hash_image_run(int i)
{
    static const nn_layer nets_of_images[3][IMAGE_LAYERS] = {
        {NN_IMAGE(9, 8, 2), NN_CONV2D(5, 3, 1, NN_PADDING_SAME, NN_RELU), NN_MAX_POOL2D(2, 2),
         NN_CONV2D(17, 2, 1, NN_PADDING_NONE, NN_RELU), NN_AVERAGE_POOL(2, 1, 1, 1),
         NN_DENSE(OUTPUTS, NN_SOFTMAX)},
        {NN_IMAGE(1, 70, 1), NN_CONV1D(8, 5, 2, NN_PADDING_SAME, NN_RELU),
         NN_CONV1D(33, 3, 1, NN_PADDING_NONE, NN_RELU), NN_MAX_POOL1D(3, 1), NN_GLOBAL_AVERAGE,
         NN_DENSE(OUTPUTS, NN_SOFTMAX)},
        {NN_IMAGE(12, 4, 3), NN_CONVOLUTION(8, 5, 3, 2, 1, NN_PADDING_NONE, NN_RELU),
         NN_MAX_POOL(3, 2, 1, 1), NN_CONV2D(20, 4, 3, NN_PADDING_SAME, NN_RELU),
         NN_DENSE(10, NN_TANH), NN_DENSE(OUTPUTS, NN_SOFTMAX)}};
    static const nn_activation activations[] = {NN_RELU,       NN_TANH,     NN_SIGMOID,
                                                NN_LEAKY_RELU, NN_ELU,      NN_SILU,
                                                NN_GELU,       NN_SOFTPLUS, NN_LINEAR};
    static const nn_real dropout[IMAGE_LAYERS] = {0, (nn_real)0.25, 0, (nn_real)0.5, 0, 0};
    nn_layer layers[IMAGE_LAYERS];
    nn_options how;
    nn_data data;
    nn_model *model;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int k;

    memcpy(layers, nets_of_images[i % 3], sizeof layers);
    for (k = 0; k < IMAGE_LAYERS; k++)
        if (layers[k].kind == NN_LAYER_CONVOLUTION) layers[k].activation = activations[(i + k) % 9];
    fill_data(&data, layers[0].height * layers[0].width * layers[0].channels);
    memset(&how, 0, sizeof how);
    how.loss = NN_CROSS_ENTROPY;
    how.optimizer = i % 2 ? NN_ADAM : NN_SGD;
    how.epochs = 2;
    how.batch_size = 16;
    how.micro_batch_size = i % 5 == 1 ? 7 : 0;
    how.dropout = i % 4 == 3 ? dropout : NULL;
    how.scaling = (nn_scaling)(i % 3);
    how.seed = (uint64_t)i;
    if (!CHECK(nn_model_create(&model, data.inputs, layers, IMAGE_LAYERS, (uint64_t)i) == NN_OK))
        return 0;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    hash = add_reals(hash, nn_parameters(model), nn_parameter_count(model));
    hash = hash_model(hash, model, &data, &how);
    nn_model_free(model);
    if (verbose)
        printf("image run %2d: %08lx%08lx\n", i, (unsigned long)(hash >> 32),
               (unsigned long)(hash & 0xffffffff));
    return hash;
}
#endif

static void check_hash(uint64_t hash, uint64_t expected)
{
    printf("hash 0x%08lx%08lx\n", (unsigned long)(hash >> 32), (unsigned long)(hash & 0xffffffff));
    CHECK(hash == expected);
}

static void test_hash(void)
{
#if defined(NN_DOUBLE) && defined(NN_NO_FMA)
    const uint64_t expected = UINT64_C(0xd15d17c5e468c26d);
#elif defined(NN_DOUBLE)
    const uint64_t expected = UINT64_C(0x97a838f5a2310e16);
#elif defined(NN_NO_FMA)
    const uint64_t expected = UINT64_C(0x1285421f2ec13577);
#else
    const uint64_t expected = UINT64_C(0xe4833c2dc0368e8b);
#endif
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int i;

    for (i = 0; i < RUNS; i++) hash = add(hash, hash_run(make_run(i), i));
    check_hash(hash, expected);
}

static void test_smooth_hash(void)
{
#if defined(NN_DOUBLE) && defined(NN_NO_FMA)
    const uint64_t expected = UINT64_C(0x51fe5485d7fc4566);
#elif defined(NN_DOUBLE)
    const uint64_t expected = UINT64_C(0x660e592b67d3e6e5);
#elif defined(NN_NO_FMA)
    const uint64_t expected = UINT64_C(0xbb302c20c80f34ea);
#else
    const uint64_t expected = UINT64_C(0xef68cf5e38e02035);
#endif
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int i;

    for (i = 0; i < SMOOTH_RUNS; i++) hash = add(hash, hash_run(make_smooth_run(i), i + 100));
    check_hash(hash, expected);
}

static void test_image_hash(void)
{
#ifdef NN_NO_CONVOLUTION
    test_skip("test_image_hash, which needs convolutions");
#else
#if defined(NN_DOUBLE) && defined(NN_NO_FMA)
    const uint64_t expected = UINT64_C(0x5f01445f143aef99);
#elif defined(NN_DOUBLE)
    const uint64_t expected = UINT64_C(0xc4098d3dd5ca6cb1);
#elif defined(NN_NO_FMA)
    const uint64_t expected = UINT64_C(0x74d2ef32e2986262);
#else
    const uint64_t expected = UINT64_C(0x44a09272deb2826a);
#endif
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int i;

    for (i = 0; i < IMAGE_RUNS; i++) hash = add(hash, hash_image_run(i));
    check_hash(hash, expected);
#endif
}

int main(int argc, char **argv)
{
    verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    RUN(test_hash);
    RUN(test_smooth_hash);
    RUN(test_image_hash);
    return test_done();
}
