/* Export: nn_export_c_memory and nn_export_onnx_memory of models that the input describes. A C file
   is read as a compiler's scanner would, and an ONNX file message by message.

   An input begins with a line: int8, 1 for ONNX, class names, scaling of the inputs and of the
   targets, the kind of numbers, the allocation that fails, the inputs, then width and activation of
   each layer; and a line with the function's name. Each further line is a key, =, and a value of
   the metadata, in which | is a line end. */
#include "models.h"

/* ---- C --------------------------------------------------------------------------------------- */

static const char *skip_literal(const char *at, const char *end)
{
    const char quote = *at++;
    while (at < end && *at != quote) {
        REQUIRE(*at != '\n');
        REQUIRE(end - at < 3 || at[0] != '?' || at[1] != '?' || !strchr("=/'()!<>-", at[2]));
        at += 1 + (*at == '\\');
    }
    REQUIRE(at < end);
    return at + 1;
}

static const char *skip_comment(const char *at, const char *end)
{
    for (at += 2; end - at >= 2; at++) {
        REQUIRE(at[0] != '/' || at[1] != '*'); /* compilers warn of it */
        if (at[0] == '*' && at[1] == '/') return at + 2;
    }
    REQUIRE(!"a comment that does not end");
    return end;
}

/* Comments and literals end, brackets and conditions match, no line is a part of another. */
static void check_c(const char *text, size_t size, const char *name)
{
    const char *at = text, *const end = text + size;
    char open[64], head[200];
    int depth = 0, conditions = 0, found = 0, line_start = 1, length;

    REQUIRE(size > 0 && end[-1] == '\n');
    for (; at < end; at++) REQUIRE(*at == '\n' || (*at >= ' ' && *at <= '~'));
    length = snprintf(head, sizeof head, "void %.100s(const ", name);
    for (at = text; at < end;) {
        if (at[0] == '/' && end - at > 1 && at[1] == '*') {
            at = skip_comment(at, end);
            continue;
        }
        if (*at == '"' || *at == '\'') {
            at = skip_literal(at, end);
            continue;
        }
        if (*at == '#' && line_start) {
            conditions += end - at > 3 && memcmp(at, "#if", 3) == 0;
            conditions -= end - at > 6 && memcmp(at, "#endif", 6) == 0;
            REQUIRE(conditions >= 0);
        }
        switch (*at) {
        case '(':
        case '[':
        case '{':
            REQUIRE(depth < 64);
            open[depth++] = *at;
            break;
        case ')':
        case ']':
        case '}':
            REQUIRE(depth > 0);
            depth--;
            REQUIRE(open[depth] == (*at == ')' ? '(' : *at == ']' ? '[' : '{'));
            break;
        case 'v':
            found += depth == 0 && end - at > length && memcmp(at, head, (size_t)length) == 0;
            break;
        default: break;
        }
        line_start = *at == '\n' || (line_start && *at == ' ');
        at++;
    }
    REQUIRE(depth == 0 && conditions == 0);
    REQUIRE(found >= 1 || strlen(name) > 100);
}

/* ---- ONNX ------------------------------------------------------------------------------------ */

static uint64_t take_varint(fuzz_input *in)
{
    uint64_t number = 0;
    int shift = 0;
    for (;; shift += 7) {
        REQUIRE(in->at < in->end && shift < 64);
        number |= (uint64_t)(*in->at & 127) << shift;
        if (!(*in->at++ & 128)) return number;
    }
}

/* Takes a field: its number, and its contents or, where these are NULL, its value. */
static int take_field(fuzz_input *in, fuzz_input *contents, uint64_t *value)
{
    const uint64_t key = take_varint(in);
    memset(contents, 0, sizeof *contents);
    *value = take_varint(in);
    if ((key & 7) == 0) return (int)(key >> 3);
    REQUIRE((key & 7) == 2 && *value <= (size_t)(in->end - in->at));
    contents->at = in->at;
    in->at = contents->end = in->at + *value;
    return (int)(key >> 3);
}

typedef struct onnx_names {
    fuzz_input name[256];
    int count;
} onnx_names;

static int same_name(fuzz_input a, fuzz_input b)
{
    const size_t size = (size_t)(a.end - a.at);
    return size == (size_t)(b.end - b.at) && memcmp(a.at, b.at, size) == 0;
}

static int has_name(const onnx_names *names, fuzz_input name)
{
    int i;
    for (i = 0; i < names->count; i++)
        if (same_name(names->name[i], name)) return 1;
    return 0;
}

static void add_name(onnx_names *names, fuzz_input name)
{
    REQUIRE(name.at < name.end && !has_name(names, name) && names->count < 256);
    names->name[names->count++] = name;
}

static void check_tensor(fuzz_input tensor, onnx_names *names)
{
    fuzz_input contents;
    uint64_t value, count = 1, type = 0;
    size_t bytes = (size_t)-1;

    while (tensor.at < tensor.end) switch (take_field(&tensor, &contents, &value)) {
        case 1: count *= value; break;
        case 2: type = value; break;
        case 8: add_name(names, contents); break;
        case 9: bytes = (size_t)(contents.end - contents.at); break;
        default: REQUIRE(!"a field of a tensor");
        }
    REQUIRE(type == (sizeof(nn_real) == 4 ? 1 : 11) && bytes == count * sizeof(nn_real));
}

/* Every input of a node is the graph's, a tensor, or an output of an earlier node. */
static void check_graph(fuzz_input graph)
{
    static const unsigned char x_name[] = "x", y_name[] = "y";
    fuzz_input contents, in = graph, field, x, y;
    onnx_names names;
    uint64_t value;
    int number, nodes = 0, ports = 0;

    names.count = 0;
    x.at = x_name;
    x.end = x_name + 1;
    y.at = y_name;
    y.end = y_name + 1;
    add_name(&names, x);
    while (in.at < in.end)
        if (take_field(&in, &contents, &value) == 5) check_tensor(contents, &names);
    for (in = graph; in.at < in.end;) {
        number = take_field(&in, &contents, &value);
        REQUIRE(number == 1 || number == 2 || number == 5 || number == 11 || number == 12);
        ports += number > 10;
        nodes += number == 1;
        while (number == 1 && contents.at < contents.end) {
            const int part = take_field(&contents, &field, &value);
            REQUIRE(part >= 1 && part <= 5);
            if (part == 1) REQUIRE(has_name(&names, field));
            if (part == 2) add_name(&names, field);
        }
    }
    REQUIRE(nodes > 0 && ports == 2 && has_name(&names, y));
}

static void check_onnx(const unsigned char *bytes, size_t size)
{
    fuzz_input in, contents;
    uint64_t value;
    int number, graphs = 0;

    in.at = bytes;
    in.end = bytes + size;
    while (in.at < in.end) {
        number = take_field(&in, &contents, &value);
        REQUIRE(number == 1 || number == 2 || number == 3 || number == 7 || number == 8 ||
                number == 14);
        graphs += number == 7;
        if (number == 7) check_graph(contents);
    }
    REQUIRE(graphs == 1);
}

/* ---- The target ------------------------------------------------------------------------------ */

static void fill(nn_model *model, int kind, uint64_t state)
{
    static const double special[] = {0, -0.0, 1e-40, -3e38, 1, 127, 1e-5, 16777217};
    const size_t count = nn_parameter_count(model);
    nn_real *p = nn_parameters(model);
    size_t i;
    for (i = 0; i < count; i++) {
        const uint64_t bits = next_random(&state);
        if (kind == 1) p[i] = (nn_real)special[bits % 8];
        if (kind == 2) p[i] = (nn_real)((double)(int)(bits % 255) - 127);
    }
}

typedef struct export_input {
    nn_export_options options;
    nn_model *model;
    long fail_at;
    int onnx;
} export_input;

static void take_model(fuzz_input *in, export_input *input)
{
    fuzz_input line = take_until(in, "\n");
    nn_layer layers[6];
    nn_real mean[8], deviation[8];
    int scaled, target_scaled, kind, inputs, i;

    memset(input, 0, sizeof *input);
    input->options.int8 = take_below(&line, 2);
    input->onnx = take_below(&line, 2);
    input->options.class_names = take_below(&line, 2);
    scaled = take_below(&line, 2);
    target_scaled = take_below(&line, 2);
    kind = take_below(&line, 3);
    input->fail_at = take_below(&line, 4);
    inputs = 1 + (take_below(&line, 8) + 7) % 8;
    memset(layers, 0, sizeof layers);
    for (i = 0; i < 6 && (i == 0 || line.at < line.end); i++) {
        layers[i].width = 1 + (take_below(&line, 8) + 7) % 8;
        layers[i].activation = (nn_activation)take_below(&line, NN_ACTIVATION_COUNT);
    }
    if (nn_model_create(&input->model, inputs, layers, i, 3) != NN_OK) return;
    fill(input->model, kind, (uint64_t)inputs);
    for (i = 0; i < 8; i++) {
        mean[i] = (nn_real)(i - 2) * (nn_real)1.1;
        deviation[i] = (nn_real)(1 + i % 3) / 3;
    }
    if (scaled) REQUIRE(nn_set_scaling(input->model, mean, deviation) == NN_OK);
    if (target_scaled) REQUIRE(nn_set_target_scaling(input->model, mean, deviation) == NN_OK);
}

static void take_metadata(fuzz_input *in, nn_model *model)
{
    while (in->at < in->end) {
        fuzz_input line = take_until(in, "\n"), key_part = take_until(&line, "=");
        char *key = make_string(key_part), *value = make_string(line), *at;
        for (at = value; *at; at++)
            if (*at == '|') *at = '\n';
        (void)nn_set_metadata(model, key, value);
        free(key);
        free(value);
    }
}

static void export_c(const export_input *input)
{
    size_t size = 5, again = 5;
    const nn_status status = nn_export_c_memory(input->model, &input->options, NULL, 0, &size);
    char *text;

    REQUIRE(is_status(status) && (status == NN_OK ? size > 0 : size == 0));
    if (status != NN_OK) {
        REQUIRE(status == NN_ERROR_OPTION || status == NN_ERROR_PARAMETER);
        REQUIRE(input->options.name || input->options.class_names);
        return;
    }
    text = (char *)malloc(size);
    REQUIRE(nn_export_c_memory(input->model, &input->options, text, size - 1, &again) ==
            NN_ERROR_BLOCK);
    REQUIRE(again == size);
    REQUIRE(nn_export_c_memory(input->model, &input->options, text, size, &again) == NN_OK);
    REQUIRE(again == size);
    check_c(text, size, input->options.name ? input->options.name : "predict");
    free(text);
}

static void export_onnx(const export_input *input)
{
    const long blocks = fuzz_arm(input->fail_at);
    size_t size = 5, again = 5;
    const nn_status status = nn_export_onnx_memory(input->model, NULL, 0, &size);
    unsigned char *bytes;

    fuzz_disarm();
    REQUIRE(is_status(status) && (status == NN_OK ? size > 0 : size == 0));
    REQUIRE(heap.blocks == blocks && (!heap.failed || status == NN_ERROR_MEMORY));
    if (status != NN_OK) {
        REQUIRE(status == NN_ERROR_MEMORY || nn_metadata(input->model, "recipe"));
        return;
    }
    bytes = (unsigned char *)malloc(size);
    REQUIRE(nn_export_onnx_memory(input->model, bytes, size - 1, &again) == NN_ERROR_BLOCK);
    REQUIRE(again == size);
    REQUIRE(nn_export_onnx_memory(input->model, bytes, size, &again) == NN_OK && again == size);
    check_onnx(bytes, size);
    free(bytes);
}

static void fuzz_one(fuzz_input in)
{
    export_input input;
    char *name;

    take_model(&in, &input);
    if (!input.model) return;
    name = take_line(&in);
    input.options.name = name;
    take_metadata(&in, input.model);
    if (input.onnx)
        export_onnx(&input);
    else
        export_c(&input);
    nn_model_free(input.model);
    free(name);
}
