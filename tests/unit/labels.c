/* Classes as labels, one int a row: the same bits as the same classes in y, in less memory; and
   data whose targets are not known. */
#include "refused.h"

enum { ROWS = 61, INPUTS = 3, MOST_CLASSES = 70, EPOCHS = 3 };

static nn_real x[ROWS * INPUTS], one_hot[ROWS * MOST_CLASSES], weight[ROWS];
static int labels[ROWS];

/* Rows of two or more classes, with the targets in y. */
static nn_data numbers(int classes, int outputs)
{
    nn_data data = make_data(x, one_hot, ROWS, INPUTS, outputs);
    int i;
    random_state = 5;
    memset(one_hot, 0, sizeof one_hot);
    for (i = 0; i < ROWS; i++) {
        labels[i] = i < classes ? i : random_below(classes);
        weight[i] = (nn_real)(random_below(4) / 2.0);
        if (outputs == 1)
            one_hot[i] = (nn_real)labels[i];
        else
            one_hot[i * outputs + labels[i]] = 1;
    }
    for (i = 0; i < ROWS * INPUTS; i++)
        x[i] = (nn_real)(uniform(-2, 2) + labels[i / INPUTS] % (i % INPUTS + 2));
    data.classes = classes;
    return data;
}

/* The same rows with labels. */
static nn_data labelled(nn_data data)
{
    data.y = NULL;
    data.labels = labels;
    return data;
}

/* ---- The same bits --------------------------------------------------------------------------- */

/* Equal, or both NaN. */
static int same(nn_real a, nn_real b)
{
    return !memcmp(&a, &b, sizeof a) || (a != a && b != b);
}

static void check_metrics(const nn_metrics *a, const nn_metrics *b)
{
    CHECK(same(a->loss, b->loss) && a->rows == b->rows && a->correct == b->correct);
    CHECK(same(a->accuracy, b->accuracy) && same(a->precision, b->precision));
    CHECK(same(a->recall, b->recall) && same(a->f1, b->f1) && same(a->auc, b->auc));
    CHECK(same(a->macro_precision, b->macro_precision) && same(a->macro_recall, b->macro_recall));
    CHECK(same(a->macro_f1, b->macro_f1) && same(a->mse, b->mse) && same(a->mae, b->mae));
    CHECK(same(a->r2, b->r2));
    CHECK(a->rows > 0 && a->accuracy >= 0 && isfinite(a->loss) && isfinite(a->mse));
}

/* What a callback saw. */
typedef struct history {
    nn_real seen[4 * EPOCHS * (ROWS + 1)];
    int count;
} history;

static int remember(const nn_progress *progress, void *user)
{
    history *h = (history *)user;
    if (!CHECK(h->count + 4 <= COUNT_OF(h->seen))) return 1;
    h->seen[h->count++] = progress->loss;
    h->seen[h->count++] = progress->accuracy;
    h->seen[h->count++] = progress->validation_loss;
    h->seen[h->count++] = progress->validation_accuracy;
    return 0;
}

/* Trains and measures with both forms. `validation` is 0: none, 1: a share, 2: a set in the other
   form. */
static void check_fit(const nn_layer *layers, const nn_data *data, nn_options how, int validation)
{
    static history histories[2];
    static int matrices[2][MOST_CLASSES * MOST_CLASSES];
    const nn_data other = labelled(*data);
    const nn_data *forms[2];
    nn_model *models[2];
    nn_metrics metrics[2], folds[2][3];
    nn_shape shape = {INPUTS, NULL, 2};
    int i;
    forms[0] = data;
    forms[1] = &other;
    shape.layers = layers;
    if (validation == 1) how.validation_fraction = 0.25f;
    if (validation) how.patience = 2;
    memset(metrics, 0xa5, sizeof metrics);
    for (i = 0; i < 2; i++) {
        models[i] = make_model(INPUTS, layers, 2, 1);
        histories[i].count = 0;
        how.callback = remember;
        how.callback_batches = 1;
        how.user = &histories[i];
        if (validation == 2) how.validation = forms[1 - i];
        CHECK(nn_fit(models[i], forms[i], &how) == NN_OK);
        CHECK(nn_evaluate(models[i], forms[i], &how, &metrics[i]) == NN_OK);
        CHECK(nn_confusion_matrix(models[i], forms[i], matrices[i]) == NN_OK);
        how.validation = NULL;
        how.callback = NULL;
        how.callback_batches = 0;
        if (!validation) CHECK(nn_cross_validate(&shape, forms[i], &how, 3, folds[i]) == NN_OK);
    }
    CHECK(same_parameters(models[0], models[1]));
    CHECK(histories[0].count == histories[1].count && histories[0].count > 8);
    for (i = 0; i < histories[0].count; i++)
        CHECK(same(histories[0].seen[i], histories[1].seen[i]));
    check_metrics(&metrics[0], &metrics[1]);
    CHECK(!memcmp(matrices[0], matrices[1],
                  (size_t)data->classes * (size_t)data->classes * sizeof(int)));
    for (i = 0; i < 3 && !validation; i++) check_metrics(&folds[0][i], &folds[1][i]);
    nn_model_free(models[0]);
    nn_model_free(models[1]);
}

/* Every loss with every kind of outputs that takes classes. */
static const struct form {
    nn_loss loss;
    nn_activation last;
    int classes, outputs;
    float smoothing;
} forms[] = {
    {NN_BINARY_CROSS_ENTROPY, NN_SIGMOID, 2, 1, 0},
    {NN_BINARY_CROSS_ENTROPY, NN_SIGMOID, 2, 1, 0.1f},
    {NN_BINARY_CROSS_ENTROPY, NN_SIGMOID, 2, 2, 0},
    {NN_BINARY_CROSS_ENTROPY, NN_SIGMOID, 5, 5, 0.25f},
    {NN_BINARY_CROSS_ENTROPY, NN_SIGMOID, 5, 5, 0},
    {NN_CROSS_ENTROPY, NN_SOFTMAX, 2, 2, 0},
    {NN_CROSS_ENTROPY, NN_SOFTMAX, 2, 2, 0.125f},
    {NN_CROSS_ENTROPY, NN_SOFTMAX, 3, 3, 0},
    {NN_CROSS_ENTROPY, NN_SOFTMAX, 17, 17, 0},
    {NN_CROSS_ENTROPY, NN_SOFTMAX, 17, 17, 0.1f},
    {NN_CROSS_ENTROPY, NN_SOFTMAX, MOST_CLASSES, MOST_CLASSES, 0},
    {NN_CROSS_ENTROPY, NN_SOFTMAX, MOST_CLASSES, MOST_CLASSES, 0.3f},
    {NN_MSE, NN_SIGMOID, 2, 1, 0},
    {NN_MSE, NN_SOFTMAX, 4, 4, 0},
    {NN_MSE, NN_LINEAR, 9, 9, 0},
    {NN_HUBER, NN_LINEAR, 2, 1, 0},
    {NN_HUBER, NN_TANH, 4, 4, 0},
    {NN_MAE, NN_LINEAR, 2, 2, 0},
    {NN_MAE, NN_GELU, 5, 5, 0},
    {NN_QUANTILE, NN_LINEAR, 2, 1, 0},
    {NN_QUANTILE, NN_SIGMOID, 16, 16, 0},
};

static void test_same_bits(void)
{
    static const struct {
        int batch, micro;
    } batches[] = {{1, 0}, {8, 0}, {13, 4}, {ROWS, 0}};
    size_t i, k;
    for (i = 0; i < sizeof forms / sizeof *forms; i++) {
        const struct form *f = &forms[i];
        nn_data data = numbers(f->classes, f->outputs);
        nn_layer layers[2];
        layers[0] = dense_layer(7, NN_TANH);
        layers[1] = dense_layer(f->outputs, f->last);
        for (k = 0; k < sizeof batches / sizeof *batches; k++) {
            nn_options how = make_options(f->loss, NN_ADAM, 0.01);
            int weighted, validation;
            how.epochs = EPOCHS;
            how.batch_size = batches[k].batch;
            how.micro_batch_size = batches[k].micro;
            how.label_smoothing = (nn_real)f->smoothing;
            if (f->loss == NN_HUBER) how.huber_delta = 0.5f;
            if (f->loss == NN_QUANTILE) how.quantile = 0.75f;
            if (k == 1) how.scaling = NN_SCALE_STANDARD;
            for (weighted = 0; weighted < 2; weighted++) {
                data.weight = weighted ? weight : NULL;
                for (validation = 0; validation < 3; validation++)
                    check_fit(layers, &data, how, validation);
            }
        }
    }
}

/* The gradient and the loss of nn_accumulate, which nothing has averaged or clipped. */
static void test_gradients(void)
{
    size_t i;
    int k;
    for (i = 0; i < sizeof forms / sizeof *forms; i++) {
        const struct form *f = &forms[i];
        const nn_data data = numbers(f->classes, f->outputs), other = labelled(data);
        nn_options how = make_options(f->loss, NN_SGD, 0);
        nn_layer layers[2];
        nn_model *model;
        nn_trainer *trainers[2];
        nn_real losses[2] = {R_NAN, R_NAN};
        layers[0] = dense_layer(7, NN_TANH);
        layers[1] = dense_layer(f->outputs, f->last);
        model = make_model(INPUTS, layers, 2, 3);
        how.batch_size = ROWS;
        how.label_smoothing = (nn_real)f->smoothing;
        for (k = 0; k < 2; k++) {
            trainers[k] = make_trainer(model, &how);
            CHECK(nn_accumulate(trainers[k], k ? &other : &data, &losses[k]) == NN_OK);
        }
        CHECK(losses[0] > 0 && same(losses[0], losses[1]));
        CHECK(!all_zero(nn_gradients(trainers[0]), nn_parameter_count(model) * sizeof(nn_real)));
        CHECK(!memcmp(nn_gradients(trainers[0]), nn_gradients(trainers[1]),
                      nn_parameter_count(model) * sizeof(nn_real)));
        nn_trainer_free(trainers[0]);
        nn_trainer_free(trainers[1]);
        nn_model_free(model);
    }
}

/* Outputs that overflow: the same losses and the same refusals. */
static void test_overflow(void)
{
    static const nn_activation last[] = {NN_SIGMOID, NN_SOFTMAX, NN_LINEAR};
    static const nn_loss losses[] = {NN_BINARY_CROSS_ENTROPY, NN_CROSS_ENTROPY, NN_MSE};
    static const double huge[] = {1e30, -1e30};
    int i, k, n;
    for (i = 0; i < 3; i++) {
        for (k = 0; k < 2; k++) {
            const nn_data data = numbers(3, 3), other = labelled(data);
            const nn_layer layer = dense_layer(3, last[i]);
            nn_options how = make_options(losses[i], NN_SGD, 0);
            nn_metrics a, b;
            nn_status status;
            nn_model *model = make_model(INPUTS, &layer, 1, 1);
            for (n = 0; n < 9; n++)
                nn_parameters(model)[n] = (nn_real)(huge[k] * (n % 3 == 1 ? 1e8 : 1));
            status = nn_evaluate(model, &data, &how, &a);
            CHECK(nn_evaluate(model, &other, &how, &b) == status);
            CHECK(status == NN_ERROR_DATA || (sizeof(nn_real) == 8 && status == NN_OK));
            CHECK(same(a.loss, b.loss) && same(a.mse, b.mse) && a.correct == b.correct);
            status = nn_fit(model, &data, &how);
            CHECK(nn_fit(model, &other, &how) == status);
            nn_model_free(model);
        }
    }
}

/* So many rows at a time that threads share their losses, where the compiler was asked for them. */
static void test_many_rows(void)
{
    enum { COUNT = 5000, CLASSES = 40 };
    static nn_real many_x[COUNT * INPUTS], many_y[COUNT * CLASSES];
    static int many_labels[COUNT];
    const nn_layer layer = dense_layer(CLASSES, NN_SOFTMAX);
    nn_options how = make_options(NN_CROSS_ENTROPY, NN_ADAM, 0);
    nn_data data = make_data(many_x, many_y, COUNT, INPUTS, CLASSES), other;
    nn_metrics metrics[2];
    int i, smooth;
    for (i = 0; i < COUNT * INPUTS; i++) many_x[i] = (nn_real)uniform(-1, 1);
    for (i = 0; i < COUNT; i++) many_y[i * CLASSES + (many_labels[i] = i * 7 % CLASSES)] = 1;
    data.classes = CLASSES;
    other = data;
    other.y = NULL;
    other.labels = many_labels;
    how.batch_size = COUNT - 1;
    how.epochs = EPOCHS;
    for (smooth = 0; smooth < 2; smooth++) {
        nn_model *a = make_model(INPUTS, &layer, 1, 1), *b = make_model(INPUTS, &layer, 1, 1);
        how.label_smoothing = smooth ? 0.1f : 0;
        CHECK(nn_fit(a, &data, &how) == NN_OK && nn_fit(b, &other, &how) == NN_OK);
        CHECK(same_parameters(a, b));
        CHECK(nn_evaluate(a, &data, &how, &metrics[0]) == NN_OK);
        CHECK(nn_evaluate(b, &other, &how, &metrics[1]) == NN_OK);
        check_metrics(&metrics[0], &metrics[1]);
        nn_model_free(a);
        nn_model_free(b);
    }
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* No array of rows x classes is allocated, by any function. */
static void test_memory(void)
{
    enum { COUNT = 4000, CLASSES = 500 };
    static nn_real many_x[COUNT];
    static int many_labels[COUNT];
    static const nn_layer layer[] = {NN_DENSE(CLASSES, NN_SOFTMAX)};
    static int matrix[CLASSES * CLASSES];
    const nn_shape shape = {1, layer, 1};
    nn_options how = make_options(NN_CROSS_ENTROPY, NN_ADAM, 0);
    nn_data data = make_data(many_x, NULL, COUNT, 1, CLASSES), train, test;
    nn_metrics metrics[2];
    nn_model *model = make_model(1, layer, 1, 1);
    const size_t before = heap_limit;
    int i;
    for (i = 0; i < COUNT; i++) {
        many_labels[i] = i % CLASSES;
        many_x[i] = (nn_real)many_labels[i] / CLASSES;
    }
    data.labels = many_labels;
    data.classes = CLASSES;
    how.epochs = 1;
    how.scaling = NN_SCALE_STANDARD;
    how.validation_fraction = 0.5f;
    heap_limit = CLASSES * CLASSES * sizeof(int) + CLASSES * 256; /* for the confusion matrix */
    CHECK(heap_limit < (size_t)COUNT / 4 * CLASSES * sizeof(nn_real));
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(nn_evaluate(model, &data, &how, metrics) == NN_OK);
    CHECK(nn_confusion_matrix(model, &data, matrix) == NN_OK);
    CHECK(nn_cross_validate(&shape, &data, &how, 2, metrics) == NN_OK);
    if (CHECK(nn_split(&data, 0.5f, 1, &train, &test) == NN_OK)) {
        CHECK(train.labels && test.labels && !train.y && !test.y);
        for (i = 0; i < train.rows; i++) CHECK(train.x[i] == (nn_real)train.labels[i] / CLASSES);
        nn_data_free(&train);
        nn_data_free(&test);
    }
    heap_limit = before;
    nn_model_free(model);
}

/* ---- Splits ---------------------------------------------------------------------------------- */

static void check_part(const nn_data *a, const nn_data *b)
{
    int i;
    CHECK(a->rows == b->rows && a->outputs == b->outputs && a->classes == b->classes);
    CHECK(!memcmp(a->x, b->x, (size_t)(a->rows * INPUTS) * sizeof(nn_real)));
    CHECK(!memcmp(a->weight, b->weight, (size_t)a->rows * sizeof(nn_real)));
    CHECK(a->y && !a->labels && b->labels && !b->y);
    for (i = 0; i < a->rows; i++)
        CHECK(a->outputs == 1 ? a->y[i] == (nn_real)b->labels[i]
                              : a->y[i * a->outputs + b->labels[i]] == 1);
}

/* The same rows in the same order as with y, by nn_split and by nn_split_fold. */
static void test_split(void)
{
    static const int classes[] = {2, 3, 17};
    int i, k;
    for (i = 0; i < COUNT_OF(classes); i++) {
        nn_data data = numbers(classes[i], classes[i] == 2 ? 1 : classes[i]), other;
        data.weight = weight;
        other = labelled(data);
        for (k = 0; k < 5; k++) {
            nn_data train[2], test[2];
            nn_fold fold = {4, 0, 9};
            fold.fold = k;
            if (k < 4) {
                CHECK(nn_split_fold(&data, &fold, &train[0], &test[0]) == NN_OK);
                CHECK(nn_split_fold(&other, &fold, &train[1], &test[1]) == NN_OK);
            } else {
                CHECK(nn_split(&data, 0.7f, 3, &train[0], &test[0]) == NN_OK);
                CHECK(nn_split(&other, 0.7f, 3, &train[1], &test[1]) == NN_OK);
            }
            check_part(&train[0], &train[1]);
            check_part(&test[0], &test[1]);
            nn_data_free(&train[0]);
            nn_data_free(&train[1]);
            nn_data_free(&test[0]);
            nn_data_free(&test[1]);
        }
    }
}

/* Names and the recipe, in the parts' own memory. What was counted while reading stays behind. */
static void test_texts(void)
{
    static const char *const inputs[] = {"a", "", "a longer name, with \"quotes\""};
    static const char *const classes[] = {"no", "yes"};
    nn_data data = labelled(numbers(2, 1)), part[2], half[2];
    char recipe[] = "header\nmean,1.5\n";
    int i, k;
    data.input_names = inputs;
    data.class_names = classes;
    data.recipe = recipe;
    data.dropped = data.imputed = data.unknown = 3;
    if (!CHECK(nn_split(&data, 0.5f, 1, &part[0], &part[1]) == NN_OK)) return;
    memset(recipe, 'x', sizeof recipe - 1);
    if (!CHECK(nn_split(&part[0], 0.5f, 1, &half[0], &half[1]) == NN_OK)) return;
    nn_data_free(&part[0]);
    part[0] = half[0];
    for (i = 0; i < 2; i++) {
        CHECK(part[i].input_names != inputs && part[i].class_names != classes);
        for (k = 0; k < INPUTS; k++) CHECK(!strcmp(part[i].input_names[k], inputs[k]));
        for (k = 0; k < 2; k++) CHECK(!strcmp(part[i].class_names[k], classes[k]));
        CHECK(part[i].recipe && !strcmp(part[i].recipe, "header\nmean,1.5\n"));
        CHECK(!part[i].dropped && !part[i].imputed && !part[i].unknown);
    }
    nn_data_free(&part[0]);
    nn_data_free(&part[1]);
    nn_data_free(&half[1]);
}

/* ---- Data without targets -------------------------------------------------------------------- */

/* It is divided as rows without classes are. */
static void test_unknown_targets(void)
{
    nn_data data = numbers(2, 1), train[2], test[2];
    nn_model *model = make_line(INPUTS);
    nn_real y[ROWS], expected[ROWS];
    nn_metrics metrics[3];
    const nn_shape *shape = &binary_shape;
    int i, outputs;
    CHECK(nn_predict(model, x, ROWS, expected, NULL) == NN_OK);
    data.classes = 0;
    CHECK(nn_split(&data, 0.5f, 1, &train[0], &test[0]) == NN_OK);
    data.y = NULL;
    for (outputs = 0; outputs < 3; outputs++) {
        data.outputs = outputs;
        data.classes = outputs ? 2 : 0;
        CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
        CHECK(nn_fit_scaling(model, NULL, NN_SCALE_NONE) == NN_OK);
        memset(y, 0xff, sizeof y);
        CHECK(nn_predict_data(model, &data, y, NULL) == NN_OK);
        CHECK(!memcmp(y, expected, sizeof y));
        if (!CHECK(nn_split(&data, 0.5f, 1, &train[1], &test[1]) == NN_OK)) continue;
        CHECK(!train[1].y && !train[1].labels && train[1].rows == train[0].rows);
        for (i = 0; i < train[0].rows * INPUTS; i++) CHECK(train[0].x[i] == train[1].x[i]);
        for (i = 0; i < test[0].rows * INPUTS; i++) CHECK(test[0].x[i] == test[1].x[i]);
        nn_data_free(&train[1]);
        nn_data_free(&test[1]);
        /* All else needs them. */
        if (outputs == 0) continue;
        CHECK(nn_fit(model, &data, NULL) == NN_ERROR_NULL);
        CHECK(nn_evaluate(model, &data, NULL, metrics) == NN_ERROR_NULL);
        CHECK(nn_cross_validate(shape, &data, NULL, 3, metrics) == NN_ERROR_NULL);
    }
    data.outputs = -1;
    CHECK(nn_split(&data, 0.5f, 1, &train[1], &test[1]) == NN_ERROR_SIZE);
    nn_data_free(&train[0]);
    nn_data_free(&test[0]);
    nn_model_free(model);
}

static void test_predict_data(void)
{
    nn_data data = good_data();
    nn_real y[GOOD_ROWS], expected[GOOD_ROWS], wrong[GOOD_ROWS * GOOD_INPUTS];
    uint64_t scratch[256];
    if (!begin()) return;
    CHECK(nn_predict(good_model, good_x, GOOD_ROWS, expected, NULL) == NN_OK);
    memset(y, 0xff, sizeof y);
    CHECK(nn_scratch_size(good_model, GOOD_ROWS) <= sizeof scratch);
    CHECK(nn_predict_data(good_model, &data, y, scratch) == NN_OK);
    CHECK(!memcmp(y, expected, sizeof y));
    REFUSED(nn_predict_data(NULL, &data, y, NULL), NN_ERROR_NULL);
    REFUSED(nn_predict_data(good_model, NULL, y, NULL), NN_ERROR_NULL);
    REFUSED(nn_predict_data(good_model, &data, NULL, NULL), NN_ERROR_NULL);
    REFUSED(nn_predict_data(good_model, &data, y, (char *)scratch + 1), NN_ERROR_BLOCK);
    data.inputs = GOOD_INPUTS + 1;
    REFUSED(nn_predict_data(good_model, &data, y, NULL), NN_ERROR_SHAPE);
    data.inputs = GOOD_INPUTS - 1;
    REFUSED(nn_predict_data(good_model, &data, y, NULL), NN_ERROR_SHAPE);
    data = good_data();
    data.rows = 0;
    REFUSED(nn_predict_data(good_model, &data, y, NULL), NN_ERROR_SIZE);
    data = good_data();
    data.x = NULL;
    REFUSED(nn_predict_data(good_model, &data, y, NULL), NN_ERROR_NULL);
    memcpy(wrong, good_x, sizeof wrong);
    wrong[3] = R_NAN;
    data.x = wrong;
    REFUSED(nn_predict_data(good_model, &data, y, NULL), NN_ERROR_DATA);
    CHECK(!memcmp(y, expected, sizeof y));
    end();
}

/* ---- Refused --------------------------------------------------------------------------------- */

/* What bad_data tries, and the functions that divide data. */
static void bad_labels(const nn_data *data, nn_status expected, int line)
{
    static const nn_fold fold = {2, 0, 1};
    nn_data train, test;
    bad_data(data, expected, line);
    memset(&train, 0xa5, sizeof train);
    memset(&test, 0xa5, sizeof test);
    REFUSED(nn_split(data, 0.5f, 1, &train, &test), expected);
    CHECK(data_is_zero(&train) && data_is_zero(&test));
    memset(&train, 0xa5, sizeof train);
    memset(&test, 0xa5, sizeof test);
    REFUSED(nn_split_fold(data, &fold, &train, &test), expected);
    CHECK(data_is_zero(&train) && data_is_zero(&test));
}

static void test_refused(void)
{
    static const int outside[] = {-1, 2, INT_MAX, INT_MIN};
    int own[GOOD_ROWS] = {0, 1, 1, 0, 1, 0}, i, k;
    int matrix[4];
    nn_data data = good_data();
    if (!begin()) return;
    data.y = NULL;
    data.labels = own;
    data.classes = 2;
    for (i = 0; i < COUNT_OF(outside); i++)
        for (k = 0; k < GOOD_ROWS; k++) {
            const int right = own[k];
            own[k] = outside[i];
            bad_labels(&data, NN_ERROR_LABEL, __LINE__);
            REFUSED(nn_confusion_matrix(good_model, &data, matrix), NN_ERROR_LABEL);
            own[k] = right;
        }
    data.classes = 0; /* labels are of classes */
    bad_labels(&data, NN_ERROR_LABEL, __LINE__);
    data.classes = 1;
    bad_labels(&data, NN_ERROR_LABEL, __LINE__);
    data.classes = 3;
    bad_labels(&data, NN_ERROR_LABEL, __LINE__);
    data.classes = -2;
    bad_labels(&data, NN_ERROR_LABEL, __LINE__);
    data.classes = 2;
    data.y = good_y;
    bad_labels(&data, NN_ERROR_OPTION, __LINE__);
    data.labels = NULL;
    data.y = NULL;
    BAD_DATA(NN_ERROR_NULL);
    end();
}

int main(void)
{
    RUN(test_same_bits);
    RUN(test_gradients);
    RUN(test_overflow);
    RUN(test_many_rows);
    RUN(test_memory);
    RUN(test_split);
    RUN(test_texts);
    RUN(test_unknown_targets);
    RUN(test_predict_data);
    RUN(test_refused);
    return test_done();
}
