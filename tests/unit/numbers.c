/* Numbers at both ends of their ranges: in data, in weights and in options. Whatever they are, a
   result is right, or a status says that there is none; nothing is lost without a word, and every
   back-end gives the same bits. */
#define NN_IMPLEMENTATION /* to count updates from a large number on */
#include <limits.h>

#include "files.h"

enum { ROWS = 12, INPUTS = 3, EXPONENT = sizeof(nn_real) == 4 ? 127 : 1023 };

#define EPSILON_OF (sizeof(nn_real) == 4 ? 5.9604644775390625e-08 : 1.1102230246251565e-16)
#define LEAST      ((nn_real)(sizeof(nn_real) == 4 ? 1.4e-45 : 4.9e-324))

static nn_real x[ROWS * INPUTS], y[ROWS];
static int labels[ROWS];

static void make_rows(void)
{
    int i;
    random_state = 5;
    for (i = 0; i < ROWS * INPUTS; i++) x[i] = (nn_real)uniform(-1, 1);
    for (i = 0; i < ROWS; i++) y[i] = x[i * INPUTS] + (nn_real)uniform(0, 1);
    for (i = 0; i < ROWS; i++) labels[i] = i % 2;
}

static nn_data rows(void)
{
    nn_data data;
    make_rows();
    data = make_data(x, y, ROWS, INPUTS, 1);
    return data;
}

static nn_real power(int exponent)
{
    return (nn_real)ldexp(1, exponent);
}

static nn_model *make_net(nn_activation last)
{
    const nn_layer layers[] = {dense_layer(4, NN_TANH), dense_layer(1, last)};
    return make_model(INPUTS, layers, 2, 1);
}

/* ---- Scaling --------------------------------------------------------------------------------- */

/* What is scaled does not depend on the unit of the column: multiplied by 2^k, the column gives the
   same bits, from numbers that are as small as normal ones can be to the largest ones. */
static void test_scaling_of_units(void)
{
    static const nn_real column[ROWS] = {1, 1.25f, 3, -2, 0.5f, 7, 7, -6, 0, 2, 2.5f, -0.75f};
    nn_real scaled[ROWS], want[ROWS], usual[ROWS];
    nn_model *model = make_identity(1, NN_LINEAR);
    int kind, k, i;
    for (kind = NN_SCALE_STANDARD; kind <= NN_SCALE_MIN_MAX; kind++) {
        for (k = -EXPONENT + 3; k <= EXPONENT - 5; k++) {
            nn_data data = make_data(scaled, scaled, ROWS, 1, 1);
            nn_real got[ROWS];
            for (i = 0; i < ROWS; i++) usual[i] = column[i];
            for (i = 0; i < ROWS; i++) scaled[i] = column[i] * power(k);
            if (k == -EXPONENT + 3) {
                nn_data plain = make_data(usual, usual, ROWS, 1, 1);
                CHECK(nn_fit_scaling(model, &plain, (nn_scaling)kind) == NN_OK);
                CHECK(nn_predict(model, usual, ROWS, want, NULL) == NN_OK);
                for (i = 0; i < ROWS; i++) CHECK(fabs(want[i]) < 3);
                CHECK(memcmp(want, usual, sizeof want) != 0);
            }
            CHECK(nn_fit_scaling(model, &data, (nn_scaling)kind) == NN_OK);
            CHECK(nn_predict(model, scaled, ROWS, got, NULL) == NN_OK);
            if (!CHECK(!memcmp(got, want, sizeof want))) printf("2^%d\n", k);
        }
    }
    nn_model_free(model);
}

/* The same for targets: predictions are in their units. */
static void test_target_scaling_of_units(void)
{
    static const int exponents[] = {-EXPONENT + 6, -60, 0, 60, EXPONENT - 5};
    nn_options how = make_options(NN_MSE, NN_ADAM, 0.01);
    nn_real targets[ROWS], want[ROWS] = {0}, got[ROWS];
    int i, k;
    how.epochs = 3;
    how.target_scaling = NN_SCALE_STANDARD;
    for (k = 0; k < COUNT_OF(exponents); k++) {
        nn_model *model = make_net(NN_LINEAR);
        nn_data data = rows();
        data.y = targets;
        for (i = 0; i < ROWS; i++) targets[i] = y[i] * power(exponents[k]);
        CHECK(nn_fit(model, &data, &how) == NN_OK);
        CHECK(nn_predict(model, x, ROWS, got, NULL) == NN_OK);
        for (i = 0; i < ROWS; i++) got[i] *= power(-exponents[k]);
        if (k == 0) memcpy(want, got, sizeof got);
        for (i = 0; i < ROWS; i++) CHECK_NEAR(got[i], want[i], 1e-6, 1);
        nn_model_free(model);
    }
}

/* Columns that are constant but for denormal numbers are shifted alone; those that are far apart in
   size do not disturb each other; those that are too large are refused. */
static void test_scaling_of_columns(void)
{
    enum { COLUMNS = 10 };
    static const nn_scaling kinds[] = {NN_SCALE_STANDARD, NN_SCALE_MIN_MAX};
    nn_real table[4 * COLUMNS], got[4 * COLUMNS];
    const nn_real large = REAL_MAX / 4;
    const nn_real columns[COLUMNS][4] = {
        {1, 2, 3, 4},
        {1e-25f, 2e-25f, 3e-25f, 4e-25f},
        {1e30f, 2e30f, 3e30f, 4e30f},
        {large, -large, large, -large},
        {large, large, large, large},
        {0, LEAST, 2 * LEAST, 3 * LEAST},
        {1e-25f, 1e-25f, 1e-25f, 1e-25f},
        {0, 0, 0, 1e-30f},
        {4096, 4096.5f, 4097, 4097.5f},
        {-1e-20f, 1e-20f, -1e-20f, 1e-20f},
    };
    nn_model *model = make_identity(COLUMNS, NN_LINEAR);
    nn_data data = make_data(table, table, 4, COLUMNS, COLUMNS);
    int i, k, c;
    for (c = 0; c < COLUMNS; c++)
        for (i = 0; i < 4; i++) table[i * COLUMNS + c] = columns[c][i];
    for (k = 0; k < 2; k++) {
        CHECK(nn_fit_scaling(model, &data, kinds[k]) == NN_OK);
        CHECK(nn_predict(model, table, 4, got, NULL) == NN_OK);
        for (c = 0; c < COLUMNS; c++) {
            double sum = 0, squares = 0, mean, width, low = columns[c][0], high = low;
            for (i = 0; i < 4; i++) {
                sum += columns[c][i] / 4;
                low = columns[c][i] < low ? columns[c][i] : low;
                high = columns[c][i] > high ? columns[c][i] : high;
            }
            width = high - low;
            for (i = 0; width > 0 && i < 4; i++)
                squares += pow((columns[c][i] - sum) / width, 2) / 4;
            mean = kinds[k] == NN_SCALE_STANDARD ? sum : low;
            if (kinds[k] == NN_SCALE_STANDARD) width *= sqrt(squares);
            if (width == 0 || c == 5) width = 1;
            for (i = 0; i < 4; i++) {
                double want = (columns[c][i] - mean) / width;
                if (!CHECK(fabs(got[i * COLUMNS + c] - want) < 1e-6)) printf("column %d\n", c);
            }
        }
        for (c = 0; c < COLUMNS; c++) { /* and no number changes when one is refused */
            nn_real now[4 * COLUMNS];
            table[c] = (c % 2 ? -1 : 1) * (large * (1 + 4 * (nn_real)EPSILON_OF));
            CHECK(nn_fit_scaling(model, &data, kinds[k]) == NN_ERROR_DATA);
            table[c] = columns[c][0];
            CHECK(nn_predict(model, table, 4, now, NULL) == NN_OK);
            CHECK(!memcmp(now, got, sizeof got));
        }
    }
    nn_model_free(model);
}

/* ---- Outputs that are not finite ------------------------------------------------------------- */

/* Inputs that are finite and whose outputs are not: a status, and zeros. */
static void test_overflow(void)
{
    nn_layer layer = dense_layer(1, NN_LINEAR);
    const nn_layer classes = dense_layer(2, NN_LINEAR);
    nn_model *model = make_model(2, &layer, 1, 1), *two = make_model(2, &classes, 1, 1);
    nn_real in[80 * 2], out[80], t[80], *p = nn_parameters(model);
    nn_data data = make_data(in, t, 80, 2, 1);
    nn_metrics metrics;
    nn_input_importance importance[2];
    int kinds[80], of[80], matrix[4], i, k;
    p[0] = p[1] = 2;
    p[2] = 0;
    for (i = 0; i < 6; i++) nn_parameters(two)[i] = 2;
    for (i = 0; i < 160; i++) in[i] = (nn_real)(i % 3);
    for (i = 0; i < 80; i++) t[i] = (nn_real)(i % 2), of[i] = i % 2;
    for (k = 0; k < 80; k += 13) {
        const int at = k;
        const nn_status expected = k % 2 ? NN_ERROR_PARAMETER : NN_ERROR_DATA;
        nn_data labelled = make_data(in, NULL, 80, 2, 2);
        labelled.classes = 2;
        labelled.labels = of;
        if (expected == NN_ERROR_DATA)
            in[2 * at] = REAL_MAX, in[2 * at + 1] = k ? REAL_MAX : -REAL_MAX; /* inf, or NaN */
        else
            p[2] = nn_parameters(two)[5] = (nn_real)NAN;
        memset(out, 0x55, sizeof out);
        CHECK(nn_predict(model, in, 80, out, NULL) == expected && all_zero(out, sizeof out));
        memset(out, 0x55, sizeof out);
        CHECK(nn_predict_data(model, &data, out, NULL) == expected && all_zero(out, sizeof out));
        memset(kinds, 0x55, sizeof kinds);
        CHECK(nn_predict_classes(model, in, 80, kinds, NULL) == expected);
        CHECK(all_zero(kinds, sizeof kinds));
        memset(&metrics, 0x55, sizeof metrics);
        CHECK(nn_evaluate(model, &data, NULL, &metrics) == expected);
        CHECK(all_zero(&metrics, sizeof metrics));
        memset(importance, 0x55, sizeof importance);
        CHECK(nn_importance(model, &data, NULL, 2, importance) == expected);
        CHECK(all_zero(importance, sizeof importance));
        memset(matrix, 0x55, sizeof matrix);
        CHECK(nn_confusion_matrix(two, &labelled, matrix) == expected);
        CHECK(all_zero(matrix, sizeof matrix));
        in[2 * at] = in[2 * at + 1] = 1;
        p[2] = nn_parameters(two)[5] = 0;
        CHECK(nn_predict(model, in, 80, out, NULL) == NN_OK && out[at] == 4);
        CHECK(nn_evaluate(model, &data, NULL, &metrics) == NN_OK);
        CHECK(nn_confusion_matrix(two, &labelled, matrix) == NN_OK && matrix[0] == 40);
    }
    /* Outputs and targets whose squares overflow: the loss says whether there is a result. */
    t[7] = REAL_MAX / 2;
    CHECK(nn_evaluate(model, &data, NULL, &metrics) == NN_ERROR_DATA);
    CHECK(evaluate(model, &data, NN_MAE, &metrics) == NN_OK && isfinite(metrics.loss));
    CHECK(isinf(metrics.mse) && isfinite(metrics.mae) && metrics.r2 != metrics.r2);
    CHECK(metrics.accuracy != metrics.accuracy && metrics.rows == 80);
    nn_model_free(model);
    nn_model_free(two);
}

/* ---- Weights --------------------------------------------------------------------------------- */

/* Weights that are all multiplied by a power of two change no result, as far as they are accepted;
   beyond, there is a status. */
static void test_weights(void)
{
    const int most = sizeof(nn_real) == 4 ? 95 : 991, beyond[] = {104, 110, 120};
    nn_real weight[ROWS], *p;
    nn_options how = make_options(NN_MSE, NN_ADAM, 0.01);
    nn_data data = rows();
    nn_metrics metrics, usual;
    nn_real want[ROWS];
    int i, k;
    how.epochs = 2;
    how.batch_size = 5;
    data.weight = weight;
    memset(&usual, 0, sizeof usual);
    for (k = 0; k < 3; k++) {
        nn_model *model = make_net(NN_LINEAR);
        const int exponent = k == 0 ? 0 : k == 1 ? -most : most;
        for (i = 0; i < ROWS; i++) weight[i] = (nn_real)(1 + i % 3) * power(exponent);
        CHECK(nn_fit(model, &data, &how) == NN_OK);
        p = nn_parameters(model);
        if (k == 0) memcpy(want, p, sizeof want);
        CHECK(!memcmp(want, p, sizeof want));
        CHECK(nn_evaluate(model, &data, NULL, &metrics) == NN_OK);
        if (k == 0) usual = metrics;
        CHECK_NEAR(metrics.loss, usual.loss, 1e-6, 0);
        nn_model_free(model);
    }
    for (k = 0; k < 6; k++) {
        nn_model *model = make_net(NN_LINEAR);
        const int exponent = (k % 2 ? 1 : -1) * (beyond[k / 2] + (sizeof(nn_real) == 4 ? 0 : 896));
        for (i = 0; i < ROWS; i++) weight[i] = power(exponent);
        CHECK(nn_fit(model, &data, &how) == NN_ERROR_WEIGHT);
        CHECK(nn_evaluate(model, &data, NULL, &metrics) == NN_ERROR_WEIGHT);
        nn_model_free(model);
    }
    { /* of classes */
        nn_real of_class[2] = {1, 1};
        nn_model *model = make_net(NN_SIGMOID);
        how.loss = NN_BINARY_CROSS_ENTROPY;
        how.class_weights = of_class;
        data.weight = NULL;
        data.y = NULL;
        data.labels = labels;
        data.classes = 2;
        for (k = 0; k < 4; k++) {
            of_class[0] = k % 2 ? LEAST : 1;
            of_class[1] = k == 0 ? 1 : k == 2 ? REAL_MAX / 16 : LEAST;
            CHECK(nn_fit(model, &data, &how) == (k == 0 ? NN_OK : NN_ERROR_WEIGHT));
        }
        nn_model_free(model);
    }
}

/* ---- Counts ---------------------------------------------------------------------------------- */

/* After 2^32 - 1 updates the count stays there, and warm-up does not begin again. */
static void test_step_count(void)
{
    static const nn_schedule schedules[] = {NN_SCHEDULE_CONSTANT, NN_SCHEDULE_STEP,
                                            NN_SCHEDULE_COSINE};
    nn_data data = rows();
    int i, k;
    for (i = 0; i < 3; i++) {
        nn_options how = make_options(NN_MSE, NN_ADAM, 0.5);
        nn_model *model = make_net(NN_LINEAR);
        nn_trainer *trainer;
        how.schedule = schedules[i];
        how.warmup_steps = INT_MAX;
        if (i) how.schedule_steps = INT_MAX;
        if (i == 1) how.step_factor = 0.5f;
        trainer = make_trainer(model, &how);
        CHECK(nn_learning_rate(trainer) < 1e-9f);
        trainer->state.step = UINT32_MAX - 2;
        for (k = 0; k < 5; k++) {
            const nn_real rate = nn_learning_rate(trainer);
            CHECK(i == 0   ? rate == 0.5f
                  : i == 1 ? rate == (k ? 0.25f : 0.5f) || rate == 0.25f
                           : rate >= 0 && rate < 1e-9f);
            CHECK(nn_train_batch(trainer, x, y, ROWS, NULL) == NN_OK);
        }
        CHECK(trainer->state.step == UINT32_MAX);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
    (void)data;
}

static int calls;

static int stop_third(const nn_progress *progress, void *user)
{
    (void)user;
    CHECK(progress->epochs == INT_MAX && progress->batches >= 1);
    CHECK(isfinite(progress->loss) && progress->remaining >= 0);
    return ++calls == 3;
}

/* As many epochs, batches and steps as an int can say. */
static void test_counts(void)
{
    nn_data data = rows();
    int i;
    for (i = 0; i < 4; i++) {
        nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
        nn_model *model = make_net(NN_LINEAR);
        how.epochs = INT_MAX;
        how.batch_size = i == 0 ? INT_MAX : 1;
        how.micro_batch_size = i == 1 ? 0 : INT_MAX;
        how.patience = i == 2 ? INT_MAX : 0;
        how.schedule = i == 3 ? NN_SCHEDULE_COSINE : NN_SCHEDULE_PLATEAU;
        how.plateau_patience = i == 3 ? 0 : INT_MAX;
        how.warmup_steps = i == 3 ? INT_MAX : 0;
        how.callback = stop_third;
        calls = 0;
        CHECK(nn_fit(model, &data, &how) == NN_OK && calls == 3);
        nn_model_free(model);
    }
}

/* The norm of gradients of any size, from those whose squares are 0 to those whose squares
   overflow. */
static void test_gradient_norm(void)
{
    nn_options how = make_options(NN_MSE, NN_SGD, 1e-30);
    nn_model *model = make_net(NN_LINEAR);
    nn_trainer *trainer;
    const size_t n = nn_parameter_count(model);
    size_t i;
    int k;
    how.clip_norm = 1;
    trainer = make_trainer(model, &how);
    for (k = -EXPONENT + 3; k < EXPONENT - 3; k++) {
        for (i = 0; i < n; i++) nn_gradients(trainer)[i] = (i % 2 ? -1 : 1) * power(k);
        CHECK(nn_update(trainer) == NN_OK);
        CHECK_NEAR(nn_gradient_norm(trainer) * power(-k), sqrt((double)n), 1e-6, 0);
    }
    nn_clear_gradients(trainer);
    CHECK(nn_update(trainer) == NN_OK && nn_gradient_norm(trainer) == 0);
    nn_gradients(trainer)[0] = LEAST;
    CHECK(nn_update(trainer) == NN_OK && nn_gradient_norm(trainer) == LEAST);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* ---- Options at both ends -------------------------------------------------------------------- */

typedef struct range {
    const char *name;
    size_t at;
    double low, high;
    int optimizer, loss, schedule; /* that it needs; -1: any */
} range;

#define ALMOST_ONE (1 - (double)EPSILON_OF)
#define RANGE(name, low, high, optimizer, loss, schedule)                                          \
    {                                                                                              \
#name, offsetof(nn_options, name), low, high, optimizer, loss, schedule                    \
    }

static const range ranges[] = {
    RANGE(learning_rate, LEAST, REAL_MAX, -1, -1, -1),
    RANGE(learning_rate, 1e-30, 1e30, -1, -1, -1),
    RANGE(momentum, LEAST, ALMOST_ONE, NN_SGD, -1, -1),
    RANGE(momentum, LEAST, ALMOST_ONE, NN_RMSPROP, -1, -1),
    RANGE(beta1, NN_ZERO, ALMOST_ONE, NN_ADAM, -1, -1),
    RANGE(beta2, NN_ZERO, ALMOST_ONE, NN_ADAM, -1, -1),
    RANGE(beta2, LEAST, 0.5, NN_ADAM, -1, -1),
    RANGE(alpha, NN_ZERO, ALMOST_ONE, NN_RMSPROP, -1, -1),
    RANGE(epsilon, LEAST, REAL_MAX, NN_ADAM, -1, -1),
    RANGE(epsilon, LEAST, REAL_MAX, NN_RMSPROP, -1, -1),
    RANGE(weight_decay, LEAST, REAL_MAX, -1, -1, -1),
    RANGE(clip_norm, LEAST, REAL_MAX, -1, -1, -1),
    RANGE(step_factor, NN_ZERO, ALMOST_ONE, -1, -1, NN_SCHEDULE_STEP),
    RANGE(step_factor, NN_ZERO, ALMOST_ONE, -1, -1, NN_SCHEDULE_PLATEAU),
    RANGE(minimum_learning_rate, LEAST, REAL_MAX, -1, -1, NN_SCHEDULE_COSINE),
    RANGE(label_smoothing, LEAST, ALMOST_ONE, -1, NN_BINARY_CROSS_ENTROPY, -1),
    RANGE(huber_delta, LEAST, REAL_MAX, -1, NN_HUBER, -1),
    RANGE(quantile, LEAST, ALMOST_ONE, -1, NN_QUANTILE, -1),
    RANGE(quantile, 1e-6, 1 - 1e-6, -1, NN_QUANTILE, -1),
    RANGE(validation_fraction, LEAST, 0.91, -1, -1, -1),
    RANGE(min_delta, LEAST, REAL_MAX, -1, -1, NN_SCHEDULE_PLATEAU),
};

/* Kinds of data, and the numbers that they are multiplied by. */
static const struct {
    const char *name;
    int rows;
    double x, y;
} kinds_of_data[] = {{"usual", ROWS, 1, 1},         {"one row", 1, 1, 1},
                     {"equal targets", ROWS, 1, 0}, {"inputs of 1e30", ROWS, 1e30, 1},
                     {"1e-30", ROWS, 1e-30, 1e-30}, {"targets of 1e30", ROWS, 1, 1e30},
                     {"denormal", ROWS, 3e-45, 1},  {"the largest", ROWS, 3e38, 1},
                     {"no inputs", ROWS, 0, 1}};

/* Trains with a back-end; *p receives the parameters, and outputs of all rows behind them. Returns
   the status. */
static nn_status train(const char *backend, const nn_options *how, int kind, nn_real *p)
{
    nn_data data = rows();
    nn_model *model;
    nn_status status, again;
    int i;
    size_t n;
    test_backend_name = backend;
    model = make_net(how->loss == NN_BINARY_CROSS_ENTROPY ? NN_SIGMOID : NN_LINEAR);
    test_backend_name = NULL;
    n = nn_parameter_count(model);
    data.rows = kinds_of_data[kind].rows;
    for (i = 0; i < ROWS * INPUTS; i++) x[i] = (nn_real)(x[i] * kinds_of_data[kind].x);
    for (i = 0; i < ROWS; i++) y[i] = (nn_real)(y[i] * kinds_of_data[kind].y);
    if (how->loss == NN_BINARY_CROSS_ENTROPY) {
        data.classes = 2;
        data.labels = labels;
        data.y = NULL;
        for (i = 0; i < ROWS; i++) labels[i] = kinds_of_data[kind].y == 1 && i % 2;
    }
    status = nn_fit(model, &data, how);
    CHECK(all_finite(model));
    memcpy(p, nn_parameters(model), n * sizeof *p);
    again = nn_predict(model, x, ROWS, p + n, NULL);
    CHECK(again == NN_OK || again == NN_ERROR_DATA);
    for (i = 0; i < ROWS; i++) CHECK(isfinite(p[n + (size_t)i]));
    nn_model_free(model);
    return status;
}

static void test_options(void)
{
    enum { NUMBERS = 4 * (INPUTS + 1) + 5 + ROWS };
    int i, end, kind, optimizer, good = 0, diverged = 0;
    for (i = 0; i < COUNT_OF(ranges); i++) {
        const range *r = &ranges[i];
        for (optimizer = 0; optimizer < (int)NN_OPTIMIZER_COUNT; optimizer++) {
            if (r->optimizer >= 0 && r->optimizer != optimizer) continue;
            for (end = 0; end < 2 * COUNT_OF(kinds_of_data); end++) {
                nn_options how = make_options(NN_MSE, (nn_optimizer)optimizer, 0);
                const nn_real value = (nn_real)(end % 2 ? r->high : r->low);
                nn_real here[NUMBERS], there[NUMBERS];
                const int failures = test_bad;
                nn_status status;
                kind = end / 2;
                how.epochs = 3;
                how.batch_size = 5;
                if (r->loss >= 0) how.loss = (nn_loss)r->loss;
                if (r->schedule >= 0) how.schedule = (nn_schedule)r->schedule;
                if (r->schedule == NN_SCHEDULE_STEP) how.schedule_steps = 2;
                if (r->schedule == NN_SCHEDULE_PLATEAU) how.plateau_patience = 1;
                memcpy((char *)&how + r->at, &value, sizeof value);
                memset(here, 0, sizeof here);
                memset(there, 0, sizeof there);
                status = train("scalar", &how, kind, here);
                CHECK(status == NN_OK || status == NN_ERROR_DIVERGED ||
                      (status == NN_ERROR_SIZE && how.validation_fraction > 0));
                CHECK(train(NULL, &how, kind, there) == status);
                CHECK(!memcmp(here, there, sizeof here));
                good += status == NN_OK;
                diverged += status == NN_ERROR_DIVERGED;
                if (test_bad > failures)
                    printf("%s %g, optimizer %d, %s: %d\n", r->name, (double)value, optimizer,
                           kinds_of_data[kind].name, (int)status);
            }
        }
    }
    printf("%d runs with a result, %d that diverged\n", good, diverged);
    CHECK(good > 4 * diverged / 3 && diverged > 0);
}

/* ---- One row, one class, equal targets ------------------------------------------------------- */

static void test_few(void)
{
    nn_model *model = make_net(NN_SIGMOID), *line = make_net(NN_LINEAR);
    nn_data data = rows();
    nn_metrics m, folds[ROWS];
    nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_ADAM, 0);
    nn_input_importance importance[INPUTS];
    const nn_shape shape = {INPUTS, example_layers, 2};
    int kind, i;
    how.epochs = 2;
    data.classes = 2;
    data.y = NULL;
    data.labels = labels;
    for (kind = 0; kind < 2; kind++) { /* all rows are of this class */
        for (i = 0; i < ROWS; i++) labels[i] = kind;
        for (data.rows = 1; data.rows <= ROWS; data.rows += ROWS - 1) {
            const nn_real macro = (nn_real)0.5;
            how.balance_classes = data.rows > 1;
            CHECK(nn_fit(model, &data, &how) == NN_OK);
            CHECK(evaluate(model, &data, how.loss, &m) == NN_OK);
            CHECK(m.auc != m.auc && m.r2 != m.r2); /* neither has a meaning */
            CHECK(isfinite(m.loss) && m.accuracy == (nn_real)m.correct / (nn_real)data.rows);
            /* a ratio 0 / 0 is 0 */
            CHECK(kind ? m.recall == m.accuracy : m.recall == 0 && m.f1 == 0 && m.precision == 0);
            CHECK(m.macro_recall == m.accuracy || m.macro_recall == m.accuracy * macro);
            CHECK(nn_importance(model, &data, &how, 1, importance) == NN_OK);
            for (i = 0; i < INPUTS; i++)
                CHECK(isfinite(importance[i].mean) && importance[i].deviation == 0);
            if (data.rows == 1) CHECK(importance[0].mean == 0);
            CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK); /* one row: 0 */
            CHECK(evaluate(model, &data, how.loss, &m) == NN_OK);
            CHECK(nn_fit_scaling(model, NULL, NN_SCALE_NONE) == NN_OK);
        }
        data.rows = ROWS;
        how.balance_classes = 0;
        CHECK(nn_cross_validate(&shape, &data, &how, ROWS, folds) == NN_OK);
        for (i = 0; i < ROWS; i++) CHECK(folds[i].rows == 1 && isfinite(folds[i].loss));
    }
    /* Equal targets: their deviation is 0, and R2 has no meaning. */
    data = rows();
    for (i = 0; i < ROWS; i++) y[i] = 3;
    how = make_options(NN_MSE, NN_ADAM, 0.01);
    how.target_scaling = NN_SCALE_STANDARD;
    how.scaling = NN_SCALE_MIN_MAX;
    for (data.rows = 1; data.rows <= ROWS; data.rows += ROWS - 1) {
        CHECK(nn_fit(line, &data, &how) == NN_OK);
        CHECK(evaluate(line, &data, NN_MSE, &m) == NN_OK);
        CHECK(isfinite(m.loss) && m.mse < 0.25f && m.r2 != m.r2);
    }
    nn_model_free(model);
    nn_model_free(line);
}

int main(void)
{
    RUN(test_scaling_of_units);
    RUN(test_target_scaling_of_units);
    RUN(test_scaling_of_columns);
    RUN(test_overflow);
    RUN(test_weights);
    RUN(test_step_count);
    RUN(test_counts);
    RUN(test_gradient_norm);
    RUN(test_options);
    RUN(test_few);
    return test_done();
}
