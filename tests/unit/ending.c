/* What nn_fit says and does at the end of an epoch: why it ends, the plateau schedule, the history
   of losses. Early stopping itself: fit.c. */
#include <limits.h>

#include "record.h"

/* ---- How training ends ----------------------------------------------------------------------- */

/* Notes what the last call of the callback sees. */
typedef struct ending {
    nn_model *model;
    int calls, ended_calls, stop_at;
    nn_ended ended;
    nn_real w; /* in the last call */
} ending;

static int note_ending(const nn_progress *progress, void *user)
{
    ending *e = (ending *)user;
    e->calls++;
    e->ended_calls += progress->ended != NN_ENDED_NOT;
    e->ended = progress->ended;
    e->w = nn_parameters(e->model)[0];
    return progress->batch == 0 && progress->epoch == e->stop_at;
}

/* A run of check_early_stopping, whose best epoch is 7; gives the status of one more call, which
   must change nothing. */
static void check_ending(int epochs, int patience, int stop_at, nn_ended ended, int best)
{
    static const nn_real x[2] = {1, -1}, y[2] = {1, -1}, half[2] = {0.5f, -0.5f};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.05);
    nn_data data = make_data(x, y, 2, 1, 1), validation = make_data(x, half, 2, 1, 1);
    nn_model *model = make_line(1);
    unsigned char before[2048], after[2048];
    nn_trainer *trainer;
    size_t size, size_after;
    ending e;
    memset(&e, 0, sizeof e);
    e.model = model;
    e.stop_at = stop_at;
    how.epochs = epochs;
    how.patience = patience;
    how.validation = &validation;
    how.callback = note_ending;
    how.callback_batches = 1;
    how.user = &e;
    trainer = make_trainer(model, &how);
    CHECK(nn_trainer_fit(trainer, &data) == NN_OK);
    CHECK(e.ended == ended && e.ended_calls == (ended != NN_ENDED_NOT));
    CHECK(e.w == nn_parameters(model)[0]); /* the last call saw the final weights */
    CHECK_NEAR(nn_parameters(model)[0], 1 - pow(0.9, best), 1e-5, 0);
    CHECK(nn_save_checkpoint_memory(trainer, before, sizeof before, &size) == NN_OK);
    if (ended != NN_ENDED_NOT) {
        const int calls = e.calls;
        CHECK(nn_trainer_fit(trainer, &data) == NN_ERROR_STATE && e.calls == calls);
        CHECK(nn_save_checkpoint_memory(trainer, after, sizeof after, &size_after) == NN_OK);
        CHECK(size == size_after && !memcmp(before, after, size));
        CHECK(nn_trainer_fit(trainer, NULL) == NN_ERROR_NULL); /* other errors come first */
    } else {
        CHECK(nn_trainer_fit(trainer, &data) == NN_OK); /* goes on */
        CHECK(nn_trainer_fit(trainer, &data) == NN_ERROR_STATE);
    }
    nn_trainer_free(trainer);
    trainer = make_trainer(model, &how); /* the same of a checkpoint */
    CHECK(nn_load_checkpoint_memory(trainer, before, size, NULL) == NN_OK);
    CHECK(nn_trainer_fit(trainer, &data) == (ended != NN_ENDED_NOT ? NN_ERROR_STATE : NN_OK));
    nn_trainer_free(trainer);
    nn_model_free(model);
}

static void test_endings(void)
{
    check_ending(20, 0, 0, NN_ENDED_EPOCHS, 20);
    check_ending(10, 5, 0, NN_ENDED_EPOCHS, 7);
    check_ending(12, 5, 0, NN_ENDED_EPOCHS, 7); /* both at once */
    check_ending(100, 5, 0, NN_ENDED_PATIENCE, 7);
    check_ending(100, 5, 9, NN_ENDED_NOT, 9);       /* the callback stops it */
    check_ending(100, 5, 12, NN_ENDED_PATIENCE, 7); /* when it ends anyway */
    check_ending(9, 5, 9, NN_ENDED_EPOCHS, 7);
}

/* ---- Plateau --------------------------------------------------------------------------------- */

/* PyTorch's torch.optim.lr_scheduler.ReduceLROnPlateau with mode "min" and threshold_mode "abs",
   line by line. */
typedef struct plateau {
    double factor, threshold, min_lr, best, lr;
    int patience, num_bad_epochs;
} plateau;

static void plateau_step(plateau *p, double metrics)
{
    if (metrics < p->best - p->threshold) {
        p->best = metrics;
        p->num_bad_epochs = 0;
    } else {
        p->num_bad_epochs += 1;
    }
    if (p->num_bad_epochs > p->patience) {
        const double old_lr = p->lr, reduced = old_lr * p->factor;
        const double new_lr = reduced > p->min_lr ? reduced : p->min_lr;
        if (old_lr - new_lr > 1e-8) p->lr = new_lr;
        p->num_bad_epochs = 0;
    }
}

typedef struct watched_plateau {
    plateau p;
    int epochs, reductions;
} watched_plateau;

/* The rate of an epoch is the one that the epochs before it have left. */
static int watch_plateau(const nn_progress *progress, void *user)
{
    watched_plateau *w = (watched_plateau *)user;
    const double before = w->p.lr;
    CHECK_NEAR(progress->learning_rate, before, 1e-5, 0);
    CHECK(progress->best_epoch == 0); /* no weights are kept */
    plateau_step(&w->p, isnan(progress->validation_loss) ? (double)progress->loss
                                                         : (double)progress->validation_loss);
    w->reductions += w->p.lr < before;
    CHECK_NEAR(nn_learning_rate(progress->trainer), w->p.lr, 1e-5, 0);
    w->epochs++;
    return 0;
}

/* Noisy rows, by batches of 4, at a rate that is too large: the loss goes up and down. */
static void check_plateau(nn_options how, int least, int most)
{
    nn_real x[24], y[24];
    nn_data data = make_data(x, y, 24, 1, 1);
    nn_model *model = make_line(1);
    watched_plateau w;
    int i;
    for (i = 0; i < 24; i++) x[i] = (nn_real)(i * 7 % 24) / 12 - 1;
    for (i = 0; i < 24; i++) y[i] = x[i] + (nn_real)(i * 11 % 7) / 3;
    memset(&w, 0, sizeof w);
    w.p.best = INFINITY;
    w.p.patience = (how.plateau_patience ? how.plateau_patience : 10) - 1;
    w.p.factor = how.step_factor == NN_ZERO ? 0
                 : how.step_factor > 0      ? (double)how.step_factor
                                            : 0.1;
    w.p.threshold = (double)how.min_delta;
    w.p.min_lr = (double)how.minimum_learning_rate;
    w.p.lr = (double)how.learning_rate;
    how.schedule = NN_SCHEDULE_PLATEAU;
    how.batch_size = 4;
    how.callback = watch_plateau;
    how.user = &w;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(w.epochs == how.epochs);
    if (!CHECK(w.reductions >= least && w.reductions <= most))
        printf("%d reductions\n", w.reductions);
    nn_model_free(model);
}

static void test_plateau(void)
{
    nn_options how = make_options(NN_MSE, NN_SGD, 0.4);
    how.epochs = 120;
    check_plateau(how, 2, 12); /* all defaults: by 10 after 10 epochs */
    how.plateau_patience = 3;
    how.step_factor = 0.5f;
    check_plateau(how, 5, 40);
    how.plateau_patience = 1;
    check_plateau(how, 10, 60);
    how.minimum_learning_rate = 0.01f; /* reached, and not passed */
    check_plateau(how, 6, 6);
    how.min_delta = 0.05f;
    check_plateau(how, 6, 6);
    how.validation_fraction = 0.25f;
    check_plateau(how, 6, 6);
    how.minimum_learning_rate = 0.7f; /* the rate never grows */
    check_plateau(how, 0, 0);
    how.minimum_learning_rate = 0;
    how.step_factor = NN_ZERO;
    check_plateau(how, 1, 1);
    how.optimizer = NN_ADAM;
    how.learning_rate = 0.1f;
    how.step_factor = 0.1f;
    how.plateau_patience = 2;
    check_plateau(how, 6, 8); /* down to 1e-8, where PyTorch stops too */
}

/* With patience, too. The error of 1 is multiplied by -1.4 in each epoch; half of the rate, after
   three worse epochs, makes that -0.2, so that epoch 6 is better than the first. Without the plateau
   schedule training stops after epoch 6. */
static void test_plateau_with_patience(void)
{
    static const nn_real x = 1, y = 1;
    nn_data data = make_data(&x, &y, 1, 1, 1);
    int plateau;
    for (plateau = 0; plateau < 2; plateau++) {
        nn_options how = make_options(NN_MSE, NN_SGD, 0.6);
        nn_model *model = make_line(1);
        record r;
        how.patience = 5;
        if (plateau) {
            how.schedule = NN_SCHEDULE_PLATEAU;
            how.plateau_patience = 3;
            how.step_factor = 0.5f;
        }
        watch(&how, &r);
        CHECK(nn_fit(model, &data, &how) == NN_OK);
        CHECK(r.last.ended == NN_ENDED_PATIENCE && r.epochs == r.last.best_epoch + 5);
        CHECK(plateau ? r.last.best_epoch > 6 : r.last.best_epoch == 1);
        CHECK_NEAR(r.last.learning_rate, plateau ? 0.15 : 0.6, 1e-6, 0); /* halved once more */
        CHECK_NEAR(nn_parameters(model)[0], plateau ? 0.5 : 1.2, 1e-5, 0);
        nn_model_free(model);
    }
}

/* A plateau is of epochs, of which nn_train_batch knows nothing. */
static void test_plateau_needs_epochs(void)
{
    static const nn_real x = 1, y = 1;
    nn_options how = make_options(NN_MSE, NN_SGD, 0.6);
    nn_model *model = make_line(1);
    nn_trainer *trainer;
    how.schedule = NN_SCHEDULE_PLATEAU;
    trainer = make_trainer(model, &how);
    CHECK(nn_train_batch(trainer, &x, &y, 1, NULL) == NN_ERROR_OPTION);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* ---- History --------------------------------------------------------------------------------- */

static int same_real(nn_real a, nn_real b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* What a callback has seen, and whether the history agrees. */
typedef struct witness {
    const nn_history *history;
    int calls, bad, stop_at;
} witness;

static int compare_history(const nn_progress *p, void *user)
{
    witness *w = (witness *)user;
    const nn_epoch *e = &w->history->epochs[w->calls];
    w->bad += w->history->count != w->calls + 1 || e->epoch != p->epoch ||
              !same_real(e->loss, p->loss) || !same_real(e->accuracy, p->accuracy) ||
              !same_real(e->validation_loss, p->validation_loss) ||
              !same_real(e->validation_accuracy, p->validation_accuracy) ||
              !same_real(e->learning_rate, p->learning_rate);
    return ++w->calls == w->stop_at;
}

static void test_history(void)
{
    static nn_epoch epochs[20];
    nn_history history = {epochs, 20, 0};
    nn_data data = example_data();
    nn_options how = example_options(), plain;
    nn_model *model = example_model(3), *other = example_model(3);
    nn_trainer *trainer;
    nn_metrics results[4];
    witness w = {&history, 0, 0, 0};
    int i;
    how.epochs = 4;
    how.patience = 0;
    how.schedule = NN_SCHEDULE_COSINE;
    plain = how;
    how.history = &history;
    how.callback = compare_history;
    how.user = &w;
    w.stop_at = 3;
    trainer = make_trainer(model, &how);
    CHECK(nn_trainer_fit(trainer, &data) == NN_OK && history.count == 3);
    CHECK(nn_trainer_fit(trainer, &data) == NN_OK && history.count == 4); /* goes on behind them */
    CHECK(nn_trainer_fit(trainer, &data) == NN_ERROR_STATE && history.count == 4);
    CHECK(w.calls == 4 && w.bad == 0);
    for (i = 0; i < 4; i++) CHECK(epochs[i].epoch == i + 1 && epochs[i].loss > 0);
    CHECK(epochs[0].learning_rate > epochs[3].learning_rate);
    CHECK(nn_fit(other, &data, &plain) == NN_OK && same_parameters(model, other));
    nn_trainer_free(trainer);
    how.callback = NULL;
    history.count = 0;
    CHECK(nn_cross_validate(&example_shape, &data, &how, 4, results) == NN_OK);
    CHECK(history.count == 16);
    for (i = 0; i < 16; i++) CHECK(epochs[i].epoch == i % 4 + 1);
    nn_model_free(model);
    nn_model_free(other);
}

/* Early stopping needs space for all epochs, and uses less. */
static int stop_at_once(const nn_progress *p, void *user)
{
    (void)user;
    return p->epoch == 1 && p->batch == 1;
}

/* A run with patience that a callback stops in its first epoch has no best weights yet: the model
   has those of its first update. */
static void test_stopped_at_once(void)
{
    const nn_data data = example_data();
    nn_model *first = example_model(1), *second = example_model(1), *third = example_model(1);
    nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_SGD, 0);
    how.epochs = 3;
    how.batch_size = 8;
    how.validation = &data;
    how.callback = stop_at_once;
    how.callback_batches = 1;
    CHECK(nn_fit(first, &data, &how) == NN_OK);
    how.patience = 2;
    CHECK(nn_fit(second, &data, &how) == NN_OK);
    CHECK(same_parameters(first, second) && !same_parameters(second, third));
    nn_model_free(first);
    nn_model_free(second);
    nn_model_free(third);
}

static nn_history shared;
static int count_after_batch;

static int change_count(const nn_progress *p, void *user)
{
    (void)user;
    if (p->batch == 1) shared.count = count_after_batch;
    return 0;
}

/* A callback that changes the count: nothing is written outside the history. */
static void test_history_changed(void)
{
    static const int counts[] = {-1, INT_MIN, 2, INT_MAX};
    const nn_data data = example_data();
    int i;
    for (i = 0; i < COUNT_OF(counts); i++) {
        nn_epoch epochs[3], before[3];
        nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_SGD, 0);
        nn_model *model = example_model(1);
        memset(epochs, 0xa5, sizeof epochs);
        memcpy(before, epochs, sizeof before);
        shared.epochs = epochs;
        shared.capacity = 2;
        shared.count = 0;
        count_after_batch = counts[i];
        how.epochs = 2;
        how.history = &shared;
        how.callback = change_count;
        how.callback_batches = 1;
        CHECK(nn_fit(model, &data, &how) == NN_OK && shared.count == counts[i]);
        CHECK(!memcmp(epochs, before, sizeof before));
        nn_model_free(model);
    }
}

static void test_history_space(void)
{
    static const nn_real x = 1, y = 1;
    static nn_epoch epochs[8];
    nn_history history = {epochs, 6, 0};
    nn_options how = make_options(NN_MSE, NN_SGD, 0.6); /* the loss grows */
    nn_data data = make_data(&x, &y, 1, 1, 1);
    nn_model *model = make_line(1);
    how.epochs = 7;
    how.patience = 2;
    how.history = &history;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_BLOCK);
    history.capacity = 8;
    history.count = 2;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_BLOCK);
    history.count = -1;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_SIZE);
    history.count = 9;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_SIZE);
    history.count = 0;
    history.epochs = NULL;
    CHECK(nn_fit(model, &data, &how) == NN_ERROR_NULL);
    CHECK(nn_parameters(model)[0] == 0); /* nothing was trained */
    history.epochs = epochs;
    epochs[3].loss = -5;
    CHECK(nn_fit(model, &data, &how) == NN_OK && history.count == 3);
    CHECK(epochs[2].epoch == 3 && epochs[3].loss == -5);
    nn_model_free(model);
}

int main(void)
{
    RUN(test_endings);
    RUN(test_plateau);
    RUN(test_plateau_with_patience);
    RUN(test_plateau_needs_epochs);
    RUN(test_history);
    RUN(test_stopped_at_once);
    RUN(test_history_changed);
    RUN(test_history_space);
    return test_done();
}
