/* NN_ONLY_LOSSES with cross-entropies alone: what computes from differences of outputs and targets
   is left out too, and the rest gives the results that it gives beside other losses. */
#define NN_ONLY_LOSSES (1u << NN_BINARY_CROSS_ENTROPY)
#define NN_IMPLEMENTATION
#include "../fixtures.h"

/* The smallest net by hand: one update of p = 1 / (1 + exp(-w x)) from w = 0 and b = 0. */
static void test_update(void)
{
    static const nn_real x = 2, y = 1;
    nn_options how = make_options(NN_BINARY_CROSS_ENTROPY, NN_SGD, 0.5);
    nn_model *model = make_unit(NN_SIGMOID, 0, 0);
    nn_trainer *trainer = make_trainer(model, &how);
    nn_real loss = NAN;
    CHECK(nn_train_batch(trainer, &x, &y, 1, &loss) == NN_OK);
    CHECK_NEAR(loss, log(2.0), 1e-6, 0);
    CHECK(nn_parameters(model)[0] == 0.5f && nn_parameters(model)[1] == 0.25f);
    nn_trainer_free(trainer);
    nn_model_free(model);
}

static void test_measures(void)
{
    nn_data data = example_data();
    nn_options how = example_options();
    nn_model *model = example_model(1);
    nn_input_importance importance[EXAMPLE_INPUTS];
    nn_metrics metrics;
    int matrix[4];
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    CHECK(nn_evaluate(model, &data, &how, &metrics) == NN_OK && metrics.loss > 0);
    CHECK(nn_confusion_matrix(model, &data, matrix) == NN_OK); /* which uses no loss */
    CHECK(matrix[0] + matrix[1] + matrix[2] + matrix[3] == data.rows);
    CHECK(matrix[0] + matrix[3] == metrics.correct);
    CHECK(nn_importance(model, &data, &how, 2, importance) == NN_OK);
    CHECK(nn_evaluate(model, &data, NULL, &metrics) == NN_ERROR_LOSS);
    nn_model_free(model);
}

int main(void)
{
    RUN(test_update);
    RUN(test_measures);
    return test_done();
}
