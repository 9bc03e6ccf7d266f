/* Files that the safetensors package wrote from PyTorch's state_dict, data/torch_mlp and
   data/torch_images, load and predict what PyTorch did. interop.py made them (make-sample). */
#include "../fixtures.h"

enum { MOST_INPUTS = 40, OUTPUTS = 2, ROWS = 8 };

static const nn_layer mlp[] = {NN_DENSE(4, NN_RELU), NN_DENSE(4, NN_TANH),
                               NN_DENSE(OUTPUTS, NN_LINEAR)};
static const nn_layer images[] = {
    NN_IMAGE(5, 4, 2), NN_CONVOLUTION(3, 2, 3, 1, 1, NN_PADDING_SAME, NN_RELU), NN_MAX_POOL2D(2, 2),
    NN_CONVOLUTION(4, 1, 2, 1, 1, NN_PADDING_NONE, NN_TANH), NN_DENSE(OUTPUTS, NN_SIGMOID)};

static const struct sample {
    const char *safetensors, *text;
    nn_shape shape;
} samples[] = {
    {"tests/reference/data/torch_mlp.safetensors",
     "tests/reference/data/torch_mlp.txt",
     {3, mlp, COUNT_OF(mlp)}},
    {"tests/reference/data/torch_images.safetensors",
     "tests/reference/data/torch_images.txt",
     {40, images, COUNT_OF(images)}},
};

/* Weights of a transposed or misplaced layer give other outputs. */
static void check_outputs(const nn_model *model, const struct sample *sample)
{
    const int inputs = sample->shape.inputs;
    FILE *file = fopen(sample->text, "r");
    int row, i, rows = 0;

    if (!CHECK(file != NULL)) return;
    CHECK(fscanf(file, "rows %d", &rows) == 1 && rows == ROWS);
    for (row = 0; row < ROWS; row++) {
        nn_real x[MOST_INPUTS], y[OUTPUTS] = {(nn_real)NAN, (nn_real)NAN};
        double number[MOST_INPUTS + OUTPUTS];
        for (i = 0; i < inputs + OUTPUTS; i++) {
            number[i] = NAN;
            CHECK(fscanf(file, "%lf", &number[i]) == 1);
        }
        for (i = 0; i < inputs; i++) x[i] = (nn_real)number[i];
        CHECK(nn_predict(model, x, 1, y, NULL) == NN_OK);
        for (i = 0; i < OUTPUTS; i++) CHECK_NEAR(y[i], number[inputs + i], 1e-6, 0);
    }
    fclose(file);
}

static void test_path(void)
{
    int i;

    for (i = 0; i < COUNT_OF(samples); i++) {
        const nn_shape *shape = &samples[i].shape;
        nn_model *model = make_model(shape->inputs, shape->layers, shape->count, 1);
        nn_location place = {0};
        CHECK(nn_load_parameters(model, samples[i].safetensors, NULL, &place) == NN_OK);
        check_outputs(model, &samples[i]);
        nn_model_free(model);
    }
}

static void test_memory(void)
{
    static unsigned char bytes[4096];
    int i;

    for (i = 0; i < COUNT_OF(samples); i++) {
        const nn_shape *shape = &samples[i].shape;
        FILE *file = fopen(samples[i].safetensors, "rb");
        nn_model *model = make_model(shape->inputs, shape->layers, shape->count, 2);
        nn_location place = {0};
        size_t size;

        if (CHECK(file != NULL)) {
            size = fread(bytes, 1, sizeof bytes, file);
            fclose(file);
            CHECK(size > 0 && size < sizeof bytes);
            CHECK(nn_load_parameters_memory(model, bytes, size, NULL, &place) == NN_OK);
            check_outputs(model, &samples[i]);
        }
        nn_model_free(model);
    }
}

int main(void)
{
    RUN(test_path);
    RUN(test_memory);
    return test_done();
}
