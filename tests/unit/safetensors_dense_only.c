/* A build without convolutions reads the files of dense nets, and refuses those of nets with an
   image, which its metadata cannot describe. */
#define NN_NO_CONVOLUTION
#ifndef NN_NO_SIMD
#define NN_NO_SIMD
#endif
#define NN_IMPLEMENTATION
#include "files.h"

/* A net 3-2-1 and one of an image 1 x 3 x 1, with the same tensors but for the shape of one. */
#define HEADER(version, layers, activations, shape)                                                \
    "{\"__metadata__\":{\"format\":\"pt\",\"nn.version\":\"" version "\"," layers                  \
    ",\"nn.activations\":\"" activations "\",\"nn.scaling\":\"none\",\"nn.scaling_values\":\"\""   \
    ",\"nn.crc32\":\"00000000\"},\"0.weight\":{\"dtype\":\"" OWN_TYPE "\",\"shape\":[" shape       \
    "],\"data_offsets\":[0,%d]},\"0.bias\":{\"dtype\":\"" OWN_TYPE                                 \
    "\",\"shape\":[2],\"data_offsets\":[%d,%d]},\"2.weight\":{\"dtype\":\"" OWN_TYPE               \
    "\",\"shape\":[1,2],\"data_offsets\":[%d,%d]},\"2.bias\":{\"dtype\":\"" OWN_TYPE               \
    "\",\"shape\":[1],\"data_offsets\":[%d,%d]}}"

static bytes make_file(const char *header)
{
    const int real = (int)sizeof(nn_real);
    char text[2000];
    size_t length;
    bytes file;

    memset(text, ' ', sizeof text);
    length = (size_t)sprintf(text, header, 6 * real, 6 * real, 8 * real, 8 * real, 10 * real,
                             10 * real, 11 * real);
    text[length] = ' ';
    length = (length + 7) / 8 * 8;
    file = make_bytes(8 + length + 11 * sizeof(nn_real));
    put_length(file.at, length);
    memcpy(file.at + 8, text, length);
    memset(file.at + 8 + length, 0x30, file.size - 8 - length); /* numbers that are finite */
    CHECK(put_checksum(file));
    return file;
}

static void check_file(const char *header, nn_status status)
{
    static const nn_layer layers[] = {NN_DENSE(2, NN_RELU), NN_DENSE(1, NN_LINEAR)};
    static unsigned char memory[NN_MODEL_SIZE(3, 2, 1)];
    bytes file = make_file(header);
    nn_model *model = make_model(3, layers, 2, 1), *loaded = model, *opened = model;

    CHECK(nn_load_memory(&loaded, file.at, file.size, NULL) == status);
    CHECK((loaded != NULL) == (status == NN_OK));
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == status);
    CHECK((nn_model_open_size(file.at, file.size) == NN_MODEL_OPEN_SIZE(3, 2, 1)) ==
          (status == NN_OK));
    CHECK(nn_model_open_in(&opened, memory, sizeof memory, file.at, file.size) == status);
    CHECK((opened != NULL) == (status == NN_OK));
    if (status == NN_OK) CHECK(same_predictions(model, opened) && same_predictions(model, loaded));
    nn_model_free(loaded);
    nn_model_free(model);
    free(file.at);
}

static void test_dense(void)
{
    check_file(HEADER("1", "\"nn.widths\":\"3,2,1\"", "relu,linear", "2,3"), NN_OK);
}

static void test_image(void)
{
    check_file(HEADER("3",
                      "\"nn.layers\":\"image 1x3x1,convolution 2 1x3 stride 1x1 none,dense 1\"",
                      "linear,relu,linear", "2,1,3"),
               NN_ERROR_METADATA);
    check_file(
        HEADER("3", "\"nn.layers\":\"image 1x3x1,dense 2,dense 1\"", "linear,relu,linear", "2,3"),
        NN_ERROR_METADATA);
}

int main(void)
{
    RUN(test_dense);
    RUN(test_image);
    return test_done();
}
