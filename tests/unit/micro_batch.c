/* A batch that goes through the net in parts: the same bits as all at once, in less memory. */
#include "../fixtures.h"

enum { ROWS = 37, INPUTS = 3, OUTPUTS = 2, BATCH = 16, PARAMETERS = 4 * 5 + 6 * 2 };

static nn_real x[ROWS * INPUTS], y[ROWS * OUTPUTS], weight[ROWS];

static nn_data make_rows(int weighted)
{
    nn_data data;
    uint32_t state = 1;
    int i;

    for (i = 0; i < ROWS * INPUTS; i++)
        x[i] = (nn_real)((state = state * 1664525 + 1013904223) >> 16) / 32768 - 1;
    for (i = 0; i < ROWS; i++) {
        y[i * OUTPUTS] = (nn_real)(x[i * INPUTS] > 0);
        y[i * OUTPUTS + 1] = 1 - y[i * OUTPUTS];
        weight[i] = (nn_real)(i % 5 == 0 || i > 30 ? 0 : i % 7 + 1);
    }
    data = make_data(x, y, ROWS, INPUTS, OUTPUTS);
    data.classes = OUTPUTS;
    data.weight = weighted ? weight : NULL;
    return data;
}

static nn_model *make_net(nn_activation hidden, nn_activation output)
{
    nn_layer layers[2];
    nn_model *model = NULL;

    layers[0] = dense_layer(5, hidden);
    layers[1] = dense_layer(OUTPUTS, output);
    if (!CHECK(nn_model_create(&model, INPUTS, layers, 2, 1) == NN_OK)) exit(1);
    return model;
}

/* What a training run leaves. */
typedef struct outcome {
    nn_real parameters[PARAMETERS], gradients[PARAMETERS], loss, validation_loss;
} outcome;

static int keep_losses(const nn_progress *progress, void *user)
{
    outcome *of = (outcome *)user;

    of->loss = progress->loss;
    of->validation_loss = progress->validation_loss;
    return 0;
}

static outcome train(nn_options how, const nn_data *data, nn_activation hidden,
                     nn_activation output)
{
    nn_model *model = make_net(hidden, output);
    nn_trainer *trainer;
    outcome of;

    memset(&of, 0, sizeof of);
    how.callback = keep_losses;
    how.user = &of;
    trainer = make_trainer(model, &how);
    CHECK(nn_parameter_count(model) == PARAMETERS);
    CHECK(nn_trainer_fit(trainer, data) == NN_OK);
    memcpy(of.parameters, nn_parameters(model), sizeof of.parameters);
    memcpy(of.gradients, nn_gradients(trainer), sizeof of.gradients);
    nn_trainer_free(trainer);
    nn_model_free(model);
    return of;
}

static void test_same_bits(void)
{
    static const struct {
        nn_activation hidden, output;
        nn_loss loss;
    } kinds[] = {{NN_RELU, NN_SOFTMAX, NN_CROSS_ENTROPY},
                 {NN_TANH, NN_SIGMOID, NN_BINARY_CROSS_ENTROPY},
                 {NN_LEAKY_RELU, NN_SOFTMAX, NN_MSE},
                 {NN_SIGMOID, NN_LINEAR, NN_HUBER},
                 {NN_GELU, NN_SILU, NN_MAE},
                 {NN_SILU, NN_SOFTPLUS, NN_QUANTILE},
                 {NN_SOFTPLUS, NN_ELU, NN_MAE},
                 {NN_ELU, NN_GELU, NN_QUANTILE}};
    int kind, weighted, micro;

    for (kind = 0; kind < COUNT_OF(kinds); kind++) {
        for (weighted = 0; weighted < 2; weighted++) {
            const nn_data data = make_rows(weighted);
            nn_options how;
            outcome whole, part;

            how = make_options(kinds[kind].loss,
                               kind > 3   ? NN_RMSPROP
                               : weighted ? NN_ADAM
                                          : NN_SGD,
                               0);
            how.momentum = weighted ? 0 : (nn_real)0.9;
            how.quantile = kinds[kind].loss == NN_QUANTILE ? (nn_real)0.25 : 0;
            how.batch_size = BATCH;
            how.epochs = 4;
            how.validation_fraction = (nn_real)0.2;
            how.clip_norm = (nn_real)0.1;
            whole = train(how, &data, kinds[kind].hidden, kinds[kind].output);
            CHECK(whole.parameters[0] != 0 && whole.gradients[0] != 0);
            for (micro = 1; micro <= BATCH + 1; micro++) {
                how.micro_batch_size = micro;
                part = train(how, &data, kinds[kind].hidden, kinds[kind].output);
                CHECK(memcmp(&whole, &part, sizeof whole) == 0);
            }
        }
    }
}

/* By the batch: rows up to batch_size; by the step: rows up to micro_batch_size. */
static void test_limits(void)
{
    nn_model *model = make_net(NN_RELU, NN_SOFTMAX);
    nn_data data = make_rows(1);
    const nn_real *p;
    nn_options how;
    nn_trainer *trainer;
    size_t whole;

    how = make_options(NN_CROSS_ENTROPY, NN_SGD, 0);
    how.batch_size = BATCH;
    whole = nn_trainer_size(model, &how);
    how.micro_batch_size = 3;
    CHECK(nn_trainer_size(model, &how) < whole);
    trainer = make_trainer(model, &how);
    CHECK(nn_train_batch(trainer, x, y, BATCH, NULL) == NN_OK);
    CHECK(nn_train_batch(trainer, x, y, BATCH + 1, NULL) == NN_ERROR_BATCH);
    CHECK(nn_forward(trainer, x, 3, &p) == NN_OK);
    CHECK(nn_forward(trainer, x, 4, &p) == NN_ERROR_BATCH && !p);
    data.rows = BATCH;
    CHECK(nn_accumulate(trainer, &data, NULL) == NN_OK);
    nn_trainer_free(trainer);
    how.micro_batch_size = -1;
    CHECK(nn_trainer_size(model, &how) == 0);
    CHECK(nn_trainer_create(&trainer, model, &how) == NN_ERROR_OPTION && !trainer);
    nn_model_free(model);
}

/* The loss of the fourth row overflows when three are in the gradients already. */
static void test_diverges_midway(void)
{
    nn_model *model = make_net(NN_LINEAR, NN_LINEAR);
    const nn_data data = make_rows(0);
    nn_real wide[4 * INPUTS], *gradients;
    nn_options how;
    nn_trainer *trainer;
    size_t size;
    int i;

    memset(&how, 0, sizeof how);
    how.micro_batch_size = 3;
    trainer = make_trainer(model, &how);
    memcpy(wide, data.x, sizeof wide);
    for (i = 0; i < INPUTS; i++)
        wide[3 * INPUTS + i] = (nn_real)(sizeof(nn_real) == 4 ? 3e38 : 1e308);
    CHECK(nn_train_batch(trainer, wide, y, 3, NULL) == NN_OK);
    gradients = nn_gradients(trainer);
    CHECK(gradients[0] != 0);
    CHECK(nn_train_batch(trainer, wide, y, 4, NULL) == NN_ERROR_DIVERGED);
    for (i = 0; i < PARAMETERS; i++) CHECK(gradients[i] == 0);
    CHECK(nn_save_checkpoint_memory(trainer, NULL, 0, &size) == NN_OK); /* nothing is pending */
    nn_trainer_free(trainer);
    nn_model_free(model);
}

/* A trainer on the heap has its own copy of the options, and of their dropout. */
static void test_options_are_copied(void)
{
    nn_real dropout[2] = {(nn_real)0.5, 0}, first[PARAMETERS];
    const nn_data data = make_rows(0);
    nn_options how;
    int changed;

    for (changed = 0; changed < 2; changed++) {
        nn_model *model = make_net(NN_RELU, NN_SOFTMAX);
        nn_trainer *trainer;

        how = make_options(NN_CROSS_ENTROPY, NN_ADAM, 0);
        how.epochs = 3;
        how.dropout = dropout;
        dropout[0] = (nn_real)0.5;
        trainer = make_trainer(model, &how);
        if (changed) {
            memset(&how, 0, sizeof how);
            dropout[0] = 0;
        }
        CHECK(nn_trainer_fit(trainer, &data) == NN_OK);
        if (!changed) memcpy(first, nn_parameters(model), sizeof first);
        CHECK(memcmp(first, nn_parameters(model), sizeof first) == 0);
        nn_trainer_free(trainer);
        nn_model_free(model);
    }
}

int main(void)
{
    RUN(test_same_bits);
    RUN(test_limits);
    RUN(test_diverges_midway);
    RUN(test_options_are_copied);
    return test_done();
}
