/* NN_USE_OPENBLAS with every product sent to OpenBLAS: the scalar kernels' values within rounding,
   wherever a product starts, adds up and is transposed; and with no product that is large enough for
   it: the same bits. Without OpenBLAS it tests our own. */
static double least_work;
#define NN_OPENBLAS_WORK least_work
#define NN_IMPLEMENTATION
#include "../fixtures.h"

enum { ROWS = 70, INPUTS = 90, WIDTH = 50 };

static nn_real x[ROWS * INPUTS], y[ROWS * 3];

static int micro_batch; /* rows; 0: all of a batch at once */

/* Trains a little; returns the predictions' sum of squares, and the parameters in *theta. */
static double train(const char *backend, nn_real *theta, size_t capacity)
{
    static const nn_layer layers[3] = {NN_DENSE(WIDTH, NN_TANH), NN_DENSE(WIDTH + 7, NN_RELU),
                                       NN_DENSE(3, NN_SOFTMAX)};
    static nn_real p[ROWS * 3];
    nn_options how;
    nn_trainer *trainer = NULL;
    nn_model *model = NULL;
    double sum = 0;
    int i;

    how = make_options(NN_CROSS_ENTROPY, NN_SGD, 0);
    how.batch_size = ROWS;
    how.micro_batch_size = micro_batch;
    how.learning_rate = (nn_real)0.1;
    if (!CHECK(nn_model_create(&model, INPUTS, layers, 3, 5) == NN_OK)) return 0;
#ifdef NN__SIMD
    if (backend) model->kernels = nn__find_kernels(backend);
#else
    (void)backend;
#endif
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK);
    for (i = 0; i < 5; i++) CHECK(nn_train_batch(trainer, x, y, ROWS, NULL) == NN_OK);
    CHECK(nn_predict(model, x, ROWS, p, NULL) == NN_OK);
    for (i = 0; i < ROWS * 3; i++) sum += (double)p[i] * p[i];
    CHECK(nn_parameter_count(model) <= capacity);
    memcpy(theta, nn_parameters(model), nn_parameter_count(model) * sizeof *theta);
    nn_trainer_free(trainer);
    nn_model_free(model);
    return sum;
}

static void test_values(void)
{
    enum { COUNT = 91 * WIDTH + 51 * 57 + 58 * 3 };
    static nn_real scalar[COUNT], other[COUNT];
    uint64_t state = nn__random_start(3);
    double sum;
    int i, k;

    for (i = 0; i < ROWS * INPUTS; i++) x[i] = 2 * nn__uniform(&state) - 1;
    for (i = 0; i < ROWS; i++) y[i * 3 + i % 3] = 1;
    sum = train("scalar", scalar, COUNT);
    CHECK(sum > 0);
    CHECK_NEAR(train(NULL, other, COUNT), sum, 1e-5, 1);
    for (i = k = 0; i < COUNT; i++) {
        CHECK_NEAR(other[i], scalar[i], 1e-4, 0.01);
        k += other[i] - scalar[i] != 0;
    }
#ifdef NN_USE_OPENBLAS
    printf("%d of %d parameters differ in their last bits\n", k, COUNT);
#else
    CHECK(k == 0);
#endif
}

/* Gradients that are added up: a product starts from where it ends. */
static void test_micro_batches(void)
{
    enum { COUNT = 91 * WIDTH + 51 * 57 + 58 * 3 };
    static nn_real scalar[COUNT], other[COUNT];
    double sum;
    int i;

    micro_batch = 30;
    sum = train("scalar", scalar, COUNT);
    CHECK_NEAR(train(NULL, other, COUNT), sum, 1e-5, 1);
    for (i = 0; i < COUNT; i++) CHECK_NEAR(other[i], scalar[i], 1e-4, 0.01);
    least_work = 1e30;
    CHECK(train(NULL, other, COUNT) == sum);
    CHECK(!memcmp(other, scalar, sizeof scalar));
    least_work = 0;
    micro_batch = 0;
}

static void test_name(void)
{
    static const nn_layer layer = NN_DENSE(1, NN_LINEAR);
    nn_model *model = NULL;

    if (!CHECK(nn_model_create(&model, 1, &layer, 1, 1) == NN_OK)) return;
#if defined(NN_USE_OPENBLAS) && defined(NN__SIMD)
    CHECK(strcmp(nn_backend(model), "scalar") == 0 || strstr(nn_backend(model), "+openblas"));
#else
    CHECK(!strchr(nn_backend(model), '+'));
#endif
    CHECK(nn_backend(NULL) == NULL);
    nn_model_free(model);
}

int main(void)
{
    RUN(test_values);
    RUN(test_micro_batches);
    RUN(test_name);
    return test_done();
}
