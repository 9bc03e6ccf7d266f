/* Reading without a heap: the tensors must be in the order of the data; layers are found in the
   order of their names, by reading the header once for each; and no header is read for so many
   layers that it would take long. */
#define NN_NO_MALLOC
#define NN_NO_STDIO
#ifndef NN_NO_SIMD
#define NN_NO_SIMD
#endif
#define NN_IMPLEMENTATION /* with a macro that counts the bytes that are read */
#include "../test.h"

static double reads;

static unsigned char read_byte(const unsigned char *pointer)
{
    reads++;
    return *pointer;
}

#define NN_READ_BYTE(pointer) read_byte(pointer)

#include "files.h"

#define TENSOR(name, type, shape, from, to)                                                        \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" #from "," #to  \
    "]}"

/* A file with the header, and the floats 1, 2, ... */
static bytes make_file(const char *header, int floats)
{
    const size_t length = strlen(header);
    bytes b = make_bytes(8 + length + 4 * (size_t)floats);
    int i, k;
    put_length(b.at, length);
    memcpy(b.at + 8, header, length);
    for (i = 0; i < floats; i++) {
        const float value = (float)(i + 1);
        uint32_t bits;
        memcpy(&bits, &value, 4);
        for (k = 0; k < 4; k++)
            b.at[8 + length + 4 * (size_t)i + (size_t)k] = (unsigned char)(bits >> (8 * k));
    }
    return b;
}

enum { MOST = 3000 };
static nn_layer layers[MOST];

/* A chain of layers 1-1-1...; the caller frees the memory that *block becomes. */
static nn_model *make_chain(int count, void **block)
{
    nn_shape shape;
    nn_model *model = NULL;
    size_t size;
    int i;

    for (i = 0; i < count; i++) layers[i] = dense_layer(1, NN_LINEAR);
    shape.inputs = 1;
    shape.layers = layers;
    shape.count = count;
    size = nn_model_size(&shape);
    *block = malloc(size);
    if (!*block || nn_model_create_in(&model, *block, size, &shape, 1) != NN_OK) exit(2);
    return model;
}

/* What most headers have: the layers' weights, and what is no layer's behind them. */
#define FIRST  TENSOR("0.weight", "F32", "1,1", 0, 4)
#define SECOND TENSOR("1.weight", "F32", "1,1", 4, 8)
#define REST   TENSOR("x", "F32", "2", 8, 16)

/* Two layers 1-1-1 and two weights, then two biases: 1, 2, 3, 4 where they stand. */
static void test_small(void)
{
    static const struct example {
        const char *entries[4]; /* of the header, which has commas between them */
        nn_status status;
        nn_real parameters[4];
        const char *tensor;
    } examples[] = {
        {{FIRST, TENSOR("0.bias", "F32", "1", 4, 8), TENSOR("2.weight", "F32", "1,1", 8, 12),
          TENSOR("2.bias", "F32", "1", 12, 16)},
         NN_OK,
         {1, 2, 3, 4},
         ""},
        /* as PyTorch writes them: by the characters of their names */
        {{TENSOR("10.bias", "F32", "1", 0, 4), TENSOR("10.weight", "F32", "1,1", 4, 8),
          TENSOR("8.bias", "F32", "1", 8, 12), TENSOR("8.weight", "F32", "1,1", 12, 16)},
         NN_OK,
         {4, 3, 2, 1},
         ""},
        {{FIRST, TENSOR("x", "C64", "9", 4, 8), TENSOR("1.bias", "F32", "1", 8, 12),
          TENSOR("1.weight", "F32", "1,1", 12, 16)},
         NN_OK,
         {1, 0, 4, 3},
         ""},
        {{"\"__metadata__\":null", FIRST, SECOND, TENSOR("x", "F16", "4", 8, 16)},
         NN_OK,
         {1, 0, 2, 0},
         ""},
        {{TENSOR("0.weight", "BF16", "1,1", 0, 2), TENSOR("1.weight", "F16", "1,1", 2, 4),
          TENSOR("x", "U8", "12", 4, 16)},
         NN_OK,
         {0, 0, (nn_real)1.875, 0},
         ""},
        /* not in the order of the data, holes, overlaps */
        {{SECOND, FIRST, REST}, NN_ERROR_HEADER, {0}, "1.weight"},
        {{FIRST, TENSOR("1.weight", "F32", "1,1", 0, 4), TENSOR("x", "F32", "3", 4, 16)},
         NN_ERROR_HEADER,
         {0},
         "1.weight"},
        {{FIRST, TENSOR("1.weight", "F32", "1,1", 8, 12), TENSOR("x", "F32", "1", 12, 16)},
         NN_ERROR_HEADER,
         {0},
         "1.weight"},
        {{FIRST, SECOND}, NN_ERROR_TRUNCATED, {0}, ""},
        {{FIRST, SECOND, TENSOR("x", "F32", "3", 8, 20)}, NN_ERROR_TRUNCATED, {0}, ""},
        /* what is not needed, and what is left over */
        {{FIRST, SECOND, TENSOR("0.weight_g", "F32", "2", 8, 16)},
         NN_ERROR_TENSOR,
         {0},
         "0.weight_g"},
        {{FIRST, SECOND, TENSOR("2.bias", "F32", "2", 8, 16)}, NN_ERROR_TENSOR, {0}, "2.bias"},
        {{FIRST, TENSOR("b.weight", "F32", "1,1", 4, 8), REST}, NN_ERROR_TENSOR, {0}, "b.weight"},
        {{FIRST, SECOND, TENSOR("1.weight", "F32", "1,1", 8, 12), TENSOR("x", "F32", "1", 12, 16)},
         NN_ERROR_TENSOR,
         {0},
         "1.weight"},
        {{FIRST, TENSOR("1.weight", "C64", "1,1", 4, 8), REST}, NN_ERROR_TENSOR, {0}, "1.weight"},
        {{FIRST, "\"1.weight\":{\"a\":1,\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[4,8]}",
          REST},
         NN_ERROR_HEADER,
         {0},
         "1.weight"},
    };
    static const char *const names[] = {"0", "2"};
    void *block;
    nn_model *model = make_chain(2, &block);
    size_t i;

    for (i = 0; i < sizeof examples / sizeof *examples; i++) {
        const char *const *entries = examples[i].entries;
        char header[400] = "{";
        bytes file;
        nn_location place;
        nn_status status;
        int k;

        for (k = 0; k < 4 && entries[k]; k++) strcat(strcat(header, k ? "," : ""), entries[k]);
        file = make_file(strcat(header, "}"), 4);
        if (i == 4) memcpy(file.at + file.size - 16, "\0\0\x80\x3f", 4); /* 0 and 1.875 */
        status = nn_load_parameters_memory(model, file.at, file.size, NULL, &place);
        if (!CHECK(status == examples[i].status) ||
            !CHECK(!strcmp(place.name, examples[i].tensor)) ||
            !CHECK(status != NN_OK ||
                   !memcmp(nn_parameters(model), examples[i].parameters, 4 * sizeof(nn_real))))
            printf("example %d: status %d at \"%s\"\n", (int)i, (int)status, place.name);
        if (i == 0)
            CHECK(nn_load_parameters_memory(model, file.at, file.size, names, NULL) ==
                  NN_ERROR_OPTION);
        free(file.at);
    }
    free(block);
}

/* A model that cannot be read back is not saved, and one that another build saved is refused at
   once. */
static void test_work(void)
{
    static const int counts[] = {100, 500, MOST};
    int i;

    for (i = 0; i < 3; i++) {
        void *block;
        const int refused = counts[i] == MOST;
        nn_model *model = make_chain(counts[i], &block);
        size_t size = 0;
        nn_status status = nn_save_memory(model, NULL, 0, &size);
        bytes file, again;

        CHECK(status == (refused ? NN_ERROR_OVERFLOW : NN_OK));
        if (refused) { /* by hand: a header as long, of one layer's tensors and many spaces */
            static const char tensor[] = FIRST;
            const size_t length = 400000;
            char *header = (char *)malloc(length + 1);
            if (!header) exit(2);
            memset(header, ' ', length);
            header[0] = '{';
            memcpy(header + length / 2, tensor, sizeof tensor - 1);
            header[length - 1] = '}';
            header[length] = 0;
            file = make_file(header, 1);
            reads = 0;
            status = nn_load_parameters_memory(model, file.at, file.size, NULL, NULL);
            CHECK(status == NN_ERROR_OVERFLOW && reads < 10 * (double)file.size);
            free(header);
        } else {
            file = save_model(model);
            CHECK(nn_initialize(model, NN_INITIALIZE_DEFAULT, 2) == NN_OK);
            CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_OK);
            again = save_model(model);
            CHECK(same_bytes(file, again));
            free(again.at);
        }
        free(file.at);
        free(block);
    }
}

/* A net with an image and pools: saved and loaded, opened in place, and filled by a file of
   PyTorch's nn.Sequential(Conv1d, ReLU, MaxPool1d, Flatten, Linear). */
static void test_images(void)
{
    static const nn_layer net[] = {NN_IMAGE(1, 4, 2), NN_CONV1D(3, 2, 1, NN_PADDING_NONE, NN_RELU),
                                   NN_MAX_POOL1D(2, 1), NN_DENSE(2, NN_LINEAR)};
    static const nn_shape shape = {8, net, 4};
    static const char header[] = "{" TENSOR("0.bias", "F32", "3", 0, 12) "," TENSOR(
        "0.weight", "F32", "3,2,2", 12, 60) "," TENSOR("3.bias", "F32", "2", 60,
                                                       68) "," TENSOR("3.weight", "F32", "2,6", 68,
                                                                      116) "}";
    const size_t size = nn_model_size(&shape);
    void *blocks[2] = {malloc(size), malloc(size)};
    nn_model *model = NULL, *other = NULL;
    nn_real x[8], y[2], z[2];
    int i, o, c, k;
    bytes file;

    if (!blocks[0] || !blocks[1]) exit(2);
    CHECK(nn_model_create_in(&model, blocks[0], size, &shape, 1) == NN_OK);
    CHECK(nn_model_create_in(&other, blocks[1], size, &shape, 2) == NN_OK);
    for (i = 0; i < 8; i++) x[i] = (nn_real)(i % 3) - (nn_real)0.75;
    file = save_model(model);
    CHECK(nn_load_parameters_memory(other, file.at, file.size, NULL, NULL) == NN_OK);
    CHECK(same_parameters(model, other));
    CHECK(nn_predict(model, x, 1, y, NULL) == NN_OK && y[0] != y[1]);
    CHECK(nn_model_open_size(file.at, file.size) < size);
    if (CHECK(nn_model_open_in(&other, blocks[1], nn_model_open_size(file.at, file.size), file.at,
                               file.size) == NN_OK))
        CHECK(nn_predict(other, x, 1, z, NULL) == NN_OK && !memcmp(y, z, sizeof y));
    free(file.at);

    file = make_file(header, 29);
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_OK);
    for (o = 0; o < 3; o++)
        for (c = 0; c < 2; c++)
            for (k = 0; k < 2; k++)
                CHECK(nn_parameters(model)[(k * 2 + c) * 3 + o] ==
                      (nn_real)(4 + (o * 2 + c) * 2 + k));
    for (o = 0; o < 2; o++)
        for (c = 0; c < 3; c++)
            for (k = 0; k < 2; k++)
                CHECK(nn_parameters(model)[15 + (k * 3 + c) * 2 + o] ==
                      (nn_real)(18 + (o * 3 + c) * 2 + k));
    free(file.at);
    free(blocks[0]);
    free(blocks[1]);
}

int main(void)
{
    RUN(test_small);
    RUN(test_work);
    RUN(test_images);
    return test_done();
}
