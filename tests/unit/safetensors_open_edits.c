/* nn_model_open_in on files made by hand, whose checksum is right: none is taken whose metadata
   nn_save would not have written byte for byte. Usage: safetensors_open_edits [SEED] */
#include "safetensors_open.h"

/* Files made here are those that nn_save writes. */
static void test_by_hand(void)
{
    static const nn_layer layers[] = {NN_DENSE(2, NN_RELU), NN_DENSE(1, NN_LINEAR)};
    static const nn_real x[3] = {3, -2, 5};
    nn_model *model = NULL;
    nn_real y[1], *p;
    net n = small_net();
    size_t size, i;
    text header;
    bytes data, file, saved;
    opened o;

    n.scaling = "none";
    n.values = "";
    header = make_header(&n, &size);
    data = make_numbers(size, n.real);
    file = assemble(header, data, 8, 0);
    CHECK(nn_model_create(&model, 3, layers, 2, 1) == NN_OK);
    p = nn_parameters(model);
    for (i = 0; i < 11; i++) { /* [2 x 3], [2], [1 x 2], [1] there; [3 x 2] first here */
        const size_t at = i < 6 ? i % 2 * 3 + i / 2 : i;
        p[i] = (nn_real)number_at(at);
    }
    saved = save_model(model);
    CHECK(same_bytes(file, saved));
    o = open_at(file, 0, 0);
    if (CHECK(o.status ==
              NN_OK)) { /* 7/8 + (3 + 4 + 15)/8, and below zero -8/8 - (12 + 10 + 30)/8 */
        CHECK(nn_predict(o.model, x, 1, y, NULL) == NN_OK);
        CHECK(y[0] == (nn_real)(11.0 / 8 + 9.0 / 8 * (7 + 3 + 4 + 15) / 8));
    }
    close_opened(&o);
    free(saved.at);
    free(file.at);
    free(data.at);
    free(header.at);
    nn_model_free(model);
}

typedef struct edit {
    const char *from, *to;
    int takers; /* nn_load_memory 1, nn_model_open_in 2 */
} edit;

/* clang-format off */
#define TENSOR(name, shape, from, to) \
    "\"" name "\":{\"dtype\":\"" OWN_TYPE "\"," \
    "\"shape\":[" shape "],\"data_offsets\":[" from "," to "]}"
#define W0 TENSOR("0.weight", "2,3", "0", SIZED("24", "48"))
#define B0 TENSOR("0.bias", "2", SIZED("24", "48"), SIZED("32", "64"))
#define W1 TENSOR("2.weight", "1,2", SIZED("32", "64"), SIZED("40", "80"))
#define B1 TENSOR("2.bias", "1", SIZED("40", "80"), SIZED("44", "88"))
#define ALL W0 "," B0 "," W1 "," B1
#define LIST "\"nn.activations\":\"relu,linear\""
#define WIDE(widths) "\"nn.widths\":\"3,2,1\"", "\"nn.widths\":\"" widths "\""
#define LISTED(list) LIST, "\"nn.activations\":\"" list "\""
#define SCALED(kind) "\"nn.scaling\":\"min-max\"", "\"nn.scaling\":\"" kind "\""
#define VALUES(values) SCALING_VALUES, values
#define INFINITE SIZED("7f800000", "7ff0000000000000")
#define TWO SIZED("40000000", "4000000000000000")

static const edit edits[] = {
    {"\"nn.version\":\"1\"", "\"nn.version\":\"\"", 0},
    {"\"nn.version\":\"1\"", "\"nn.version\":\"2\"", 0},
    {"\"nn.version\":\"1\"", "\"nn.version\":\"1 \"", 0},
    {"\"nn.version\":\"1\"", "\"nn.version\":\"01\"", 0},
    {"\"nn.version\":\"1\"", "\"nn.version\":\"11\"", 0},
    {"\"nn.version\":\"1\",", "", 0},
    {WIDE(""), 0},
    {WIDE("3"), 0},
    {WIDE("3,"), 0},
    {WIDE("3,2"), 0},
    {WIDE("3,2,"), 0},
    {WIDE("3,2,1,"), 0},
    {WIDE(",3,2,1"), 0},
    {WIDE("3,,2,1"), 0},
    {WIDE("3,2,1,1"), 0},
    {WIDE("3,2,2"), 0},
    {WIDE("4,2,1"), 0},
    {WIDE("2,3,1"), 0},
    {WIDE("8,1,1"), 0},
    {WIDE("4,1,3"), 0},
    {WIDE("0,2,3"), 0},
    {WIDE("3,0,11"), 0},
    {WIDE("10,1"), 0},
    {WIDE("03,2,1"), 0},
    {WIDE("3,02,1"), 0},
    {WIDE("3,2,01"), 0},
    {WIDE("+3,2,1"), 0},
    {WIDE("-3,2,1"), 0},
    {WIDE("3.0,2,1"), 0},
    {WIDE("3, 2,1"), 0},
    {WIDE(" 3,2,1"), 0},
    {WIDE("3,2,1 "), 0},
    {WIDE("3;2,1"), 0},
    {WIDE("3,2,:"), 0},
    {WIDE("3,2,/"), 0},
    {"\"nn.widths\":\"3,2,1\",", "", 1}, /* as files of other versions */
    {LISTED(""), 0},
    {LISTED(","), 0},
    {LISTED("relu"), 0},
    {LISTED("relu,"), 0},
    {LISTED(",linear"), 0},
    {LISTED(",relu,linear"), 0},
    {LISTED("relu,,linear"), 0},
    {LISTED("relu,linear,"), 0},
    {LISTED("relu,linear,linear"), 0},
    {LISTED("relu,linear,tanh,relu"), 0},
    {LISTED("softmax,linear"), 0},
    {LISTED("softmax,softmax"), 0},
    {LISTED("relu,maxout"), 0},
    {LISTED("relu, linear"), 0},
    {LISTED("relu;linear"), 0},
    {LISTED("Relu,linear"), 0},
    {LISTED("relu,linea"), 0},
    {LISTED("relu,linearr"), 0},
    {LISTED("reluu,linear"), 0},
    {LISTED("linear,linear"), 3}, /* though the names say that the first has an activation */
    {LISTED("relu,softmax"), 0}, /* of one output */
    {LISTED("relu,sigmoid"), 3},
    {LISTED("tanh,relu"), 3},
    {LISTED("leaky_relu,leaky_relu"), 3},
    {LIST ",", "", 0},
    {SCALED(""), 0},
    {SCALED("none"), 0},
    {SCALED("max"), 0},
    {SCALED("min-ma"), 0},
    {SCALED("min-maxx"), 0},
    {SCALED("standard "), 0},
    {SCALED("standard"), 3},
    {VALUES(""), 0},
    {VALUES("0"), 0},
    {VALUES(ONE), 0},
    {VALUES(SCALING_VALUES "0"), 0},
    {VALUES(SCALING_VALUES ONE), 0},
    {VALUES(SCALING_VALUES ONE ONE), 0},
    {VALUES(SCALING_VALUES SCALING_VALUES), SIZED(1, 0)}, /* as doubles */
    {ONE TWO, INFINITE TWO, 0},
    {ONE TWO, ONE INFINITE, 0},
    {ONE TWO, "f" TWO, 0},
    {ONE TWO, "g" SIZED("f800000", "ff0000000000000") TWO, 0},
    {ONE TWO, " " SIZED("f800000", "ff0000000000000") TWO, 0},
    {ONE TWO, "/" SIZED("f800000", "ff0000000000000") TWO, 0},
    {ONE TWO, ":" SIZED("f800000", "ff0000000000000") TWO, 0},
    {ONE TWO, "`" SIZED("f800000", "ff0000000000000") TWO, 0},
    {ONE TWO, "3F" SIZED("800000", "f0000000000000") TWO, 0},
    {ONE TWO, "\\u0033f" SIZED("800000", "f0000000000000") TWO, 0},
    {ONE TWO, TWO ONE, 3},
    {ONE TWO, SIZED("00000000", "0000000000000000") TWO, 3},
    {ONE TWO, SIZED("80000001", "8000000000000001") TWO, 3},
    /* the metadata otherwise */
    {"\"nn.crc32\":\"00000000\"", "\"nn.crc32\":\"0000000\"", 0},
    {"\"nn.crc32\":\"00000000\"", "\"nn.crc32\":\"000000000\"", 0},
    {"\"nn.crc32\":\"00000000\"", "\"nn.crc32\":\"\"", 0},
    {",\"nn.crc32\":\"00000000\"", "", 0},
    {"\"format\":\"pt\"", "\"format\":\"np\"", 1},
    {"\"format\":\"pt\",", "", 1},
    {"\"format\":\"pt\"", "\"format\":\"pt\",\"author\":\"x\"", 1},
    {"\"format\":\"pt\",\"nn.version\":\"1\"", "\"nn.version\":\"1\",\"format\":\"pt\"", 1},
    {"\"nn.widths\":\"3,2,1\"," LIST, LIST ",\"nn.widths\":\"3,2,1\"", 1},
    {"\"nn.crc32\"", "\"nn.state\":\"\",\"nn.crc32\"", 1},
    {"\"nn.crc32\"", "\"nn.state\":\"0\",\"nn.crc32\"", 1},
    {"\"nn.version\"", "\"nn\\u002eversion\"", 0},
    {"\"nn.version\"", "\"nn.Version\"", 0},
    {"{\"__metadata__\":{\"format\":\"pt\"", "{\"__metadata__\":{\"format\":\"pt\"},\"x\":{", 0},
    /* space, and order */
    {"{\"__", " {\"__", 0},
    {"{\"__", "{ \"__", 1},
    {"__\":{", "__\": {", 1},
    {"__\":{", "__\" :{", 1},
    {"\"pt\",", "\"pt\", ", 1},
    {"[2,3]", "[2, 3]", 3},
    {"[2,3]", "[ 2,3]", 3},
    {"[2,3]", "[2,3 ]", 3},
    {"[2,3]", "[2,3\t]", 3},
    {",\"0.bias\"", ",\n\"0.bias\"", 3},
    {"]}}", "]} }", 3},
    {"},\"0.weight\"", "} ,\"0.weight\"", 3},
    {"},\"0.weight\"", "}\n\t,\"0.weight\"", 3},
    {"]}}", "] }}", 3},
    {"]}}", "]}}\n", 3},
    {"]}}", "]}}\t\r ", 3},
    {"]}}", "]}}}", 2},
    {"]}}", "]},}", 2},
    {"]}}", "]}", 2},
    {W0 "," B0, B0 "," W0, 3},
    {ALL, W1 "," B1 "," W0 "," B0, 3},
    {"\"dtype\":\"" OWN_TYPE "\",\"shape\":[2,3]", "\"shape\":[2,3],\"dtype\":\"" OWN_TYPE "\"", 3},
    /* other tensors */
    {"0.weight", "00.weight", 2},
    {"0.weight", "1.weight", 2},
    {"0.weight", "weight", 2},
    {"0.bias", "2.bias", 2},
    {"0.bias", "0.bia", 2},
    {ALL, W0 "," B0, 2},
    {B1, B1 "," B1, 2},
    {B1, B1 "," TENSOR("x", "0", SIZED("44", "88"), SIZED("44", "88")), 3},
    {"\"dtype\":\"F", "\"dtype\":\"I", 2},
    {"\"dtype\":\"F", "\"dtype\":\"BF", 2},
    {"\"dtype\":\"" OWN_TYPE, "\"dtype\":\"" SIZED("F64", "F32"), 2},
    {"[2,3]", "[3,2]", 2},
    {"[2,3]", "[1,6]", 2},
    {"[2,3]", "[6]", 2},
    {"[2,3]", "[2,3,1]", 2},
    {"[2,3]", "[2]", 2},
    {"[2,3]", "[]", 2},
    {"[2,3]", "[,]", 2},
    {"[2,3]", "[2,]", 2},
    {"[2,3]", "[,3]", 2},
    {"[2,3]", "[-2,-3]", 2},
    {"[2,3]", "[+2,3]", 2},
    {"[2,3]", "[2.0,3]", 2},
    {"[2,3]", "[2e0,3]", 2},
    {"[2,3]", "[0x2,3]", 2},
    {"[2,3]", "[\"2\",3]", 2},
    {"[2]", "[2,1]", 2},
    {"[2]", "[1,2]", 2},
    {"[1,2]", "[2,1]", 2},
    /* layers that do not fit, or have no width, over all of the data */
    {ALL, TENSOR("0.weight", "1,3", "0", SIZED("12", "24")) ","
          TENSOR("0.bias", "1", SIZED("12", "24"), SIZED("16", "32")) ","
          TENSOR("2.weight", "1,6", SIZED("16", "32"), SIZED("40", "80")) "," B1, 2},
    {ALL, TENSOR("0.weight", "1,3", "0", SIZED("12", "24")) ","
          TENSOR("0.bias", "1", SIZED("12", "24"), SIZED("16", "32")) ","
          TENSOR("2.weight", "1,1", SIZED("16", "32"), SIZED("20", "40")) ","
          TENSOR("2.bias", "6", SIZED("20", "40"), SIZED("44", "88")), 2},
    {ALL, TENSOR("0.weight", "1,3", "0", SIZED("12", "24")) ","
          TENSOR("0.bias", "6", SIZED("12", "24"), SIZED("36", "72")) ","
          TENSOR("2.weight", "1,1", SIZED("36", "72"), SIZED("40", "80")) "," B1, 2},
    {ALL, TENSOR("0.weight", "0,3", "0", "0") "," TENSOR("0.bias", "0", "0", "0") ","
          TENSOR("2.weight", "11,0", "0", "0") ","
          TENSOR("2.bias", "11", "0", SIZED("44", "88")), 2},
    {ALL, TENSOR("0.weight", "11,0", "0", "0") ","
          TENSOR("0.bias", "11", "0", SIZED("44", "88")) ","
          TENSOR("2.weight", "0,11", SIZED("44", "88"), SIZED("44", "88")) ","
          TENSOR("2.bias", "0", SIZED("44", "88"), SIZED("44", "88")), 2},
    {ALL, TENSOR("0.weight", "2,3", "0", SIZED("24", "48")) ","
          TENSOR("0.bias", "2", SIZED("24", "48"), SIZED("32", "64")) ","
          TENSOR("2.weight", "0,2", SIZED("32", "64"), SIZED("32", "64")) ","
          TENSOR("2.bias", "0", SIZED("32", "64"), SIZED("32", "64")), 2},
    /* data that two tensors share, or that none has */
    {B0, TENSOR("0.bias", "2", SIZED("16", "32"), SIZED("24", "48")), 2},
    {B0, TENSOR("0.bias", "2", SIZED("20", "40"), SIZED("28", "56")), 2},
    {B0, TENSOR("0.bias", "2", SIZED("32", "64"), SIZED("40", "80")), 2},
    {B0, TENSOR("0.bias", "2", SIZED("0", "0"), SIZED("8", "16")), 2},
    {W1 "," B1, TENSOR("2.weight", "1,2", SIZED("36", "72"), SIZED("44", "88")) ","
                TENSOR("2.bias", "1", SIZED("32", "64"), SIZED("36", "72")), 3},
    {W1, TENSOR("2.weight", "1,2", SIZED("40", "80"), SIZED("32", "64")), 2},
};

/* clang-format on */

/* Each edit of a header: taken by nn_load_memory, by nn_model_open_in, by both, or by neither. */
static void test_edits(void)
{
    net n = small_net();
    size_t size, i;
    text header = make_header(&n, &size), other;
    bytes data = make_numbers(size, n.real);
    int loads;

    CHECK(header_taken(header, data, &loads));
    for (i = 0; i < sizeof edits / sizeof *edits; i++) {
        int taken, bad = test_bad;
        other = edited(header, edits[i].from, edits[i].to);
        taken = header_taken(other, data, &loads);
        CHECK(loads == (edits[i].takers & 1) && taken == edits[i].takers >> 1);
        if (test_bad > bad && bad < 5)
            printf("%s -> %s: loads %d, opens %d\n", edits[i].from, edits[i].to, loads, taken);
        free(other.at);
    }
    free(data.at);
    free(header.at);
}

/* Every width replaced: by others, by ones that are the same modulo 2^8, 2^16, 2^32
   or 2^64, by the same with a zero before it. */
static void test_numbers(void)
{
    static const char *const numbers[] = {"",
                                          "0",
                                          "1",
                                          "2",
                                          "3",
                                          "32767",
                                          "65535",
                                          "65536",
                                          "1073741824",
                                          "2147483583",
                                          "2147483584",
                                          "2147483647",
                                          "2147483648",
                                          "4294967295",
                                          "4294967296",
                                          "4611686018427387904",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "18446744073709551606",
                                          "18446744073709551615",
                                          "18446744073709551616",
                                          "99999999999999999999999999999999999999999999"};
    enum { OTHERS = sizeof numbers / sizeof *numbers, DERIVED = 8 };
    net n = small_net();
    size_t size, start, end, found = 0;
    text header = make_header(&n, &size), other;
    bytes data = make_numbers(size, n.real);
    int i, loads;

    for (start = (size_t)(strstr(header.at, "3,2,1") - header.at); header.at[start] != '"';
         start = end) {
        end = start + strspn(header.at + start, "0123456789");
        if (end == start) {
            end++;
            continue;
        }
        found++;
        for (i = 0; i < OTHERS + DERIVED; i++) {
            const unsigned value = (unsigned)atoi(header.at + start);
            char to[64];
            int same = 0;
            if (i < OTHERS) sprintf(to, "%s", numbers[i]);
            if (i == OTHERS) sprintf(to, "0%u", value);
            if (i == OTHERS + 1) sprintf(to, "%u", value + 1);
            if (i == OTHERS + 2) sprintf(to, "%u", value ? value - 1 : 7);
            if (i == OTHERS + 3) sprintf(to, "%u", value + 256);
            if (i == OTHERS + 4) sprintf(to, "%u", value + 65536);
            if (i == OTHERS + 5) sprintf(to, "4294967%u", 296 + value);
            if (i == OTHERS + 6) sprintf(to, "1844674407370955%u", 1616 + value);
            if (i == OTHERS + 7) sprintf(to, "%u ", value);
            same = strlen(to) == end - start && !strncmp(to, header.at + start, end - start);
            other = no_text();
            add_bytes(&other, header.at, start);
            add_bytes(&other, to, strlen(to));
            add_bytes(&other, header.at + end, header.size - end);
            if (!CHECK(header_taken(other, data, &loads) == same))
                printf("%s at %u\n", to, (unsigned)start);
            free(other.at);
        }
    }
    CHECK(found == 3);
    free(data.at);
    free(header.at);
}

/* Widths whose products fit the few bytes of data only modulo 2^32 or 2^64: all consistent. */
static void test_wrapped(void)
{
    static const uint64_t shapes[][3] = {
        {UINT64_C(1) << 62, 1, 0},
        {UINT64_C(1) << 63, 1, 0},
        {UINT64_C(1) << 32, UINT64_C(1) << 32, 0},
        {(UINT64_C(1) << 32) + 3, 2, 0},
        {(UINT64_C(1) << 62) + 3, 2, 0},
        {(UINT64_C(1) << 61) + 3, 2, 0},
        {3, (UINT64_C(1) << 62) + 2, 1},
        {3, (UINT64_C(1) << 32) + 2, 1},
        {3, (UINT64_C(1) << 30) + 2, 1},
        {3, (UINT64_C(1) << 29) + 2, 1},
        {1 << 30, 1, 0},
        {(1 << 30) + 3, 1, 0},
        {1 << 29, 1, 0},
        {(1 << 29) + 3, 1, 0},
        {1 << 28, 4, 0},
        {65536, 65536, 0},
        {65536, 16384, 1},
        {32768, 16384, 1},
        {1 << 30, 4, 1},
        {UINT64_C(2147483647), 2, 1},
        {UINT64_C(2147483648), 2, 1},
        {UINT64_C(4294967295), 1, 1},
        {1, UINT64_C(2147483647), 1},
        {1, UINT64_C(2147483583), 1},
    };
    static const uint64_t masks[] = {UINT64_MAX, UINT32_MAX, 0xffff};
    size_t i, k, size, tried = 0;
    int loads;

    for (i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (k = 0; k < 3; k++) {
            net n = small_net();
            text header;
            bytes data;
            n.widths[0] = shapes[i][0];
            n.widths[1] = shapes[i][1];
            n.widths[2] = shapes[i][2];
            n.scaling = "none";
            n.values = "";
            n.activations = shapes[i][2] ? "relu,linear" : "relu";
            n.mask = masks[k];
            header = make_header(&n, &size);
            if (size < 1 << 20) {
                data = make_numbers(size, n.real);
                CHECK(!header_taken(header, data, &loads) && !loads);
                free(data.at);
                tried++;
            }
            free(header.at);
        }
    }
    CHECK(tried > 30);
}

/* Data that are longer or shorter than the tensors, and headers that are cut, all with the checksum
   that is theirs and nothing behind. */
static void test_lengths(void)
{
    net n = small_net();
    size_t size, length, cut;
    text header = make_header(&n, &size), part;
    const size_t described = (size_t)(strchr(header.at, '}') - header.at); /* behind the checksum */
    bytes data, file, none = make_bytes(0);
    int loads;

    for (length = 0; length <= 2 * size; length++) {
        data = make_numbers(length, n.real);
        CHECK(header_taken(header, data, &loads) == (length == size) && loads == (length == size));
        free(data.at);
    }
    data = make_numbers(size, n.real);
    for (cut = 0; cut < header.size; cut++) {
        part = no_text();
        add_bytes(&part, header.at, cut);
        file = assemble(part, none, 1, 0);
        CHECK(!obeys(file, &loads) && !loads);
        free(file.at);
        CHECK(header_taken(part, data, &loads) == (cut >= described) && !loads);
        free(part.at);
    }
    free(none.at);
    free(data.at);
    free(header.at);
}

/* How the header is padded, and what its length is said to be. */
static void test_padding(void)
{
    static const uint64_t lengths[] = {0,
                                       1,
                                       2,
                                       0x7fff,
                                       0x8000,
                                       0xffff,
                                       UINT64_C(0x7fffffff),
                                       UINT64_C(0x80000000),
                                       UINT64_C(0xffffffff),
                                       UINT64_C(0x7fffffffffffffff),
                                       UINT64_C(0x8000000000000000),
                                       UINT64_C(0xfffffffffffffff8),
                                       UINT64_C(0xffffffffffffffff)};
    static const uint64_t carries[] = {UINT64_C(1) << 16, UINT64_C(1) << 32, UINT64_C(1) << 48,
                                       UINT64_C(1) << 63};
    net n = small_net();
    size_t size, i, more;
    text header = make_header(&n, &size);
    bytes data, file;
    int loads;

    data = make_numbers(size, n.real);
    for (more = 0; more <= 16; more++) {
        file = assemble(header, data, 8, more);
        CHECK(obeys(file, &loads) && loads);
        free(file.at);
        file = assemble(header, data, 1, more);
        CHECK(obeys(file, &loads) && loads);
        free(file.at);
    }
    file = assemble(header, data, 8, 0);
    more = header_size(file);
    CHECK(more > header.size); /* something is padded */
    for (i = 1; i <= more - header.size; i++) {
        file.at[8 + more - i] = '\n';
        put_checksum(file);
        CHECK(obeys(file, &loads) && loads);
        file.at[8 + more - i] = 0;
        put_checksum(file);
        CHECK(obeys(file, &loads) && !loads);
        file.at[8 + more - i] = ' ';
        put_checksum(file);
    }
    for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        put_length(file.at, lengths[i]);
        CHECK(!obeys(file, &loads) && !loads);
    }
    for (i = 0; i < sizeof carries / sizeof *carries; i++) {
        put_length(file.at, more + carries[i]);
        CHECK(!obeys(file, &loads) && !loads);
    }
    for (i = 0; i < 24; i++) {
        put_length(file.at, more + i - 12);
        CHECK(obeys(file, &loads) == (i == 12));
    }
    free(file.at);
    free(data.at);
    free(header.at);
}

int main(int argc, char **argv)
{
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    random_state = seed;
    make_inputs();
    RUN(test_by_hand);
    RUN(test_edits);
    RUN(test_numbers);
    RUN(test_wrapped);
    RUN(test_lengths);
    RUN(test_padding);
    return test_done();
}
