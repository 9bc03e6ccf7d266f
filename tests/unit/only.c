/* NN_ONLY_ACTIVATIONS, NN_ONLY_LOSSES and NN_ONLY_OPTIMIZERS: what is left out is refused
   everywhere, what is left works. */
#define NN_ONLY_ACTIVATIONS (1u << NN_LINEAR | 1u << NN_RELU | 1u << NN_SIGMOID | 1u << NN_GELU)
#define NN_ONLY_LOSSES      (1u << NN_BINARY_CROSS_ENTROPY | 1u << NN_QUANTILE)
#define NN_ONLY_OPTIMIZERS  (1u << NN_RMSPROP)
#ifndef NN_NO_SIMD
#define NN_NO_SIMD /* the scalar kernels alone leave anything out */
#endif
#define NN_IMPLEMENTATION
#include "files.h"

static const int kept_activations[] = {NN_LINEAR, NN_RELU, NN_SIGMOID, NN_GELU};
static const int kept_losses[] = {NN_BINARY_CROSS_ENTROPY, NN_QUANTILE};

static int is_in(const int *list, int count, int element)
{
    while (count-- > 0)
        if (*list++ == element) return 1;
    return 0;
}

/* In the middle and at the end, on the heap and in the caller's memory. */
static void test_activations(void)
{
    static unsigned char memory[8192];
    int a, at, made = 0;
    for (a = 0; a <= NN_ACTIVATION_COUNT; a++) /* the last one is none */
        for (at = 0; at < 2; at++) {
            const int good = is_in(kept_activations, COUNT_OF(kept_activations), a);
            nn_layer layers[2];
            nn_shape net;
            nn_model *model = (nn_model *)(void *)memory;
            layers[0] = dense_layer(3, at ? NN_LINEAR : (nn_activation)a);
            layers[1] = dense_layer(2, at ? (nn_activation)a : NN_LINEAR);
            net.inputs = 3;
            net.layers = layers;
            net.count = 2;
            CHECK((nn_model_size(&net) > 0) == good);
            CHECK(nn_model_create(&model, 3, layers, 2, 1) == (good ? NN_OK : NN_ERROR_ACTIVATION));
            CHECK((model != NULL) == good);
            nn_model_free(model);
            model = (nn_model *)(void *)memory;
            CHECK(nn_model_create_in(&model, memory, sizeof memory, &net, 1) ==
                  (good ? NN_OK : NN_ERROR_ACTIVATION));
            CHECK((model != NULL) == good);
            made += model != NULL;
        }
    CHECK(made == 2 * COUNT_OF(kept_activations));
}

static void test_losses(void)
{
    int loss, fits = 0;
    for (loss = 0; loss <= NN_LOSS_COUNT; loss++) { /* the last one is none */
        const int good = is_in(kept_losses, COUNT_OF(kept_losses), loss);
        static const nn_real x[2] = {1, 2}, y[2] = {0, 1};
        const nn_options how = make_options((nn_loss)loss, NN_RMSPROP, 0);
        const nn_data data = make_data(x, y, 2, 1, 1);
        nn_model *model = make_unit(NN_SIGMOID, 0.5, 0);
        nn_trainer *trainer = NULL;
        nn_metrics metrics;
        CHECK(nn_trainer_create(&trainer, model, &how) == (good ? NN_OK : NN_ERROR_LOSS));
        CHECK((trainer != NULL) == good && (nn_trainer_size(model, &how) > 0) == good);
        CHECK(nn_fit(model, &data, &how) == (good ? NN_OK : NN_ERROR_LOSS));
        CHECK(nn_evaluate(model, &data, &how, &metrics) == (good ? NN_OK : NN_ERROR_LOSS));
        fits += good;
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
    CHECK(fits == COUNT_OF(kept_losses));
}

static void test_optimizers(void)
{
    int optimizer;
    for (optimizer = 0; optimizer <= NN_OPTIMIZER_COUNT; optimizer++) { /* the last one is none */
        const int good = optimizer == NN_RMSPROP;
        static const nn_real x[2] = {1, 2}, y[2] = {0, 1};
        const nn_options how = make_options(NN_QUANTILE, (nn_optimizer)optimizer, 0);
        const nn_data data = make_data(x, y, 2, 1, 1);
        nn_model *model = make_unit(NN_GELU, 0.5, 0);
        nn_trainer *trainer = NULL;
        CHECK(nn_trainer_create(&trainer, model, &how) == (good ? NN_OK : NN_ERROR_OPTION));
        CHECK((trainer != NULL) == good && (nn_trainer_size(model, &how) > 0) == good);
        CHECK(nn_fit(model, &data, &how) == (good ? NN_OK : NN_ERROR_OPTION));
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
}

/* The defaults, mean squared error and SGD, are not there; nothing takes their place. */
static void test_defaults(void)
{
    static const nn_real x[2] = {1, 2}, y[2] = {0, 1};
    const nn_data data = make_data(x, y, 2, 1, 1);
    nn_model *model = make_unit(NN_LINEAR, 0.5, 0);
    nn_metrics metrics;
    CHECK(nn_fit(model, &data, NULL) == NN_ERROR_LOSS);
    CHECK(nn_evaluate(model, &data, NULL, &metrics) == NN_ERROR_LOSS);
    CHECK(nn_parameters(model)[0] == 0.5f && nn_parameters(model)[1] == 0);
    nn_model_free(model);
}

/* A file as another program saved it, with an activation that is not here. */
static void test_files(void)
{
    static const nn_layer layers[] = {NN_DENSE(3, NN_RELU), NN_DENSE(2, NN_GELU)};
    static const char *const names[] = {"silu,gelu", "tanh,gelu", "relu,silu", "relu,gelu"};
    nn_model *model = make_model(3, layers, 2, 1);
    int i;
    for (i = 0; i < 4; i++) {
        const int good = i == 3;
        const bytes file = save_model(model);
        char *memory = (char *)malloc(4096);
        nn_model *loaded = model, *opened = model;
        nn_location location;
        size_t length;
        unsigned char *at = find_value(file, "nn.activations", &length);
        if (!CHECK(memory && at && length == strlen(names[i]))) return;
        memcpy(at, names[i], length);
        CHECK(put_checksum(file));
        CHECK(nn_load_memory(&loaded, file.at, file.size, &location) ==
              (good ? NN_OK : NN_ERROR_ACTIVATION));
        CHECK((loaded != NULL) == good);
        CHECK((nn_model_open_size(file.at, file.size) > 0) == good);
        CHECK((nn_model_open_in(&opened, memory, 4096, file.at, file.size) == NN_OK) == good);
        CHECK((opened != NULL) == good);
        if (good) CHECK(same_predictions(model, loaded) && same_predictions(model, opened));
        nn_model_free(loaded);
        free(memory);
        free(file.at);
    }
    nn_model_free(model);
}

/* What is left learns. */
static void test_trains(void)
{
    static const nn_layer layers[] = {NN_DENSE(8, NN_GELU), NN_DENSE(1, NN_SIGMOID)};
    nn_real y[EXAMPLE_ROWS];
    nn_data data = example_data();
    nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_RMSPROP, 0);
    nn_model *model = make_model(EXAMPLE_INPUTS, layers, 2, 1);
    nn_metrics before, after;
    int matrix[4], i;
    for (i = 0; i < EXAMPLE_ROWS; i++) y[i] = data.x[2 * i] > data.x[2 * i + 1] - 2;
    data.y = y;
    CHECK(nn_evaluate(model, &data, &how, &before) == NN_OK);
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(nn_evaluate(model, &data, &how, &after) == NN_OK);
    CHECK(after.loss < before.loss / 2 && after.accuracy > (nn_real)0.9);
    CHECK(nn_confusion_matrix(model, &data, matrix) == NN_OK); /* whatever the losses */
    CHECK(matrix[0] + matrix[1] + matrix[2] + matrix[3] == data.rows);
    CHECK(matrix[0] + matrix[3] == after.correct);
    nn_model_free(model);
}

int main(void)
{
    RUN(test_activations);
    RUN(test_losses);
    RUN(test_optimizers);
    RUN(test_defaults);
    RUN(test_files);
    RUN(test_trains);
    return test_done();
}
