/* After a failure nothing has changed: not one byte of the model's block, of the trainer's block,
   of the options, the history and the metadata, whatever the call and the state before it: of a
   dense net, and of one with a convolution and a pool. Calls that are refused for each reason of
   each function, and every allocation made to fail: the table of these calls makes it long. */
#define NN_IMPLEMENTATION
#include "../test.h"

#include "../counted_heap.h"

/* The allocation after so many others fails; -1: none does. */
static long allocations_left = -1;

static void *failing_malloc(size_t size)
{
    if (allocations_left == 0) return NULL;
    if (allocations_left > 0) allocations_left--;
    return counted_malloc(size);
}

#undef NN_MALLOC
#define NN_MALLOC(size) failing_malloc(size)

#include "files.h"

enum { ROWS = 10, INPUTS = 2, CLASSES = 3, BATCH = 4, EPOCHS = 4, CAPACITY = 12 };
enum { BLOCK = 8192, FILE_SIZE = 16384, OUTPUT = 1024 };

#define N_AN  ((nn_real)NAN)
#define N_INF ((nn_real)INFINITY)

/* ---- A world: a model, its trainer, and all that belongs to them ----------------------------- */

/* What has been done before the calls that are refused. */
typedef enum stage {
    FRESH,    /* nothing: the length of the schedule over all updates is not known */
    STOPPED,  /* a callback stopped training in the middle of an epoch */
    PENDING,  /* then gradients were added, and an nn_forward waits for its nn_backward */
    FINISHED, /* all epochs are done */
    STAGES
} stage;

typedef struct world {
    unsigned char model_block[BLOCK], trainer_block[BLOCK];
    nn_options options;
    nn_real dropout[4];
    nn_history history;
    nn_epoch epochs[CAPACITY];
    char names[4][64]; /* the values of the metadata */
} world;

static world w, before;
static nn_model *model;     /* regression */
static nn_trainer *trainer; /* of this model */
static nn_model *classifier, *foreign;
static int stop_at;
static unsigned char file[FILE_SIZE], damaged[FILE_SIZE];
static size_t file_size;

/* Of each kind of net: that of the world, one with classes, a wider one. */
#define IMAGE_LAYERS(channels)                                                                     \
    NN_IMAGE(1, INPUTS, 1), NN_CONV1D(channels, 2, 1, NN_PADDING_SAME, NN_TANH), NN_MAX_POOL1D(2, 1)
static const nn_layer dense_nets[3][2] = {{NN_DENSE(3, NN_TANH), NN_DENSE(1, NN_LINEAR)},
                                          {NN_DENSE(3, NN_TANH), NN_DENSE(CLASSES, NN_SOFTMAX)},
                                          {NN_DENSE(4, NN_TANH), NN_DENSE(1, NN_LINEAR)}};
static const nn_layer image_nets[3][4] = {{IMAGE_LAYERS(3), NN_DENSE(1, NN_LINEAR)},
                                          {IMAGE_LAYERS(3), NN_DENSE(CLASSES, NN_SOFTMAX)},
                                          {IMAGE_LAYERS(4), NN_DENSE(1, NN_LINEAR)}};
static int images;     /* 1: the second kind */
static nn_shape shape; /* of the world's model */
static nn_real x[ROWS * INPUTS], y[ROWS];
static int labels[ROWS];
static const char *const input_names[] = {"height", "width"};

static nn_shape shape_of(int which)
{
    nn_shape of = {INPUTS, dense_nets[which], 2};
    if (images) of.layers = image_nets[which];
    if (images) of.count = 4;
    return of;
}

static nn_model *make_net(int which, uint64_t seed)
{
    const nn_shape of = shape_of(which);
    return make_model(of.inputs, of.layers, of.count, seed);
}

static int stop(const nn_progress *progress, void *user)
{
    (void)progress;
    (void)user;
    return --stop_at == 0;
}

static nn_data good(void)
{
    nn_data data = make_data(x, y, ROWS, INPUTS, 1);
    data.input_names = input_names;
    return data;
}

static nn_data classes(void)
{
    nn_data data = make_data(x, NULL, ROWS, INPUTS, CLASSES);
    data.labels = labels;
    data.classes = CLASSES;
    return data;
}

static nn_options good_options(void)
{
    nn_options how = make_options(NN_MSE, NN_ADAM, 0.015625);
    how.epochs = EPOCHS;
    how.batch_size = BATCH;
    how.schedule = NN_SCHEDULE_COSINE; /* over all updates of nn_fit */
    how.dropout = w.dropout;
    how.scaling = NN_SCALE_STANDARD;
    how.target_scaling = NN_SCALE_STANDARD;
    how.patience = 3;
    how.validation_fraction = 0.25f;
    how.clip_norm = 1;
    how.history = &w.history;
    how.callback = stop;
    how.callback_batches = 1;
    return how;
}

static void keep_metadata(world *to)
{
    static const char *const keys[4] = {"input_names", "class_names", "recipe", "author"};
    int i;
    memset(to->names, 0, sizeof to->names);
    for (i = 0; i < 4; i++) {
        const char *value = nn_metadata(model, keys[i]);
        if (value && strlen(value) < sizeof to->names[i]) strcpy(to->names[i], value);
    }
}

static void begin(stage at)
{
    nn_data data;
    const nn_real *outputs;
    int i;
    memset(&w, 0, sizeof w);
    for (i = 0; i < ROWS * INPUTS; i++) x[i] = (nn_real)((i * 7) % 11) / 4 - 1;
    for (i = 0; i < ROWS; i++) y[i] = x[2 * i] - (nn_real)0.5 * x[2 * i + 1] + 100;
    for (i = 0; i < ROWS; i++) labels[i] = i % CLASSES;
    w.dropout[images] = 0.25f;
    w.history.epochs = w.epochs;
    w.history.capacity = CAPACITY;
    w.options = good_options();
    shape = shape_of(0);
    CHECK(nn_model_create_in(&model, w.model_block, BLOCK, &shape, 1) == NN_OK);
    CHECK(nn_set_metadata(model, "author", "nobody") == NN_OK);
    CHECK(nn_trainer_create_in(&trainer, w.trainer_block, BLOCK, model, &w.options) == NN_OK);
    classifier = make_net(1, 2);
    foreign = make_net(2, 3);
    data = good();
    stop_at = at == FINISHED ? -1 : 5;
    if (at != FRESH) CHECK(nn_trainer_fit(trainer, &data) == NN_OK);
    CHECK(nn_save_checkpoint_memory(trainer, file, FILE_SIZE, &file_size) == NN_OK);
    if (at == PENDING) {
        data.rows = BATCH;
        CHECK(nn_accumulate(trainer, &data, NULL) == NN_OK);
        CHECK(nn_forward(trainer, x, BATCH, &outputs) == NN_OK);
    }
    keep_metadata(&w);
    before = w;
}

static void end(void)
{
    nn_model_free(model);
    nn_model_free(classifier);
    nn_model_free(foreign);
    CHECK(live_blocks == 0);
}

static int unchanged(void)
{
    keep_metadata(&w);
    return !memcmp(&w, &before, sizeof w);
}

/* ---- Refused calls --------------------------------------------------------------------------- */

static unsigned char output[OUTPUT]; /* what a call may write its results to */

static nn_status mark(void)
{
    memset(output, 0xa5, sizeof output);
    return NN_OK;
}

/* The status is the expected one, and the call has changed nothing but the first `zeroed` bytes of
   its output, which are 0. */
static void check_refused(nn_status status, nn_status expected, size_t zeroed, long blocks,
                          const char *text, int line)
{
    size_t i, kept = 0;
    int good_so_far = CHECK(status == expected);
    good_so_far = CHECK(unchanged()) && good_so_far;
    good_so_far = CHECK(live_blocks == blocks) && good_so_far;
    good_so_far = CHECK(all_zero(output, zeroed)) && good_so_far;
    for (i = zeroed; i < sizeof output; i++) kept += output[i] == 0xa5;
    good_so_far = CHECK(kept == sizeof output - zeroed) && good_so_far;
    if (!good_so_far) printf("line %d: %s: status %d, not %d\n", line, text, (int)status, expected);
    w = before;
}

#define ZEROED(call, expected, zeroed)                                                             \
    do {                                                                                           \
        const long blocks_ = live_blocks;                                                          \
        const nn_status status_ = mark() == NN_OK ? (call) : NN_OK;                                \
        check_refused(status_, expected, zeroed, blocks_, #call, __LINE__);                        \
    } while (0)
#define KEPT(call, expected) ZEROED(call, expected, 0)

/* Good data with one thing that is bad. */
static nn_real bad_x[ROWS * INPUTS], bad_y[ROWS], bad_weight[ROWS];
static int bad_labels[ROWS];
static nn_data changed;

static const nn_data *copy(nn_data from)
{
    int i;
    changed = from;
    memcpy(bad_x, x, sizeof x);
    memcpy(bad_y, y, sizeof y);
    memcpy(bad_labels, labels, sizeof labels);
    for (i = 0; i < ROWS; i++) bad_weight[i] = 1;
    changed.x = bad_x;
    if (from.y) changed.y = bad_y;
    if (from.labels) changed.labels = bad_labels;
    return &changed;
}

static const nn_data *with_x(double value)
{
    const nn_data *data = copy(good());
    bad_x[ROWS * INPUTS - 1] = (nn_real)value;
    return data;
}

static const nn_data *with_y(double value)
{
    const nn_data *data = copy(good());
    bad_y[ROWS - 1] = (nn_real)value;
    return data;
}

static const nn_data *with_weight(int count, double value)
{
    const nn_data *data = copy(good());
    while (count-- > 0) bad_weight[count] = (nn_real)value;
    changed.weight = bad_weight;
    return data;
}

static const nn_data *with_label(int label)
{
    const nn_data *data = copy(classes());
    bad_labels[ROWS - 1] = label;
    return data;
}

static const nn_data *with_names(void)
{
    static const char *const others[] = {"width", "height"};
    const nn_data *data = copy(good());
    changed.input_names = others;
    return data;
}

static const nn_data *with_sizes(int rows, int inputs, int outputs, int kinds)
{
    const nn_data *data = copy(good());
    changed.rows = rows;
    changed.inputs = inputs;
    changed.outputs = outputs;
    changed.classes = kinds;
    return data;
}

static const nn_data *without_targets(void)
{
    const nn_data *data = copy(good());
    changed.y = NULL;
    return data;
}

static nn_options changed_options;

static const nn_options *with_option(int which)
{
    nn_options *o = &changed_options;
    *o = good_options();
    switch (which) {
    case 0: o->epochs = -1; break;
    case 1: o->learning_rate = N_AN; break;
    case 2: o->momentum = 0.5f; break;
    case 3: o->beta1 = 1; break;
    case 4: o->batch_size = -1; break;
    case 5: o->scaling = (nn_scaling)7; break;
    case 6: o->target_scaling = (nn_scaling)7; break;
    case 7: o->optimizer = NN_OPTIMIZER_COUNT; break;
    case 8: o->callback = NULL; break;
    case 9: o->dropout = x; break;
    default: o->patience = -1; break;
    }
    return o;
}

static const nn_options *with_history(int capacity, int count)
{
    static nn_history small_history;
    changed_options = good_options();
    small_history.epochs = w.epochs;
    small_history.capacity = capacity;
    small_history.count = count;
    changed_options.history = &small_history;
    return &changed_options;
}

static const nn_options *with_loss(nn_loss loss)
{
    changed_options = good_options();
    changed_options.loss = loss;
    return &changed_options;
}

static const nn_options *with_validation(const nn_data *data)
{
    changed_options = good_options();
    changed_options.validation_fraction = 0;
    changed_options.validation = data;
    return &changed_options;
}

static void refused_model(void)
{
    static const nn_layer bad_layers[] = {NN_DENSE(0, NN_TANH)};
    static const nn_layer bad_kernel[] = {NN_IMAGE(1, INPUTS, 1),
                                          NN_CONV1D(1, 3, 1, NN_PADDING_NONE, NN_TANH)};
    static const nn_shape bad_shape = {INPUTS, bad_layers, 1};
    static const nn_shape bad_image = {INPUTS, bad_kernel, 2};
    const nn_real nan[INPUTS] = {1, N_AN}, zero[INPUTS] = {1, 0}, one[INPUTS] = {1, 1};
    nn_model *made = NULL;
    KEPT(nn_initialize(model, (nn_initialization)9, 1), NN_ERROR_OPTION);
    KEPT(nn_initialize(NULL, NN_INITIALIZE_HE, 1), NN_ERROR_NULL);
    ZEROED(nn_get_shape(NULL, (nn_shape *)(void *)output), NN_ERROR_NULL, sizeof(nn_shape));
    ZEROED(nn_layer_parameters(model, shape.count, (nn_layer_arrays *)(void *)output),
           NN_ERROR_SIZE, sizeof(nn_layer_arrays));
    KEPT(nn_set_metadata(model, "nn.state", "1"), NN_ERROR_METADATA);
    KEPT(nn_set_metadata(model, "author", "\xff"), NN_ERROR_METADATA);
    KEPT(nn_set_metadata(model, "input_names", "a,b,c"), NN_ERROR_SHAPE);
    KEPT(nn_set_metadata(model, "class_names", "a,b,c"), NN_ERROR_LABEL);
    KEPT(nn_set_scaling(model, nan, one), NN_ERROR_OPTION);
    KEPT(nn_set_scaling(model, one, zero), NN_ERROR_OPTION);
    KEPT(nn_set_scaling(model, one, NULL), NN_ERROR_NULL);
    KEPT(nn_set_target_scaling(model, one, nan + 1), NN_ERROR_OPTION);
    KEPT(nn_predict(model, x, 0, (nn_real *)(void *)output, NULL), NN_ERROR_SIZE);
    KEPT(nn_predict(model, with_x(N_AN)->x, ROWS, (nn_real *)(void *)output, NULL), NN_ERROR_DATA);
    KEPT(nn_predict(model, x, 1, (nn_real *)(void *)output, file + 1), NN_ERROR_BLOCK);
    KEPT(nn_predict_classes(classifier, with_x(N_INF)->x, ROWS, (int *)(void *)output, NULL),
         NN_ERROR_DATA);
    made = model;
    KEPT(nn_model_create_in(&made, output, 16, &shape, 1), NN_ERROR_BLOCK);
    CHECK(!made);
    made = model;
    KEPT(nn_model_create_in(&made, output, OUTPUT, &bad_shape, 1), NN_ERROR_SIZE);
    CHECK(!made);
    made = model;
    KEPT(nn_model_create_in(&made, output, OUTPUT, &bad_image, 1), NN_ERROR_KERNEL);
    CHECK(!made);
}

/* Writing a model, and rounding its weights: too little room, a bad name, a parameter that is not a
   number. */
static void refused_exports(void)
{
    static const nn_export_options keyword = {"int", 0, 0}, unnamed = {NULL, 1, 1};
    nn_real *const parameter = nn_parameters(model), kept = *parameter;
    char *const text = (char *)output;
    size_t size;
    KEPT(nn_save_memory(model, output, 16, &size), NN_ERROR_BLOCK);
    KEPT(nn_save_memory(NULL, output, OUTPUT, &size), NN_ERROR_NULL);
    KEPT(nn_export_c_memory(model, NULL, text, 16, &size), NN_ERROR_BLOCK);
    KEPT(nn_export_c_memory(model, &keyword, text, OUTPUT, &size), NN_ERROR_OPTION);
    KEPT(nn_export_c_memory(model, &unnamed, text, OUTPUT, &size), NN_ERROR_OPTION);
    KEPT(nn_export_onnx_memory(model, output, 16, &size), NN_ERROR_BLOCK);
    KEPT(nn_quantize(NULL), NN_ERROR_NULL);
    *parameter = N_AN;
    before = w;
    KEPT(nn_quantize(model), NN_ERROR_PARAMETER);
    KEPT(nn_save_memory(model, output, OUTPUT, &size), NN_ERROR_PARAMETER);
    KEPT(nn_export_c_memory(model, NULL, text, OUTPUT, &size), NN_ERROR_PARAMETER);
    KEPT(nn_export_onnx_memory(model, output, OUTPUT, &size), NN_ERROR_PARAMETER);
    *parameter = kept;
    before = w;
}

static void refused_data(void)
{
    const nn_data data = good(), *const at = &data;
    nn_data *const parts = (nn_data *)(void *)output;
    const nn_fold fold = {11, 0, 1};
    KEPT(nn_predict_data(model, with_sizes(ROWS, 1, 1, 0), (nn_real *)(void *)output, NULL),
         NN_ERROR_SHAPE);
    KEPT(nn_fit_scaling(model, with_x(N_AN), NN_SCALE_STANDARD), NN_ERROR_DATA);
    KEPT(nn_fit_scaling(model, with_x(REAL_MAX), NN_SCALE_MIN_MAX), NN_ERROR_DATA);
    KEPT(nn_fit_scaling(model, with_sizes(ROWS, 1, 1, 0), NN_SCALE_STANDARD), NN_ERROR_SHAPE);
    KEPT(nn_fit_scaling(model, at, (nn_scaling)9), NN_ERROR_OPTION);
    KEPT(nn_fit_target_scaling(model, with_y(N_INF), NN_SCALE_STANDARD), NN_ERROR_DATA);
    KEPT(nn_fit_target_scaling(model, with_y(REAL_MAX), NN_SCALE_STANDARD), NN_ERROR_DATA);
    KEPT(nn_fit_target_scaling(model, without_targets(), NN_SCALE_STANDARD), NN_ERROR_NULL);
    KEPT(nn_fit_target_scaling(classifier, with_label(0), NN_SCALE_STANDARD), NN_ERROR_OPTION);
    ZEROED(nn_split(at, 1, 1, parts, parts + 1), NN_ERROR_OPTION, 2 * sizeof data);
    ZEROED(nn_split(at, 0.01f, 1, parts, parts + 1), NN_ERROR_SIZE, 2 * sizeof data);
    ZEROED(nn_split(with_label(-1), 0.5f, 1, parts, parts + 1), NN_ERROR_LABEL, 2 * sizeof data);
    ZEROED(nn_split_fold(at, &fold, parts, parts + 1), NN_ERROR_OPTION, 2 * sizeof data);
    ZEROED(nn_split_fold(at, NULL, parts, parts + 1), NN_ERROR_NULL, 2 * sizeof data);
}

/* Data that no function of a room takes which reads targets. */
static void refused_by_all(void)
{
    static const struct {
        int rows, inputs, outputs, classes;
        nn_status status;
    } sizes[] = {{0, INPUTS, 1, 0, NN_ERROR_SIZE},
                 {ROWS, 1, 1, 0, NN_ERROR_SHAPE},
                 {1, INPUTS, 2, 0, NN_ERROR_SHAPE},
                 {ROWS, INPUTS, 1, 3, NN_ERROR_LABEL},
                 {ROWS, INPUTS, 1, 2, NN_ERROR_LABEL}};
    nn_metrics *const metrics = (nn_metrics *)(void *)output;
    int i, bad = COUNT_OF(sizes);
    for (i = 0; i < bad + 10; i++) {
        const nn_data *data =
            i < bad ? with_sizes(sizes[i].rows, sizes[i].inputs, sizes[i].outputs, sizes[i].classes)
            : i == bad     ? with_x(N_AN)
            : i == bad + 1 ? with_y(-N_INF)
            : i == bad + 2 ? without_targets()
            : i == bad + 3 ? with_weight(1, -1)
            : i == bad + 4 ? with_weight(1, N_AN)
            : i == bad + 5 ? with_weight(ROWS, 0)
            : i == bad + 6 ? with_weight(ROWS, N_INF)
            : i == bad + 7 ? with_weight(ROWS, REAL_TINY)
            : i == bad + 8 ? with_weight(ROWS, REAL_MAX / 4)
                           : NULL;
        const nn_status status = i < bad                        ? sizes[i].status
                                 : i < bad + 2                  ? NN_ERROR_DATA
                                 : i == bad + 2 || i >= bad + 9 ? NN_ERROR_NULL
                                                                : NN_ERROR_WEIGHT;
        const int failures = test_bad;
        nn_status expected = status;
        /* The target scaling, which is there in all stages but one, goes with no classes. */
        if (i == bad - 1 && model->target_scaling != NN_SCALE_NONE) expected = NN_ERROR_OPTION;
        KEPT(nn_trainer_fit(trainer, data), expected);
        KEPT(nn_fit(model, data, &w.options), expected);
        ZEROED(nn_accumulate(trainer, data, (nn_real *)(void *)output), expected, sizeof(nn_real));
        ZEROED(nn_evaluate(model, data, NULL, metrics), expected, sizeof *metrics);
        ZEROED(nn_importance(model, data, NULL, 2, (nn_input_importance *)(void *)output), expected,
               INPUTS * sizeof(nn_input_importance));
        ZEROED(nn_cross_validate(&shape, data, &w.options, 2, metrics), status,
               2 * sizeof *metrics);
        if (i != bad - 1) KEPT(nn_confusion_matrix(model, data, (int *)(void *)output), expected);
        if (test_bad > failures) printf("data %d\n", i);
    }
}

static void refused_trainer(stage at)
{
    const nn_data data = good(), *const all = &data;
    nn_real *const one = (nn_real *)(void *)output;
    const nn_real **const outputs = (const nn_real **)(void *)output;
    const nn_real nan[BATCH] = {1, 2, 3, N_AN};
    const nn_shard shard = {BATCH, 0, 0};
    nn_trainer *made = trainer;
    int i;
    for (i = 0; i <= 10; i++) {
        KEPT(nn_fit(model, all, with_option(i)), NN_ERROR_OPTION);
        made = trainer;
        KEPT(nn_trainer_create(&made, model, with_option(i)), NN_ERROR_OPTION);
        CHECK(!made);
        made = trainer;
        KEPT(nn_trainer_create_in(&made, output, OUTPUT, model, with_option(i)), NN_ERROR_OPTION);
        CHECK(!made);
    }
    made = trainer;
    KEPT(nn_trainer_create_in(&made, output, 64, model, &w.options), NN_ERROR_BLOCK);
    CHECK(!made);
    KEPT(nn_fit(model, all, with_loss(NN_CROSS_ENTROPY)), NN_ERROR_LOSS);
    KEPT(nn_fit(model, all, with_history(3, 0)), NN_ERROR_BLOCK);
    KEPT(nn_fit(model, all, with_history(5, 6)), NN_ERROR_SIZE);
    KEPT(nn_fit(model, all, with_validation(with_x(N_AN))), NN_ERROR_DATA);
    KEPT(nn_fit(model, all, with_validation(with_sizes(1, INPUTS, 2, 0))), NN_ERROR_SHAPE);
    KEPT(nn_fit(classifier, with_label(CLASSES), with_loss(NN_CROSS_ENTROPY)), NN_ERROR_OPTION);
    if (at != FRESH) {
        KEPT(nn_fit(model, with_names(), &w.options), NN_ERROR_SHAPE);
        KEPT(nn_trainer_fit(trainer, with_names()), NN_ERROR_SHAPE);
    }
    if (at == FINISHED) KEPT(nn_trainer_fit(trainer, all), NN_ERROR_STATE);
    if (at == STOPPED || at == PENDING) /* within an epoch of so many rows */
        KEPT(nn_trainer_fit(trainer, with_sizes(ROWS - 1, INPUTS, 1, 0)), NN_ERROR_SIZE);

    ZEROED(nn_forward(trainer, x, 0, outputs), NN_ERROR_SIZE, sizeof *outputs);
    ZEROED(nn_forward(trainer, x, BATCH + 1, outputs), NN_ERROR_BATCH, sizeof *outputs);
    ZEROED(nn_forward(trainer, with_x(N_AN)->x + (ROWS - BATCH) * INPUTS, BATCH, outputs),
           NN_ERROR_DATA, sizeof *outputs);
    KEPT(nn_backward(trainer, nan, one), at == PENDING ? NN_ERROR_DATA : NN_ERROR_STATE);
    KEPT(nn_backward(trainer, NULL, one), NN_ERROR_NULL);
    KEPT(nn_set_learning_rate(trainer, 0), NN_ERROR_OPTION);
    KEPT(nn_set_learning_rate(trainer, N_INF), NN_ERROR_OPTION);
    if (at == FRESH) {
        KEPT(nn_update(trainer), NN_ERROR_OPTION);
        ZEROED(nn_train_batch(trainer, x, y, BATCH, one), NN_ERROR_OPTION, sizeof *one);
    } else {
        ZEROED(nn_train_batch(trainer, x, y, BATCH + 1, one), NN_ERROR_BATCH, sizeof *one);
        ZEROED(nn_train_batch(trainer, x, y, 0, one), NN_ERROR_SIZE, sizeof *one);
        ZEROED(nn_train_batch(trainer, x, nan, BATCH, one), NN_ERROR_DATA, sizeof *one);
    }
    ZEROED(nn_accumulate(trainer, all, one), NN_ERROR_BATCH, sizeof *one);
    ZEROED(nn_shard_gradient(trainer, all, &shard, one), NN_ERROR_BATCH, sizeof *one);
    ZEROED(nn_shard_gradient(trainer, with_sizes(-1, INPUTS, 1, 0), &shard, one), NN_ERROR_SIZE,
           sizeof *one);
    ZEROED(nn_shard_gradient(trainer, with_sizes(1, INPUTS, 2, 0), &shard, one), NN_ERROR_SHAPE,
           sizeof *one);
}

/* Scaling that fails only after all other checks: columns that are too large to be scaled. */
static void refused_scaling(stage at)
{
    nn_data data = good();
    if (at == FINISHED) return;
    if (at == FRESH) {
        KEPT(nn_trainer_fit(trainer, with_x(REAL_MAX)), NN_ERROR_DATA);
        KEPT(nn_trainer_fit(trainer, with_y(-REAL_MAX)), NN_ERROR_DATA);
        KEPT(nn_fit(model, with_x(REAL_MAX), &w.options), NN_ERROR_DATA);
        KEPT(nn_fit(model, with_y(REAL_MAX), &w.options), NN_ERROR_DATA);
        data.classes = 2;
        changed = data;
        changed.y = bad_y;
        memset(bad_y, 0, sizeof bad_y);
        KEPT(nn_trainer_fit(trainer, &changed), NN_ERROR_OPTION);
        KEPT(nn_update(trainer), NN_ERROR_OPTION); /* what was refused before still is */
    }
}

static void refused_metrics(void)
{
    const nn_data data = good(), *const all = &data;
    nn_metrics *const metrics = (nn_metrics *)(void *)output;
    nn_input_importance *const importance = (nn_input_importance *)(void *)output;
    const int matrix[4] = {1, 2, 3, 4};
    ZEROED(nn_evaluate(model, all, with_loss(NN_BINARY_CROSS_ENTROPY), metrics), NN_ERROR_LOSS,
           sizeof *metrics);
    ZEROED(nn_evaluate(model, all, with_option(1), metrics), NN_ERROR_OPTION, sizeof *metrics);
    KEPT(nn_confusion_matrix(model, all, (int *)(void *)output), NN_ERROR_LABEL);
    KEPT(nn_confusion_matrix(classifier, with_label(-1), (int *)(void *)output), NN_ERROR_LABEL);
    ZEROED(nn_class_scores(matrix, 1, 0, (nn_scores *)(void *)output), NN_ERROR_SIZE,
           sizeof(nn_scores));
    ZEROED(nn_class_scores(matrix, 2, 2, (nn_scores *)(void *)output), NN_ERROR_LABEL,
           sizeof(nn_scores));
    ZEROED(nn_importance(model, all, NULL, 0, importance), NN_ERROR_OPTION,
           INPUTS * sizeof *importance);
    KEPT(nn_cross_validate(&shape, all, &w.options, 1, metrics), NN_ERROR_OPTION);
    KEPT(nn_cross_validate(&shape, all, &w.options, ROWS + 1, metrics), NN_ERROR_OPTION);
    ZEROED(nn_cross_validate(&shape, all, with_option(3), 2, metrics), NN_ERROR_OPTION,
           2 * sizeof *metrics);
    /* Space for the epochs of the first fold alone: no fold is trained. */
    ZEROED(nn_cross_validate(&shape, all, with_history(2 * EPOCHS - 1, 0), 2, metrics),
           NN_ERROR_BLOCK, 2 * sizeof *metrics);
    CHECK(changed_options.history->count == 0);
}

static void refused_files(stage at)
{
    nn_trainer *other = NULL;
    const nn_options how = good_options();
    size_t i;
    if (at == PENDING)
        KEPT(nn_save_checkpoint_memory(trainer, NULL, 0, (size_t *)(void *)file), NN_ERROR_STATE);
    for (i = 0; i < file_size; i += i < 2000 ? 61 : 17) {
        nn_status status;
        memcpy(damaged, file, file_size);
        damaged[i] ^= 1;
        status = nn_load_checkpoint_memory(trainer, damaged, file_size, NULL);
        if (!CHECK(status != NN_OK && unchanged())) printf("byte %d\n", (int)i);
        w = before;
        status = nn_load_parameters_memory(model, damaged, file_size, NULL, NULL);
        if (!CHECK(status != NN_OK && unchanged())) printf("byte %d\n", (int)i);
        w = before;
    }
    CHECK(nn_trainer_create(&other, foreign, &how) == NN_OK);
    CHECK(nn_save_checkpoint_memory(other, damaged, FILE_SIZE, &i) == NN_OK);
    KEPT(nn_load_checkpoint_memory(trainer, damaged, i, NULL), NN_ERROR_TENSOR);
    nn_trainer_free(other);
}

static void test_refused(void)
{
    int at;
    for (at = 0; at < STAGES; at++) {
        const int failures = test_bad;
        begin((stage)at);
        refused_model();
        refused_exports();
        refused_data();
        refused_by_all();
        refused_trainer((stage)at);
        refused_scaling((stage)at);
        refused_metrics();
        refused_files((stage)at);
        end();
        if (test_bad > failures) printf("stage %d\n", at);
    }
}

/* ---- Allocations that fail ------------------------------------------------------------------- */

/* Calls that succeed when nothing fails. What they make, they free. */
static nn_status call_fit(void)
{
    const nn_data data = good();
    return nn_fit(model, &data, &w.options);
}

static nn_status call_fit_of_all_classes(void)
{
    nn_data data = classes();
    nn_options how = make_options(NN_CROSS_ENTROPY, NN_SGD, 0);
    static const char *const names[CLASSES] = {"a", "b, c", ""};
    how.epochs = 1;
    how.balance_classes = 1;
    data.class_names = names;
    data.recipe = "any text";
    return nn_fit(classifier, &data, &how);
}

static nn_status call_trainer_fit(void)
{
    nn_data data = good();
    data.recipe = "any text";
    return nn_trainer_fit(trainer, &data);
}

static nn_status call_trainer_create(void)
{
    nn_trainer *made = trainer;
    const nn_status status = nn_trainer_create(&made, model, &w.options);
    CHECK((status == NN_OK) == (made != NULL));
    nn_trainer_free(made);
    return status;
}

static nn_status call_create(void)
{
    nn_model *made = model;
    const nn_status status = nn_model_create(&made, shape.inputs, shape.layers, shape.count, 1);
    CHECK((status == NN_OK) == (made != NULL));
    nn_model_free(made);
    return status;
}

static nn_status call_copy(void)
{
    nn_model *made = model;
    const nn_status status = nn_model_copy(&made, model);
    CHECK((status == NN_OK) == (made != NULL));
    nn_model_free(made);
    return status;
}

static nn_status call_set_metadata(void)
{
    return nn_set_metadata(model, "author", "somebody");
}

static nn_status call_split(void)
{
    const nn_data data = good();
    nn_data parts[2];
    nn_status status;
    memset(parts, 0xa5, sizeof parts);
    status = nn_split(&data, 0.5f, 1, &parts[0], &parts[1]);
    CHECK(status == NN_OK || all_zero(parts, sizeof parts));
    nn_data_free(&parts[0]);
    nn_data_free(&parts[1]);
    return status;
}

static nn_status call_evaluate(void)
{
    const nn_data data = good();
    nn_metrics metrics;
    const nn_status status = nn_evaluate(model, &data, NULL, &metrics);
    CHECK(status == NN_OK || all_zero(&metrics, sizeof metrics));
    return status;
}

static nn_status call_importance(void)
{
    const nn_data data = good();
    nn_input_importance results[INPUTS];
    const nn_status status = nn_importance(model, &data, NULL, 2, results);
    CHECK(status == NN_OK || all_zero(results, sizeof results));
    return status;
}

static nn_status call_cross_validate(void)
{
    const nn_data data = good();
    nn_metrics results[3];
    const nn_status status = nn_cross_validate(&shape, &data, &w.options, 3, results);
    CHECK(status == NN_OK || all_zero(results, sizeof results));
    return status;
}

static nn_status call_load_checkpoint(void)
{
    return nn_load_checkpoint_memory(trainer, file, file_size, NULL);
}

static nn_status call_load_parameters(void)
{
    return nn_load_parameters_memory(model, file, file_size, NULL, NULL);
}

/* The history has space for 12 epochs: three folds. What nn_cross_validate has recorded of the
   folds before the one that failed is taken back, but for the unused entries behind. */
static const struct {
    const char *name;
    nn_status (*call)(void);
    int fewest; /* allocations that the call makes at least */
} calls[] = {{"nn_fit", call_fit, 1},
             {"nn_fit with classes", call_fit_of_all_classes, 4},
             {"nn_trainer_fit", call_trainer_fit, 1},
             {"nn_trainer_create", call_trainer_create, 1},
             {"nn_model_create", call_create, 1},
             {"nn_model_copy", call_copy, 2},
             {"nn_set_metadata", call_set_metadata, 1},
             {"nn_split", call_split, 3},
             {"nn_evaluate", call_evaluate, 1},
             {"nn_importance", call_importance, 1},
             {"nn_cross_validate", call_cross_validate, 15},
             {"nn_load_checkpoint_memory", call_load_checkpoint, 1},
             {"nn_load_parameters_memory", call_load_parameters, 1}};

static void test_allocations(void)
{
    int i, at;
    for (at = FRESH; at < FINISHED; at++) {
        for (i = 0; i < COUNT_OF(calls); i++) {
            const int failures = test_bad;
            nn_status status = NN_ERROR_MEMORY;
            bytes other, after;
            int k;
            begin((stage)at);
            stop_at = -1;
            w.history.count = before.history.count = 0;
            other = save_model(classifier);
            for (k = 0; status == NN_ERROR_MEMORY && k < 1000; k++) {
                const long blocks = live_blocks;
                allocations_left = k;
                status = calls[i].call();
                allocations_left = -1;
                if (status == NN_OK) break;
                CHECK(status == NN_ERROR_MEMORY && live_blocks == blocks);
                after = save_model(classifier);
                CHECK(same_bytes(after, other));
                free(after.at);
                memcpy(w.epochs, before.epochs, sizeof w.epochs);
                if (!CHECK(unchanged())) printf("allocation %d\n", k);
            }
            CHECK(status == NN_OK && k >= calls[i].fewest);
            free(other.at);
            end();
            if (test_bad > failures) printf("stage %d: %s, %d times\n", at, calls[i].name, k);
        }
    }
}

int main(void)
{
    for (images = 0; images < 2; images++) {
        RUN(test_refused);
        RUN(test_allocations);
    }
    return test_done();
}
