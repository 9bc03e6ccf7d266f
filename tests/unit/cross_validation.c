/* nn_cross_validate: its parts cover the rows, and none is tested on rows that it was trained on.
   Usage: cross_validation [SEED] */
#include "../fixtures.h"

#ifdef NN_DOUBLE
#define EXACT 1e-12
#else
#define EXACT 4e-7
#endif

static uint64_t seed = 1;

enum { FOLD_ROWS = 53 };

static void separable(nn_real *x, nn_real *y, int at_random)
{
    int i;
    random_state = seed;
    for (i = 0; i < FOLD_ROWS; i++) {
        y[i] = (nn_real)(uniform(0, 1) < 0.5);
        x[2 * i] = (nn_real)(uniform(-1, 1) + (at_random ? 0 : 3 * ((double)y[i] - 0.5)));
        x[2 * i + 1] = (nn_real)uniform(-1, 1);
    }
}

static void cross_validate(const nn_data *data, uint64_t order, int epochs, nn_metrics *results)
{
    static const nn_layer layers[2] = {NN_DENSE(24, NN_TANH), NN_DENSE(1, NN_SIGMOID)};
    nn_shape shape;
    nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_ADAM, 0.03);
    memset(results, 0xFF, 5 * sizeof *results);
    shape.inputs = 2;
    shape.layers = layers;
    shape.count = 2;
    how.batch_size = 8;
    how.epochs = epochs;
    how.seed = order;
    CHECK(nn_cross_validate(&shape, data, &how, 5, results) == NN_OK);
}

/* The parts cover the rows; a seed repeats to the bit, another one differs. */
static void test_cross_validate(void)
{
    nn_real x[2 * FOLD_ROWS] = {0}, y[FOLD_ROWS] = {0};
    nn_data data = make_data(x, y, FOLD_ROWS, 2, 1);
    nn_metrics a[5], b[5], c[5];
    int i, rows = 0, correct = 0;
    data.classes = 2;
    separable(x, y, 0);
    cross_validate(&data, 1, 40, a);
    cross_validate(&data, 1, 40, b);
    cross_validate(&data, 2, 40, c);
    for (i = 0; i < 5; i++) {
        CHECK(a[i].rows >= FOLD_ROWS / 5 - 1 && a[i].rows <= FOLD_ROWS / 5 + 2);
        rows += a[i].rows;
        correct += a[i].correct;
        CHECK_NEAR(a[i].accuracy, (double)a[i].correct / a[i].rows, EXACT, 1e-300);
    }
    CHECK(rows == FOLD_ROWS);
    CHECK(correct >= FOLD_ROWS - 2); /* the classes lie one apart */
    for (i = 0; i < 5; i++) CHECK(a[i].loss == b[i].loss && a[i].auc == b[i].auc);
    CHECK(a[0].loss != c[0].loss && a[4].loss != c[4].loss);
}

/* Labels by chance cannot be predicted: rows of the part in the training would show as accuracy
   near 1, for the net does learn its training rows by heart. */
static void test_cross_validate_is_honest(void)
{
    nn_real x[2 * FOLD_ROWS] = {0}, y[FOLD_ROWS] = {0};
    nn_data data = make_data(x, y, FOLD_ROWS, 2, 1);
    nn_metrics a[5];
    int i, correct = 0;
    data.classes = 2;
    separable(x, y, 1);
    cross_validate(&data, 1, 300, a);
    for (i = 0; i < 5; i++) correct += a[i].correct;
    CHECK(correct < FOLD_ROWS * 3 / 4); /* 3.6 standard deviations above one half */
}

static void test_cross_validate_limits(void)
{
    static const nn_layer layer = NN_DENSE(1, NN_LINEAR);
    static const nn_real x[3] = {1, 2, 3};
    nn_data data = make_data(x, x, 3, 1, 1);
    nn_metrics results[4];
    nn_shape shape;
    shape.inputs = 1;
    shape.layers = &layer;
    shape.count = 1;
    CHECK(nn_cross_validate(&shape, &data, NULL, 3, results) == NN_OK); /* leave one out */
    CHECK(nn_cross_validate(&shape, &data, NULL, 1, results) != NN_OK);
    CHECK(nn_cross_validate(&shape, &data, NULL, 4, results) != NN_OK);
    CHECK(nn_cross_validate(&shape, &data, NULL, 3, NULL) == NN_ERROR_NULL);
}

/* A history keeps the epochs of the folds up to the one that diverges, and nothing of a call that
   is refused. */
static void test_cross_validate_history(void)
{
    static const nn_layer layer = NN_DENSE(1, NN_LINEAR);
    static const nn_real x[4] = {1, 2, 3, 4};
    nn_epoch epochs[8];
    nn_history history = {epochs, 8, 0};
    nn_data data = make_data(x, x, 4, 1, 1);
    nn_options how = make_options(NN_MSE, NN_SGD, sizeof(nn_real) == 4 ? 1e30 : 1e300);
    nn_metrics results[2];
    nn_shape shape;
    shape.inputs = 1;
    shape.layers = &layer;
    shape.count = 1;
    how.epochs = 4;
    how.history = &history;
    CHECK(nn_cross_validate(&shape, &data, &how, 2, results) == NN_ERROR_DIVERGED);
    CHECK(history.count < 4 && all_zero(results, sizeof results));
    how.learning_rate = (nn_real)0.01;
    history.count = 0;
    CHECK(nn_cross_validate(&shape, &data, &how, 2, results) == NN_OK && history.count == 8);
    CHECK(nn_cross_validate(&shape, &data, &how, 2, results) == NN_ERROR_BLOCK);
    CHECK(history.count == 8);
}

int main(int argc, char **argv)
{
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    RUN(test_cross_validate);
    RUN(test_cross_validate_is_honest);
    RUN(test_cross_validate_limits);
    RUN(test_cross_validate_history);
    return test_done();
}
