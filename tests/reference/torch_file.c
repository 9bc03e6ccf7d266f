/* A file that the safetensors package wrote from a PyTorch state_dict, data/torch_mlp, loads and
   predicts what PyTorch did. interop.py made both files (make-sample). */
#include "../fixtures.h"

#define SAFETENSORS "tests/reference/data/torch_mlp.safetensors"

enum { INPUTS = 3, OUTPUTS = 2, ROWS = 8, LAYERS = 3 };

static nn_model *make_mlp(uint64_t seed)
{
    const nn_layer layers[LAYERS] = {NN_DENSE(4, NN_RELU), NN_DENSE(4, NN_TANH),
                                     NN_DENSE(OUTPUTS, NN_LINEAR)};
    nn_model *model;
    CHECK(nn_model_create(&model, INPUTS, layers, LAYERS, seed) == NN_OK);
    return model;
}

/* Weights of a transposed or misplaced layer give other outputs. */
static void check_outputs(const nn_model *model)
{
    FILE *file = fopen("tests/reference/data/torch_mlp.txt", "r");
    int row, i, rows = 0;

    if (!CHECK(file != NULL)) return;
    CHECK(fscanf(file, "rows %d", &rows) == 1 && rows == ROWS);
    for (row = 0; row < ROWS; row++) {
        nn_real x[INPUTS], y[OUTPUTS] = {(nn_real)NAN, (nn_real)NAN};
        double number[INPUTS + OUTPUTS];
        for (i = 0; i < INPUTS + OUTPUTS; i++) {
            number[i] = NAN;
            CHECK(fscanf(file, "%lf", &number[i]) == 1);
        }
        for (i = 0; i < INPUTS; i++) x[i] = (nn_real)number[i];
        CHECK(nn_predict(model, x, 1, y, NULL) == NN_OK);
        for (i = 0; i < OUTPUTS; i++) CHECK_NEAR(y[i], number[INPUTS + i], 1e-6, 0);
    }
    fclose(file);
}

static void test_path(void)
{
    nn_model *model = make_mlp(1);
    nn_location place = {0};
    CHECK(nn_load_parameters(model, SAFETENSORS, NULL, &place) == NN_OK);
    check_outputs(model);
    nn_model_free(model);
}

static void test_memory(void)
{
    static unsigned char bytes[4096];
    FILE *file = fopen(SAFETENSORS, "rb");
    nn_model *model = make_mlp(2);
    nn_location place = {0};
    size_t size;

    if (CHECK(file != NULL)) {
        size = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        CHECK(size > 0 && size < sizeof bytes);
        CHECK(nn_load_parameters_memory(model, bytes, size, NULL, &place) == NN_OK);
        check_outputs(model);
    }
    nn_model_free(model);
}

int main(void)
{
    RUN(test_path);
    RUN(test_memory);
    return test_done();
}
