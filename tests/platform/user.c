/* A user's program, for header.sh: partly filled layers, zeroed options, and a check that what was
   linked works. */
#include "nn.h"

int main(void)
{
    const nn_layer layers[] = {NN_DENSE(3, NN_RELU), NN_DENSE(1, NN_LINEAR)};
#ifdef __cplusplus
    nn_options how = {};
    nn_data data = {};
#else
    nn_options how = {0};
    nn_data data = {0};
#endif
    const nn_real x[2] = {1, 2}, y[2] = {1, 2};
    const size_t opened = NN_MODEL_OPEN_SIZE(1, 3, 1), whole = NN_MODEL_SIZE(1, 3, 1);
    const size_t trainer = NN_TRAINER_SIZE(0, 32, 1, 3, 1);
    nn_metrics result;
    nn_model *model;
    data.rows = 2;
    data.inputs = data.outputs = 1;
    data.x = x;
    data.y = y;
    how.epochs = 2;
    if (nn_model_create(&model, 1, layers, 2, 1) != NN_OK) return 1;
    if (nn_fit(model, &data, &how) != NN_OK) return 2;
    if (nn_evaluate(model, &data, &how, &result) != NN_OK || !(result.loss >= 0)) return 3;
    nn_model_free(model);
    if (opened >= whole || trainer < whole) return 4;
    return 0;
}
