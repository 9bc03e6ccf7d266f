/* Models: shapes, initial parameters, nn_predict, and what the library may not do to its host
   program: print, use rand(), write to a model that it predicts with. */
#define _POSIX_C_SOURCE 200809L
#include "refused.h"

#if !defined(_WIN32)
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

/* ---- Status ---------------------------------------------------------------------------------- */

static void test_status_text(void)
{
    static const int outside[] = {-1, NN_STATUS_COUNT, NN_STATUS_COUNT + 1, 1000, INT_MAX, INT_MIN};
    int a, b;
    size_t i;
    for (a = 0; a < NN_STATUS_COUNT; a++) {
        const char *text = nn_status_text((nn_status)a);
        CHECK(text && strlen(text) > 1 && strcmp(text, "unknown status"));
        for (b = 0; b < a; b++) CHECK(strcmp(text, nn_status_text((nn_status)b)) != 0);
    }
    for (i = 0; i < sizeof outside / sizeof *outside; i++) {
        const char *text = nn_status_text((nn_status)outside[i]);
        CHECK(text && !strcmp(text, "unknown status"));
    }
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

/* Both ways to make a model, and its size. */
static void bad_shape(int inputs, const nn_layer *layers, int count, nn_status expected)
{
    nn_shape shape;
    nn_model *made = (nn_model *)(void *)&shape;
    uint64_t memory[512];
    shape.inputs = inputs;
    shape.layers = layers;
    shape.count = count;
    REFUSED(nn_model_create(&made, inputs, layers, count, 1), expected);
    CHECK(!made);
    made = (nn_model *)(void *)&shape;
    REFUSED(nn_model_create_in(&made, memory, sizeof memory, &shape, 1), expected);
    CHECK(!made);
    CHECK(nn_model_size(&shape) == 0);
}

static void test_shapes(void)
{
    static const nn_activation wrong[] = {NN_ACTIVATION_COUNT, (nn_activation)99,
                                          (nn_activation)-1};
    nn_layer layers[] = {NN_DENSE(3, NN_TANH), NN_DENSE(2, NN_RELU), NN_DENSE(1, NN_LINEAR)};
    static const int sizes[] = {0, -1, INT_MIN};
    nn_layer huge[] = {NN_DENSE(INT_MAX, NN_RELU), NN_DENSE(INT_MAX, NN_RELU),
                       NN_DENSE(INT_MAX, NN_RELU), NN_DENSE(INT_MAX, NN_RELU)};
    nn_model *made = (nn_model *)(void *)huge;
    nn_status status;
    size_t i, k;
    if (!begin()) return;
    for (i = 0; i < 3; i++) {
        bad_shape(sizes[i], layers, 3, NN_ERROR_SIZE);
        bad_shape(2, layers, sizes[i], NN_ERROR_SIZE);
        for (k = 0; k < 3; k++) {
            nn_layer saved = layers[k];
            layers[k].width = sizes[i];
            bad_shape(2, layers, 3, NN_ERROR_SIZE);
            layers[k] = saved;
            layers[k].activation = wrong[i];
            bad_shape(2, layers, 3, NN_ERROR_ACTIVATION);
            layers[k] = saved;
        }
    }
    layers[0].activation = NN_SOFTMAX;
    bad_shape(2, layers, 3, NN_ERROR_ACTIVATION);
    layers[0].activation = NN_TANH;
    layers[1].activation = NN_SOFTMAX;
    bad_shape(2, layers, 3, NN_ERROR_ACTIVATION);
    layers[1].width = 1; /* softmax of one output is always 1, */
    bad_shape(2, layers, 2, NN_ERROR_ACTIVATION);
    layers[1].width = 2; /* of two it is not */
    CHECK(nn_model_create(&made, 2, layers, 2, 1) == NN_OK);
    nn_model_free(made);
    bad_shape(2, NULL, 3, NN_ERROR_NULL);
    bad_shape(INT_MAX, huge, 4, NN_ERROR_OVERFLOW);
    bad_shape(INT_MAX, huge, 3, NN_ERROR_OVERFLOW);
    status =
        nn_model_create(&made, INT_MAX, huge, 1, 1); /* 2^62 weights: does not fit, or is not had */
    CHECK((status == NN_ERROR_OVERFLOW || status == NN_ERROR_MEMORY) && !made);
    end();
}

static void test_model_nulls(void)
{
    nn_layer layer = NN_DENSE(1, NN_LINEAR);
    nn_shape shape = {1, &layer, 1};
    nn_model *made = (nn_model *)(void *)&shape;
    uint64_t memory[64];
    if (!begin()) return;
    REFUSED(nn_model_create(NULL, 1, &layer, 1, 1), NN_ERROR_NULL);
    REFUSED(nn_model_create_in(NULL, memory, sizeof memory, &shape, 1), NN_ERROR_NULL);
    REFUSED(nn_model_create_in(&made, NULL, sizeof memory, &shape, 1), NN_ERROR_NULL);
    CHECK(!made);
    made = (nn_model *)(void *)&shape;
    REFUSED(nn_model_create_in(&made, memory, sizeof memory, NULL, 1), NN_ERROR_NULL);
    CHECK(!made);
    CHECK(nn_model_size(NULL) == 0);
    nn_model_free(NULL);
    nn_trainer_free(NULL);
    nn_data_free(NULL);
    REFUSED(nn_initialize(NULL, NN_INITIALIZE_DEFAULT, 1), NN_ERROR_NULL);
    memset(&shape, 0xa5, sizeof shape);
    REFUSED(nn_get_shape(NULL, &shape), NN_ERROR_NULL);
    CHECK(shape.inputs == 0 && !shape.layers && shape.count == 0);
    REFUSED(nn_get_shape(good_model, NULL), NN_ERROR_NULL);
    CHECK(nn_parameters(NULL) == NULL && nn_parameter_count(NULL) == 0);
    CHECK(nn_backend(NULL) == NULL && strlen(nn_backend(good_model)) > 3);
    end();
}

/* ---- Layers and initial parameters ----------------------------------------------------------- */

/* A kind that does not exist, as of an nn_layer that was not zeroed. */
static void test_layer_kinds(void)
{
    nn_layer layers[] = {NN_DENSE(3, NN_TANH), NN_DENSE(2, NN_RELU), NN_DENSE(1, NN_LINEAR)};
    static const int wrong[] = {-1, 1000, INT_MAX, INT_MIN};
    int i, k;
    if (!begin()) return;
    for (i = 0; i < COUNT_OF(wrong); i++) {
        for (k = 0; k < 3; k++) {
            layers[k].kind = (nn_layer_kind)wrong[i];
            bad_shape(2, layers, 3, NN_ERROR_LAYER);
            layers[k].kind = NN_LAYER_DENSE;
        }
    }
    end();
}

/* The weights of a layer [in x out] lie in [-bound, bound) and fill it evenly; the biases lie there
   too and are not all the same, or are 0. Of n weights the mean lies within five standard
   deviations of 0, bound / sqrt(3 n) each, and the mean square within five of bound^2 / 3, bound^2
   sqrt(4 / 45 n) each. */
static void check_uniform(const nn_real *w, int in, int out, double bound, int biased)
{
    const int n = in * out;
    double sum = 0, squares = 0, largest = 0;
    int i;
    for (i = 0; i < n; i++) {
        sum += (double)w[i];
        squares += (double)w[i] * (double)w[i];
        if (fabs((double)w[i]) > largest) largest = fabs((double)w[i]);
    }
    CHECK(largest <= bound * (1 + 1e-6) && largest > 0.99 * bound);
    CHECK(fabs(sum / n) < 5 * bound / sqrt(3.0 * n));
    CHECK(fabs(squares / n - bound * bound / 3) < 5 * bound * bound * sqrt(4 / (45.0 * n)));
    largest = 0;
    for (i = 0; i < out; i++) {
        CHECK(biased ? w[n + i] != 0 : w[n + i] == 0);
        if (fabs((double)w[n + i]) > largest) largest = fabs((double)w[n + i]);
        if (i > 0 && biased) CHECK(w[n + i] != w[n + i - 1]);
    }
    CHECK(!biased || (largest <= bound * (1 + 1e-6) && largest > 0.8 * bound));
}

/* fan_in and fan_out differ, so that one cannot stand for the other. */
static void test_initialize(void)
{
    static const nn_layer layers[] = {NN_DENSE(90, NN_RELU), NN_DENSE(50, NN_TANH),
                                      NN_DENSE(30, NN_LEAKY_RELU), NN_DENSE(40, NN_SOFTMAX)};
    static const int widths[] = {60, 90, 50, 30, 40};
    nn_model *made = make_model(60, layers, 4, 1), *same = make_model(60, layers, 4, 1);
    const size_t bytes = nn_parameter_count(made) * sizeof(nn_real);
    int scheme, i;
    for (scheme = NN_INITIALIZE_DEFAULT; scheme <= NN_INITIALIZE_LECUN; scheme++) {
        const nn_real *w = nn_parameters(made);
        memset(nn_parameters(made), 0xff, bytes);
        CHECK(nn_initialize(made, (nn_initialization)scheme, 7) == NN_OK);
        for (i = 0; i < 4; i++) {
            const int in = widths[i], out = widths[i + 1];
            const double he = sqrt(6.0 / in), glorot = sqrt(6.0 / (in + out));
            check_uniform(w, in, out,
                          scheme == NN_INITIALIZE_HE       ? he
                          : scheme == NN_INITIALIZE_GLOROT ? glorot
                          : scheme == NN_INITIALIZE_LECUN  ? sqrt(3.0 / in)
                                                           : sqrt(1.0 / in),
                          scheme == NN_INITIALIZE_DEFAULT);
            w += (in + 1) * out;
        }
        CHECK(nn_initialize(same, (nn_initialization)scheme, 8) == NN_OK);
        CHECK(!same_parameters(made, same));
        CHECK(nn_initialize(same, (nn_initialization)scheme, 7) == NN_OK);
        CHECK(same_parameters(made, same));
    }
    CHECK(nn_initialize(same, NN_INITIALIZE_DEFAULT, 1) == NN_OK);
    nn_model_free(made);
    made = make_model(60, layers, 4, 1); /* which draws by the default scheme */
    CHECK(same_parameters(made, same));
    nn_model_free(made);
    nn_model_free(same);
}

static void test_initialize_refused(void)
{
    static const int wrong[] = {-1, NN_INITIALIZE_LECUN + 1, 1000, INT_MAX, INT_MIN};
    int i;
    if (!begin()) return;
    for (i = 0; i < COUNT_OF(wrong); i++)
        REFUSED(nn_initialize(good_model, (nn_initialization)wrong[i], 1), NN_ERROR_OPTION);
    REFUSED(nn_initialize(NULL, NN_INITIALIZE_DEFAULT, 1), NN_ERROR_NULL);
    end();
}

/* ---- Predicting ------------------------------------------------------------------------------ */

static void test_predict(void)
{
    static const nn_real bad[] = {R_NAN, R_INF, -R_INF};
    nn_real x[GOOD_ROWS * GOOD_INPUTS], y[GOOD_ROWS], clean[GOOD_ROWS];
    size_t i, k;
    if (!begin()) return;
    memset(y, 0x11, sizeof y);
    memcpy(clean, y, sizeof y);
    REFUSED(nn_predict(NULL, good_x, 1, y, NULL), NN_ERROR_NULL);
    REFUSED(nn_predict(good_model, NULL, 1, y, NULL), NN_ERROR_NULL);
    REFUSED(nn_predict(good_model, good_x, 1, NULL, NULL), NN_ERROR_NULL);
    REFUSED(nn_predict(good_model, good_x, 0, y, NULL), NN_ERROR_SIZE);
    REFUSED(nn_predict(good_model, good_x, -1, y, NULL), NN_ERROR_SIZE);
    REFUSED(nn_predict(good_model, good_x, INT_MIN, y, NULL), NN_ERROR_SIZE);
    for (i = 0; i < 3; i++) {
        for (k = 0; k < GOOD_ROWS * GOOD_INPUTS;
             k++) { /* the last row too: no row is written before */
            memcpy(x, good_x, sizeof x);
            x[k] = bad[i];
            REFUSED(nn_predict(good_model, x, GOOD_ROWS, y, NULL), NN_ERROR_DATA);
        }
    }
    CHECK(!memcmp(y, clean, sizeof y));
    CHECK(nn_scratch_size(NULL, 1) == 0 && nn_scratch_size(good_model, 0) == 0);
    CHECK(nn_scratch_size(good_model, -1) == 0 && nn_scratch_size(good_model, INT_MIN) == 0);
    CHECK(nn_scratch_size(good_model, INT_MAX) == nn_scratch_size(good_model, 1 << 20));
    end();
}

/* More rows than nn_predict takes at once: a NaN in the last leaves even the first unwritten. */
static void test_predict_many(void)
{
    enum { MANY = 5000 };
    static nn_real x[MANY * GOOD_INPUTS], y[MANY];
    int i, clean = 1;
    if (!begin()) return;
    for (i = 0; i < MANY; i++) y[i] = 7;
    x[MANY * GOOD_INPUTS - 1] = R_NAN;
    REFUSED(nn_predict(good_model, x, MANY, y, NULL), NN_ERROR_DATA);
    for (i = 0; i < MANY; i++) clean = clean && y[i] == 7;
    CHECK(clean);
    end();
}

/* genann's const run function writes to the net. Not a byte of ours changes when the scratch is the
   caller's; nor does a byte before or after the block. */
static void test_predict_does_not_write(void)
{
    static const nn_layer layers[2] = {NN_DENSE(9, NN_RELU), NN_DENSE(3, NN_SOFTMAX)};
    static const nn_real x[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    nn_real y[15] = {0};
    nn_data data = make_data(x, y, 5, 2, 3);
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

/* ---- The host program ------------------------------------------------------------------------ */

/* A net that passes through every kind of work: train, measure, split, save, load. */
static void workout(void)
{
    static const nn_layer layers[2] = {NN_DENSE(5, NN_RELU), NN_DENSE(1, NN_SIGMOID)};
    nn_real x[40] = {0}, y[20] = {0};
    nn_data data = make_data(x, y, 20, 2, 1), train, test;
    nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_ADAM, 0.01);
    nn_model *model = make_model(2, layers, 2, 1), *copy = NULL, *none = model;
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
    CHECK(nn_save(model, temporary("model")) == NN_OK);
    CHECK(nn_load(&copy, temporary("model"), NULL) == NN_OK);
    CHECK(nn_load(&none, "build/no such file", NULL) == NN_ERROR_OPEN && none == NULL);
    remove(temporary("model"));
    nn_model_free(copy);
    nn_data_free(&train);
    nn_data_free(&test);
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

/* 14 allocations in one forward pass. Here none in a step, and as many frees as allocations. */
static void test_no_allocation_per_step(void)
{
    static const nn_layer layers[2] = {NN_DENSE(8, NN_RELU), NN_DENSE(2, NN_LINEAR)};
    nn_options how = make_options(NN_MSE, NN_ADAM, 0.01);
    nn_real x[64], y[64];
    nn_model *model;
    nn_trainer *trainer;
    long before;
    int i;
    allocations = 0;
    for (i = 0; i < 64; i++) x[i] = y[i] = (nn_real)(i % 7);
    model = make_model(2, layers, 2, 1);
    trainer = make_trainer(model, &how);
    before = allocations;
    CHECK(before > 0);
    for (i = 1; i <= 32; i++) {
        CHECK(nn_train_batch(trainer, x, y, i, NULL) == NN_OK);
        CHECK(nn_predict(model, x, i, y, NULL) == NN_OK);
    }
    CHECK(allocations == before);
    nn_trainer_free(trainer);
    nn_model_free(model);
    workout();
    CHECK(live_blocks == 0 && allocations > before);
}

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
    file = open(temporary("out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
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
    remove(temporary("out"));
}

#endif

int main(void)
{
    RUN(test_status_text);
    RUN(test_shapes);
    RUN(test_model_nulls);
    RUN(test_layer_kinds);
    RUN(test_initialize);
    RUN(test_initialize_refused);
    RUN(test_predict);
    RUN(test_predict_many);
    RUN(test_predict_does_not_write);
    RUN(test_host_rand_is_left_alone);
    RUN(test_no_allocation_per_step);
#if !defined(_WIN32)
    RUN(test_nothing_is_printed);
#endif
    return test_done();
}
