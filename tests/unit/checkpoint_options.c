/* Checkpoints and options: a checkpoint loads under exactly those options with which the training
   so far would have been the same. It then goes on to the bits of a run under these options that
   was never interrupted; any other option is refused, by its name. The table of all options and
   what may become of each makes it long. */
#define NN_IMPLEMENTATION /* for the list of all options */
#include "files.h"

enum { ROWS = 44, INPUTS = 3, CLASSES = 3, BATCH = 8, MOST = 12 };

static nn_real x[ROWS * INPUTS], other_x[ROWS * INPUTS], targets[ROWS * CLASSES];
static int labels[ROWS];
static nn_data held_out, fewer, others; /* to validate with; `others` has other numbers */

static const nn_layer layers[] = {NN_DENSE(5, NN_TANH), NN_DENSE(4, NN_RELU),
                                  NN_DENSE(CLASSES, NN_SOFTMAX)};
static const nn_layer linear[] = {NN_DENSE(5, NN_TANH), NN_DENSE(4, NN_SILU),
                                  NN_DENSE(CLASSES, NN_LINEAR)};

static void make_rows(void)
{
    int i;
    random_state = 1;
    for (i = 0; i < ROWS; i++) labels[i] = i % CLASSES;
    for (i = 0; i < ROWS * INPUTS; i++)
        x[i] = (nn_real)(uniform(-1, 1) + (i / INPUTS % CLASSES == i % INPUTS));
    for (i = 0; i < ROWS * INPUTS; i++) other_x[i] = -x[i];
    for (i = 0; i < ROWS * CLASSES; i++)
        targets[i] = (nn_real)(uniform(-1, 1) + 3 * (i / CLASSES % CLASSES == i % CLASSES));
}

static int is_regression(const nn_options *how)
{
    return how->loss != NN_CROSS_ENTROPY;
}

static nn_data data_for(const nn_options *how)
{
    nn_data data = make_data(x, NULL, ROWS, INPUTS, CLASSES);
    if (is_regression(how)) {
        data.y = targets;
    } else {
        data.labels = labels;
        data.classes = CLASSES;
    }
    held_out = fewer = others = data;
    held_out.rows = others.rows = 20;
    fewer.rows = 19;
    others.x = other_x;
    return data;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

typedef struct run {
    nn_model *model;
    nn_trainer *trainer;
    nn_options how;
} run;

/* Where a run stops: after a batch of an epoch, or with batch 0 at the end of the epoch. */
static int stop_epoch, stop_batch;

static int stop(const nn_progress *progress, void *user)
{
    (void)user;
    return progress->epoch == stop_epoch && progress->batch == stop_batch;
}

static run begin(const nn_options *how, uint64_t seed)
{
    run r;
    r.how = *how;
    if (!r.how.callback) r.how.callback = stop;
    r.how.callback_batches = r.how.callback == stop;
    r.model = make_model(INPUTS, is_regression(how) ? linear : layers, 3, seed);
    r.trainer = make_trainer(r.model, &r.how);
    return r;
}

static void end(run *r)
{
    nn_trainer_free(r->trainer);
    nn_model_free(r->model);
}

static nn_status fit(run *r, int epoch, int batch)
{
    const nn_data data = data_for(&r->how);
    nn_status status;
    stop_epoch = epoch;
    stop_batch = batch;
    status = nn_trainer_fit(r->trainer, &data);
    stop_epoch = 0;
    return status;
}

/* The parameters, the scaling and the trainer's whole state, without the options. */
static bytes state_of(const run *r)
{
    bytes file = save_trainer(r->trainer), model = save_model(r->model), b;
    size_t length;
    unsigned char *state = find_value(file, "nn.state", &length), *comma;
    const size_t arrays = file.size - 8 - header_size(file);
    if (!CHECK(state != NULL)) exit(1);
    comma = (unsigned char *)memchr(state, ',', length);
    if (!CHECK(comma != NULL)) exit(1);
    b = make_bytes((size_t)(comma - state) + arrays + model.size);
    memcpy(b.at, state, (size_t)(comma - state));
    memcpy(b.at + (comma - state), file.at + 8 + header_size(file), arrays);
    memcpy(b.at + (b.size - model.size), model.at, model.size);
    free(file.at);
    free(model.at);
    return b;
}

/* ---- Every option by itself ------------------------------------------------------------------ */

static const nn_real dropout[] = {0.25f, 0.125f, 0}, other_dropout[] = {0.25f, 0.25f, 0},
                     no_dropout[] = {0, 0, 0};
static const nn_real class_weights[] = {1, 2, 4}, other_weights[] = {1, 2, 3};

/* Options in which as many as possible have an effect. */
static nn_options base(int which)
{
    nn_options how = make_options(NN_CROSS_ENTROPY, NN_ADAM, 0.03125);
    how.epochs = 6;
    how.batch_size = BATCH;
    how.seed = 7;
    switch (which) {
    case 0: /* everything that goes with Adam */
        how.dropout = dropout;
        how.label_smoothing = 0.0625f;
        how.schedule = NN_SCHEDULE_COSINE;
        how.schedule_steps = 25;
        how.warmup_steps = 3;
        how.minimum_learning_rate = 0.0078125f;
        how.weight_decay = 0.125f;
        how.clip_norm = 0.5f;
        how.scaling = NN_SCALE_STANDARD;
        how.validation_fraction = 0.25f;
        how.class_weights = class_weights;
        break;
    case 1: /* SGD, a plateau */
        how.optimizer = NN_SGD;
        how.learning_rate = 0.5f;
        how.loss = NN_HUBER;
        how.huber_delta = 0.5f;
        how.momentum = 0.5f;
        how.nesterov = 1;
        how.schedule = NN_SCHEDULE_PLATEAU;
        how.plateau_patience = 1;
        how.step_factor = 0.5f;
        how.min_delta = 0.0625f;
        how.target_scaling = NN_SCALE_MIN_MAX;
        how.validation = &held_out;
        break;
    case 2: /* RMSprop, a schedule as long as all updates */
        how.optimizer = NN_RMSPROP;
        how.loss = NN_QUANTILE;
        how.quantile = 0.25f;
        how.alpha = 0.75f;
        how.epsilon = 0.0009765625f;
        how.schedule = NN_SCHEDULE_COSINE;
        how.validation = &held_out;
        break;
    case 3: /* patience that has not ended */
        how.patience = 5;
        how.schedule = NN_SCHEDULE_STEP;
        how.schedule_steps = 10;
        how.validation = &held_out;
        break;
    default: /* the defaults of Adam, by batches that are not divided */ how.learning_rate = 0;
    }
    return how;
}

typedef enum form { AN_INT, A_REAL, A_SEED, A_POINTER } form;

typedef struct change {
    int base;
    const char *name;
    size_t at;
    form is;
    double number;
    const void *pointer;
    const char *stored; /* refused: its value in the checkpoint, as text; NULL: accepted */
} change;

#define CHANGE(base, option, is, number, pointer, stored)                                          \
    {                                                                                              \
        base, #option, offsetof(nn_options, option), is, number, pointer, stored                   \
    }
#define INT(base, option, value, stored)     CHANGE(base, option, AN_INT, value, NULL, stored)
#define REAL(base, option, value, stored)    CHANGE(base, option, A_REAL, value, NULL, stored)
#define SEED(base, option, value, stored)    CHANGE(base, option, A_SEED, value, NULL, stored)
#define POINTER(base, option, value, stored) CHANGE(base, option, A_POINTER, 0, value, stored)

static const change changes[] = {
    INT(0, epochs, 7, NULL),
    INT(0, epochs, 4, NULL), /* the checkpoint is of the fourth epoch */
    INT(0, epochs, 3, "6"),
    INT(1, epochs, 7, NULL),
    INT(2, epochs, 7, "6"), /* the cosine would have been longer */
    INT(3, epochs, 7, NULL),
    INT(3, epochs, 4, NULL),
    INT(3, epochs, 3, "6"),
    INT(4, epochs, 100, NULL),
    INT(1, loss, NN_MSE, "huber"),
    INT(1, loss, NN_MAE, "huber"),
    INT(4, optimizer, NN_SGD, "adam"),
    INT(1, optimizer, NN_RMSPROP, "sgd"),
    INT(0, batch_size, 9, "8"),
    INT(4, batch_size, 0, "8"),
    INT(0, micro_batch_size, 3, "8"),
    INT(1, micro_batch_size, 3, NULL),
    INT(4, micro_batch_size, 1, NULL),
    REAL(0, learning_rate, 0.03125 + 0.0001, "0.03125"),
    REAL(4, learning_rate, 0.001, NULL), /* the default, written out */
    REAL(1, momentum, 0.25, "0.5"),
    INT(1, nesterov, 0, "1"),
    REAL(4, beta1, 0.9, NULL),
    REAL(4, beta1, 0.8, "0.9"),
    REAL(0, beta1, -1, "0.9"), /* NN_ZERO */
    REAL(4, beta2, 0.999, NULL),
    REAL(0, beta2, 0.99, "0.999"),
    REAL(2, alpha, 0, "0.75"),
    REAL(2, epsilon, 0.001, "0.0009765625"),
    REAL(4, epsilon, 1e-8, NULL),
    REAL(0, weight_decay, 0.25, "0.125"),
    REAL(4, weight_decay, 0.25, "0"),
    REAL(0, clip_norm, 0.25, "0.5"),
    INT(4, schedule, NN_SCHEDULE_COSINE, "constant"),
    INT(2, schedule, NN_SCHEDULE_STEP, "cosine"),
    INT(3, schedule, NN_SCHEDULE_CONSTANT, "step"),
    INT(0, schedule_steps, 26, "25"),
    INT(2, schedule_steps, 10, "0"),
    INT(1, plateau_patience, 2, "1"),
    REAL(1, step_factor, 0.25, "0.5"),
    REAL(3, step_factor, 0.1, NULL),
    REAL(3, step_factor, -1, "0.1"),
    REAL(0, minimum_learning_rate, 0, "0.0078125"),
    INT(0, warmup_steps, 2, "3"),
    REAL(0, label_smoothing, 0.03125, "0.0625"),
    REAL(1, huber_delta, 1, "0.5"),
    REAL(2, quantile, 0.5, "0.25"),
    POINTER(0, dropout, other_dropout, ""),
    POINTER(0, dropout, NULL, ""),
    POINTER(4, dropout, dropout, ""),
    POINTER(4, dropout, no_dropout, NULL),
    INT(0, scaling, NN_SCALE_MIN_MAX, "standard"),
    INT(0, scaling, NN_SCALE_NONE, "standard"),
    INT(4, scaling, NN_SCALE_STANDARD, "none"),
    INT(1, target_scaling, NN_SCALE_STANDARD, "min-max"),
    POINTER(1, validation, &fewer, "20"),
    POINTER(1, validation, NULL, "20"),
    POINTER(3, validation, &fewer, "20"),
    POINTER(2, validation, &fewer, NULL), /* it is only reported */
    POINTER(2, validation, NULL, NULL),
    POINTER(4, validation, &others, NULL),
    REAL(0, validation_fraction, 0.125, "0.25"),
    REAL(4, validation_fraction, 0.125, "0"),
    INT(3, patience, 6, NULL),
    INT(3, patience, 1, "5"),
    INT(3, patience, 0, "5"),
    INT(4, patience, 5, "0"),
    REAL(1, min_delta, 0, "0.0625"),
    REAL(3, min_delta, 1, "0"),
    INT(4, balance_classes, 1, "0"),
    POINTER(0, class_weights, other_weights, ""),
    POINTER(0, class_weights, NULL, ""),
    POINTER(4, class_weights, class_weights, ""),
    POINTER(4, history, NULL, NULL),
    SEED(4, seed, 8, "7"),
    SEED(0, seed, 8, "7"),
    POINTER(4, callback, NULL, NULL),
    INT(4, callback_batches, 0, NULL),
    POINTER(4, user, &held_out, NULL),
};

static nn_options changed(const change *c)
{
    nn_options how = base(c->base);
    char *at = (char *)&how + c->at;
    const int n = (int)c->number;
    const nn_real r = (nn_real)c->number;
    const uint64_t seed = c->is == A_SEED ? (uint64_t)c->number : 0;
    switch (c->is) {
    case AN_INT: memcpy(at, &n, sizeof n); break;
    case A_REAL: memcpy(at, &r, sizeof r); break;
    case A_SEED: memcpy(at, &seed, sizeof seed); break;
    default: memcpy(at, &c->pointer, sizeof c->pointer); break;
    }
    /* What the change makes an option without effect. */
    if (how.schedule == NN_SCHEDULE_CONSTANT) how.schedule_steps = 0;
    if (how.optimizer != NN_SGD) how.nesterov = 0;
    if (how.loss != NN_HUBER) how.huber_delta = 0;
    if (!how.patience && how.schedule != NN_SCHEDULE_PLATEAU) how.min_delta = 0;
    return how;
}

/* How a run under the changed options goes on from the checkpoint, and without interruption. */
static void check_accepted(const nn_options *how, bytes file)
{
    run whole = begin(how, 1), resumed = begin(how, 2);
    bytes want, got;
    CHECK(nn_load_checkpoint_memory(resumed.trainer, file.at, file.size, NULL) == NN_OK);
    CHECK(fit(&whole, 0, 0) == NN_OK && fit(&resumed, 0, 0) == NN_OK);
    want = state_of(&whole);
    got = state_of(&resumed);
    CHECK(same_bytes(want, got));
    free(want.at);
    free(got.at);
    end(&whole);
    end(&resumed);
}

/* The options that are refused although training may have been the same so far: that cannot be
   known of the checkpoint. */
static int may_be_the_same(const change *c)
{
    return (c->base == 3 && !strcmp(c->name, "epochs")) || !strcmp(c->name, "patience") ||
           !strcmp(c->name, "dropout") || !strcmp(c->name, "min_delta") ||
           !strcmp(c->name, "validation");
}

static void check_refused(const change *c, const nn_options *how, bytes file, bytes interrupted,
                          int epoch, int batch)
{
    run other = begin(how, 1), into = begin(how, 2);
    const bytes before = save_trainer(into.trainer);
    nn_location location;
    bytes got;
    memset(&location, 0x55, sizeof location);
    CHECK(nn_load_checkpoint_memory(into.trainer, file.at, file.size, &location) ==
          NN_ERROR_OPTION);
    if (!CHECK(!strcmp(location.name, c->name) && !strcmp(location.expected, c->stored)))
        printf("%s: %s, not %s\n", location.name, location.expected, c->stored);
    got = save_trainer(into.trainer);
    CHECK(same_bytes(before, got));
    free(got.at);
    /* With reason: under these options the run so far would have been another one. */
    CHECK(fit(&other, epoch, batch) == NN_OK);
    got = state_of(&other);
    CHECK(!same_bytes(got, interrupted) || may_be_the_same(c));
    free(got.at);
    free(before.at);
    end(&other);
    end(&into);
}

static void test_each_option(void)
{
    static const int stops[3][2] = {{4, 3}, {3, 0}, {4, 1}};
    int i, k;
    for (i = 0; i < COUNT_OF(changes); i++) {
        const change *c = &changes[i];
        for (k = 0; k < 3; k++) {
            const nn_options usual = base(c->base), how = changed(c);
            const int failures = test_bad;
            run interrupted = begin(&usual, 1);
            bytes file, state;
            CHECK(fit(&interrupted, stops[k][0], stops[k][1]) == NN_OK);
            file = save_trainer(interrupted.trainer);
            state = state_of(&interrupted);
            /* After three epochs, three are enough. */
            if (c->stored &&
                !(k == 1 && !strcmp(c->name, "epochs") && how.epochs == 3 && !how.patience))
                check_refused(c, &how, file, state, stops[k][0], stops[k][1]);
            else if (!c->stored)
                check_accepted(&how, file);
            free(file.at);
            free(state.at);
            end(&interrupted);
            if (test_bad > failures)
                printf("base %d: %s, stopped at %d, %d\n", c->base, c->name, stops[k][0],
                       stops[k][1]);
        }
    }
}

/* The table above has all options. */
static void test_all_options(void)
{
#define NAME(type, name, part, form, value) #name,
    static const char *const names[] = {NN__OPTION_LIST(NAME, NAME)};
    int i, k;
    for (i = 0; i < COUNT_OF(names); i++) {
        for (k = 0; k < COUNT_OF(changes) && strcmp(changes[k].name, names[i]); k++) continue;
        if (!CHECK(k < COUNT_OF(changes))) printf("%s\n", names[i]);
    }
    CHECK(COUNT_OF(names) == NN__OPTION_COUNT);
}

/* ---- What has ended, what has not begun ------------------------------------------------------ */

static nn_status load(const nn_options *how, bytes file, const char *name)
{
    run into = begin(how, 3);
    nn_location location;
    const nn_status status = nn_load_checkpoint_memory(into.trainer, file.at, file.size, &location);
    if (status != NN_OK && name && !CHECK(!strcmp(location.name, name)))
        printf("%s, not %s\n", location.name, name);
    CHECK(status != NN_OK || !*location.name);
    end(&into);
    return status;
}

/* The best weights have been restored: a run with more epochs or more patience would not have. */
static void test_ended(void)
{
    nn_options how = base(3);
    run r;
    bytes file;
    how.patience = 1;
    how.min_delta = 1000; /* no epoch but the first is better */
    r = begin(&how, 1);
    CHECK(fit(&r, 0, 0) == NN_OK && fit(&r, 0, 0) == NN_ERROR_STATE);
    file = save_trainer(r.trainer);
    CHECK(load(&how, file, NULL) == NN_OK);
    how.patience = 2;
    CHECK(load(&how, file, "patience") == NN_ERROR_OPTION);
    how.patience = 1;
    how.epochs = 100;
    CHECK(load(&how, file, "epochs") == NN_ERROR_OPTION);
    end(&r);
    free(file.at);

    how = base(3); /* the epochs end first */
    r = begin(&how, 1);
    CHECK(fit(&r, 0, 0) == NN_OK && fit(&r, 0, 0) == NN_ERROR_STATE);
    file = save_trainer(r.trainer);
    CHECK(load(&how, file, NULL) == NN_OK);
    how.epochs++;
    CHECK(load(&how, file, "epochs") == NN_ERROR_OPTION);
    how.epochs--;
    how.patience++;
    CHECK(load(&how, file, "patience") == NN_ERROR_OPTION);
    end(&r);
    free(file.at);

    how = base(3); /* nothing has begun: any patience, but not none */
    r = begin(&how, 1);
    file = save_trainer(r.trainer);
    how.patience = 1;
    CHECK(load(&how, file, NULL) == NN_OK);
    how.patience = 9;
    CHECK(load(&how, file, NULL) == NN_OK);
    how.patience = 0;
    CHECK(load(&how, file, "patience") == NN_ERROR_OPTION);
    end(&r);
    free(file.at);
}

/* Before the first nn_trainer_fit, what only that reads may differ; what an update reads must
   not. */
static void test_not_begun(void)
{
    const nn_options usual = base(4);
    nn_data data = data_for(&usual);
    run r = begin(&usual, 1);
    bytes file;
    nn_options how;
    int i;
    data.rows = BATCH;
    CHECK(nn_accumulate(r.trainer, &data, NULL) == NN_OK && nn_update(r.trainer) == NN_OK);
    file = save_trainer(r.trainer);
    for (i = 0; i < COUNT_OF(changes); i++) {
        const change *c = &changes[i];
        static const char *const of_loop[] = {
            "epochs",          "batch_size",          "scaling",   "target_scaling",
            "validation",      "validation_fraction", "min_delta", "plateau_patience",
            "balance_classes", "class_weights"};
        int k, free_now = !c->stored;
        if (c->base != 4) continue;
        how = changed(c);
        for (k = 0; k < COUNT_OF(of_loop); k++) free_now |= !strcmp(c->name, of_loop[k]);
        if (!CHECK(load(&how, file, c->name) == (free_now ? NN_OK : NN_ERROR_OPTION)))
            printf("%s\n", c->name);
    }
    free(file.at);
    end(&r);
}

/* What is no option, and files of another form. */
static void test_other_files(void)
{
    static const nn_layer other[] = {NN_DENSE(5, NN_TANH), NN_DENSE(4, NN_ELU),
                                     NN_DENSE(CLASSES, NN_SOFTMAX)};
    const nn_options how = base(4);
    run r = begin(&how, 1);
    bytes file = save_trainer(r.trainer);
    nn_model *model = make_model(INPUTS, other, 3, 1);
    nn_trainer *trainer = make_trainer(model, &how);
    nn_location location;
    unsigned char *state;
    size_t length, i, commas = 0;
    CHECK(nn_load_checkpoint_memory(trainer, file.at, file.size, &location) == NN_ERROR_OPTION);
    CHECK(!strcmp(location.name, "activation"));
    nn_trainer_free(trainer);
    nn_model_free(model);

    state = find_value(file, "nn.state", &length);
    if (CHECK(state != NULL)) {
        unsigned char *last = NULL;
        for (i = 0; i < length; i++)
            if (state[i] == ',') commas++, last = state + i;
        CHECK(commas == NN__OPTION_COUNT && last);
        memcpy(last, "00", 2); /* one option fewer */
        CHECK(put_checksum(file));
        CHECK(load(&how, file, "") == NN_ERROR_METADATA);
        memcpy(last, ",,", 2); /* one without a value */
        CHECK(put_checksum(file));
        CHECK(load(&how, file, "") == NN_ERROR_METADATA);
        memcpy(last, ",g", 2);
        CHECK(put_checksum(file));
        CHECK(load(&how, file, "") == NN_ERROR_METADATA);
        memcpy(last, ",0", 2);
        memset(state + 23 * 16, '0', 20); /* a value that is too long, as in files before */
        CHECK(put_checksum(file));
        CHECK(load(&how, file, "") == NN_ERROR_METADATA);
    }
    free(file.at);
    end(&r);
}

/* Another number of rows: refused within an epoch, and where the schedule follows from it. */
static void test_other_rows(void)
{
    int which, batch, rows;
    for (which = 0; which < 5; which++) {
        for (batch = 0; batch < 3; batch += 2) {
            for (rows = ROWS - 9; rows <= ROWS; rows += 3) {
                const nn_options how = base(which);
                const nn_status expected =
                    rows != ROWS && (batch || which == 2) ? NN_ERROR_SIZE : NN_OK;
                run first = begin(&how, 1), second = begin(&how, 2);
                nn_data data = data_for(&how);
                bytes file, before;
                CHECK(fit(&first, 2, batch) == NN_OK);
                file = save_trainer(first.trainer);
                CHECK(nn_load_checkpoint_memory(second.trainer, file.at, file.size, NULL) == NN_OK);
                before = save_trainer(second.trainer);
                data.rows = rows;
                CHECK(nn_trainer_fit(first.trainer, &data) == expected);
                CHECK(nn_trainer_fit(second.trainer, &data) == expected);
                if (expected != NN_OK) { /* the usual rows still do */
                    bytes after = save_trainer(second.trainer);
                    CHECK(same_bytes(before, after));
                    free(after.at);
                    data.rows = ROWS;
                    CHECK(nn_trainer_fit(second.trainer, &data) == NN_OK);
                }
                free(before.at);
                free(file.at);
                end(&first);
                end(&second);
            }
        }
    }
}

/* ---- Random runs ----------------------------------------------------------------------------- */

static nn_options random_options(void)
{
    static const nn_loss regression[] = {NN_MSE, NN_HUBER, NN_MAE, NN_QUANTILE};
    static const nn_schedule all[] = {NN_SCHEDULE_CONSTANT, NN_SCHEDULE_STEP, NN_SCHEDULE_COSINE,
                                      NN_SCHEDULE_PLATEAU};
    const int classified = random_below(2);
    nn_options how =
        make_options(classified ? NN_CROSS_ENTROPY : regression[random_below(4)],
                     (nn_optimizer)random_below((int)NN_OPTIMIZER_COUNT), uniform(0.001, 0.05));
    how.epochs = 3 + random_below(MOST - 3);
    how.batch_size = 1 + random_below(ROWS + 3);
    how.micro_batch_size = random_below(3) ? 0 : 1 + random_below(how.batch_size);
    how.seed = random_bits();
    how.schedule = all[random_below(4)];
    if (how.schedule == NN_SCHEDULE_STEP || how.schedule == NN_SCHEDULE_COSINE)
        how.schedule_steps = random_below(2) ? 0 : 1 + random_below(60);
    if (how.schedule == NN_SCHEDULE_PLATEAU) how.plateau_patience = random_below(3);
    if (how.schedule == NN_SCHEDULE_STEP || how.schedule == NN_SCHEDULE_PLATEAU)
        how.step_factor = (nn_real)uniform(0, 1);
    how.warmup_steps = random_below(3) ? 0 : random_below(30);
    if (how.optimizer != NN_ADAM) how.momentum = random_below(2) ? 0 : (nn_real)uniform(0.1, 0.9);
    if (how.optimizer == NN_SGD && how.momentum > 0) how.nesterov = random_below(2);
    how.weight_decay = random_below(2) ? 0 : (nn_real)uniform(0, 0.1);
    how.clip_norm = random_below(2) ? 0 : (nn_real)uniform(0.1, 2);
    how.dropout = random_below(2) ? NULL : dropout;
    how.scaling = (nn_scaling)random_below(3);
    how.patience = random_below(2) ? 0 : 1 + random_below(3);
    if (how.patience) how.min_delta = random_below(2) ? 0 : (nn_real)uniform(0, 0.1);
    switch (random_below(3)) {
    case 0: how.validation = &held_out; break;
    case 1: how.validation_fraction = (nn_real)uniform(0.01, 0.9); break;
    default: break;
    }
    if (classified) {
        how.label_smoothing = random_below(2) ? 0 : (nn_real)uniform(0, 0.3);
        how.balance_classes = random_below(2);
        if (!how.balance_classes && random_below(2)) how.class_weights = class_weights;
    } else {
        how.target_scaling = (nn_scaling)random_below(3);
    }
    return how;
}

/* Options under which the run could have been resumed, if it has not ended. */
static nn_options other_options(const nn_options *from)
{
    nn_options how = *from;
    if (!how.dropout) how.micro_batch_size = random_below(how.batch_size + 1);
    if (how.schedule != NN_SCHEDULE_COSINE || how.schedule_steps) how.epochs += random_below(3);
    if (how.patience) how.patience += random_below(3);
    if (!how.patience && how.schedule != NN_SCHEDULE_PLATEAU && how.validation)
        how.validation = random_below(2) ? &fewer : NULL;
    return how;
}

static int last_epoch;

static int watch(const nn_progress *progress, void *user)
{
    (void)user;
    last_epoch = progress->epoch;
    return 0;
}

/* Runs with random options, interrupted anywhere and resumed under the same options
   or under others that may differ. */
static void test_random_runs(void)
{
    int i, changed_runs = 0, inside = 0;
    random_state = 20;
    for (i = 0; i < 300; i++) {
        const nn_options usual = random_options(), others_of = other_options(&usual);
        const nn_options how = random_below(2) ? usual : others_of;
        const nn_data data = data_for(&usual);
        const int failures = test_bad, batches = (ROWS - 1) / usual.batch_size + 1;
        nn_options watching = how;
        run whole, first, second;
        bytes file, want, got;
        int epoch, batch;
        watching.callback = watch;
        whole = begin(&watching, 1);
        CHECK(nn_trainer_fit(whole.trainer, &data) == NN_OK);
        want = state_of(&whole);
        epoch = 1 + random_below(last_epoch);
        batch = random_below(batches + 1);
        first = begin(&usual, 1);
        CHECK(fit(&first, epoch, batch) == NN_OK);
        file = save_trainer(first.trainer);
        second = begin(&how, 2);
        /* Where the first part was all, other options may come too late. */
        if (nn_load_checkpoint_memory(second.trainer, file.at, file.size, NULL) == NN_OK) {
            const nn_status status = nn_trainer_fit(second.trainer, &data);
            CHECK(status == NN_OK || status == NN_ERROR_STATE); /* the first part was all */
            got = state_of(&second);
            CHECK(same_bytes(want, got));
            free(got.at);
            changed_runs += status == NN_OK && memcmp(&how, &usual, sizeof how) != 0;
            inside += status == NN_OK && batch > 0;
        } else {
            CHECK(memcmp(&how, &usual, sizeof how) != 0 && usual.patience);
        }
        free(want.at);
        free(file.at);
        end(&whole);
        end(&first);
        end(&second);
        if (test_bad > failures)
            printf("run %d: epoch %d of %d, batch %d\n", i, epoch, last_epoch, batch);
    }
    CHECK(changed_runs > 50 && inside > 100);
}

/* An update that diverges leaves no trace in the sums of its epoch. */
static void test_diverged(void)
{
    nn_options how = make_options(NN_CROSS_ENTROPY, NN_SGD, 0.03125);
    run r;
    bytes file;
    how.batch_size = BATCH;
    how.weight_decay = 1000;
    r = begin(&how, 1);
    CHECK(fit(&r, 1, 1) == NN_OK);
    CHECK(nn_set_learning_rate(r.trainer, (nn_real)(sizeof(nn_real) == 4 ? 3e38 : 1e308)) == NN_OK);
    CHECK(fit(&r, 0, 0) == NN_ERROR_DIVERGED);
    file = save_trainer(r.trainer);
    CHECK(load(&how, file, NULL) == NN_OK);
    free(file.at);
    end(&r);
}

int main(void)
{
    make_rows();
    RUN(test_diverged);
    RUN(test_ended);
    RUN(test_not_begun);
    RUN(test_other_files);
    RUN(test_other_rows);
    RUN(test_random_runs);
    RUN(test_each_option);
    RUN(test_all_options);
    return test_done();
}
