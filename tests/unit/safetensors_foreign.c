/* Files that other programs write: what PyTorch and its safetensors give, read to the numbers that
   PyTorch computes, or refused where their shapes alone would say something wrong. */
#include "files.h"

/* ---- Files ----------------------------------------------------------------------------------- */

/* A file with the header, filled up with spaces, and the data, which are written in hexadecimal. */
static bytes make_file(const char *header, const char *data)
{
    const size_t length = (strlen(header) + 7) / 8 * 8, size = strlen(data) / 2;
    bytes b = make_bytes(8 + length + size);
    size_t i;
    put_length(b.at, length);
    memset(b.at + 8, ' ', length);
    memcpy(b.at + 8, header, strlen(header));
    for (i = 0; i < size; i++) {
        unsigned byte = 0;
        CHECK(sscanf(data + 2 * i, "%2x", &byte) == 1);
        b.at[8 + length + i] = (unsigned char)byte;
    }
    return b;
}

static const nn_layer two_layers[] = {NN_DENSE(3, NN_RELU), NN_DENSE(1, NN_LINEAR)};
static const nn_layer three_layers[] = {NN_DENSE(4, NN_TANH), NN_DENSE(4, NN_TANH),
                                        NN_DENSE(1, NN_LINEAR)};

typedef struct example {
    const char *header, *data;
    const char *output;   /* for x = 1/4, 2/4, ..., NULL: refused */
    const char *names[4]; /* NULL first: none are given */
    const char *tensor;   /* that is named where the file is refused */
} example;

/* clang-format off */

/* PyTorch's nn.Sequential(Linear(2, 3), ReLU(), Linear(3, 1)), saved by safetensors.torch. */
#define ZERO_BIAS   "\"0.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}"
#define ZERO_WEIGHT "\"0.weight\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[12,36]}"
#define TWO_BIAS    "\"2.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[36,40]}"
#define TWO_WEIGHT  "\"2.weight\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[40,52]}"
#define BASE        ZERO_BIAS "," ZERO_WEIGHT "," TWO_BIAS "," TWO_WEIGHT
#define BASE_OUTPUT "-0.551977"
#define ZEROS       "00000000000000000000000000000000"
#define BASE_DATA                                                                                  \
    "578a65bc40870f3fde8380bd2279adbb9c36c23eb1fc14bf1d3805bfd6708bbeab2a423ebd330dbf"             \
    "d2701c3e9eab32beea6be8bd"
#define NAMED_DATA                                                                                 \
    "8649d93e3053063df09eaabe207137bedcfa0abe208fc5bdb0fe433da2c1ec3e204ddb3c8c109ebe"             \
    "00f0d13c587f753efcf87d3ee0f7e9beb03cb7bdb83ebebe88765abe6078383e18cbb5befc523e3e"             \
    "b25ed93e403ea93c400cb5be94202bbe96ffb53ea01669bdc42494be22ddc53e8cb5a33e703c183d"             \
    "b8bb71beb846eb3eac60513e5a57c2be6203f53e5266c23e8c9e3abe5ce98f3ed67491beb879a0bd"             \
    "5217f6bed89adf3d4627c3beec5d7e3e246ae8be"
#define NAMED_HEADER                                                                               \
    "{\"hidden.bias\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},\"hidden.weigh" \
    "t\":{\"dtype\":\"F32\",\"shape\":[4,4],\"data_offsets\":[16,80]},\"input.bias\":{\"dtype" \
    "\":\"F32\",\"shape\":[4],\"data_offsets\":[80,96]},\"input.weight\":{\"dtype\":\"F32\",\"" \
    "shape\":[4,4],\"data_offsets\":[96,160]},\"output.bias\":{\"dtype\":\"F32\",\"shape\":[1]" \
    ",\"data_offsets\":[160,164]},\"output.weight\":{\"dtype\":\"F32\",\"shape\":[1,4],\"data_" \
    "offsets\":[164,180]}}"
#define BF16_DATA                                                                                  \
    "66bc103f81bdadbbc23e15bf05bf8bbe423e0dbf1c3e33bee8bd"
#define BF16_HEADER                                                                                \
    "{\"0.bias\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[0,6]},\"0.weight\":{\"dty" \
    "pe\":\"BF16\",\"shape\":[3,2],\"data_offsets\":[6,18]},\"2.bias\":{\"dtype\":\"BF16\",\"s" \
    "hape\":[1],\"data_offsets\":[18,20]},\"2.weight\":{\"dtype\":\"BF16\",\"shape\":[1,3],\"d" \
    "ata_offsets\":[20,26]}}"
#define NO_BIAS_DATA                                                                               \
    "90c5efbe9f3d95be4c94d63c6b208f3e403bd93ede70f5be4357f3bd69b980be83bc563e2777f53e"
#define NO_BIAS_HEADER                                                                             \
    "{\"0.weight\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]},\"2.bias\":{\"d" \
    "type\":\"F32\",\"shape\":[1],\"data_offsets\":[24,28]},\"2.weight\":{\"dtype\":\"F32\",\"" \
    "shape\":[1,3],\"data_offsets\":[28,40]}}"
#define NORM_DATA                                                                                  \
    "01000000000000004a1f4a3e26f6ad3ee2b67f3ed59da1beb1c0103fe64712bfe6649b3d619917be"             \
    "a844013fc8a65e3d0b9acbbbb4b0893dfff09a3fdb6e8c3f191b8e3fc22ba03e952b0ebe00abf8bd"             \
    "e999f3be"
#define NORM_HEADER                                                                                \
    "{\"1.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},\"0.bi" \
    "as\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[8,20]},\"0.weight\":{\"dtype\":\"" \
    "F32\",\"shape\":[3,2],\"data_offsets\":[20,44]},\"1.running_mean\":{\"dtype\":\"F32\",\"s" \
    "hape\":[3],\"data_offsets\":[44,56]},\"1.running_var\":{\"dtype\":\"F32\",\"shape\":[3]," \
    "\"data_offsets\":[56,68]},\"3.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[6" \
    "8,72]},\"3.weight\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[72,84]}}"
#define WEIGHT_NORM_DATA                                                                           \
    "6bb3fa3e771e233fdfc9d43e415e983e328ed93d69040f3fdfb3953ea901633dddee713d0ed3b43d"             \
    "d54e0ebfaa9d633d8af6f4be6e729e3d0b0d8a3e15ce8fbe"
#define WEIGHT_NORM_HEADER                                                                         \
    "{\"0.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},\"0.weight_g\":{\"d" \
    "type\":\"F32\",\"shape\":[3,1],\"data_offsets\":[12,24]},\"0.weight_v\":{\"dtype\":\"F32" \
    "\",\"shape\":[3,2],\"data_offsets\":[24,48]},\"2.bias\":{\"dtype\":\"F32\",\"shape\":[1]," \
    "\"data_offsets\":[48,52]},\"2.weight\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets" \
    "\":[52,64]}}"

static const example examples[] = {
    {"{" BASE "}", BASE_DATA, BASE_OUTPUT, {NULL}, NULL},
    {BF16_HEADER, BF16_DATA, "-0.551743", {NULL}, NULL},
    {NO_BIAS_HEADER, NO_BIAS_DATA, "-0.088135", {NULL}, NULL},
    {NORM_HEADER, NORM_DATA, NULL, {NULL}, "1.running_mean"},
    {WEIGHT_NORM_HEADER, WEIGHT_NORM_DATA, NULL, {NULL}, "0.weight_g"},
    {NAMED_HEADER, NAMED_DATA, "-0.304209", {"input", "hidden", "output", NULL}, NULL},
    {NAMED_HEADER, NAMED_DATA, NULL, {NULL}, "input.weight"},
    /* metadata */
    {"{\"__metadata__\":null," BASE "}", BASE_DATA, BASE_OUTPUT, {NULL}, NULL},
    {"{" BASE ",\"__metadata__\" : null }", BASE_DATA, BASE_OUTPUT, {NULL}, NULL},
    {"{\"__metadata__\":{}," BASE "}", BASE_DATA, BASE_OUTPUT, {NULL}, NULL},
    {"{\"__metadata__\":nu{}," BASE "}", BASE_DATA, NULL, {NULL}, NULL},
    {"{\"__metadata__\":null,\"__metadata__\":{}," BASE "}", BASE_DATA, NULL, {NULL},
     "__metadata__"},
    {"{\"__metadata__\":nul," BASE "}", BASE_DATA, NULL, {NULL}, NULL},
    {"{\"__metadata__\":{\"a\":1}," BASE "}", BASE_DATA, NULL, {NULL}, ""},
    {"{\"__metadata__\":{\"a\":null}," BASE "}", BASE_DATA, NULL, {NULL}, ""},
    /* types that are not known, of tensors that are not needed; their lengths say nothing */
    {"{" BASE ",\"freqs\":{\"dtype\":\"C64\",\"shape\":[2],\"data_offsets\":[52,68]}}",
     BASE_DATA ZEROS, BASE_OUTPUT, {NULL}, NULL},
    {"{" BASE ",\"freqs\":{\"dtype\":\"\",\"shape\":[9,9],\"data_offsets\":[52,68]}}",
     BASE_DATA ZEROS, BASE_OUTPUT, {NULL}, NULL},
    {"{" BASE ",\"freqs\":{\"dtype\":\"F4\",\"shape\":[32],\"data_offsets\":[52,68]}}",
     BASE_DATA ZEROS, BASE_OUTPUT, {NULL}, NULL},
    {"{" BASE ",\"freqs\":{\"dtype\":\"C64\",\"shape\":[2],\"data_offsets\":[68,52]}}",
     BASE_DATA ZEROS, NULL, {NULL}, "freqs"},
    {"{" BASE ",\"freqs\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[52,68]}}",
     BASE_DATA ZEROS, NULL, {NULL}, "freqs"},
    {"{" ZERO_BIAS "," ZERO_WEIGHT "," TWO_BIAS ","
     "\"2.weight\":{\"dtype\":\"F8\",\"shape\":[1,3],\"data_offsets\":[40,52]}}",
     BASE_DATA, NULL, {NULL}, "2.weight"},
    /* other keys of a tensor, of any value */
    {"{" ZERO_BIAS "," ZERO_WEIGHT "," TWO_BIAS ","
     "\"2.weight\":{\"a\":[1,-2.5e+3,[],{},{\"b\":[true,false,null,\"\\\"]\"]}],\"dtype\":\"F32\","
     "\"shape\":[1,3],\"a\":0,\"data_offsets\":[40,52],\"a\":\"\"}}",
     BASE_DATA, BASE_OUTPUT, {NULL}, NULL},
    {"{" ZERO_BIAS "," ZERO_WEIGHT "," TWO_BIAS ","
     "\"2.weight\":{\"a\":[0.25,-0,1E5,2e-3,3.5E+07],\"dtype\":\"F32\","
     "\"shape\":[1,3],\"data_offsets\":[40,52]}}",
     BASE_DATA, BASE_OUTPUT, {NULL}, NULL},
    {"{" ZERO_BIAS "," ZERO_WEIGHT "," TWO_BIAS ","
     "\"2.weight\":{\"a\":1.,\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[40,52]}}",
     BASE_DATA, NULL, {NULL}, "2.weight"},
    {"{" ZERO_BIAS "," ZERO_WEIGHT "," TWO_BIAS ","
     "\"2.weight\":{\"a\":-,\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[40,52]}}",
     BASE_DATA, NULL, {NULL}, "2.weight"},
    {"{" ZERO_BIAS "," ZERO_WEIGHT "," TWO_BIAS ","
     "\"2.weight\":{\"a\":1e,\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[40,52]}}",
     BASE_DATA, NULL, {NULL}, "2.weight"},
    {"{" ZERO_BIAS "," ZERO_WEIGHT "," TWO_BIAS ","
     "\"2.weight\":{\"a\":{\"b\":1,},\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[40,52]}}",
     BASE_DATA, NULL, {NULL}, "2.weight"},
    {"{" ZERO_BIAS "," ZERO_WEIGHT "," TWO_BIAS ","
     "\"2.weight\":{\"a\":[1 2],\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[40,52]}}",
     BASE_DATA, NULL, {NULL}, "2.weight"},
    {"{" ZERO_BIAS "," ZERO_WEIGHT "," TWO_BIAS ","
     "\"2.weight\":{\"a\":01,\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[40,52]}}",
     BASE_DATA, NULL, {NULL}, "2.weight"},
    {"{" ZERO_BIAS "," ZERO_WEIGHT "," TWO_BIAS ","
     "\"2.weight\":{\"a\":{\"b\"},\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[40,52]}}",
     BASE_DATA, NULL, {NULL}, "2.weight"},
    {"{" ZERO_BIAS "," ZERO_WEIGHT "," TWO_BIAS ","
     "\"2.weight\":{\"dtype\":\"F32\",\"shape\":[1,3],\"a\":0,\"shape\":[1,3],"
     "\"data_offsets\":[40,52]}}",
     BASE_DATA, NULL, {NULL}, "2.weight"},
    /* an empty tensor may stand where another one begins, and nowhere else */
    {"{\"e\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}," BASE "}",
     BASE_DATA, BASE_OUTPUT, {NULL}, NULL},
    {"{" BASE ",\"e\":{\"dtype\":\"F32\",\"shape\":[0,9],\"data_offsets\":[36,36]}}",
     BASE_DATA, BASE_OUTPUT, {NULL}, NULL},
    {"{" BASE ",\"e\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]}}",
     BASE_DATA, NULL, {NULL}, "e"},
    {"{" BASE ",\"e\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[56,56]}}",
     BASE_DATA, NULL, {NULL}, "e"},
    /* tensors that overlap: two that are swapped in part, one inside another, two at one place */
    {"{" ZERO_BIAS "," ZERO_WEIGHT ","
     "\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[32,40]},"
     "\"2.weight\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[40,52]}}",
     BASE_DATA, NULL, {NULL}, "a"},
    {"{" BASE ",\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[16,20]}}",
     BASE_DATA, NULL, {NULL}, "a"},
    {"{" BASE ",\"a\":{\"dtype\":\"U8\",\"shape\":[12],\"data_offsets\":[0,12]}}",
     BASE_DATA, NULL, {NULL}, NULL},
    {"{" ZERO_BIAS "," ZERO_WEIGHT "," TWO_BIAS "}", BASE_DATA, NULL, {NULL}, ""},
    /* tensors that are left over */
    {"{" BASE ","
     "\"1.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[52,60]},"
     "\"1.steps\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[60,68]}}",
     BASE_DATA ZEROS, NULL, {NULL}, "1.num_batches_tracked"},
    {"{" BASE ",\"lstm.weight_ih_l0\":{\"dtype\":\"F16\",\"shape\":[8],\"data_offsets\":[52,68]}}",
     BASE_DATA ZEROS, NULL, {NULL}, "lstm.weight_ih_l0"},
    {"{" BASE ",\"lstm.weight_ih_l0\":{\"dtype\":\"F16\",\"shape\":[8],\"data_offsets\":[52,68]}}",
     BASE_DATA ZEROS, BASE_OUTPUT, {"0", "2", NULL}, NULL},
    {"{" BASE ",\"2.weight_g\":{\"dtype\":\"C64\",\"shape\":[2],\"data_offsets\":[52,68]}}",
     BASE_DATA ZEROS, NULL, {"0", "2", NULL}, "2.weight_g"},
    {"{" BASE ",\"2.lora.weight\":{\"dtype\":\"F16\",\"shape\":[8],\"data_offsets\":[52,68]}}",
     BASE_DATA ZEROS, NULL, {"0", "2", NULL}, "2.lora.weight"},
    {"{" BASE ",\"3.bias\":{\"dtype\":\"F16\",\"shape\":[8],\"data_offsets\":[52,68]}}",
     BASE_DATA ZEROS, NULL, {NULL}, "3.bias"},
    {"{" BASE ",\"bias\":{\"dtype\":\"F16\",\"shape\":[8],\"data_offsets\":[52,68]}}",
     BASE_DATA ZEROS, NULL, {NULL}, "bias"},
    {"{" BASE ",\"22.weight_g\":{\"dtype\":\"F16\",\"shape\":[8],\"data_offsets\":[52,68]}}",
     BASE_DATA ZEROS, BASE_OUTPUT, {"0", "2", NULL}, NULL},
    /* lists of names */
    {"{" BASE "}", BASE_DATA, NULL, {"2", "0", NULL}, "2.weight"}, /* its shape */
    {"{" BASE "}", BASE_DATA, NULL, {"0", "1", NULL}, "1"},
    {"{" BASE ",\"1.bias\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[52,68]}}",
     BASE_DATA ZEROS, NULL, {"0", "1", NULL}, "1"}, /* without a weight */
    {"{" BASE "}", BASE_DATA, NULL, {"0", "0", NULL}, "0"},
    {"{" BASE "}", BASE_DATA, NULL, {"0", "", NULL}, ""},
    {"{" BASE "}", BASE_DATA, NULL, {"0", "2.bias", NULL}, "2.bias"},
    {"{" BASE "}", BASE_DATA, NULL, {"0", "2.weight", NULL}, "2.weight"},
    {"{" BASE "}", BASE_DATA, NULL, {"00", "2", NULL}, "00"},
    {NAMED_HEADER, NAMED_DATA, NULL, {"input", "output", "hidden", NULL}, "output.weight"},
    {NAMED_HEADER, NAMED_DATA, NULL, {"hidden", "output", "input", NULL}, "output.weight"},
    {NAMED_HEADER, NAMED_DATA, NULL, {"inpu", "hidden", "output", NULL}, "inpu"},
};
/* clang-format on */

static int count_names(const char *const *names)
{
    int count = 0;
    while (names[count]) count++;
    return count;
}

static void test_examples(void)
{
    int i;

    for (i = 0; i < COUNT_OF(examples); i++) {
        const example *e = &examples[i];
        const int three = strstr(e->header, "hidden") != NULL, inputs = three ? 4 : 2;
        static const nn_real x[] = {(nn_real)0.25, (nn_real)0.5, (nn_real)0.75, 1};
        nn_model *model = make_model(inputs, three ? three_layers : two_layers, three ? 3 : 2, 1);
        bytes file = make_file(e->header, e->data), before = save_model(model), after;
        nn_real y = 0;
        char text[32];
        nn_location place;
        nn_status status;

        memset(&place, 0xa5, sizeof place);
        if (*e->names) CHECK(count_names(e->names) == (three ? 3 : 2));
        status = nn_load_parameters_memory(model, file.at, file.size, *e->names ? e->names : NULL,
                                           &place);
        CHECK(nn_predict(model, x, 1, &y, NULL) == NN_OK);
        sprintf(text, "%.6f", (double)y);
        after = save_model(model);
        if (!CHECK((status == NN_OK) == (e->output != NULL)) ||
            !CHECK(!e->output || !strcmp(text, e->output)) ||
            !CHECK(!e->tensor || !strcmp(place.name, e->tensor)))
            printf("example %d: status %d, %s at \"%s\"\n", i, (int)status, text, place.name);
        if (status != NN_OK) CHECK(same_bytes(before, after));
        CHECK(nn_load_parameters_memory(model, file.at, file.size, *e->names ? e->names : NULL,
                                        NULL) == status);
        free(file.at);
        free(before.at);
        free(after.at);
        nn_model_free(model);
    }
}

/* ---- Names ----------------------------------------------------------------------------------- */

#define PART(name, shape, from, to)                                                                \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" from "," to "]}"

/* Two layers 1-1-1 with the weights 1 and 2, in the order of the file, and no biases. */
static nn_status load_named(const char *first, const char *second, const char *const *names,
                            nn_real *weights, nn_location *place)
{
    static const nn_layer layers[] = {NN_DENSE(1, NN_LINEAR), NN_DENSE(1, NN_LINEAR)};
    nn_model *model = make_model(1, layers, 2, 1);
    char header[1000];
    bytes file;
    nn_status status;

    sprintf(header,
            "{" PART("%s.weight", "1,1", "0", "4") "," PART("%s.weight", "1,1", "4", "8") "}",
            first, second);
    file = make_file(header, "0000803f00000040");
    status = nn_load_parameters_memory(model, file.at, file.size, names, place);
    weights[0] = nn_parameters(model)[0];
    weights[1] = nn_parameters(model)[2];
    free(file.at);
    nn_model_free(model);
    return status;
}

/* Layers whose names differ in numbers alone are in the order of these; no other order is taken. */
static void test_numbered(void)
{
    static const struct two {
        const char *first, *second;
        int order; /* 1: as in the file, -1: the other, 0: refused */
    } pairs[] = {
        {"0", "2", 1},
        {"10", "9", -1},
        {"fc1", "fc2", 1},
        {"fc2", "fc1", -1},
        {"fc10", "fc09", -1},
        {"layers.0.linear", "layers.1.linear", 1},
        {"layers.1.0", "layers.0.1", -1},
        {"a18446744073709551617b", "a2b", -1},
        {"\\u0031", "0", -1},
        {"a0\xc3\xa9", "a1\\u00e9", 1},
        {"fc", "fc2", 0},
        {"fc1", "fd2", 0},
        {"encoder.0", "decoder.0", 0},
        {"0", "1.0", 0},
        {"1.0", "1.0.0", 0},
        {"hidden", "output", 0},
        {"a1b", "a1c", 0},
    };
    int i;

    for (i = 0; i < COUNT_OF(pairs); i++) {
        nn_real weights[2];
        nn_location place;
        const nn_status status = load_named(pairs[i].first, pairs[i].second, NULL, weights, &place);
        if (!CHECK(status == (pairs[i].order ? NN_OK : NN_ERROR_TENSOR)) ||
            !CHECK(!pairs[i].order || weights[0] == (pairs[i].order > 0 ? 1 : 2)))
            printf("%s, %s: status %d at \"%s\"\n", pairs[i].first, pairs[i].second, (int)status,
                   place.name);
    }
}

/* A name in the list is the text itself, however the file spells it. */
static void test_names(void)
{
    static const struct listed {
        const char *first, *second; /* as they stand in the file */
        const char *names[2];
    } lists[] = {
        {"input", "output", {"output", "input"}},
        {"\\u0061", "b", {"b", "a"}},
        {"a\\\"b", "a\\\\b", {"a\\b", "a\"b"}},
        {"\\u00e9", "\xc3\xa8", {"\xc3\xa8", "\xc3\xa9"}},
        {"\\ud83d\\ude00", "\xf0\x9f\x98\x81", {"\xf0\x9f\x98\x81", "\xf0\x9f\x98\x80"}},
        {"a", "a.b", {"a.b", "a"}}, /* refused: a.b belongs to a, too */
    };
    static const char *const with_null[] = {"a", NULL};
    nn_real weights[2];
    nn_location place;
    int i;

    for (i = 0; i < COUNT_OF(lists); i++) {
        const int refused = i == COUNT_OF(lists) - 1;
        const nn_status status =
            load_named(lists[i].first, lists[i].second, lists[i].names, weights, &place);
        if (!CHECK(status == (refused ? NN_ERROR_TENSOR : NN_OK)) ||
            !CHECK(refused || (weights[0] == 2 && weights[1] == 1)))
            printf("%s, %s: status %d at \"%s\"\n", lists[i].first, lists[i].second, (int)status,
                   place.name);
    }
    CHECK(load_named("a", "b", with_null, weights, NULL) == NN_ERROR_NULL);
    CHECK(load_named("a\\u0000", "b", lists[1].names, weights, &place) == NN_ERROR_TENSOR);
    CHECK(!strcmp(place.name, "a"));
}

/* Tensors that have no module; a file of ours, by its names. */
static void test_more_names(void)
{
    static const nn_layer layer[] = {NN_DENSE(1, NN_LINEAR)};
    static const char *const empty[] = {""}, *const numbers[] = {"0", "2"};
    nn_model *model = make_model(1, layer, 1, 1), *other, *third;
    bytes file = make_file("{" PART("weight", "1,1", "0", "4") "," PART("bias", "1", "4", "8") "}",
                           "0000803f00000040");
    const char *path = temporary("named");

    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_OK);
    CHECK(nn_parameters(model)[0] == 1 && nn_parameters(model)[1] == 2);
    CHECK(nn_initialize(model, NN_INITIALIZE_DEFAULT, 1) == NN_OK);
    CHECK(nn_load_parameters_memory(model, file.at, file.size, empty, NULL) == NN_OK);
    CHECK(nn_parameters(model)[0] == 1 && nn_parameters(model)[1] == 2);
    free(file.at);
    nn_model_free(model);

    model = make_model(2, two_layers, 2, 1);
    other = make_model(2, two_layers, 2, 2);
    third = make_model(2, two_layers, 2, 3);
    CHECK(nn_save(model, path) == NN_OK);
    CHECK(nn_load_parameters(other, path, numbers, NULL) == NN_OK);
    CHECK(nn_load_parameters(third, path, NULL, NULL) == NN_OK);
    CHECK(!memcmp(nn_parameters(model), nn_parameters(other),
                  nn_parameter_count(model) * sizeof(nn_real)));
    CHECK(!memcmp(nn_parameters(model), nn_parameters(third),
                  nn_parameter_count(model) * sizeof(nn_real)));
    nn_model_free(model);
    nn_model_free(other);
    nn_model_free(third);
}

/* Other keys of a tensor may have 64 open brackets, and not one more. */
static void test_depth(void)
{
    static const nn_layer layer[] = {NN_DENSE(1, NN_LINEAR)};
    nn_model *model = make_model(1, layer, 1, 1);
    int depth, i;

    for (depth = 63; depth <= 66; depth++) {
        char header[500], *at = header;
        bytes file;
        at += sprintf(at, "{\"0.weight\":{\"x\":");
        for (i = 0; i < depth; i++) *at++ = '[';
        for (i = 0; i < depth; i++) *at++ = ']';
        sprintf(at, ",\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}");
        file = make_file(header, "0000803f");
        CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) ==
              (depth <= 64 ? NN_OK : NN_ERROR_HEADER));
        free(file.at);
    }
    nn_model_free(model);
}

/* A file of ours is as nn_save writes it: with all biases, and each of our keys once. */
static void test_ours(void)
{
    nn_model *model = make_model(2, two_layers, 2, 1), *loaded = NULL;
    bytes file = save_model(model), twice;
    nn_location place;
    size_t i;

    twice = with_pairs(file, ",\"nn.\\u0077idths\":\"2,3,1\"");
    CHECK(nn_load_memory(&loaded, twice.at, twice.size, NULL) == NN_ERROR_HEADER);
    CHECK(nn_load_parameters_memory(model, twice.at, twice.size, NULL, NULL) == NN_ERROR_HEADER);
    free(twice.at);
    for (i = 8; memcmp(file.at + i, "2.bias", 6) != 0;) i++;
    file.at[i + 1] = 'x'; /* a tensor of no layer */
    CHECK(put_checksum(file));
    CHECK(nn_load_memory(&loaded, file.at, file.size, &place) == NN_ERROR_TENSOR && !loaded);
    CHECK(!strcmp(place.name, "2.weight"));
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_ERROR_TENSOR);
    nn_model_free(model);
    free(file.at);
}

/* ---- Types ----------------------------------------------------------------------------------- */

/* Every number of 16 bits, as the bias of a layer, is widened to the number itself. */
static void test_halves(void)
{
    enum { COUNT = 65536 };
    const nn_layer layer = dense_layer(COUNT, NN_LINEAR);
    nn_model *model = make_model(1, &layer, 1, 1);
    int brain, finite = 0;
    long i;

    for (brain = 0; brain < 2; brain++) {
        char header[300];
        bytes file;
        size_t length;
        long bad = -1;
        sprintf(header,
                "{\"weight\":{\"dtype\":\"%s\",\"shape\":[65536,1],\"data_offsets\":[0,131072]}}",
                brain ? "BF16" : "F16");
        length = strlen(header);
        file = make_bytes(8 + length + 2 * COUNT);
        put_length(file.at, length);
        memcpy(file.at + 8, header, length);
        for (i = 0; i < COUNT; i++) { /* what is not finite becomes 0 */
            const long mask = brain ? 0x7f80 : 0x7c00;
            const long bits = (i & mask) == mask ? 0 : i;
            file.at[8 + length + 2 * (size_t)i] = (unsigned char)bits;
            file.at[9 + length + 2 * (size_t)i] = (unsigned char)(bits >> 8);
        }
        CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_OK);
        for (i = 0; i < COUNT; i++) { /* sign, exponent and mantissa, by their definition */
            const int width = brain ? 7 : 10, bias = brain ? 127 : 15;
            const int exponent = (int)(i >> width) & (brain ? 255 : 31);
            const double mantissa = (double)(i & ((1L << width) - 1)) / (double)(1L << width);
            double want =
                ldexp(exponent ? 1 + mantissa : mantissa, (exponent ? exponent : 1) - bias);
            if (i & 0x8000) want = -want;
            if (exponent == (brain ? 255 : 31))
                want = 0;
            else
                finite++;
            if ((double)nn_parameters(model)[i] != want ||
                !signbit(nn_parameters(model)[i]) != !signbit(want))
                bad = i;
        }
        if (!CHECK(bad < 0)) printf("bits %lx\n", (unsigned long)bad);
        for (i = 0; i < 4; i++) { /* infinities and NaN are refused */
            static const int bits[2][4] = {{0x7c00, 0xfc00, 0x7c01, 0xffff},
                                           {0x7f80, 0xff80, 0x7f81, 0xffff}};
            file.at[8 + length] = (unsigned char)bits[brain][i];
            file.at[9 + length] = (unsigned char)(bits[brain][i] >> 8);
            CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) ==
                  NN_ERROR_PARAMETER);
        }
        free(file.at);
    }
    CHECK(finite == 63488 + 65280);
    nn_model_free(model);
}

int main(void)
{
    RUN(test_examples);
    RUN(test_numbered);
    RUN(test_names);
    RUN(test_more_names);
    RUN(test_depth);
    RUN(test_ours);
    RUN(test_halves);
    remove(temporary("named"));
    return test_done();
}
