/* Sequences of calls. Each input is run twice, once with the scalar kernels and once with vector
   kernels, in memory that is filled differently: statuses, outputs and parameters must be the same
   to the last bit. A call that fails changes nothing; what it should have made is NULL or zero; and
   nothing leaks.

   An input is a string of letters, each with its arguments behind it: see do_call. f and a digit
   before a letter make an allocation of that call fail. */
#include "models.h"

enum { MOST = 40, MOST_LAYERS = 4 };               /* rows, inputs, widths */
enum { EDGE = 6, MOST_NUMBERS = EDGE * EDGE * 4 }; /* of an image, and so of its outputs */

/* What the pointers of options lead to. */
typedef struct option_arrays {
    nn_real dropout[MOST_LAYERS], class_weights[MOST_NUMBERS];
    nn_data validation; /* whose arrays are those of the data */
    nn_epoch epochs[8];
    nn_history history;
} option_arrays;

typedef struct sequence {
    fuzz_input in;
    uint64_t hash; /* of everything that was seen so far */
    uint64_t random;
    int odd;
    long fail_at, blocks;
    nn_model *model;
    odd_block model_block; /* its block is NULL for a model on the heap */
    nn_trainer *trainer;
    odd_block trainer_block;
    nn_options how; /* of the trainer */
    option_arrays of_trainer, of_call;
    nn_data data;
} sequence;

static void note(sequence *s, uint64_t what)
{
    s->hash = (s->hash ^ what) * UINT64_C(0x100000001b3);
    s->hash ^= s->hash >> 29;
}

/* All NaN are one: their signs are not defined. */
static void note_reals(sequence *s, const nn_real *x, size_t count)
{
    nn_real some[64];
    size_t i, n;
    for (; count; x += n, count -= n) {
        n = count < 64 ? count : 64;
        for (i = 0; i < n; i++) some[i] = isnan(x[i]) ? (nn_real)NAN : x[i];
        note(s, hash_bytes(some, n * sizeof *some));
    }
}

static nn_real some_real(sequence *s)
{
    static const double reals[] = {0, 0.001, 0.1, 0.5, 0.9, 1, 10, 1e-30, 1e30, -1, NAN, INFINITY};
    return (nn_real)reals[take_below(&s->in, 12)];
}

/* ---- Objects --------------------------------------------------------------------------------- */

static void free_trainer(sequence *s)
{
    nn_trainer_free(s->trainer);
    s->trainer = NULL;
    if (s->trainer_block.block) free_block(&s->trainer_block);
}

static void free_model(sequence *s)
{
    free_trainer(s);
    nn_model_free(s->model);
    s->model = NULL;
    if (s->model_block.block) free_block(&s->model_block);
}

static int model_inputs(const sequence *s)
{
    nn_shape shape;
    return nn_get_shape(s->model, &shape) == NN_OK ? shape.inputs : 1;
}

static int model_outputs(const sequence *s)
{
    return nn_outputs(s->model);
}

static void free_data(sequence *s)
{
    if (s->how.validation) free_trainer(s); /* which points into the data */
    free((void *)(uintptr_t)s->data.x);
    free((void *)(uintptr_t)s->data.y);
    free((void *)(uintptr_t)s->data.labels);
    free((void *)(uintptr_t)s->data.weight);
    memset(&s->data, 0, sizeof s->data);
}

/* Names of inputs and of classes, which begin at the first or at the second of these. */
static const char *const input_names[MOST + 3] = {
    "x1", "x2", "x3", "b",  "c,", "\"", "",   "x8", "9",  "10", "11", "12", "13", "14", "15",
    "16", "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30",
    "31", "32", "33", "34", "35", "36", "37", "38", "39", "40", "41", "42", "43"};
static const char *const *const class_names = input_names;

/* Rows, then the kind: 0 regression, 1 classes as labels, 2 classes in y, + 3 with weights; then
   what is wrong: 1 another number of inputs, 2 a number that is not finite, 3 a large one, 4 a bad
   label or weight. */
static void make_data(sequence *s)
{
    const int rows = 1 + take_below(&s->in, MOST), kind = take_below(&s->in, 6);
    const int wrong = take_below(&s->in, 8);
    const int inputs = model_inputs(s) + (wrong == 1), outputs = model_outputs(s);
    const size_t n = (size_t)rows * (size_t)inputs, m = (size_t)rows * (size_t)outputs;
    nn_real *x = (nn_real *)malloc(n * sizeof *x), *y = NULL, *weight = NULL;
    int *labels = NULL, i;
    size_t k;

    free_data(s);
    for (k = 0; k < n; k++) x[k] = (nn_real)((double)(next_random(&s->random) % 4096) / 1024 - 2);
    s->data.classes = kind % 3 ? outputs == 1 ? 2 : outputs : 0;
    if (kind % 3 == 1)
        labels = (int *)malloc((size_t)rows * sizeof *labels);
    else
        y = (nn_real *)calloc(m, sizeof *y);
    for (i = 0; i < rows; i++) {
        const int c =
            s->data.classes ? (int)(next_random(&s->random) % (uint64_t)s->data.classes) : 0;
        if (labels) labels[i] = c;
        if (y && kind % 3 == 2)
            y[(size_t)i * (size_t)outputs + (size_t)(outputs == 1 ? 0 : c)] =
                (nn_real)(outputs == 1 ? c : 1);
    }
    for (k = 0; y && kind % 3 == 0 && k < m; k++)
        y[k] = (nn_real)((double)(next_random(&s->random) % 1024) / 1024);
    if (kind >= 3) {
        weight = (nn_real *)malloc((size_t)rows * sizeof *weight);
        for (i = 0; i < rows; i++) weight[i] = (nn_real)(next_random(&s->random) % 4) / 2;
    }
    if (wrong == 2) x[n - 1] = (nn_real)NAN;
    if (wrong == 3) x[n / 2] = (nn_real)1e38;
    if (wrong == 4 && labels) labels[rows - 1] = s->data.classes;
    if (wrong == 4 && weight) weight[0] = -1;
    s->data.rows = rows;
    s->data.inputs = inputs;
    s->data.outputs = outputs;
    /* Names and no names, and other names than the model has. */
    if (kind % 2 && inputs <= MOST + 1) s->data.input_names = input_names + (kind == 3);
    if (kind % 2 && s->data.classes && s->data.classes <= MOST)
        s->data.class_names = class_names + (kind == 3);
    s->data.x = x;
    s->data.y = y;
    s->data.labels = labels;
    s->data.weight = weight;
}

/* ---- Options --------------------------------------------------------------------------------- */

/* A callback that stops at the epoch or the batch of a number. */
static int stop_at(const nn_progress *progress, void *user)
{
    const int number = (int)(uintptr_t)user;
    REQUIRE(progress->epoch >= 1 && progress->epoch <= progress->epochs);
    return progress->batch == number || (!progress->batch && progress->epoch == number);
}

/* Pairs of a letter and a value, up to another character. */
static void take_options(sequence *s, nn_options *how, option_arrays *arrays)
{
    int i;
    memset(how, 0, sizeof *how);
    how->epochs = 2;
    while (s->in.at < s->in.end) {
        switch (take_byte(&s->in)) {
        case 'l': how->loss = (nn_loss)take_below(&s->in, NN_LOSS_COUNT + 1); break;
        case 'o': how->optimizer = (nn_optimizer)take_below(&s->in, NN_OPTIMIZER_COUNT + 1); break;
        case 'b': how->batch_size = take_below(&s->in, MOST); break;
        case 'm': how->micro_batch_size = take_below(&s->in, 9); break;
        case 'r': how->learning_rate = some_real(s); break;
        case 'v': how->momentum = some_real(s); break;
        case 'n': how->nesterov = take_below(&s->in, 2); break;
        case '1': how->beta1 = some_real(s); break;
        case '2': how->beta2 = some_real(s); break;
        case 'a': how->alpha = some_real(s); break;
        case 'w': how->weight_decay = some_real(s); break;
        case 'c': how->clip_norm = some_real(s); break;
        case 's': how->schedule = (nn_schedule)take_below(&s->in, 5); break;
        case 't': how->schedule_steps = take_below(&s->in, 9); break;
        case 'p': how->plateau_patience = take_below(&s->in, 4); break;
        case 'g': how->step_factor = some_real(s); break;
        case 'u': how->warmup_steps = take_below(&s->in, 9); break;
        case 'k': how->label_smoothing = some_real(s); break;
        case 'h': how->huber_delta = some_real(s); break;
        case 'q': how->quantile = some_real(s); break;
        case 'd':
            for (i = 0; i < MOST_LAYERS; i++)
                arrays->dropout[i] = i == MOST_LAYERS - 1 ? 0 : (nn_real)take_below(&s->in, 4) / 4;
            how->dropout = arrays->dropout;
            break;
        case 'x': how->scaling = (nn_scaling)take_below(&s->in, 3); break;
        case 'y': how->target_scaling = (nn_scaling)take_below(&s->in, 3); break;
        case 'f': how->validation_fraction = some_real(s); break;
        case 'e': how->patience = take_below(&s->in, 4); break;
        case 'j': how->balance_classes = take_below(&s->in, 2); break;
        case 'i':
            for (i = 0; i < MOST_NUMBERS; i++) arrays->class_weights[i] = (nn_real)(1 + i % 3) / 2;
            how->class_weights = arrays->class_weights;
            break;
        case 'z': how->seed = (uint64_t)take_byte(&s->in); break;
        case 'A':
            how->callback = stop_at;
            how->user = (void *)(uintptr_t)(1 + take_below(&s->in, 4));
            how->callback_batches = take_below(&s->in, 2);
            break;
        case 'V':
            arrays->validation = s->data;
            how->validation = &arrays->validation;
            break;
        case 'H':
            memset(&arrays->history, 0, sizeof arrays->history);
            arrays->history.epochs = arrays->epochs;
            arrays->history.capacity = take_below(&s->in, 9);
            how->history = &arrays->history;
            break;
        default: s->in.at--; return;
        }
    }
}

/* ---- Nothing changed ------------------------------------------------------------------------- */

/* All that a model and a trainer keep from one call to the next, but not scratch memory. */
typedef struct snapshot {
    uint64_t model, trainer;
    long blocks;
} snapshot;

static uint64_t hash_more(uint64_t hash, const void *bytes, size_t size)
{
    return bytes ? hash * 31 + hash_bytes(bytes, size) : hash;
}

static snapshot look(const sequence *s)
{
    snapshot seen;
    const nn_model *m = s->model;
    const nn_trainer *t = s->trainer;
    const size_t size = nn_parameter_count(m) * sizeof(nn_real);
    const char *metadata = nn_metadata(m, "author");

    memset(&seen, 0, sizeof seen);
    seen.model = hash_bytes(m, sizeof *m);
    seen.model = hash_more(seen.model, m->parameters, size);
    seen.model = hash_more(seen.model, m->layers, (size_t)m->count * sizeof(nn_layer));
    seen.model = hash_more(seen.model, m->offset, 2 * (size_t)m->inputs * sizeof(nn_real));
    seen.model =
        hash_more(seen.model, m->target_offset, 2 * (size_t)nn_outputs(m) * sizeof(nn_real));
    seen.model = hash_more(seen.model, metadata, metadata ? strlen(metadata) : 0);
    if (t) {
        seen.trainer = hash_bytes(t, sizeof *t);
        seen.trainer = hash_more(seen.trainer, t->gradients, size);
        seen.trainer = hash_more(seen.trainer, t->first, size);
        seen.trainer = hash_more(seen.trainer, t->second, size);
        seen.trainer = hash_more(seen.trainer, t->best, size);
    }
    seen.blocks = heap.blocks;
    return seen;
}

static void begin_call(sequence *s)
{
    s->blocks = fuzz_arm(s->fail_at);
}

/* ... and of which number status is the result. */
static nn_status end_call(sequence *s, nn_status status)
{
    fuzz_disarm();
    REQUIRE(is_status(status));
    REQUIRE(!heap.failed || status == NN_ERROR_MEMORY);
    REQUIRE(status != NN_ERROR_MEMORY || heap.failed);
    REQUIRE(status == NN_OK || status == NN_ERROR_DIVERGED || heap.blocks == s->blocks);
    note(s, (uint64_t)status);
    return status;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* A layer of any kind. Small fields make most of them fit an image. */
static void take_image_layer(sequence *s, nn_layer *layer)
{
    static const nn_padding paddings[] = {NN_PADDING_NONE, NN_PADDING_SAME, (nn_padding)2};

    layer->kind = (nn_layer_kind)take_below(&s->in, NN_LAYER_GLOBAL_AVERAGE + 2);
    if (layer->kind == NN_LAYER_DENSE) layer->width = take_below(&s->in, MOST);
    if (layer->kind == NN_LAYER_DENSE || layer->kind == NN_LAYER_GLOBAL_AVERAGE) return;
    layer->height = take_below(&s->in, EDGE + 1);
    layer->width = take_below(&s->in, EDGE + 1);
    if (layer->kind == NN_LAYER_IMAGE || layer->kind == NN_LAYER_CONVOLUTION)
        layer->channels = take_below(&s->in, 5);
    if (layer->kind == NN_LAYER_IMAGE) return;
    layer->stride_height = take_below(&s->in, 4);
    layer->stride_width = take_below(&s->in, 4);
    if (layer->kind == NN_LAYER_CONVOLUTION) layer->padding = paddings[take_below(&s->in, 3)];
}

/* Takes a shape of dense layers ('M') or of any ('G'). Behind an image the inputs are its numbers;
   0 inputs stay 0. */
static void take_shape(sequence *s, int what, nn_shape *shape, nn_layer *layers)
{
    int i;

    memset(layers, 0, MOST_LAYERS * sizeof *layers);
    shape->inputs = take_below(&s->in, MOST);
    shape->count = take_below(&s->in, MOST_LAYERS + 1);
    shape->layers = layers;
    for (i = 0; i < shape->count; i++) {
        if (what == 'G')
            take_image_layer(s, layers + i);
        else
            layers[i].width = take_below(&s->in, MOST);
        if (what == 'M' || layers[i].kind == NN_LAYER_DENSE ||
            layers[i].kind == NN_LAYER_CONVOLUTION)
            layers[i].activation = (nn_activation)take_below(&s->in, NN_ACTIVATION_COUNT + 1);
    }
    if (what == 'G' && shape->count && layers->kind == NN_LAYER_IMAGE && shape->inputs)
        shape->inputs = layers->height * layers->width * layers->channels;
}

static void make_model(sequence *s, int what)
{
    nn_layer layers[MOST_LAYERS];
    nn_shape shape;
    nn_model *model = (nn_model *)(void *)&shape;
    odd_block block;
    nn_status status;
    nn_status checked;
    size_t size;
    int wrong = 99;

    memset(&block, 0, sizeof block);
    take_shape(s, what, &shape, layers);
    checked = nn_check_shape(&shape, &wrong);
    REQUIRE(is_status(checked) && wrong >= -1 && wrong < (shape.count ? shape.count : 1));
    REQUIRE(checked != NN_OK || wrong == -1);
    size = nn_model_size(&shape);
    begin_call(s);
    if (s->odd & 1) {
        block = make_block(size + !size, s->odd % 16);
        status = nn_model_create_in(&model, block.memory, size, &shape, 7);
    } else {
        status = nn_model_create(&model, shape.inputs, layers, shape.count, 7);
    }
    (void)end_call(s, status);
    REQUIRE((status == NN_OK) == (model != NULL));
    REQUIRE((size > 0) == (status == NN_OK || status == NN_ERROR_MEMORY));
    REQUIRE(status == NN_ERROR_MEMORY || status == checked);
    if (!model) {
        if (block.block) free_block(&block);
        return;
    }
    free_model(s);
    s->model = model;
    s->model_block = block;
    free_data(s);
}

static void make_trainer(sequence *s)
{
    nn_trainer *trainer = (nn_trainer *)(void *)s;
    odd_block block;
    nn_options how;
    nn_status status;
    size_t size;

    memset(&block, 0, sizeof block);
    take_options(s, &how, &s->of_trainer);
    free_trainer(s);
    s->how = how;
    size = nn_trainer_size(s->model, &s->how);
    begin_call(s);
    if (s->odd & 2) {
        block = make_block(size + !size, s->odd % 16);
        status = nn_trainer_create_in(&trainer, block.memory, size, s->model, &s->how);
    } else {
        status = nn_trainer_create(&trainer, s->model, &s->how);
    }
    (void)end_call(s, status);
    REQUIRE((status == NN_OK) == (trainer != NULL));
    REQUIRE((size > 0) == (status == NN_OK || status == NN_ERROR_MEMORY));
    if (!trainer && block.block) free_block(&block);
    s->trainer = trainer;
    if (trainer) s->trainer_block = block;
}

static nn_status train(sequence *s, int what)
{
    nn_real loss = 5;
    nn_status status;
    int rows = s->data.rows;

    if (rows > 3) rows = 1 + take_below(&s->in, rows);
    begin_call(s);
    if (what == 'b') {
        status = nn_train_batch(s->trainer, s->data.x, s->data.y, rows, &loss);
    } else {
        nn_data batch = s->data;
        batch.rows = rows;
        if (what == 'a') {
            status = nn_accumulate(s->trainer, &batch, &loss);
        } else {
            nn_shard shard;
            shard.batch_rows = take_below(&s->in, 50);
            shard.first = take_below(&s->in, 8);
            shard.batch_weight = some_real(s);
            batch.rows -= take_below(&s->in, 4);
            status = nn_shard_gradient(s->trainer, &batch, &shard, &loss);
        }
    }
    (void)end_call(s, status);
    if (status != NN_OK && status != NN_ERROR_DIVERGED) REQUIRE(loss == 0);
    note_reals(s, &loss, 1);
    return status;
}

static nn_status forward_backward(sequence *s, int what)
{
    const int inputs = model_inputs(s), outputs = model_outputs(s), rows = s->data.rows;
    const nn_real *y = s->data.x;
    nn_real *dy, *dx;
    nn_status status;
    size_t i;

    if (what == 'w') {
        begin_call(s);
        status = nn_forward(s->trainer, s->data.x, rows, &y);
        (void)end_call(s, status);
        REQUIRE((status == NN_OK) == (y != NULL));
        if (y) note_reals(s, y, (size_t)rows * (size_t)outputs);
        return status;
    }
    dy = (nn_real *)malloc((size_t)MOST * (size_t)outputs * sizeof *dy);
    dx = (nn_real *)malloc((size_t)MOST * (size_t)inputs * sizeof *dx);
    for (i = 0; i < (size_t)MOST * (size_t)outputs; i++)
        dy[i] = (nn_real)((double)(next_random(&s->random) % 512) / 512 - 0.5);
    begin_call(s);
    status = nn_backward(s->trainer, dy, what == 'k' ? dx : NULL);
    (void)end_call(s, status);
    if (status == NN_OK && what == 'k') note_reals(s, dx, (size_t)inputs);
    free(dy);
    free(dx);
    return status;
}

static nn_status predict_rows(sequence *s, int what)
{
    const size_t rows = (size_t)s->data.rows, outputs = (size_t)model_outputs(s);
    const size_t size = nn_scratch_size(s->model, s->data.rows);
    nn_real *y = (nn_real *)malloc(rows * outputs * sizeof *y);
    int *classes = (int *)malloc(rows * sizeof *classes);
    void *scratch = take_below(&s->in, 2) ? malloc(size) : NULL;
    nn_status status;
    size_t i;

    memset(y, 0xff, rows * outputs * sizeof *y);
    begin_call(s);
    if (what == 'P') {
        status = nn_predict_data(s->model, &s->data, y, scratch);
    } else if (s->data.inputs != model_inputs(s)) {
        status = NN_ERROR_SHAPE;
    } else if (what == 'p') {
        status = nn_predict(s->model, s->data.x, s->data.rows, y, scratch);
    } else {
        status = nn_predict_classes(s->model, s->data.x, s->data.rows, classes, scratch);
        for (i = 0; status == NN_OK && i < rows; i++) {
            REQUIRE(classes[i] >= 0 && (size_t)classes[i] < (outputs == 1 ? 2 : outputs));
            note(s, (uint64_t)classes[i]);
        }
    }
    (void)end_call(s, status);
    if (status == NN_OK && what != 'C')
        note_reals(s, y, rows * outputs);
    else
        REQUIRE(all_bytes_are(y, rows * outputs * sizeof *y, *(unsigned char *)y ? 0xff : 0));
    free(y);
    free(classes);
    free(scratch);
    return status;
}

static nn_status measure(sequence *s, int what)
{
    nn_metrics metrics[4];
    nn_options how;
    nn_status status;
    nn_shape shape;
    size_t i;

    take_options(s, &how, &s->of_call);
    memset(metrics, 0xff, sizeof metrics);
    if (what == 'i') {
        const size_t count = (size_t)model_inputs(s) + 1;
        nn_input_importance *results = (nn_input_importance *)malloc(count * sizeof *results);
        memset(results, 0xff, count * sizeof *results);
        how.epochs = 0;
        begin_call(s);
        status = end_call(
            s, nn_importance(s->model, &s->data, &how, 1 + take_below(&s->in, 3), results));
        if (status == NN_OK) note_reals(s, &results->mean, 2 * (count - 1));
        REQUIRE(all_bytes_are(results + count - 1, sizeof *results, 0xff));
        if (status != NN_OK) REQUIRE(all_bytes_are(results, (count - 1) * sizeof *results, 0));
        free(results);
        return status;
    }
    begin_call(s);
    if (what == 'v') {
        const int folds = take_below(&s->in, 5);
        REQUIRE(nn_get_shape(s->model, &shape) == NN_OK);
        how.epochs = 1;
        status = nn_cross_validate(&shape, &s->data, &how, folds < 4 ? folds : 3, metrics);
    } else {
        how.epochs = 0;
        status = nn_evaluate(s->model, &s->data, &how, metrics);
    }
    (void)end_call(s, status);
    if (status == NN_OK) {
        note(s, (uint64_t)metrics->rows);
        note(s, (uint64_t)metrics->correct);
        note_reals(s, &metrics->loss, 1);
        for (i = 0; i < 11; i++) note_reals(s, &metrics->accuracy + i, 1);
        REQUIRE(metrics->rows >= 0 && metrics->rows <= s->data.rows);
        REQUIRE(metrics->correct >= 0 && metrics->correct <= metrics->rows);
        REQUIRE(isnan(metrics->auc) || (metrics->auc >= 0 && metrics->auc <= 1));
    } else if (what == 'e') {
        REQUIRE(all_bytes_are(metrics, sizeof *metrics, 0));
    }
    return status;
}

static nn_status count_classes(sequence *s)
{
    const size_t classes = (size_t)s->data.classes, count = classes * classes;
    int *matrix = (int *)malloc((count + 1) * sizeof *matrix);
    nn_status status;
    long sum = 0;
    size_t i;

    memset(matrix, 0xff, (count + 1) * sizeof *matrix);
    begin_call(s);
    status = end_call(s, nn_confusion_matrix(s->model, &s->data, matrix));
    for (i = 0; status == NN_OK && i < count; i++) {
        REQUIRE(matrix[i] >= 0);
        sum += matrix[i];
        note(s, (uint64_t)matrix[i]);
    }
    REQUIRE(matrix[count] == -1 && sum <= s->data.rows);
    free(matrix);
    return status;
}

static nn_status divide(sequence *s)
{
    nn_data train, test;
    nn_fold fold;
    nn_status status;
    const int folds = take_below(&s->in, 6);

    memset(&train, 0xff, sizeof train);
    memset(&test, 0xff, sizeof test);
    fold.folds = folds;
    fold.fold = take_below(&s->in, 6);
    fold.seed = 3;
    begin_call(s);
    status = folds ? nn_split_fold(&s->data, &fold, &train, &test)
                   : nn_split(&s->data, some_real(s), 3, &train, &test);
    (void)end_call(s, status);
    if (status == NN_OK) {
        REQUIRE(train.rows > 0 && test.rows > 0 && train.rows + test.rows == s->data.rows);
        note_reals(s, train.x, (size_t)train.rows * (size_t)train.inputs);
        note_reals(s, test.x, (size_t)test.rows * (size_t)test.inputs);
    } else {
        REQUIRE(all_bytes_are(&train, sizeof train, 0) && all_bytes_are(&test, sizeof test, 0));
    }
    nn_data_free(&train);
    nn_data_free(&test);
    REQUIRE(heap.blocks == s->blocks);
    return status;
}

static void save_and_load(sequence *s)
{
    size_t size = 5;
    const nn_status status = nn_save_memory(s->model, NULL, 0, &size);
    note(s, (uint64_t)status);
    REQUIRE(status == NN_OK ? size > 0 : size == 0);
    if (status == NN_OK) check_model(s->model, s->odd);
}

/* A second trainer that loads the checkpoint goes on as the first one does. */
static nn_status resume(sequence *s)
{
    nn_shape shape;
    nn_model *model = NULL;
    nn_trainer *trainer = NULL;
    size_t size, count = nn_parameter_count(s->model);
    unsigned char *bytes;
    int recorded;
    nn_status status = nn_save_checkpoint_memory(s->trainer, NULL, 0, &size), first, second;

    note(s, (uint64_t)status);
    REQUIRE(status == NN_OK ? size > 0 : size == 0);
    if (status != NN_OK) return status;
    bytes = (unsigned char *)malloc(size);
    REQUIRE(nn_save_checkpoint_memory(s->trainer, bytes, size, &size) == NN_OK);
    REQUIRE(nn_get_shape(s->model, &shape) == NN_OK);
    REQUIRE(nn_model_create(&model, shape.inputs, shape.layers, shape.count, 99) == NN_OK);
    REQUIRE(nn_trainer_create(&trainer, model, &s->how) == NN_OK);
    status = nn_load_checkpoint_memory(trainer, bytes, size, NULL);
    REQUIRE(status == NN_OK);
    recorded = s->of_trainer.history.count;
    first = nn_trainer_fit(s->trainer, &s->data);
    s->of_trainer.history.count = recorded; /* both trainers have it */
    second = nn_trainer_fit(trainer, &s->data);
    REQUIRE(first == second);
    note(s, (uint64_t)first);
    require_same(nn_parameters(s->model), count * sizeof(nn_real), nn_parameters(model),
                 count * sizeof(nn_real));
    nn_trainer_free(trainer);
    nn_model_free(model);
    free(bytes);
    return first;
}

static nn_status export_model(sequence *s)
{
    nn_export_options options;
    size_t size = 5, again = 5;
    unsigned char *bytes;
    nn_status status;
    const int onnx = take_below(&s->in, 2);

    memset(&options, 0, sizeof options);
    options.int8 = take_below(&s->in, 2);
    status = onnx ? nn_export_onnx_memory(s->model, NULL, 0, &size)
                  : nn_export_c_memory(s->model, &options, NULL, 0, &size);
    note(s, (uint64_t)status);
    REQUIRE(status == NN_OK ? size > 0 : size == 0);
    if (status != NN_OK) return status;
    bytes = (unsigned char *)malloc(size);
    begin_call(s);
    status = onnx ? nn_export_onnx_memory(s->model, bytes, size, &again)
                  : nn_export_c_memory(s->model, &options, (char *)bytes, size, &again);
    (void)end_call(s, status);
    REQUIRE(status != NN_OK || again == size);
    if (status == NN_OK) note(s, hash_bytes(bytes, size));
    free(bytes);
    return status;
}

static nn_status change_model(sequence *s, int what)
{
    nn_real mean[MOST_NUMBERS], deviation[MOST_NUMBERS];
    nn_model *copy = (nn_model *)(void *)mean;
    nn_status status;
    int i;

    for (i = 0; i < MOST_NUMBERS; i++) {
        mean[i] = (nn_real)(i % 7) / 4;
        deviation[i] = (nn_real)(1 + i % 3) / 2;
    }
    if (what == 's' || what == 't') {
        mean[0] = some_real(s);
        deviation[0] = some_real(s);
    }
    begin_call(s);
    switch (what) {
    case 's': return end_call(s, nn_set_scaling(s->model, mean, deviation));
    case 't': return end_call(s, nn_set_target_scaling(s->model, mean, deviation));
    case 'I':
        return end_call(s, nn_initialize(s->model, (nn_initialization)take_below(&s->in, 5), 3));
    case 'q': return end_call(s, nn_quantize(s->model));
    case 'm':
        return end_call(s, nn_set_metadata(s->model, "author", take_below(&s->in, 2) ? "a" : NULL));
    default:
        status = end_call(s, nn_model_copy(&copy, s->model));
        REQUIRE((status == NN_OK) == (copy != NULL));
        nn_model_free(copy);
        return status;
    }
}

static void do_call(sequence *s)
{
    int what = take_byte(&s->in);
    nn_status status = NN_OK;
    snapshot before, after;

    s->fail_at = 0;
    if (what == 'f') {
        s->fail_at = 1 + take_below(&s->in, 10);
        what = take_byte(&s->in);
    }
    if (what == 'M' || what == 'G') {
        make_model(s, what);
        return;
    }
    if (!s->model) return;
    if (what == 'O') {
        make_trainer(s);
        return;
    }
    if (what == 'D') {
        make_data(s);
        return;
    }
    before = look(s);
    switch (what) {
    case 's':
    case 't':
    case 'I':
    case 'q':
    case 'm':
    case 'c': status = change_model(s, what); break;
    case 'r': save_and_load(s); break;
    case 'E': status = export_model(s); break;
    default: break;
    }
    if (s->data.rows) switch (what) {
        case 'S':
            begin_call(s);
            status =
                end_call(s, nn_fit_scaling(s->model, &s->data, (nn_scaling)take_below(&s->in, 4)));
            break;
        case 'T':
            begin_call(s);
            status = end_call(
                s, nn_fit_target_scaling(s->model, &s->data, (nn_scaling)take_below(&s->in, 4)));
            break;
        case 'N': {
            nn_options how;
            take_options(s, &how, &s->of_call);
            begin_call(s);
            status = end_call(s, nn_fit(s->model, &s->data, &how));
            break;
        }
        case 'p':
        case 'P':
        case 'C': status = predict_rows(s, what); break;
        case 'e':
        case 'i':
        case 'v': status = measure(s, what); break;
        case 'x': status = count_classes(s); break;
        case 'd': status = divide(s); break;
        default: break;
        }
    if (s->data.rows && s->trainer && s->data.inputs == model_inputs(s)) switch (what) {
        case 'b':
        case 'a':
        case 'A': status = train(s, what); break;
        case 'w':
        case 'k':
        case 'K': status = forward_backward(s, what); break;
        case 'h': status = resume(s); break;
        default: break;
        }
    if (s->trainer) switch (what) {
        case 'u':
            begin_call(s);
            status = end_call(s, nn_update(s->trainer));
            break;
        case 'z': status = nn_clear_gradients(s->trainer); break;
        case 'l': status = nn_set_learning_rate(s->trainer, some_real(s)); break;
        case 'F':
            if (!s->data.rows) break;
            begin_call(s);
            status = end_call(s, nn_trainer_fit(s->trainer, &s->data));
            break;
        default: break;
        }
    if (status != NN_OK && status != NN_ERROR_DIVERGED) {
        after = look(s);
        REQUIRE(before.model == after.model);
        REQUIRE(before.trainer == after.trainer);
        REQUIRE(before.blocks == after.blocks);
    }
    if (s->model_block.block) check_block(&s->model_block);
    if (s->trainer_block.block) check_block(&s->trainer_block);
    note_reals(s, nn_parameters(s->model), nn_parameter_count(s->model));
    if (s->trainer) note_reals(s, nn_gradients(s->trainer), nn_parameter_count(s->model));
}

static uint64_t run(fuzz_input in, const char *backend, int fill)
{
    sequence s;
    int calls = 0;

    memset(&s, 0, sizeof s);
    fuzz_backend = backend;
    heap.fill = (unsigned char)fill;
    s.in = in;
    s.odd = take_below(&s.in, 16);
    while (s.in.at < s.in.end && calls++ < 60) do_call(&s);
    free_model(&s);
    free_data(&s);
    REQUIRE(heap.blocks == 0);
    return s.hash;
}

static void fuzz_one(fuzz_input in)
{
    const char *best = take_below(&in, 2) ? "avx2" : NULL;
    REQUIRE(run(in, "scalar", 0xff) == run(in, best, 0x3f));
}
