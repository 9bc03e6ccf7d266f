/* nn_importance: against nn_evaluate of permuted data, against what is known of a linear model, and
   which rows take part. */
#include "refused.h"

enum { MOST_ROWS = 203 };

/* ---- Against nn_evaluate --------------------------------------------------------------------- */

/* Two rows have two permutations, of which one changes nothing: each increase is 0 or that of the
   exchange, and mean and deviation are those of so many exchanges among the repeats. */
static void check_exchange(const nn_model *model, nn_data data, const nn_options *how)
{
    enum { REPEATS = 40 };
    const int inputs = data.inputs, outputs = data.outputs;
    nn_real x[8], exchanged[8];
    nn_input_importance results[4];
    nn_metrics before, after;
    int i;
    memcpy(x, data.x, (size_t)(2 * inputs) * sizeof *x);
    data.x = x;
    CHECK(data.rows == 2 && outputs >= 1 && inputs <= 4);
    CHECK(nn_evaluate(model, &data, how, &before) == NN_OK);
    CHECK(nn_importance(model, &data, how, REPEATS, results) == NN_OK);
    for (i = 0; i < inputs; i++) {
        nn_data other = data;
        double increase, exchanges, share;
        memcpy(exchanged, x, (size_t)(2 * inputs) * sizeof *x);
        exchanged[i] = x[inputs + i];
        exchanged[inputs + i] = x[i];
        other.x = exchanged;
        CHECK(nn_evaluate(model, &other, how, &after) == NN_OK);
        increase = (double)after.loss - (double)before.loss;
        CHECK(fabs(increase) > 0.01);
        exchanges = (double)results[i].mean / increase * REPEATS;
        CHECK_NEAR(exchanges, floor(exchanges + 0.5), 1e-4, 1);
        CHECK(exchanges > 5 && exchanges < 35); /* of 40, 20 +- 3.2 */
        share = exchanges / REPEATS;
        CHECK_NEAR(results[i].deviation, fabs(increase) * sqrt(share * (1 - share)), 1e-4, 0);
    }
}

/* With large parameters, so that each input matters. */
static nn_model *make_large(const nn_layer *layers, int count)
{
    nn_model *model = make_model(3, layers, count, 3);
    size_t i;
    for (i = 0; i < nn_parameter_count(model); i++) nn_parameters(model)[i] *= 5;
    return model;
}

static void test_exchange(void)
{
    static const nn_real x[6] = {0.5f, -1, 2, 1.5f, 0.25f, -1}, regression[4] = {1, 2, -1, 0.5f},
                         classes[6] = {0, 1, 0, 0, 0, 1}, weight[2] = {1, 2.5f};
    static const int labels[2] = {1, 2};
    static const nn_layer linear[] = {NN_DENSE(4, NN_TANH), NN_DENSE(2, NN_LINEAR)};
    static const nn_layer softmax[] = {NN_DENSE(4, NN_TANH), NN_DENSE(3, NN_SOFTMAX)};
    static const nn_layer sigmoid[] = {NN_DENSE(2, NN_SIGMOID)};
    nn_options how = make_options(NN_HUBER, NN_SGD, 0);
    nn_data data = make_data(x, regression, 2, 3, 2);
    nn_model *model = make_large(linear, 2);
    how.huber_delta = 0.25f;
    check_exchange(model, data, NULL);
    check_exchange(model, data, &how);
    data.weight = weight;
    check_exchange(model, data, &how);
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_MIN_MAX) == NN_OK);
    check_exchange(model, data, &how);
    CHECK(nn_fit_target_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
    check_exchange(model, data, &how);
    nn_model_free(model);
    data = make_data(x, classes, 2, 3, 3);
    model = make_large(softmax, 2);
    how = make_options(NN_CROSS_ENTROPY, NN_SGD, 0);
    check_exchange(model, data, &how);
    how.label_smoothing = 0.125f;
    check_exchange(model, data, &how);
    data.y = NULL;
    data.classes = 3;
    data.labels = labels;
    check_exchange(model, data, &how);
    data.weight = weight;
    how.label_smoothing = 0;
    check_exchange(model, data, &how);
    nn_model_free(model);
    data = make_data(x, classes, 2, 3, 2);
    model = make_large(sigmoid, 1);
    how = make_options(NN_BINARY_CROSS_ENTROPY, NN_SGD, 0);
    check_exchange(model, data, &how);
    nn_model_free(model);
}

/* ---- A linear model -------------------------------------------------------------------------- */

/* y = 3 a - b with an input between them that the model does not use, and targets that it meets: a
   permutation of the inputs v adds the mean of (w (v' - v))^2, which over all permutations is 2 w^2
   variance(v). The standard deviation of the mean of 300 is about 2 in 100. */
static void test_linear(void)
{
    static const int rows[] = {2, 31, 32, 33, 64, MOST_ROWS};
    static const nn_real w[3] = {3, 0, -1};
    nn_real x[MOST_ROWS * 3], y[MOST_ROWS];
    nn_model *model = make_line(3);
    int r, i, k;
    memcpy(nn_parameters(model), w, sizeof w);
    for (r = 0; r < COUNT_OF(rows); r++) {
        const int n = rows[r];
        nn_options how = make_options(NN_MSE, NN_SGD, 0);
        nn_data data = make_data(x, y, n, 3, 1);
        nn_input_importance results[3], again[3];
        for (i = 0; i < 3 * n; i++) x[i] = (nn_real)uniform(-2, 2);
        for (i = 0; i < n; i++) y[i] = 3 * x[3 * i] - x[3 * i + 2];
        CHECK(nn_importance(model, &data, &how, 300, results) == NN_OK);
        CHECK(results[1].mean == 0 && results[1].deviation == 0);
        for (k = 0; k < 3; k += 2) {
            double mean = 0, variance = 0;
            for (i = 0; i < n; i++) mean += (double)x[3 * i + k] / n;
            for (i = 0; i < n; i++) variance += pow((double)x[3 * i + k] - mean, 2) / n;
            CHECK_NEAR(results[k].mean, 2 * (double)(w[k] * w[k]) * variance, n > 2 ? 0.08 : 0.25,
                       0);
            CHECK(results[k].deviation > 0);
        }
        CHECK(nn_importance(model, &data, &how, 300, again) == NN_OK); /* the same bits */
        CHECK(!memcmp(results, again, sizeof results));
        how.seed = 1;
        CHECK(nn_importance(model, &data, &how, 300, again) == NN_OK);
        CHECK(results[0].mean != again[0].mean || n == 2);
        CHECK(nn_importance(model, &data, &how, 1, again) == NN_OK && again[0].deviation == 0);
    }
    nn_model_free(model);
}

/* The column is permuted: no value comes twice. One row of n has a 1 and the others 0; each
   permutation moves it, and adds 2 / n, or leaves it where it is. */
static void test_permutation(void)
{
    enum { N = 37, REPEATS = 50 };
    nn_real x[N] = {0}, y[N] = {0};
    nn_data data = make_data(x, y, N, 1, 1);
    nn_model *model = make_unit(NN_LINEAR, 1, 0);
    nn_input_importance result;
    double moved;
    x[5] = y[5] = 1;
    CHECK(nn_importance(model, &data, NULL, REPEATS, &result) == NN_OK);
    moved = (double)result.mean * REPEATS * N / 2;
    CHECK_NEAR(moved, floor(moved + 0.5), 1e-5, 0);
    CHECK(moved > REPEATS / 2 && moved <= REPEATS);
    nn_model_free(model);
}

/* Rows of weight 0 take no part: they lend no value either. */
static void test_weights(void)
{
    static const nn_real all_x[5] = {1, 2, 1e6f, -1, 0.5f}, all_y[5] = {0, 1, 1, 2, 0},
                         weight[5] = {1, 2, 0, 0.5f, 1};
    static const nn_real some_x[4] = {1, 2, -1, 0.5f}, some_y[4] = {0, 1, 2, 0},
                         some_weight[4] = {1, 2, 0.5f, 1};
    nn_data all = make_data(all_x, all_y, 5, 1, 1), some = make_data(some_x, some_y, 4, 1, 1);
    nn_model *model = make_unit(NN_TANH, 1, 0.25);
    nn_input_importance a, b;
    all.weight = weight;
    some.weight = some_weight;
    CHECK(nn_importance(model, &all, NULL, 20, &a) == NN_OK);
    CHECK(nn_importance(model, &some, NULL, 20, &b) == NN_OK);
    CHECK(a.mean != 0 && !memcmp(&a, &b, sizeof a));
    nn_model_free(model);
}

/* A model that was trained uses the inputs that matter. */
static void test_trained(void)
{
    static const nn_layer layers[] = {NN_DENSE(8, NN_TANH), NN_DENSE(1, NN_SIGMOID)};
    enum { N = 200 };
    nn_real x[N * 3], y[N];
    nn_data data = make_data(x, y, N, 3, 1);
    nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_ADAM, 0.05);
    nn_model *model = make_model(3, layers, 2, 1);
    nn_input_importance results[3];
    int i;
    for (i = 0; i < 3 * N; i++) x[i] = (nn_real)uniform(-1, 1);
    for (i = 0; i < N; i++) y[i] = x[3 * i] * x[3 * i + 2] > 0; /* like xor */
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(nn_importance(model, &data, &how, 5, results) == NN_OK);
    CHECK(results[0].mean > 10 * fabs((double)results[1].mean));
    CHECK(results[2].mean > 10 * fabs((double)results[1].mean));
    CHECK(results[0].mean > 5 * results[0].deviation);
    nn_model_free(model);
}

/* ---- Refused --------------------------------------------------------------------------------- */

#define BAD(call, expected)                                                                        \
    do {                                                                                           \
        memset(results, 0xa5, sizeof results);                                                     \
        REFUSED(call, expected);                                                                   \
        CHECK(all_zero(results, sizeof results));                                                  \
    } while (0)

static void test_refused(void)
{
    nn_input_importance results[GOOD_INPUTS];
    nn_options how = good_options();
    nn_data data = good_data();
    nn_real bad_x[GOOD_ROWS * GOOD_INPUTS];
    if (!begin()) return;
    REFUSED(nn_importance(NULL, &data, &how, 5, results), NN_ERROR_NULL);
    REFUSED(nn_importance(good_model, &data, &how, 5, NULL), NN_ERROR_NULL);
    BAD(nn_importance(good_model, NULL, &how, 5, results), NN_ERROR_NULL);
    BAD(nn_importance(good_model, &data, &how, 0, results), NN_ERROR_OPTION);
    BAD(nn_importance(good_model, &data, &how, -5, results), NN_ERROR_OPTION);
    how.huber_delta = 1;
    BAD(nn_importance(good_model, &data, &how, 5, results), NN_ERROR_OPTION);
    how.huber_delta = 0;
    how.loss = NN_CROSS_ENTROPY;
    BAD(nn_importance(good_model, &data, &how, 5, results), NN_ERROR_LOSS);
    how.loss = NN_MSE;
    data.outputs = 2;
    BAD(nn_importance(good_model, &data, &how, 5, results), NN_ERROR_SHAPE);
    data = good_data();
    data.rows = 0;
    BAD(nn_importance(good_model, &data, &how, 5, results), NN_ERROR_SIZE);
    data = good_data();
    memcpy(bad_x, good_x, sizeof bad_x);
    bad_x[5] = R_NAN;
    data.x = bad_x;
    BAD(nn_importance(good_model, &data, &how, 5, results), NN_ERROR_DATA);
    end();
}

int main(void)
{
    random_state = 7;
    RUN(test_exchange);
    RUN(test_linear);
    RUN(test_permutation);
    RUN(test_weights);
    RUN(test_trained);
    RUN(test_refused);
    return test_done();
}
