/* nn_shard_gradient: the gradients of the parts of a batch, and what becomes of their sums. */
#include "refused.h"

enum { ROWS = 16, INPUTS = 16, OUTPUTS = 3, MOST = 1024, MOST_FILE = 65536 };

/* Shard s has the rows bounds[s] ... bounds[s + 1] - 1; the fifth has none. */
static const int bounds[] = {0, 1, 6, 8, 13, 13, 16};
enum { SHARDS = 6 };

static const nn_layer dense[] = {NN_DENSE(9, NN_TANH), NN_DENSE(7, NN_GELU),
                                 NN_DENSE(OUTPUTS, NN_SOFTMAX)};
static const nn_layer image[] = {NN_IMAGE(4, 4, 1), NN_CONV2D(3, 3, 1, NN_PADDING_SAME, NN_RELU),
                                 NN_MAX_POOL2D(2, 2), NN_DENSE(OUTPUTS, NN_SOFTMAX)};
static const nn_layer line[] = {NN_DENSE(5, NN_SILU), NN_DENSE(OUTPUTS, NN_LINEAR)};
static const nn_shape shapes[] = {{INPUTS, dense, 3}, {INPUTS, image, 4}, {INPUTS, line, 2}};
static const nn_real dropouts[3][4] = {{0.25f, 0.5f, 0}, {0, 0.25f, 0.5f, 0}, {0.5f, 0}};

static nn_real x[ROWS * INPUTS], y[ROWS * OUTPUTS], weight[ROWS];
static int labels[ROWS];

/* A net and how it is trained: for the third shape a regression. */
static nn_model *model;
static nn_trainer *trainer;
static nn_options how;
static nn_data all;

static void make_rows(void)
{
    int i;

    random_state = 5;
    for (i = 0; i < ROWS * INPUTS; i++) x[i] = (nn_real)uniform(-1, 1);
    for (i = 0; i < ROWS * OUTPUTS; i++) y[i] = (nn_real)uniform(-2, 2);
    for (i = 0; i < ROWS; i++) {
        labels[i] = random_below(OUTPUTS);
        weight[i] = (nn_real)(1 + random_below(4)) / 4;
    }
}

/* Fills `how` and `all`; makes no objects. */
static void choose(int shape, int weighted, int micro)
{
    how = make_options(shape == 2 ? NN_MSE : NN_CROSS_ENTROPY, NN_ADAM, 0.01);
    how.batch_size = ROWS;
    how.micro_batch_size = micro;
    how.seed = 7;
    all = make_data(x, shape == 2 ? y : NULL, ROWS, INPUTS, OUTPUTS);
    if (shape != 2) {
        all.labels = labels;
        all.classes = OUTPUTS;
    }
    all.weight = weighted ? weight : NULL;
}

static void open_shape(int shape)
{
    model = make_model(INPUTS, shapes[shape].layers, shapes[shape].count, 3);
    trainer = make_trainer(model, &how);
    CHECK(nn_parameter_count(model) <= MOST);
}

static void close_shape(void)
{
    nn_trainer_free(trainer);
    nn_model_free(model);
}

static nn_real weight_of(const nn_data *data)
{
    nn_real sum = 0;
    int i;

    for (i = 0; i < data->rows; i++) sum += data->weight ? data->weight[i] : 1;
    return sum;
}

/* Rows from ... to - 1 of `all`. */
static nn_data rows_of(int from, int to)
{
    nn_data part = all;

    part.rows = to - from;
    part.x += from * INPUTS;
    if (part.y) part.y += from * OUTPUTS;
    if (part.labels) part.labels += from;
    if (part.weight) part.weight += from;
    return part;
}

/* The gradients of rows from ... to - 1 as a shard of all rows. */
static nn_real *shard_of(nn_trainer *of, int from, int to, nn_real *loss)
{
    const nn_data part = rows_of(from, to);
    nn_shard shard;

    memset(&shard, 0, sizeof shard);
    shard.batch_rows = ROWS;
    shard.first = from;
    if (all.weight) shard.batch_weight = weight_of(&all);
    CHECK(nn_shard_gradient(of, &part, &shard, loss) == NN_OK);
    return nn_gradients(of);
}

static int same(const nn_real *a, const nn_real *b)
{
    return !memcmp(a, b, nn_parameter_count(model) * sizeof *a);
}

/* Adds, in a binary tree by hand, shards first ... first + count - 1 of equal size, which divides
   the rows. The trainer's model must have the parameters. */
static void add_tree(nn_trainer *of, int first, int count, int size, nn_real *sum)
{
    nn_real right[MOST];
    size_t i;

    if (count == 1) {
        memcpy(sum, shard_of(of, first * size, (first + 1) * size, NULL),
               nn_parameter_count(model) * sizeof *sum);
        return;
    }
    add_tree(of, first, count / 2, size, sum);
    add_tree(of, first + count / 2, count / 2, size, right);
    for (i = 0; i < nn_parameter_count(model); i++) sum[i] += right[i];
}

/* ---- Gradients ------------------------------------------------------------------------------- */

/* One shard that is the whole batch has the gradients and the loss of nn_accumulate, whatever the
   gradients were before. */
static void test_whole(void)
{
    nn_real want[MOST], loss, other;
    int shape, weighted, micro;

    for (shape = 0; shape < COUNT_OF(shapes); shape++) {
        for (weighted = 0; weighted < 2; weighted++) {
            for (micro = 0; micro < ROWS; micro += 5) {
                choose(shape, weighted, micro);
                open_shape(shape);
                CHECK(nn_accumulate(trainer, &all, &other) == NN_OK && other > 0);
                memcpy(want, nn_gradients(trainer), nn_parameter_count(model) * sizeof *want);
                CHECK(want[0] != 0);
                CHECK(same(want, shard_of(trainer, 0, ROWS, &loss)) && loss == other);
                CHECK(same(want, shard_of(trainer, 0, ROWS, NULL)));
                close_shape();
            }
        }
    }
}

/* The sum of uneven shards, one of them empty, is the gradient of the batch, but for the rounding
   errors: there are at most ROWS + 1 of them in each sum, each of at most epsilon / 2 times the sum
   of all |t|, if t are its terms. The gradients of single rows give |t|. The t of a convolution have
   as many terms of their own as the image has pixels, which may cancel each other: there each
   parameter gets the largest sum of |t|, times the pixels. */
static void check_sum(int shape)
{
    const double epsilon = sizeof(nn_real) == 4 ? 1.2e-7 : 2.3e-16;
    nn_real want[MOST], loss, part, losses = 0;
    double sum[MOST], size[MOST], most = 0;
    const nn_real *g;
    size_t i, count;
    int s;

    open_shape(shape);
    count = nn_parameter_count(model);
    memset(sum, 0, sizeof sum);
    memset(size, 0, sizeof size);
    memcpy(want, shard_of(trainer, 0, ROWS, &loss), count * sizeof *want);
    for (s = 0; s < SHARDS; s++) {
        g = shard_of(trainer, bounds[s], bounds[s + 1], &part);
        losses += part;
        for (i = 0; i < count; i++) sum[i] += (double)g[i];
    }
    CHECK_NEAR(losses, loss, SHARDS * epsilon, 0);
    for (s = 0; s < ROWS; s++) {
        g = shard_of(trainer, s, s + 1, NULL);
        for (i = 0; i < count; i++) {
            size[i] += fabs((double)g[i]);
            if (size[i] > most) most = size[i];
        }
    }
    for (i = 0; i < count; i++) {
        const double bound = (ROWS + 1) * epsilon * (shape == 1 ? 16 * most : size[i]);
        if (fabs(sum[i] - (double)want[i]) > bound) break;
    }
    CHECK(i == count && most > 0);
    close_shape();
}

static void test_parts(void)
{
    int shape, weighted, micro;

    for (shape = 0; shape < COUNT_OF(shapes); shape++) {
        for (weighted = 0; weighted < 2; weighted++) {
            for (micro = 0; micro < 4; micro += 3) {
                choose(shape, weighted, micro);
                check_sum(shape);
                if (weighted) continue;
                how.dropout = dropouts[shape];
                check_sum(shape);
            }
        }
    }
}

/* Where all counts are powers of two, a shard's gradient is that of its own mean, times its share
   of the rows, without rounding: the tree has the bits of one made from nn_accumulate. */
static void test_by_hand(void)
{
    nn_real sum[MOST], parts[4][MOST];
    int shape, s;
    size_t i;

    for (shape = 0; shape < COUNT_OF(shapes); shape++) {
        choose(shape, 0, 0);
        open_shape(shape);
        for (s = 0; s < 4; s++) {
            const nn_data part = rows_of(4 * s, 4 * s + 4);
            CHECK(nn_clear_gradients(trainer) == NN_OK);
            CHECK(nn_accumulate(trainer, &part, NULL) == NN_OK);
            for (i = 0; i < nn_parameter_count(model); i++)
                parts[s][i] = nn_gradients(trainer)[i] / 4;
        }
        add_tree(trainer, 0, 4, 4, sum);
        for (i = 0; i < nn_parameter_count(model); i++)
            if (sum[i] != (parts[0][i] + parts[1][i]) + (parts[2][i] + parts[3][i])) break;
        CHECK(i == nn_parameter_count(model) && sum[0] != 0);
        close_shape();
    }
}

/* Rows of weight 0 add nothing, in a shard of their own or beside others. */
static void test_weights(void)
{
    nn_real want[MOST], loss, part;
    size_t i;
    int k;

    choose(0, 1, 3);
    for (k = 2; k < 9; k++) weight[k] = 0;
    weight[15] = 0;
    open_shape(0);
    memcpy(want, shard_of(trainer, 0, ROWS, &loss), nn_parameter_count(model) * sizeof *want);
    CHECK(same(want, shard_of(trainer, 0, 15, &part)) && part == loss);
    for (k = 2; k < 9; k++) { /* rows k ... 8 */
        const nn_real *g = shard_of(trainer, k, 9, &part);
        CHECK(all_zero(g, nn_parameter_count(model) * sizeof *g) && part == 0);
    }
    (void)shard_of(trainer, 0, 9, &part);
    CHECK(part > 0);
    for (i = 0; i < nn_parameter_count(model); i++) want[i] = nn_gradients(trainer)[i];
    CHECK(same(want, shard_of(trainer, 0, 2, &loss)) && part == loss);
    close_shape();
    make_rows();
}

/* ---- Dropout --------------------------------------------------------------------------------- */

/* The seed of update number `step`, counted from 0. */
static uint64_t seed_of(uint64_t seed, int step)
{
    return seed + UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)step;
}

/* A row has the masks of nn_accumulate in a new trainer of the documented seed, whatever the shard
   and the micro-batches, and other ones in the next update. */
static void test_masks(void)
{
    nn_real want[MOST], before[MOST];
    nn_options fresh;
    nn_trainer *other;
    int shape, step, micro;

    memset(before, 0, sizeof before);
    for (shape = 0; shape < COUNT_OF(shapes); shape++) {
        for (micro = 0; micro < ROWS; micro += 3) {
            choose(shape, 0, micro);
            how.dropout = dropouts[shape];
            open_shape(shape);
            for (step = 0; step < 3; step++) {
                fresh = how;
                fresh.seed = seed_of(how.seed, step);
                fresh.micro_batch_size = 0;
                other = make_trainer(model, &fresh);
                CHECK(nn_accumulate(other, &all, NULL) == NN_OK);
                memcpy(want, nn_gradients(other), nn_parameter_count(model) * sizeof *want);
                CHECK(same(want, shard_of(trainer, 0, ROWS, NULL)));
                CHECK(!same(want, before));
                memcpy(before, want, sizeof before);
                CHECK(nn_update(trainer) == NN_OK);
                nn_trainer_free(other);
            }
            close_shape();
        }
    }
}

/* Only the gradients change, nothing else of the trainer. */
static void test_state(void)
{
    static unsigned char first[MOST_FILE], then[MOST_FILE];
    size_t size, again;
    const nn_real *p;
    nn_real dy[OUTPUTS] = {1, 1, 1}, want[4 * OUTPUTS];
    nn_trainer *other;

    choose(0, 0, 4);
    how.dropout = dropouts[0];
    open_shape(0);
    CHECK(nn_save_checkpoint_memory(trainer, first, sizeof first, &size) == NN_OK);
    (void)shard_of(trainer, 3, 11, NULL);
    CHECK(nn_save_checkpoint_memory(trainer, then, sizeof then, &again) == NN_ERROR_STATE);
    CHECK(nn_clear_gradients(trainer) == NN_OK);
    CHECK(nn_save_checkpoint_memory(trainer, then, sizeof then, &again) == NN_OK);
    CHECK(size == again && !memcmp(first, then, size));
    /* Later dropout draws as if there had been no shard. */
    other = make_trainer(model, &how);
    CHECK(nn_forward(other, x, 4, &p) == NN_OK);
    memcpy(want, p, sizeof want);
    CHECK(nn_forward(trainer, x, 4, &p) == NN_OK && !memcmp(want, p, sizeof want));
    nn_trainer_free(other);
    /* An nn_forward that was made before has lost its outputs. */
    CHECK(nn_forward(trainer, x, 1, &p) == NN_OK);
    (void)shard_of(trainer, 3, 3, NULL);
    CHECK(nn_backward(trainer, dy, NULL) == NN_ERROR_STATE);
    close_shape();
}

/* ---- Processes ------------------------------------------------------------------------------- */

/* Trains as `processes` processes would, each with its model and its trainer, and 8 shards: each
   adds its own part of the tree, and the upper levels are made here. */
static void train_in(int processes, int shape, int steps, nn_real *parameters)
{
    enum { LEAVES = 8 };
    nn_model *models[LEAVES];
    nn_trainer *trainers[LEAVES];
    static nn_real sums[LEAVES][MOST];
    const int own = LEAVES / processes;
    size_t i, count;
    int r, step, distance;

    for (r = 0; r < processes; r++) {
        models[r] = make_model(INPUTS, shapes[shape].layers, shapes[shape].count, 3);
        trainers[r] = make_trainer(models[r], &how);
    }
    count = nn_parameter_count(models[0]);
    for (step = 0; step < steps; step++) {
        for (r = 0; r < processes; r++) {
            model = models[r];
            add_tree(trainers[r], r * own, own, ROWS / LEAVES, sums[r]);
        }
        for (distance = 1; distance < processes; distance *= 2)
            for (r = 0; r < processes; r += 2 * distance)
                for (i = 0; i < count; i++) sums[r][i] += sums[r + distance][i];
        for (r = 0; r < processes; r++) {
            memcpy(nn_gradients(trainers[r]), sums[0], count * sizeof(nn_real));
            CHECK(nn_update(trainers[r]) == NN_OK);
        }
    }
    memcpy(parameters, nn_parameters(models[0]), count * sizeof(nn_real));
    for (r = 0; r < processes; r++) {
        CHECK(!memcmp(parameters, nn_parameters(models[r]), count * sizeof(nn_real)));
        nn_trainer_free(trainers[r]);
        nn_model_free(models[r]);
    }
}

/* Any number of processes gives the same weights, with all that an update has. */
static void test_processes(void)
{
    nn_real start[MOST] = {0}, one[MOST] = {0}, many[MOST] = {0};
    int shape, processes;

    for (shape = 0; shape < COUNT_OF(shapes); shape++) {
        choose(shape, 1, 0);
        how.dropout = dropouts[shape];
        how.weight_decay = 0.01f;
        how.clip_norm = 0.5f;
        how.schedule = NN_SCHEDULE_COSINE;
        how.schedule_steps = 10;
        how.warmup_steps = 2;
        train_in(1, shape, 0, start);
        train_in(1, shape, 10, one);
        CHECK(start[0] != 0 && memcmp(start, one, sizeof one) != 0);
        for (processes = 2; processes <= 8; processes *= 2) {
            train_in(processes, shape, 10, many);
            CHECK(!memcmp(one, many, sizeof one));
        }
    }
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static nn_status call(const nn_data *rows, int of, int first, double of_weight, nn_real *loss)
{
    nn_shard shard;

    shard.batch_rows = of;
    shard.first = first;
    shard.batch_weight = (nn_real)of_weight;
    *loss = 5;
    return nn_shard_gradient(good_trainer, rows, &shard, loss);
}

#define BAD_SHARD(rows, of, first, weight, expected)                                               \
    do {                                                                                           \
        REFUSED(call(rows, of, first, weight, &loss), expected);                                   \
        CHECK(loss == 0);                                                                          \
    } while (0)

static void test_refused(void)
{
    nn_real own_x[GOOD_BATCH * GOOD_INPUTS], own_weight[GOOD_BATCH] = {1, 1, 1, 1}, loss = 5;
    nn_data data = good_data();
    nn_shard shard = {GOOD_BATCH, 0, 0};

    if (!begin()) return;
    data.rows = 2;
    REFUSED(nn_shard_gradient(NULL, &data, &shard, &loss), NN_ERROR_NULL);
    CHECK(loss == 0);
    REFUSED(nn_shard_gradient(good_trainer, NULL, &shard, NULL), NN_ERROR_NULL);
    REFUSED(nn_shard_gradient(good_trainer, &data, NULL, NULL), NN_ERROR_NULL);
    BAD_SHARD(&data, 0, 0, 0, NN_ERROR_SIZE);
    BAD_SHARD(&data, -1, 0, 0, NN_ERROR_SIZE);
    BAD_SHARD(&data, GOOD_BATCH, -1, 0, NN_ERROR_SIZE);
    BAD_SHARD(&data, GOOD_BATCH + 1, 0, 0, NN_ERROR_BATCH);
    BAD_SHARD(&data, GOOD_BATCH, 3, 0, NN_ERROR_BATCH);
    BAD_SHARD(&data, 1, 0, 0, NN_ERROR_BATCH);
    BAD_SHARD(&data, GOOD_BATCH, INT_MAX, 0, NN_ERROR_BATCH);
    BAD_SHARD(&data, GOOD_BATCH, 0, -1, NN_ERROR_WEIGHT);
    BAD_SHARD(&data, GOOD_BATCH, 0, NAN, NN_ERROR_WEIGHT);
    BAD_SHARD(&data, GOOD_BATCH, 0, INFINITY, NN_ERROR_WEIGHT);
    data.rows = 0;
    BAD_SHARD(&data, GOOD_BATCH, GOOD_BATCH + 1, 0, NN_ERROR_BATCH);
    data.rows = -1;
    BAD_SHARD(&data, GOOD_BATCH, 0, 0, NN_ERROR_SIZE);
    data.rows = GOOD_BATCH;
    data.weight = own_weight;
    BAD_SHARD(&data, GOOD_BATCH, 0, 0, NN_ERROR_WEIGHT);
    own_weight[1] = -1; /* the sum of the last two is 0, the rows are not empty */
    own_weight[2] = own_weight[3] = 0;
    BAD_SHARD(&data, GOOD_BATCH, 0, 1, NN_ERROR_WEIGHT);
    own_weight[1] = R_NAN;
    BAD_SHARD(&data, GOOD_BATCH, 0, 1, NN_ERROR_WEIGHT);
    data.weight = NULL;
    memcpy(own_x, good_x, sizeof own_x);
    own_x[3] = R_INF;
    data.x = own_x;
    BAD_SHARD(&data, GOOD_BATCH, 0, 0, NN_ERROR_DATA);
    data.x = good_x;
    data.inputs = 1;
    BAD_SHARD(&data, GOOD_BATCH, 0, 0, NN_ERROR_SHAPE);
    end();
}

/* What overflows leaves no gradients, also where earlier micro-batches did not. */
static void test_diverges(void)
{
    nn_real wide[ROWS * INPUTS], loss;
    nn_shard shard = {ROWS, 0, 0};
    size_t size;
    int micro;

    for (micro = 0; micro < 4; micro += 3) {
        choose(2, 0, micro);
        open_shape(2);
        (void)shard_of(trainer, 0, ROWS, NULL);
        CHECK(nn_gradients(trainer)[0] != 0);
        memcpy(wide, x, sizeof wide);
        wide[9 * INPUTS] = sizeof(nn_real) == 4 ? (nn_real)3e38 : (nn_real)1e308;
        all.x = wide;
        loss = 5;
        CHECK(nn_shard_gradient(trainer, &all, &shard, &loss) == NN_ERROR_DIVERGED && loss == 0);
        CHECK(all_zero(nn_gradients(trainer), nn_parameter_count(model) * sizeof(nn_real)));
        CHECK(nn_save_checkpoint_memory(trainer, NULL, 0, &size) == NN_OK); /* nothing is pending */
        close_shape();
    }
}

int main(void)
{
    make_rows();
    RUN(test_whole);
    RUN(test_parts);
    RUN(test_by_hand);
    RUN(test_weights);
    RUN(test_masks);
    RUN(test_state);
    RUN(test_processes);
    RUN(test_refused);
    RUN(test_diverges);
    return test_done();
}
