/* Optimizers: steps of known size, clipping, weight decay, learning rates, divergence. Sequences of
   steps against PyTorch's: tests/reference/golden.c. */
#include "refused.h"

/* ---- Steps ----------------------------------------------------------------------------------- */

/* One parameter, the weight of a line, which each update finds at 0, with a gradient of our own:
   returns where the update leaves it. */
static double step_from_zero(nn_trainer *trainer, nn_model *model, nn_real gradient)
{
    nn_parameters(model)[0] = 0;
    CHECK(nn_clear_gradients(trainer) == NN_OK);
    nn_gradients(trainer)[0] = gradient;
    CHECK(nn_update(trainer) == NN_OK);
    return (double)nn_parameters(model)[0];
}

/* Gradients whose squares no number holds are clipped in their direction all the same. */
static void test_clipping_huge(void)
{
    const nn_real huge = sizeof(nn_real) == 4 ? (nn_real)1e30 : (nn_real)1e200;
    nn_options how = make_options(NN_MSE, NN_SGD, 1);
    nn_model *model = make_line(1);
    nn_trainer *trainer;
    how.clip_norm = 5;
    trainer = make_trainer(model, &how);
    nn_gradients(trainer)[0] = 3 * huge;
    nn_gradients(trainer)[1] = -4 * huge;
    CHECK(nn_update(trainer) == NN_OK);
    CHECK_NEAR(nn_parameters(model)[0], -3, 1e-6, 0);
    CHECK_NEAR(nn_parameters(model)[1], 4, 1e-6, 0);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* With one gradient all the time, each of Adam's steps is of the size of the learning rate, the
   20,000th too: 1 - beta^t keeps its digits. As a difference of a rounded power it is off by up to
   1.5e-3 where beta is 0.99999. What remains is the rounding of the moments. */
static void test_adam_correction(void)
{
    static const double betas[][2] = {{0.9, 0.999}, {0.99, 0.9999}, {0.999, 0.99999}};
    int i, t;
    for (i = 0; i < COUNT_OF(betas); i++) {
        nn_options how = make_options(NN_MSE, NN_ADAM, 1);
        nn_model *model = make_line(1);
        nn_trainer *trainer;
        double step = 0, worst = 0;
        how.beta1 = (nn_real)betas[i][0];
        how.beta2 = (nn_real)betas[i][1];
        trainer = make_trainer(model, &how);
        for (t = 1; t <= 20000; t++) {
            step = -step_from_zero(trainer, model, 3);
            if (fabs(step - 1) > worst) worst = fabs(step - 1);
        }
        printf("Adam, beta2 %g: step off by %.1e at most\n", betas[i][1], worst);
        CHECK(worst < 5e-5);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
}

/* What decays ends at zero: after one gradient, and then none, the velocity and both moments are 0
   and not for ever the smallest denormal number, which 0.9 times rounds to itself. The rate is so
   large that a denormal velocity would move the parameter. */
static void test_state_ends_at_zero(void)
{
    static const nn_optimizer optimizers[] = {NN_SGD, NN_ADAM, NN_RMSPROP};
    int i, t;
    for (i = 0; i < COUNT_OF(optimizers); i++) {
        nn_options how = make_options(NN_MSE, optimizers[i], sizeof(nn_real) == 4 ? 1e20 : 1e200);
        nn_model *model = make_line(1);
        nn_trainer *trainer;
        if (optimizers[i] != NN_ADAM) how.momentum = 0.9f;
        trainer = make_trainer(model, &how);
        CHECK(step_from_zero(trainer, model, 1e-3f) != 0);
        for (t = 0; t < 8000; t++) {
            const double step = step_from_zero(trainer, model, 0);
            if (t == 10) CHECK(step != 0);
            if (t == 7999) CHECK(step == 0);
        }
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
}

/* A parameter that only weight decay moves ends at zero too. */
static void test_parameter_ends_at_zero(void)
{
    static const nn_optimizer optimizers[] = {NN_SGD, NN_ADAM};
    int i, t;
    for (i = 0; i < COUNT_OF(optimizers); i++) {
        nn_options how = make_options(NN_MSE, optimizers[i], 1);
        nn_model *model = make_line(1);
        nn_trainer *trainer;
        how.weight_decay = 0.1f;
        trainer = make_trainer(model, &how);
        nn_parameters(model)[0] = 1;
        for (t = 0; t < 8000; t++) {
            CHECK(nn_clear_gradients(trainer) == NN_OK && nn_update(trainer) == NN_OK);
            if (t == 500) CHECK(nn_parameters(model)[0] > 0);
        }
        CHECK(nn_parameters(model)[0] == 0);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
}

/* Step by one update of gradient (30, -40) times scale at rate 1: the clipped gradient itself. */
static void clipped(double scale, double clip, double *w, double *b)
{
    static const nn_real x = -0.75f;
    nn_options how = make_options(NN_MSE, NN_SGD, 1);
    nn_model *model = make_unit(NN_LINEAR, 0, 0);
    nn_trainer *trainer;
    const nn_real *y;
    nn_real dy = (nn_real)(-40 * scale); /* db = dy, dw = x dy = 30 scale */
    how.clip_norm = (nn_real)clip;
    trainer = make_trainer(model, &how);
    CHECK(nn_forward(trainer, &x, 1, &y) == NN_OK);
    CHECK(nn_backward(trainer, &dy, NULL) == NN_OK && nn_update(trainer) == NN_OK);
    *w = -(double)nn_parameters(model)[0];
    *b = -(double)nn_parameters(model)[1];
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* It turns norm 50 into norm 1 when asked to clip at 5. */
static void test_clipping(void)
{
    double w = NAN, b = NAN;
    clipped(1, 5, &w, &b);
    CHECK_NEAR(sqrt(w * w + b * b), 5, 1e-6, 0);
    CHECK_NEAR(w, 3, 1e-6, 0);
    CHECK_NEAR(b, -4, 1e-6, 0);
    clipped(0.0625, 5, &w, &b); /* norm 3.125 is below: not touched, not stretched */
    CHECK(w == 1.875 && b == -2.5);
    clipped(1, 0, &w, &b);
    CHECK(w == 30 && b == -40);
}

/* Its Adam counts one step for each tensor. While the gradient keeps its value every step is of
   the size of the learning rate in every tensor: m / (1 - b1^t) = g, sqrt(v / (1 - b2^t)) = |g|. */
static void test_adam_counts_steps(void)
{
    static const nn_layer layers[3] = {NN_DENSE(3, NN_TANH), NN_DENSE(2, NN_TANH),
                                       NN_DENSE(1, NN_LINEAR)};
    nn_options how = make_options(NN_MSE, NN_ADAM, 0.01);
    nn_model *model = make_model(2, layers, 3, 1);
    nn_trainer *trainer = make_trainer(model, &how);
    static const nn_real x[2] = {1, 2}, y[1] = {3};
    nn_data row = make_data(x, y, 1, 2, 1);
    nn_real before[32];
    size_t i, count = nn_parameter_count(model);
    int step;
    for (step = 0; step < 5; step++) {
        CHECK(nn_accumulate(trainer, &row, NULL) == NN_OK);
        for (i = 0; i < count; i++) nn_gradients(trainer)[i] = (nn_real)(i % 2 ? 0.5 : -2);
        memcpy(before, nn_parameters(model), count * sizeof *before);
        CHECK(nn_update(trainer) == NN_OK);
        for (i = 0; i < count; i++)
            CHECK_NEAR(nn_parameters(model)[i] - before[i], i % 2 ? -0.01 : 0.01, 2e-5, 0);
    }
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* Its L2 term is not scaled by the learning rate. A row without gradient leaves the decay alone:
   w (1 - 0.01 * 0.5), for SGD's L2 and for Adam's decoupled decay. */
static void test_weight_decay_is_scaled(void)
{
    static const nn_real zero = 0;
    int i;
    for (i = 0; i < 2; i++) {
        nn_options how = make_options(NN_MSE, i ? NN_ADAM : NN_SGD, 0.01);
        nn_model *model = make_unit(NN_LINEAR, 2, 0);
        nn_trainer *trainer;
        how.weight_decay = (nn_real)0.5;
        trainer = make_trainer(model, &how);
        CHECK(nn_train_batch(trainer, &zero, &zero, 1, NULL) == NN_OK);
        CHECK_NEAR(nn_parameters(model)[0], 2 * (1 - 0.005), 1e-7, 0);
        CHECK(nn_parameters(model)[1] == 0);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
}

/* tinn never trains its biases: y = 3 whatever x needs nothing else. */
static void test_biases_are_trained(void)
{
    static const nn_layer layers[2] = {NN_DENSE(2, NN_TANH), NN_DENSE(1, NN_LINEAR)};
    static const nn_real x[2] = {0, 0}, y[2] = {3, 3};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.1);
    nn_data data = make_data(x, y, 2, 1, 1);
    nn_model *model = make_model(1, layers, 2, 1);
    nn_real out = NAN;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(nn_predict(model, x, 1, &out, NULL) == NN_OK);
    CHECK_NEAR(out, 3, 1e-3, 0);
    CHECK(nn_parameters(model)[2] != 0 && nn_parameters(model)[3] != 0); /* hidden biases */
    nn_model_free(model);
}

/* ---- Learning rates -------------------------------------------------------------------------- */

/* The base rate is replaced, the schedule still scales it: with warm-up over 4 steps, step 2 of
   rate 8 is 4 (or what the schedule makes of the old rate, times the same factor). */
static void test_set_learning_rate(void)
{
    static const nn_real x = 0, y = 1;
    nn_options how = make_options(NN_MSE, NN_SGD, 0.25);
    nn_model *model = make_line(1);
    nn_trainer *trainer = make_trainer(model, &how);
    double before;
    CHECK(nn_learning_rate(trainer) == 0.25);
    CHECK(nn_set_learning_rate(trainer, (nn_real)0.125) == NN_OK);
    CHECK(nn_learning_rate(trainer) == 0.125);
    CHECK(nn_train_batch(trainer, &x, &y, 1, NULL) == NN_OK);
    CHECK(nn_parameters(model)[1] == 0.25); /* 0.125 times the gradient, 2 */
    CHECK(nn_set_learning_rate(trainer, 0) == NN_ERROR_OPTION);
    CHECK(nn_set_learning_rate(trainer, -1) == NN_ERROR_OPTION);
    CHECK(nn_set_learning_rate(NULL, 1) == NN_ERROR_NULL && isnan(nn_learning_rate(NULL)));
    CHECK(nn_learning_rate(trainer) == 0.125);
    nn_trainer_free(trainer);

    how.warmup_steps = 4;
    trainer = make_trainer(model, &how);
    CHECK(nn_train_batch(trainer, &x, &y, 1, NULL) == NN_OK);
    before = nn_learning_rate(trainer);
    CHECK(before > 0 && before < 0.25);
    CHECK(nn_set_learning_rate(trainer, 8) == NN_OK);
    CHECK_NEAR(nn_learning_rate(trainer), 32 * before, 1e-6, 0);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* A schedule over the whole of nn_fit has no length outside it: refused before anything is done. */
static void test_schedule_without_length(void)
{
    static const nn_real x[2] = {1, 2}, y[2] = {3, 5};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.1);
    nn_model *model = make_line(1);
    nn_trainer *trainer;
    nn_real loss = 7;
    how.schedule = NN_SCHEDULE_COSINE;
    trainer = make_trainer(model, &how);
    CHECK(nn_train_batch(trainer, x, y, 2, &loss) == NN_ERROR_OPTION && loss == 0);
    CHECK(nn_gradients(trainer)[0] == 0 && nn_gradients(trainer)[1] == 0);
    nn_gradients(trainer)[0] = 1;
    CHECK(nn_update(trainer) == NN_ERROR_OPTION && nn_parameters(model)[0] == 0);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* A gradient without a norm cannot be clipped. */
static void test_clipping_nan(void)
{
    nn_options how = make_options(NN_MSE, NN_SGD, 1);
    nn_model *model = make_line(1);
    nn_trainer *trainer;
    how.clip_norm = 1;
    trainer = make_trainer(model, &how);
    nn_gradients(trainer)[1] = R_NAN;
    CHECK(nn_update(trainer) == NN_ERROR_DIVERGED);
    CHECK(nn_parameters(model)[0] == 0 && nn_parameters(model)[1] == 0);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

static void test_learning_rate(void)
{
    static const nn_real bad[] = {0, -1, R_NAN, R_INF, -R_INF};
    size_t i;
    double rate;
    if (!begin()) return;
    rate = nn_learning_rate(good_trainer);
    CHECK(rate > 0);
    REFUSED(nn_set_learning_rate(NULL, 1), NN_ERROR_NULL);
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        REFUSED(nn_set_learning_rate(good_trainer, bad[i]), NN_ERROR_OPTION);
    CHECK(nn_learning_rate(good_trainer) == rate);
    end();
}

/* ---- Divergence ------------------------------------------------------------------------------ */

/* A rate that throws the weights past the type's range, or inputs whose products are past it: every
   optimizer stops with the status, and every parameter is finite. */
static void diverge(nn_optimizer optimizer, nn_real momentum, nn_real rate, nn_real factor,
                    int patience)
{
    nn_real x[GOOD_ROWS * GOOD_INPUTS], y[GOOD_ROWS];
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
    for (i = 0; i < GOOD_ROWS * GOOD_INPUTS; i++) x[i] = good_x[i] * factor;
    data.x = x;
    data.y = y;
    for (i = 0; i < GOOD_ROWS; i++) y[i] = (nn_real)i * 1000;
    if (!CHECK(nn_model_create(&made, GOOD_INPUTS, linear_layers, 2, 1) == NN_OK)) return;
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
    nn_real x[GOOD_ROWS * GOOD_INPUTS], copy[64];
    nn_data data = good_data();
    nn_model *made = NULL;
    nn_trainer *of = NULL;
    size_t bytes;
    nn_real loss = 5;
    int i;
    for (i = 0; i < GOOD_ROWS * GOOD_INPUTS; i++) x[i] = i % 2 ? huge : -huge;
    data.x = x;
    if (!CHECK(nn_model_create(&made, GOOD_INPUTS, layers, 2, 1) == NN_OK)) return;
    for (i = 0; i < (int)nn_parameter_count(made); i++)
        nn_parameters(made)[i] = (nn_real)(i % 3) * 8;
    bytes = nn_parameter_count(made) * sizeof(nn_real);
    memcpy(copy, nn_parameters(made), bytes);
    CHECK(nn_fit(made, &data, NULL) == NN_ERROR_DIVERGED);
    CHECK(!memcmp(copy, nn_parameters(made), bytes));
    CHECK(nn_trainer_create(&of, made, NULL) == NN_OK);
    CHECK(nn_train_batch(of, x, good_y, GOOD_ROWS, &loss) == NN_ERROR_DIVERGED);
    CHECK(!memcmp(copy, nn_parameters(made), bytes));
    loss = 5;
    CHECK(nn_accumulate(of, &data, &loss) == NN_ERROR_DIVERGED);
    CHECK(!memcmp(copy, nn_parameters(made), bytes));
    nn_trainer_free(of);
    nn_model_free(made);
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
            if (!CHECK(nn_model_create(&made, GOOD_INPUTS, linear_layers, 2, 1) == NN_OK)) return;
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
}

/* A rate far too large: its own status, the last finite weights, which still predict. */
static void test_divergence(void)
{
    static const nn_real x[2] = {1, 2}, y[2] = {1, -1};
    nn_options how = make_options(NN_MSE, NN_SGD, 1e6);
    nn_data data = make_data(x, y, 2, 1, 1);
    nn_model *model = make_line(1);
    nn_real p = NAN;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_DIVERGED);
    CHECK(isfinite((double)nn_parameters(model)[0]) && isfinite((double)nn_parameters(model)[1]));
    memset(nn_parameters(model), 0, 2 * sizeof(nn_real));
    CHECK(nn_predict(model, x, 1, &p, NULL) == NN_OK && p == 0);
    nn_model_free(model);
}

int main(void)
{
    RUN(test_clipping);
    RUN(test_clipping_huge);
    RUN(test_clipping_nan);
    RUN(test_adam_counts_steps);
    RUN(test_adam_correction);
    RUN(test_state_ends_at_zero);
    RUN(test_parameter_ends_at_zero);
    RUN(test_weight_decay_is_scaled);
    RUN(test_biases_are_trained);
    RUN(test_set_learning_rate);
    RUN(test_schedule_without_length);
    RUN(test_learning_rate);
    RUN(test_diverged);
    RUN(test_overflowing_inputs);
    RUN(test_spoilt_gradients);
    RUN(test_divergence);
    return test_done();
}
