/* Data: sets that no function takes, nn_split, nn_split_fold, nn_data_free. Usage: data [SEED] */
#include "refused.h"

enum { MOST = 1000 };

static uint64_t seed = 1;

/* ---- Sets that no function takes ------------------------------------------------------------- */

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
    nn_real x[GOOD_ROWS * GOOD_INPUTS], y[GOOD_ROWS];
    nn_data data = good_data();
    int i, k;
    if (!begin()) return;
    data.x = x;
    data.y = y;
    memcpy(y, good_y, sizeof y);
    for (i = 0; i < 3; i++) {
        for (k = 0; k < GOOD_ROWS * GOOD_INPUTS; k++) {
            memcpy(x, good_x, sizeof x);
            x[k] = not_finite[i];
            BAD_DATA(NN_ERROR_DATA);
        }
    }
    memcpy(x, good_x, sizeof x);
    for (k = 0; k < GOOD_ROWS; k++) {
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
    nn_real weight[GOOD_ROWS];
    nn_data data = good_data();
    int i, k;
    if (!begin()) return;
    data.weight = weight;
    for (i = 0; i < 4; i++) {
        for (k = 0; k < GOOD_ROWS; k++) {
            memcpy(weight, good_weight, sizeof weight);
            weight[k] = bad[i];
            BAD_DATA(NN_ERROR_WEIGHT);
        }
    }
    memset(weight, 0, sizeof weight);
    BAD_DATA(NN_ERROR_WEIGHT);
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
    nn_real y[GOOD_ROWS];
    nn_data data = good_data();
    int matrix[9];
    size_t i;
    if (!begin()) return;
    memset(matrix, 0x11, sizeof matrix);
    REFUSED(nn_confusion_matrix(good_model, &data, matrix), NN_ERROR_LABEL); /* classes not set */
    data.classes = 2;
    data.y = y;
    memcpy(y, good_y, sizeof y);
    y[GOOD_ROWS - 1] = 0.5f;
    BAD_DATA(NN_ERROR_LABEL);
    REFUSED(nn_confusion_matrix(good_model, &data, matrix), NN_ERROR_LABEL);
    y[GOOD_ROWS - 1] = 2;
    REFUSED(nn_confusion_matrix(good_model, &data, matrix), NN_ERROR_LABEL);
    y[GOOD_ROWS - 1] = R_NAN;
    REFUSED(nn_confusion_matrix(good_model, &data, matrix), NN_ERROR_DATA);
    data.y = good_y;
    for (i = 0; i < sizeof counts / sizeof *counts; i++) {
        data.classes = counts[i];
        BAD_DATA(NN_ERROR_LABEL);
        bad_split(&data, NN_ERROR_LABEL);
        REFUSED(nn_confusion_matrix(good_model, &data, matrix), NN_ERROR_LABEL);
    }
    data.outputs = 2; /* two outputs are two classes */
    data.classes = 3;
    bad_split(&data, NN_ERROR_LABEL);
    data.outputs = 1;
    data.classes = 2;
    REFUSED(nn_confusion_matrix(NULL, &data, matrix), NN_ERROR_NULL);
    REFUSED(nn_confusion_matrix(good_model, NULL, matrix), NN_ERROR_NULL);
    REFUSED(nn_confusion_matrix(good_model, &data, NULL), NN_ERROR_NULL);
    end();
}

/* Rows that are not one-hot, although the set has classes. */
static void test_one_hot(void)
{
    static const nn_real bad[][3] = {{0, 0, 0}, {1, 1, 0}, {1, 1, 1}, {0.5f, 0.5f, 0}, {2, 0, 0}};
    nn_real y[GOOD_ROWS * 3];
    nn_data data = good_data();
    nn_options how = good_options();
    nn_model *other = NULL;
    int matrix[9];
    size_t i;
    if (!begin() || !CHECK(nn_model_create(&other, GOOD_INPUTS, class_layers, 2, 1) == NN_OK))
        return;
    good_live = live_blocks;
    how.loss = NN_MSE;
    data.outputs = data.classes = 3;
    data.y = y;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(y, class_y, sizeof y);
        memcpy(y + 3 * (GOOD_ROWS - 1), bad[i], sizeof bad[i]);
        REFUSED(nn_fit(other, &data, &how), NN_ERROR_LABEL);
        REFUSED(nn_confusion_matrix(other, &data, matrix), NN_ERROR_LABEL);
    }
    nn_model_free(other);
    good_live = live_blocks;
    end();
}

/* ---- Rows that are known again --------------------------------------------------------------- */

/* Rows that say who they are: x = (i, i + 0.5), weight = i / 2 + 1. */
static nn_real big_x[2 * MOST], big_y[4 * MOST], big_weight[MOST];
static const char *const names[] = {"first", "second", "third", "fourth"};

/* class_sizes[classes] rows of each class, mixed; classes 0: `rows` rows, y = 3 i, 2 outputs. */
static nn_data numbered_rows(int rows, int classes, const int *class_sizes)
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

static void check_data_is_zero(const nn_data *data)
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
    check_data_is_zero(a);
    check_data_is_zero(b);
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
        check_data_is_zero(train);
        check_data_is_zero(test);
    }
    return status;
}

/* ---- nn_split -------------------------------------------------------------------------------- */

static void test_split_nulls(void)
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
            nn_data data = numbered_rows(cases[i].rows, 0, NULL), train, test;
            if (!weighted) data.weight = NULL;
            if (!CHECK(split(&data, cases[i].fraction, seed + i, &train, &test) == NN_OK)) continue;
            CHECK(train.rows == cases[i].train);
            check_parts(&train, &test, &data);
            free_both(&train, &test);
        }
    }
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
            nn_data data = numbered_rows(rows, classes[i], sizes[i]), train, test;
            if (!CHECK(split(&data, fractions[f], seed, &train, &test) == NN_OK)) continue;
            check_parts(&train, &test, &data);
            for (row = 0; row < train.rows; row++) in_train[class_of(&train, row)]++;
            for (k = 0; k < classes[i]; k++)
                CHECK(fabs(in_train[k] - (double)fractions[f] * sizes[i][k]) <= 1);
            if (rows % 100 == 0 && f == 0) CHECK(train.rows == rows / 2);
            free_both(&train, &test);
        }
    }
}

/* The parts own what they hold: the source may go first. */
static void test_ownership(void)
{
    static const int sizes[] = {20, 30, 50};
    nn_data data = numbered_rows(100, 3, sizes), first, rest, train, test;
    int seen[MOST] = {0};
    if (!CHECK(split(&data, 0.9f, seed, &first, &rest) == NN_OK)) return;
    if (!CHECK(split(&first, 0.5f, seed, &train, &test) == NN_OK)) return;
    free_both(&first, &rest);
    CHECK(train.rows == 45 && test.rows == 45);
    count_rows(&train, &data, seen);
    nn_data_free(&train);
    count_rows(&test, &data, seen);
    nn_data_free(&test);
}

static void test_seeds(void)
{
    static const int sizes[] = {60, 40};
    int classes;
    for (classes = 0; classes <= 2; classes += 2) {
        nn_data data = numbered_rows(100, classes, sizes), a, b, c, a_test, b_test, c_test;
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
    nn_data data = numbered_rows(3, 0, NULL), train, test;
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
    nn_data data = numbered_rows(10, 0, NULL), train, test;
    size_t i;
    for (i = 0; i < sizeof fractions / sizeof *fractions; i++)
        CHECK(split(&data, fractions[i], 1, &train, &test) == NN_ERROR_OPTION);
    CHECK(split(&data, 0.01f, 1, &train, &test) == NN_ERROR_SIZE);
    CHECK(split(&data, 0.99f, 1, &train, &test) == NN_ERROR_SIZE);
    data.rows = 1;
    CHECK(split(&data, 0.5f, 1, &train, &test) == NN_ERROR_SIZE);
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
            nn_data data = numbered_rows(rows[i], classes[i], sizes[i]);
            check_folds(&data, folds[f]);
            data = numbered_rows(rows[i], 0, NULL);
            data.weight = NULL;
            check_folds(&data, folds[f]);
        }
    }
}

static void test_fold_seeds(void)
{
    nn_data data = numbered_rows(50, 0, NULL), a, b, c, a_test, b_test, c_test;
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
    nn_data data = numbered_rows(10, 0, NULL), train, test;
    size_t i;
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        nn_fold fold;
        fold.folds = wrong[i][0];
        fold.fold = wrong[i][1];
        fold.seed = 1;
        memset(&train, 0xa5, sizeof train);
        memset(&test, 0xa5, sizeof test);
        CHECK(nn_split_fold(&data, &fold, &train, &test) == NN_ERROR_OPTION);
        check_data_is_zero(&train);
        check_data_is_zero(&test);
    }
}

/* The results may neither be the data nor each other. What was there stays. */
static void test_split_onto_itself(void)
{
    static const nn_fold fold = {2, 0, 1};
    nn_data data = good_data(), other = good_data(), same;
    memcpy(&same, &data, sizeof same); /* with the bytes between its fields */
    if (!begin()) return;
    CHECK(nn_split(&data, 0.5f, 1, &data, &other) == NN_ERROR_OPTION);
    CHECK(!memcmp(&data, &same, sizeof data) && data_is_zero(&other));
    other = good_data();
    CHECK(nn_split(&data, 0.5f, 1, &other, &data) == NN_ERROR_OPTION);
    CHECK(!memcmp(&data, &same, sizeof data) && data_is_zero(&other));
    other = good_data();
    CHECK(nn_split_fold(&data, &fold, &other, &other) == NN_ERROR_OPTION && data_is_zero(&other));
    CHECK(!memcmp(&data, &same, sizeof data));
    end();
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* Whether data whose second input has the name fits a model whose inputs have names. */
static nn_status fits_named(const char *own, const char *name)
{
    const nn_layer layer = dense_layer(1, NN_LINEAR);
    const char *names[2];
    nn_real x[4] = {1, 2, 3, 4}, y[2] = {1, 2};
    char row[100];
    nn_data data = make_data(x, y, 2, 2, 1);
    nn_model *model = make_model(2, &layer, 1, 1);
    nn_metrics metrics;
    nn_status status;
    sprintf(row, "a,%s", own);
    names[0] = "a";
    names[1] = name;
    data.input_names = names;
    CHECK(nn_set_metadata(model, "input_names", row) == NN_OK);
    status = nn_evaluate(model, &data, NULL, &metrics);
    nn_model_free(model);
    return status;
}

/* x2 is what a table without a header calls its second input: it fits any name but another such. */
static void test_made_up_names(void)
{
    static const char *const others[] = {"x1",  "x3", "x02",         "x",          "x2a",
                                         "X2",  "y2", "x22",         "x-2",        "x/",
                                         "x2:", "",   "x4294967298", "x1000000002"};
    int i;
    CHECK(fits_named("b", "b") == NN_OK);
    CHECK(fits_named("b", "x2") == NN_OK);
    CHECK(fits_named("x2", "b") == NN_OK);
    CHECK(fits_named("x2", "x2") == NN_OK);
    CHECK(fits_named("x3", "x2") == NN_ERROR_SHAPE);
    CHECK(fits_named("x2", "x3") == NN_ERROR_SHAPE);
    for (i = 0; i < COUNT_OF(others); i++) CHECK(fits_named("b", others[i]) == NN_ERROR_SHAPE);
    CHECK(fits_named("b", NULL) == NN_ERROR_NULL);
}

/* Classes by name: as many as the model's, and none missing. Names without classes are not kept. */
static void test_class_names(void)
{
    static const char *const two[] = {"no", "yes"};
    const char *broken[2] = {"no", NULL};
    const nn_layer layer = dense_layer(1, NN_LINEAR);
    nn_real x[2] = {1, 2}, y[2] = {0, 1};
    nn_data data = make_data(x, y, 2, 1, 1);
    nn_model *model = make_model(1, &layer, 1, 1);
    nn_metrics metrics;
    nn_options how = make_options(NN_MSE, NN_SGD, 0);
    how.epochs = 1;
    data.class_names = two;
    CHECK(nn_fit(model, &data, &how) == NN_OK && !nn_class_name(model, 0));
    data.classes = 2;
    data.class_names = broken;
    CHECK(nn_evaluate(model, &data, NULL, &metrics) == NN_ERROR_NULL);
    data.class_names = two;
    CHECK(nn_evaluate(model, &data, NULL, &metrics) == NN_OK);
    CHECK(nn_set_metadata(model, "class_names", "one") == NN_OK);
    CHECK(nn_evaluate(model, &data, NULL, &metrics) == NN_ERROR_LABEL);
    nn_model_free(model);
}

/* ---- nn_data_free ---------------------------------------------------------------------------- */

static void test_free(void)
{
    nn_data data = numbered_rows(4, 0, NULL);
    nn_data_free(NULL);
    nn_data_free(&data); /* the caller's arrays: forgotten, not freed */
    check_data_is_zero(&data);
    nn_data_free(&data);
    CHECK(big_x[2] == 1 && live_blocks == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    RUN(test_data_shapes);
    RUN(test_data_values);
    RUN(test_weights);
    RUN(test_labels);
    RUN(test_one_hot);
    RUN(test_split_nulls);
    RUN(test_sizes);
    RUN(test_stratified);
    RUN(test_ownership);
    RUN(test_seeds);
    RUN(test_uniform);
    RUN(test_split_refused);
    RUN(test_folds);
    RUN(test_fold_seeds);
    RUN(test_fold_refused);
    RUN(test_split_onto_itself);
    RUN(test_made_up_names);
    RUN(test_class_names);
    RUN(test_free);
    if (test_failed) printf("seed %llu\n", (unsigned long long)seed);
    return test_done();
}
