/* Checkpoints of nets with convolutions and pools: a run that is resumed ends in the same bits as one
   that never stopped. Usage: checkpoint_images [SEED] */
#include "files.h"
#include "image_models.h"

static uint64_t seed = 1;

enum { ROWS = 20 };

static int stop_after_two(const nn_progress *progress, void *user)
{
    (void)user;
    return !progress->batch && progress->epoch == 2;
}

/* A run that was interrupted ends in the same bits as one that was not. Returns whether the second
   half changed a parameter: some nets have none. */
static int check_resumed(const image_net *net, nn_optimizer optimizer, int drop)
{
    nn_real dropout[NET_LAYERS] = {0}; /* of no image, and of no last layer */
    const size_t in = (size_t)(ROWS * net->inputs), out = (size_t)(ROWS * net->outputs);
    nn_real *x = (nn_real *)malloc(in * sizeof *x), *y = (nn_real *)malloc(out * sizeof *y);
    nn_options how = make_options(NN_MSE, optimizer, 0.01);
    nn_data data = make_data(x, y, ROWS, net->inputs, net->outputs);
    nn_model *whole = make_net(net, seed), *half = make_net(net, seed), *other = make_net(net, 99);
    nn_trainer *trainer;
    bytes file;
    size_t i;
    int changed;

    if (!x || !y) exit(2);
    for (i = 0; i < in; i++) x[i] = (nn_real)uniform(-1, 1);
    for (i = 0; i < out; i++) y[i] = (nn_real)uniform(0, 1);
    how.epochs = 4;
    how.batch_size = 6;
    how.patience = 9;
    if (optimizer != NN_ADAM) how.momentum = 0.5f;
    for (i = 1; i + 1 < (size_t)net->count; i++) dropout[i] = 0.25f;
    if (drop) how.dropout = dropout;
    CHECK(nn_fit(whole, &data, &how) == NN_OK);
    how.callback = stop_after_two;
    trainer = make_trainer(half, &how);
    CHECK(nn_trainer_fit(trainer, &data) == NN_OK);
    file = save_trainer(trainer);
    nn_trainer_free(trainer);
    how.callback = NULL;
    trainer = make_trainer(other, &how);
    CHECK(nn_load_checkpoint_memory(trainer, file.at, file.size, NULL) == NN_OK);
    CHECK(same_parameters(half, other));
    changed = !same_parameters(whole, other);
    CHECK(nn_trainer_fit(trainer, &data) == NN_OK);
    CHECK(same_parameters(whole, other));
    nn_trainer_free(trainer);
    nn_model_free(whole);
    nn_model_free(half);
    nn_model_free(other);
    free(file.at);
    free(x);
    free(y);
    return changed;
}

static void test_checkpoints(void)
{
    int i, changed = 0;

    for (i = 0; i < 24; i++) {
        image_net net = random_net(i & 1);
        if (net.layers[net.count - 1].activation == NN_SOFTMAX)
            net.layers[net.count - 1].activation = NN_SIGMOID;
        changed += check_resumed(&net, (nn_optimizer)(i % NN_OPTIMIZER_COUNT), i % 4 > 1);
    }
    CHECK(changed > 12);
}

/* A checkpoint is for the same layers and options. */
static void test_other_checkpoint(void)
{
    nn_layer layers[] = {NN_IMAGE(1, 9, 1), NN_CONV1D(2, 3, 1, NN_PADDING_SAME, NN_RELU),
                         NN_GLOBAL_AVERAGE, NN_DENSE(1, NN_LINEAR)};
    nn_model *model = make_model(9, layers, 4, 1), *other, *third;
    nn_trainer *trainer = make_trainer(model, NULL), *second;
    bytes file = save_trainer(trainer);
    nn_location place;

    layers[1].stride_width = 2;
    other = make_model(9, layers, 4, 2);
    second = make_trainer(other, NULL);
    CHECK(nn_load_checkpoint_memory(second, file.at, file.size, &place) == NN_ERROR_METADATA);
    nn_trainer_free(second);
    layers[1].stride_width = 1;
    layers[1].activation = NN_TANH;
    third = make_model(9, layers, 4, 2);
    second = make_trainer(third, NULL);
    CHECK(nn_load_checkpoint_memory(second, file.at, file.size, &place) == NN_ERROR_OPTION);
    CHECK(!strcmp(place.name, "activation"));
    nn_trainer_free(second);
    nn_trainer_free(trainer);
    nn_model_free(model);
    nn_model_free(other);
    nn_model_free(third);
    free(file.at);
}

int main(int argc, char **argv)
{
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    random_state = seed;
    RUN(test_checkpoints);
    RUN(test_other_checkpoint);
    return test_done();
}
