/* Checkpoints: nn_load_checkpoint, and training that goes on from what it restored.

   An input begins with a line: the optimizer, + 3 with momentum, + 6 for the model with an image;
   patience; the rows of a batch; the schedule; how far blocks are from an aligned address, + 4 for
   a file instead of memory; 1 to give the tensors new places; the allocation that fails; epochs;
   rows of data. Then comes the text of a checkpoint of one of the models below: see models.h. */
#include "models.h"

enum { INPUTS = 2, ROWS = 9, OUTPUTS = 1 };

static const nn_layer layers[] = {NN_DENSE(3, NN_TANH), NN_DENSE(OUTPUTS, NN_LINEAR)};
static const nn_layer image_layers[] = {NN_IMAGE(1, INPUTS, 1),
                                        NN_CONV1D(2, 2, 1, NN_PADDING_SAME, NN_TANH),
                                        NN_MAX_POOL1D(2, 2), NN_DENSE(OUTPUTS, NN_LINEAR)};

typedef struct world {
    nn_options how;
    nn_shape shape;
    int image; /* 1: the model with an image */
    odd_block model_block, trainer_block;
    nn_model *model;
    nn_trainer *trainer;
} world;

static void make_world(world *w, int odd)
{
    size_t size;

    w->shape.inputs = INPUTS;
    w->shape.layers = w->image ? image_layers : layers;
    w->shape.count = w->image ? 4 : 2;
    w->model = place_model(&w->model_block, &w->shape, odd, 7);
    size = nn_trainer_size(w->model, &w->how);
    REQUIRE(size > 0);
    w->trainer_block = make_block(size, (odd * 7 + 5) % 16);
    w->trainer = NULL;
    REQUIRE(nn_trainer_create_in(&w->trainer, w->trainer_block.memory, size - 1, w->model,
                                 &w->how) == NN_ERROR_BLOCK);
    REQUIRE(!w->trainer);
    REQUIRE(nn_trainer_create_in(&w->trainer, w->trainer_block.memory, size, w->model, &w->how) ==
            NN_OK);
}

static void free_world(world *w)
{
    nn_trainer_free(w->trainer);
    nn_model_free(w->model);
    free_block(&w->trainer_block);
    free_block(&w->model_block);
}

static void take_options(fuzz_input *line, nn_options *how, int *image)
{
    const int first = take_below(line, 12), optimizer = first % 6;
    *image = first / 6;
    memset(how, 0, sizeof *how);
    how->optimizer = (nn_optimizer)(optimizer % 3);
    if (optimizer >= 3 && how->optimizer != NN_ADAM) how->momentum = (nn_real)0.5;
    how->patience = take_below(line, 4);
    how->batch_size = 1 + take_below(line, 8);
    how->schedule = (nn_schedule)take_below(line, 4);
    if (how->schedule == NN_SCHEDULE_STEP || how->schedule == NN_SCHEDULE_COSINE)
        how->schedule_steps = 3;
    if (how->schedule == NN_SCHEDULE_PLATEAU) how->plateau_patience = 1;
}

static nn_data make_data(int rows)
{
    static nn_real x[ROWS * INPUTS], y[ROWS * OUTPUTS];
    nn_data data;
    int i;

    for (i = 0; i < ROWS * INPUTS; i++) x[i] = (nn_real)(i * 5 % 11) / 4 - 1;
    for (i = 0; i < ROWS * OUTPUTS; i++) y[i] = (nn_real)(i * 3 % 7) / 4;
    memset(&data, 0, sizeof data);
    data.rows = rows;
    data.inputs = INPUTS;
    data.outputs = OUTPUTS;
    data.x = x;
    data.y = y;
    return data;
}

/* The bytes of the checkpoint; NULL where it cannot be saved. */
static unsigned char *save_state(const nn_trainer *trainer, size_t *size)
{
    unsigned char *bytes;
    size_t again = 0;
    const nn_status status = nn_save_checkpoint_memory(trainer, NULL, 0, size);

    if (status != NN_OK) {
        REQUIRE(status == NN_ERROR_PARAMETER || status == NN_ERROR_STATE);
        REQUIRE(*size == 0);
        return NULL;
    }
    bytes = (unsigned char *)malloc(*size);
    REQUIRE(nn_save_checkpoint_memory(trainer, bytes, *size, &again) == NN_OK && again == *size);
    return bytes;
}

/* Trains on, and says how: the statuses, the losses and the model. */
static uint64_t train(world *w, const nn_data *data, nn_status *fitted)
{
    nn_real loss[2] = {0, 0};
    nn_status status = nn_trainer_fit(w->trainer, data), batch;
    uint64_t hash;
    size_t i;

    REQUIRE(is_status(status));
    for (i = 0; i < nn_parameter_count(w->model); i++)
        REQUIRE(isfinite(nn_parameters(w->model)[i]));
    batch = nn_train_batch(w->trainer, data->x, data->y, w->how.batch_size, &loss[0]);
    REQUIRE(batch == NN_OK || batch == NN_ERROR_DIVERGED || w->how.schedule == NN_SCHEDULE_PLATEAU);
    for (i = 0; i < nn_parameter_count(w->model); i++)
        REQUIRE(isfinite(nn_parameters(w->model)[i]));
    hash = hash_bytes(nn_parameters(w->model), nn_parameter_count(w->model) * sizeof(nn_real));
    if (isnan(loss[0])) loss[0] = 0;
    *fitted = status;
    return hash ^ hash_bytes(loss, sizeof loss) ^ (uint64_t)status << 8 ^ (uint64_t)batch;
}

static void fuzz_one(fuzz_input in)
{
    fuzz_input line = take_until(&in, "\n");
    world first, second;
    nn_location location;
    unsigned char *bytes, *model_image, *trainer_image, *saved;
    size_t size, saved_size;
    nn_status status, fitted, again;
    nn_data data;
    long fail_at, blocks;
    int odd, layout;

    memset(&first, 0, sizeof first);
    take_options(&line, &first.how, &first.image);
    odd = take_below(&line, 16);
    layout = take_below(&line, 2);
    fail_at = take_below(&line, 32);
    first.how.epochs = 1 + take_below(&line, 4);
    data = make_data(first.how.batch_size + take_below(&line, ROWS - first.how.batch_size + 1));
    second = first;
    bytes = mend_file(in, layout, &size);
    make_world(&first, odd);
    make_world(&second, (odd + 9) % 16);
    model_image = copy_bytes(first.model_block.memory, first.model_block.size);
    trainer_image = copy_bytes(first.trainer_block.memory, first.trainer_block.size);

    memset(&location, 0xff, sizeof location);
    blocks = fuzz_arm(fail_at);
    fuzz_start_clock(size);
    files[0].bytes = bytes;
    files[0].size = size;
    files[0].piece = (size_t)-1;
    status = odd & 4 ? nn_load_checkpoint(first.trainer, "0", &location)
                     : nn_load_checkpoint_memory(first.trainer, bytes, size, &location);
    fuzz_stop_clock(size);
    fuzz_disarm();
    REQUIRE(is_status(status) && is_terminated(&location));
    REQUIRE(status != NN_ERROR_MEMORY || heap.failed);
    REQUIRE(heap.most <= 400 * size + 65536);
    if (status != NN_OK) {
        REQUIRE(heap.blocks == blocks);
        require_same(model_image, first.model_block.size, first.model_block.memory,
                     first.model_block.size);
        require_same(trainer_image, first.trainer_block.size, first.trainer_block.memory,
                     first.trainer_block.size);
    } else if ((saved = save_state(first.trainer, &saved_size)) != NULL) {
        /* What was restored is saved, loaded elsewhere, and trained with to the same bits. */
        size_t other_size;
        unsigned char *other;
        REQUIRE(nn_load_checkpoint_memory(second.trainer, saved, saved_size, NULL) == NN_OK);
        other = save_state(second.trainer, &other_size);
        require_same(saved, saved_size, other, other_size);
        REQUIRE(train(&first, &data, &fitted) == train(&second, &data, &again) && fitted == again);
        free(other);
        free(saved);
    }
    free(model_image);
    free(trainer_image);
    free_world(&first);
    free_world(&second);
    free(bytes);
}
