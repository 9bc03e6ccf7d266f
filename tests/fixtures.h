/* What several tests share. To be included after nn.h. */
#ifndef FIXTURES_H
#define FIXTURES_H

/* nn_evaluate with a loss whose other options are defaults. */
TEST_FUNCTION nn_status evaluate(const nn_model *model, const nn_data *data, nn_loss loss,
                                 nn_metrics *metrics)
{
    nn_options options;

    memset(&options, 0, sizeof options);
    options.loss = loss;
    return nn_evaluate(model, data, &options, metrics);
}

#endif
