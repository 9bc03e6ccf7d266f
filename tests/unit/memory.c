/* The caller's own memory, of which exactly as much must do as is asked for, and steps of training
   that take none. Every allocation made to fail: faults.c. */
#include "../fixtures.h"

enum { GUARD = 128 };

/* A block of exactly size bytes, so many beyond a multiple of 64, between guards. */
typedef struct block {
    unsigned char *base, *at;
    size_t size;
} block;

static block make_block(size_t size, size_t beyond)
{
    block b;
    b.base = (unsigned char *)malloc(size + 3 * GUARD);
    if (!b.base) exit(2);
    b.at = b.base + GUARD;
    while ((uintptr_t)b.at % 64 != beyond) b.at++;
    b.size = size;
    memset(b.base, 0x5a, size + 3 * GUARD);
    return b;
}

static int guards_are_whole(const block *b)
{
    const unsigned char *at;
    for (at = b->base; at < b->base + b->size + 3 * GUARD; at++)
        if ((at < b->at || at >= b->at + b->size) && *at != 0x5a) return 0;
    return 1;
}

static void free_block(block *b)
{
    CHECK(guards_are_whole(b));
    free(b->base);
}

static void check_model_in(const nn_shape *of, size_t beyond)
{
    size_t size = nn_model_size(of), count;
    nn_model *model = NULL, *heap = NULL;
    nn_real x[4 * 70], y[2][3 * 70];
    block b = make_block(size, beyond);
    long before, live;
    int i;
    for (i = 0; i < 4 * 70; i++) x[i] = (nn_real)(i % 9) - 4;
    CHECK(size > 0 && nn_model_create(&heap, of->inputs, of->layers, of->count, 3) == NN_OK);
    before = allocations;
    live = live_blocks;
    model = (nn_model *)(void *)&b;
    CHECK(nn_model_create_in(&model, b.at, size - 1, of, 3) == NN_ERROR_BLOCK && !model);
    CHECK(nn_model_create_in(&model, b.at, 0, of, 3) == NN_ERROR_BLOCK && !model);
    memset(b.at, 0xff, size);
    if (CHECK(nn_model_create_in(&model, b.at, size, of, 3) == NN_OK && model)) {
        CHECK(guards_are_whole(&b));
        count = nn_parameter_count(model);
        CHECK(count == nn_parameter_count(heap));
        CHECK(!memcmp(nn_parameters(model), nn_parameters(heap), count * sizeof(nn_real)));
        memset(y, 0, sizeof y);
        for (i = 1; i <= 70; i += 23) {
            CHECK(nn_predict(model, x, i, y[0], NULL) == NN_OK);
            CHECK(nn_predict(heap, x, i, y[1], NULL) == NN_OK);
            CHECK(!memcmp(y[0], y[1], sizeof y[0]));
        }
        nn_model_free(model); /* leaves it alone */
        CHECK(nn_parameter_count(model) == count);
    }
    CHECK(allocations == before && live_blocks == live);
    free_block(&b);
    nn_model_free(heap);
}

static void test_model_in(void)
{
    static const nn_layer one[] = {NN_DENSE(1, NN_LINEAR)};
    static const nn_layer deep[] = {NN_DENSE(3, NN_RELU), NN_DENSE(7, NN_TANH),
                                    NN_DENSE(1, NN_SIGMOID), NN_DENSE(17, NN_LEAKY_RELU),
                                    NN_DENSE(3, NN_SOFTMAX)};
    static const nn_shape shapes[] = {
        {1, one, 1}, {4, one, 1}, {2, example_layers, 2}, {4, deep, 5}, {3, deep, 3}};
    size_t i, beyond;
    for (beyond = 0; beyond < 64; beyond++)
        for (i = 0; i < sizeof shapes / sizeof *shapes; i++) check_model_in(shapes + i, beyond);
}

/* Trains by every level; what it ends in is compared with a trainer on the heap. */
static void train(nn_trainer *trainer, const nn_data *data)
{
    nn_real dx[8 * EXAMPLE_INPUTS], dy[8];
    const nn_real *y = NULL;
    nn_data batch = *data;
    nn_real loss = 0;
    int rows;
    CHECK(nn_trainer_fit(trainer, data) == NN_OK);
    for (rows = 1; rows <= 8; rows++) {
        CHECK(nn_train_batch(trainer, data->x, data->y, rows, &loss) == NN_OK);
        batch.rows = rows;
        CHECK(nn_accumulate(trainer, &batch, &loss) == NN_OK);
        CHECK(nn_forward(trainer, data->x, rows, &y) == NN_OK);
        if (y) memcpy(dy, y, (size_t)rows * sizeof *dy);
        CHECK(nn_backward(trainer, dy, dx) == NN_OK);
        CHECK(nn_update(trainer) == NN_OK);
    }
}

static void check_trainer_in(const nn_options *how, size_t beyond)
{
    nn_model *model = example_model(1), *heap_model = example_model(1);
    nn_trainer *trainer = NULL, *heap = NULL;
    nn_data data = example_data();
    size_t size = nn_trainer_size(model, how);
    block b = make_block(size, beyond);
    long before;
    CHECK(size > 0 && nn_trainer_create(&heap, heap_model, how) == NN_OK);
    data.class_names = NULL; /* names would be kept on the heap */
    train(heap, &data);
    before = allocations;
    trainer = (nn_trainer *)(void *)&b;
    CHECK(nn_trainer_create_in(&trainer, b.at, size - 1, model, how) == NN_ERROR_BLOCK && !trainer);
    CHECK(nn_trainer_create_in(&trainer, b.at, 0, model, how) == NN_ERROR_BLOCK && !trainer);
    memset(b.at, 0xff, size);
    if (CHECK(nn_trainer_create_in(&trainer, b.at, size, model, how) == NN_OK && trainer)) {
        CHECK(guards_are_whole(&b));
        train(trainer, &data);
        CHECK(guards_are_whole(&b));
        CHECK(!memcmp(nn_parameters(model), nn_parameters(heap_model),
                      nn_parameter_count(model) * sizeof(nn_real)));
        nn_trainer_free(trainer);
    }
    CHECK(allocations == before);
    free_block(&b);
    nn_trainer_free(heap);
    nn_model_free(model);
    nn_model_free(heap_model);
}

static void test_trainer_in(void)
{
    int variant;
    for (variant = 0; variant < 32; variant++) {
        nn_options how;
        how = make_options(NN_BINARY_CROSS_ENTROPY, NN_SGD, 0);
        how.epochs = 2;
        how.batch_size = variant & 16 ? 9 : 24;
        if (variant & 1)
            how.optimizer = NN_ADAM;
        else
            how.momentum = (nn_real)(variant & 8 ? 0.5 : 0);
        if (variant & 2) how.dropout = example_dropout;
        if (variant & 4) how.patience = 1;
        if (variant & 8) how.validation_fraction = 0.25f;
        if (variant & 8) how.scaling = NN_SCALE_MIN_MAX;
        check_trainer_in(&how, (size_t)variant * 2 + (variant & 1));
    }
}

/* nn_scratch_size is exact, grows with the rows up to its end, and is aligned like the rest. */
static void test_scratch(void)
{
    static const int rows[] = {1, 2, 3, 7, 8, 31, 32, 33, 64, 65, 100, 129, 500};
    enum { MOST = 500 };
    static nn_real x[MOST * EXAMPLE_INPUTS], y[3][MOST];
    nn_model *model = example_model(2);
    nn_data data = example_data();
    size_t i, last = 0;
    for (i = 0; i < MOST * EXAMPLE_INPUTS; i++) x[i] = (nn_real)(i % 11) - 5;
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = nn_scratch_size(model, rows[i]);
        block b = make_block(size, 16);
        long before = allocations;
        CHECK(size > 0 && size >= last);
        last = size;
        memset(y, 0xff, sizeof y);
        memset(b.at, 0xff, size);
        CHECK(nn_predict(model, x, rows[i], y[0], b.at) == NN_OK);
        CHECK(nn_predict(model, x, rows[i], y[1], NULL) == NN_OK);
        CHECK(!memcmp(y[0], y[1], sizeof y[0]));
        CHECK(nn_predict(model, x, rows[i], y[2], b.at + 1) == NN_ERROR_BLOCK);
        CHECK(nn_predict(model, x, rows[i], y[2], b.at + 2) == NN_ERROR_BLOCK);
        CHECK(y[2][0] != y[2][0]); /* still the NaN it was */
        CHECK(allocations == before);
        free_block(&b);
    }
    nn_model_free(model);
}

/* ---- No allocation in a step ----------------------------------------------------------------- */

static int count_allocations(const nn_progress *progress, void *user)
{
    long *before = (long *)user;
    if (*before < 0) *before = allocations;
    CHECK(allocations == *before && progress->epoch > 0);
    return 0;
}

static void test_no_allocation(void)
{
    nn_model *model = example_model(1);
    nn_options how = example_options();
    nn_data data = example_data();
    nn_trainer *trainer = NULL;
    static unsigned char file[16384];
    nn_real y[EXAMPLE_ROWS];
    size_t size = 0;
    long before = -1;
    data.class_names = NULL; /* names would be kept on the heap, and be read there */
    how.callback = count_allocations;
    how.callback_batches = 1;
    how.user = &before;
    CHECK(nn_fit(model, &data, &how) == NN_OK && before > 0);
    how.callback = NULL;
    how.callback_batches = 0;
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_OK);
    before = allocations;
    train(trainer, &data);
    CHECK(nn_predict(model, data.x, EXAMPLE_ROWS, y, NULL) == NN_OK);
    CHECK(nn_set_learning_rate(trainer, 0.5f) == NN_OK);
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_MIN_MAX) == NN_OK);
    CHECK(nn_initialize(model, NN_INITIALIZE_DEFAULT, 4) == NN_OK);
    CHECK(nn_save_memory(model, file, sizeof file, &size) == NN_OK);
    CHECK(nn_save_checkpoint_memory(trainer, file, sizeof file, &size) == NN_OK);
    CHECK(allocations == before);
    CHECK(nn_load_checkpoint_memory(trainer, file, size, NULL) == NN_OK);
    CHECK(allocations == before + 2); /* the table of the header's tensors, and their order */
    nn_trainer_free(trainer);
    nn_model_free(model);
}

int main(void)
{
    RUN(test_model_in);
    RUN(test_trainer_in);
    RUN(test_scratch);
    RUN(test_no_allocation);
    return test_done();
}
