/* Model files of nets with convolutions and pools: their layout, round trips, files of PyTorch,
   hostile descriptions of layers. Their checkpoints: checkpoint_images.c.
   Usage: safetensors_images [SEED] */
#include "files.h"
#include "image_models.h"

static uint64_t seed = 1;

/* A net with each kind of layer, and one of a sequence. */
static const nn_layer example[] = {
    NN_IMAGE(6, 5, 2),       NN_CONVOLUTION(3, 2, 3, 1, 2, NN_PADDING_SAME, NN_RELU),
    NN_MAX_POOL(2, 1, 0, 0), NN_CONV2D(4, 2, 1, NN_PADDING_NONE, NN_LINEAR),
    NN_AVERAGE_POOL2D(1, 2), NN_DENSE(3, NN_TANH),
    NN_DENSE(2, NN_SOFTMAX),
};
static const nn_layer sequence[] = {
    NN_IMAGE(1, 12, 3),  NN_CONV1D(4, 3, 1, NN_PADDING_SAME, NN_GELU),
    NN_MAX_POOL1D(2, 2), NN_CONV1D(5, 2, 2, NN_PADDING_NONE, NN_RELU),
    NN_GLOBAL_AVERAGE,   NN_DENSE(2, NN_LINEAR),
};

static nn_model *make_example(uint64_t from)
{
    return make_model(60, example, COUNT_OF(example), from);
}

static nn_model *make_sequence(uint64_t from)
{
    return make_model(36, sequence, COUNT_OF(sequence), from);
}

/* ---- Layout ---------------------------------------------------------------------------------- */

/* `,"name":{...}` of a tensor of so many numbers, which begins behind the one before it. */
static void add_tensor(char *text, const char *name, const char *shape, int numbers, int *offset)
{
    const int end = *offset + numbers * (int)sizeof(nn_real);
    sprintf(text + strlen(text),
            ",\"%s\":{\"dtype\":\"" OWN_TYPE "\",\"shape\":[%s],\"data_offsets\":[%d,%d]}", name,
            shape, *offset, end);
    *offset = end;
}

/* The header is this text, but for the value of the checksum, and then spaces. */
static void check_text(bytes file, const char *metadata, const char *tensors)
{
    const size_t length = header_size(file);
    char *text = (char *)malloc(length + 1), *crc;

    if (!text) exit(2);
    memcpy(text, file.at + 8, length);
    text[length] = 0;
    while (strlen(text) && text[strlen(text) - 1] == ' ') text[strlen(text) - 1] = 0;
    crc = strstr(text, "nn.crc32\":\"");
    if (CHECK(crc != NULL)) {
        CHECK((size_t)(crc - text) == strlen(metadata) &&
              !strncmp(text, metadata, strlen(metadata)));
        crc += 11 + 8;
        if (!CHECK(!strncmp(crc, "\"}", 2) && !strcmp(crc + 2, tensors))) printf("%s\n", text);
    }
    free(text);
}

#define METADATA(layers, activations)                                                              \
    "{\"__metadata__\":{\"format\":\"pt\",\"nn.version\":\"3\",\"nn.layers\":\"" layers            \
    "\",\"nn.activations\":\"" activations                                                         \
    "\",\"nn.scaling\":\"none\",\"nn.scaling_values\":\"\",\""

#define EXAMPLE_TEXT                                                                               \
    "image 6x5x2,convolution 3 2x3 stride 1x2 same,max_pool 2x1 stride 2x1,"                       \
    "convolution 4 2x2 stride 1x1 none,average_pool 1x1 stride 2x2,dense 3,dense 2"
#define EXAMPLE_ACTIVATIONS "linear,relu,linear,linear,linear,tanh,softmax"

/* The names and the shapes are those of PyTorch's nn.Sequential(Conv2d, ReLU, MaxPool2d, Conv2d,
   AvgPool2d, Flatten, Linear, Tanh, Linear, Softmax). */
static void test_header(void)
{
    nn_model *model = make_example(1), *one = make_sequence(1);
    bytes file = save_model(model), other = save_model(one);
    char tensors[2000] = "";
    int offset = 0;

    add_tensor(tensors, "0.weight", "3,2,2,3", 36, &offset);
    add_tensor(tensors, "0.bias", "3", 3, &offset);
    add_tensor(tensors, "3.weight", "4,3,2,2", 48, &offset);
    add_tensor(tensors, "3.bias", "4", 4, &offset);
    add_tensor(tensors, "6.weight", "3,4", 12, &offset);
    add_tensor(tensors, "6.bias", "3", 3, &offset);
    add_tensor(tensors, "8.weight", "2,3", 6, &offset);
    add_tensor(tensors, "8.bias", "2", 2, &offset);
    strcat(tensors, "}");
    check_text(file, METADATA(EXAMPLE_TEXT, EXAMPLE_ACTIVATIONS), tensors);
    CHECK(file.size == 8 + header_size(file) + (size_t)offset && (8 + header_size(file)) % 8 == 0);

    tensors[0] = 0;
    offset = 0;
    add_tensor(tensors, "0.weight", "4,3,3", 36, &offset);
    add_tensor(tensors, "0.bias", "4", 4, &offset);
    add_tensor(tensors, "3.weight", "5,4,2", 40, &offset);
    add_tensor(tensors, "3.bias", "5", 5, &offset);
    add_tensor(tensors, "7.weight", "2,5", 10, &offset);
    add_tensor(tensors, "7.bias", "2", 2, &offset);
    strcat(tensors, "}");
    check_text(other,
               METADATA("image 1x12x3,convolution 4 1x3 stride 1x1 same,max_pool 1x2 stride 1x2,"
                        "convolution 5 1x2 stride 1x2 none,global_average,dense 2",
                        "linear,gelu,linear,relu,linear,linear"),
               tensors);
    free(file.at);
    free(other.at);
    nn_model_free(model);
    nn_model_free(one);
}

static nn_real number_at(bytes file, size_t i)
{
    const unsigned char *at = file.at + 8 + header_size(file) + i * sizeof(nn_real);
    nn_real value;
    uint64_t bits = 0;
    uint32_t low;
    size_t k;

    for (k = sizeof value; k-- > 0;) bits = bits << 8 | at[k];
    low = (uint32_t)bits;
    memcpy(&value, sizeof value == 4 ? (const void *)&low : (const void *)&bits, sizeof value);
    return value;
}

/* Weight (height, width, in, out) of ours is (out, in, height, width) of PyTorch's; the inputs of
   the dense layer behind an image, ours (height, width, channel), are (channel, height, width). */
static void test_weights(void)
{
    static const nn_layer layers[] = {NN_IMAGE(4, 5, 2),
                                      NN_CONVOLUTION(3, 2, 3, 1, 1, NN_PADDING_NONE, NN_RELU),
                                      NN_DENSE(4, NN_TANH), NN_DENSE(2, NN_LINEAR)};
    nn_model *model = make_model(40, layers, 4, 1);
    nn_real *p = nn_parameters(model);
    size_t i, at = 0;
    int o, c, h, w;
    bytes file;

    for (i = 0; i < nn_parameter_count(model); i++) p[i] = (nn_real)i + 1;
    file = save_model(model);
    for (o = 0; o < 3; o++)
        for (c = 0; c < 2; c++)
            for (h = 0; h < 2; h++)
                for (w = 0; w < 3; w++)
                    CHECK(number_at(file, at++) == p[((h * 3 + w) * 2 + c) * 3 + o]);
    p += 36;
    for (o = 0; o < 3; o++) CHECK(number_at(file, at++) == p[o]);
    p += 3;
    for (o = 0; o < 4; o++) /* of an image 3 x 3 x 3 */
        for (c = 0; c < 3; c++)
            for (h = 0; h < 3; h++)
                for (w = 0; w < 3; w++)
                    CHECK(number_at(file, at++) == p[((h * 3 + w) * 3 + c) * 4 + o]);
    p += 108;
    for (o = 0; o < 4; o++) CHECK(number_at(file, at++) == p[o]);
    p += 4;
    for (o = 0; o < 2; o++)
        for (c = 0; c < 4; c++) CHECK(number_at(file, at++) == p[c * 2 + o]);
    p += 8;
    for (o = 0; o < 2; o++) CHECK(number_at(file, at++) == p[o]);
    CHECK(at == nn_parameter_count(model));
    free(file.at);
    nn_model_free(model);
}

/* ---- Round trips ----------------------------------------------------------------------------- */

static void round_trip(const image_net *net, int scaled)
{
    nn_model *model = make_net(net, seed), *filled = make_net(net, seed + 1), *loaded = NULL;
    bytes first, second;

    if (scaled) {
        nn_real x[2 * NET_INPUTS], y[2 * NET_INPUTS];
        nn_data data = make_data(x, y, 2, net->inputs, net->outputs);
        int i;
        for (i = 0; i < 2 * net->inputs; i++) x[i] = (nn_real)uniform(-3, 3);
        for (i = 0; i < 2 * NET_INPUTS; i++) y[i] = (nn_real)i;
        CHECK(nn_fit_scaling(model, &data, NN_SCALE_STANDARD) == NN_OK);
        if (scaled > 1 && net->outputs <= NET_INPUTS)
            CHECK(nn_fit_target_scaling(model, &data, NN_SCALE_MIN_MAX) == NN_OK);
        CHECK(nn_set_metadata(model, "note", "\"a\", b") == NN_OK);
    }
    first = save_model(model);
    if (CHECK(nn_load_memory(&loaded, first.at, first.size, NULL) == NN_OK)) {
        CHECK(same_layers(model, loaded) && same_parameters(model, loaded));
        CHECK(predict_alike(net, model, loaded, 1) && predict_alike(net, model, loaded, 35));
        second = save_model(loaded);
        CHECK(same_bytes(first, second));
        free(second.at);
    }
    CHECK(nn_load_parameters_memory(filled, first.at, first.size, NULL, NULL) == NN_OK);
    CHECK(same_parameters(model, filled) && predict_alike(net, model, filled, 3));
    free(first.at);
    nn_model_free(model);
    nn_model_free(filled);
    nn_model_free(loaded);
}

static void test_round_trip(void)
{
    int i;

    for (i = 0; i < 200; i++) {
        const image_net net = random_net(i & 1);
        round_trip(&net, i / 2 % 3);
    }
}

/* ---- Files of other programs ----------------------------------------------------------------- */

/* 1, 2, 3 ... as numbers of 4 bytes behind a header. */
static bytes make_file(const char *header)
{
    const size_t length = (strlen(header) + 7) / 8 * 8;
    const char *at = header, *next;
    unsigned long end = 0;
    size_t i, k;
    bytes file;

    while ((next = strstr(at, "data_offsets\":[")) != NULL) {
        at = next + 15;
        end = strtoul(strchr(at, ',') + 1, NULL, 10);
    }
    file = make_bytes(8 + length + end);
    put_length(file.at, length);
    memset(file.at + 8, ' ', length);
    memcpy(file.at + 8, header, strlen(header));
    for (i = 0; i < end / 4; i++) {
        const float value = (float)(i + 1);
        uint32_t bits;
        memcpy(&bits, &value, 4);
        for (k = 0; k < 4; k++) file.at[8 + length + 4 * i + k] = (unsigned char)(bits >> (8 * k));
    }
    return file;
}

#define PART(name, shape, from, to)                                                                \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" from "," to "]}"

/* 1 x 4 x 2, convolution 3 of width 2, pool 3: 1 x 1 x 3, dense 2. Its convolution is nn.Conv1d or
   nn.Conv2d, with a bias or without; PyTorch sorts the tensors by their names. */
static void test_foreign(void)
{
    static const nn_layer layers[] = {NN_IMAGE(1, 4, 2),
                                      NN_CONV1D(3, 2, 1, NN_PADDING_NONE, NN_RELU),
                                      NN_MAX_POOL1D(2, 1), NN_DENSE(2, NN_LINEAR)};
    static const struct foreign {
        const char *header;
        const char *names[3];
        nn_status status;
        const char *tensor;
    } files[] = {
        {"{" PART("0.bias", "3", "0", "12") "," PART("0.weight", "3,2,2", "12", "60") "," PART(
             "4.bias", "2", "60", "68") "," PART("4.weight", "2,6", "68", "116") "}",
         {NULL},
         NN_OK,
         ""},
        {"{" PART("0.bias", "3", "0", "12") "," PART("0.weight", "3,2,1,2", "12", "60") "," PART(
             "4.bias", "2", "60", "68") "," PART("4.weight", "2,6", "68", "116") "}",
         {NULL},
         NN_OK,
         ""},
        {"{" PART("b.bias", "3", "0", "12") "," PART("b.weight", "3,2,2", "12", "60") "," PART(
             "a.bias", "2", "60", "68") "," PART("a.weight", "2,6", "68", "116") "}",
         {"b", "a"}, /* the image and the pool have no names */
         NN_OK,
         ""},
        {"{" PART("b.bias", "3", "0", "12") "," PART("b.weight", "3,2,2", "12", "60") "," PART(
             "a.bias", "2", "60", "68") "," PART("a.weight", "2,6", "68", "116") "}",
         {"a", "b"},
         NN_ERROR_TENSOR,
         "a.weight"},
        {"{" PART("0.bias", "3", "0", "12") "," PART("0.weight", "3,2,2,1", "12", "60") "," PART(
             "4.bias", "2", "60", "68") "," PART("4.weight", "2,6", "68", "116") "}",
         {NULL},
         NN_ERROR_TENSOR,
         "0.weight"},
        {"{" PART("0.bias", "3", "0", "12") "," PART("0.weight", "3,4", "12", "60") "," PART(
             "4.bias", "2", "60", "68") "," PART("4.weight", "2,6", "68", "116") "}",
         {NULL},
         NN_ERROR_TENSOR,
         "0.weight"},
        {"{" PART("0.bias", "3", "0", "12") "," PART("0.weight", "3,2,1,2,1", "12", "60") "," PART(
             "4.bias", "2", "60", "68") "," PART("4.weight", "2,6", "68", "116") "}",
         {NULL},
         NN_ERROR_TENSOR,
         "0.weight"},
        {"{" PART("0.bias", "3", "0", "12") "," PART("0.weight", "3,2,2", "12", "60") "," PART(
             "4.bias", "2", "60", "68") "," PART("4.weight", "2,6,1,1", "68", "116") "}",
         {NULL},
         NN_ERROR_TENSOR,
         "4.weight"},
        {"{" PART("0.bias", "4", "0", "16") "," PART("0.weight", "3,2,2", "16", "64") "," PART(
             "4.bias", "2", "64", "72") "," PART("4.weight", "2,6", "72", "120") "}",
         {NULL},
         NN_ERROR_TENSOR,
         "0.weight"},
        {"{" PART("0.bias", "3", "0", "12") "," PART("0.weight", "3,2,2", "12", "60") "}",
         {NULL},
         NN_ERROR_TENSOR,
         "0.bias"},
        {"{" PART("0.bias", "3", "0", "12") "," PART("0.weight", "3,2,2", "12", "60") "," PART(
             "1.bias", "3", "60", "72") "," PART("1.weight", "3", "72",
                                                 "84") "," PART("5.bias", "2", "84",
                                                                "92") "," PART("5.weight", "2,6",
                                                                               "92", "140") "}",
         {NULL},
         NN_ERROR_TENSOR, /* BatchNorm1d */
         "1.weight"},
    };
    nn_model *model = make_model(8, layers, 4, 1);
    const nn_real *p = nn_parameters(model);
    int i, o, c, k;

    for (i = 0; i < COUNT_OF(files); i++) {
        const struct foreign *f = &files[i];
        bytes file = make_file(f->header), before = save_model(model), after;
        nn_location place;
        nn_status status;

        status = nn_load_parameters_memory(model, file.at, file.size, *f->names ? f->names : NULL,
                                           &place);
        if (!CHECK(status == f->status) || !CHECK(!strcmp(place.name, f->tensor)))
            printf("file %d: status %d at \"%s\"\n", i, (int)status, place.name);
        if (status == NN_OK) {
            for (o = 0; o < 3; o++)
                for (c = 0; c < 2; c++)
                    for (k = 0; k < 2; k++)
                        CHECK(p[(k * 2 + c) * 3 + o] == (nn_real)(4 + (o * 2 + c) * 2 + k));
            for (o = 0; o < 3; o++) CHECK(p[12 + o] == (nn_real)(1 + o));
            for (o = 0; o < 2; o++)
                for (c = 0; c < 3; c++)
                    for (k = 0; k < 2; k++)
                        CHECK(p[15 + (k * 3 + c) * 2 + o] == (nn_real)(18 + (o * 3 + c) * 2 + k));
            CHECK(nn_initialize(model, NN_INITIALIZE_DEFAULT, 5) == NN_OK);
        } else {
            after = save_model(model);
            CHECK(same_bytes(before, after));
            free(after.at);
        }
        free(before.at);
        free(file.at);
    }
    nn_model_free(model);
}

/* F16, and no biases: they become zero. */
static void test_halves(void)
{
    static const nn_layer layers[] = {NN_IMAGE(2, 2, 2),
                                      NN_CONV2D(1, 2, 1, NN_PADDING_NONE, NN_TANH)};
    nn_model *model = make_model(8, layers, 2, 1);
    const nn_real *p = nn_parameters(model);
    bytes file = make_file("{\"conv.weight\":{\"dtype\":\"F16\",\"shape\":[1,2,2,2],"
                           "\"data_offsets\":[0,16]}}");
    int c, k;

    for (k = 0; k < 8; k++) { /* 1, 1 + 1/16, 1 + 2/16 ... */
        file.at[file.size - 16 + 2 * (size_t)k] = (unsigned char)(64 * k);
        file.at[file.size - 15 + 2 * (size_t)k] = (unsigned char)(0x3c + k / 4);
    }
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_OK);
    for (c = 0; c < 2; c++)
        for (k = 0; k < 4; k++) CHECK(p[k * 2 + c] == 1 + (nn_real)(c * 4 + k) / 16);
    CHECK(p[8] == 0);
    free(file.at);
    nn_model_free(model);
}

/* ---- Hostile descriptions -------------------------------------------------------------------- */

/* The file with `from` in its header replaced by `to`, and the checksum put right. */
static bytes edited(bytes file, const char *from, const char *to)
{
    const size_t old = header_size(file), less = strlen(from), more = strlen(to);
    const size_t size = (old - less + more + 7) / 8 * 8;
    bytes b = make_bytes(file.size - old + size);
    size_t i = 8;

    while (i + less <= 8 + old && memcmp(file.at + i, from, less) != 0) i++;
    if (!CHECK(i + less <= 8 + old)) exit(2);
    memset(b.at, ' ', b.size);
    put_length(b.at, size);
    memcpy(b.at + 8, file.at + 8, i - 8);
    memcpy(b.at + i, to, more);
    memcpy(b.at + i + more, file.at + i + less, 8 + old - i - less);
    memcpy(b.at + 8 + size, file.at + 8 + old, file.size - 8 - old);
    CHECK(put_checksum(b));
    return b;
}

static unsigned char open_memory[1 << 16];

/* Whatever the file is: a status that exists, no leak, no model after a failure; what loads is saved
   to a file that loads. Returns the status of nn_load_memory. */
static nn_status try_file(bytes file)
{
    const bytes copy = copy_bytes(file.at, file.size);
    nn_model *loaded = (nn_model *)(void *)open_memory, *opened = loaded, *into = make_example(3);
    const long live = live_blocks;
    nn_status status = nn_load_memory(&loaded, copy.at, copy.size, NULL), other;
    const size_t size = nn_model_open_size(copy.at, copy.size);

    CHECK(is_status(status) && (status == NN_OK) == (loaded != NULL));
    other = nn_model_open_in(&opened, open_memory, sizeof open_memory, copy.at, copy.size);
    CHECK(is_status(other) && (other == NN_OK) == (opened != NULL));
    CHECK(other != NN_OK || (size > 0 && size <= sizeof open_memory));
    if (loaded) {
        bytes saved = save_model(loaded), again;
        nn_model *second = NULL;
        if (CHECK(nn_load_memory(&second, saved.at, saved.size, NULL) == NN_OK)) {
            again = save_model(second);
            CHECK(same_bytes(saved, again));
            free(again.at);
        }
        nn_model_free(second);
        free(saved.at);
    }
    nn_model_free(loaded);
    CHECK(is_status(nn_load_parameters_memory(into, copy.at, copy.size, NULL, NULL)));
    CHECK(live_blocks == live);
    nn_model_free(into);
    free(copy.at);
    return status;
}

static void test_edits(void)
{
    static const struct edit {
        const char *from, *to;
        nn_status status;
    } edits[] = {
        {"\"3\",", "\"3\",", NN_OK},
        {"\"3\",", "\"1\",", NN_ERROR_METADATA},
        {"\"3\",", "\"2\",", NN_ERROR_METADATA},
        {"\"3\",", "\"4\",", NN_ERROR_METADATA},
        {"\"3\",", "\"33\",", NN_ERROR_METADATA},
        {"nn.layers", "nn.widths", NN_ERROR_METADATA},
        {"nn.layers", "nn.layer", NN_ERROR_METADATA},
        {"nn.layers\":\"", "nn.widths\":\"60,3,2\",\"nn.layers\":\"", NN_ERROR_HEADER},
        {"nn.layers\":\"", "nn.layers\":\"image 6x5x2\",\"nn.layers\":\"", NN_ERROR_HEADER},
        /* the image */
        {"image 6x5x2,", "", NN_ERROR_METADATA},
        {"image 6x5x2", "image 6x5", NN_ERROR_METADATA},
        {"image 6x5x2", "image 6x5x2x1", NN_ERROR_METADATA},
        {"image 6x5x2", "image  6x5x2", NN_ERROR_METADATA},
        {"image 6x5x2", "Image 6x5x2", NN_ERROR_METADATA},
        {"image 6x5x2", "image 06x5x2", NN_ERROR_METADATA},
        {"image 6x5x2", "image 6x5x0", NN_ERROR_METADATA},
        {"image 6x5x2", "image 6x-5x2", NN_ERROR_METADATA},
        {"image 6x5x2", "image 6x5x3", NN_ERROR_TENSOR},
        {"image 6x5x2", "image 5x6x2", NN_OK},
        {"image 6x5x2", "image 1073741824x2147483647x2", NN_ERROR_METADATA},
        {"image 6x5x2", "image 65536x65536x65536", NN_ERROR_METADATA},
        {"image 6x5x2", "image 2147483647x1x1", NN_ERROR_METADATA},
        {"image 6x5x2", "image 18446744073709551622x5x2", NN_ERROR_METADATA},
        {"image 6x5x2", "image 4294967302x5x2", NN_ERROR_METADATA},
        {"image 6x5x2,", "image 6x5x2,image 6x5x2,", NN_ERROR_IMAGE},
        {"image 6x5x2,", "dense 60,", NN_ERROR_METADATA},
        /* a convolution */
        {" 3 2x3", " 3 2x3x1", NN_ERROR_METADATA},
        {" 3 2x3", " 0 2x3", NN_ERROR_METADATA},
        {" 3 2x3", " 2x3", NN_ERROR_METADATA},
        {" 3 2x3", " 3 3x2", NN_ERROR_TENSOR},
        {" 3 2x3", " 3 2x2147483647", NN_ERROR_OVERFLOW},
        {" 3 2x3", " 2147483647 2x3", NN_ERROR_OVERFLOW},
        {" 3 2x3", " 3 2x2147483648", NN_ERROR_METADATA},
        {" 3 2x3", " 100000 2x3", NN_ERROR_TENSOR},
        {"stride 1x2 same", "stride 1x2", NN_ERROR_METADATA},
        {"stride 1x2 same", "stride 1x2 valid", NN_ERROR_METADATA},
        {"stride 1x2 same", "stride 1x2 same ", NN_ERROR_METADATA},
        {"stride 1x2 same", "stride 0x2 same", NN_ERROR_METADATA},
        {"stride 1x2 same", "stride 2147483648x2 same", NN_ERROR_METADATA},
        {"stride 1x2 same", "stride 1x1 same", NN_ERROR_TENSOR},
        {"stride 1x2 same", "stride 1x2 none", NN_OK},
        {"stride 1x2 same", "1x2 same", NN_ERROR_METADATA},
        {"4 2x2 stride 1x1 none", "4 4x2 stride 1x1 none", NN_ERROR_KERNEL},
        {"convolution 4", "convolutio 4", NN_ERROR_METADATA},
        {"convolution 4", "convolutional 4", NN_ERROR_METADATA},
        /* pools */
        {"max_pool 2x1 stride 2x1", "max_pool 7x1 stride 2x1", NN_ERROR_WINDOW},
        {"max_pool 2x1 stride 2x1", "max_pool 2x1 stride 2x1 none", NN_ERROR_METADATA},
        {"max_pool 2x1 stride 2x1", "max_pool 2x1", NN_ERROR_METADATA},
        {"max_pool 2x1 stride 2x1", "average_pool 2x1 stride 2x1", NN_OK},
        {"max_pool 2x1 stride 2x1", "min_pool 2x1 stride 2x1", NN_ERROR_METADATA},
        {"max_pool 2x1 stride 2x1", "global_average", NN_ERROR_KERNEL},
        {"max_pool 2x1 stride 2x1", "global_average 1", NN_ERROR_METADATA},
        {"average_pool 1x1 stride 2x2", "average_pool 1x1 stride 2147483647x2147483647", NN_OK},
        {"average_pool 1x1 stride 2x2", "global_average", NN_OK},
        /* dense layers */
        {"dense 3", "dense 4", NN_ERROR_TENSOR},
        {"dense 3", "dense 3x1", NN_ERROR_METADATA},
        {"dense 3", "dense -3", NN_ERROR_METADATA},
        {"dense 3", "dense", NN_ERROR_METADATA},
        {"dense 3", "dense 3,", NN_ERROR_METADATA},
        {"dense 3", "dense 3,,", NN_ERROR_METADATA},
        {"dense 3", "dense 2147483647", NN_ERROR_OVERFLOW},
        {"dense 3", "max_pool 1x1 stride 1x1", NN_ERROR_ACTIVATION},
        {"dense 3,dense 2", "dense 3", NN_ERROR_METADATA},
        {"dense 3,dense 2", "dense 3,dense 2,dense 2", NN_ERROR_METADATA},
        {"dense 2\"", "dense 2 \"", NN_ERROR_METADATA},
        {"dense 2\"", "dense 1\"", NN_ERROR_ACTIVATION},
        /* activations */
        {"linear,relu,", "relu,relu,", NN_ERROR_ACTIVATION},
        {"linear,relu,linear", "linear,relu,relu", NN_ERROR_ACTIVATION},
        {"linear,relu,", "linear,softmax,", NN_ERROR_ACTIVATION},
        {"linear,relu,", "linear,", NN_ERROR_ACTIVATION},
        {"linear,relu,", "linear,gelu,", NN_OK},
        /* tensors */
        {"[3,2,2,3]", "[3,2,3,2]", NN_ERROR_TENSOR},
        {"[3,2,2,3]", "[3,12]", NN_ERROR_TENSOR},
        {"[3,2,2,3]", "[36]", NN_ERROR_TENSOR},
        {"[3,2,2,3]", "[3,2,2,3,1]", NN_ERROR_TENSOR},
        {"[4,3,2,2]", "[4,3,4]", NN_ERROR_TENSOR},
        {"6.weight", "1.weight", NN_ERROR_TENSOR},
    };
    nn_model *model = make_example(1);
    bytes file = save_model(model);
    int i;

    for (i = 0; i < COUNT_OF(edits); i++) {
        bytes b = edited(file, edits[i].from, edits[i].to);
        const nn_status status = try_file(b);
        if (!CHECK(status == edits[i].status))
            printf("%s -> %s: status %d, not %d\n", edits[i].from, edits[i].to, (int)status,
                   (int)edits[i].status);
        free(b.at);
    }
    free(file.at);
    nn_model_free(model);
}

/* In the file of a dense net, weights have two dimensions. */
static void test_dense_weights(void)
{
    static const nn_layer layers[] = {NN_DENSE(2, NN_TANH), NN_DENSE(1, NN_LINEAR)};
    nn_model *model = make_model(3, layers, 2, 1);
    bytes file = save_model(model), b = edited(file, "[2,3]", "[2,3,1]");

    CHECK(try_file(file) == NN_OK && try_file(b) == NN_ERROR_TENSOR);
    CHECK(nn_load_parameters_memory(model, b.at, b.size, NULL, NULL) == NN_ERROR_TENSOR);
    free(b.at);
    free(file.at);
    nn_model_free(model);
}

/* Every byte of the description becomes another one, or goes, under a checksum that is right. */
static void test_any_byte(void)
{
    static const char others[] = "0129x, enas\"\\-.\0\xff";
    nn_model *model = make_example(1);
    bytes file = save_model(model);
    size_t length, i, k;
    const unsigned char *value = find_value(file, "nn.layers", &length);
    const size_t start = (size_t)(value - file.at);
    int good = 0;

    for (i = 0; i < length; i++) {
        for (k = 0; k < sizeof others; k++) {
            bytes b = copy_bytes(file.at, file.size);
            b.at[start + i] = (unsigned char)others[k];
            (void)put_checksum(b);
            good += try_file(b) == NN_OK;
            free(b.at);
        }
    }
    CHECK(good > 0);
    free(file.at);
    nn_model_free(model);
}

/* Parameters are filled only into a model of the same layers: the tensors alone do not tell. */
static void test_other_layers(void)
{
    static const nn_layer layers[] = {
        NN_IMAGE(1, 9, 1), NN_CONV1D(2, 3, 1, NN_PADDING_SAME, NN_RELU), NN_MAX_POOL1D(2, 2),
        NN_GLOBAL_AVERAGE, NN_DENSE(1, NN_LINEAR)};
    nn_model *model = make_model(9, layers, 5, 1), *other;
    bytes file = save_model(model);
    nn_layer changed[5];
    int i;

    for (i = 0; i < 8; i++) {
        memcpy(changed, layers, sizeof changed);
        if (i == 1) changed[1].stride_width = 2;
        if (i == 2) changed[1].padding = NN_PADDING_NONE;
        if (i == 3) changed[2].stride_width = 3;
        if (i == 4) changed[2].width = 3;
        if (i == 5) changed[2].kind = NN_LAYER_AVERAGE_POOL;
        if (i == 6) changed[2].stride_height = 0, changed[1].stride_height = 0; /* the same */
        if (i == 7) changed[1].activation = NN_TANH; /* which is the model's own matter */
        other = make_model(9, changed, 5, 2);
        CHECK(nn_load_parameters_memory(other, file.at, file.size, NULL, NULL) ==
              (i % 6 ? i == 7 ? NN_OK : NN_ERROR_METADATA : NN_OK));
        CHECK(same_parameters(model, other) == (i == 0 || i > 5));
        nn_model_free(other);
    }
    free(file.at);
    nn_model_free(model);
}

/* A few bytes describe a large image, whose memory is refused as any other. */
static void test_large_image(void)
{
    static const nn_layer layers[] = {NN_IMAGE(2, 2, 1), NN_GLOBAL_AVERAGE, NN_DENSE(1, NN_TANH)};
    nn_model *model = make_model(4, layers, 3, 1), *loaded = model;
    bytes file = save_model(model), b = edited(file, "image 2x2x1", "image 20000x20000x1");
    const long live = live_blocks;

    heap_limit = 1 << 24;
    CHECK(nn_load_memory(&loaded, b.at, b.size, NULL) ==
          (SIZE_MAX > UINT32_MAX ? NN_ERROR_MEMORY : NN_ERROR_OVERFLOW));
    heap_limit = (size_t)-1 - 64;
    CHECK(!loaded && live_blocks == live);
    CHECK(nn_load_parameters_memory(model, b.at, b.size, NULL, NULL) == NN_ERROR_METADATA);
    free(file.at);
    free(b.at);
    nn_model_free(model);
}

int main(int argc, char **argv)
{
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    random_state = seed;
    RUN(test_header);
    RUN(test_weights);
    RUN(test_round_trip);
    RUN(test_foreign);
    RUN(test_halves);
    RUN(test_edits);
    RUN(test_dense_weights);
    RUN(test_any_byte);
    RUN(test_other_layers);
    RUN(test_large_image);
    return test_done();
}
