/* Losses: values and gradients that are known, the last layers and targets that each takes, row
   weights and label smoothing. Every gradient against differences of the loss: gradient.c. */
#include "refused.h"

/* ---- Known values ---------------------------------------------------------------------------- */

/* Loss and gradients of one row; up to 16 parameters. */
static double loss_of_row(nn_model *model, nn_loss loss, const nn_real *x, const nn_real *y,
                          nn_real *gradients)
{
    nn_options how = make_options(loss, NN_SGD, 0.1);
    nn_trainer *trainer = make_trainer(model, &how);
    nn_shape shape;
    nn_data row;
    nn_real value = NAN;
    CHECK(nn_get_shape(model, &shape) == NN_OK);
    row = make_data(x, y, 1, shape.inputs, shape.layers[shape.count - 1].width);
    CHECK(nn_accumulate(trainer, &row, &value) == NN_OK);
    memcpy(gradients, nn_gradients(trainer), nn_parameter_count(model) * sizeof(nn_real));
    nn_trainer_free(trainer);
    return value;
}

/* Its cross-entropy is not fused with the sigmoid: no gradient where the net is most wrong. */
static void test_binary_cross_entropy_from_logits(void)
{
    static const struct {
        double logit, target, loss, slope;
    } cases[] = {{20, 0, 20, 1},     {-20, 1, 20, -1},        {20, 1, 2.0611536e-9, -2.0611536e-9},
                 {1e4, 0, 1e4, 1},   {-1e4, 1, 1e4, -1},      {1e4, 1, 0, 0},
                 {-1e4, 0, 0, 0},    {0, 0, 0.69314718, 0.5}, {0, 0.5, 0.69314718, 0},
                 {3e38, 0, 3e38, 1}, {-3e38, 1, 3e38, -1},    {-20, 0, 2.0611536e-9, 2.0611536e-9}};
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        nn_model *model = make_unit(NN_SIGMOID, 0, cases[i].logit);
        nn_real x = 0, y = (nn_real)cases[i].target, g[2] = {NAN, NAN};
        double loss = loss_of_row(model, NN_BINARY_CROSS_ENTROPY, &x, &y, g);
        CHECK_NEAR(loss, cases[i].loss, 1e-6, 1e-12);
        /* sigmoid(20) - 1 cancels in float: one ulp of 1, 6e-8, is what is left to ask for */
        CHECK_NEAR(g[1], cases[i].slope, 1e-6, 0.1);
        CHECK(g[0] == 0);
        nn_model_free(model);
    }
}

/* A perfect prediction gives it NaN: log(0), or 0 log(0). */
static void test_perfect_prediction(void)
{
    static const nn_real logits[3] = {200, 0, -200}, first[3] = {1, 0, 0}, last[3] = {0, 0, 1};
    static const nn_real one = 1, zero = 0;
    nn_model *model = make_unit(NN_SIGMOID, 0, 200);
    nn_real g[16];
    CHECK_NEAR(loss_of_row(model, NN_BINARY_CROSS_ENTROPY, &zero, &one, g), 0, 1e-30, 1);
    CHECK(g[0] == 0 && fabs((double)g[1]) < 1e-30);
    CHECK(loss_of_row(model, NN_MSE, &zero, &one, g) == 0);
    CHECK(g[0] == 0 && g[1] == 0);
    nn_model_free(model);
    model = make_identity(3, NN_SOFTMAX);
    CHECK_NEAR(loss_of_row(model, NN_CROSS_ENTROPY, logits, first, g), 0, 1e-30, 1);
    CHECK_NEAR(loss_of_row(model, NN_CROSS_ENTROPY, logits, last, g), 400, 1e-6, 0);
    CHECK(g[9] == 1 && g[11] == -1);
    nn_model_free(model);
}

/* A gradient whose products would be denormal is 0; its loss is not. */
static void test_negligible_gradient(void)
{
    static const nn_real zero = 0;
    const double counts = sizeof(nn_real) == 4 ? -69 : -690, too_low = counts - 1;
    nn_real g[2];
    nn_model *model = make_unit(NN_SIGMOID, 0, counts); /* exp(-69) is 1.08e-30, 2^-100 7.9e-31 */
    CHECK(loss_of_row(model, NN_BINARY_CROSS_ENTROPY, &zero, &zero, g) > 0 && g[1] > 0);
    nn_model_free(model);
    model = make_unit(NN_SIGMOID, 0, too_low);
    CHECK(loss_of_row(model, NN_BINARY_CROSS_ENTROPY, &zero, &zero, g) > 0 && g[1] == 0);
    nn_model_free(model);
}

/* Cranium's MSE omits the activation's derivative: dL/dz = 2 (p - t) p'. */
static void test_mse_through_the_activation(void)
{
    static const nn_real x = 0.5f, t = 0;
    nn_real g[2] = {NAN, NAN};
    nn_model *model = make_unit(NN_SIGMOID, 2, -0.5);
    double p = 1 / (1 + exp(-0.5));
    CHECK_NEAR(loss_of_row(model, NN_MSE, &x, &t, g), p * p, 1e-6, 0);
    CHECK_NEAR(g[0], 2 * p * p * (1 - p) * 0.5, 1e-6, 0);
    CHECK_NEAR(g[1], 2 * p * p * (1 - p), 1e-6, 0);
    nn_model_free(model);
    model = make_unit(NN_TANH, 2, -0.5);
    p = tanh(0.5);
    loss_of_row(model, NN_MSE, &x, &t, g);
    CHECK_NEAR(g[1], 2 * p * (1 - p * p), 1e-6, 0);
    nn_model_free(model);
}

/* ---- What fits a loss ------------------------------------------------------------------------ */

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
    if (!CHECK(nn_model_create(&other, GOOD_INPUTS, class_layers, 2, 1) == NN_OK)) return;
    good_live = live_blocks;
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

/* The loss must exist and fit the last layer. */
static void test_losses(void)
{
    static const struct fit {
        const nn_layer *layers;
        nn_loss loss;
    } bad[] = {{binary_layers, NN_CROSS_ENTROPY},        {linear_layers, NN_CROSS_ENTROPY},
               {linear_layers, NN_BINARY_CROSS_ENTROPY}, {class_layers, NN_BINARY_CROSS_ENTROPY},
               {binary_layers, NN_LOSS_COUNT},           {binary_layers, (nn_loss)-1}};
    nn_options how = good_options();
    size_t i;
    if (!begin()) return;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        nn_data data = good_data();
        nn_shape shape = binary_shape;
        nn_model *other = NULL;
        nn_trainer *made = NULL;
        nn_metrics metrics[2];
        if (!CHECK(nn_model_create(&other, GOOD_INPUTS, bad[i].layers, 2, 1) == NN_OK)) return;
        good_live = live_blocks;
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
        good_live = live_blocks;
    }
    end();
}

/* Cross-entropy over classes: targets in [0, 1]. */
static void test_class_targets(void)
{
    nn_real y[GOOD_ROWS * 3];
    nn_options how = good_options();
    nn_data data = good_data();
    nn_model *other = NULL;
    nn_metrics metrics;
    int k;
    if (!begin() || !CHECK(nn_model_create(&other, GOOD_INPUTS, class_layers, 2, 1) == NN_OK))
        return;
    good_live = live_blocks;
    how.loss = NN_CROSS_ENTROPY;
    data.outputs = 3;
    data.y = y;
    for (k = 0; k < GOOD_ROWS * 3; k++) {
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
    good_live = live_blocks;
    end();
}

/* ---- Row weights and label smoothing --------------------------------------------------------- */

static void gradient_of(nn_model *model, const nn_data *batch, nn_real *loss, nn_real *gradients)
{
    nn_options how = make_options(NN_CROSS_ENTROPY, NN_SGD, 0.1);
    nn_trainer *trainer = make_trainer(model, &how);
    *loss = NAN;
    CHECK(nn_accumulate(trainer, batch, loss) == NN_OK);
    memcpy(gradients, nn_gradients(trainer), nn_parameter_count(model) * sizeof(nn_real));
    nn_trainer_free(trainer);
}

static void check_same_gradient(nn_model *model, const nn_data *a, const nn_data *b)
{
    nn_real g[64], h[64];
    nn_real loss_a, loss_b;
    size_t i;
    gradient_of(model, a, &loss_a, g);
    gradient_of(model, b, &loss_b, h);
    CHECK_NEAR(loss_a, loss_b, 1e-6, 0);
    for (i = 0; i < nn_parameter_count(model); i++) CHECK_NEAR(g[i], h[i], 2e-6, 0.1);
}

/* Weight 0: as if the row were not there; 2: as if twice; all 3: as if all 1. */
static void test_row_weights(void)
{
    static const nn_layer layers[2] = {NN_DENSE(4, NN_TANH), NN_DENSE(3, NN_SOFTMAX)};
    static const nn_real x[10] = {1, 2, -1, 0.5f, 0.25f, -2, 9, 9, 0.25f, -2};
    static const nn_real y[15] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1};
    static const nn_real zero[4] = {1, 1, 1, 0}, two[3] = {1, 1, 2}, three[3] = {3, 3, 3};
    static const nn_real twice_x[8] = {1, 2, -1, 0.5f, 0.25f, -2, 0.25f, -2};
    static const nn_real twice_y[12] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1};
    nn_model *model = make_model(2, layers, 2, 3);
    nn_data plain = make_data(x, y, 3, 2, 3), twice = make_data(twice_x, twice_y, 4, 2, 3);
    nn_data weighted = make_data(x, y, 4, 2, 3);
    weighted.weight = zero;
    check_same_gradient(model, &weighted, &plain);
    weighted.rows = 3;
    weighted.weight = two;
    check_same_gradient(model, &weighted, &twice);
    weighted.weight = three;
    check_same_gradient(model, &weighted, &plain);
    nn_model_free(model);
}

/* A masked row takes no part even where the model overflows on it: no 0 times infinity. */
static void test_masked_row_may_overflow(void)
{
    static const nn_real x[2] = {1, (nn_real)3e38}, y[2] = {1, 0}, weight[2] = {1, 0};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.1);
    nn_data data = make_data(x, y, 2, 1, 1);
    nn_model *model = make_line(1);
    nn_trainer *trainer = make_trainer(model, &how);
    nn_real loss = NAN;
    data.weight = weight;
    nn_parameters(model)[0] = 10;
    CHECK(nn_accumulate(trainer, &data, &loss) == NN_OK && loss == 81);
    CHECK(nn_gradients(trainer)[0] == 18 && nn_gradients(trainer)[1] == 18);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* Smoothed targets are the same as the soft targets (1 - s) t + s / outputs written out. */
static void test_label_smoothing(void)
{
    static const nn_layer layer = NN_DENSE(3, NN_SOFTMAX);
    static const nn_real x[4] = {1, 2, -1, 0.5f}, y[6] = {0, 1, 0, 0, 0, 1};
    nn_options how = make_options(NN_CROSS_ENTROPY, NN_SGD, 0.1);
    nn_model *model = make_model(2, &layer, 1, 1);
    nn_real soft[6];
    nn_data hard_rows = make_data(x, y, 2, 2, 3), soft_rows = make_data(x, soft, 2, 2, 3);
    nn_trainer *plain = make_trainer(model, &how), *smooth;
    nn_real a = NAN, b = NAN;
    int i;
    for (i = 0; i < 6; i++) soft[i] = (nn_real)(0.7 * (double)y[i] + 0.1);
    how.label_smoothing = (nn_real)0.3;
    smooth = make_trainer(model, &how);
    CHECK(nn_accumulate(plain, &soft_rows, &a) == NN_OK);
    CHECK(nn_accumulate(smooth, &hard_rows, &b) == NN_OK);
    CHECK_NEAR(a, b, 1e-6, 0);
    for (i = 0; i < 9; i++) CHECK_NEAR(nn_gradients(plain)[i], nn_gradients(smooth)[i], 1e-6, 0.1);
    nn_trainer_free(plain);
    nn_trainer_free(smooth);
    nn_model_free(model);
}

int main(void)
{
    RUN(test_binary_cross_entropy_from_logits);
    RUN(test_perfect_prediction);
    RUN(test_negligible_gradient);
    RUN(test_mse_through_the_activation);
    RUN(test_loss_options);
    RUN(test_losses);
    RUN(test_class_targets);
    RUN(test_row_weights);
    RUN(test_masked_row_may_overflow);
    RUN(test_label_smoothing);
    return test_done();
}
