/* nn_export_onnx: the file is read back with a reader of its format that is written here, and each
   of its messages and numbers is compared with the model. tests/reference/onnx_files.py runs such
   files in onnxruntime. */
#define NN_IMPLEMENTATION
#include "../fixtures.h"

#include "export_models.h"
#include "image_models.h"

/* ---- A reader of Protocol Buffers ------------------------------------------------------------ */

typedef struct span {
    const unsigned char *at, *end;
} span;

/* A field: its number, its type, and its value, a number or bytes. */
typedef struct field {
    int number, type;
    uint64_t value;
    span bytes;
} field;

/* Reads a number in as few bytes as it needs; any other makes the test fail. */
static uint64_t read_varint(span *from)
{
    uint64_t value = 0;
    int shift;
    for (shift = 0; from->at < from->end && shift < 64; shift += 7) {
        const unsigned char byte = *from->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte & 128) continue;
        CHECK(byte || !shift);
        return value;
    }
    CHECK(!"a whole number");
    from->at = from->end;
    return 0;
}

/* Returns 0 at the end of the message. */
static int next_field(span *message, field *found)
{
    memset(found, 0, sizeof *found);
    if (message->at >= message->end) return 0;
    found->value = read_varint(message);
    found->number = (int)(found->value >> 3);
    found->type = (int)(found->value & 7);
    found->value = read_varint(message);
    if (!CHECK(found->type == 0 || found->type == 2)) return 0;
    if (found->type == 0) return 1;
    if (!CHECK(found->value <= (uint64_t)(message->end - message->at))) return 0;
    found->bytes.at = message->at;
    message->at += found->value;
    found->bytes.end = message->at;
    return 1;
}

/* Reads the next field, which must have this number and type 2, or 0. */
static span expect_bytes(span *message, int number)
{
    field found;
    CHECK(next_field(message, &found) && found.number == number && found.type == 2);
    return found.bytes;
}

static uint64_t expect_number(span *message, int number)
{
    field found;
    CHECK(next_field(message, &found) && found.number == number && found.type == 0);
    return found.value;
}

static int is_text(span bytes, const char *text)
{
    const size_t length = strlen(text);
    return length == (size_t)(bytes.end - bytes.at) && !memcmp(bytes.at, text, length);
}

/* The text, and behind it the number. */
static int is_numbered(span bytes, const char *text, int number)
{
    char name[64];
    sprintf(name, "%s%d", text, number);
    return is_text(bytes, name);
}

/* ---- What a file must contain ---------------------------------------------------------------- */

enum { REAL_TYPE = sizeof(nn_real) == 4 ? 1 : 11 };

/* The operators of an activation. The second input is z or a number. */
typedef struct operation {
    const char *name;
    int second; /* 0, 'z' or '#' */
    double number;
} operation;

static const operation operations[NN_ACTIVATION_COUNT][6] = {
    {{NULL, 0, 0}},
    {{"Relu", 0, 0}},
#ifdef NN_DOUBLE
    {{"Mul", '#', 0.01}, {"Max", 'z', 0}},
#else
    {{"LeakyRelu", 0, 0}},
#endif
    {{"Sigmoid", 0, 0}},
    {{"Tanh", 0, 0}},
    {{"Softmax", 0, 0}},
#ifdef NN_DOUBLE
    {{"Min", '#', 0}, {"Exp", 0, 0}, {"Sub", '#', 1}, {"Max", 'z', 0}},
#else
    {{"Elu", 0, 0}},
#endif
    {{"Sigmoid", 0, 0}, {"Mul", 'z', 0}},
    {{"Div", '#', 1.41421356237309505},
     {"Erf", 0, 0},
     {"Add", '#', 1},
     {"Mul", 'z', 0},
     {"Mul", '#', 0.5}},
#ifdef NN_DOUBLE
    {{"Min", '#', 700}, {"Exp", 0, 0}, {"Add", '#', 1}, {"Log", 0, 0}, {"Max", 'z', 0}}
#else
    {{"Softplus", 0, 0}}
#endif
};

/* A tensor of node k: its name, its size (0: there is no such dimension), its numbers. */
static void check_array(span *graph, const char *name, int k, const int *size,
                        const nn_real *values)
{
    span tensor = expect_bytes(graph, 5), bytes;
    size_t count = 1, i, byte;
    for (i = 0; i < 4; i++) {
        if (!size[i]) continue;
        CHECK(expect_number(&tensor, 1) == (uint64_t)size[i]);
        count *= (size_t)size[i];
    }
    CHECK(expect_number(&tensor, 2) == REAL_TYPE);
    CHECK(is_numbered(expect_bytes(&tensor, 8), name, k));
    bytes = expect_bytes(&tensor, 9);
    CHECK(tensor.at == tensor.end);
    if (!CHECK((size_t)(bytes.end - bytes.at) == count * sizeof(nn_real))) return;
    for (i = 0; i < count; i++) {
        nn__bits bits = 0;
        for (byte = 0; byte < sizeof(nn_real); byte++)
            bits |= (nn__bits)bytes.at[i * sizeof(nn_real) + byte] << (8 * byte);
        if (!CHECK(bits == nn__to_bits(values[i]))) return;
    }
}

static void check_tensor(span *graph, const char *name, int k, int rows, int cols,
                         const nn_real *values)
{
    int size[4] = {0};
    size[0] = rows;
    size[1] = cols;
    check_array(graph, name, k, size, values);
}

/* Node k of `last`. Its first input is the output of the node before; the others are named after
   it, but "value" is that of node z, and "x" has no number. Returns its attributes. */
static span check_start(span *graph, const char *name, int k, int last, const char *second, int z,
                        const char *third)
{
    span node = expect_bytes(graph, 1), output;
    if (k == 1)
        CHECK(is_text(expect_bytes(&node, 1), "x"));
    else
        CHECK(is_numbered(expect_bytes(&node, 1), "value", k - 1));
    if (second) CHECK(is_numbered(expect_bytes(&node, 1), second, z ? z : k));
    if (third && !strcmp(third, "x"))
        CHECK(is_text(expect_bytes(&node, 1), third));
    else if (third)
        CHECK(is_numbered(expect_bytes(&node, 1), third, k));
    output = expect_bytes(&node, 2);
    CHECK(k == last ? is_text(output, "y") : is_numbered(output, "value", k));
    CHECK(is_numbered(expect_bytes(&node, 3), name, k));
    CHECK(is_text(expect_bytes(&node, 4), name));
    return node;
}

/* A node without attributes. */
static void check_node(span *graph, const char *name, int k, int last, const char *second, int z,
                       const char *third)
{
    const span rest = check_start(graph, name, k, last, second, z, third);
    CHECK(rest.at == rest.end);
}

/* An attribute of numbers. */
static void check_numbers(span *node, const char *name, const int *numbers, int count)
{
    span attribute = expect_bytes(node, 5);
    int i;
    CHECK(is_text(expect_bytes(&attribute, 1), name));
    for (i = 0; i < count; i++) CHECK(expect_number(&attribute, 8) == (uint64_t)numbers[i]);
    CHECK(expect_number(&attribute, 20) == 7 && attribute.at == attribute.end);
}

/* The graph's input or output: a tensor of two dimensions, "batch" and the width. */
static void check_port(span *graph, int number, const char *name, int width)
{
    span port = expect_bytes(graph, number), type, tensor, shape, dimension;
    CHECK(is_text(expect_bytes(&port, 1), name));
    type = expect_bytes(&port, 2);
    tensor = expect_bytes(&type, 1);
    CHECK(expect_number(&tensor, 1) == REAL_TYPE);
    shape = expect_bytes(&tensor, 2);
    dimension = expect_bytes(&shape, 1);
    CHECK(is_text(expect_bytes(&dimension, 2), "batch") && dimension.at == dimension.end);
    dimension = expect_bytes(&shape, 1);
    CHECK(expect_number(&dimension, 1) == (uint64_t)width && dimension.at == dimension.end);
    CHECK(port.at == port.end && type.at == type.end && tensor.at == tensor.end &&
          shape.at == shape.end);
}

static const operation *operations_of(const nn_model *model, int i)
{
    return operations[model->layers[i].activation];
}

/* The nodes from rows to images, k and k + 1, with the size of an image. */
static void check_to_image(span *graph, const nn__map *map, int k, int last)
{
    static const int order[] = {0, 3, 1, 2};
    span tensor = expect_bytes(graph, 5), node, size;
    CHECK(expect_number(&tensor, 1) == 4 && expect_number(&tensor, 2) == 7);
    size = expect_bytes(&tensor, 7);
    CHECK(read_varint(&size) == 0 && read_varint(&size) == (uint64_t)map->height);
    CHECK(read_varint(&size) == (uint64_t)map->width);
    CHECK(read_varint(&size) == (uint64_t)map->channels && size.at == size.end);
    CHECK(is_numbered(expect_bytes(&tensor, 8), "shape", k) && tensor.at == tensor.end);
    check_node(graph, "Reshape", k, last, "shape", 0, NULL);
    node = check_start(graph, "Transpose", k + 1, last, NULL, 0, NULL);
    check_numbers(&node, "perm", order, 4);
    CHECK(node.at == node.end);
}

static void check_to_rows(span *graph, int k, int last)
{
    static const int order[] = {0, 2, 3, 1};
    span node = check_start(graph, "Transpose", k, last, NULL, 0, NULL);
    check_numbers(&node, "perm", order, 4);
    CHECK(node.at == node.end);
    check_node(graph, "Flatten", k + 1, last, NULL, 0, NULL);
}

/* Node k, which computes layer i, a convolution or a pool. */
static void check_window(span *graph, const nn_model *model, int i, int k, int last)
{
    static const char *const pools[] = {"MaxPool", "AveragePool", "GlobalAveragePool"};
    const nn_layer *layer = model->layers + i;
    const nn__map *in = model->maps + i;
    const int convolution = layer->kind == NN_LAYER_CONVOLUTION;
    const int same = layer->padding == NN_PADDING_SAME;
    const int tall = same ? layer->height - 1 : 0, broad = same ? layer->width - 1 : 0;
    int kernel[2], stride[2], size[4], pads[4], o, c, at;
    const nn__layer stored = nn__layer_at(model, i);
    const nn_real *w = model->parameters + stored.weights;
    nn_real weights[1000], *to = weights;
    span node;

    kernel[0] = layer->height, kernel[1] = layer->width;
    stride[0] = layer->stride_height ? layer->stride_height : convolution ? 1 : layer->height;
    stride[1] = layer->stride_width ? layer->stride_width : convolution ? 1 : layer->width;
    pads[0] = tall / 2, pads[1] = broad / 2, pads[2] = tall - tall / 2, pads[3] = broad - broad / 2;
    size[0] = layer->channels, size[1] = in->channels, size[2] = kernel[0], size[3] = kernel[1];
    if (convolution) {
        if (!CHECK(size[0] * size[1] * size[2] * size[3] <= COUNT_OF(weights))) return;
        for (o = 0; o < size[0]; o++)
            for (c = 0; c < size[1]; c++)
                for (at = 0; at < size[2] * size[3]; at++)
                    *to++ = w[(at * size[1] + c) * size[0] + o];
        check_array(graph, "weight", k, size, weights);
        check_tensor(graph, "bias", k, 0, size[0], model->parameters + stored.biases);
        node = check_start(graph, "Conv", k, last, "weight", 0, "bias");
        check_numbers(&node, "pads", pads, 4);
    } else {
        node = check_start(graph, pools[layer->kind - NN_LAYER_MAX_POOL], k, last, NULL, 0, NULL);
    }
    if (layer->kind != NN_LAYER_GLOBAL_AVERAGE) {
        check_numbers(&node, "kernel_shape", kernel, 2);
        check_numbers(&node, "strides", stride, 2);
    }
    CHECK(node.at == node.end);
}

/* Whether layer i works on images; behind the last one none does. */
static int is_window(const nn_model *model, int i)
{
    return i < model->count && model->layers[i].kind > NN_LAYER_IMAGE;
}

/* What a NaN of each input becomes in the file that is checked; NULL: it stays. */
static const nn_real *expected_means;

static void check_graph(span graph, const nn_model *model)
{
    const int scaled = model->scaling != NN_SCALE_NONE, outputs = nn__outputs(model);
    const int unscaled = model->target_scaling != NN_SCALE_NONE;
    const operation *step;
    const int first = model->layers[0].kind == NN_LAYER_IMAGE;
    int last = 2 * (scaled + unscaled + (expected_means != NULL)), k = 0, i, z;

    for (i = first; i < model->count; i++)
        for (last++, step = operations_of(model, i); step->name; step++) last++;
    if (is_window(model, first)) last += 4;
    if (expected_means) {
        check_node(&graph, "IsNaN", ++k, last, NULL, 0, NULL);
        check_tensor(&graph, "mean", ++k, 0, model->inputs, expected_means);
        check_node(&graph, "Where", k, last, "mean", 0, "x");
    }
    for (i = 0; i < 2 * scaled; i++) {
        check_tensor(&graph, i ? "factor" : "offset", ++k, 0, model->inputs,
                     model->offset + i * model->inputs);
        check_node(&graph, i ? "Mul" : "Sub", k, last, i ? "factor" : "offset", 0, NULL);
    }
    for (i = first; i < model->count; i++) {
        const nn__layer layer = nn__layer_at(model, i);
        if (i == first && is_window(model, i)) {
            check_to_image(&graph, model->maps + i, k + 1, last);
            k += 2;
        }
        z = ++k;
        if (is_window(model, i)) {
            check_window(&graph, model, i, z, last);
        } else {
            check_tensor(&graph, "weight", z, layer.inputs, layer.outputs,
                         model->parameters + layer.weights);
            check_tensor(&graph, "bias", z, 0, layer.outputs, model->parameters + layer.biases);
            check_node(&graph, "Gemm", z, last, "weight", 0, "bias");
        }
        for (step = operations_of(model, i); step->name; step++) {
            const nn_real number = (nn_real)step->number;
            k++;
            if (step->second == '#') check_tensor(&graph, "constant", k, 0, 0, &number);
            check_node(&graph, step->name, k, last,
                       step->second == '#'   ? "constant"
                       : step->second == 'z' ? "value"
                                             : NULL,
                       step->second == 'z' ? z : 0, NULL);
        }
        if (is_window(model, i) && !is_window(model, i + 1)) {
            check_to_rows(&graph, k + 1, last);
            k += 2;
        }
    }
    for (i = 2 * unscaled; i-- > 0;) {
        const char *name = i ? "target_factor" : "target_offset";
        check_tensor(&graph, name, ++k, 0, outputs, model->target_offset + i * outputs);
        check_node(&graph, i ? "Div" : "Add", k, last, name, 0, NULL);
    }
    CHECK(k == last);
    CHECK(is_text(expect_bytes(&graph, 2), "network"));
    check_port(&graph, 11, "x", model->inputs);
    check_port(&graph, 12, "y", nn__outputs(model));
    CHECK(graph.at == graph.end);
}

static void check_file(const void *bytes, size_t size, const nn_model *model)
{
    const nn__pair *pair;
    span file, operators, entry;
    file.at = (const unsigned char *)bytes;
    file.end = file.at + size;
    CHECK(expect_number(&file, 1) == 7);
    CHECK(is_text(expect_bytes(&file, 2), "nn.h"));
    CHECK(is_text(expect_bytes(&file, 3), NN_VERSION));
    check_graph(expect_bytes(&file, 7), model);
    operators = expect_bytes(&file, 8);
    CHECK(expect_number(&operators, 2) == 13 && operators.at == operators.end);
    for (pair = model->metadata; pair; pair = pair->next) {
        entry = expect_bytes(&file, 14);
        CHECK(is_text(expect_bytes(&entry, 1), pair->key));
        CHECK(is_text(expect_bytes(&entry, 2), pair->value) && entry.at == entry.end);
    }
    CHECK(file.at == file.end);
}

/* Exports the model to a block of exactly the size that is needed, and checks every byte. */
static size_t check_export(const nn_model *model)
{
    size_t size = 0, again = 0;
    void *bytes;
    CHECK(nn_export_onnx_memory(model, NULL, 0, &size) == NN_OK && size > 0);
    bytes = malloc(size);
    if (!CHECK(bytes != NULL)) return size;
    memset(bytes, 0xff, size);
    CHECK(nn_export_onnx_memory(model, bytes, size, &again) == NN_OK && again == size);
    check_file(bytes, size, model);
    free(bytes);
    return size;
}

/* ---- The tests ------------------------------------------------------------------------------- */

static void test_every_number(void)
{
    int used[NN_ACTIVATION_COUNT] = {0}, i, k;
    for (i = 0; i < MODELS; i++) {
        nn_model *model = export_model(i);
        const int before = test_bad;
        if (!CHECK(model != NULL)) return;
        for (k = 0; k < model->count; k++) used[model->layers[k].activation] = 1;
        check_export(model);
        if (test_bad > before) printf("model %d\n", i);
        nn_model_free(model);
    }
    for (i = 0; i < NN_ACTIVATION_COUNT; i++) CHECK(used[i]);
}

/* The lengths of tensors, nodes and the graph begin to need 2, 3 and 4 bytes. */
static void test_lengths(void)
{
    static const int starts[] = {1, (1 << 14) / (int)sizeof(nn_real) - 120,
                                 (1 << 21) / (int)sizeof(nn_real) - 120};
    static const int counts[] = {70, 130, 130};
    static const int steps[] = {1, 1, 10};
    const nn_layer layer = dense_layer(1, NN_LINEAR);
    int range, i;
    for (range = 0; range < 3; range++) {
        for (i = 0; i < counts[range]; i += steps[range]) {
            nn_model *model = make_model(starts[range] + i, &layer, 1, 1);
            size_t size = check_export(model);
            CHECK(size - (size_t)model->inputs * sizeof(nn_real) < 300);
            nn_model_free(model);
        }
    }
}

/* Names whose numbers have 1, 2 and 3 digits. */
static void test_many_layers(void)
{
    nn_layer layers[130];
    nn_model *model;
    int i;
    for (i = 0; i < 130; i++)
        layers[i] = dense_layer(1 + i % 3, i % 4 ? NN_TANH : i % 8 ? NN_SILU : NN_LINEAR);
    model = make_model(3, layers, 130, 1);
    check_export(model);
    nn_model_free(model);
}

/* The means of the recipe's numbers, at their inputs; not a number at the others. */
static void test_means(void)
{
    static const char *const recipes[] = {
        "table,4,header,\",\",.\nnumber,a,1.5\ntext or missing,b,x,y\nnumber,,-2\ntarget,t\n",
        "table,6,numbers,;,.\nnumber,1\nnumber,2\nnumber,4,7\nnumber,5\nnumber,6\ntarget,3\n",
        "table,5,header,\",\",.\nnumber,a\ntext,b,x,y,z\nnumber,c\nclass,t,p,q\n",
        "table,2,header,\",\",.\nnumber,a,1\ntarget,t\n", "anything"};
    const nn_layer layers[] = {NN_DENSE(1, NN_SIGMOID)};
    nn_real means[2][5];
    size_t size = 1;
    int i, k;
    for (i = 0; i < 2; i++)
        for (k = 0; k < 5; k++) means[i][k] = (nn_real)NAN;
    means[0][0] = 1.5f, means[0][4] = -2, means[1][2] = 7;
    for (i = 0; i < COUNT_OF(recipes); i++) {
        nn_model *model = make_model(5, layers, 1, 1);
        CHECK(nn_set_metadata(model, "recipe", recipes[i]) == NN_OK);
        expected_means = i < 2 ? means[i] : NULL;
        if (i < 3)
            check_export(model);
        else /* of another number of inputs; no recipe at all */
            CHECK(nn_export_onnx_memory(model, NULL, 0, &size) == NN_ERROR_METADATA && !size);
        nn_model_free(model);
    }
    expected_means = NULL;
}

/* Images of every shape, kernels, strides and paddings. */
static void test_random_images(void)
{
    int i;
    for (i = 0; i < 500; i++) {
        const image_net net = random_net(i % 3 == 0);
        nn_model *model = make_net(&net, (uint64_t)i);
        const int before = test_bad;
        check_export(model);
        if (test_bad > before) printf("net %d\n", i);
        nn_model_free(model);
    }
}

static void test_metadata(void)
{
    static char value[20000];
    nn_model *model = export_model(0);
    size_t none = check_export(model);

    CHECK(nn_set_metadata(model, "b", "") == NN_OK);
    CHECK(check_export(model) == none + 2 + 2 + 1 + 2);
    CHECK(nn_set_metadata(model, "a", "caf\xc3\xa9,\"b\"\n") == NN_OK);
    CHECK(nn_set_metadata(model, "input_names", "width,height") == NN_OK);
    check_export(model);
    memset(value, 'v', sizeof value - 1);
    CHECK(nn_set_metadata(model, "b", value) == NN_OK);
    check_export(model);
    CHECK(nn_set_metadata(model, "a", NULL) == NN_OK && nn_set_metadata(model, "b", NULL) == NN_OK);
    CHECK(nn_set_metadata(model, "input_names", NULL) == NN_OK);
    CHECK(check_export(model) == none);
    nn_model_free(model);
}

static void test_capacity(void)
{
    static unsigned char bytes[100000];
    nn_model *model = export_model(0);
    size_t needed = 0, size = 1;

    CHECK(nn_export_onnx_memory(model, NULL, 0, &needed) == NN_OK);
    CHECK(needed > 100 && needed < sizeof bytes);
    CHECK(nn_export_onnx_memory(model, NULL, 9, &size) == NN_OK && size == needed);
    memset(bytes, 1, sizeof bytes);
    CHECK(nn_export_onnx_memory(model, bytes, needed - 1, &size) == NN_ERROR_BLOCK);
    CHECK(size == needed && bytes[0] == 1 && !memcmp(bytes, bytes + 1, sizeof bytes - 1));
    CHECK(nn_export_onnx_memory(model, bytes, 0, &size) == NN_ERROR_BLOCK && size == needed);
    CHECK(nn_export_onnx_memory(model, bytes, sizeof bytes, &size) == NN_OK && size == needed);
    CHECK(bytes[0] == 8 && !memcmp(bytes + needed, bytes + needed + 1, sizeof bytes - needed - 1));
    nn_model_free(model);
}

static void test_refusals(void)
{
    static unsigned char file[10000], memory[10000];
    unsigned char bytes[8] = {0};
    nn_model *model = export_model(0), *opened = NULL;
    size_t size, length;

    size = 1;
    CHECK(nn_export_onnx_memory(NULL, NULL, 0, &size) == NN_ERROR_NULL && !size);
    CHECK(nn_export_onnx_memory(model, bytes, sizeof bytes, NULL) == NN_ERROR_NULL);
    nn_parameters(model)[3] = (nn_real)HUGE_VAL;
    size = 1;
    CHECK(nn_export_onnx_memory(model, NULL, 0, &size) == NN_ERROR_PARAMETER && !size);
    nn_parameters(model)[3] = 0;
    model->offset[3] = (nn_real)HUGE_VAL; /* a factor */
    size = 1;
    CHECK(nn_export_onnx_memory(model, NULL, 0, &size) == NN_ERROR_PARAMETER && !size);
    model->offset[3] = 1;
    CHECK(nn_export_onnx_memory(model, NULL, 0, &size) == NN_OK && size);

    CHECK(nn_save_memory(model, file, sizeof file, &length) == NN_OK);
    CHECK(nn_model_open_in(&opened, memory, sizeof memory, file, length) == NN_OK);
    CHECK(nn_export_onnx_memory(opened, NULL, 0, &size) == NN_ERROR_READ_ONLY && !size);
    CHECK(all_zero(bytes, sizeof bytes));
    nn_model_free(model);
}

static void set_width(nn_model *model, int width)
{
    model->layers[0].width = width;
#ifndef NN_NO_CONVOLUTION
    model->maps[1].size = width;
#endif
}

/* The largest file has 2^31 - 1 bytes. No array of this model is so long: its size is computed
   without them. */
static void test_two_gigabytes(void)
{
    nn_model *model = make_line(1);
    int low = 1, high = INT_MAX / (int)sizeof(nn_real);
    size_t size = 0, next = 0;

    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        set_width(model, middle);
        *(nn_export_onnx_memory(model, NULL, 0, &size) == NN_OK ? &low : &high) = middle;
    }
    set_width(model, low);
    CHECK(nn_export_onnx_memory(model, NULL, 0, &size) == NN_OK);
    CHECK(size <= INT_MAX && size > INT_MAX - 2 * sizeof(nn_real)); /* a weight and a bias more */
    set_width(model, low + 1);
    CHECK(nn_export_onnx_memory(model, NULL, 0, &next) == NN_ERROR_OVERFLOW && !next);
    set_width(model, 1);
    CHECK(nn_export_onnx_memory(model, NULL, 0, &next) == NN_OK && next < 300);
    nn_model_free(model);
}

static void test_path(void)
{
    static unsigned char bytes[100000], read[100000];
    const char *path = temporary("net.onnx");
    nn_model *model = export_model(9);
    size_t size = 0;
    FILE *file;

    CHECK(nn_export_onnx_memory(model, bytes, sizeof bytes, &size) == NN_OK);
    write_file(path, "older", 5);
    CHECK(nn_export_onnx(model, path) == NN_OK);
    file = fopen(path, "rb");
    CHECK(file && fread(read, 1, sizeof read, file) == size && !memcmp(bytes, read, size));
    if (file) fclose(file);
    CHECK(nn_export_onnx(model, NULL) == NN_ERROR_NULL);
    CHECK(nn_export_onnx(NULL, path) == NN_ERROR_NULL);
    CHECK(nn_export_onnx(model, "build/no such folder/net.onnx") == NN_ERROR_OPEN);
    nn_parameters(model)[0] = (nn_real)HUGE_VAL;
    CHECK(nn_export_onnx(model, path) == NN_ERROR_PARAMETER);
    file = fopen(path, "rb");
    CHECK(file && fread(read, 1, sizeof read, file) == size && !memcmp(bytes, read, size));
    if (file) fclose(file);
    nn_model_free(model);
    remove(path);
}

int main(void)
{
    test_any_backend(); /* nothing is computed: the kernels only say that all numbers are finite */
    RUN(test_every_number);
    RUN(test_lengths);
    RUN(test_many_layers);
    RUN(test_random_images);
    RUN(test_metadata);
    RUN(test_means);
    RUN(test_capacity);
    RUN(test_refusals);
    RUN(test_two_gigabytes);
    RUN(test_path);
    return test_done();
}
