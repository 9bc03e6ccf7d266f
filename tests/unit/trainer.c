/* The trainer: its options, batches, steps, gradients and dropout masks. nn_fit's loop over them:
   fit.c; batches in parts: micro_batch.c; saving and resuming: checkpoint.c. */
#include "refused.h"

/* ---- Options --------------------------------------------------------------------------------- */

static void test_options(void)
{
    nn_options how = good_options();
    if (!begin()) return;
    BAD_OPTION(optimizer, NN_OPTIMIZER_COUNT);
    BAD_OPTION(optimizer, (nn_optimizer)-1);
    BAD_OPTION(epochs, -1);
    BAD_OPTION(batch_size, -1);
    BAD_OPTION(batch_size, INT_MIN);
    BAD_REAL(learning_rate, -0.5f);
    BAD_REAL(beta1, -0.5f);
    BAD_OPTION(beta1, 1);
    BAD_REAL(beta2, -0.5f);
    BAD_OPTION(beta2, 1.5f);
    BAD_REAL(epsilon, -0.5f);
    BAD_REAL(weight_decay, -0.5f);
    BAD_OPTION(clip_norm, -0.5f);
    BAD_OPTION(clip_norm, R_NAN);
    BAD_OPTION(schedule, (nn_schedule)(NN_SCHEDULE_PLATEAU + 1));
    BAD_OPTION(schedule, (nn_schedule)-1);
    BAD_OPTION(warmup_steps, -1);
    BAD_OPTION(scaling, (nn_scaling)3);
    BAD_OPTION(scaling, (nn_scaling)-1);
    BAD_REAL(validation_fraction, -0.5f);
    BAD_OPTION(validation_fraction, 1);
    BAD_OPTION(patience, -1);
    how.optimizer = NN_SGD;
    BAD_REAL(momentum, -0.5f);
    BAD_OPTION(momentum, 1);
    BAD_OPTION(nesterov, 1); /* without momentum */
    how.schedule = NN_SCHEDULE_STEP;
    how.schedule_steps = 5;
    BAD_OPTION(schedule_steps, -1);
    BAD_REAL(step_factor, -0.5f);
    BAD_OPTION(step_factor, 1);
    BAD_OPTION(step_factor, 1.5f);
    how.schedule = NN_SCHEDULE_COSINE;
    BAD_OPTION(schedule_steps, -1);
    BAD_REAL(minimum_learning_rate, -0.5f);
    how.schedule = NN_SCHEDULE_PLATEAU;
    how.schedule_steps = 0;
    BAD_OPTION(plateau_patience, -1);
    BAD_REAL(min_delta, -0.5f);
    BAD_REAL(minimum_learning_rate, -0.5f);
    BAD_OPTION(step_factor, 1);
    end();
}

static void test_dropout(void)
{
    static const nn_real bad[][2] = {{-0.5f, 0}, {1, 0},    {1.5f, 0},  {R_NAN, 0},
                                     {R_INF, 0}, {0, 0.5f}, {0, -0.5f}, {0, R_NAN}};
    nn_options how = good_options();
    size_t i;
    if (!begin()) return;
    for (i = 0; i < sizeof bad / sizeof *bad; i++) BAD_OPTION(dropout, bad[i]);
    end();
}

/* ---- Batches and steps ----------------------------------------------------------------------- */

static void test_training_nulls(void)
{
    nn_options how = good_options();
    nn_data data = good_data();
    nn_trainer *made = NULL;
    nn_metrics results[2];
    uint64_t memory[1024];
    nn_real loss;
    if (!begin()) return;
    REFUSED(nn_fit(NULL, &data, &how), NN_ERROR_NULL);
    REFUSED(nn_fit(good_model, NULL, &how), NN_ERROR_NULL);
    REFUSED(nn_trainer_create(NULL, good_model, &how), NN_ERROR_NULL);
    REFUSED(nn_trainer_create(&made, NULL, &how), NN_ERROR_NULL);
    REFUSED(nn_trainer_create_in(NULL, memory, sizeof memory, good_model, &how), NN_ERROR_NULL);
    REFUSED(nn_trainer_create_in(&made, NULL, sizeof memory, good_model, &how), NN_ERROR_NULL);
    REFUSED(nn_trainer_create_in(&made, memory, sizeof memory, NULL, &how), NN_ERROR_NULL);
    REFUSED(nn_trainer_create_in(&made, memory, sizeof memory, good_model, NULL), NN_ERROR_NULL);
    CHECK(!made && nn_trainer_size(NULL, &how) == 0);
    REFUSED(nn_trainer_fit(NULL, &data), NN_ERROR_NULL);
    REFUSED(nn_trainer_fit(good_trainer, NULL), NN_ERROR_NULL);
    REFUSED(nn_accumulate(NULL, &data, &loss), NN_ERROR_NULL);
    REFUSED(nn_accumulate(good_trainer, NULL, &loss), NN_ERROR_NULL);
    REFUSED(nn_update(NULL), NN_ERROR_NULL);
    CHECK(nn_gradients(NULL) == NULL && isnan(nn_learning_rate(NULL)));
    CHECK(isnan(nn_gradient_norm(NULL)));
    REFUSED(evaluate(NULL, &data, NN_MSE, results), NN_ERROR_NULL);
    REFUSED(evaluate(good_model, NULL, NN_MSE, results), NN_ERROR_NULL);
    REFUSED(evaluate(good_model, &data, NN_MSE, NULL), NN_ERROR_NULL);
    REFUSED(nn_cross_validate(NULL, &data, &how, 2, results), NN_ERROR_NULL);
    REFUSED(nn_cross_validate(&binary_shape, NULL, &how, 2, results), NN_ERROR_NULL);
    REFUSED(nn_cross_validate(&binary_shape, &data, &how, 2, NULL), NN_ERROR_NULL);
    REFUSED(nn_cross_validate(&binary_shape, &data, &how, 1, results), NN_ERROR_OPTION);
    REFUSED(nn_cross_validate(&binary_shape, &data, &how, GOOD_ROWS + 1, results), NN_ERROR_OPTION);
    REFUSED(nn_cross_validate(&binary_shape, &data, &how, -1, results), NN_ERROR_OPTION);
    end();
}

/* Rows beyond the trainer's batch. (A batch size larger than the data is all of the data.) */
static void test_batches(void)
{
    nn_data data = good_data();
    const nn_real *y = NULL;
    nn_real loss = 5;
    if (!begin()) return;
    data.rows = GOOD_BATCH + 1;
    REFUSED(nn_train_batch(good_trainer, good_x, good_y, GOOD_BATCH + 1, &loss), NN_ERROR_BATCH);
    CHECK(loss == 0);
    loss = 5;
    REFUSED(nn_accumulate(good_trainer, &data, &loss), NN_ERROR_BATCH);
    CHECK(loss == 0);
    y = good_x;
    REFUSED(nn_forward(good_trainer, good_x, GOOD_BATCH + 1, &y), NN_ERROR_BATCH);
    CHECK(!y);
    REFUSED(nn_forward(good_trainer, good_x, INT_MAX, &y), NN_ERROR_BATCH);
    end();
}

static void test_train_batch(void)
{
    nn_real x[GOOD_BATCH * GOOD_INPUTS], y[GOOD_BATCH];
    nn_real loss = 5;
    int k;
    if (!begin()) return;
    REFUSED(nn_train_batch(NULL, good_x, good_y, 1, &loss), NN_ERROR_NULL);
    CHECK(loss == 0);
    REFUSED(nn_train_batch(good_trainer, NULL, good_y, 1, &loss), NN_ERROR_NULL);
    REFUSED(nn_train_batch(good_trainer, good_x, NULL, 1, &loss), NN_ERROR_NULL);
    REFUSED(nn_train_batch(good_trainer, good_x, good_y, 0, NULL), NN_ERROR_SIZE);
    REFUSED(nn_train_batch(good_trainer, good_x, good_y, -1, NULL), NN_ERROR_SIZE);
    for (k = 0; k < GOOD_BATCH; k++) {
        memcpy(x, good_x, sizeof x);
        memcpy(y, good_y, sizeof y);
        x[GOOD_INPUTS * k + 1] = R_INF;
        loss = 5;
        REFUSED(nn_train_batch(good_trainer, x, y, GOOD_BATCH, &loss), NN_ERROR_DATA);
        CHECK(loss == 0);
        y[k] = R_NAN;
        REFUSED(nn_train_batch(good_trainer, good_x, y, GOOD_BATCH, NULL), NN_ERROR_DATA);
        y[k] = 1.25f;
        REFUSED(nn_train_batch(good_trainer, good_x, y, GOOD_BATCH, &loss), NN_ERROR_TARGET);
    }
    end();
}

/* The gradients are as they were: a refused batch adds nothing to them. */
static void test_accumulate(void)
{
    nn_real gradients[64], x[GOOD_BATCH * GOOD_INPUTS], y[GOOD_BATCH],
        weight[GOOD_BATCH] = {1, 1, 1, 1};
    nn_data data = good_data();
    size_t bytes;
    if (!begin()) return;
    data.rows = GOOD_BATCH;
    bytes = nn_parameter_count(good_model) * sizeof(nn_real);
    if (!CHECK(bytes <= sizeof gradients)) return;
    CHECK(nn_accumulate(good_trainer, &data, NULL) == NN_OK);
    memcpy(gradients, nn_gradients(good_trainer), bytes);
    memcpy(x, good_x, sizeof x);
    memcpy(y, good_y, sizeof y);
    data.x = x;
    data.y = y;
    data.weight = weight;
    x[GOOD_INPUTS * GOOD_BATCH - 1] = R_NAN;
    CHECK(nn_accumulate(good_trainer, &data, NULL) == NN_ERROR_DATA);
    data.x = good_x;
    y[GOOD_BATCH - 1] = 3;
    CHECK(nn_accumulate(good_trainer, &data, NULL) == NN_ERROR_TARGET);
    data.y = good_y;
    weight[GOOD_BATCH - 1] = -1;
    CHECK(nn_accumulate(good_trainer, &data, NULL) == NN_ERROR_WEIGHT);
    weight[GOOD_BATCH - 1] = 1;
    data.inputs = 1;
    CHECK(nn_accumulate(good_trainer, &data, NULL) == NN_ERROR_SHAPE);
    data.inputs = GOOD_INPUTS;
    data.outputs = 2;
    CHECK(nn_accumulate(good_trainer, &data, NULL) == NN_ERROR_SHAPE);
    data.outputs = 1;
    data.rows = 0;
    CHECK(nn_accumulate(good_trainer, &data, NULL) == NN_ERROR_SIZE);
    data.rows = GOOD_BATCH;
    data.x = NULL;
    CHECK(nn_accumulate(good_trainer, &data, NULL) == NN_ERROR_NULL);
    CHECK(!memcmp(gradients, nn_gradients(good_trainer), bytes));
    CHECK(live_blocks == good_live);
    end();
}

/* Forward and backward: order, pointers, values. */
static void test_steps(void)
{
    static const nn_real bad[] = {R_NAN, R_INF};
    nn_real dy[GOOD_BATCH] = {1, 1, 1, 1}, dx[GOOD_BATCH * GOOD_INPUTS],
            x[GOOD_BATCH * GOOD_INPUTS];
    const nn_real *y = good_x;
    int i;
    if (!begin()) return;
    REFUSED(nn_backward(good_trainer, dy, dx), NN_ERROR_STATE);
    REFUSED(nn_forward(NULL, good_x, 1, &y), NN_ERROR_NULL);
    CHECK(!y);
    y = good_x;
    REFUSED(nn_forward(good_trainer, NULL, 1, &y), NN_ERROR_NULL);
    CHECK(!y);
    REFUSED(nn_forward(good_trainer, good_x, 1, NULL), NN_ERROR_NULL);
    REFUSED(nn_forward(good_trainer, good_x, 0, &y), NN_ERROR_SIZE);
    REFUSED(nn_forward(good_trainer, good_x, -1, &y), NN_ERROR_SIZE);
    for (i = 0; i < 2; i++) {
        memcpy(x, good_x, sizeof x);
        x[GOOD_BATCH * GOOD_INPUTS - 1] = bad[i];
        y = good_x;
        REFUSED(nn_forward(good_trainer, x, GOOD_BATCH, &y), NN_ERROR_DATA);
        CHECK(!y);
    }
    REFUSED(nn_backward(good_trainer, dy, NULL), NN_ERROR_STATE); /* a refused forward is none */
    CHECK(nn_forward(good_trainer, good_x, GOOD_BATCH, &y) == NN_OK && y);
    CHECK(nn_backward(NULL, dy, dx) == NN_ERROR_NULL);
    CHECK(nn_backward(good_trainer, NULL, dx) == NN_ERROR_NULL);
    for (i = 0; i < 2; i++) {
        dy[GOOD_BATCH - 1] = bad[i];
        memset(dx, 0x11, sizeof dx);
        memcpy(x, dx, sizeof x);
        CHECK(nn_backward(good_trainer, dy, dx) == NN_ERROR_DATA);
        CHECK(!memcmp(x, dx, sizeof x));
    }
    dy[GOOD_BATCH - 1] = 1;
    CHECK(nn_backward(good_trainer, dy, dx) == NN_OK); /* the forward pass was not used up */
    CHECK(nn_backward(good_trainer, dy, dx) == NN_ERROR_STATE);
    end();
}

/* One row; fewer rows than the default batch; one epoch of one batch is one nn_train_batch, which
   is nn_accumulate and nn_update. */
static void test_minimal_data(void)
{
    static const nn_real x = 2, y = 1;
    nn_options how = make_options(NN_MSE, NN_ADAM, 0.1);
    nn_data data = make_data(&x, &y, 1, 1, 1);
    nn_model *a = make_line(1), *b = make_line(1), *c = make_line(1);
    nn_trainer *trainer_b = make_trainer(b, &how), *trainer_c = make_trainer(c, &how);
    nn_real loss = NAN;
    how.epochs = 1;
    CHECK(nn_fit(a, &data, &how) == NN_OK);
    CHECK(nn_train_batch(trainer_b, &x, &y, 1, &loss) == NN_OK && loss == 1);
    CHECK(nn_accumulate(trainer_c, &data, &loss) == NN_OK && nn_update(trainer_c) == NN_OK);
    CHECK(nn_parameters(a)[0] != 0);
    CHECK(memcmp(nn_parameters(a), nn_parameters(b), 2 * sizeof(nn_real)) == 0);
    CHECK(memcmp(nn_parameters(a), nn_parameters(c), 2 * sizeof(nn_real)) == 0);
    how.validation_fraction = (nn_real)0.5; /* nothing would be left to train on, or to validate */
    CHECK(nn_fit(a, &data, &how) != NN_OK);
    nn_trainer_free(trainer_b);
    nn_trainer_free(trainer_c);
    nn_model_free(a);
    nn_model_free(b);
    nn_model_free(c);
}

/* nn_fit starts from gradients of its own; nn_clear_gradients forgets what waits. */
static void test_clear_gradients(void)
{
    static const nn_real x[2] = {1, 2}, y[2] = {3, 5};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.1);
    nn_data data = make_data(x, y, 2, 1, 1);
    nn_real want[2];
    int way;
    how.epochs = 1;
    for (way = 0; way < 3; way++) { /* plain, after a pending gradient, after clearing one */
        nn_model *model = make_line(1);
        nn_trainer *trainer = make_trainer(model, &how);
        if (way) CHECK(nn_accumulate(trainer, &data, NULL) == NN_OK);
        if (way == 2) {
            CHECK(nn_gradients(trainer)[0] != 0 && nn_clear_gradients(trainer) == NN_OK);
            CHECK(nn_gradients(trainer)[0] == 0 && nn_gradients(trainer)[1] == 0);
        }
        CHECK(nn_trainer_fit(trainer, &data) == NN_OK);
        if (way == 0) memcpy(want, nn_parameters(model), sizeof want);
        CHECK(!memcmp(want, nn_parameters(model), sizeof want));
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
    CHECK(nn_clear_gradients(NULL) == NN_ERROR_NULL);
}

/* ---- Dropout --------------------------------------------------------------------------------- */

enum { WIDE = 120, DEEP = 90 };

/* Hidden units that are all 1 and an output layer that copies them: the outputs are the mask. */
static nn_model *mask_model(void)
{
    static const nn_layer layers[2] = {NN_DENSE(WIDE, NN_LINEAR), NN_DENSE(WIDE, NN_LINEAR)};
    nn_model *model = make_model(1, layers, 2, 1);
    nn_real *theta = nn_parameters(model);
    int i;
    memset(theta, 0, nn_parameter_count(model) * sizeof *theta);
    for (i = 0; i < WIDE; i++) theta[WIDE + i] = 1;
    for (i = 0; i < WIDE; i++) theta[2 * WIDE + i * (WIDE + 1)] = 1;
    return model;
}

/* DEEP rows of masks, of two calls one after the other. */
static void draw_masks(nn_model *model, double share, uint64_t seed, nn_real *first, nn_real *next)
{
    static const nn_real x[DEEP] = {0};
    nn_real dropout[2] = {0, 0};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.1);
    nn_trainer *trainer;
    const nn_real *y = NULL;
    size_t bytes = (size_t)DEEP * WIDE * sizeof(nn_real);
    dropout[0] = (nn_real)share;
    how.dropout = dropout;
    how.seed = seed;
    how.batch_size = DEEP;
    trainer = make_trainer(model, &how);
    dropout[0] = 0; /* it was copied */
    CHECK(nn_forward(trainer, x, DEEP, &y) == NN_OK);
    memcpy(first, y, bytes);
    CHECK(nn_forward(trainer, x, DEEP, &y) == NN_OK);
    memcpy(next, y, bytes);
    nn_trainer_free(trainer);
}

/* Every unit is 0 or 1 / (1 - p); the share of zeros lies within four standard deviations of p, in
   all and in each row and column within five; neighbours are independent. */
static void check_mask(const nn_real *mask, double p)
{
    int rows[DEEP] = {0}, columns[WIDE] = {0}, i, dropped = 0, pairs = 0;
    double n = DEEP * WIDE, kept = 1 / (1 - p);
    for (i = 0; i < DEEP * WIDE; i++) {
        int zero = mask[i] == 0;
        if (!zero) CHECK_NEAR(mask[i], kept, 1e-6, 0);
        dropped += zero;
        rows[i / WIDE] += zero;
        columns[i % WIDE] += zero;
        pairs += zero && i && mask[i - 1] == 0;
    }
    CHECK(fabs(dropped / n - p) < 4 * sqrt(p * (1 - p) / n));
    CHECK(fabs(pairs / n - p * p) < 8 * sqrt(p * p * (1 - p * p) / n));
    for (i = 0; i < DEEP; i++) CHECK(fabs(rows[i] - p * WIDE) < 5 * sqrt(p * (1 - p) * WIDE) + 1);
    for (i = 0; i < WIDE; i++)
        CHECK(fabs(columns[i] - p * DEEP) < 5 * sqrt(p * (1 - p) * DEEP) + 1);
}

static void test_dropout_masks(void)
{
    static const double shares[4] = {0.1, 0.25, 0.5, 0.9};
    static nn_real a[DEEP * WIDE], b[DEEP * WIDE], c[DEEP * WIDE], d[DEEP * WIDE];
    nn_model *model = mask_model();
    int i;
    for (i = 0; i < 4; i++) {
        draw_masks(model, shares[i], 5, a, b);
        check_mask(a, shares[i]);
        check_mask(b, shares[i]);
        CHECK(memcmp(a, b, sizeof a) != 0); /* a new mask for each pass */
        draw_masks(model, shares[i], 5, c, d);
        CHECK(memcmp(a, c, sizeof a) == 0 && memcmp(b, d, sizeof b) == 0);
        draw_masks(model, shares[i], 6, c, d);
        CHECK(memcmp(a, c, sizeof a) != 0 && memcmp(b, c, sizeof b) != 0);
    }
    draw_masks(model, 0, 5, a, b);
    for (i = 0; i < DEEP * WIDE; i++) CHECK(a[i] == 1);
    nn_model_free(model);
}

int main(void)
{
    RUN(test_options);
    RUN(test_dropout);
    RUN(test_training_nulls);
    RUN(test_batches);
    RUN(test_train_batch);
    RUN(test_accumulate);
    RUN(test_steps);
    RUN(test_minimal_data);
    RUN(test_clear_gradients);
    RUN(test_dropout_masks);
    return test_done();
}
