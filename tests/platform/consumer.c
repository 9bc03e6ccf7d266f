/* A program of a user's project, for install.sh: trains a small net and prints the version and a
   hash of the weights. Its own lines give no warning under any option. */
#define NN_NO_SIMD /* compiles faster, with the same result */
#define NN_IMPLEMENTATION
#include <nn.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    static const nn_layer layers[] = {NN_DENSE(8, NN_TANH), NN_DENSE(1, NN_SIGMOID)};
    static const nn_real x[] = {0, 0, 0, 1, 1, 0, 1, 1}, y[] = {0, 1, 1, 0};
    nn_options how;
    nn_data data;
    nn_model *model;
    unsigned char bytes[sizeof(nn_real)];
    uint32_t hash = 0x811c9dc5; /* FNV-1a */
    char version[32];
    size_t i, byte;

    memset(&data, 0, sizeof data);
    data.rows = 4;
    data.inputs = 2;
    data.outputs = 1;
    data.x = x;
    data.y = y;
    memset(&how, 0, sizeof how);
    how.loss = NN_BINARY_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.epochs = 50;
    if (nn_model_create(&model, 2, layers, 2, 1) != NN_OK) return 1;
    if (nn_fit(model, &data, &how) != NN_OK) return 2;
    for (i = 0; i < nn_parameter_count(model); i++) {
        memcpy(bytes, nn_parameters(model) + i, sizeof bytes);
        for (byte = 0; byte < sizeof bytes; byte++) hash = (hash ^ bytes[byte]) * 0x01000193u;
    }
    nn_model_free(model);
    snprintf(version, sizeof version, "%d.%d.%d", NN_VERSION_MAJOR, NN_VERSION_MINOR,
             NN_VERSION_PATCH);
    if (strcmp(version, NN_VERSION) != 0) return 3;
    printf("nn.h %s, weights %08lx\n", NN_VERSION, 0ul + hash);
    return 0;
}
