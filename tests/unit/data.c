/* nn_split, nn_split_fold, nn_fit_scaling, nn_data_free.
   Usage: test_split [seed] */
#include "../test.h"

#include <float.h>
#include <stdint.h>

#include "../counted_heap.h"
#define NN_IMPLEMENTATION
#include "../../nn.h"
#include "../fixtures.h"

enum { MOST = 1000 };

static uint64_t seed = 1;

/* Rows that say who they are: x = (i, i + 0.5), weight = i / 2 + 1. */
static nn_real big_x[2 * MOST], big_y[4 * MOST], big_weight[MOST];
static const char *const names[] = {"first", "second", "third", "fourth"};

/* class_sizes[classes] rows of each class, mixed; classes 0: `rows` rows, y = 3 i, 2 outputs. */
static nn_data make_data(int rows, int classes, const int *class_sizes)
{
    nn_data data;
    int left[4] = {0}, i, k;
    memset(&data, 0, sizeof data);
    for (k = 0; k < classes; k++) left[k] = class_sizes[k];
    data.rows = rows;
    data.inputs = 2;
    data.classes = classes;
    data.outputs = classes == 2 || classes == 0 ? 1 : classes;
    for (i = 0; i < rows; i++) {
        big_x[2 * i] = (nn_real)i;
        big_x[2 * i + 1] = (nn_real)i + (nn_real)0.5;
        big_weight[i] = (nn_real)i / 2 + 1;
        if (classes == 0) {
            big_y[i] = (nn_real)(3 * i);
            continue;
        }
        for (k = i % classes; left[k] == 0;) k = (k + 1) % classes;
        left[k]--;
        memset(big_y + i * data.outputs, 0, (size_t)data.outputs * sizeof *big_y);
        if (classes == 2)
            big_y[i] = (nn_real)k;
        else
            big_y[i * classes + k] = 1;
    }
    data.x = big_x;
    data.y = big_y;
    data.weight = big_weight;
    if (classes) data.class_names = names;
    return data;
}

static int class_of(const nn_data *data, int row)
{
    int k = 0;
    if (data->classes == 2) return (int)data->y[row];
    while (k < data->classes - 1 && data->y[row * data->classes + k] != 1) k++;
    return k;
}

/* Each row of a part is whole and is one of data's; counts how often each appears in seen. */
static void count_rows(const nn_data *part, const nn_data *data, int *seen)
{
    int i, sound = 1;
    if (!CHECK(part->inputs == 2 && part->outputs == data->outputs && part->x && part->y)) return;
    CHECK(part->classes == data->classes);
    if (!CHECK(!part->weight == !data->weight && !part->class_names == !data->class_names)) return;
    for (i = 0; i < part->rows; i++) {
        int id = (int)part->x[2 * i];
        size_t bytes = (size_t)data->outputs * sizeof *data->y;
        if (!CHECK(id >= 0 && id < data->rows)) return;
        seen[id]++;
        sound = sound && part->x[2 * i + 1] == (nn_real)id + (nn_real)0.5;
        sound = sound && !memcmp(part->y + i * data->outputs, data->y + id * data->outputs, bytes);
        if (data->weight) sound = sound && part->weight[i] == data->weight[id];
    }
    CHECK(sound);
    if (part->class_names)
        for (i = 0; i < data->classes; i++)
            CHECK(part->class_names[i] && !strcmp(part->class_names[i], names[i]));
}

/* Together the two parts hold every row once. */
static void check_parts(const nn_data *train, const nn_data *test, const nn_data *data)
{
    static int seen[MOST];
    int i, once = 1;
    memset(seen, 0, sizeof seen);
    CHECK(train->rows >= 1 && test->rows >= 1 && train->rows + test->rows == data->rows);
    count_rows(train, data, seen);
    count_rows(test, data, seen);
    for (i = 0; i < data->rows; i++) once = once && seen[i] == 1;
    CHECK(once);
}

static void check_zero(const nn_data *data)
{
    CHECK(data->rows == 0 && data->inputs == 0 && data->outputs == 0 && data->classes == 0);
    CHECK(!data->x && !data->y && !data->weight && !data->class_names && !data->memory);
}

static int same_bits(const nn_data *a, const nn_data *b)
{
    size_t rows = (size_t)a->rows;
    return a->rows == b->rows && !memcmp(a->x, b->x, 2 * rows * sizeof *a->x) &&
           !memcmp(a->y, b->y, rows * (size_t)a->outputs * sizeof *a->y);
}

static void free_both(nn_data *a, nn_data *b)
{
    nn_data_free(a);
    nn_data_free(b);
    check_zero(a);
    check_zero(b);
    nn_data_free(a);
}

static nn_status split(const nn_data *data, float fraction, uint64_t with, nn_data *train,
                       nn_data *test)
{
    nn_status status;
    memset(train, 0xa5, sizeof *train);
    memset(test, 0xa5, sizeof *test);
    status = nn_split(data, fraction, with, train, test);
    if (status != NN_OK) {
        check_zero(train);
        check_zero(test);
    }
    return status;
}

/* ---- nn_split -------------------------------------------------------------------------------- */

static void test_sizes(void)
{
    static const struct sizes {
        int rows;
        float fraction;
        int train;
    } cases[] = {{2, 0.5f, 1},      {3, 0.67f, 2},    {3, 0.3f, 1},  {10, 0.8f, 8},
                 {10, 0.84f, 8},    {10, 0.86f, 9},   {17, 0.1f, 2}, {100, 0.8f, 80},
                 {999, 0.75f, 749}, {1000, 0.001f, 1}};
    size_t i;
    int weighted;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (weighted = 0; weighted < 2; weighted++) {
            nn_data data = make_data(cases[i].rows, 0, NULL), train, test;
            if (!weighted) data.weight = NULL;
            if (!CHECK(split(&data, cases[i].fraction, seed + i, &train, &test) == NN_OK)) continue;
            CHECK(train.rows == cases[i].train);
            check_parts(&train, &test, &data);
            free_both(&train, &test);
        }
    }
    CHECK(live_blocks == 0);
}

/* Each class is divided in the proportion of the whole, within one row. */
static void test_stratified(void)
{
    static const int sizes[][4] = {{50, 50},     {90, 10},     {333, 17},          {40, 40, 40},
                                   {7, 100, 13}, {2, 2, 2, 2}, {500, 300, 150, 50}};
    static const int classes[] = {2, 2, 2, 3, 3, 4, 4};
    static const float fractions[] = {0.5f, 0.8f, 0.2f, 0.63f};
    size_t i, f;
    int k, row;
    for (i = 0; i < sizeof classes / sizeof *classes; i++) {
        for (f = 0; f < sizeof fractions / sizeof *fractions; f++) {
            int rows = sizes[i][0] + sizes[i][1] + sizes[i][2] + sizes[i][3], in_train[4] = {0};
            nn_data data = make_data(rows, classes[i], sizes[i]), train, test;
            if (!CHECK(split(&data, fractions[f], seed, &train, &test) == NN_OK)) continue;
            check_parts(&train, &test, &data);
            for (row = 0; row < train.rows; row++) in_train[class_of(&train, row)]++;
            for (k = 0; k < classes[i]; k++)
                CHECK(fabs(in_train[k] - (double)fractions[f] * sizes[i][k]) <= 1);
            if (rows % 100 == 0 && f == 0) CHECK(train.rows == rows / 2);
            free_both(&train, &test);
        }
    }
    CHECK(live_blocks == 0);
}

/* The parts own what they hold: the source may go first. */
static void test_ownership(void)
{
    static const int sizes[] = {20, 30, 50};
    nn_data data = make_data(100, 3, sizes), first, rest, train, test;
    int seen[MOST] = {0};
    if (!CHECK(split(&data, 0.9f, seed, &first, &rest) == NN_OK)) return;
    if (!CHECK(split(&first, 0.5f, seed, &train, &test) == NN_OK)) return;
    free_both(&first, &rest);
    CHECK(train.rows == 45 && test.rows == 45);
    count_rows(&train, &data, seen);
    nn_data_free(&train);
    count_rows(&test, &data, seen);
    nn_data_free(&test);
    CHECK(live_blocks == 0);
}

static void test_seeds(void)
{
    static const int sizes[] = {60, 40};
    int classes;
    for (classes = 0; classes <= 2; classes += 2) {
        nn_data data = make_data(100, classes, sizes), a, b, c, a_test, b_test, c_test;
        int i, in_order = 1;
        CHECK(split(&data, 0.7f, seed, &a, &a_test) == NN_OK);
        CHECK(split(&data, 0.7f, seed, &b, &b_test) == NN_OK);
        CHECK(split(&data, 0.7f, seed + 1, &c, &c_test) == NN_OK);
        CHECK(same_bits(&a, &b) && same_bits(&a_test, &b_test));
        CHECK(!same_bits(&a, &c) && !same_bits(&a_test, &c_test));
        for (i = 1; i < a.rows; i++) in_order = in_order && a.x[2 * i] > a.x[2 * i - 2];
        CHECK(!in_order);
        free_both(&a, &a_test);
        free_both(&b, &b_test);
        free_both(&c, &c_test);
    }
}

/* Over 3000 seeds each of three rows is left out about 1000 times; 4 standard deviations are 103.
   Catches a shuffle that never moves one place, or that moves every one. */
static void test_uniform(void)
{
    nn_data data = make_data(3, 0, NULL), train, test;
    int left_out[3] = {0}, i;
    for (i = 0; i < 3000; i++) {
        if (!CHECK(split(&data, 0.67f, seed + (uint64_t)i, &train, &test) == NN_OK)) return;
        left_out[(int)test.x[0] % 3]++;
        free_both(&train, &test);
    }
    for (i = 0; i < 3; i++) CHECK(left_out[i] > 850 && left_out[i] < 1150);
}

static void test_split_refused(void)
{
    static const float fractions[] = {0, 1, -0.5f, 1.5f, 2, (float)NAN, (float)INFINITY};
    nn_data data = make_data(10, 0, NULL), train, test;
    size_t i;
    for (i = 0; i < sizeof fractions / sizeof *fractions; i++)
        CHECK(split(&data, fractions[i], 1, &train, &test) == NN_ERROR_OPTION);
    CHECK(split(&data, 0.01f, 1, &train, &test) == NN_ERROR_SIZE);
    CHECK(split(&data, 0.99f, 1, &train, &test) == NN_ERROR_SIZE);
    data.rows = 1;
    CHECK(split(&data, 0.5f, 1, &train, &test) == NN_ERROR_SIZE);
    CHECK(live_blocks == 0);
}

/* ---- nn_split_fold --------------------------------------------------------------------------- */

static void check_folds(const nn_data *data, int folds)
{
    static int seen[MOST];
    nn_fold fold;
    nn_data train, test;
    int i, once = 1, least = data->rows, most = 0;
    memset(seen, 0, sizeof seen);
    fold.folds = folds;
    fold.seed = seed;
    for (fold.fold = 0; fold.fold < folds; fold.fold++) {
        memset(&train, 0xa5, sizeof train);
        memset(&test, 0xa5, sizeof test);
        if (!CHECK(nn_split_fold(data, &fold, &train, &test) == NN_OK)) return;
        check_parts(&train, &test, data);
        count_rows(&test, data, seen);
        if (test.rows < least) least = test.rows;
        if (test.rows > most) most = test.rows;
        free_both(&train, &test);
    }
    for (i = 0; i < data->rows; i++) once = once && seen[i] == 1;
    CHECK(once);
    CHECK(most - least <= 1);
}

static void test_folds(void)
{
    static const int sizes[][4] = {{50, 50}, {61, 42}, {5, 4, 3}, {10, 11, 12, 13}};
    static const int classes[] = {2, 2, 3, 4}, rows[] = {100, 103, 12, 46};
    static const int folds[] = {2, 3, 5, 10, 12};
    size_t i, f;
    for (f = 0; f < sizeof folds / sizeof *folds; f++) {
        for (i = 0; i < sizeof rows / sizeof *rows; i++) {
            nn_data data = make_data(rows[i], classes[i], sizes[i]);
            check_folds(&data, folds[f]);
            data = make_data(rows[i], 0, NULL);
            data.weight = NULL;
            check_folds(&data, folds[f]);
        }
    }
    CHECK(live_blocks == 0);
}

static void test_fold_seeds(void)
{
    nn_data data = make_data(50, 0, NULL), a, b, c, a_test, b_test, c_test;
    nn_fold fold;
    fold.folds = 5;
    fold.fold = 1;
    fold.seed = seed;
    CHECK(nn_split_fold(&data, &fold, &a, &a_test) == NN_OK);
    CHECK(nn_split_fold(&data, &fold, &b, &b_test) == NN_OK);
    fold.seed = seed + 1;
    CHECK(nn_split_fold(&data, &fold, &c, &c_test) == NN_OK);
    CHECK(same_bits(&a, &b) && same_bits(&a_test, &b_test));
    CHECK(!same_bits(&a_test, &c_test));
    free_both(&a, &a_test);
    free_both(&b, &b_test);
    free_both(&c, &c_test);
}

static void test_fold_refused(void)
{
    static const int wrong[][2] = {{1, 0}, {0, 0}, {-2, 0}, {11, 0}, {5, -1}, {5, 5}, {2, 2}};
    nn_data data = make_data(10, 0, NULL), train, test;
    size_t i;
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        nn_fold fold;
        fold.folds = wrong[i][0];
        fold.fold = wrong[i][1];
        fold.seed = 1;
        memset(&train, 0xa5, sizeof train);
        memset(&test, 0xa5, sizeof test);
        CHECK(nn_split_fold(&data, &fold, &train, &test) == NN_ERROR_OPTION);
        check_zero(&train);
        check_zero(&test);
    }
    CHECK(live_blocks == 0);
}

/* ---- Scaling --------------------------------------------------------------------------------- */

enum { COLUMNS = 5, ROWS = 7 };

/* A model whose outputs are its inputs, so that nn_predict shows what the scaling did to them. */
static nn_model *make_identity(int inputs)
{
    nn_layer layer = NN_DENSE(inputs, NN_LINEAR);
    nn_model *model = NULL;
    nn_real *w;
    int i;
    if (!CHECK(nn_model_create(&model, inputs, &layer, 1, 1) == NN_OK)) return NULL;
    w = nn_parameters(model);
    for (i = 0; i < inputs * inputs; i++) w[i] = i % (inputs + 1) == 0;
    return model;
}

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
    nn_data data;
    memset(&data, 0, sizeof data);
    data.rows = ROWS;
    data.inputs = data.outputs = COLUMNS;
    data.x = data.y = table;
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
    nn_model *model = make_identity(COLUMNS);
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
    CHECK(live_blocks == 0);
}

/* nn_predict, nn_evaluate and nn_forward all see scaled inputs. */
static void test_scaling_everywhere(void)
{
    nn_model *model = make_identity(COLUMNS);
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
    CHECK(live_blocks == 0);
}

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
    nn_model *model = make_identity(1);
    nn_data train, validation;
    nn_real y[4];
    if (!model) return;
    memset(&train, 0, sizeof train);
    train.rows = 4;
    train.inputs = train.outputs = 1;
    train.x = train.y = narrow;
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
    CHECK(live_blocks == 0);
}

/* With validation_fraction 0.5 the one outlier is a validation row in about half of the runs, and
   then it must not have been seen: P(never or always in 40) is 2^-39. */
static void test_fraction_scales(void)
{
    static const nn_real values[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 1000};
    int i, unseen = 0;
    for (i = 0; i < 40; i++) {
        nn_options how = still_options();
        nn_model *model = make_identity(1);
        nn_data data;
        nn_real y = (nn_real)NAN;
        if (!model) return;
        memset(&data, 0, sizeof data);
        data.rows = 10;
        data.inputs = data.outputs = 1;
        data.x = data.y = values;
        how.validation_fraction = (nn_real)0.5;
        how.seed = seed + (uint64_t)i;
        CHECK(nn_fit(model, &data, &how) == NN_OK);
        CHECK(nn_predict(model, values + 9, 1, &y, NULL) == NN_OK);
        CHECK(y == 1 || y > 100);
        unseen += y > 100;
        nn_model_free(model);
    }
    CHECK(unseen > 4 && unseen < 36);
    CHECK(live_blocks == 0);
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
        nn_model *model = make_identity(1);
        nn_data data;
        nn_real y[4];
        if (!model) return;
        memset(&data, 0, sizeof data);
        data.rows = 4;
        data.inputs = data.outputs = 1;
        data.x = data.y = wide;
        if (nn_fit_scaling(model, &data, scalings[k]) == NN_OK) {
            CHECK(nn_predict(model, wide, 4, y, NULL) == NN_OK);
            for (i = 0; i < 4; i++) CHECK(isfinite(y[i]) && y[i] >= -3 && y[i] <= 3);
            CHECK(y[0] < y[2] && y[2] < y[1]);
        }
        nn_model_free(model);
    }
    CHECK(live_blocks == 0);
}

static void test_free(void)
{
    nn_data data = make_data(4, 0, NULL);
    nn_data_free(NULL);
    nn_data_free(&data); /* the caller's arrays: forgotten, not freed */
    check_zero(&data);
    nn_data_free(&data);
    CHECK(big_x[2] == 1 && live_blocks == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    RUN(test_sizes);
    RUN(test_stratified);
    RUN(test_ownership);
    RUN(test_seeds);
    RUN(test_uniform);
    RUN(test_split_refused);
    RUN(test_folds);
    RUN(test_fold_seeds);
    RUN(test_fold_refused);
    RUN(test_scaling_values);
    RUN(test_scaling_everywhere);
    RUN(test_fit_scales);
    RUN(test_fraction_scales);
    RUN(test_widest_column);
    RUN(test_free);
    if (test_failed) printf("seed %llu\n", (unsigned long long)seed);
    return test_done("test_split");
}
