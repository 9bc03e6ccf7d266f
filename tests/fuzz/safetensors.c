/* Model files: nn_load, nn_model_open_in and nn_load_parameters.

   An input begins with a line: the way (0: loads a model, 1: loads parameters into a model, + 2:
   the bytes behind the line are the file as it is, + 4: the model has an image), then how far
   blocks are from an aligned address, + 4 for a file instead of memory; 1 to give the tensors new
   places; the allocation that fails; the list of names; the inputs of the model; the width and the
   activation of each of its layers, or which of the models with an image. Then comes the text of a
   file: see models.h. */
#include "models.h"

/* Names of layers in the order of the model, or NULL. */
static const char *const lists[4][4] = {
    {NULL, NULL, NULL, NULL},
    {"input", "hidden", "output", "last"},
    {"0", "2", "4", "6"},
    {"", "fc.1", "fc.2", "0"},
};

static const nn_layer image_nets[3][4] = {
    {NN_IMAGE(1, 4, 2), NN_CONV1D(3, 2, 1, NN_PADDING_NONE, NN_RELU), NN_MAX_POOL1D(2, 1),
     NN_DENSE(2, NN_SOFTMAX)},
    {NN_IMAGE(3, 3, 1), NN_CONV2D(2, 2, 1, NN_PADDING_SAME, NN_TANH), NN_GLOBAL_AVERAGE,
     NN_DENSE(1, NN_SIGMOID)},
    {NN_IMAGE(2, 2, 2), NN_AVERAGE_POOL2D(1, 1), NN_CONV2D(2, 1, 1, NN_PADDING_NONE, NN_LINEAR),
     NN_MAX_POOL2D(1, 2)},
};

typedef struct file_input {
    int parameters, odd;
    const char *const *names;
    long fail_at;
    nn_shape shape;
    nn_layer layers[4];
    unsigned char *bytes;
    size_t size;
} file_input;

static void take_file(fuzz_input in, file_input *input)
{
    fuzz_input line = take_until(&in, "\n");
    int way = take_below(&line, 8), layout, i;

    memset(input, 0, sizeof *input);
    input->parameters = way & 1;
    input->odd = take_below(&line, 16);
    layout = take_below(&line, 2);
    input->fail_at = take_below(&line, 128);
    i = take_below(&line, 4);
    input->names = i ? lists[i] : NULL;
    input->shape.inputs = 1 + (take_below(&line, 9) + 8) % 9;
    input->shape.layers = input->layers;
    for (i = 0; i < 4 && (i == 0 || line.at < line.end); i++) {
        input->layers[i].width = 1 + (take_below(&line, 9) + 8) % 9;
        input->layers[i].activation = (nn_activation)take_below(&line, NN_ACTIVATION_COUNT);
        if (input->layers[i].activation == NN_SOFTMAX &&
            (line.at < line.end || input->layers[i].width == 1))
            input->layers[i].activation = NN_LINEAR;
    }
    input->shape.count = i;
    if (way & 4) {
        memcpy(input->layers, image_nets[input->layers[0].width % 3], sizeof input->layers);
        input->shape.count = 4;
        input->shape.inputs =
            input->layers[0].height * input->layers[0].width * input->layers[0].channels;
    } else if (input->layers[i - 1].activation == NN_SOFTMAX && input->layers[i - 1].width == 1)
        input->layers[i - 1].activation = NN_LINEAR;
    for (i = 0; i + 1 < input->shape.count && !(way & 4); i++)
        if (input->layers[i].activation == NN_SOFTMAX) input->layers[i].activation = NN_TANH;
    if (way & 2) {
        input->size = (size_t)(in.end - in.at);
        input->bytes = copy_bytes(in.at, input->size);
    } else {
        input->bytes = mend_file(in, layout, &input->size);
    }
}

static nn_location location;

static void begin(const file_input *input)
{
    memset(&location, 0xff, sizeof location);
    files[0].bytes = input->bytes;
    files[0].size = input->size;
    files[0].piece = (size_t)-1;
    (void)fuzz_arm(input->fail_at);
    fuzz_start_clock(input->size);
}

/* Whether the file may describe an image, whose size the length of the file does not limit. */
static int has_image(const file_input *input)
{
    const unsigned char *at = input->bytes, *end = at + input->size;
    for (; end - at >= 5; at++)
        if (memcmp(at, "image", 5) == 0) return 1;
    return 0;
}

/* ... before: the bytes in use when it began. */
static void end(const file_input *input, nn_status status, size_t before)
{
    fuzz_stop_clock(input->size);
    fuzz_disarm();
    REQUIRE(is_status(status) && is_terminated(&location));
    REQUIRE(status != NN_ERROR_MEMORY || heap.failed);
    REQUIRE(heap.most - before <= 400 * input->size + 65536 || has_image(input));
}

/* From memory, or from a file. */
static void load_model(const file_input *input)
{
    nn_model *model = (nn_model *)(void *)&location;
    nn_status status;

    begin(input);
    status = input->odd & 4 ? nn_load(&model, "0", &location)
                            : nn_load_memory(&model, input->bytes, input->size, &location);
    end(input, status, 0);
    REQUIRE((status == NN_OK) == (model != NULL));
    if (model) {
        REQUIRE(heap.blocks > 0);
        if (is_quick(model)) check_model(model, input->odd);
    }
    nn_model_free(model);
}

/* Opens the file where it is. */
static void open_model(const file_input *input)
{
    const size_t needed = nn_model_open_size(input->bytes, input->size);
    odd_block block;
    nn_model *model = (nn_model *)(void *)&location;
    nn_status status;

    REQUIRE(needed <= 400 * input->size + 65536 || has_image(input));
    if (needed > heap.limit) return;
    block = make_block(needed ? needed : 1, input->odd);
    begin(input);
    memset(&location, 0, sizeof location);
    status = nn_model_open_in(&model, block.memory, block.size, input->bytes, input->size);
    end(input, status, 0);
    REQUIRE((status == NN_OK) == (model != NULL) && heap.blocks == 0);
    REQUIRE(needed || status != NN_OK);
    if (model && needed < 100000 && is_quick(model)) {
        size_t size;
        free(predict(model, &size));
    }
    nn_model_free(model);
    free_block(&block);
}

/* A model of the input's shape, with a scaling of each kind and metadata, which a file is to
   replace or leave alone. */
static nn_model *make_model(const file_input *input, odd_block *block)
{
    nn_model *model = place_model(block, &input->shape, input->odd, 7);
    nn_real mean[16], deviation[16];
    int i;

    for (i = 0; i < 16; i++) {
        mean[i] = (nn_real)(i - 3) / 4;
        deviation[i] = (nn_real)(1 + i % 5) / 2;
    }
    REQUIRE(nn_set_scaling(model, mean, deviation) == NN_OK);
    REQUIRE(nn_set_target_scaling(model, mean + 2, deviation + 3) == NN_OK);
    REQUIRE(nn_set_metadata(model, "author", "before") == NN_OK);
    return model;
}

static void load_parameters(const file_input *input)
{
    odd_block block;
    nn_model *model = make_model(input, &block);
    const size_t before = heap.bytes;
    const long blocks = heap.blocks;
    size_t size = 0;
    unsigned char *image = copy_bytes(block.memory, block.size), *file = NULL;
    nn_status status;

    if (input->odd == 5) file = save(model, &size); /* to save time, not always */
    begin(input);
    status = nn_load_parameters_memory(model, input->bytes, input->size, input->names, &location);
    end(input, status, before);
    check_block(&block);
    if (status == NN_OK) {
        check_model(model, input->odd);
    } else {
        REQUIRE(heap.blocks == blocks);
        require_same(block.memory, block.size, image, block.size);
        REQUIRE(same_text(nn_metadata(model, "author"), "before"));
        if (file) require_same_file(model, file, size);
    }
    nn_model_free(model);
    free_block(&block);
    free(image);
    free(file);
}

static void fuzz_one(fuzz_input in)
{
    file_input input;

    take_file(in, &input);
    if (input.parameters) {
        load_parameters(&input);
    } else {
        load_model(&input);
        open_model(&input);
    }
    free(input.bytes);
}
