/* The scaling of inputs: nn_fit_scaling, and what nn_fit fits. Usage: scaling [SEED] */
#include <float.h>

#include "refused.h"

static uint64_t seed = 1;

/* ---- nn_fit_scaling -------------------------------------------------------------------------- */

static void test_scaling_refused(void)
{
    nn_real x[GOOD_ROWS * GOOD_INPUTS];
    nn_data data = good_data();
    if (!begin()) return;
    REFUSED(nn_fit_scaling(NULL, &data, NN_SCALE_STANDARD), NN_ERROR_NULL);
    REFUSED(nn_fit_scaling(NULL, NULL, NN_SCALE_NONE), NN_ERROR_NULL);
    REFUSED(nn_fit_scaling(good_model, NULL, NN_SCALE_STANDARD), NN_ERROR_NULL);
    REFUSED(nn_fit_scaling(good_model, &data, (nn_scaling)3), NN_ERROR_OPTION);
    REFUSED(nn_fit_scaling(good_model, &data, (nn_scaling)-1), NN_ERROR_OPTION);
    data.inputs = 1;
    REFUSED(nn_fit_scaling(good_model, &data, NN_SCALE_STANDARD), NN_ERROR_SHAPE);
    data = good_data();
    data.rows = 0;
    REFUSED(nn_fit_scaling(good_model, &data, NN_SCALE_STANDARD), NN_ERROR_SIZE);
    data = good_data();
    data.x = NULL;
    REFUSED(nn_fit_scaling(good_model, &data, NN_SCALE_MIN_MAX), NN_ERROR_NULL);
    data.x = x;
    memcpy(x, good_x, sizeof x);
    x[GOOD_ROWS * GOOD_INPUTS - 1] = R_NAN;
    REFUSED(nn_fit_scaling(good_model, &data, NN_SCALE_STANDARD), NN_ERROR_DATA);
    x[GOOD_ROWS * GOOD_INPUTS - 1] = R_INF;
    REFUSED(nn_fit_scaling(good_model, &data, NN_SCALE_MIN_MAX), NN_ERROR_DATA);
    end();
}

enum { COLUMNS = 5, ROWS = 7 };

/* Columns: plain; constant; far from zero (where a sum of squares in float loses everything);
   tiny; negative. */
#define TINY(n) ((n) / 1048576.0f)
/* clang-format off */
static const nn_real table[ROWS * COLUMNS] = {
    1, 7, 4096, TINY(1), -1,
    2, 7, 4096.5f, TINY(3), -20,
    4, 7, 4097, TINY(2), -3,
    8, 7, 4098, TINY(9), -4,
    16, 7, 4096.25f, TINY(5), -5,
    0, 7, 4099.75f, TINY(7), -6,
    -5, 7, 4096, TINY(4), -7.5f,
};
/* clang-format on */

static nn_data table_data(void)
{
    nn_data data = make_data(table, table, ROWS, COLUMNS, COLUMNS);
    return data;
}

/* shift and divisor of column k by the definition, in double. */
static void scaling_of(nn_scaling scaling, int k, double *shift, double *divisor)
{
    double sum = 0, squares = 0, least = table[k], most = table[k];
    int i;
    for (i = 0; i < ROWS; i++) {
        double v = table[i * COLUMNS + k];
        sum += v;
        least = v < least ? v : least;
        most = v > most ? v : most;
    }
    for (i = 0; i < ROWS; i++) squares += pow(table[i * COLUMNS + k] - sum / ROWS, 2);
    *shift = scaling == NN_SCALE_STANDARD ? sum / ROWS : least;
    *divisor = scaling == NN_SCALE_STANDARD ? sqrt(squares / ROWS) : most - least;
    if (most == least) *divisor = 1;
}

/* The tolerance covers the rounding of x - shift (4096 is stored to 2^-12 in float). */
static void check_scaled(nn_model *model, nn_scaling scaling)
{
    nn_real y[ROWS * COLUMNS];
    int i, k;
    for (i = 0; i < ROWS * COLUMNS; i++) y[i] = (nn_real)NAN;
    CHECK(nn_predict(model, table, ROWS, y, NULL) == NN_OK);
    for (k = 0; k < COLUMNS; k++) {
        double shift, divisor, slack;
        scaling_of(scaling, k, &shift, &divisor);
        slack = 4e-7 * (1 + fabs(shift) / divisor);
        for (i = 0; i < ROWS; i++) {
            double want = (table[i * COLUMNS + k] - shift) / divisor;
            double step = (table[i * COLUMNS + k] - table[k]) / divisor;
            CHECK_NEAR(y[i * COLUMNS + k], want, slack, 1);
            CHECK_NEAR((double)y[i * COLUMNS + k] - (double)y[k], step, 2e-6, 1);
        }
    }
}

static void test_scaling_values(void)
{
    nn_model *model = make_identity(COLUMNS, NN_LINEAR);
    nn_data data = table_data();
    nn_real y[COLUMNS], beside[COLUMNS] = {0, 9, 0, 0, 0};
    if (!model) return;
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
    check_scaled(model, NN_SCALE_STANDARD);
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_MIN_MAX) == NN_OK); /* replaces the other */
    check_scaled(model, NN_SCALE_MIN_MAX);
    CHECK(nn_predict(model, beside, 1, y, NULL) == NN_OK);
    CHECK(y[1] == 2); /* a constant column is only shifted */
    CHECK(nn_fit_scaling(model, NULL, NN_SCALE_NONE) == NN_OK);
    CHECK(nn_predict(model, table, 1, y, NULL) == NN_OK);
    CHECK(!memcmp(y, table, sizeof y));
    nn_model_free(model);
}

/* nn_predict, nn_evaluate and nn_forward all see scaled inputs. */
static void test_scaling_everywhere(void)
{
    nn_model *model = make_identity(COLUMNS, NN_LINEAR);
    nn_data data = table_data();
    nn_real y[ROWS * COLUMNS];
    const nn_real *forward = NULL;
    nn_trainer *trainer = NULL;
    nn_metrics metrics;
    if (!model) return;
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
    CHECK(nn_predict(model, table, ROWS, y, NULL) == NN_OK);
    if (CHECK(nn_trainer_create(&trainer, model, NULL) == NN_OK)) {
        CHECK(nn_forward(trainer, table, ROWS, &forward) == NN_OK);
        CHECK(forward && !memcmp(forward, y, sizeof y));
    }
    data.y = y;
    CHECK(evaluate(model, &data, NN_MSE, &metrics) == NN_OK);
    CHECK(metrics.mse == 0 && metrics.loss == 0);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* A column as wide as the type: refused, or scaled to finite values; never a NaN. */
static void test_widest_column(void)
{
#ifdef NN_DOUBLE
    static const nn_real wide[] = {-DBL_MAX, DBL_MAX, 0, DBL_MAX};
#else
    static const nn_real wide[] = {-FLT_MAX, FLT_MAX, 0, FLT_MAX};
#endif
    static const nn_scaling scalings[] = {NN_SCALE_STANDARD, NN_SCALE_MIN_MAX};
    int i, k;
    for (k = 0; k < 2; k++) {
        nn_model *model = make_identity(1, NN_LINEAR);
        nn_data data;
        nn_real y[4];
        if (!model) return;
        data = make_data(wide, wide, 4, 1, 1);
        if (nn_fit_scaling(model, &data, scalings[k]) == NN_OK) {
            CHECK(nn_predict(model, wide, 4, y, NULL) == NN_OK);
            for (i = 0; i < 4; i++) CHECK(isfinite(y[i]) && y[i] >= -3 && y[i] <= 3);
            CHECK(y[0] < y[2] && y[2] < y[1]);
        }
        nn_model_free(model);
    }
}

/* Inputs are scaled up to where 4 x overflows; then nothing is changed. */
static void test_scaling_of_large_inputs(void)
{
    const nn_real large = (nn_real)ldexp(1, sizeof(nn_real) == 4 ? 125 : 1021);
    nn_real x[2], y[2] = {0, 0}, before[2], after[2];
    nn_data data = make_data(x, y, 2, 1, 1);
    nn_model *model = make_line(1);
    nn_parameters(model)[0] = 1;
    x[0] = large;
    x[1] = -large;
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
    CHECK(nn_predict(model, x, 2, before, NULL) == NN_OK && before[0] == 1 && before[1] == -1);
    x[0] = 2 * large;
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_ERROR_DATA);
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_MIN_MAX) == NN_ERROR_DATA);
    x[0] = 4 * large;
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_ERROR_DATA);
    x[0] = large;
    CHECK(nn_predict(model, x, 2, after, NULL) == NN_OK);
    CHECK(memcmp(before, after, sizeof before) == 0);
    nn_model_free(model);
}

/* ---- What nn_fit fits ------------------------------------------------------------------------ */

static nn_options still_options(void)
{
    nn_options how;
    memset(&how, 0, sizeof how);
    how.learning_rate = (nn_real)1e-30; /* too small to move a weight of 1 */
    how.epochs = 1;
    how.scaling = NN_SCALE_MIN_MAX;
    return how;
}

/* nn_fit fits the scaling to its training rows: a wider validation set leaves no trace; and a model
   that has a scaling keeps it. */
static void test_fit_scales(void)
{
    static const nn_real wide[] = {-100, 200, 300}, narrow[] = {0, 1, 2, 4};
    nn_options how = still_options();
    nn_model *model = make_identity(1, NN_LINEAR);
    nn_data train, validation;
    nn_real y[4];
    if (!model) return;
    train = make_data(narrow, narrow, 4, 1, 1);
    validation = train;
    validation.rows = 3;
    validation.x = validation.y = wide;
    how.validation = &validation;
    CHECK(nn_fit(model, &train, &how) == NN_OK);
    CHECK(nn_predict(model, narrow, 4, y, NULL) == NN_OK);
    CHECK(fabs(y[0]) < 1e-20 && y[1] == 0.25f && y[2] == 0.5f && y[3] == 1);
    CHECK(nn_fit(model, &validation, &how) == NN_OK);
    CHECK(nn_predict(model, narrow, 4, y, NULL) == NN_OK);
    CHECK(fabs(y[0]) < 1e-20 && y[1] == 0.25f && y[2] == 0.5f && y[3] == 1);
    nn_model_free(model);
}

/* With validation_fraction 0.5 the one outlier is a validation row in about half of the runs, and
   then it must not have been seen: P(never or always in 40) is 2^-39. */
static void test_fraction_scales(void)
{
    static const nn_real values[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 1000};
    const double exact = sizeof(nn_real) == 4 ? 0 : 2.3e-16; /* 1000 times 1/1000 in double */
    int i, unseen = 0;
    for (i = 0; i < 40; i++) {
        nn_options how = still_options();
        nn_model *model = make_identity(1, NN_LINEAR);
        nn_data data;
        nn_real y = (nn_real)NAN;
        if (!model) return;
        data = make_data(values, values, 10, 1, 1);
        how.validation_fraction = (nn_real)0.5;
        how.seed = seed + (uint64_t)i;
        CHECK(nn_fit(model, &data, &how) == NN_OK);
        CHECK(nn_predict(model, values + 9, 1, &y, NULL) == NN_OK);
        CHECK(y > 100 || fabs((double)y - 1) <= exact);
        unseen += y > 100;
        nn_model_free(model);
    }
    CHECK(unseen > 4 && unseen < 36);
}

/* Mean and spread that nn_fit stored, read off a model y = x that a rate of 1e-30 leaves alone. */
static void fitted_scaling(const nn_data *data, nn_options how, double *mean, double *spread)
{
    static const nn_real x[2] = {0, 1};
    nn_real y[2] = {NAN, NAN};
    nn_model *model = make_line(1);
    nn_parameters(model)[0] = 1;
    how.epochs = 1;
    CHECK(nn_fit(model, data, &how) == NN_OK);
    CHECK(nn_predict(model, x, 2, y, NULL) == NN_OK);
    *spread = 1 / ((double)y[1] - (double)y[0]);
    *mean = -(double)y[0] * *spread;
    nn_model_free(model);
}

/* Fitted on the training rows: neither a validation set nor a validation share takes part. */
static void test_scaling_sees_training_rows_only(void)
{
    static const nn_real x[5] = {1, 2, 4, 8, 16}, y[5] = {0, 0, 0, 0, 0}, far[2] = {1e5f, -3e5f};
    nn_options how = make_options(NN_MSE, NN_SGD, 1e-30);
    nn_data data = make_data(x, y, 5, 1, 1), validation = make_data(far, y, 2, 1, 1);
    double mean = NAN, spread = NAN;
    int i, k, found = 0;
    how.scaling = NN_SCALE_STANDARD;
    how.validation = &validation;
    fitted_scaling(&data, how, &mean, &spread);
    CHECK_NEAR(mean, 6.2, 1e-5, 0);
    CHECK_NEAR(spread, sqrt(341 / 5. - 6.2 * 6.2), 1e-5, 0);
    how.scaling = NN_SCALE_MIN_MAX;
    fitted_scaling(&data, how, &mean, &spread);
    CHECK_NEAR(mean, 1, 1e-5, 0);
    CHECK_NEAR(spread, 15, 1e-5, 0);

    how.scaling = NN_SCALE_STANDARD; /* one row of five held back: the mean of the other four */
    how.validation = NULL;
    how.validation_fraction = (nn_real)0.2;
    for (i = 0; i < 5; i++) {
        how.seed = (uint64_t)i;
        fitted_scaling(&data, how, &mean, &spread);
        for (k = 0; k < 5; k++) found += fabs(mean - (31 - (double)x[k]) / 4) < 1e-4;
    }
    CHECK(found == 5);
}

/* A model that has a scaling keeps it. */
static void test_scaling_is_kept(void)
{
    static const nn_real x[2] = {1, 3}, other[2] = {100, 900}, y[2] = {0, 0};
    nn_options how = make_options(NN_MSE, NN_SGD, 1e-30);
    nn_data data = make_data(x, y, 2, 1, 1), rest = make_data(other, y, 2, 1, 1);
    nn_model *model = make_line(1);
    nn_real before[2], after[2] = {NAN, NAN};
    nn_parameters(model)[0] = 1;
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
    CHECK(nn_predict(model, x, 2, before, NULL) == NN_OK);
    CHECK_NEAR(before[0], -1, 1e-6, 0);
    CHECK_NEAR(before[1], 1, 1e-6, 0);
    how.scaling = NN_SCALE_MIN_MAX;
    CHECK(nn_fit(model, &rest, &how) == NN_OK);
    CHECK(nn_predict(model, x, 2, after, NULL) == NN_OK);
    CHECK(memcmp(before, after, sizeof before) == 0);
    CHECK(nn_fit_scaling(model, NULL, NN_SCALE_NONE) == NN_OK);
    CHECK(nn_predict(model, x, 2, after, NULL) == NN_OK && after[0] == 1 && after[1] == 3);
    nn_model_free(model);
}

/* A constant column is only shifted: no division by 0. */
static void test_scaling_of_a_constant(void)
{
    static const nn_real x[3] = {7, 7, 7}, y[3] = {0, 0, 0};
    nn_options how = make_options(NN_MSE, NN_SGD, 1e-30);
    nn_data data = make_data(x, y, 3, 1, 1);
    double mean = NAN, spread = NAN;
    int i;
    for (i = 0; i < 2; i++) {
        how.scaling = i ? NN_SCALE_MIN_MAX : NN_SCALE_STANDARD;
        fitted_scaling(&data, how, &mean, &spread);
        CHECK_NEAR(mean, 7, 1e-5, 0);
        CHECK_NEAR(spread, 1, 1e-5, 0);
    }
}

/* A scaling of another program; what is refused leaves the one that is there. */
static void test_by_hand(void)
{
    static const nn_real mean[] = {1, -2, (nn_real)0.1}, deviation[] = {2, (nn_real)0.25, 3};
    const nn_real tiny = (nn_real)(sizeof(nn_real) == 4 ? 1e-45 : 5e-324); /* 1 / tiny overflows */
    const nn_real bad[] = {0, -1, (nn_real)NAN, (nn_real)INFINITY, tiny};
    static const nn_real x[] = {5, 4, 3};
    const nn_layer layer = dense_layer(3, NN_LINEAR);
    nn_model *model = make_model(3, &layer, 1, 1);
    nn_real y[3], copy[3];
    int i, j;

    memset(nn_parameters(model), 0, nn_parameter_count(model) * sizeof(nn_real));
    for (i = 0; i < 3; i++) nn_parameters(model)[4 * i] = 1; /* the outputs are the scaled inputs */
    CHECK(nn_set_scaling(NULL, mean, deviation) == NN_ERROR_NULL);
    CHECK(nn_set_scaling(model, NULL, deviation) == NN_ERROR_NULL);
    CHECK(nn_set_scaling(model, mean, NULL) == NN_ERROR_NULL);
    CHECK(nn_set_scaling(model, mean, deviation) == NN_OK);
    for (i = 0; i < COUNT_OF(bad); i++)
        for (j = 0; j < 3; j++) {
            memcpy(copy, deviation, sizeof copy);
            copy[j] = bad[i];
            CHECK(nn_set_scaling(model, mean, copy) == NN_ERROR_OPTION);
            memcpy(copy, mean, sizeof copy);
            copy[j] = (nn_real)(i % 2 ? INFINITY : NAN);
            CHECK(nn_set_scaling(model, copy, deviation) == NN_ERROR_OPTION);
        }
    CHECK(nn_predict(model, x, 1, y, NULL) == NN_OK);
    for (i = 0; i < 3; i++) CHECK(y[i] == (x[i] - mean[i]) * (1 / deviation[i]));
    CHECK(nn_fit_scaling(model, NULL, NN_SCALE_NONE) == NN_OK);
    CHECK(nn_predict(model, x, 1, y, NULL) == NN_OK && y[0] == x[0]);
    nn_model_free(model);
}

int main(int argc, char **argv)
{
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    RUN(test_scaling_refused);
    RUN(test_scaling_values);
    RUN(test_scaling_everywhere);
    RUN(test_widest_column);
    RUN(test_scaling_of_large_inputs);
    RUN(test_fit_scales);
    RUN(test_fraction_scales);
    RUN(test_scaling_sees_training_rows_only);
    RUN(test_scaling_is_kept);
    RUN(test_scaling_of_a_constant);
    if (test_failed) printf("seed %llu\n", (unsigned long long)seed);
    RUN(test_by_hand);
    return test_done();
}
