/* Sizes that do not fit: counts whose product no int or no size_t holds are refused before any
   memory is read or asked for. On 64 bits few ints are large enough. What needs a size_t of 32 bits
   is skipped elsewhere; coverage.sh builds this file for such a machine. */
#include "../fixtures.h"

#include <limits.h>

enum { WIDEST = INT_MAX - 64 };

static int has_small_sizes(void)
{
    if (SIZE_MAX <= 0xffffffff) return 1;
    test_skip("a size_t of 32 bits");
    return 0;
}

static void check_shape(int inputs, const nn_layer *layers, int count)
{
    static unsigned char memory[64];
    nn_shape shape;
    nn_model *model = (nn_model *)(void *)&shape;
    const long before = allocations;
    shape.inputs = inputs;
    shape.layers = layers;
    shape.count = count;
    CHECK(nn_model_size(&shape) == 0);
    CHECK(nn_model_create(&model, inputs, layers, count, 1) == NN_ERROR_OVERFLOW && !model);
    model = (nn_model *)(void *)&shape;
    CHECK(nn_model_create_in(&model, memory, sizeof memory, &shape, 1) == NN_ERROR_OVERFLOW);
    CHECK(!model && allocations == before);
}

static void test_models(void)
{
    nn_layer layers[8];
    int i;
    for (i = 0; i < 8; i++) layers[i] = dense_layer(WIDEST, NN_RELU);
    check_shape(WIDEST, layers, 2); /* the bytes do not fit */
    check_shape(WIDEST, layers, 8); /* neither does the number of parameters */
    check_shape(WIDEST + 1, layers, 1);
    layers[0].width = WIDEST + 1;
    check_shape(1, layers, 1);
}

/* The largest batch whose trainer fits. */
static int largest_batch(const nn_model *model, nn_options *how)
{
    int low = 1, high = INT_MAX;
    while (high - low > 1) {
        how->batch_size = low + (high - low) / 2;
        *(nn_trainer_size(model, how) ? &low : &high) = how->batch_size;
    }
    return low;
}

/* With the largest batch of one of these models, the trainer fits without the copy of the options
   that nn_trainer_create keeps before it, but not with it. */
static void test_trainers(void)
{
    static unsigned char memory[64];
    nn_options how = make_options(NN_MSE, NN_SGD, 0);
    nn_model *model;
    nn_trainer *trainer = NULL;
    long before;
    int inputs, largest;
    if (!has_small_sizes()) return;
    for (inputs = 1; inputs < 1000; inputs++) {
        model = make_line(inputs);
        how.batch_size = largest = largest_batch(model, &how);
        if (nn_trainer_size(model, &how) > SIZE_MAX - sizeof how) break;
        nn_model_free(model);
    }
    if (!CHECK(inputs < 1000)) return;
    before = allocations;
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_ERROR_OVERFLOW && !trainer);
    CHECK(nn_trainer_create_in(&trainer, memory, sizeof memory, model, &how) == NN_ERROR_BLOCK);
    how.batch_size = largest + 1;
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_ERROR_OVERFLOW && !trainer);
    CHECK(nn_trainer_create_in(&trainer, memory, sizeof memory, model, &how) == NN_ERROR_OVERFLOW);
    how.batch_size = INT_MAX;
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_ERROR_OVERFLOW && !trainer);
    CHECK(allocations == before);
    nn_model_free(model);
}

/* Rows of which only the first is there. */
static void test_rows(void)
{
    nn_real x[4] = {1, 2, 3, 4}, y[4] = {0, 1, 0, 1};
    const nn_layer layer = dense_layer(2, NN_LINEAR);
    nn_data data = make_data(x, y, INT_MAX, 2, 2), train, test;
    nn_model *model = make_model(2, &layer, 1, 1);
    nn_metrics metrics;
    nn_input_importance importance[2];
    int classes[1];
    if (has_small_sizes()) {
        CHECK(nn_predict(model, x, INT_MAX, y, NULL) == NN_ERROR_OVERFLOW);
        CHECK(nn_predict_classes(model, x, INT_MAX, classes, NULL) == NN_ERROR_OVERFLOW);
        CHECK(nn_fit(model, &data, NULL) == NN_ERROR_OVERFLOW);
        CHECK(nn_evaluate(model, &data, NULL, &metrics) == NN_ERROR_OVERFLOW);
        CHECK(nn_importance(model, &data, NULL, 1, importance) == NN_ERROR_OVERFLOW);
        CHECK(nn_split(&data, 0.5f, 1, &train, &test) == NN_ERROR_OVERFLOW);
        data.rows = 3 << 27; /* x fits, and y, but not both */
        CHECK(nn_split(&data, 0.99f, 1, &train, &test) == NN_ERROR_OVERFLOW);
        CHECK(data_is_zero(&train) && data_is_zero(&test));
    }
    nn_model_free(model);
}

/* What a call allocates: a matrix of classes x classes, numbers for each repetition. */
static void test_allocations(void)
{
    enum { CLASSES = 70000 };
    const nn_layer layer = dense_layer(CLASSES, NN_SOFTMAX), two = dense_layer(2, NN_SOFTMAX);
    const nn_options how = make_options(NN_CROSS_ENTROPY, NN_SGD, 0);
    nn_real x[2] = {1, 2};
    int labels[2] = {0, 1};
    nn_data data = make_data(x, NULL, 2, 1, CLASSES);
    nn_model *model = make_model(1, &layer, 1, 1);
    nn_metrics metrics;
    nn_input_importance importance[1];
    data.labels = labels;
    data.classes = CLASSES;
    if (has_small_sizes()) {
        CHECK(nn_evaluate(model, &data, &how, &metrics) == NN_ERROR_OVERFLOW);
        nn_model_free(model);
        model = make_model(1, &two, 1, 1);
        data.outputs = data.classes = 2;
        CHECK(nn_importance(model, &data, &how, INT_MAX, importance) == NN_ERROR_OVERFLOW);
    }
    nn_model_free(model);
}

/* A text of 128 MB, and names that are all that one. */
static void test_texts(void)
{
    const size_t length = (size_t)1 << 27;
    char *text = (char *)malloc(length + 1);
    const char *names[32];
    nn_real x[64];
    nn_model *model = make_line(32);
    nn_data data = make_data(x, x, 2, 32, 1), train, test;
    int i;
    for (i = 0; i < 32; i++) names[i] = text;
    memset(x, 0, sizeof x);
    data.input_names = names;
    if (has_small_sizes() && CHECK(text != NULL)) {
        memset(text, 'a', length);
        text[length] = 0;
        CHECK(nn_set_metadata(model, "author", text) == NN_ERROR_OVERFLOW);
        CHECK(nn_set_metadata(model, text, "Ada") == NN_ERROR_OVERFLOW);
        CHECK(nn_fit(model, &data, NULL) == NN_ERROR_OVERFLOW);
        CHECK(nn_split(&data, 0.5f, 1, &train, &test) == NN_ERROR_OVERFLOW);
        CHECK(data_is_zero(&train) && data_is_zero(&test));
        names[31] = text + 100; /* 2^32 - 68 characters, and 128 bytes of pointers */
        CHECK(nn_split(&data, 0.5f, 1, &train, &test) == NN_ERROR_OVERFLOW);
    }
    nn_model_free(model);
    free(text);
}

/* The header of an IDX file that announces more bytes than there are, or than a size_t holds. */
static void test_idx(void)
{
    static const unsigned char images[] = {0,    0,    8,    3,    0x7f, 0xff, 0xff, 0xff,
                                           0x7f, 0xff, 0xff, 0xff, 0,    0,    0,    1};
    nn_data data;
    write_file(temporary("images"), images, sizeof images);
    CHECK(nn_read_idx(&data, temporary("images"), temporary("images"), 0, NULL) ==
          NN_ERROR_IDX_SIZE);
    CHECK(data_is_zero(&data));
    remove(temporary("images"));
}

int main(void)
{
    test_any_backend(); /* nothing is computed */
    RUN(test_models);
    RUN(test_trainers);
    RUN(test_rows);
    RUN(test_allocations);
    RUN(test_texts);
    RUN(test_idx);
    return test_done();
}
