/* Faults that other small C libraries have or had, each with a test that would have caught it. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>

/* The program's own allocator, counted: overriding it must compile, and no step may call it. */
static long allocations, frees;

static void *counted_malloc(size_t size)
{
    allocations++;
    return malloc(size);
}

static void counted_free(void *memory)
{
    if (memory) frees++;
    free(memory);
}

#define NN_MALLOC(size) counted_malloc(size)
#define NN_FREE(memory) counted_free(memory)
#include "../test.h"

#define NN_IMPLEMENTATION
#include "../../nn.h"

#if !defined(_WIN32)
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

/* ---- Small nets with known parameters -------------------------------------------------------- */

static nn_options options(nn_loss loss, nn_optimizer optimizer, double learning_rate)
{
    nn_options how;
    memset(&how, 0, sizeof how);
    how.loss = loss;
    how.optimizer = optimizer;
    how.learning_rate = (nn_real)learning_rate;
    return how;
}

static nn_data table(const nn_real *x, const nn_real *y, int rows, int inputs, int outputs)
{
    nn_data data;
    memset(&data, 0, sizeof data);
    data.rows = rows;
    data.inputs = inputs;
    data.outputs = outputs;
    data.x = x;
    data.y = y;
    return data;
}

static nn_model *make(int inputs, const nn_layer *layers, int count)
{
    nn_model *model = NULL;
    if (!CHECK(nn_model_create(&model, inputs, layers, count, 1) == NN_OK)) exit(1);
    return model;
}

/* One layer of one input and one output: activation(w x + b). */
static nn_model *unit(nn_activation activation, double w, double b)
{
    nn_layer layer;
    nn_model *model;
    layer.kind = NN_LAYER_DENSE;
    layer.width = 1;
    layer.activation = activation;
    model = make(1, &layer, 1);
    nn_parameters(model)[0] = (nn_real)w;
    nn_parameters(model)[1] = (nn_real)b;
    return model;
}

static nn_model *identity(int width, nn_activation activation)
{
    nn_layer layer;
    nn_model *model;
    int i;
    layer.kind = NN_LAYER_DENSE;
    layer.width = width;
    layer.activation = activation;
    model = make(width, &layer, 1);
    for (i = 0; i < width * width; i++) nn_parameters(model)[i] = (nn_real)(i % (width + 1) == 0);
    return model;
}

static nn_trainer *trainer_of(nn_model *model, const nn_options *how)
{
    nn_trainer *trainer = NULL;
    if (!CHECK(nn_trainer_create(&trainer, model, how) == NN_OK)) exit(1);
    return trainer;
}

/* Loss and gradients of one row; up to 16 parameters. */
static double loss_of_row(nn_model *model, nn_loss loss, const nn_real *x, const nn_real *y,
                          nn_real *gradients)
{
    nn_options how = options(loss, NN_SGD, 0.1);
    nn_trainer *trainer = trainer_of(model, &how);
    nn_shape shape;
    nn_data row;
    nn_real value = NAN;
    CHECK(nn_get_shape(model, &shape) == NN_OK);
    row = table(x, y, 1, shape.inputs, shape.layers[shape.count - 1].width);
    CHECK(nn_accumulate(trainer, &row, &value) == NN_OK);
    memcpy(gradients, nn_gradients(trainer), nn_parameter_count(model) * sizeof(nn_real));
    nn_trainer_free(trainer);
    return value;
}

/* A net that passes through every kind of work: train, measure, split, save, load. */
static void workout(void)
{
    static const nn_layer layers[2] = {NN_DENSE(5, NN_RELU), NN_DENSE(1, NN_SIGMOID)};
    nn_real x[40] = {0}, y[20] = {0};
    nn_data data = table(x, y, 20, 2, 1), train, test;
    nn_options how = options(NN_BINARY_CROSS_ENTROPY, NN_ADAM, 0.01);
    nn_model *model = make(2, layers, 2), *copy = NULL, *none = model;
    nn_metrics m;
    int i;
    for (i = 0; i < 40; i++) x[i] = (nn_real)(i * 7 % 13) / 13;
    for (i = 0; i < 20; i++) y[i] = (nn_real)(x[2 * i] > x[2 * i + 1]);
    data.classes = 2;
    how.epochs = 3;
    how.validation_fraction = (nn_real)0.2;
    how.scaling = NN_SCALE_STANDARD;
    CHECK(nn_split(&data, 0.8f, 1, &train, &test) == NN_OK);
    CHECK(nn_fit(model, &train, &how) == NN_OK);
    CHECK(nn_evaluate(model, &test, &how, &m) == NN_OK);
    CHECK(nn_save(model, "build/test_peers.safetensors") == NN_OK);
    CHECK(nn_load(&copy, "build/test_peers.safetensors", NULL) == NN_OK);
    CHECK(nn_load(&none, "build/no such file", NULL) == NN_ERROR_OPEN && none == NULL);
    remove("build/test_peers.safetensors");
    nn_model_free(copy);
    nn_data_free(&train);
    nn_data_free(&test);
    nn_model_free(model);
}

/* ---- FANN ------------------------------------------------------------------------------------ */

/* Its ReLU derivative tests the output, so that dead units get the full gradient. Here one unit is
   dead, one lives, one stands at 0 exactly, where PyTorch's derivative is 0 too. */
static void test_dead_relu_gets_no_gradient(void)
{
    static const nn_layer layers[2] = {NN_DENSE(3, NN_RELU), NN_DENSE(1, NN_LINEAR)};
    static const nn_real theta[10] = {-1, 2, 1, 0, 0, -1, 1, 1, 1, 0};
    static const nn_real x = 1, dy = 1;
    nn_model *model = make(1, layers, 2);
    nn_options how = options(NN_MSE, NN_SGD, 0.1);
    nn_trainer *trainer = trainer_of(model, &how);
    const nn_real *y = NULL, *g;
    nn_real dx = 99;
    memcpy(nn_parameters(model), theta, sizeof theta);
    CHECK(nn_forward(trainer, &x, 1, &y) == NN_OK && y[0] == 2);
    CHECK(nn_backward(trainer, &dy, &dx) == NN_OK);
    g = nn_gradients(trainer);
    CHECK(g[0] == 0 && g[3] == 0); /* dead: z = -1 */
    CHECK(g[1] == 1 && g[4] == 1); /* alive: z = 2 */
    CHECK(g[2] == 0 && g[5] == 0); /* z = 0 */
    CHECK(g[6] == 0 && g[7] == 2 && g[8] == 0 && g[9] == 1);
    CHECK(dx == 2); /* through the living unit alone */
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* It calls srand() when it creates a net. */
static void test_host_rand_is_left_alone(void)
{
    int expected[30], i;
    srand(7);
    for (i = 0; i < 30; i++) expected[i] = rand();
    srand(7);
    for (i = 0; i < 30; i++) {
        CHECK(rand() == expected[i]);
        if (i % 10 == 0) workout();
    }
}

/* Overwrites, in a saved model, the number that follows `key` in the header. */
static void forge(char *file, size_t size, const char *key, const char *number)
{
    size_t i, length = strlen(key);
    for (i = 8; i + length + strlen(number) < size; i++) {
        if (memcmp(file + i, key, length) != 0) continue;
        memcpy(file + i + length, number, strlen(number));
        return;
    }
    CHECK(key == NULL); /* not found */
}

/* Indexes and sizes from files are taken at their word: wild reads in FANN, a heap overflow in
   KANN. Widths below have two digits, so that forged numbers keep the header's length. */
static void test_sizes_from_files_are_checked(void)
{
    static const nn_layer layers[2] = {NN_DENSE(12, NN_RELU), NN_DENSE(11, NN_SOFTMAX)};
    static const char *const keys[3] = {"\"shape\":[", "\"shape\":[", "\"data_offsets\":["};
    static const char *const numbers[3] = {"99", "-1", "9"};
    nn_model *model = make(10, layers, 2), *loaded;
    char file[8192], copy[8192];
    size_t size = 0;
    int i;
    CHECK(nn_save_memory(model, file, sizeof file, &size) == NN_OK);
    loaded = model;
    for (i = 0; i < 3; i++) {
        memcpy(copy, file, size);
        forge(copy, size, keys[i], numbers[i]);
        CHECK(nn_load_memory(&loaded, copy, size, NULL) != NN_OK && loaded == NULL);
    }
    for (i = 0; i < 8; i++) { /* the header's length, made huge byte by byte */
        memcpy(copy, file, size);
        copy[i] = (char)0xFF;
        CHECK(nn_load_memory(&loaded, copy, size, NULL) != NN_OK && loaded == NULL);
    }
    CHECK(nn_load_memory(&loaded, file, size, NULL) == NN_OK);
    nn_model_free(loaded);
    nn_model_free(model);
}

/* ---- KANN ------------------------------------------------------------------------------------ */

/* Step by one update of gradient (30, -40) times scale at rate 1: the clipped gradient itself. */
static void clipped(double scale, double clip, double *w, double *b)
{
    static const nn_real x = -0.75f;
    nn_options how = options(NN_MSE, NN_SGD, 1);
    nn_model *model = unit(NN_LINEAR, 0, 0);
    nn_trainer *trainer;
    const nn_real *y;
    nn_real dy = (nn_real)(-40 * scale); /* db = dy, dw = x dy = 30 scale */
    how.clip_norm = (nn_real)clip;
    trainer = trainer_of(model, &how);
    CHECK(nn_forward(trainer, &x, 1, &y) == NN_OK);
    CHECK(nn_backward(trainer, &dy, NULL) == NN_OK && nn_update(trainer) == NN_OK);
    *w = -(double)nn_parameters(model)[0];
    *b = -(double)nn_parameters(model)[1];
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* It turns norm 50 into norm 1 when asked to clip at 5. */
static void test_clipping(void)
{
    double w = NAN, b = NAN;
    clipped(1, 5, &w, &b);
    CHECK_NEAR(sqrt(w * w + b * b), 5, 1e-6, 0);
    CHECK_NEAR(w, 3, 1e-6, 0);
    CHECK_NEAR(b, -4, 1e-6, 0);
    clipped(0.0625, 5, &w, &b); /* norm 3.125 is below: not touched, not stretched */
    CHECK(w == 1.875 && b == -2.5);
    clipped(1, 0, &w, &b);
    CHECK(w == 30 && b == -40);
}

/* Its cross-entropy is not fused with the sigmoid: no gradient where the net is most wrong. */
static void test_binary_cross_entropy_from_logits(void)
{
    static const struct {
        double logit, target, loss, slope;
    } cases[] = {{20, 0, 20, 1},     {-20, 1, 20, -1},        {20, 1, 2.0611536e-9, -2.0611536e-9},
                 {1e4, 0, 1e4, 1},   {-1e4, 1, 1e4, -1},      {1e4, 1, 0, 0},
                 {-1e4, 0, 0, 0},    {0, 0, 0.69314718, 0.5}, {0, 0.5, 0.69314718, 0},
                 {3e38, 0, 3e38, 1}, {-3e38, 1, 3e38, -1},    {-20, 0, 2.0611536e-9, 2.0611536e-9}};
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        nn_model *model = unit(NN_SIGMOID, 0, cases[i].logit);
        nn_real x = 0, y = (nn_real)cases[i].target, g[2] = {NAN, NAN};
        double loss = loss_of_row(model, NN_BINARY_CROSS_ENTROPY, &x, &y, g);
        CHECK_NEAR(loss, cases[i].loss, 1e-6, 1e-12);
        /* sigmoid(20) - 1 cancels in float: one ulp of 1, 6e-8, is what is left to ask for */
        CHECK_NEAR(g[1], cases[i].slope, 1e-6, 0.1);
        CHECK(g[0] == 0);
        nn_model_free(model);
    }
}

/* Its SIMD lanes and its scalar tail differ by 1.7e-4. A row's results must not depend on the rows
   around it, nor a column's on the lane it falls in: every width from 1 to 40. */
static void test_rows_do_not_depend_on_the_batch(void)
{
    enum { ROWS = 37 };
    nn_real x[ROWS * 40], all[ROWS * 40], one[40];
    int width, i, row;
    for (i = 0; i < ROWS * 40; i++) x[i] = (nn_real)((i * 37 % 101) / 50.0 - 1);
    for (width = 1; width <= 40; width++) {
        nn_layer layers[3];
        nn_model *model;
        size_t bytes = (size_t)width * sizeof(nn_real);
        for (i = 0; i < 3; i++) layers[i].kind = NN_LAYER_DENSE, layers[i].width = width;
        layers[0].activation = NN_TANH;
        layers[1].activation = NN_SIGMOID;
        layers[2].activation = NN_SOFTMAX;
        model = make(width, layers, 3);
        memset(all, 0xFF, sizeof all);
        CHECK(nn_predict(model, x, ROWS, all, NULL) == NN_OK);
        for (row = 0; row < ROWS; row++) {
            memset(one, 0xFF, sizeof one);
            CHECK(nn_predict(model, x + row * width, 1, one, NULL) == NN_OK);
            CHECK(memcmp(one, all + row * width, bytes) == 0);
        }
        nn_model_free(model);
    }
}

/* All columns have the same weights: every lane and the tail must give the same bits, forward and
   in the gradients. */
static void test_columns_do_not_depend_on_the_lane(void)
{
    static const nn_activation activations[5] = {NN_LINEAR, NN_RELU, NN_SIGMOID, NN_TANH,
                                                 NN_LEAKY_RELU};
    enum { INPUTS = 9 };
    nn_real x[INPUTS], dy[40];
    int i, width;
    for (i = 0; i < INPUTS; i++) x[i] = (nn_real)(0.37 * i - 1.3);
    for (i = 0; i < 40; i++) dy[i] = (nn_real)0.7;
    for (width = 1; width <= 40; width++) {
        nn_options how = options(NN_MSE, NN_SGD, 1);
        nn_layer layer;
        nn_model *model;
        nn_trainer *trainer;
        const nn_real *y = NULL, *g;
        layer.kind = NN_LAYER_DENSE;
        layer.width = width;
        layer.activation = activations[width % 5];
        model = make(INPUTS, &layer, 1);
        for (i = 0; i < (INPUTS + 1) * width; i++)
            nn_parameters(model)[i] = (nn_real)(i / width * 0.11 - 0.4);
        trainer = trainer_of(model, &how);
        CHECK(nn_forward(trainer, x, 1, &y) == NN_OK);
        for (i = 0; i < width; i++) CHECK(memcmp(y + i, y, sizeof *y) == 0);
        CHECK(nn_backward(trainer, dy, NULL) == NN_OK);
        g = nn_gradients(trainer);
        for (i = 0; i < (INPUTS + 1) * width; i++)
            CHECK(memcmp(g + i, g + i / width * width, sizeof *g) == 0);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
}

/* ---- tiny-dnn -------------------------------------------------------------------------------- */

/* Its Adam counts one step for each tensor. While the gradient keeps its value every step is of
   the size of the learning rate in every tensor: m / (1 - b1^t) = g, sqrt(v / (1 - b2^t)) = |g|. */
static void test_adam_counts_steps(void)
{
    static const nn_layer layers[3] = {NN_DENSE(3, NN_TANH), NN_DENSE(2, NN_TANH),
                                       NN_DENSE(1, NN_LINEAR)};
    nn_options how = options(NN_MSE, NN_ADAM, 0.01);
    nn_model *model = make(2, layers, 3);
    nn_trainer *trainer = trainer_of(model, &how);
    static const nn_real x[2] = {1, 2}, y[1] = {3};
    nn_data row = table(x, y, 1, 2, 1);
    nn_real before[32];
    size_t i, count = nn_parameter_count(model);
    int step;
    for (step = 0; step < 5; step++) {
        CHECK(nn_accumulate(trainer, &row, NULL) == NN_OK);
        for (i = 0; i < count; i++) nn_gradients(trainer)[i] = (nn_real)(i % 2 ? 0.5 : -2);
        memcpy(before, nn_parameters(model), count * sizeof *before);
        CHECK(nn_update(trainer) == NN_OK);
        for (i = 0; i < count; i++)
            CHECK_NEAR(nn_parameters(model)[i] - before[i], i % 2 ? -0.01 : 0.01, 2e-5, 0);
    }
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* A perfect prediction gives it NaN: log(0), or 0 log(0). */
static void test_perfect_prediction(void)
{
    static const nn_real logits[3] = {200, 0, -200}, first[3] = {1, 0, 0}, last[3] = {0, 0, 1};
    static const nn_real one = 1, zero = 0;
    nn_model *model = unit(NN_SIGMOID, 0, 200);
    nn_real g[16];
    CHECK_NEAR(loss_of_row(model, NN_BINARY_CROSS_ENTROPY, &zero, &one, g), 0, 1e-30, 1);
    CHECK(g[0] == 0 && fabs((double)g[1]) < 1e-30);
    CHECK(loss_of_row(model, NN_MSE, &zero, &one, g) == 0);
    CHECK(g[0] == 0 && g[1] == 0);
    nn_model_free(model);
    model = identity(3, NN_SOFTMAX);
    CHECK_NEAR(loss_of_row(model, NN_CROSS_ENTROPY, logits, first, g), 0, 1e-30, 1);
    CHECK_NEAR(loss_of_row(model, NN_CROSS_ENTROPY, logits, last, g), 400, 1e-6, 0);
    CHECK(g[9] == 1 && g[11] == -1);
    nn_model_free(model);
}

/* ---- AIfES, Cranium, tsoding ----------------------------------------------------------------- */

/* tanh(100) is NaN there. */
static void test_large_arguments(void)
{
    static const nn_real x[8] = {100, -100, 1e4f, -1e4f, 3e38f, -3e38f, 88.8f, -104};
    nn_real y[8];
    nn_model *model = unit(NN_TANH, 1, 0);
    int i;
    memset(y, 0xFF, sizeof y);
    CHECK(nn_predict(model, x, 8, y, NULL) == NN_OK);
    for (i = 0; i < 8; i++) CHECK(y[i] == (x[i] > 0 ? 1 : -1));
    nn_model_free(model);
    model = unit(NN_SIGMOID, 1, 0);
    memset(y, 0xFF, sizeof y);
    CHECK(nn_predict(model, x, 8, y, NULL) == NN_OK);
    for (i = 0; i < 8; i++) CHECK_NEAR(y[i], x[i] > 0 ? 1 : exp((double)x[i]), 1e-6, 1e-37);
    nn_model_free(model);
}

/* Softmax is 4.4 % off in AIfES, NaN for (100, 0) in Cranium. */
static void test_softmax(void)
{
    static const nn_real x[7][3] = {{1, 2, 3},      {-0.5f, 0.25f, 0.125f}, {100, 0, 0},
                                    {-80, 0, 5},    {1e4f, -1e4f, 0},       {-3e38f, 3e38f, 0},
                                    {500, 501, 502}};
    nn_real y[7][3];
    nn_model *model = identity(3, NN_SOFTMAX);
    int i, k;
    memset(y, 0xFF, sizeof y);
    CHECK(nn_predict(model, x[0], 7, y[0], NULL) == NN_OK);
    for (i = 0; i < 7; i++) {
        double largest = -INFINITY, sum = 0;
        for (k = 0; k < 3; k++) largest = fmax(largest, (double)x[i][k]);
        for (k = 0; k < 3; k++) sum += exp((double)x[i][k] - largest);
        for (k = 0; k < 3; k++)
            CHECK_NEAR(y[i][k], exp((double)x[i][k] - largest) / sum, 1e-6, 1e-37);
    }
    nn_model_free(model);
}

/* Trains one epoch, batches of 2, on rows of which only row 0 has an effect on w; gives w. */
static double train_on_row(int rows, uint64_t seed)
{
    static const nn_real x[5] = {1, 0, 0, 0, 0}, y[5] = {1, 0, 0, 0, 0};
    nn_options how = options(NN_MSE, NN_SGD, 0.125);
    nn_model *model = unit(NN_LINEAR, 0, 0);
    nn_data data = table(x, y, rows, 1, 1);
    double w;
    how.epochs = 1;
    how.batch_size = 2;
    how.seed = seed;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    w = (double)nn_parameters(model)[0];
    nn_model_free(model);
    return w;
}

/* AIfES drops the last partial batch; Cranium divides by all rows, not the batch's. The row's
   gradient is -2: in a full batch of 2 it moves w by 0.125, alone in the last batch by 0.25. With 3
   rows and 5 rows it must land in both, by the seed. */
static void test_last_partial_batch(void)
{
    int rows, seed;
    for (rows = 3; rows <= 5; rows++) {
        int alone = 0, together = 0;
        for (seed = 1; seed <= 40; seed++) {
            double w = train_on_row(rows, (uint64_t)seed);
            alone += w == 0.25;
            together += w == 0.125;
        }
        CHECK(alone + together == 40);
        CHECK(together > 0 && (alone > 0) == (rows % 2 == 1));
    }
}

/* Cranium's MSE omits the activation's derivative: dL/dz = 2 (p - t) p'. */
static void test_mse_through_the_activation(void)
{
    static const nn_real x = 0.5f, t = 0;
    nn_real g[2] = {NAN, NAN};
    nn_model *model = unit(NN_SIGMOID, 2, -0.5);
    double p = 1 / (1 + exp(-0.5));
    CHECK_NEAR(loss_of_row(model, NN_MSE, &x, &t, g), p * p, 1e-6, 0);
    CHECK_NEAR(g[0], 2 * p * p * (1 - p) * 0.5, 1e-6, 0);
    CHECK_NEAR(g[1], 2 * p * p * (1 - p), 1e-6, 0);
    nn_model_free(model);
    model = unit(NN_TANH, 2, -0.5);
    p = tanh(0.5);
    loss_of_row(model, NN_MSE, &x, &t, g);
    CHECK_NEAR(g[1], 2 * p * (1 - p * p), 1e-6, 0);
    nn_model_free(model);
}

/* Its L2 term is not scaled by the learning rate. A row without gradient leaves the decay alone:
   w (1 - 0.01 * 0.5), for SGD's L2 and for Adam's decoupled decay. */
static void test_weight_decay_is_scaled(void)
{
    static const nn_real zero = 0;
    int i;
    for (i = 0; i < 2; i++) {
        nn_options how = options(NN_MSE, i ? NN_ADAM : NN_SGD, 0.01);
        nn_model *model = unit(NN_LINEAR, 2, 0);
        nn_trainer *trainer;
        how.weight_decay = (nn_real)0.5;
        trainer = trainer_of(model, &how);
        CHECK(nn_train_batch(trainer, &zero, &zero, 1, NULL) == NN_OK);
        CHECK_NEAR(nn_parameters(model)[0], 2 * (1 - 0.005), 1e-7, 0);
        CHECK(nn_parameters(model)[1] == 0);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
}

/* 14 allocations in one forward pass. Here none in a step, and as many frees as allocations. */
static void test_no_allocation_per_step(void)
{
    static const nn_layer layers[2] = {NN_DENSE(8, NN_RELU), NN_DENSE(2, NN_LINEAR)};
    nn_options how = options(NN_MSE, NN_ADAM, 0.01);
    nn_real x[64], y[64];
    nn_model *model;
    nn_trainer *trainer;
    long before;
    int i;
    allocations = frees = 0;
    for (i = 0; i < 64; i++) x[i] = y[i] = (nn_real)(i % 7);
    model = make(2, layers, 2);
    trainer = trainer_of(model, &how);
    before = allocations;
    CHECK(before > 0);
    for (i = 1; i <= 32; i++) {
        CHECK(nn_train_batch(trainer, x, y, i, NULL) == NN_OK);
        CHECK(nn_predict(model, x, i, y, NULL) == NN_OK);
    }
    CHECK(allocations == before && frees == 0);
    nn_trainer_free(trainer);
    nn_model_free(model);
    workout();
    CHECK(allocations == frees && allocations > before);
}

/* ---- tinn, genann ---------------------------------------------------------------------------- */

/* tinn never trains its biases: y = 3 whatever x needs nothing else. */
static void test_biases_are_trained(void)
{
    static const nn_layer layers[2] = {NN_DENSE(2, NN_TANH), NN_DENSE(1, NN_LINEAR)};
    static const nn_real x[2] = {0, 0}, y[2] = {3, 3};
    nn_options how = options(NN_MSE, NN_SGD, 0.1);
    nn_data data = table(x, y, 2, 1, 1);
    nn_model *model = make(1, layers, 2);
    nn_real out = NAN;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(nn_predict(model, x, 1, &out, NULL) == NN_OK);
    CHECK_NEAR(out, 3, 1e-3, 0);
    CHECK(nn_parameters(model)[2] != 0 && nn_parameters(model)[3] != 0); /* hidden biases */
    nn_model_free(model);
}

/* tinn saves with %f, which makes 1e-7 a 0; here every bit survives, also of denormals and -0. */
static void test_small_weights_survive_saving(void)
{
    static const nn_real values[6] = {1e-7f, -1e-7f, 1.17549435e-38f, 1e-42f, -0.0f, 0.1f};
    static const nn_layer layer = NN_DENSE(2, NN_LINEAR);
    nn_model *model = make(2, &layer, 1), *copy = NULL;
    memcpy(nn_parameters(model), values, sizeof values);
    CHECK(nn_save(model, "build/test_peers_small.safetensors") == NN_OK);
    CHECK(nn_load(&copy, "build/test_peers_small.safetensors", NULL) == NN_OK);
    if (copy) CHECK(memcmp(nn_parameters(copy), values, sizeof values) == 0);
    remove("build/test_peers_small.safetensors");
    nn_model_free(copy);
    nn_model_free(model);
}

/* genann's files lose the activations. */
static void test_saving_keeps_activations(void)
{
    static const nn_layer layers[6] = {NN_DENSE(3, NN_LINEAR),     NN_DENSE(4, NN_RELU),
                                       NN_DENSE(5, NN_LEAKY_RELU), NN_DENSE(2, NN_SIGMOID),
                                       NN_DENSE(3, NN_TANH),       NN_DENSE(2, NN_SOFTMAX)};
    nn_model *model = make(2, layers, 6), *copy = NULL;
    nn_real x[2] = {0.5f, -2}, a[2] = {1, 2}, b[2] = {3, 4};
    char file[8192];
    size_t size = 0;
    nn_shape shape;
    int i;
    CHECK(nn_save_memory(model, file, sizeof file, &size) == NN_OK);
    CHECK(nn_load_memory(&copy, file, size, NULL) == NN_OK);
    CHECK(nn_get_shape(copy, &shape) == NN_OK && shape.inputs == 2 && shape.count == 6);
    for (i = 0; i < 6; i++) {
        CHECK(shape.layers[i].width == layers[i].width);
        CHECK(shape.layers[i].activation == layers[i].activation);
    }
    CHECK(nn_predict(model, x, 1, a, NULL) == NN_OK && nn_predict(copy, x, 1, b, NULL) == NN_OK);
    CHECK(memcmp(a, b, sizeof a) == 0);
    nn_model_free(copy);
    nn_model_free(model);
}

/* genann's const run function writes to the net. Not a byte of ours changes when the scratch is the
   caller's; nor does a byte before or after the block. */
static void test_predict_does_not_write(void)
{
    static const nn_layer layers[2] = {NN_DENSE(9, NN_RELU), NN_DENSE(3, NN_SOFTMAX)};
    static const nn_real x[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    nn_real y[15] = {0};
    nn_data data = table(x, y, 5, 2, 3);
    nn_shape shape;
    nn_model *model = NULL;
    unsigned char *block, *before, *scratch;
    size_t size;
    shape.inputs = 2;
    shape.layers = layers;
    shape.count = 2;
    size = nn_model_size(&shape);
    block = (unsigned char *)malloc(size + 64);
    before = (unsigned char *)malloc(size + 64);
    memset(block, 0xA5, size + 64);
    CHECK(size > 0 && nn_model_create_in(&model, block, size, &shape, 1) == NN_OK);
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
    scratch = (unsigned char *)malloc(nn_scratch_size(model, 5));
    memcpy(before, block, size + 64);
    CHECK(nn_predict(model, x, 5, y, scratch) == NN_OK);
    CHECK(memcmp(before, block, size + 64) == 0);
    CHECK(block[size] == 0xA5 && block[size + 63] == 0xA5);
    CHECK(y[0] != 0 && y[14] != 0);
    free(scratch);
    free(before);
    free(block);
}

/* ---- llm.c, darknet -------------------------------------------------------------------------- */

#if !defined(_WIN32)

/* Library code that prints. Standard output and error go to a file while the library works. */
static void test_nothing_is_printed(void)
{
    struct stat info;
    int out, err, file;
    fflush(stdout);
    fflush(stderr);
    out = dup(1);
    err = dup(2);
    file = open("build/test_peers.out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!CHECK(out >= 0 && err >= 0 && file >= 0)) return;
    dup2(file, 1);
    dup2(file, 2);
    workout();
    fflush(stdout);
    fflush(stderr);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    memset(&info, 0xFF, sizeof info);
    CHECK(fstat(file, &info) == 0 && info.st_size == 0);
    close(file);
    remove("build/test_peers.out");
}

#endif

int main(void)
{
    RUN(test_dead_relu_gets_no_gradient);
    RUN(test_host_rand_is_left_alone);
    RUN(test_sizes_from_files_are_checked);
    RUN(test_clipping);
    RUN(test_binary_cross_entropy_from_logits);
    RUN(test_rows_do_not_depend_on_the_batch);
    RUN(test_columns_do_not_depend_on_the_lane);
    RUN(test_adam_counts_steps);
    RUN(test_perfect_prediction);
    RUN(test_large_arguments);
    RUN(test_softmax);
    RUN(test_last_partial_batch);
    RUN(test_mse_through_the_activation);
    RUN(test_weight_decay_is_scaled);
    RUN(test_no_allocation_per_step);
    RUN(test_biases_are_trained);
    RUN(test_small_weights_survive_saving);
    RUN(test_saving_keeps_activations);
    RUN(test_predict_does_not_write);
#if !defined(_WIN32)
    RUN(test_nothing_is_printed);
#endif
    return test_done("test_peers");
}
