/* Files made by hand, as PyTorch, or an attacker, would make them: what the format allows is read,
   what it does not allow is refused, quickly and with the tensor's name. */
#include "files.h"

/* clang-format off */
#define TENSOR(name, type, shape, from, to)                                                        \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" from "," to "]}"
/* clang-format on */

/* The tensors of a model 3-2-1: 44 bytes. */
#define W0  TENSOR("0.weight", "F32", "2,3", "0", "24")
#define B0  TENSOR("0.bias", "F32", "2", "24", "32")
#define W1  TENSOR("2.weight", "F32", "1,2", "32", "40")
#define B1  TENSOR("2.bias", "F32", "1", "40", "44")
#define ALL W0 "," B0 "," W1 "," B1

enum { FLOATS = 64, ALL_SIZE = 44 };

static void put_float(unsigned char *at, float value)
{
    uint32_t bits;
    int i;
    memcpy(&bits, &value, 4);
    for (i = 0; i < 4; i++) at[i] = (unsigned char)(bits >> (8 * i));
}

static void put_double(unsigned char *at, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    put_length(at, bits);
}

/* header, then size bytes of the floats 1, 2, 3, ... */
static bytes make_file(const char *header, size_t length, size_t size)
{
    bytes b = make_bytes(8 + length + (size + 3) / 4 * 4);
    size_t i;
    put_length(b.at, length);
    memcpy(b.at + 8, header, length);
    for (i = 0; 4 * i < size; i++) put_float(b.at + 8 + length + 4 * i, (float)(i + 1));
    b.size = 8 + length + size;
    return b;
}

static nn_model *make_small(void)
{
    static const nn_layer layers[] = {NN_DENSE(2, NN_RELU), NN_DENSE(1, NN_LINEAR)};
    return make_model(3, layers, 2, 7);
}

/* W0 [2, 3] = 1..6 by rows, so ours is its transpose. */
static void check_small(nn_model *model)
{
    static const nn_real want[] = {1, 4, 2, 5, 3, 6, 7, 8, 9, 10, 11};
    CHECK(nn_parameter_count(model) == 11 && !memcmp(nn_parameters(model), want, sizeof want));
}

/* nn_load_parameters_memory of an exact copy; on failure the model must be as before. */
static nn_status fill(nn_model *model, bytes file, nn_location *place)
{
    bytes copy = copy_bytes(file.at, file.size), before = save_model(model), after;
    long live = live_blocks;
    nn_status status;
    nn_model *made = NULL;
    if (place) memset(place, 0xa5, sizeof *place);
    status = nn_load_parameters_memory(model, copy.at, copy.size, NULL, place);
    CHECK(is_status(status));
    after = save_model(model);
    if (status != NN_OK) {
        CHECK(same_bytes(before, after));
        CHECK(nn_load_memory(&made, copy.at, copy.size, NULL) != NN_OK && !made);
        if (place) CHECK(place->path == NULL && place->line == 0 && place->column == 0);
    }
    CHECK(live_blocks == live);
    free(copy.at);
    free(before.at);
    free(after.at);
    return status;
}

typedef struct foreign {
    const char *header;
    size_t size;
} foreign;

/* The four tensors by other names. */
#define NAMED(w0, b0, w1, b1)                                                                      \
    "{" TENSOR(w0, "F32", "2,3", "0", "24") "," TENSOR(b0, "F32", "2", "24", "32") "," TENSOR(     \
        w1, "F32", "1,2", "32", "40") "," TENSOR(b1, "F32", "1", "40", "44") "}"

/* clang-format off */

/* What the specification allows, or PyTorch writes. */
static const foreign foreigns[] = {
    {"{" ALL "}", ALL_SIZE},
    {"{" ALL "}     ", ALL_SIZE},
    {"{" B1 "," W0 "," W1 "," B0 "}", ALL_SIZE},
    {"{\"__metadata__\":{\"format\":\"pt\"}," ALL "}", ALL_SIZE},
    {"{" ALL ",\"__metadata__\":{}}", ALL_SIZE},
    {"{\"__metadata__\":{\"a\":\"\",\"\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"},"
     ALL "}", ALL_SIZE},
    {"{ \"0.weight\" :\n{\t\"dtype\" : \"F32\" , \"shape\" : [ 2 , 3 ] , \"data_offsets\" : [ 0 ,"
     " 24 ]\r\n} , " B0 "," W1 "," B1 " }", ALL_SIZE},
    {"{\"0.weight\":{\"data_offsets\":[0,24],\"shape\":[2,3],\"dtype\":\"F32\"}," B0 "," W1 ","
     B1 "}", ALL_SIZE},
    {NAMED("\\u0030.weight", "0.bias", "2.weight", "2.b\\u0069as"), ALL_SIZE},
    {NAMED("net.1.body.weight", "net.1.body.bias", "net.2.body.weight", "net.2.body.bias"),
     ALL_SIZE},
    {"{\"__metadata__\":{\"\\ue000\":\"\\uffff\"}," ALL "}", ALL_SIZE},
    {NAMED("fc9.weight", "fc9.bias", "fc10.weight", "fc10.bias"), ALL_SIZE},
    /* others beside them: a counter without dimensions, an empty one, other types */
    {"{" ALL "," TENSOR("steps", "I64", "", "44", "52") "}", 52},
    {"{" TENSOR("mean", "F32", "2", "44", "52") "," ALL ","
     TENSOR("mask", "BOOL", "3", "52", "55") "}", 55},
    {"{" ALL "," TENSOR("empty", "F32", "0", "44", "44") "}", 44},
    {"{" ALL "," TENSOR("half", "BF16", "2,1,1,1,2", "44", "52") "}", 52},
    /* metadata of others say nothing, also where a key comes twice */
    {"{\"__metadata__\":{\"\\u00e9\":\"\",\"\xc3\xa9\":\"\"}," ALL "}", ALL_SIZE},
    {"{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}," ALL "}", ALL_SIZE},
};

/* clang-format on */

static void test_foreign(void)
{
    size_t i;
    for (i = 0; i < sizeof foreigns / sizeof *foreigns; i++) {
        bytes file = make_file(foreigns[i].header, strlen(foreigns[i].header), foreigns[i].size);
        nn_model *model = make_small(), *made = NULL;
        nn_location place;
        nn_status status = fill(model, file, &place);
        if (CHECK(status == NN_OK))
            check_small(model);
        else
            printf("file %d: status %d at \"%s\"\n", (int)i, (int)status, place.name);
        CHECK(nn_load_memory(&made, file.at, file.size, NULL) == NN_ERROR_METADATA && !made);
        free(file.at);
        nn_model_free(model);
    }
}

/* Data in another order than the layers, the header's in a third. */
static void test_data_order(void)
{
    /* clang-format off */
    static const char header[] = "{"
        TENSOR("2.bias", "F32", "1", "0", "4") ","
        TENSOR("0.weight", "F32", "2,3", "12", "36") ","
        TENSOR("2.weight", "F32", "1,2", "4", "12") ","
        TENSOR("0.bias", "F32", "2", "36", "44") "}";
    /* clang-format on */
    static const nn_real want[] = {4, 7, 5, 8, 6, 9, 10, 11, 2, 3, 1};
    bytes file = make_file(header, sizeof header - 1, ALL_SIZE);
    nn_model *model = make_small();
    CHECK(fill(model, file, NULL) == NN_OK);
    CHECK(!memcmp(nn_parameters(model), want, sizeof want));
    free(file.at);
    nn_model_free(model);
}

/* layer.2 comes before layer.10, although "10" < "2" as text, and however the digits are spelt; all
   have the same shape, so that only the order of the values tells. */
static void test_natural_order(void)
{
    static const nn_layer layers[] = {NN_DENSE(1, NN_RELU), NN_DENSE(1, NN_RELU),
                                      NN_DENSE(1, NN_LINEAR)};
    static const char *const tens[] = {"10", "1\\u0030", "\\u0031\\u0030", "\\u00310", "010"};
    static const nn_real want[] = {5, 6, 4, 3, 1, 2};
    char header[1024];
    size_t i;
    /* clang-format off */
    static const char format[] = "{"
        TENSOR("layer.%s.weight", "F32", "1,1", "0", "4") ","
        TENSOR("layer.%s.bias", "F32", "1", "4", "8") ","
        TENSOR("layer.2.bias", "F32", "1", "8", "12") ","
        TENSOR("layer.2.weight", "F32", "1,1", "12", "16") ","
        TENSOR("layer.1.weight", "F32", "1,1", "16", "20") ","
        TENSOR("layer.1.bias", "F32", "1", "20", "24") "}";
    /* clang-format on */
    for (i = 0; i < sizeof tens / sizeof *tens; i++) {
        nn_model *model = make_model(1, layers, 3, 1);
        size_t length = (size_t)sprintf(header, format, tens[i], tens[i]);
        bytes file = make_file(header, length, 24);
        CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_OK);
        if (!CHECK(!memcmp(nn_parameters(model), want, sizeof want)))
            printf("10 spelt as %s\n", tens[i]);
        free(file.at);
        nn_model_free(model);
    }
}

typedef struct hostile {
    const char *header;
    size_t size;
    nn_status status, or_status;
    const char *name; /* of the tensor in nn_location; NULL: not checked */
} hostile;

#define BAD_HEADER     NN_ERROR_HEADER, NN_ERROR_HEADER
#define BAD_TENSOR     NN_ERROR_TENSOR, NN_ERROR_TENSOR
#define BAD_EITHER     NN_ERROR_HEADER, NN_ERROR_TENSOR
#define BAD_EXTENT     NN_ERROR_HEADER, NN_ERROR_TRUNCATED
#define FIELDS(fields) "{\"0.weight\":{" fields "}," B0 "," W1 "," B1 "}"
#define SHAPE(text)    FIELDS("\"dtype\":\"F32\",\"shape\":" text ",\"data_offsets\":[0,24]")
#define OFFSETS(text)  FIELDS("\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":" text)

#define EXTRA(shape, from, to) "{" ALL "," TENSOR("x", "F32", shape, from, to) "}"

/* clang-format off */
static const hostile hostiles[] = {
    /* not JSON, or not this JSON */
    {"", ALL_SIZE, BAD_HEADER, NULL},
    {"{", ALL_SIZE, BAD_HEADER, NULL},
    {"}", ALL_SIZE, BAD_HEADER, NULL},
    {"[]", ALL_SIZE, BAD_HEADER, NULL},
    {"null", ALL_SIZE, BAD_HEADER, NULL},
    {"\"a\"", ALL_SIZE, BAD_HEADER, NULL},
    {" {" ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL, ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "}x", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "}{}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "}}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ", }", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",\n\t}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "{ }", ALL_SIZE, BAD_HEADER, NULL},
    {"{" W0 "{" B0 "," W1 "," B1 "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\xff\xfe\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\xc0\x80\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\xed\xa0\x80\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\xe2\x82\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\\ud800\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\\ud800\\u0041\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\\ud800\\ue000\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\\udc00\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "," TENSOR("00.weight", "F32", "2,3", "44", "68") ","
     TENSOR("00.bias", "F32", "2", "68", "76") "}", 76, BAD_TENSOR, NULL},
    {"{," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" W0 ",," B0 "," W1 "," B1 "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" W0 " " B0 "," W1 "," B1 "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",\"x\"}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",x:{}}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",\"x\":{}}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",\"x\":null}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL ",\"x\":[1]}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "/**/}", ALL_SIZE, BAD_HEADER, NULL},
    /* strings */
    {"{\"0.weight", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"0.weight\\", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"0.weight\\u00", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "," TENSOR("\\x", "F32", "0", "44", "44") "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "," TENSOR("\\u12g4", "F32", "0", "44", "44") "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "," TENSOR("\\U0041", "F32", "0", "44", "44") "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{" ALL "," TENSOR("a\tb", "F32", "0", "44", "44") "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\n\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"\\q\"}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    /* metadata is a map of strings */
    {"{\"__metadata__\":{\"a\":1}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":{}}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":null}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":\"a\"," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":[]," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    {"{\"__metadata__\":{\"a\":\"b\",}," ALL "}", ALL_SIZE, BAD_HEADER, NULL},
    /* twice the same key */
    {"{" ALL "," W0 "}", ALL_SIZE, BAD_EITHER, NULL},
    {"{" ALL "," TENSOR("2.bias", "F32", "1", "44", "48") "}", 48, BAD_EITHER, NULL},
    {"{" ALL "," TENSOR("2.\\u0062ias", "F32", "1", "44", "48") "}", 48, BAD_EITHER, NULL},
    {"{" ALL "," TENSOR("x", "F32", "0", "44", "44") "," TENSOR("x", "F32", "0", "44", "44") "}",
     ALL_SIZE, BAD_EITHER, NULL},
    {"{\"__metadata__\":{},\"__metadata__\":{}," ALL "}", ALL_SIZE, NN_ERROR_HEADER,
     NN_ERROR_METADATA, NULL},
    {FIELDS("\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]"),
     ALL_SIZE, BAD_HEADER, NULL},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[2,3],\"shape\":[2,3],\"data_offsets\":[0,24]"), ALL_SIZE,
     BAD_HEADER, NULL},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24],\"data_offsets\":[0,24]"),
     ALL_SIZE, BAD_HEADER, NULL},
    /* fields that are missing or of another kind */
    {FIELDS("\"shape\":[2,3],\"data_offsets\":[0,24]"), ALL_SIZE, BAD_HEADER, NULL},
    {FIELDS("\"dtype\":\"F32\",\"data_offsets\":[0,24]"), ALL_SIZE, BAD_HEADER, NULL},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[2,3]"), ALL_SIZE, BAD_HEADER, NULL},
    {FIELDS("\"dtype\":32,\"shape\":[2,3],\"data_offsets\":[0,24]"), ALL_SIZE, BAD_HEADER, NULL},
    {FIELDS("\"dtype\":\"Q32\",\"shape\":[2,3],\"data_offsets\":[0,24]"), ALL_SIZE, BAD_EITHER,
     NULL},
    {FIELDS("\"dtype\":\"f32\",\"shape\":[2,3],\"data_offsets\":[0,24]"), ALL_SIZE, BAD_EITHER,
     NULL},
    {FIELDS("\"dtype\":\"\",\"shape\":[2,3],\"data_offsets\":[0,24]"), ALL_SIZE, BAD_EITHER, NULL},
    {SHAPE("\"2,3\""), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("6"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[2,-3]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[-2,-3]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[2,3.0]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[2,3e0]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[02,3]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[+2,3]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[2,3,]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[2 3]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[[2],[3]]"), ALL_SIZE, BAD_HEADER, NULL},
    {SHAPE("[2,3"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("[0]"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("[0,24,24]"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("[]"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("24"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("[0,2.4e1]"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("[-24,0]"), ALL_SIZE, BAD_HEADER, NULL},
    {OFFSETS("[-0,24]"), ALL_SIZE, BAD_HEADER, NULL},
    /* data that overlap, leave a hole, run backwards, or are not there */
    {OFFSETS("[24,0]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[0,20]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[0,28]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[4,28]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[0,18446744073709551640]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[18446744073709551616,18446744073709551640]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[18446744073709551592,0]"), ALL_SIZE, BAD_EITHER, NULL},
    {OFFSETS("[4294967296,4294967320]"), ALL_SIZE, NN_ERROR_HEADER, NN_ERROR_TRUNCATED, NULL},
    {OFFSETS("[0,99999999999999999999999999999999999999999999]"), ALL_SIZE, BAD_EITHER, NULL},
    {"{" W0 "," TENSOR("0.bias", "F32", "2", "20", "28") "," W1 "," B1 "}", ALL_SIZE, BAD_EITHER,
     NULL},
    {"{" W0 "," TENSOR("0.bias", "F32", "2", "32", "40") "," W1 "," B1 "}", ALL_SIZE, BAD_EITHER,
     NULL},
    {"{" W0 "," B0 "," W1 "," TENSOR("2.bias", "F32", "1", "44", "48") "}", 48, BAD_EXTENT, NULL},
    {"{" ALL "}", ALL_SIZE - 1, BAD_EXTENT, NULL},
    {"{" ALL "}", ALL_SIZE - 4, BAD_EXTENT, NULL},
    {"{" ALL "}", 0, BAD_EXTENT, NULL},
    {"{" ALL "}", ALL_SIZE + 1, BAD_EXTENT, NULL},
    {"{" ALL "}", ALL_SIZE + 4, BAD_EXTENT, NULL},
    /* extra tensors are ignored, but must be sound */
    {EXTRA("1", "44", "48"), ALL_SIZE, BAD_EXTENT, NULL},
    {EXTRA("2", "40", "48"), 48, BAD_EITHER, NULL},
    {EXTRA("1", "0", "4"), ALL_SIZE, BAD_EITHER, NULL},
    {EXTRA("2", "44", "48"), 48, BAD_EITHER, NULL},
    {EXTRA("4294967296,4294967296", "44", "44"), ALL_SIZE, BAD_EITHER, NULL},
    {EXTRA("9223372036854775808,2", "44", "44"), ALL_SIZE, BAD_EITHER, NULL},
    {EXTRA("4611686018427387904", "44", "44"), ALL_SIZE, BAD_EITHER, NULL},
    {EXTRA("6148914691236517206,3", "44", "52"), 52, BAD_EITHER, NULL},
    {EXTRA("18446744073709551617", "44", "48"), 48, BAD_EITHER, NULL},
    /* tensors that are not the model's; the place names them */
    {"{}", 0, BAD_TENSOR, NULL},
    {NAMED("net.body.weight", "net.body.bias", "net.head.weight", "net.head.bias"), ALL_SIZE,
     BAD_TENSOR, "net.head.weight"},
    {"{" W0 "," B0 "," B1 "}", 36, BAD_EITHER, NULL},
    {"{" ALL "," TENSOR("4.bias", "F32", "1", "44", "48") "}", 48, BAD_TENSOR, "4.bias"},
    {"{" W0 "," B0 "}", 32, BAD_TENSOR, NULL},
    {"{" ALL "," TENSOR("4.weight", "F32", "1,1", "44", "48") ","
     TENSOR("4.bias", "F32", "1", "48", "52") "}", 52, BAD_TENSOR, NULL},
    {SHAPE("[3,2]"), ALL_SIZE, BAD_TENSOR, "0.weight"},
    {"{" TENSOR("0.weight", "F32", "3,2", "0", "24") "," TENSOR("0.bias", "F32", "3", "24", "36")
     "," TENSOR("2.weight", "F32", "1,2", "36", "44") "," TENSOR("2.bias", "F32", "1", "44", "48")
     "}", 48, BAD_TENSOR, "0.weight"},
    {SHAPE("[6]"), ALL_SIZE, BAD_TENSOR, "0.weight"},
    {SHAPE("[1,2,3]"), ALL_SIZE, BAD_TENSOR, "0.weight"},
    {SHAPE("[2,3,1]"), ALL_SIZE, BAD_TENSOR, "0.weight"},
    {SHAPE("[6,1]"), ALL_SIZE, BAD_TENSOR, "0.weight"},
    {"{" W0 "," TENSOR("0.bias", "F32", "2,1", "24", "32") "," W1 "," B1 "}", ALL_SIZE, BAD_TENSOR,
     "0.bias"},
    {"{" W0 "," B0 "," W1 "," TENSOR("2.bias", "F32", "", "40", "44") "}", ALL_SIZE, BAD_TENSOR,
     "2.bias"},
    {"{" TENSOR("0.weight", "I32", "2,3", "0", "24") "," B0 "," W1 "," B1 "}", ALL_SIZE, BAD_TENSOR,
     "0.weight"},
    {"{" TENSOR("0.weight", "C64", "2,3", "0", "24") "," B0 "," W1 "," B1 "}", ALL_SIZE, BAD_TENSOR,
     "0.weight"},
    {"{" W0 "," B0 "," W1 "," TENSOR("2.bias", "F4", "1", "40", "44") "}", ALL_SIZE, BAD_TENSOR,
     "2.bias"},
};

/* clang-format on */

static void test_hostile(void)
{
    size_t i;
    nn_model *model = make_small();
    for (i = 0; i < sizeof hostiles / sizeof *hostiles; i++) {
        const hostile *h = hostiles + i;
        bytes file = make_file(h->header, strlen(h->header), h->size);
        nn_location place;
        nn_status status = fill(model, file, &place);
        int good = CHECK(status == h->status || status == h->or_status);
        if (h->name) good = CHECK(!strcmp(place.name, h->name)) && good;
        if (!good)
            printf("file %d: status %d at \"%.63s\": %s\n", (int)i, (int)status, place.name,
                   h->header);
        CHECK(fill(model, file, NULL) == status);
        free(file.at);
    }
    nn_model_free(model);
}

/* The eight bytes of the header's length, from 0 to what overflows when 8 is added. */
static void test_header_length(void)
{
    static const char header[] = "{" ALL "}";
    static const uint64_t lengths[] = {0,
                                       1,
                                       sizeof header - 2,
                                       sizeof header,
                                       sizeof header - 1 + ALL_SIZE,
                                       sizeof header + ALL_SIZE,
                                       100000001,
                                       0x7fffffff,
                                       0xffffffff,
                                       0x100000000 + sizeof header - 1,
                                       0x7fffffffffffffff,
                                       0x8000000000000000,
                                       0xfffffffffffffff7,
                                       0xfffffffffffffff8,
                                       0xffffffffffffffff};
    nn_model *model = make_small();
    bytes file = make_file(header, sizeof header - 1, ALL_SIZE);
    size_t i;
    CHECK(fill(model, file, NULL) == NN_OK);
    for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        nn_status status;
        put_length(file.at, lengths[i]);
        status = fill(model, file, NULL);
        CHECK(status == NN_ERROR_HEADER || status == NN_ERROR_TRUNCATED);
    }
    free(file.at);
    nn_model_free(model);
}

/* A million brackets must not be a million stack frames. */
static void test_nesting(void)
{
    static const char *const starts[] = {"{\"x\":", "{\"__metadata__\":{\"a\":", "[",
                                         "{\"0.weight\":{\"shape\":", "{\"0.weight\":"};
    static const char *const repeats[] = {"{\"x\":", "[", "{\"a\":"};
    enum { DEPTH = 1000000 };
    nn_model *model = make_small();
    char *header = (char *)malloc(DEPTH * 6 + 100);
    size_t s, r, i;
    for (s = 0; header && s < sizeof starts / sizeof *starts; s++) {
        for (r = 0; r < sizeof repeats / sizeof *repeats; r++) {
            size_t length = strlen(starts[s]), n = strlen(repeats[r]);
            bytes file;
            memcpy(header, starts[s], length);
            for (i = 0; i < DEPTH; i++, length += n) memcpy(header + length, repeats[r], n);
            file = make_file(header, length, 0);
            CHECK(fill(model, file, NULL) == NN_ERROR_HEADER);
            free(file.at);
        }
    }
    free(header);
    nn_model_free(model);
}

/* Adds so many tensors without numbers to the header; returns its new length. */
static size_t add_tensors(char *header, size_t length, unsigned count)
{
    unsigned i;
    for (i = 0; i < count; i++)
        length += (size_t)sprintf(header + length, "," TENSOR("%05u", "F32", "0", "44", "44"), i);
    return length;
}

/* Thousands of tensors beside the model's, and a long metadata string: large is not wrong. */
static void test_large_header(void)
{
    enum { COUNT = 2000, LONG = 100000 };
    nn_model *model = make_small();
    char *header = (char *)malloc(COUNT * 80 + LONG + 1000);
    size_t length;
    bytes file;
    if (!header || !model) return;
    length = (size_t)sprintf(header, "{\"__metadata__\":{\"note\":\"");
    memset(header + length, 'n', LONG);
    length += LONG;
    length += (size_t)sprintf(header + length, "\"}," ALL);
    length = add_tensors(header, length, COUNT);
    header[length++] = '}';
    file = make_file(header, length, ALL_SIZE);
    CHECK(fill(model, file, NULL) == NN_OK);
    check_small(model);
    free(file.at);
    free(header);
    nn_model_free(model);
}

/* Layers whose tensors stand in any order between others, and names that come twice. */
static void test_sorted_header(void)
{
    enum { COUNT = 150, LONG = 100 };
    static const nn_real want[] = {1, 4, 2, 5, 3, 6, 7, 8, 9, 10, 11};
    /* clang-format off */
    static const char *const tensors[] = {
        TENSOR("layer10.bias", "F32", "1", "40", "44"),
        TENSOR("layer9.bias", "F32", "2", "24", "32"),
        TENSOR("layer10.weight", "F32", "1,2", "32", "40"),
        TENSOR("layer9.weight", "F32", "2,3", "0", "24")};
    static const struct twice {
        const char *tensor, *key;
        nn_status status;
    } cases[] = {
        {"", "", NN_OK},
        {"," TENSOR("layer9.weigh\\u0074", "F32", "0", "44", "44"), "", NN_ERROR_TENSOR},
        {"," TENSOR("x00077", "F32", "0", "44", "44"), "", NN_ERROR_TENSOR},
        {"," TENSOR("x077", "F32", "0", "44", "44"), "", NN_OK},
        {"," TENSOR("k00001", "F32", "0", "44", "44"), "", NN_OK},
        {"", ",\"k00077\":\"\"", NN_OK},
        {"", ",\"x00077\":\"\"", NN_OK},
    };
    /* clang-format on */
    nn_model *model = make_small();
    char *header = (char *)malloc(COUNT * (LONG + 100) + 1000);
    size_t length, i, k, order;
    if (!header || !model) return;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (order = 0; order < 4; order++) {
            bytes file;
            length = (size_t)sprintf(header, "{\"__metadata__\":{\"a\":\"\"");
            for (k = 0; k < COUNT; k++)
                length +=
                    (size_t)sprintf(header + length, ",\"k%05u\":\"%0*d\"", (unsigned)k, LONG, 0);
            length += (size_t)sprintf(header + length, "%s}", cases[i].key);
            for (k = 0; k < COUNT; k++) {
                if (k % 40 == 7)
                    length +=
                        (size_t)sprintf(header + length, ",%s", tensors[(k / 40 + order) % 4]);
                length +=
                    (size_t)sprintf(header + length, "," TENSOR("x%05u", "F32", "0", "44", "44"),
                                    (unsigned)(COUNT - k));
            }
            length += (size_t)sprintf(header + length, "%s}", cases[i].tensor);
            file = make_file(header, length, ALL_SIZE);
            memset(nn_parameters(model), 0, sizeof want);
            CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) ==
                  cases[i].status);
            CHECK(!memcmp(nn_parameters(model), want, sizeof want) == (cases[i].status == NN_OK));
            free(file.at);
        }
    }
    free(header);
    nn_model_free(model);
}

/* The other precision is taken, rounded to the nearest; what overflows it is refused. */
static void test_other_type(void)
{
    static const nn_layer layers[] = {NN_DENSE(1, NN_LINEAR)};
    /* clang-format off */
    static const char header[] = "{"
        TENSOR("0.weight", "F64", "1,2", "0", "16") ","
        TENSOR("0.bias", "F32", "1", "16", "20") "}";
    /* clang-format on */
    nn_model *model = make_model(2, layers, 1, 1);
    bytes file = make_file(header, sizeof header - 1, 20);
    unsigned char *data = file.at + sizeof header - 1 + 8;
    const nn_real *p = nn_parameters(model);
    nn_status status;
    nn_location place;
    put_double(data, 0.1);
    put_double(data + 8, -2.5);
    put_float(data + 16, 0.1f);
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_OK);
    CHECK(p[0] == (nn_real)0.1 && p[1] == (nn_real)-2.5 && p[2] == (nn_real)0.1f);
    put_double(data + 8, 1e300);
    memset(&place, 0, sizeof place);
    status = nn_load_parameters_memory(model, file.at, file.size, NULL, &place);
    if (sizeof(nn_real) == 8) {
        CHECK(status == NN_OK && p[1] == (nn_real)1e300);
    } else {
        CHECK(status == NN_ERROR_PARAMETER && p[1] == (nn_real)-2.5);
        CHECK(!strcmp(place.name, "0.weight"));
    }
    free(file.at);
    nn_model_free(model);
}

/* NaN and infinity are refused, in any tensor, and the place names it. */
static void test_not_finite(void)
{
    static const char header[] = "{" ALL "}";
    static const float bad[] = {(float)NAN, (float)INFINITY, -(float)INFINITY};
    static const int at[] = {0, 5, 6, 7, 8, 10};
    static const char *const names[] = {"0.weight", "0.weight", "0.bias",
                                        "0.bias",   "2.weight", "2.bias"};
    nn_model *model = make_small();
    size_t i, k;
    for (i = 0; i < sizeof at / sizeof *at; i++) {
        for (k = 0; k < 3; k++) {
            bytes file = make_file(header, sizeof header - 1, ALL_SIZE);
            nn_location place;
            put_float(file.at + 8 + sizeof header - 1 + 4 * at[i], bad[k]);
            CHECK(fill(model, file, &place) == NN_ERROR_PARAMETER);
            CHECK(!strcmp(place.name, names[i]));
            free(file.at);
        }
    }
    nn_model_free(model);
}

int main(void)
{
    RUN(test_foreign);
    RUN(test_data_order);
    RUN(test_natural_order);
    RUN(test_hostile);
    RUN(test_header_length);
    RUN(test_nesting);
    RUN(test_large_header);
    RUN(test_sorted_header);
    RUN(test_other_type);
    RUN(test_not_finite);
    return test_done();
}
