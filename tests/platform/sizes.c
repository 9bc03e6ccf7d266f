/* The sizes that are known when compiling are those that the functions return, and blocks of those
   sizes serve: also without a heap, without files and with scalar kernels alone, as a
   microcontroller has it (the variant sizes.static). */
#include "../unit/files.h"

enum { MOST_LAYERS = 8 };

/* A net's inputs and widths, up to a 0, and what the macros say of it. */
typedef struct net {
    int widths[MOST_LAYERS + 2];
    size_t model, opened, trainers[4][2]; /* by numbers for each parameter; of 1 row and of 7 */
} net;

#define NET(...)                                                                                   \
    {                                                                                              \
        {__VA_ARGS__}, NN_MODEL_SIZE(__VA_ARGS__), NN_MODEL_OPEN_SIZE(__VA_ARGS__),                \
        {                                                                                          \
            {NN_TRAINER_SIZE(0, 1, __VA_ARGS__), NN_TRAINER_SIZE(0, 7, __VA_ARGS__)},              \
                {NN_TRAINER_SIZE(1, 1, __VA_ARGS__), NN_TRAINER_SIZE(1, 7, __VA_ARGS__)},          \
                {NN_TRAINER_SIZE(2, 1, __VA_ARGS__), NN_TRAINER_SIZE(2, 7, __VA_ARGS__)},          \
                {NN_TRAINER_SIZE(3, 1, __VA_ARGS__), NN_TRAINER_SIZE(3, 7, __VA_ARGS__)},          \
        }                                                                                          \
    }

/* The widest layer in each place, each number of layers. */
static const net nets[] = {
    NET(1, 1),
    NET(9, 1),
    NET(1, 9),
    NET(2, 8, 1),
    NET(10, 16, 4),
    NET(64, 32, 10),
    NET(3, 1, 11),
    NET(5, 4, 3, 2),
    NET(2, 3, 4, 5),
    NET(17, 2, 3, 4, 5),
    NET(2, 17, 3, 4, 5, 6),
    NET(2, 3, 17, 4, 5, 6, 7),
    NET(2, 3, 4, 17, 5, 6, 7, 8),
    NET(2, 3, 4, 5, 17, 6, 7, 8, 9),
    NET(9, 8, 7, 6, 5, 17, 4, 3, 2),
    NET(9, 8, 7, 6, 5, 4, 17, 3, 2),
    NET(9, 8, 7, 6, 5, 4, 3, 17, 2),
    NET(9, 8, 7, 6, 5, 4, 3, 2, 17),
};

static nn_layer layers[MOST_LAYERS];

static nn_shape shape_of(const net *n)
{
    nn_shape shape;

    shape.inputs = n->widths[0];
    shape.layers = layers;
    for (shape.count = 0; n->widths[shape.count + 1]; shape.count++) {
        layers[shape.count].width = n->widths[shape.count + 1];
        layers[shape.count].activation = NN_LINEAR;
    }
    return shape;
}

static void test_model_size(void)
{
    size_t i;

    for (i = 0; i < sizeof nets / sizeof *nets; i++) {
        const nn_shape shape = shape_of(&nets[i]);
        CHECK(nn_model_size(&shape) == nets[i].model);
    }
}

/* A model over a file takes what one with parameters of its own takes, but for them; and it fits in
   that. */
static void test_open_size(void)
{
    static unsigned char memory[1 << 16], opened_memory[1 << 16], file[1 << 16];
    static const nn_real x[64] = {1, -2, (nn_real)0.5};
    nn_real y[64], opened_y[64];
    size_t i, size;

    for (i = 0; i < sizeof nets / sizeof *nets; i++) {
        const nn_shape shape = shape_of(&nets[i]);
        const size_t outputs = (size_t)layers[shape.count - 1].width;
        nn_model *model, *opened;
        CHECK(nets[i].opened > 0 && nets[i].opened < nets[i].model);
        if (!CHECK(nn_model_create_in(&model, memory, sizeof memory, &shape, 1) == NN_OK) ||
            !CHECK(nn_save_memory(model, file, sizeof file, &size) == NN_OK))
            continue;
        CHECK(nn_model_open_size(file, size) == nets[i].opened);
        CHECK(nn_model_open_in(&opened, opened_memory, nets[i].opened - 1, file, size) ==
              NN_ERROR_BLOCK);
        if (!CHECK(nn_model_open_in(&opened, opened_memory, nets[i].opened, file, size) == NN_OK))
            continue;
        memset(y, 0x11, sizeof y);
        memset(opened_y, 0x22, sizeof opened_y);
        CHECK(nn_predict(model, x, 1, y, NULL) == NN_OK);
        CHECK(nn_predict(opened, x, 1, opened_y, NULL) == NN_OK);
        CHECK(!memcmp(y, opened_y, outputs * sizeof *y));
    }
}

/* Numbers for each parameter: 0 SGD, 1 with momentum or with patience, 2 Adam or both, 3 Adam with
   patience. */
static nn_options options_of(int moments, int patience)
{
    nn_options how;

    memset(&how, 0, sizeof how);
    how.patience = patience;
    moments -= patience;
    how.optimizer = moments == 2 ? NN_ADAM : NN_SGD;
    how.momentum = moments == 1 ? (nn_real)0.5 : 0;
    return how;
}

static void check_trainer_size(const net *n, nn_model *model, int moments, int patience)
{
    nn_options how = options_of(moments, patience);

    how.batch_size = 1;
    CHECK(nn_trainer_size(model, &how) == n->trainers[moments][0]);
    how.batch_size = 7;
    CHECK(nn_trainer_size(model, &how) == n->trainers[moments][1]);
    how.batch_size = 100;
    how.micro_batch_size = 7;
    CHECK(nn_trainer_size(model, &how) == n->trainers[moments][1]);
    how.batch_size = 7;
    how.micro_batch_size = 8;
    CHECK(nn_trainer_size(model, &how) == n->trainers[moments][1]);
}

static void test_trainer_size(void)
{
    static unsigned char memory[1 << 16];
    size_t i;
    int moments;

    for (i = 0; i < sizeof nets / sizeof *nets; i++) {
        const nn_shape shape = shape_of(&nets[i]);
        nn_model *model;
        if (!CHECK(nn_model_create_in(&model, memory, sizeof memory, &shape, 1) == NN_OK)) continue;
        for (moments = 0; moments <= 3; moments++) {
            if (moments < 3) check_trainer_size(&nets[i], model, moments, 0);
            if (moments > 0) check_trainer_size(&nets[i], model, moments, 1);
        }
    }
}

/* What the header's documentation shows. */
static void test_static_blocks(void)
{
    static unsigned char odd, model_memory[NN_MODEL_SIZE(2, 8, 1)];
    static unsigned char trainer_memory[NN_TRAINER_SIZE(2, 4, 2, 8, 1)];
    static const nn_real x[8] = {0, 0, 0, 1, 1, 0, 1, 1}, y[4] = {0, 1, 1, 0};
    const nn_shape shape = shape_of(&nets[3]);
    nn_options how = options_of(2, 0);
    nn_model *model;
    nn_trainer *trainer;

    odd = 1;
    how.batch_size = 4;
    CHECK(nn_model_create_in(&model, model_memory, sizeof model_memory, &shape, odd) == NN_OK);
    CHECK(nn_trainer_create_in(&trainer, trainer_memory, sizeof trainer_memory, model, &how) ==
          NN_OK);
    CHECK(nn_train_batch(trainer, x, y, 4, NULL) == NN_OK);
    CHECK(nn_model_create_in(&model, model_memory, sizeof model_memory - 1, &shape, 1) ==
          NN_ERROR_BLOCK);
}

/* nn_evaluate without a heap: what one output and two classes give is there, the rest is NaN. */
static void test_evaluate(void)
{
    static unsigned char memory[2][NN_MODEL_SIZE(2, 8, 1)];
    static nn_real x[8] = {0, 0, 0, 1, 1, 0, 1, 1}, y[4] = {0, 1, 1, 0}, two[8];
    const nn_layer one_layer = NN_DENSE(1, NN_SIGMOID);
    const nn_layer two_layer = NN_DENSE(2, NN_LINEAR);
    nn_shape shape;
    nn_options how = options_of(0, 0);
    nn_model *model;
    nn_metrics metrics;
    nn_data data;

    shape.inputs = 2;
    shape.layers = &one_layer;
    shape.count = 1;
    CHECK(nn_model_create_in(&model, memory[0], sizeof memory[0], &shape, 1) == NN_OK);
    nn_parameters(model)[0] = nn_parameters(model)[1] = 1;
    nn_parameters(model)[2] = (nn_real)-0.5; /* or: 3 of 4 rows are right */
    how.loss = NN_BINARY_CROSS_ENTROPY;
    data = make_data(x, y, 4, 2, 1);
    data.classes = 2;
    CHECK(nn_evaluate(model, &data, &how, &metrics) == NN_OK);
    CHECK(metrics.correct == 3 && metrics.accuracy == (nn_real)0.75 && metrics.recall == 1);
    CHECK(isfinite(metrics.r2));

    shape.layers = &two_layer;
    CHECK(nn_model_create_in(&model, memory[1], sizeof memory[1], &shape, 1) == NN_OK);
    data = make_data(x, two, 4, 2, 2);
    two[0] = 1; /* so that R2 is a number where there is memory for it */
    two[3] = 1;
    CHECK(nn_evaluate(model, &data, NULL, &metrics) == NN_OK && isfinite(metrics.mae));
    CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
#ifdef NN_NO_MALLOC
    CHECK(metrics.r2 != metrics.r2);
#else
    CHECK(isfinite(metrics.r2));
#endif
}

/* A file with a scaling of the targets: with a heap it is undone; without one, nothing can undo it,
   and the file is refused. */
static void test_target_scaling(void)
{
    static unsigned char memory[2][NN_MODEL_SIZE(2, 8, 1)];
    static const char pairs[] = ",\"nn.target_scaling\":\"standard\",\"nn.target_values\":\""
#ifdef NN_DOUBLE
                                "3ff00000000000003fe0000000000000\""; /* offset 1, factor 1/2 */
#else
                                "3f8000003f000000\"";
#endif
    const nn_real x[] = {1, 2};
    const nn_shape shape = shape_of(&nets[3]);
    nn_model *model = NULL, *opened = NULL;
    nn_real y, expected;
    size_t length;
    bytes plain, file;

    CHECK(nn_model_create_in(&model, memory[0], sizeof memory[0], &shape, 1) == NN_OK);
    CHECK(nn_predict(model, x, 1, &expected, NULL) == NN_OK);
    plain = save_model(model);
    *find_value(plain, "nn.version", &length) = '2';
    file = with_pairs(plain, pairs);
#ifdef NN_NO_MALLOC
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_ERROR_METADATA);
    CHECK(nn_model_open_in(&opened, memory[1], sizeof memory[1], file.at, file.size) ==
          NN_ERROR_METADATA);
    CHECK(!opened);
#else
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_OK);
    CHECK(nn_model_open_in(&opened, memory[1], sizeof memory[1], file.at, file.size) == NN_OK);
    expected = 2 * expected + 1;
    CHECK(nn_predict(opened, x, 1, &y, NULL) == NN_OK);
    CHECK_NEAR(y, expected, 1e-6, 0);
    nn_model_free(opened);
#endif
    CHECK(nn_predict(model, x, 1, &y, NULL) == NN_OK);
    CHECK_NEAR(y, expected, 1e-6, 0);
    nn_model_free(model);
    free(plain.at);
    free(file.at);
}

int main(void)
{
    RUN(test_model_size);
    RUN(test_open_size);
    RUN(test_trainer_size);
    RUN(test_static_blocks);
    RUN(test_evaluate);
    RUN(test_target_scaling);
    return test_done();
}
