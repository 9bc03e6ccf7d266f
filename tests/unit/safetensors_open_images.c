/* Models with convolutions and pools over the bytes of a saved file: the same bits as the model that
   was saved. Usage: safetensors_open_images [SEED] */
#include "safetensors_open.h"

#include "image_models.h"

/* Saves the net and opens it somewhere; one byte less is refused. */
static void check_net(const image_net *net, size_t file_shift, size_t shift)
{
    nn_model *model = make_net(net, seed), *none = model;
    nn_real mean[NET_INPUTS], deviation[NET_INPUTS];
    bytes file;
    opened o;
    int i;

    for (i = 0; i < net->inputs; i++) {
        mean[i] = (nn_real)(i % 7) / 8;
        deviation[i] = (nn_real)(1 + i % 3);
    }
    if (shift % 3 == 0) CHECK(nn_set_scaling(model, mean, deviation) == NN_OK);
    file = save_model(model);
    o = open_at(file, file_shift, shift);
    if (CHECK(o.status == NN_OK)) {
        CHECK(same_layers(model, o.model) && nn_parameters(o.model) == NULL);
        CHECK(nn_parameter_count(o.model) == nn_parameter_count(model));
        CHECK(nn_scratch_size(o.model, 3) == nn_scratch_size(model, 3));
        CHECK(predict_alike(net, model, o.model, 1));
        CHECK(predict_alike(net, model, o.model, 3));
        CHECK(predict_alike(net, model, o.model, 33));
        CHECK(is_stored(o.file.at + file_shift, file));
        CHECK(nn_model_open_in(&none, o.memory, o.size - 1, o.file.at + file_shift, file.size) ==
                  NN_ERROR_BLOCK &&
              !none);
    }
    close_opened(&o);
    free(file.at);
    nn_model_free(model);
}

static void test_nets(void)
{
    int i;

    for (i = 0; i < 200; i++) {
        const image_net net = random_net(i & 1);
        check_net(&net, (size_t)i % 9, (size_t)i * 5 % 71);
    }
}

/* Metrics too, and the classes. */
static void test_metrics(void)
{
    static const nn_layer layers[] = {NN_IMAGE(3, 4, 2),
                                      NN_CONV2D(3, 3, 1, NN_PADDING_SAME, NN_RELU),
                                      NN_MAX_POOL2D(2, 1), NN_DENSE(3, NN_SOFTMAX)};
    nn_model *model = make_scaled(24, layers, 4, NN_SCALE_STANDARD);
    bytes file = save_model(model);
    opened o = open_at(file, 1, 2);
    nn_data data = data_for(model);
    nn_metrics a, b;
    int ca[ROWS], cb[ROWS];

    if (CHECK(o.status == NN_OK)) {
        CHECK(evaluate(model, &data, NN_CROSS_ENTROPY, &a) == NN_OK);
        CHECK(evaluate(o.model, &data, NN_CROSS_ENTROPY, &b) == NN_OK);
        CHECK(!memcmp(&a, &b, sizeof a) && a.loss > 0);
        CHECK(nn_predict_classes(model, inputs, ROWS, ca, NULL) == NN_OK);
        CHECK(nn_predict_classes(o.model, inputs, ROWS, cb, NULL) == NN_OK);
        CHECK(!memcmp(ca, cb, sizeof ca));
    }
    close_opened(&o);
    free(file.at);
    nn_model_free(model);
}

/* Every file that is cut, and every byte of the metadata changed under the old checksum and under a
   right one: refused, or a model that predicts. */
static void test_damage(void)
{
    static const nn_layer layers[] = {NN_IMAGE(1, 4, 1),
                                      NN_CONV1D(1, 2, 1, NN_PADDING_SAME, NN_TANH),
                                      NN_AVERAGE_POOL1D(2, 2), NN_DENSE(1, NN_LINEAR)};
    nn_model *model = make_model(4, layers, 4, seed);
    bytes file = save_model(model);
    const size_t end = 8 + header_size(file);
    size_t i, k;
    int taken = 0;

    for (i = 0; i < file.size; i++) {
        bytes cut = copy_bytes(file.at, i);
        opened o = open_at(cut, 0, 0);
        CHECK(o.status != NN_OK && o.size == 0);
        close_opened(&o);
        free(cut.at);
    }
    for (i = 8; i < end; i++) {
        for (k = 0; k < 6; k++) {
            bytes b = copy_bytes(file.at, file.size);
            opened o;
            b.at[i] = (unsigned char)(k < 2 ? b.at[i] + 1 - 2 * (int)k : "19x,"[k - 2]);
            if (b.at[i] == file.at[i]) {
                free(b.at);
                continue;
            }
            o = open_at(b, 0, 1);
            CHECK(o.status != NN_OK);
            close_opened(&o);
            if (put_checksum(b)) {
                o = open_at(b, 1, 0);
                taken += o.status == NN_OK;
                if (o.status == NN_OK) {
                    nn_shape shape;
                    nn_real y[64];
                    CHECK(nn_get_shape(o.model, &shape) == NN_OK && shape.inputs <= WIDEST);
                    CHECK(nn_predict(o.model, inputs, 1, y, NULL) == NN_OK);
                }
                close_opened(&o);
            }
            free(b.at);
        }
    }
    CHECK(taken > 0);
    free(file.at);
    nn_model_free(model);
}

int main(int argc, char **argv)
{
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    random_state = seed;
    make_inputs();
    RUN(test_nets);
    RUN(test_metrics);
    RUN(test_damage);
    return test_done();
}
