/* Bad input: every pointer, size, option and value at the public boundary. Each call gets its
   documented status, changes nothing, leaks nothing; and training that diverges stays finite. */
#include "../test.h"

#include <limits.h>
#include <stdint.h>

#include "../counted_heap.h"
#define NN_IMPLEMENTATION
#include "../../nn.h"
#include "../fixtures.h"

#define R_NAN ((nn_real)NAN)
#define R_INF ((nn_real)INFINITY)

enum { ROWS = 6, INPUTS = 2, BATCH = 4, FILE_SIZE = 8192 };

/* ---- A model and a trainer that must not change ---------------------------------------------- */

static const nn_layer binary_layers[] = {NN_DENSE(3, NN_TANH), NN_DENSE(1, NN_SIGMOID)};
static const nn_layer class_layers[] = {NN_DENSE(3, NN_RELU), NN_DENSE(3, NN_SOFTMAX)};
static const nn_layer linear_layers[] = {NN_DENSE(3, NN_TANH), NN_DENSE(1, NN_LINEAR)};
static const nn_shape binary_shape = {INPUTS, binary_layers, 2};

static nn_real good_x[ROWS * INPUTS] = {1, 2, -1, 0.5f, 3, -2, 0, 0, 1, 1, -3, 4};
static nn_real good_y[ROWS] = {0, 1, 1, 0, 1, 0}, good_weight[ROWS] = {1, 2, 1, 0.5f, 1, 0};
static nn_real class_y[ROWS * 3] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1};

static nn_model *model;     /* sigmoid */
static nn_trainer *trainer; /* of model, binary cross-entropy, Adam, batches of 4 */
static unsigned char before[FILE_SIZE];
static size_t before_size;
static long before_live;

static nn_data good_data(void)
{
    nn_data data;
    memset(&data, 0, sizeof data);
    data.rows = ROWS;
    data.inputs = INPUTS;
    data.outputs = 1;
    data.x = good_x;
    data.y = good_y;
    return data;
}

static nn_options good_options(void)
{
    nn_options how;
    memset(&how, 0, sizeof how);
    how.loss = NN_BINARY_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.epochs = 2;
    how.batch_size = BATCH;
    return how;
}

static int begin(void)
{
    nn_options how = good_options();
    if (!CHECK(nn_model_create(&model, INPUTS, binary_layers, 2, 1) == NN_OK)) return 0;
    if (!CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK)) return 0;
    CHECK(nn_save_checkpoint_memory(trainer, before, sizeof before, &before_size) == NN_OK);
    before_live = live_blocks;
    return 1;
}

static void end(void)
{
    nn_trainer_free(trainer);
    nn_model_free(model);
    CHECK(live_blocks == 0);
}

/* Parameters, scaling, and the trainer's whole state are what they were. */
static int unchanged(void)
{
    static unsigned char now[FILE_SIZE];
    size_t size = 0;
    return nn_save_checkpoint_memory(trainer, now, sizeof now, &size) == NN_OK &&
           size == before_size && !memcmp(now, before, size);
}

static void refused(nn_status status, nn_status expected, const char *text, int line)
{
    int good = CHECK(status == expected);
    good = CHECK(live_blocks == before_live) && good;
    good = CHECK(unchanged()) && good;
    if (!good && test_bad <= 15)
        printf("line %d: %s: status %d, not %d\n", line, text, (int)status, (int)expected);
}

#define REFUSED(call, expected) refused((call), expected, #call, __LINE__)

static int all_zero(const void *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes;
    while (size-- > 0)
        if (*at++) return 0;
    return 1;
}

static int data_is_zero(const nn_data *data)
{
    return !data->rows && !data->inputs && !data->outputs && !data->classes && !data->dropped &&
           !data->x && !data->y && !data->weight && !data->class_names && !data->memory;
}

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
    static const nn_activation wrong[] = {(nn_activation)6, (nn_activation)99, (nn_activation)-1};
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
    REFUSED(nn_get_shape(model, NULL), NN_ERROR_NULL);
    CHECK(nn_parameters(NULL) == NULL && nn_parameter_count(NULL) == 0);
    end();
}

/* ---- Predicting ------------------------------------------------------------------------------ */

static void test_predict(void)
{
    static const nn_real bad[] = {R_NAN, R_INF, -R_INF};
    nn_real x[ROWS * INPUTS], y[ROWS], clean[ROWS];
    size_t i, k;
    if (!begin()) return;
    memset(y, 0x11, sizeof y);
    memcpy(clean, y, sizeof y);
    REFUSED(nn_predict(NULL, good_x, 1, y, NULL), NN_ERROR_NULL);
    REFUSED(nn_predict(model, NULL, 1, y, NULL), NN_ERROR_NULL);
    REFUSED(nn_predict(model, good_x, 1, NULL, NULL), NN_ERROR_NULL);
    REFUSED(nn_predict(model, good_x, 0, y, NULL), NN_ERROR_SIZE);
    REFUSED(nn_predict(model, good_x, -1, y, NULL), NN_ERROR_SIZE);
    REFUSED(nn_predict(model, good_x, INT_MIN, y, NULL), NN_ERROR_SIZE);
    for (i = 0; i < 3; i++) {
        for (k = 0; k < ROWS * INPUTS; k++) { /* the last row too: no row is written before */
            memcpy(x, good_x, sizeof x);
            x[k] = bad[i];
            REFUSED(nn_predict(model, x, ROWS, y, NULL), NN_ERROR_DATA);
        }
    }
    CHECK(!memcmp(y, clean, sizeof y));
    CHECK(nn_scratch_size(NULL, 1) == 0 && nn_scratch_size(model, 0) == 0);
    CHECK(nn_scratch_size(model, -1) == 0 && nn_scratch_size(model, INT_MIN) == 0);
    CHECK(nn_scratch_size(model, INT_MAX) == nn_scratch_size(model, 1 << 20));
    end();
}

/* More rows than nn_predict takes at once: a NaN in the last leaves even the first unwritten. */
static void test_predict_many(void)
{
    enum { MANY = 5000 };
    static nn_real x[MANY * INPUTS], y[MANY];
    int i, clean = 1;
    if (!begin()) return;
    for (i = 0; i < MANY; i++) y[i] = 7;
    x[MANY * INPUTS - 1] = R_NAN;
    REFUSED(nn_predict(model, x, MANY, y, NULL), NN_ERROR_DATA);
    for (i = 0; i < MANY; i++) clean = clean && y[i] == 7;
    CHECK(clean);
    end();
}

/* ---- Options --------------------------------------------------------------------------------- */

/* Every function that takes options: the same status, and no trainer. */
static void bad_options(const nn_options *how, nn_status expected, int line)
{
    nn_data data = good_data();
    nn_metrics results[2];
    nn_trainer *made = (nn_trainer *)(void *)&data;
    uint64_t memory[1024];
    int failures = test_bad;
    REFUSED(nn_fit(model, &data, how), expected);
    REFUSED(nn_trainer_create(&made, model, how), expected);
    CHECK(!made);
    made = (nn_trainer *)(void *)&data;
    REFUSED(nn_trainer_create_in(&made, memory, sizeof memory, model, how), expected);
    CHECK(!made);
    CHECK(nn_trainer_size(model, how) == 0);
    memset(results, 0xa5, sizeof results);
    REFUSED(nn_cross_validate(&binary_shape, &data, how, 2, results), expected);
    CHECK(all_zero(results, sizeof results));
    if (test_bad > failures) printf("options of line %d\n", line);
}

/* One field after another out of its range, the rest good. */
#define BAD_OPTION(field, value)                                                                   \
    do {                                                                                           \
        nn_options how_ = how;                                                                     \
        how_.field = value;                                                                        \
        bad_options(&how_, NN_ERROR_OPTION, __LINE__);                                             \
    } while (0)

#define BAD_REAL(field, value)                                                                     \
    do {                                                                                           \
        BAD_OPTION(field, value);                                                                  \
        BAD_OPTION(field, R_NAN);                                                                  \
        BAD_OPTION(field, R_INF);                                                                  \
        BAD_OPTION(field, -R_INF);                                                                 \
    } while (0)

static void test_options(void)
{
    nn_options how = good_options();
    if (!begin()) return;
    BAD_OPTION(optimizer, (nn_optimizer)2);
    BAD_OPTION(optimizer, (nn_optimizer)-1);
    BAD_OPTION(epochs, -1);
    BAD_OPTION(batch_size, -1);
    BAD_OPTION(batch_size, INT_MIN);
    BAD_REAL(learning_rate, -0.5f);
    BAD_REAL(beta1, -0.5f);
    BAD_OPTION(beta1, 1);
    BAD_REAL(beta2, -0.5f);
    BAD_OPTION(beta2, 1.5f);
    BAD_REAL(epsilon, -0.5f);
    BAD_REAL(weight_decay, -0.5f);
    BAD_OPTION(clip_norm, -0.5f);
    BAD_OPTION(clip_norm, R_NAN);
    BAD_OPTION(schedule, (nn_schedule)3);
    BAD_OPTION(schedule, (nn_schedule)-1);
    BAD_OPTION(warmup_steps, -1);
    BAD_OPTION(scaling, (nn_scaling)3);
    BAD_OPTION(scaling, (nn_scaling)-1);
    BAD_REAL(validation_fraction, -0.5f);
    BAD_OPTION(validation_fraction, 1);
    BAD_OPTION(patience, -1);
    how.optimizer = NN_SGD;
    BAD_REAL(momentum, -0.5f);
    BAD_OPTION(momentum, 1);
    BAD_OPTION(nesterov, 1); /* without momentum */
    how.schedule = NN_SCHEDULE_STEP;
    how.schedule_steps = 5;
    BAD_OPTION(schedule_steps, -1);
    BAD_REAL(step_factor, -0.5f);
    BAD_OPTION(step_factor, 1);
    BAD_OPTION(step_factor, 1.5f);
    how.schedule = NN_SCHEDULE_COSINE;
    BAD_OPTION(schedule_steps, -1);
    BAD_REAL(minimum_learning_rate, -0.5f);
    end();
}

/* Options that belong to one loss are tried with that loss. */
static void test_loss_options(void)
{
    nn_options how = good_options();
    nn_data data = good_data();
    nn_model *other = NULL;
    nn_trainer *made = NULL;
    static const nn_real bad[] = {-0.5f, 1, 1.5f, R_NAN, R_INF};
    size_t i;
    if (!begin()) return;
    how.loss = NN_HUBER;
    BAD_REAL(huber_delta, -0.5f);
    if (!CHECK(nn_model_create(&other, INPUTS, class_layers, 2, 1) == NN_OK)) return;
    before_live = live_blocks;
    data.y = class_y;
    data.outputs = 3;
    how.loss = NN_CROSS_ENTROPY;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        how.label_smoothing = bad[i];
        REFUSED(nn_fit(other, &data, &how), NN_ERROR_OPTION);
        REFUSED(nn_trainer_create(&made, other, &how), NN_ERROR_OPTION);
        CHECK(nn_trainer_size(other, &how) == 0);
    }
    nn_model_free(other);
    end();
}

static void test_dropout(void)
{
    static const nn_real bad[][2] = {{-0.5f, 0}, {1, 0},    {1.5f, 0},  {R_NAN, 0},
                                     {R_INF, 0}, {0, 0.5f}, {0, -0.5f}, {0, R_NAN}};
    nn_options how = good_options();
    size_t i;
    if (!begin()) return;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) BAD_OPTION(dropout, bad[i]);
    end();
}

/* The loss must exist and fit the last layer. */
static void test_losses(void)
{
    static const struct fit {
        const nn_layer *layers;
        nn_loss loss;
    } bad[] = {{binary_layers, NN_CROSS_ENTROPY},
               {linear_layers, NN_CROSS_ENTROPY},
               {linear_layers, NN_BINARY_CROSS_ENTROPY},
               {class_layers, NN_BINARY_CROSS_ENTROPY},
               {binary_layers, (nn_loss)4},
               {binary_layers, (nn_loss)-1}};
    nn_options how = good_options();
    size_t i;
    if (!begin()) return;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        nn_data data = good_data();
        nn_shape shape = binary_shape;
        nn_model *other = NULL;
        nn_trainer *made = NULL;
        nn_metrics metrics[2];
        if (!CHECK(nn_model_create(&other, INPUTS, bad[i].layers, 2, 1) == NN_OK)) return;
        before_live = live_blocks;
        if (bad[i].layers == class_layers) {
            data.y = class_y;
            data.outputs = 3;
        }
        how.loss = bad[i].loss;
        shape.layers = bad[i].layers;
        REFUSED(nn_fit(other, &data, &how), NN_ERROR_LOSS);
        REFUSED(nn_trainer_create(&made, other, &how), NN_ERROR_LOSS);
        CHECK(!made && nn_trainer_size(other, &how) == 0);
        memset(metrics, 0xa5, sizeof metrics);
        REFUSED(nn_evaluate(other, &data, &how, metrics), NN_ERROR_LOSS);
        CHECK(all_zero(metrics, sizeof *metrics));
        REFUSED(nn_cross_validate(&shape, &data, &how, 2, metrics), NN_ERROR_LOSS);
        CHECK(all_zero(metrics, sizeof metrics));
        nn_model_free(other);
        before_live = live_blocks;
    }
    end();
}

/* ---- Data ------------------------------------------------------------------------------------ */

/* Every function that reads a whole set gives the same status. */
static void bad_data(const nn_data *data, nn_status expected, int line)
{
    nn_options how = good_options();
    nn_metrics results[2];
    nn_data good = good_data();
    int failures = test_bad;
    REFUSED(nn_fit(model, data, &how), expected);
    REFUSED(nn_trainer_fit(trainer, data), expected);
    memset(results, 0xa5, sizeof results);
    REFUSED(evaluate(model, data, NN_BINARY_CROSS_ENTROPY, results), expected);
    CHECK(all_zero(results, sizeof *results));
    memset(results, 0xa5, sizeof results);
    REFUSED(nn_cross_validate(&binary_shape, data, &how, 2, results), expected);
    CHECK(all_zero(results, sizeof results));
    how.validation = data;
    REFUSED(nn_fit(model, &good, &how), expected);
    if (test_bad > failures) printf("data of line %d\n", line);
}

#define BAD_DATA(expected) bad_data(&data, expected, __LINE__)

static void test_data_shapes(void)
{
    nn_data data = good_data();
    if (!begin()) return;
    data.x = NULL;
    BAD_DATA(NN_ERROR_NULL);
    data = good_data();
    data.y = NULL;
    BAD_DATA(NN_ERROR_NULL);
    data = good_data();
    data.rows = 0;
    BAD_DATA(NN_ERROR_SIZE);
    data.rows = -3;
    BAD_DATA(NN_ERROR_SIZE);
    data = good_data();
    data.inputs = 0;
    BAD_DATA(NN_ERROR_SIZE);
    data.inputs = -1;
    BAD_DATA(NN_ERROR_SIZE);
    data.inputs = 1;
    BAD_DATA(NN_ERROR_SHAPE);
    data.inputs = 3;
    data.rows = 4;
    BAD_DATA(NN_ERROR_SHAPE);
    data = good_data();
    data.outputs = 0;
    BAD_DATA(NN_ERROR_SIZE);
    data.outputs = -1;
    BAD_DATA(NN_ERROR_SIZE);
    data.outputs = 3;
    data.rows = 2;
    BAD_DATA(NN_ERROR_SHAPE);
    end();
}

/* A single bad value, wherever it stands. */
static void test_data_values(void)
{
    static const nn_real not_finite[] = {R_NAN, R_INF, -R_INF},
                         outside[] = {-0.5f, 1.5f, 2, -1e-6f};
    nn_real x[ROWS * INPUTS], y[ROWS];
    nn_data data = good_data();
    int i, k;
    if (!begin()) return;
    data.x = x;
    data.y = y;
    memcpy(y, good_y, sizeof y);
    for (i = 0; i < 3; i++) {
        for (k = 0; k < ROWS * INPUTS; k++) {
            memcpy(x, good_x, sizeof x);
            x[k] = not_finite[i];
            BAD_DATA(NN_ERROR_DATA);
        }
    }
    memcpy(x, good_x, sizeof x);
    for (k = 0; k < ROWS; k++) {
        for (i = 0; i < 3; i++) {
            memcpy(y, good_y, sizeof y);
            y[k] = not_finite[i];
            BAD_DATA(NN_ERROR_DATA);
        }
        for (i = 0; i < 4; i++) {
            memcpy(y, good_y, sizeof y);
            y[k] = outside[i];
            BAD_DATA(NN_ERROR_TARGET);
        }
    }
    end();
}

static void test_weights(void)
{
    static const nn_real bad[] = {-1, R_NAN, R_INF, -R_INF};
    nn_real weight[ROWS];
    nn_data data = good_data();
    int i, k;
    if (!begin()) return;
    data.weight = weight;
    for (i = 0; i < 4; i++) {
        for (k = 0; k < ROWS; k++) {
            memcpy(weight, good_weight, sizeof weight);
            weight[k] = bad[i];
            BAD_DATA(NN_ERROR_WEIGHT);
        }
    }
    memset(weight, 0, sizeof weight);
    BAD_DATA(NN_ERROR_WEIGHT);
    end();
}

/* Cross-entropy over classes: targets in [0, 1]. */
static void test_class_targets(void)
{
    nn_real y[ROWS * 3];
    nn_options how = good_options();
    nn_data data = good_data();
    nn_model *other = NULL;
    nn_metrics metrics;
    int k;
    if (!begin() || !CHECK(nn_model_create(&other, INPUTS, class_layers, 2, 1) == NN_OK)) return;
    before_live = live_blocks;
    how.loss = NN_CROSS_ENTROPY;
    data.outputs = 3;
    data.y = y;
    for (k = 0; k < ROWS * 3; k++) {
        memcpy(y, class_y, sizeof y);
        y[k] = 1.5f;
        REFUSED(nn_fit(other, &data, &how), NN_ERROR_TARGET);
        REFUSED(evaluate(other, &data, NN_CROSS_ENTROPY, &metrics), NN_ERROR_TARGET);
        y[k] = -0.5f;
        REFUSED(nn_fit(other, &data, &how), NN_ERROR_TARGET);
        y[k] = R_NAN;
        REFUSED(nn_fit(other, &data, &how), NN_ERROR_DATA);
    }
    nn_model_free(other);
    before_live = live_blocks;
    end();
}

static void bad_split(const nn_data *data, nn_status expected)
{
    static const nn_fold fold = {2, 0, 1};
    nn_data train, test;
    memset(&train, 0xa5, sizeof train);
    memset(&test, 0xa5, sizeof test);
    REFUSED(nn_split(data, 0.5f, 1, &train, &test), expected);
    CHECK(data_is_zero(&train) && data_is_zero(&test));
    memset(&train, 0xa5, sizeof train);
    memset(&test, 0xa5, sizeof test);
    REFUSED(nn_split_fold(data, &fold, &train, &test), expected);
    CHECK(data_is_zero(&train) && data_is_zero(&test));
}

/* Sets that say they have classes, and do not. */
static void test_labels(void)
{
    static const int counts[] = {1, 3, 5, -1, INT_MAX, INT_MIN};
    nn_real y[ROWS];
    nn_data data = good_data();
    int matrix[9];
    size_t i;
    if (!begin()) return;
    memset(matrix, 0x11, sizeof matrix);
    REFUSED(nn_confusion_matrix(model, &data, matrix), NN_ERROR_LABEL); /* classes not set */
    data.classes = 2;
    data.y = y;
    memcpy(y, good_y, sizeof y);
    y[ROWS - 1] = 0.5f;
    BAD_DATA(NN_ERROR_LABEL);
    REFUSED(nn_confusion_matrix(model, &data, matrix), NN_ERROR_LABEL);
    y[ROWS - 1] = 2;
    REFUSED(nn_confusion_matrix(model, &data, matrix), NN_ERROR_LABEL);
    y[ROWS - 1] = R_NAN;
    REFUSED(nn_confusion_matrix(model, &data, matrix), NN_ERROR_DATA);
    data.y = good_y;
    for (i = 0; i < sizeof counts / sizeof *counts; i++) {
        data.classes = counts[i];
        BAD_DATA(NN_ERROR_LABEL);
        bad_split(&data, NN_ERROR_LABEL);
        REFUSED(nn_confusion_matrix(model, &data, matrix), NN_ERROR_LABEL);
    }
    data.classes = 2;
    REFUSED(nn_confusion_matrix(NULL, &data, matrix), NN_ERROR_NULL);
    REFUSED(nn_confusion_matrix(model, NULL, matrix), NN_ERROR_NULL);
    REFUSED(nn_confusion_matrix(model, &data, NULL), NN_ERROR_NULL);
    end();
}

/* Rows that are not one-hot, although the set has classes. */
static void test_one_hot(void)
{
    static const nn_real bad[][3] = {{0, 0, 0}, {1, 1, 0}, {1, 1, 1}, {0.5f, 0.5f, 0}, {2, 0, 0}};
    nn_real y[ROWS * 3];
    nn_data data = good_data();
    nn_options how = good_options();
    nn_model *other = NULL;
    int matrix[9];
    size_t i;
    if (!begin() || !CHECK(nn_model_create(&other, INPUTS, class_layers, 2, 1) == NN_OK)) return;
    before_live = live_blocks;
    how.loss = NN_MSE;
    data.outputs = data.classes = 3;
    data.y = y;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(y, class_y, sizeof y);
        memcpy(y + 3 * (ROWS - 1), bad[i], sizeof bad[i]);
        REFUSED(nn_fit(other, &data, &how), NN_ERROR_LABEL);
        REFUSED(nn_confusion_matrix(other, &data, matrix), NN_ERROR_LABEL);
    }
    nn_model_free(other);
    before_live = live_blocks;
    end();
}

static void test_class_scores(void)
{
    static const int matrix[] = {3, 1, 2, 4};
    static const int bad[][2] = {{2, 2}, {2, -1}, {2, INT_MAX}, {2, INT_MIN}};
    nn_scores scores;
    size_t i;
    if (!begin()) return;
    REFUSED(nn_class_scores(NULL, 2, 0, &scores), NN_ERROR_NULL);
    REFUSED(nn_class_scores(matrix, 2, 0, NULL), NN_ERROR_NULL);
    REFUSED(nn_class_scores(matrix, 0, 0, &scores), NN_ERROR_SIZE);
    REFUSED(nn_class_scores(matrix, -2, 0, &scores), NN_ERROR_SIZE);
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        memset(&scores, 0xa5, sizeof scores);
        REFUSED(nn_class_scores(matrix, bad[i][0], bad[i][1], &scores), NN_ERROR_LABEL);
        CHECK(all_zero(&scores, sizeof scores));
    }
    end();
}

/* ---- Training -------------------------------------------------------------------------------- */

static void test_training_nulls(void)
{
    nn_options how = good_options();
    nn_data data = good_data();
    nn_trainer *made = NULL;
    nn_metrics results[2];
    uint64_t memory[1024];
    nn_real loss;
    if (!begin()) return;
    REFUSED(nn_fit(NULL, &data, &how), NN_ERROR_NULL);
    REFUSED(nn_fit(model, NULL, &how), NN_ERROR_NULL);
    REFUSED(nn_trainer_create(NULL, model, &how), NN_ERROR_NULL);
    REFUSED(nn_trainer_create(&made, NULL, &how), NN_ERROR_NULL);
    REFUSED(nn_trainer_create_in(NULL, memory, sizeof memory, model, &how), NN_ERROR_NULL);
    REFUSED(nn_trainer_create_in(&made, NULL, sizeof memory, model, &how), NN_ERROR_NULL);
    REFUSED(nn_trainer_create_in(&made, memory, sizeof memory, NULL, &how), NN_ERROR_NULL);
    CHECK(!made && nn_trainer_size(NULL, &how) == 0);
    REFUSED(nn_trainer_fit(NULL, &data), NN_ERROR_NULL);
    REFUSED(nn_trainer_fit(trainer, NULL), NN_ERROR_NULL);
    REFUSED(nn_accumulate(NULL, &data, &loss), NN_ERROR_NULL);
    REFUSED(nn_accumulate(trainer, NULL, &loss), NN_ERROR_NULL);
    REFUSED(nn_update(NULL), NN_ERROR_NULL);
    CHECK(nn_gradients(NULL) == NULL && isnan(nn_learning_rate(NULL)));
    CHECK(isnan(nn_gradient_norm(NULL)));
    REFUSED(evaluate(NULL, &data, NN_MSE, results), NN_ERROR_NULL);
    REFUSED(evaluate(model, NULL, NN_MSE, results), NN_ERROR_NULL);
    REFUSED(evaluate(model, &data, NN_MSE, NULL), NN_ERROR_NULL);
    REFUSED(nn_cross_validate(NULL, &data, &how, 2, results), NN_ERROR_NULL);
    REFUSED(nn_cross_validate(&binary_shape, NULL, &how, 2, results), NN_ERROR_NULL);
    REFUSED(nn_cross_validate(&binary_shape, &data, &how, 2, NULL), NN_ERROR_NULL);
    REFUSED(nn_cross_validate(&binary_shape, &data, &how, 1, results), NN_ERROR_OPTION);
    REFUSED(nn_cross_validate(&binary_shape, &data, &how, ROWS + 1, results), NN_ERROR_OPTION);
    REFUSED(nn_cross_validate(&binary_shape, &data, &how, -1, results), NN_ERROR_OPTION);
    end();
}

/* Rows beyond the trainer's batch. (A batch size larger than the data is all of the data.) */
static void test_batches(void)
{
    nn_data data = good_data();
    const nn_real *y = NULL;
    nn_real loss = 5;
    if (!begin()) return;
    data.rows = BATCH + 1;
    REFUSED(nn_train_batch(trainer, good_x, good_y, BATCH + 1, &loss), NN_ERROR_BATCH);
    CHECK(loss == 0);
    loss = 5;
    REFUSED(nn_accumulate(trainer, &data, &loss), NN_ERROR_BATCH);
    CHECK(loss == 0);
    y = good_x;
    REFUSED(nn_forward(trainer, good_x, BATCH + 1, &y), NN_ERROR_BATCH);
    CHECK(!y);
    REFUSED(nn_forward(trainer, good_x, INT_MAX, &y), NN_ERROR_BATCH);
    end();
}

static void test_train_batch(void)
{
    nn_real x[BATCH * INPUTS], y[BATCH];
    nn_real loss = 5;
    int k;
    if (!begin()) return;
    REFUSED(nn_train_batch(NULL, good_x, good_y, 1, &loss), NN_ERROR_NULL);
    CHECK(loss == 0);
    REFUSED(nn_train_batch(trainer, NULL, good_y, 1, &loss), NN_ERROR_NULL);
    REFUSED(nn_train_batch(trainer, good_x, NULL, 1, &loss), NN_ERROR_NULL);
    REFUSED(nn_train_batch(trainer, good_x, good_y, 0, NULL), NN_ERROR_SIZE);
    REFUSED(nn_train_batch(trainer, good_x, good_y, -1, NULL), NN_ERROR_SIZE);
    for (k = 0; k < BATCH; k++) {
        memcpy(x, good_x, sizeof x);
        memcpy(y, good_y, sizeof y);
        x[INPUTS * k + 1] = R_INF;
        loss = 5;
        REFUSED(nn_train_batch(trainer, x, y, BATCH, &loss), NN_ERROR_DATA);
        CHECK(loss == 0);
        y[k] = R_NAN;
        REFUSED(nn_train_batch(trainer, good_x, y, BATCH, NULL), NN_ERROR_DATA);
        y[k] = 1.25f;
        REFUSED(nn_train_batch(trainer, good_x, y, BATCH, &loss), NN_ERROR_TARGET);
    }
    end();
}

/* The gradients are as they were: a refused batch adds nothing to them. */
static void test_accumulate(void)
{
    nn_real gradients[64], x[BATCH * INPUTS], y[BATCH], weight[BATCH] = {1, 1, 1, 1};
    nn_data data = good_data();
    size_t bytes;
    if (!begin()) return;
    data.rows = BATCH;
    bytes = nn_parameter_count(model) * sizeof(nn_real);
    if (!CHECK(bytes <= sizeof gradients)) return;
    CHECK(nn_accumulate(trainer, &data, NULL) == NN_OK);
    memcpy(gradients, nn_gradients(trainer), bytes);
    memcpy(x, good_x, sizeof x);
    memcpy(y, good_y, sizeof y);
    data.x = x;
    data.y = y;
    data.weight = weight;
    x[INPUTS * BATCH - 1] = R_NAN;
    CHECK(nn_accumulate(trainer, &data, NULL) == NN_ERROR_DATA);
    data.x = good_x;
    y[BATCH - 1] = 3;
    CHECK(nn_accumulate(trainer, &data, NULL) == NN_ERROR_TARGET);
    data.y = good_y;
    weight[BATCH - 1] = -1;
    CHECK(nn_accumulate(trainer, &data, NULL) == NN_ERROR_WEIGHT);
    weight[BATCH - 1] = 1;
    data.inputs = 1;
    CHECK(nn_accumulate(trainer, &data, NULL) == NN_ERROR_SHAPE);
    data.inputs = INPUTS;
    data.outputs = 2;
    CHECK(nn_accumulate(trainer, &data, NULL) == NN_ERROR_SHAPE);
    data.outputs = 1;
    data.rows = 0;
    CHECK(nn_accumulate(trainer, &data, NULL) == NN_ERROR_SIZE);
    data.rows = BATCH;
    data.x = NULL;
    CHECK(nn_accumulate(trainer, &data, NULL) == NN_ERROR_NULL);
    CHECK(!memcmp(gradients, nn_gradients(trainer), bytes));
    CHECK(live_blocks == before_live);
    end();
}

/* Forward and backward: order, pointers, values. */
static void test_steps(void)
{
    static const nn_real bad[] = {R_NAN, R_INF};
    nn_real dy[BATCH] = {1, 1, 1, 1}, dx[BATCH * INPUTS], x[BATCH * INPUTS];
    const nn_real *y = good_x;
    int i;
    if (!begin()) return;
    REFUSED(nn_backward(trainer, dy, dx), NN_ERROR_STATE);
    REFUSED(nn_forward(NULL, good_x, 1, &y), NN_ERROR_NULL);
    CHECK(!y);
    y = good_x;
    REFUSED(nn_forward(trainer, NULL, 1, &y), NN_ERROR_NULL);
    CHECK(!y);
    REFUSED(nn_forward(trainer, good_x, 1, NULL), NN_ERROR_NULL);
    REFUSED(nn_forward(trainer, good_x, 0, &y), NN_ERROR_SIZE);
    REFUSED(nn_forward(trainer, good_x, -1, &y), NN_ERROR_SIZE);
    for (i = 0; i < 2; i++) {
        memcpy(x, good_x, sizeof x);
        x[BATCH * INPUTS - 1] = bad[i];
        y = good_x;
        REFUSED(nn_forward(trainer, x, BATCH, &y), NN_ERROR_DATA);
        CHECK(!y);
    }
    REFUSED(nn_backward(trainer, dy, NULL), NN_ERROR_STATE); /* a refused forward is none */
    CHECK(nn_forward(trainer, good_x, BATCH, &y) == NN_OK && y);
    CHECK(nn_backward(NULL, dy, dx) == NN_ERROR_NULL);
    CHECK(nn_backward(trainer, NULL, dx) == NN_ERROR_NULL);
    for (i = 0; i < 2; i++) {
        dy[BATCH - 1] = bad[i];
        memset(dx, 0x11, sizeof dx);
        memcpy(x, dx, sizeof x);
        CHECK(nn_backward(trainer, dy, dx) == NN_ERROR_DATA);
        CHECK(!memcmp(x, dx, sizeof x));
    }
    dy[BATCH - 1] = 1;
    CHECK(nn_backward(trainer, dy, dx) == NN_OK); /* the forward pass was not used up */
    CHECK(nn_backward(trainer, dy, dx) == NN_ERROR_STATE);
    end();
}

static void test_learning_rate(void)
{
    static const nn_real bad[] = {0, -1, R_NAN, R_INF, -R_INF};
    size_t i;
    double rate;
    if (!begin()) return;
    rate = nn_learning_rate(trainer);
    CHECK(rate > 0);
    REFUSED(nn_set_learning_rate(NULL, 1), NN_ERROR_NULL);
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        REFUSED(nn_set_learning_rate(trainer, bad[i]), NN_ERROR_OPTION);
    CHECK(nn_learning_rate(trainer) == rate);
    end();
}

/* ---- Splitting, scaling, reading ------------------------------------------------------------- */

static void test_split(void)
{
    static const nn_fold fold = {2, 0, 1};
    nn_data data = good_data(), train, test;
    if (!begin()) return;
    bad_split(NULL, NN_ERROR_NULL);
    memset(&train, 0xa5, sizeof train);
    test = train;
    REFUSED(nn_split(&data, 0.5f, 1, NULL, &test), NN_ERROR_NULL);
    REFUSED(nn_split(&data, 0.5f, 1, &train, NULL), NN_ERROR_NULL);
    CHECK(data_is_zero(&train) && data_is_zero(&test));
    REFUSED(nn_split_fold(&data, NULL, &train, &test), NN_ERROR_NULL);
    REFUSED(nn_split_fold(&data, &fold, NULL, &test), NN_ERROR_NULL);
    REFUSED(nn_split_fold(&data, &fold, &train, NULL), NN_ERROR_NULL);
    data.x = NULL;
    bad_split(&data, NN_ERROR_NULL);
    data = good_data();
    data.y = NULL;
    bad_split(&data, NN_ERROR_NULL);
    data = good_data();
    data.rows = 0;
    bad_split(&data, NN_ERROR_SIZE);
    data.rows = -1;
    bad_split(&data, NN_ERROR_SIZE);
    data = good_data();
    data.inputs = 0;
    bad_split(&data, NN_ERROR_SIZE);
    data = good_data();
    data.outputs = -1;
    bad_split(&data, NN_ERROR_SIZE);
    end();
}

static void test_scaling(void)
{
    nn_real x[ROWS * INPUTS];
    nn_data data = good_data();
    if (!begin()) return;
    REFUSED(nn_fit_scaling(NULL, &data, NN_SCALE_STANDARD), NN_ERROR_NULL);
    REFUSED(nn_fit_scaling(NULL, NULL, NN_SCALE_NONE), NN_ERROR_NULL);
    REFUSED(nn_fit_scaling(model, NULL, NN_SCALE_STANDARD), NN_ERROR_NULL);
    REFUSED(nn_fit_scaling(model, &data, (nn_scaling)3), NN_ERROR_OPTION);
    REFUSED(nn_fit_scaling(model, &data, (nn_scaling)-1), NN_ERROR_OPTION);
    data.inputs = 1;
    REFUSED(nn_fit_scaling(model, &data, NN_SCALE_STANDARD), NN_ERROR_SHAPE);
    data = good_data();
    data.rows = 0;
    REFUSED(nn_fit_scaling(model, &data, NN_SCALE_STANDARD), NN_ERROR_SIZE);
    data = good_data();
    data.x = NULL;
    REFUSED(nn_fit_scaling(model, &data, NN_SCALE_MIN_MAX), NN_ERROR_NULL);
    data.x = x;
    memcpy(x, good_x, sizeof x);
    x[ROWS * INPUTS - 1] = R_NAN;
    REFUSED(nn_fit_scaling(model, &data, NN_SCALE_STANDARD), NN_ERROR_DATA);
    x[ROWS * INPUTS - 1] = R_INF;
    REFUSED(nn_fit_scaling(model, &data, NN_SCALE_MIN_MAX), NN_ERROR_DATA);
    end();
}

static void bad_csv(const nn_csv_options *how, nn_status expected)
{
    static const char text[] = "a,b,c\n1,2,3\n4,5,6\n";
    nn_data data;
    memset(&data, 0xa5, sizeof data);
    REFUSED(nn_parse_csv(&data, text, sizeof text - 1, how), expected);
    CHECK(data_is_zero(&data));
}

static void test_csv_options(void)
{
    static const char delimiters[] = {'"', '\n', '\r'};
    static const char *const holes[] = {"a", NULL};
    nn_csv_options how, clean;
    size_t i;
    if (!begin()) return;
    memset(&clean, 0, sizeof clean);
    for (i = 0; i < sizeof delimiters; i++) {
        how = clean;
        how.delimiter = delimiters[i];
        bad_csv(&how, NN_ERROR_OPTION);
        how = clean;
        how.comment = delimiters[i];
        bad_csv(&how, NN_ERROR_OPTION);
    }
    how = clean;
    how.comment = ',';
    bad_csv(&how, NN_ERROR_OPTION);
    how = clean;
    how.header = (nn_csv_header)3;
    bad_csv(&how, NN_ERROR_OPTION);
    how = clean;
    how.targets = -1;
    bad_csv(&how, NN_ERROR_OPTION);
    how = clean;
    how.targets = 2;
    how.labels = 1;
    bad_csv(&how, NN_ERROR_OPTION);
    how = clean;
    how.classes = -1;
    how.class_names = holes;
    bad_csv(&how, NN_ERROR_OPTION);
    how.classes = 2;
    bad_csv(&how, NN_ERROR_NULL);
    how = clean;
    how.targets = 2;
    how.target_names = holes;
    bad_csv(&how, NN_ERROR_NULL);
    end();
}

static void test_file_nulls(void)
{
    static const char path[] = "build/test_input.missing";
    nn_data data;
    nn_model *made = (nn_model *)(void *)&data;
    size_t size = 9;
    if (!begin()) return;
    REFUSED(nn_parse_csv(NULL, "1,2", 3, NULL), NN_ERROR_NULL);
    memset(&data, 0xa5, sizeof data);
    REFUSED(nn_parse_csv(&data, NULL, 3, NULL), NN_ERROR_NULL);
    CHECK(data_is_zero(&data));
    REFUSED(nn_read_csv(NULL, path, NULL), NN_ERROR_NULL);
    memset(&data, 0xa5, sizeof data);
    REFUSED(nn_read_csv(&data, NULL, NULL), NN_ERROR_NULL);
    CHECK(data_is_zero(&data));
    REFUSED(nn_read_idx(NULL, path, path, 0, NULL), NN_ERROR_NULL);
    memset(&data, 0xa5, sizeof data);
    REFUSED(nn_read_idx(&data, NULL, path, 0, NULL), NN_ERROR_NULL);
    CHECK(data_is_zero(&data));
    REFUSED(nn_read_idx(&data, path, NULL, 0, NULL), NN_ERROR_NULL);
    REFUSED(nn_save_memory(NULL, NULL, 0, &size), NN_ERROR_NULL);
    CHECK(size == 0);
    REFUSED(nn_save_memory(model, NULL, 0, NULL), NN_ERROR_NULL);
    size = 9;
    REFUSED(nn_save_checkpoint_memory(NULL, NULL, 0, &size), NN_ERROR_NULL);
    CHECK(size == 0);
    REFUSED(nn_save_checkpoint_memory(trainer, NULL, 0, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_checkpoint_memory(NULL, before, before_size, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_checkpoint_memory(trainer, NULL, before_size, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_parameters_memory(NULL, before, before_size, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_parameters_memory(model, NULL, before_size, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_memory(NULL, before, before_size, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_memory(&made, NULL, before_size, NULL), NN_ERROR_NULL);
    CHECK(!made);
    made = (nn_model *)(void *)&data;
    REFUSED(nn_load(&made, NULL, NULL), NN_ERROR_NULL);
    CHECK(!made);
    REFUSED(nn_load(NULL, path, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_parameters(NULL, path, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_parameters(model, NULL, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_checkpoint(NULL, path, NULL), NN_ERROR_NULL);
    REFUSED(nn_load_checkpoint(trainer, NULL, NULL), NN_ERROR_NULL);
    REFUSED(nn_save(NULL, path), NN_ERROR_NULL);
    REFUSED(nn_save(model, NULL), NN_ERROR_NULL);
    REFUSED(nn_save_checkpoint(NULL, path), NN_ERROR_NULL);
    REFUSED(nn_save_checkpoint(trainer, NULL), NN_ERROR_NULL);
    CHECK(fopen(path, "rb") == NULL);
    end();
}

/* ---- Divergence ------------------------------------------------------------------------------ */

static int all_finite(nn_model *of)
{
    const nn_real *p = nn_parameters(of);
    size_t i;
    for (i = 0; i < nn_parameter_count(of); i++)
        if (!isfinite(p[i])) return 0;
    return nn_parameter_count(of) > 0;
}

/* A rate that throws the weights past the type's range, or inputs whose products are past it: every
   optimizer stops with the status, and every parameter is finite. */
static void diverge(nn_optimizer optimizer, nn_real momentum, nn_real rate, nn_real factor,
                    int patience)
{
    nn_real x[ROWS * INPUTS], y[ROWS];
    nn_options how;
    nn_data data = good_data();
    nn_model *made = NULL;
    int i;
    memset(&how, 0, sizeof how);
    how.optimizer = optimizer;
    how.momentum = momentum;
    how.learning_rate = rate;
    how.epochs = 1000;
    how.patience = patience;
    for (i = 0; i < ROWS * INPUTS; i++) x[i] = good_x[i] * factor;
    data.x = x;
    data.y = y;
    for (i = 0; i < ROWS; i++) y[i] = (nn_real)i * 1000;
    if (!CHECK(nn_model_create(&made, INPUTS, linear_layers, 2, 1) == NN_OK)) return;
    CHECK(nn_fit(made, &data, &how) == NN_ERROR_DIVERGED);
    CHECK(all_finite(made));
    nn_model_free(made);
    CHECK(live_blocks == 0);
}

static void test_diverged(void)
{
    nn_real huge = sizeof(nn_real) == 4 ? (nn_real)1e30 : (nn_real)1e300;
    diverge(NN_SGD, 0, huge, 1, 0);
    diverge(NN_SGD, 0.5f, huge, 1, 0);
    diverge(NN_SGD, 0, huge, 1, 3);
    diverge(NN_ADAM, 0, huge, 1, 0);
    diverge(NN_SGD, 0, 100, 1, 0);
}

/* The very first loss overflows: the weights are those the model came with. */
static void test_overflowing_inputs(void)
{
    static const nn_layer layers[] = {NN_DENSE(4, NN_RELU), NN_DENSE(1, NN_LINEAR)};
    nn_real huge = sizeof(nn_real) == 4 ? (nn_real)1e38 : (nn_real)1e308;
    nn_real x[ROWS * INPUTS], copy[64];
    nn_data data = good_data();
    nn_model *made = NULL;
    nn_trainer *of = NULL;
    size_t bytes;
    nn_real loss = 5;
    int i;
    for (i = 0; i < ROWS * INPUTS; i++) x[i] = i % 2 ? huge : -huge;
    data.x = x;
    if (!CHECK(nn_model_create(&made, INPUTS, layers, 2, 1) == NN_OK)) return;
    for (i = 0; i < (int)nn_parameter_count(made); i++)
        nn_parameters(made)[i] = (nn_real)(i % 3) * 8;
    bytes = nn_parameter_count(made) * sizeof(nn_real);
    memcpy(copy, nn_parameters(made), bytes);
    CHECK(nn_fit(made, &data, NULL) == NN_ERROR_DIVERGED);
    CHECK(!memcmp(copy, nn_parameters(made), bytes));
    CHECK(nn_trainer_create(&of, made, NULL) == NN_OK);
    CHECK(nn_train_batch(of, x, good_y, ROWS, &loss) == NN_ERROR_DIVERGED);
    CHECK(!memcmp(copy, nn_parameters(made), bytes));
    loss = 5;
    CHECK(nn_accumulate(of, &data, &loss) == NN_ERROR_DIVERGED);
    CHECK(!memcmp(copy, nn_parameters(made), bytes));
    nn_trainer_free(of);
    nn_model_free(made);
    CHECK(live_blocks == 0);
}

/* Gradients that the caller spoilt: that parameter keeps its value, the update says so. */
static void test_spoilt_gradients(void)
{
    static const nn_real bad[] = {R_NAN, R_INF, -R_INF};
    int optimizer, i;
    for (optimizer = NN_SGD; optimizer <= NN_ADAM; optimizer++) {
        for (i = 0; i < 3; i++) {
            nn_options how;
            nn_model *made = NULL;
            nn_trainer *of = NULL;
            nn_data data = good_data();
            nn_real old;
            memset(&how, 0, sizeof how);
            how.optimizer = (nn_optimizer)optimizer;
            if (!CHECK(nn_model_create(&made, INPUTS, linear_layers, 2, 1) == NN_OK)) return;
            if (!CHECK(nn_trainer_create(&of, made, &how) == NN_OK)) return;
            CHECK(nn_accumulate(of, &data, NULL) == NN_OK);
            old = nn_parameters(made)[2];
            nn_gradients(of)[2] = bad[i];
            CHECK(nn_update(of) == NN_ERROR_DIVERGED);
            CHECK(all_finite(made) && nn_parameters(made)[2] == old);
            nn_trainer_free(of);
            nn_model_free(made);
        }
    }
    CHECK(live_blocks == 0);
}

int main(void)
{
    RUN(test_status_text);
    RUN(test_shapes);
    RUN(test_model_nulls);
    RUN(test_predict);
    RUN(test_predict_many);
    RUN(test_options);
    RUN(test_loss_options);
    RUN(test_dropout);
    RUN(test_losses);
    RUN(test_data_shapes);
    RUN(test_data_values);
    RUN(test_weights);
    RUN(test_class_targets);
    RUN(test_labels);
    RUN(test_one_hot);
    RUN(test_class_scores);
    RUN(test_training_nulls);
    RUN(test_batches);
    RUN(test_train_batch);
    RUN(test_accumulate);
    RUN(test_steps);
    RUN(test_learning_rate);
    RUN(test_split);
    RUN(test_scaling);
    RUN(test_csv_options);
    RUN(test_file_nulls);
    RUN(test_diverged);
    RUN(test_overflowing_inputs);
    RUN(test_spoilt_gradients);
    return test_done("test_input");
}
