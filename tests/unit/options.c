/* Options of the losses and optimizers: ranges, zeros that do not mean the default, and what
   nn_evaluate takes of them. Other options: trainer.c; those of the cross-entropies: loss.c. */
#include "refused.h"

/* ---- Ranges ---------------------------------------------------------------------------------- */

static void test_ranges(void)
{
    nn_options how = good_options();
    if (!begin()) return;
    BAD_REAL(weight_decay, -0.5f);
    BAD_OPTION(beta1, -2);
    BAD_OPTION(beta2, NN_ZERO / 2);
    BAD_REAL(label_smoothing, -0.5f);
    BAD_OPTION(label_smoothing, 1);
    how.loss = NN_QUANTILE;
    BAD_REAL(quantile, -0.5f);
    BAD_OPTION(quantile, 1);
    BAD_OPTION(quantile, 1.5f);
    BAD_OPTION(quantile, -0.0625f);
    how.loss = NN_HUBER;
    BAD_REAL(huber_delta, -0.5f);
    how.optimizer = NN_RMSPROP;
    BAD_REAL(alpha, -0.5f);
    BAD_OPTION(alpha, 1);
    BAD_OPTION(alpha, 1.5f);
    BAD_OPTION(alpha, -2);
    BAD_REAL(momentum, -0.5f);
    BAD_OPTION(momentum, 1);
    BAD_REAL(epsilon, -0.5f);
    end();
}

/* Where 0 cannot mean anything else, NN_ZERO is one more number out of range. */
static void test_zero_refused(void)
{
    nn_options how = good_options();
    nn_metrics metrics;
    nn_data data = good_data();
    if (!begin()) return;
    BAD_OPTION(learning_rate, NN_ZERO);
    BAD_OPTION(epsilon, NN_ZERO);
    BAD_OPTION(weight_decay, NN_ZERO);
    BAD_OPTION(clip_norm, NN_ZERO);
    BAD_OPTION(label_smoothing, NN_ZERO);
    BAD_OPTION(validation_fraction, NN_ZERO);
    REFUSED(nn_set_learning_rate(good_trainer, NN_ZERO), NN_ERROR_OPTION);
    how.label_smoothing = NN_ZERO;
    REFUSED(nn_evaluate(good_model, &data, &how, &metrics), NN_ERROR_OPTION);
    how.label_smoothing = 0;
    how.schedule = NN_SCHEDULE_COSINE;
    BAD_OPTION(minimum_learning_rate, NN_ZERO);
    how.optimizer = NN_SGD;
    BAD_OPTION(momentum, NN_ZERO);
    how.loss = NN_QUANTILE;
    BAD_OPTION(quantile, NN_ZERO);
    how.quantile = NN_ZERO;
    REFUSED(nn_evaluate(good_model, &data, &how, &metrics), NN_ERROR_OPTION);
    how.quantile = 0;
    how.loss = NN_HUBER;
    BAD_OPTION(huber_delta, NN_ZERO);
    how.huber_delta = NN_ZERO;
    REFUSED(nn_evaluate(good_model, &data, &how, &metrics), NN_ERROR_OPTION);
    CHECK(all_zero(&metrics, sizeof metrics));
    end();
}

/* An option is refused in each setting in which it has no effect, and taken in every other one. A
   setting is an optimizer, a loss and a schedule. */
static void check_effect(nn_options how, nn_optimizer optimizer, nn_loss loss, nn_schedule schedule,
                         int effect)
{
    static const nn_layer layers[] = {NN_DENSE(3, NN_TANH), NN_DENSE(2, NN_SOFTMAX)};
    nn_options others;
    nn_model *model = good_model;
    nn_trainer *made = NULL;
    memset(&others, 0, sizeof others);
    how.optimizer = others.optimizer = optimizer;
    how.loss = others.loss = loss;
    how.schedule = others.schedule = schedule;
    if (loss == NN_CROSS_ENTROPY) model = make_model(GOOD_INPUTS, layers, 2, 1);
    CHECK(nn_trainer_create(&made, model, &others) == NN_OK);
    nn_trainer_free(made);
    CHECK(nn_trainer_create(&made, model, &how) == (effect ? NN_OK : NN_ERROR_OPTION));
    nn_trainer_free(made);
    if (model != good_model) nn_model_free(model);
    if (!effect && model == good_model) bad_options(&how, NN_ERROR_OPTION, __LINE__);
}

#define CHECK_EFFECT(field, value, effect)                                                         \
    do {                                                                                           \
        nn_options how_;                                                                           \
        int optimizer, loss, schedule;                                                             \
        memset(&how_, 0, sizeof how_);                                                             \
        how_.field = value;                                                                        \
        for (optimizer = 0; optimizer < NN_OPTIMIZER_COUNT; optimizer++)                           \
            for (loss = 0; loss < NN_LOSS_COUNT; loss++)                                           \
                for (schedule = 0; schedule <= NN_SCHEDULE_PLATEAU; schedule++)                    \
                    check_effect(how_, (nn_optimizer)optimizer, (nn_loss)loss,                     \
                                 (nn_schedule)schedule, effect);                                   \
    } while (0)

static void test_without_effect(void)
{
    if (!begin()) return;
    CHECK_EFFECT(epochs, 3, 1);
    CHECK_EFFECT(batch_size, 3, 1);
    CHECK_EFFECT(micro_batch_size, 3, 1);
    CHECK_EFFECT(learning_rate, 0.5f, 1);
    CHECK_EFFECT(weight_decay, 0.5f, 1);
    CHECK_EFFECT(clip_norm, 0.5f, 1);
    CHECK_EFFECT(warmup_steps, 3, 1);
    CHECK_EFFECT(validation_fraction, 0.5f, 1);
    CHECK_EFFECT(patience, 3, 1);
    CHECK_EFFECT(seed, 3, 1);
    CHECK_EFFECT(momentum, 0.5f, optimizer != NN_ADAM);
    CHECK_EFFECT(nesterov, 1, 0); /* without momentum */
    CHECK_EFFECT(beta1, 0.5f, optimizer == NN_ADAM);
    CHECK_EFFECT(beta1, NN_ZERO, optimizer == NN_ADAM);
    CHECK_EFFECT(beta2, 0.5f, optimizer == NN_ADAM);
    CHECK_EFFECT(beta2, NN_ZERO, optimizer == NN_ADAM);
    CHECK_EFFECT(alpha, 0.5f, optimizer == NN_RMSPROP);
    CHECK_EFFECT(alpha, NN_ZERO, optimizer == NN_RMSPROP);
    CHECK_EFFECT(epsilon, 0.5f, optimizer != NN_SGD);
    CHECK_EFFECT(schedule_steps, 3, schedule == NN_SCHEDULE_STEP || schedule == NN_SCHEDULE_COSINE);
    CHECK_EFFECT(plateau_patience, 3, schedule == NN_SCHEDULE_PLATEAU);
    CHECK_EFFECT(step_factor, 0.5f,
                 schedule == NN_SCHEDULE_STEP || schedule == NN_SCHEDULE_PLATEAU);
    CHECK_EFFECT(step_factor, NN_ZERO,
                 schedule == NN_SCHEDULE_STEP || schedule == NN_SCHEDULE_PLATEAU);
    CHECK_EFFECT(minimum_learning_rate, 0.5f,
                 schedule == NN_SCHEDULE_COSINE || schedule == NN_SCHEDULE_PLATEAU);
    CHECK_EFFECT(min_delta, 0.5f, schedule == NN_SCHEDULE_PLATEAU); /* or with patience */
    CHECK_EFFECT(label_smoothing, 0.5f,
                 loss == NN_CROSS_ENTROPY || loss == NN_BINARY_CROSS_ENTROPY);
    CHECK_EFFECT(huber_delta, 0.5f, loss == NN_HUBER);
    CHECK_EFFECT(quantile, 0.25f, loss == NN_QUANTILE);
    CHECK_EFFECT(callback_batches, 1, 0); /* without a callback */
    CHECK_EFFECT(user, &how_, 1);
    CHECK_EFFECT(callback, nn_print_progress, 1);
    end();
}

/* Options that need others. */
static void test_without_the_other(void)
{
    nn_options how = good_options();
    const nn_data data = good_data();
    if (!begin()) return;
    how.optimizer = NN_RMSPROP;
    how.momentum = 0.5f;
    BAD_OPTION(nesterov, 1); /* of SGD alone */
    how.optimizer = NN_SGD;
    how.nesterov = 1;
    CHECK(nn_trainer_size(good_model, &how) > 0);
    BAD_OPTION(momentum, 0);
    how.callback = nn_print_progress;
    how.callback_batches = 1;
    CHECK(nn_trainer_size(good_model, &how) > 0);
    BAD_OPTION(callback, NULL);
    how.validation = &data;
    CHECK(nn_trainer_size(good_model, &how) > 0);
    BAD_OPTION(validation_fraction, 0.25f);
    how.patience = 2;
    how.min_delta = 0.5f;
    CHECK(nn_trainer_size(good_model, &how) > 0);
    BAD_OPTION(patience, 0);
    end();
}

/* nn_evaluate refuses what training would: the options are those that the model is trained with. */
static void test_evaluate_without_effect(void)
{
    nn_options how = good_options();
    const nn_data data = good_data();
    nn_metrics metrics;
    if (!begin()) return;
    how.momentum = 0.5f; /* with Adam */
    REFUSED(nn_evaluate(good_model, &data, &how, &metrics), NN_ERROR_OPTION);
    how = good_options();
    how.huber_delta = 1;
    REFUSED(nn_evaluate(good_model, &data, &how, &metrics), NN_ERROR_OPTION);
    CHECK(all_zero(&metrics, sizeof metrics));
    how.loss = NN_HUBER;
    CHECK(nn_evaluate(good_model, &data, &how, &metrics) == NN_OK);
    end();
}

/* The ends of the ranges are taken. */
static void test_accepted(void)
{
    static const nn_real shares[] = {NN_ZERO, 0, (nn_real)1e-30, (nn_real)0.5, (nn_real)0.999999};
    nn_model *model = make_unit(NN_LINEAR, 0.5, 0);
    int i;
    for (i = 0; i < COUNT_OF(shares); i++) {
        nn_options how = make_options(NN_QUANTILE, NN_RMSPROP, 0);
        how.schedule = NN_SCHEDULE_STEP;
        how.alpha = how.step_factor = shares[i];
        how.quantile = how.momentum = i ? shares[i] : 0;
        CHECK(nn_trainer_size(model, &how) > 0);
        how = make_options(NN_MSE, NN_ADAM, 0);
        how.beta1 = how.beta2 = shares[i];
        CHECK(nn_trainer_size(model, &how) > 0);
    }
    nn_model_free(model);
}

/* ---- Zeros that do not mean the default ------------------------------------------------------ */

enum { STEPS = 6 };

#ifdef NN_DOUBLE
#define TINY 1e-300
#else
#define TINY 1e-37f
#endif

/* The parameters after some updates by batches whose gradients differ. */
static void train(const nn_options *how, nn_real result[2])
{
    static const nn_real x[STEPS] = {1, -2, 0.5f, 3, -1, 2}, y[STEPS] = {2, 1, 0, 1, -1, 0.5f};
    nn_model *model = make_unit(NN_TANH, 0.5, -0.25);
    nn_trainer *trainer = make_trainer(model, how);
    int i;
    for (i = 0; i < STEPS; i++) CHECK(nn_train_batch(trainer, x + i, y + i, 1, NULL) == NN_OK);
    memcpy(result, nn_parameters(model), 2 * sizeof *result);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* A share so small that it is lost beside 1 and beside any gradient here gives the bits of 0; the
   default gives others. */
static void test_zero_shares(void)
{
    static const nn_optimizer optimizers[] = {NN_ADAM, NN_ADAM, NN_RMSPROP, NN_RMSPROP};
    int i, value;
    for (i = 0; i < 4; i++) {
        nn_real results[3][2];
        for (value = 0; value < 3; value++) {
            static const nn_real shares[] = {NN_ZERO, TINY, 0};
            nn_options how = make_options(NN_MSE, optimizers[i], 0.1);
            if (i == 0) how.beta1 = shares[value];
            if (i == 1) how.beta2 = shares[value];
            if (i >= 2) how.alpha = shares[value];
            if (i == 3) how.momentum = 0.5f;
            train(&how, results[value]);
        }
        CHECK(!memcmp(results[0], results[1], sizeof results[0]));
        CHECK(memcmp(results[0], results[2], sizeof results[0]) != 0);
    }
}

/* Adam without its averages is the sign of the gradient, at the learning rate. */
static void test_adam_of_zeros(void)
{
    static const nn_real x = 1, y = 3;
    nn_options how = make_options(NN_MSE, NN_ADAM, 0.125);
    nn_model *model = make_line(1);
    nn_trainer *trainer;
    int i;
    how.beta1 = how.beta2 = NN_ZERO;
    trainer = make_trainer(model, &how);
    for (i = 1; i <= STEPS; i++) {
        CHECK(nn_train_batch(trainer, &x, &y, 1, NULL) == NN_OK);
        CHECK_NEAR(nn_parameters(model)[0], 0.125 * i, 1e-6, 0);
        CHECK_NEAR(nn_parameters(model)[1], 0.125 * i, 1e-6, 0);
    }
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* A schedule of one step to nothing. */
static void test_step_to_zero(void)
{
    static const nn_real x = 1, y = 3;
    nn_options how = make_options(NN_MSE, NN_SGD, 0.125);
    nn_model *model = make_line(1);
    nn_trainer *trainer;
    nn_real w;
    how.schedule = NN_SCHEDULE_STEP;
    how.schedule_steps = 2;
    how.step_factor = NN_ZERO;
    trainer = make_trainer(model, &how);
    CHECK(nn_train_batch(trainer, &x, &y, 1, NULL) == NN_OK);
    CHECK(nn_learning_rate(trainer) == 0.125);
    CHECK(nn_train_batch(trainer, &x, &y, 1, NULL) == NN_OK);
    CHECK(nn_learning_rate(trainer) == 0);
    w = nn_parameters(model)[0];
    CHECK(w != 0);
    CHECK(nn_train_batch(trainer, &x, &y, 1, NULL) == NN_OK && nn_parameters(model)[0] == w);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* ---- What nn_evaluate takes of them ---------------------------------------------------------- */

enum { ROWS = 4 };
static const nn_real x[ROWS] = {-2, 0, 0.5f, 3}, zeros[ROWS] = {0, 0, 0, 0};

/* The loss that nn_evaluate finds for y = x against 0. */
static double measured(const nn_options *how)
{
    nn_model *model = make_unit(NN_LINEAR, 1, 0);
    const nn_data data = make_data(x, zeros, ROWS, 1, 1);
    nn_metrics metrics;
    CHECK(nn_evaluate(model, &data, how, &metrics) == NN_OK);
    CHECK_NEAR(metrics.mae, 5.5 / 4, 1e-6, 0);
    CHECK_NEAR(metrics.mse, 13.25 / 4, 1e-6, 0);
    nn_model_free(model);
    return metrics.loss;
}

static void test_evaluate(void)
{
    static const double quantiles[] = {0, 0.25, 0.5, 0.875};
    nn_options how = make_options(NN_QUANTILE, NN_SGD, 0);
    int i;
    for (i = 0; i < 4; i++) {
        const double q = i ? quantiles[i] : 0.5; /* above the target by 3.5, below it by 2 */
        how.quantile = (nn_real)quantiles[i];
        CHECK_NEAR(measured(&how), ((1 - q) * 3.5 + q * 2) / 4, 1e-6, 0);
    }
    how = make_options(NN_MAE, NN_SGD, 0);
    CHECK_NEAR(measured(&how), 5.5 / 4, 1e-6, 0);
    how = make_options(NN_HUBER, NN_SGD, 0);
    CHECK_NEAR(measured(&how), (1.5 + 0.125 + 2.5) / 4, 1e-6, 0);
    how.huber_delta = 0.25f;
    CHECK_NEAR(measured(&how), 0.25 * (1.875 + 0.375 + 2.875) / 4, 1e-6, 0);
    how.huber_delta = 10;
    CHECK_NEAR(measured(&how), 13.25 / 8, 1e-6, 0);
    CHECK_NEAR(measured(NULL), 13.25 / 4, 1e-6, 0);
}

/* A third of the smoothing goes to each class, wherever the target is. */
static void test_evaluate_smoothing(void)
{
    static const nn_real rows[6] = {0, 0, 0, 1, 0, 0}, y[6] = {1, 0, 0, 0, 1, 0};
    nn_options how = make_options(NN_CROSS_ENTROPY, NN_SGD, 0);
    nn_model *model = make_identity(3, NN_SOFTMAX);
    const nn_data data = make_data(rows, y, 2, 3, 3);
    const double second = log(2 + exp(1.0)); /* log of the sum of exponentials */
    nn_metrics metrics;
    CHECK(nn_evaluate(model, &data, &how, &metrics) == NN_OK);
    CHECK_NEAR(metrics.loss, (log(3.0) + second) / 2, 1e-6, 0);
    how.label_smoothing = 0.375f;
    CHECK(nn_evaluate(model, &data, &how, &metrics) == NN_OK);
    CHECK_NEAR(metrics.loss, (log(3.0) + second - 0.125) / 2, 1e-6, 0);
    nn_model_free(model);
}

/* Keras smooths binary targets towards 1/2: its targets 1 and 0 become 1 - s / 2 and s / 2. */
static void test_evaluate_binary_smoothing(void)
{
    static const nn_real z[4] = {0.5f, -2, 3, 0}, y[4] = {1, 0, 0.25f, 1};
    static const double shares[] = {0, 0.25, 0.875};
    nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_SGD, 0);
    nn_model *model = make_identity(2, NN_SIGMOID);
    const nn_data data = make_data(z, y, 2, 2, 2);
    nn_metrics metrics;
    int i, k;
    for (i = 0; i < COUNT_OF(shares); i++) {
        double loss = 0;
        for (k = 0; k < 4; k++) {
            const double t = (double)y[k] * (1 - shares[i]) + shares[i] / 2;
            const double p = 1 / (1 + exp(-(double)z[k]));
            loss -= (t * log(p) + (1 - t) * log(1 - p)) / 4;
        }
        how.label_smoothing = (nn_real)shares[i];
        CHECK(nn_evaluate(model, &data, &how, &metrics) == NN_OK);
        CHECK_NEAR(metrics.loss, loss, 1e-6, 0);
        CHECK(metrics.correct == 1); /* of the targets themselves: 3 is wrong for 0.25 */
    }
    nn_model_free(model);
}

/* Where a prediction is its target to the bit, MAE and the quantile loss have no slope. */
static void test_at_the_target(void)
{
    static const nn_loss losses[] = {NN_MAE, NN_QUANTILE};
    int i;
    for (i = 0; i < 2; i++) {
        nn_options how = make_options(losses[i], NN_SGD, 0.5);
        nn_model *model = make_unit(NN_LINEAR, 2, 0.25);
        nn_trainer *trainer = make_trainer(model, &how);
        const nn_real at = 1, on = 2.25f, above = 2.5f, below = 2;
        nn_real loss = NAN;
        CHECK(nn_train_batch(trainer, &at, &on, 1, &loss) == NN_OK && loss == 0);
        CHECK(nn_gradients(trainer)[0] == 0 && nn_gradients(trainer)[1] == 0);
        CHECK(nn_train_batch(trainer, &at, &above, 1, &loss) == NN_OK && loss > 0);
        CHECK(nn_gradients(trainer)[1] == (i ? -0.5f : -1));
        nn_parameters(model)[0] = 2;
        nn_parameters(model)[1] = 0.25f;
        CHECK(nn_train_batch(trainer, &at, &below, 1, &loss) == NN_OK && loss > 0);
        CHECK(nn_gradients(trainer)[1] == (i ? 0.5f : 1));
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
}

/* The median and the quantiles of the targets are what the loss is smallest at: a constant model
   learns them. */
static void test_learns_quantiles(void)
{
    enum { MANY = 100 };
    static const double quantiles[] = {0.1, 0.5, 0.9};
    nn_real inputs[MANY], targets[MANY];
    nn_data data = make_data(inputs, targets, MANY, 1, 1);
    int i;
    for (i = 0; i < MANY; i++) {
        inputs[i] = 0;
        targets[i] = (nn_real)((i * 37 % MANY) * (i * 37 % MANY) / 1000.0);
    }
    for (i = 0; i < 4; i++) {
        const double q = i < 3 ? quantiles[i] : 0.5;
        nn_options how = make_options(i < 3 ? NN_QUANTILE : NN_MAE, NN_RMSPROP, 0.05);
        nn_model *model = make_line(1);
        how.quantile = i < 3 ? (nn_real)q : 0;
        how.epochs = 2000;
        how.batch_size = MANY;
        how.schedule = NN_SCHEDULE_COSINE;
        CHECK(nn_fit(model, &data, &how) == NN_OK);
        CHECK(nn_parameters(model)[1] > (nn_real)((100 * q - 2) * (100 * q - 2) / 1000));
        CHECK(nn_parameters(model)[1] < (nn_real)((100 * q + 2) * (100 * q + 2) / 1000));
        nn_model_free(model);
    }
}

int main(void)
{
    RUN(test_ranges);
    RUN(test_zero_refused);
    RUN(test_without_effect);
    RUN(test_without_the_other);
    RUN(test_evaluate_without_effect);
    RUN(test_accepted);
    RUN(test_zero_shares);
    RUN(test_adam_of_zeros);
    RUN(test_step_to_zero);
    RUN(test_at_the_target);
    RUN(test_evaluate);
    RUN(test_evaluate_smoothing);
    RUN(test_evaluate_binary_smoothing);
    RUN(test_learns_quantiles);
    return test_done();
}
