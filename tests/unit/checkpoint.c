/* Checkpoints: a run that is resumed, in a new process, ends in the same bits as one that never
   stopped. The program runs itself for that: checkpoint resume SCENARIO. */
#include "files.h"

enum { ROWS = 50, EPOCHS = 10, CLASSES = 3, MOST_EPOCHS = 40 };

static nn_real train_x[ROWS * 3], train_y[ROWS * CLASSES];

/* Three noisy clusters; the same in every process. */
static nn_data training_data(void)
{
    nn_data data;
    uint32_t state = 12345;
    int i;
    memset(&data, 0, sizeof data);
    memset(train_y, 0, sizeof train_y);
    for (i = 0; i < ROWS * 3; i++) {
        state = state * 1664525u + 1013904223u;
        train_x[i] = (nn_real)(state >> 16) / 16384 - 2 + (nn_real)((i / 3) % 3 == i % 3) * 2;
    }
    for (i = 0; i < ROWS; i++) train_y[i * CLASSES + i % CLASSES] = 1;
    data.rows = ROWS;
    data.inputs = 3;
    data.outputs = data.classes = CLASSES;
    data.x = train_x;
    data.y = train_y;
    return data;
}

typedef struct scenario {
    const char *name;
    nn_optimizer optimizer;
    nn_real learning_rate, momentum, weight_decay, clip_norm, label_smoothing;
    nn_schedule schedule;
    int nesterov, dropout, warmup, patience, epochs;
    nn_real validation_fraction;
    nn_scaling scaling;
    int plateau_patience;
    nn_real min_delta;
} scenario;

static const scenario scenarios[] = {
    {"plain SGD", NN_SGD, 0, 0, 0, 0, 0, NN_SCHEDULE_CONSTANT, 0, 0, 0, 0, EPOCHS, 0,
     NN_SCALE_NONE},
    {"momentum", NN_SGD, 0.0625f, 0.875f, 0.015625f, 0, 0, NN_SCHEDULE_CONSTANT, 1, 0, 0, 0, EPOCHS,
     0, NN_SCALE_NONE},
    {"Adam", NN_ADAM, 0.015625f, 0, 0.0625f, 0.5f, 0, NN_SCHEDULE_CONSTANT, 0, 0, 0, 0, EPOCHS, 0,
     NN_SCALE_STANDARD},
    {"dropout", NN_SGD, 0.0625f, 0, 0, 0, 0.125f, NN_SCHEDULE_CONSTANT, 0, 1, 0, 0, EPOCHS, 0,
     NN_SCALE_MIN_MAX},
    {"cosine with warm-up", NN_SGD, 0.125f, 0.5f, 0, 0, 0, NN_SCHEDULE_COSINE, 0, 0, 15, 0, EPOCHS,
     0, NN_SCALE_NONE},
    {"steps", NN_ADAM, 0.03125f, 0, 0, 0, 0, NN_SCHEDULE_STEP, 0, 0, 3, 0, EPOCHS, 0.25f,
     NN_SCALE_NONE},
    {"patience", NN_SGD, 0.5f, 0.875f, 0, 0, 0, NN_SCHEDULE_CONSTANT, 0, 0, 0, 4, MOST_EPOCHS,
     0.375f, NN_SCALE_NONE},
    {"patience without validation", NN_SGD, 2, 0.875f, 0, 0, 0, NN_SCHEDULE_CONSTANT, 0, 0, 0, 5,
     MOST_EPOCHS, 0, NN_SCALE_NONE},
    {"everything", NN_ADAM, 0.125f, 0, 0.0625f, 1, 0.0625f, NN_SCHEDULE_COSINE, 0, 1, 4, 6,
     MOST_EPOCHS, 0.25f, NN_SCALE_STANDARD},
    {"RMSprop", NN_RMSPROP, 0.0078125f, 0, 0.015625f, 0, 0, NN_SCHEDULE_CONSTANT, 0, 0, 0, 0,
     EPOCHS, 0.25f, NN_SCALE_STANDARD},
    {"RMSprop with momentum", NN_RMSPROP, 0.00390625f, 0.75f, 0, 0.5f, 0.125f, NN_SCHEDULE_COSINE,
     0, 1, 5, 0, EPOCHS, 0, NN_SCALE_NONE},
    {"plateau", NN_SGD, 1, 0.5f, 0, 0, 0, NN_SCHEDULE_PLATEAU, 0, 0, 0, 0, MOST_EPOCHS, 0.25f,
     NN_SCALE_NONE, 2, 0},
    {"plateau with patience", NN_SGD, 1, 0.5f, 0, 0, 0, NN_SCHEDULE_PLATEAU, 0, 0, 3, 7,
     MOST_EPOCHS, 0.25f, NN_SCALE_NONE, 3, 0.0078125f},
};

enum { SCENARIOS = (int)(sizeof scenarios / sizeof *scenarios) };

/* One line of the history for each epoch, and where to stop or to save. */
typedef struct record {
    double epoch, loss, accuracy, validation_loss, validation_accuracy, learning_rate, norm, best;
} record;

typedef struct history {
    record lines[MOST_EPOCHS + 1];
    int count;
    int at_epoch, at_batch; /* at_batch: 0 the epoch's end, -1 its last batch */
    int stop;               /* 1: stops there; 0: saves a checkpoint there and goes on */
    int reached;
} history;

static int watch(const nn_progress *progress, void *user)
{
    history *h = (history *)user;
    int batch = h->at_batch < 0 ? progress->batches : h->at_batch;
    if (progress->batch == 0 && h->count <= MOST_EPOCHS) {
        record *r = &h->lines[h->count++];
        r->epoch = progress->epoch;
        r->loss = progress->loss;
        r->accuracy = progress->accuracy;
        r->validation_loss = progress->validation_loss;
        r->validation_accuracy = progress->validation_accuracy;
        r->learning_rate = progress->learning_rate;
        r->norm = progress->gradient_norm;
        r->best = progress->best_epoch;
    }
    if (progress->epoch != h->at_epoch || progress->batch != batch) return 0;
    h->reached++;
    if (!h->stop) CHECK(nn_save_checkpoint(progress->trainer, temporary("checkpoint")) == NN_OK);
    return h->stop;
}

static nn_options scenario_options(const scenario *s, history *h)
{
    static const nn_real dropout[] = {0.25f, 0.125f, 0};
    nn_options how = make_options(NN_CROSS_ENTROPY, s->optimizer, 0);
    how.epochs = s->epochs;
    how.batch_size = 16; /* 50 rows: the last batch has 2 */
    how.learning_rate = s->learning_rate;
    how.momentum = s->momentum;
    how.nesterov = s->nesterov;
    how.weight_decay = s->weight_decay;
    how.clip_norm = s->clip_norm;
    how.schedule = s->schedule;
    how.schedule_steps = s->schedule == NN_SCHEDULE_STEP ? 7 : 0;
    how.warmup_steps = s->warmup;
    how.label_smoothing = s->label_smoothing;
    if (s->dropout) how.dropout = dropout;
    how.scaling = s->scaling;
    how.validation_fraction = s->validation_fraction;
    how.patience = s->patience;
    how.min_delta = s->min_delta;
    how.plateau_patience = s->plateau_patience;
    if (s->plateau_patience) how.step_factor = 0.5f;
    how.seed = 99;
    how.callback = watch;
    how.callback_batches = h->at_batch != 0;
    how.user = h;
    return how;
}

static nn_trainer *scenario_trainer(const nn_options *how, uint64_t seed, nn_model **model)
{
    static const nn_layer layers[] = {NN_DENSE(6, NN_TANH), NN_DENSE(5, NN_RELU),
                                      NN_DENSE(CLASSES, NN_SOFTMAX)};
    static const nn_layer smooth[] = {NN_DENSE(6, NN_GELU), NN_DENSE(5, NN_ELU),
                                      NN_DENSE(CLASSES, NN_SOFTMAX)};
    nn_trainer *trainer = NULL;
    *model = make_model(3, how->optimizer == NN_RMSPROP ? smooth : layers, 3, seed);
    if (*model) CHECK(nn_trainer_create(&trainer, *model, how) == NN_OK);
    return trainer;
}

/* The new process: another seed, so that whatever is not in the checkpoint shows. */
static int resume(int index)
{
    history h;
    nn_options how;
    nn_data data = training_data();
    nn_model *model = NULL;
    nn_trainer *trainer;
    FILE *file;
    int good;
    memset(&h, 0, sizeof h);
    how = scenario_options(scenarios + index, &h);
    trainer = scenario_trainer(&how, 4321, &model);
    good = trainer && CHECK(nn_load_checkpoint(trainer, temporary("checkpoint"), NULL) == NN_OK) &&
           CHECK(nn_trainer_fit(trainer, &data) == NN_OK) &&
           CHECK(nn_save_checkpoint(trainer, temporary("final")) == NN_OK);
    nn_trainer_free(trainer);
    nn_model_free(model);
    if (!good || !(file = fopen(temporary("history"), "wb"))) return 1;
    good = fwrite(h.lines, sizeof *h.lines, (size_t)h.count, file) == (size_t)h.count;
    return fclose(file) != 0 || !good;
}

static const char *own_path;

static int run_self(int index)
{
    char command[1024];
    if (strlen(own_path) > sizeof command - 64) return 0;
    sprintf(command, "\"%s\" resume %d", own_path, index);
    fflush(stdout);
    return system(command) == 0;
}

static int same_double(double a, double b)
{
    return a == b || (a != a && b != b);
}

/* The resumed run's lines are the last ones of the run that was never interrupted. */
static void check_history(const history *whole)
{
    bytes b = read_file(temporary("history"));
    size_t count = b.size / sizeof(record), i, k;
    record *lines = (record *)malloc(b.size ? b.size : 1);
    if (!lines) exit(2);
    memcpy(lines, b.at, b.size);
    if (CHECK(count > 0 && count <= (size_t)whole->count)) {
        const record *want = whole->lines + ((size_t)whole->count - count);
        for (i = 0; i < count; i++) {
            const double *got = &lines[i].epoch, *line = &want[i].epoch;
            for (k = 0; k < sizeof(record) / sizeof(double); k++)
                CHECK(same_double(got[k], line[k]));
        }
    }
    free(lines);
    free(b.at);
}

/* One whole run, which saves a checkpoint at the place on its way; another that stops there and
   saves then. Both checkpoints, resumed by a new process, end in the whole run's state. */
static void interrupt(int index, int at_epoch, int at_batch)
{
    nn_data data = training_data();
    history whole, part;
    bytes want;
    int stop, before = test_bad;
    memset(&whole, 0, sizeof whole);
    want = make_bytes(0);
    for (stop = 0; stop < 2; stop++) {
        history *h = stop ? &part : &whole;
        nn_model *model = NULL;
        nn_trainer *trainer;
        nn_options how;
        bytes got;
        memset(h, 0, sizeof *h);
        h->at_epoch = at_epoch;
        h->at_batch = at_batch;
        h->stop = stop;
        how = scenario_options(scenarios + index, h);
        if (!(trainer = scenario_trainer(&how, 1, &model))) return;
        CHECK(nn_trainer_fit(trainer, &data) == NN_OK && h->reached == 1);
        if (stop) {
            CHECK(nn_save_checkpoint(trainer, temporary("checkpoint")) == NN_OK);
            CHECK(nn_trainer_fit(trainer, &data) == NN_OK); /* it can also just go on */
        } else {
            free(want.at);
            want = save_trainer(trainer);
        }
        got = save_trainer(trainer);
        CHECK(same_bytes(got, want));
        free(got.at);
        nn_trainer_free(trainer);
        nn_model_free(model);
        if (!CHECK(run_self(index))) continue;
        got = read_file(temporary("final"));
        CHECK(same_bytes(got, want));
        free(got.at);
        check_history(&whole);
    }
    free(want.at);
    if (test_bad > before)
        printf("%s, epoch %d, batch %d\n", scenarios[index].name, at_epoch, at_batch);
}

static void test_resume(void)
{
    int i;
    for (i = 0; i < SCENARIOS; i++) interrupt(i, 4, 0);
}

/* In the middle of an epoch, before its end is reckoned up, and in the first batch of all. */
static void test_resume_inside(void)
{
    int i;
    for (i = 0; i < SCENARIOS; i++) interrupt(i, 4, 2);
    interrupt(2, 1, 1);
    interrupt(2, 4, -1);
    interrupt(6, 4, -1);
    interrupt(8, 5, -1);
}

/* What resume tests with a plateau need to mean something: the rate falls, and again after the
   checkpoint. At the end of that epoch, and while the epochs before it are counted. */
static void test_resume_plateau(void)
{
    int i, k, first;
    for (i = 0; i < SCENARIOS; i++) {
        history h;
        nn_options how;
        nn_data data = training_data();
        nn_model *model = NULL;
        nn_trainer *trainer;
        if (!scenarios[i].plateau_patience) continue;
        memset(&h, 0, sizeof h);
        how = scenario_options(scenarios + i, &h);
        if (!(trainer = scenario_trainer(&how, 1, &model))) continue;
        CHECK(nn_trainer_fit(trainer, &data) == NN_OK);
        for (k = 1; k < h.count && h.lines[k].learning_rate == h.lines[0].learning_rate;) k++;
        CHECK(k > 3 && k < h.count - 2);
        CHECK(h.lines[h.count - 1].learning_rate < h.lines[k].learning_rate);
        for (first = k - 3; k > first; k--) interrupt(i, k + 1, 0);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
}

/* What resume tests with patience need to mean something: the best epoch lies before the
   checkpoint, and training ends after it and before the last epoch. */
static void test_resume_patience(void)
{
    int i, k;
    for (i = 0; i < SCENARIOS; i++) {
        history h;
        nn_options how;
        nn_data data = training_data();
        nn_model *model = NULL;
        nn_trainer *trainer;
        int best;
        if (!scenarios[i].patience) continue;
        memset(&h, 0, sizeof h);
        how = scenario_options(scenarios + i, &h);
        if (!(trainer = scenario_trainer(&how, 1, &model))) continue;
        CHECK(nn_trainer_fit(trainer, &data) == NN_OK && h.count > 0);
        best = (int)h.lines[h.count - 1].best;
        CHECK(best > 0 && h.count == best + scenarios[i].patience && h.count < MOST_EPOCHS);
        for (k = best + 1; k < h.count; k++) interrupt(i, k, 0);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
}

/* As a user would: 4 epochs by the options, saved, then options with 10. */
static void test_more_epochs(void)
{
    static const int which[] = {0, 1, 2, 3};
    size_t i;
    for (i = 0; i < sizeof which / sizeof *which; i++) {
        int index = which[i], epochs;
        nn_data data = training_data();
        bytes files[2], got;
        for (epochs = 4; epochs <= EPOCHS; epochs += EPOCHS - 4) {
            history h;
            nn_options how;
            nn_model *model = NULL;
            nn_trainer *trainer;
            memset(&h, 0, sizeof h);
            how = scenario_options(scenarios + index, &h);
            how.epochs = epochs;
            if (!(trainer = scenario_trainer(&how, 1, &model))) return;
            CHECK(nn_trainer_fit(trainer, &data) == NN_OK && h.count == epochs);
            files[epochs != 4] = save_model(model);
            if (epochs == 4) CHECK(nn_save_checkpoint(trainer, temporary("checkpoint")) == NN_OK);
            nn_trainer_free(trainer);
            nn_model_free(model);
        }
        CHECK(!same_bytes(files[0], files[1]));
        if (CHECK(run_self(index))) {
            nn_model *loaded = NULL;
            CHECK(nn_load(&loaded, temporary("final"), NULL) ==
                  NN_OK); /* a checkpoint is a model file */
            got = save_model(loaded);
            CHECK(same_bytes(got, files[1]));
            free(got.at);
            nn_model_free(loaded);
        }
        free(files[0].at);
        free(files[1].at);
    }
}

/* Into a trainer of another kind: refused, and the trainer is as it was. */
static void test_checkpoint_refused(void)
{
    static const nn_layer layers[] = {NN_DENSE(4, NN_TANH), NN_DENSE(2, NN_LINEAR)},
                          wider[] = {NN_DENSE(5, NN_TANH), NN_DENSE(2, NN_LINEAR)};
    static const nn_layer other[] = {NN_DENSE(4, NN_RELU), NN_DENSE(2, NN_LINEAR)},
                          *const shapes[] = {layers, wider, other};
    static const int patiences[] = {0, 3};
    int from, to, kinds = 3 * 3 * 2;
    bytes files[18];
    nn_model *models[18];
    nn_trainer *trainers[18];
    for (from = 0; from < kinds; from++) {
        nn_options how;
        memset(&how, 0, sizeof how);
        how.optimizer = from / 3 % 3 == 2 ? NN_ADAM : NN_SGD;
        how.momentum = from / 3 % 3 == 1 ? (nn_real)0.5 : 0;
        how.patience = patiences[from / 9];
        models[from] = make_model(3, shapes[from % 3], 2, (uint64_t)from + 1);
        CHECK(nn_trainer_create(&trainers[from], models[from], &how) == NN_OK);
        files[from] = save_trainer(trainers[from]);
    }
    for (from = 0; from < kinds; from++) {
        for (to = 0; to < kinds; to++) {
            bytes after;
            nn_status status;
            if (from == to ||
                (from / 3 % 3 != 2 && to / 3 % 3 != 2 && from % 3 == to % 3 && from / 9 == to / 9))
                continue; /* momentum or not is a setting of the same optimizer */
            status =
                nn_load_checkpoint_memory(trainers[to], files[from].at, files[from].size, NULL);
            CHECK(status != NN_OK && is_status(status));
            after = save_trainer(trainers[to]);
            if (!CHECK(same_bytes(after, files[to]))) printf("from %d to %d\n", from, to);
            free(after.at);
        }
    }
    for (from = 0; from < kinds; from++) {
        nn_trainer_free(trainers[from]);
        nn_model_free(models[from]);
        free(files[from].at);
    }
}

/* RMSprop's state fits RMSprop alone, and with momentum another one than without. */
static void test_rmsprop_refused(void)
{
    static const nn_layer layers[] = {NN_DENSE(4, NN_SILU), NN_DENSE(2, NN_SOFTPLUS)};
    static const nn_optimizer optimizers[] = {NN_RMSPROP, NN_RMSPROP, NN_ADAM, NN_SGD, NN_SGD};
    static const nn_real momenta[] = {0, 0.5f, 0, 0, 0.5f}, target[2] = {1, 2};
    int from, to, kinds = 5;
    bytes files[5];
    nn_model *models[5];
    nn_trainer *trainers[5];
    for (from = 0; from < kinds; from++) {
        nn_options how = make_options(NN_MAE, optimizers[from], 0);
        how.momentum = momenta[from];
        models[from] = make_model(3, layers, 2, (uint64_t)from + 1);
        trainers[from] = make_trainer(models[from], &how);
        CHECK(nn_train_batch(trainers[from], probe, target, 1, NULL) == NN_OK);
        files[from] = save_trainer(trainers[from]);
    }
    for (from = 0; from < kinds; from++) {
        for (to = 0; to < kinds; to++) {
            bytes after;
            const nn_status status =
                nn_load_checkpoint_memory(trainers[to], files[from].at, files[from].size, NULL);
            if (!CHECK(status == (from == to ? NN_OK : NN_ERROR_OPTION)))
                printf("from %d to %d: %d\n", from, to, (int)status);
            after = save_trainer(trainers[to]);
            CHECK(same_bytes(after, files[to]));
            free(after.at);
        }
    }
    for (from = 0; from < kinds; from++) {
        nn_trainer_free(trainers[from]);
        nn_model_free(models[from]);
        free(files[from].at);
    }
}

/* A run that stopped within an epoch goes on with as many rows as it had alone: with fewer there is
   no read outside the data, and the model stays as it is. */
static void test_resume_other_data(void)
{
    nn_data data = training_data();
    int rows;
    for (rows = 1; rows < ROWS; rows += 7) {
        history h;
        nn_options how;
        nn_model *model = NULL;
        nn_trainer *trainer;
        nn_real *x = (nn_real *)malloc((size_t)(rows * 3) * sizeof *x);
        size_t i;
        memset(&h, 0, sizeof h);
        h.at_epoch = 2;
        h.at_batch = 3;
        h.stop = 1;
        how = scenario_options(scenarios + 2, &h);
        if (!x || !(trainer = scenario_trainer(&how, 1, &model))) return;
        data.rows = ROWS;
        data.x = train_x;
        CHECK(nn_trainer_fit(trainer, &data) == NN_OK && h.reached == 1);
        memcpy(x, train_x, (size_t)(rows * 3) * sizeof *x);
        data.rows = rows;
        data.x = x;
        CHECK(nn_trainer_fit(trainer, &data) == NN_ERROR_SIZE);
        for (i = 0; i < nn_parameter_count(model); i++) CHECK(isfinite(nn_parameters(model)[i]));
        free(x);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
}

int main(int argc, char **argv)
{
    own_path = argv[0];
    if (argc > 2 && !strcmp(argv[1], "resume")) return resume(atoi(argv[2]) % SCENARIOS);
    RUN(test_resume);
    RUN(test_resume_inside);
    RUN(test_resume_patience);
    RUN(test_resume_plateau);
    RUN(test_more_epochs);
    RUN(test_checkpoint_refused);
    RUN(test_rmsprop_refused);
    RUN(test_resume_other_data);
    remove(temporary("checkpoint"));
    remove(temporary("final"));
    remove(temporary("history"));
    return test_done();
}
