/* nn_fit's loop: shuffling, batches, validation, early stopping, callbacks and what they are told,
   rows without weight. */
#include "record.h"

enum { MAX_ROWS = 16 };

/* ---- XOR ------------------------------------------------------------------------------------- */

static int learns_xor(uint64_t seed)
{
    static const nn_layer layers[2] = {NN_DENSE(8, NN_TANH), NN_DENSE(1, NN_SIGMOID)};
    static const nn_real x[8] = {0, 0, 0, 1, 1, 0, 1, 1}, y[4] = {0, 1, 1, 0};
    nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_ADAM, 0.03);
    nn_data data = make_data(x, y, 4, 2, 1);
    nn_model *model = make_model(2, layers, 2, seed);
    nn_real p[4] = {NAN, NAN, NAN, NAN};
    int i, good = 0;
    how.epochs = 500;
    how.seed = seed;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(nn_predict(model, x, 4, p, NULL) == NN_OK);
    for (i = 0; i < 4; i++) good += fabs((double)(p[i] - y[i])) < 0.1;
    nn_model_free(model);
    return good == 4;
}

/* From every seed: none was chosen. */
static void test_xor(void)
{
    int seed, learned = 0;
    for (seed = 1; seed <= 20; seed++) learned += learns_xor((uint64_t)seed);
    printf("XOR learned from %d of 20 seeds\n", learned);
    CHECK(learned == 20);
}

/* ---- Which row is trained when --------------------------------------------------------------- */

/* Row i of the data is the unit vector i, so that in a linear model a batch changes exactly the
   weights of its rows. The callback notes which. */
typedef struct diary {
    nn_model *model;
    int rows;
    nn_real last[MAX_ROWS];         /* the weights after the batch before */
    int batches;                    /* seen so far, in all epochs */
    int sizes[400];                 /* rows in each batch */
    char order[400 * MAX_ROWS + 1]; /* the rows of each batch as letters, a full stop after each */
    size_t length;
    int epochs, bad, stop_at; /* stop_at: the batch, counted in all, after which to stop */
} diary;

static int write_diary(const nn_progress *progress, void *user)
{
    diary *d = (diary *)user;
    const nn_real *w = nn_parameters(d->model);
    int i, size = 0;
    if (progress->model != d->model) d->bad++;
    if (progress->batch == 0) {
        d->epochs++;
        if (progress->epoch != d->epochs) d->bad++;
        return 0;
    }
    if (progress->epoch != d->epochs + 1 || d->batches >= 400) d->bad++;
    for (i = 0; i < d->rows; i++) {
        if (w[i] == d->last[i]) continue;
        d->order[d->length++] = (char)('a' + i);
        d->last[i] = w[i];
        size++;
    }
    d->order[d->length++] = '.';
    d->order[d->length] = 0;
    d->sizes[d->batches++] = size;
    return d->stop_at && d->batches >= d->stop_at;
}

/* Trains rows unit vectors towards 1 and fills the diary; changes how's callback fields only. */
static void keep_diary(diary *d, int rows, nn_options how)
{
    static nn_real x[MAX_ROWS * MAX_ROWS], y[MAX_ROWS];
    nn_data data = make_data(x, y, rows, rows, 1);
    int i, stop_at = d->stop_at;
    for (i = 0; i < rows * rows; i++) x[i] = (nn_real)(i % (rows + 1) == 0);
    for (i = 0; i < rows; i++) y[i] = 1;
    memset(d, 0, sizeof *d);
    d->stop_at = stop_at;
    d->rows = rows;
    d->model = make_line(rows);
    how.callback = write_diary;
    how.callback_batches = 1;
    how.user = d;
    CHECK(nn_fit(d->model, &data, &how) == NN_OK);
    CHECK(d->bad == 0);
    nn_model_free(d->model);
}

static int times_in(const diary *d, char row)
{
    int count = 0;
    size_t i;
    for (i = 0; i < d->length; i++) count += d->order[i] == row;
    return count;
}

/* 10 rows by 3: batches of 3, 3, 3, 1; each row once in each epoch. */
static void test_batches_cover_the_rows(void)
{
    static diary d;
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    int i, epoch, row;
    how.epochs = 5;
    how.batch_size = 3;
    keep_diary(&d, 10, how);
    CHECK(d.epochs == 5 && d.batches == 20);
    for (i = 0; i < 20; i++) CHECK(d.sizes[i] == (i % 4 == 3 ? 1 : 3));
    CHECK(d.length == 5 * 14);
    for (epoch = 0; epoch < 5; epoch++)
        for (row = 0; row < 10; row++) CHECK(memchr(d.order + epoch * 14, 'a' + row, 14) != NULL);
}

/* Each epoch has an order of its own, given by the seed alone. */
static void test_shuffled_anew(void)
{
    static diary a, b, c;
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    int i, same = 0;
    how.epochs = 10;
    how.batch_size = 1;
    how.seed = 1;
    keep_diary(&a, 12, how);
    keep_diary(&b, 12, how);
    how.seed = 2;
    keep_diary(&c, 12, how);
    CHECK(a.length == 240 && strcmp(a.order, b.order) == 0 && strcmp(a.order, c.order) != 0);
    for (i = 1; i < 10; i++) same += memcmp(a.order, a.order + 24 * i, 24) == 0;
    CHECK(same == 0);
}

/* All six orders of three rows are equally likely: 3000 epochs, 500 +- 20.4 of each; five standard
   deviations are allowed. A shuffle with the usual mistake (swap with any) misses by 55. */
static void test_shuffle_is_uniform(void)
{
    static diary d;
    nn_options how = make_options(NN_MSE, NN_SGD, 1e-4);
    int counts[27] = {0}, i, k, orders = 0;
    how.batch_size = 1;
    how.epochs = 100;
    for (i = 0; i < 30; i++) {
        how.seed = (uint64_t)i;
        keep_diary(&d, 3, how);
        if (!CHECK(d.length == 600)) return;
        for (k = 0; k < 600; k += 6)
            counts[(d.order[k] - 'a') * 9 + (d.order[k + 2] - 'a') * 3 + d.order[k + 4] - 'a']++;
    }
    for (i = 0; i < 27; i++) {
        orders += counts[i] > 0;
        if (counts[i] > 0) CHECK(counts[i] > 500 - 102 && counts[i] < 500 + 102);
    }
    CHECK(orders == 6);
}

/* The validation rows are never trained on, the others all are. */
static void test_validation_rows_are_apart(void)
{
    static diary d;
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    int row, seed, left_out = 0, different = 0;
    char before[MAX_ROWS] = {0}, now[MAX_ROWS] = {0};
    how.epochs = 6;
    how.batch_size = 4;
    how.validation_fraction = (nn_real)0.3;
    for (seed = 1; seed <= 5; seed++) {
        how.seed = (uint64_t)seed;
        keep_diary(&d, 10, how);
        left_out = 0;
        for (row = 0; row < 10; row++) {
            int times = times_in(&d, (char)('a' + row));
            CHECK(times == 0 || times == 6);
            now[row] = times == 0;
            left_out += times == 0;
        }
        CHECK(left_out == 3);
        CHECK(d.batches == 12); /* 7 rows by 4 */
        different += memcmp(before, now, sizeof now) != 0;
        memcpy(before, now, sizeof now);
    }
    CHECK(different > 2); /* drawn by the seed, not the last three */
}

/* Stops in the middle of an epoch, with NN_OK; the epoch is not reported as complete. */
static void test_callback_stops_at_a_batch(void)
{
    static diary d;
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    how.batch_size = 3;
    d.stop_at = 6;
    keep_diary(&d, 10, how);
    CHECK(d.batches == 6 && d.epochs == 1);
}

/* Trains one epoch, batches of 2, on rows of which only row 0 has an effect on w; gives w. */
static double train_on_row(int rows, uint64_t seed)
{
    static const nn_real x[5] = {1, 0, 0, 0, 0}, y[5] = {1, 0, 0, 0, 0};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.125);
    nn_model *model = make_unit(NN_LINEAR, 0, 0);
    nn_data data = make_data(x, y, rows, 1, 1);
    double w;
    how.epochs = 1;
    how.batch_size = 2;
    how.seed = seed;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    w = (double)nn_parameters(model)[0];
    nn_model_free(model);
    return w;
}

/* AIfES drops the last partial batch; Cranium divides by all rows, not the batch's. The row's
   gradient is -2: in a full batch of 2 it moves w by 0.125, alone in the last batch by 0.25. With 3
   rows and 5 rows it must land in both, by the seed. */
static void test_last_partial_batch(void)
{
    int rows, seed;
    for (rows = 3; rows <= 5; rows++) {
        int alone = 0, together = 0;
        for (seed = 1; seed <= 40; seed++) {
            double w = train_on_row(rows, (uint64_t)seed);
            alone += w == 0.25;
            together += w == 0.125;
        }
        CHECK(alone + together == 40);
        CHECK(together > 0 && (alone > 0) == (rows % 2 == 1));
    }
}

/* ---- Progress -------------------------------------------------------------------------------- */

/* Five points of which every loss and accuracy is known; a rate too small to change anything. */
static void test_progress_fields(void)
{
    static const nn_real x[5] = {-2, -1, 1, 2, 3}, y[5] = {0, 1, 1, 1, 0};
    static const nn_layer layer = NN_DENSE(1, NN_SIGMOID);
    nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_SGD, 1e-30);
    nn_data data = make_data(x, y, 5, 1, 1);
    nn_model *model = make_model(1, &layer, 1, 1);
    nn_metrics m;
    record r;
    data.classes = 2;
    nn_parameters(model)[0] = 1;
    how.epochs = 3;
    how.batch_size = 2;
    how.callback_batches = 1;
    how.validation = &data;
    watch(&how, &r);
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(nn_evaluate(model, &data, &how, &m) == NN_OK);
    CHECK(r.bad == 0 && r.calls == 12 && r.batch_calls == 9 && r.epochs == 3);
    CHECK(r.last.epoch == 3 && r.last.epochs == 3 && r.last.batch == 0 && r.last.batches == 3);
    CHECK_NEAR(r.last.loss, m.loss, 1e-6, 0); /* the partial batch counts by its size */
    CHECK(r.last.accuracy == (nn_real)0.6);
    CHECK_NEAR(r.last.validation_loss, m.loss, 1e-12, 0);
    CHECK(r.last.validation_accuracy == (nn_real)0.6);
    CHECK_NEAR(r.last.learning_rate, 1e-30, 1e-6, 0);
    CHECK(isnan(r.last.gradient_norm));
    CHECK(r.last.best_epoch == 0 && r.last.remaining == 0);

    how.validation = NULL;
    data.classes = 0;
    how.loss = NN_MSE;
    watch(&how, &r);
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(isnan(r.last.accuracy) && isnan(r.last.validation_loss));
    CHECK(isnan(r.last.validation_accuracy));
    nn_model_free(model);
}

/* One row, x = 1, t = -5, w = b = 0: the gradient is (10, 10), reported whole, applied clipped. */
static void test_progress_gradient_norm(void)
{
    static const nn_real x = 1, y = -5;
    nn_options how = make_options(NN_MSE, NN_SGD, 0.5);
    nn_data data = make_data(&x, &y, 1, 1, 1);
    nn_model *model = make_line(1);
    record r;
    how.epochs = 1;
    how.clip_norm = 1;
    watch(&how, &r);
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK_NEAR(r.last.gradient_norm, sqrt(200.0), 1e-6, 0);
    CHECK_NEAR(nn_parameters(model)[0], -0.5 / sqrt(2.0), 1e-6, 0);
    nn_model_free(model);
}

static void test_callback_stops_at_an_epoch(void)
{
    static const nn_real x = 1, y = 1;
    nn_options how = make_options(NN_MSE, NN_SGD, 0.1);
    nn_data data = make_data(&x, &y, 1, 1, 1);
    nn_model *model = make_line(1);
    record r;
    watch(&how, &r);
    r.stop_at = 3;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(r.epochs == 3 && r.calls == 3 && r.last.epochs == 100);
    nn_model_free(model);
}

/* A run that a callback stopped goes on as if it had not: all bits, momentum and order included. */
static void check_resumes(int at_batch)
{
    static const nn_real x[5] = {1, -1, 2, 0.5f, 3}, y[5] = {1, 0, 2, 2, -1};
    nn_options how = make_options(NN_MSE, NN_ADAM, 0.05);
    nn_data data = make_data(x, y, 5, 1, 1);
    static diary d;
    nn_model *whole = make_line(1), *parts = make_line(1);
    nn_trainer *trainer;
    how.epochs = 10;
    how.batch_size = 2;
    CHECK(nn_fit(whole, &data, &how) == NN_OK);
    memset(&d, 0, sizeof d);
    d.model = parts;
    d.stop_at = at_batch;
    how.callback = write_diary;
    how.callback_batches = 1;
    how.user = &d;
    trainer = make_trainer(parts, &how);
    CHECK(nn_trainer_fit(trainer, &data) == NN_OK && d.batches == at_batch);
    d.stop_at = 0;
    CHECK(nn_trainer_fit(trainer, &data) == NN_OK && d.batches == 30);
    CHECK(memcmp(nn_parameters(whole), nn_parameters(parts), 2 * sizeof(nn_real)) == 0);
    nn_trainer_free(trainer);
    nn_model_free(parts);
    nn_model_free(whole);
}

static void test_resumes_after_an_epoch(void)
{
    static const nn_real x[5] = {1, -1, 2, 0.5f, 3}, y[5] = {1, 0, 2, 2, -1};
    nn_options how = make_options(NN_MSE, NN_ADAM, 0.05);
    nn_data data = make_data(x, y, 5, 1, 1);
    nn_model *whole = make_line(1), *parts = make_line(1);
    nn_trainer *trainer;
    record r;
    how.epochs = 10;
    how.batch_size = 2;
    CHECK(nn_fit(whole, &data, &how) == NN_OK);
    watch(&how, &r);
    r.stop_at = 4;
    trainer = make_trainer(parts, &how);
    CHECK(nn_trainer_fit(trainer, &data) == NN_OK && r.epochs == 4);
    r.stop_at = 0;
    CHECK(nn_trainer_fit(trainer, &data) == NN_OK && r.epochs == 10 && r.last.epoch == 10);
    CHECK(memcmp(nn_parameters(whole), nn_parameters(parts), 2 * sizeof(nn_real)) == 0);
    nn_trainer_free(trainer);
    nn_model_free(parts);
    nn_model_free(whole);
}

static void test_resumes_within_an_epoch(void)
{
    check_resumes(7);
    check_resumes(9); /* the last batch of an epoch */
}

/* ---- Early stopping -------------------------------------------------------------------------- */

/* Training pulls w from 0 to 1, validation wants 0.5: its loss falls, then rises. */
static void check_early_stopping(int epochs, int patience, int runs_to, double best_w)
{
    static const nn_real x[2] = {1, -1}, y[2] = {1, -1}, half[2] = {0.5f, -0.5f};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.05); /* w grows by a tenth of 1 - w */
    nn_data data = make_data(x, y, 2, 1, 1), validation = make_data(x, half, 2, 1, 1);
    nn_model *model = make_line(1);
    nn_metrics m;
    record r;
    how.epochs = epochs;
    how.patience = patience;
    how.validation = &validation;
    watch(&how, &r);
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(evaluate(model, &validation, NN_MSE, &m) == NN_OK);
    CHECK(r.epochs == runs_to && r.bad == 0);
    CHECK_NEAR(nn_parameters(model)[0], best_w, 1e-5, 0);
    if (patience) CHECK(m.loss == r.best && r.last.best_epoch == r.best_epoch);
    CHECK((m.loss > r.best) == (patience == 0));
    nn_model_free(model);
}

/* 1 - 0.9^7 = 0.5217 is nearer to 0.5 than 1 - 0.9^6 = 0.4686: epoch 7 is the best. */
static void test_early_stopping(void)
{
    double best = 1 - pow(0.9, 7);
    check_early_stopping(100, 5, 12, best);
    check_early_stopping(100, 1, 8, best);
    check_early_stopping(10, 5, 10, best); /* the last epoch ends it: restored all the same */
    check_early_stopping(7, 5, 7, best);
    check_early_stopping(20, 0, 20, 1 - pow(0.9, 20)); /* without patience the last weights stay */
}

/* Patience starts anew with each better epoch. Training swings about 1, w = 1 - (-0.9)^k after
   epoch k; validation wants 1.05, so that odd epochs are better until 0.9^29 = 0.047, the best. */
static void test_patience_starts_anew(void)
{
    static const nn_real x[2] = {1, -1}, y[2] = {1, -1}, other[2] = {1.05f, -1.05f};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.95);
    nn_data data = make_data(x, y, 2, 1, 1), validation = make_data(x, other, 2, 1, 1);
    nn_model *model = make_line(1);
    record r;
    how.patience = 3;
    how.validation = &validation;
    watch(&how, &r);
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(r.best_epoch == 29 && r.last.best_epoch == 29 && r.epochs == 32);
    CHECK_NEAR(nn_parameters(model)[0], 1 + pow(0.9, 29), 1e-5, 0);
    nn_model_free(model);
}

/* Without a validation set the training loss counts. The rate is too large, the loss grows from
   epoch to epoch, so the first is the best. */
static void test_early_stopping_on_training_loss(void)
{
    static const nn_real x = 1, y = 1;
    nn_options how =
        make_options(NN_MSE, NN_SGD, 0.6); /* error times 1 - 4 * 0.6 = -1.4 each epoch */
    nn_data data = make_data(&x, &y, 1, 1, 1);
    nn_model *model = make_line(1);
    record r;
    how.epochs = 50;
    how.patience = 4;
    watch(&how, &r);
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(r.epochs == 5 && r.best_epoch == 1 && r.last.best_epoch == 1);
    CHECK_NEAR(nn_parameters(model)[0], 1.2, 1e-6, 0); /* the weights after epoch 1 */
    nn_model_free(model);
}

/* Validation drawn from the rows works with patience, too. */
static void test_validation_fraction_with_patience(void)
{
    nn_real x[40] = {0}, y[40] = {0};
    nn_options how = make_options(NN_MSE, NN_ADAM, 0.05);
    nn_data data = make_data(x, y, 40, 1, 1);
    nn_model *model = make_line(1);
    record r;
    int i, k;
    for (i = 0; i < 40; i++) x[i] = (nn_real)(i - 20) / 10;
    for (i = 0; i < 40; i++) y[i] = 2 * x[i] + (nn_real)(i * 7919 % 11 - 5) / 5;
    how.epochs = 300;
    how.patience = 10;
    how.validation_fraction = (nn_real)0.25;
    watch(&how, &r);
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(r.epochs > 10 && r.epochs < 300 && r.epochs == r.best_epoch + 10);
    for (k = 0; k < r.epochs; k++) CHECK(isfinite(r.losses[k]) && r.losses[k] >= r.best);
    CHECK_NEAR(nn_parameters(model)[0], 2, 0.2, 0);
    nn_model_free(model);
}

/* A loss that is lower by no more than min_delta is not lower. The validation loss is (w - 0.5)^2,
   w = 1 - 0.9^k after epoch k: 0.16, 0.0961, 0.0526, 0.0244, 0.0082, 0.001, 0.0005, ... */
static void test_min_delta(void)
{
    static const nn_real x[2] = {1, -1}, y[2] = {1, -1}, half[2] = {0.5f, -0.5f};
    static const double deltas[] = {0, 0.0006, 0.01, 0.0265, 1};
    static const int best[] = {7, 6, 5, 4, 1};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.05);
    nn_data data = make_data(x, y, 2, 1, 1), validation = make_data(x, half, 2, 1, 1);
    int i;
    how.patience = 2;
    how.validation = &validation;
    for (i = 0; i < COUNT_OF(best); i++) {
        nn_model *model = make_line(1);
        record r;
        how.min_delta = (nn_real)deltas[i];
        watch(&how, &r);
        CHECK(nn_fit(model, &data, &how) == NN_OK);
        CHECK(r.last.best_epoch == best[i] && r.epochs == best[i] + 2);
        CHECK(r.last.ended == NN_ENDED_PATIENCE);
        CHECK_NEAR(nn_parameters(model)[0], 1 - pow(0.9, best[i]), 1e-5, 0);
        nn_model_free(model);
    }
}

/* ---- Row weights, dropout, defaults ---------------------------------------------------------- */

/* nn_fit uses the weights: the mean of 0 and 1 weighted 3 to 1. A batch whose rows all have weight
   0 is no reason for NaN. */
static void test_fit_uses_row_weights(void)
{
    static const nn_real x[3] = {0, 0, 0}, y[3] = {0, 1, 100}, weight[3] = {3, 1, 0};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.2);
    nn_data data = make_data(x, y, 3, 1, 1);
    nn_model *model = make_line(1);
    record r;
    data.weight = weight;
    how.batch_size = 3;
    watch(&how, &r);
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK_NEAR(nn_parameters(model)[1], 0.25, 1e-5, 0);
    CHECK_NEAR(r.last.loss, 0.1875, 1e-5, 0); /* variance of the two */
    how.batch_size = 1;
    how.learning_rate = (nn_real)0.01;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(nn_parameters(model)[1] > 0 && nn_parameters(model)[1] < 1);
    nn_model_free(model);
}

/* A batch in which all rows have weight 0 changes nothing, wherever the shuffle puts it: neither an
   old gradient nor momentum is applied. */
static void test_batch_without_weight(void)
{
    static const nn_real x[2] = {1, 5}, y[2] = {1, 7}, weight[2] = {1, 0};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    nn_data one = make_data(x, y, 1, 1, 1), both = make_data(x, y, 2, 1, 1);
    int seed;
    both.weight = weight;
    how.epochs = 3;
    how.batch_size = 1;
    how.momentum = (nn_real)0.5;
    for (seed = 0; seed < 8; seed++) {
        nn_model *a = make_line(1), *b = make_line(1);
        how.seed = (uint64_t)seed;
        CHECK(nn_fit(a, &one, &how) == NN_OK && nn_fit(b, &both, &how) == NN_OK);
        CHECK(memcmp(nn_parameters(a), nn_parameters(b), 2 * sizeof(nn_real)) == 0);
        nn_model_free(a);
        nn_model_free(b);
    }
}

/* When all rows held back for validation have weight 0 there is no validation loss, but nothing has
   diverged either. Some seeds hold back the last row, which is so. */
static void test_validation_without_weight(void)
{
    static const nn_real x[4] = {1, 2, 3, 4}, y[4] = {1, 2, 3, 4}, weight[4] = {1, 1, 1, 0};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    nn_data data = make_data(x, y, 4, 1, 1);
    int seed;
    data.weight = weight;
    how.epochs = 2;
    how.validation_fraction = (nn_real)0.25;
    for (seed = 0; seed < 20; seed++) {
        nn_model *model = make_line(1);
        nn_status status;
        how.seed = (uint64_t)seed;
        status = nn_fit(model, &data, &how);
        CHECK(status == NN_OK || status == NN_ERROR_WEIGHT);
        nn_model_free(model);
    }
    for (seed = 0; seed < 4; seed++) { /* one row of weight: none is left for the other rows */
        nn_model *model = make_line(1);
        nn_real one[4] = {0, 0, 0, 0};
        one[seed] = 1;
        data.weight = one;
        CHECK(nn_fit(model, &data, &how) == NN_ERROR_WEIGHT);
        nn_model_free(model);
    }
}

/* Neither predict nor validation has dropout; training with it repeats by the seed. */
/* A fraction of less than half a row holds one row out all the same, and never all of them. */
static void test_small_validation_fraction(void)
{
    static const nn_real x[4] = {0, 1, 2, 3}, y[4] = {0, 2, 4, 6};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    nn_epoch epochs[2];
    nn_history history = {epochs, 2, 0};
    nn_data data = make_data(x, y, 4, 1, 1);
    nn_model *model = make_line(1);
    how.epochs = 2;
    how.validation_fraction = (nn_real)0.01;
    how.history = &history;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(history.count == 2 && epochs[1].validation_loss == epochs[1].validation_loss);
    data.rows = 1;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_SIZE);
    nn_model_free(model);
}

/* Where the validation overflows and training does not: training has diverged. */
static void test_validation_diverges(void)
{
    const nn_real huge = sizeof(nn_real) == 4 ? (nn_real)1e25 : (nn_real)1e200;
    const nn_real x[2] = {1, 2}, y[2] = {1, 2}, large_x[1] = {huge}, large_y[1] = {0};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01);
    const nn_data data = make_data(x, y, 2, 1, 1), other = make_data(large_x, large_y, 1, 1, 1);
    nn_model *model = make_line(1);
    how.epochs = 2;
    how.validation = &other;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_DIVERGED);
    CHECK(all_finite(model) && nn_parameters(model)[0] > 0);
    nn_model_free(model);
}

static void test_dropout_in_fit(void)
{
    static const nn_layer layers[2] = {NN_DENSE(10, NN_RELU), NN_DENSE(1, NN_LINEAR)};
    static const nn_real x[4] = {0, 1, 2, 3}, y[4] = {0, 1, 2, 3}, share[2] = {0.5f, 0};
    nn_options how = make_options(NN_MSE, NN_ADAM, 0.01);
    nn_data data = make_data(x, y, 4, 1, 1);
    nn_model *models[3];
    nn_metrics m;
    nn_real p[4], q[4];
    size_t bytes;
    record r;
    int i;
    how.dropout = share;
    how.epochs = 20;
    how.validation = &data;
    for (i = 0; i < 3; i++) {
        models[i] = make_model(1, layers, 2, 1);
        how.seed = i == 2 ? 8 : 7;
        watch(&how, &r);
        CHECK(nn_fit(models[i], &data, &how) == NN_OK);
        CHECK(evaluate(models[i], &data, NN_MSE, &m) == NN_OK);
        CHECK_NEAR(r.last.validation_loss, m.loss, 1e-12, 0);
    }
    bytes = nn_parameter_count(models[0]) * sizeof(nn_real);
    CHECK(memcmp(nn_parameters(models[0]), nn_parameters(models[1]), bytes) == 0);
    CHECK(memcmp(nn_parameters(models[0]), nn_parameters(models[2]), bytes) != 0);
    CHECK(nn_predict(models[0], x, 4, p, NULL) == NN_OK);
    CHECK(nn_predict(models[0], x, 4, q, NULL) == NN_OK);
    CHECK(memcmp(p, q, sizeof p) == 0 && p[3] != 0);
    for (i = 0; i < 3; i++) nn_model_free(models[i]);
}

/* NULL options mean SGD on the MSE at 1e-2, batches of 32, 100 epochs: the same bits as these. */
static void test_default_options(void)
{
    static const nn_layer layers[2] = {NN_DENSE(3, NN_TANH), NN_DENSE(1, NN_LINEAR)};
    nn_real x[70] = {0}, y[70] = {0};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.01), none;
    nn_data data = make_data(x, y, 70, 1, 1);
    nn_model *models[3];
    size_t bytes;
    int i;
    memset(&none, 0, sizeof none);
    how.epochs = 100;
    how.batch_size = 32;
    for (i = 0; i < 70; i++) x[i] = (nn_real)i / 70, y[i] = x[i] * x[i];
    for (i = 0; i < 3; i++) {
        models[i] = make_model(1, layers, 2, 1);
        CHECK(nn_fit(models[i], &data, i == 0 ? NULL : i == 1 ? &none : &how) == NN_OK);
    }
    bytes = nn_parameter_count(models[0]) * sizeof(nn_real);
    CHECK(memcmp(nn_parameters(models[0]), nn_parameters(models[1]), bytes) == 0);
    CHECK(memcmp(nn_parameters(models[0]), nn_parameters(models[2]), bytes) == 0);
    for (i = 0; i < 3; i++) nn_model_free(models[i]);
}

int main(void)
{
    RUN(test_xor);
    RUN(test_batches_cover_the_rows);
    RUN(test_shuffled_anew);
    RUN(test_shuffle_is_uniform);
    RUN(test_validation_rows_are_apart);
    RUN(test_callback_stops_at_a_batch);
    RUN(test_last_partial_batch);
    RUN(test_progress_fields);
    RUN(test_progress_gradient_norm);
    RUN(test_callback_stops_at_an_epoch);
    RUN(test_resumes_after_an_epoch);
    RUN(test_resumes_within_an_epoch);
    RUN(test_early_stopping);
    RUN(test_patience_starts_anew);
    RUN(test_early_stopping_on_training_loss);
    RUN(test_validation_fraction_with_patience);
    RUN(test_min_delta);
    RUN(test_fit_uses_row_weights);
    RUN(test_batch_without_weight);
    RUN(test_validation_without_weight);
    RUN(test_small_validation_fraction);
    RUN(test_validation_diverges);
    RUN(test_dropout_in_fit);
    RUN(test_default_options);
    return test_done();
}
