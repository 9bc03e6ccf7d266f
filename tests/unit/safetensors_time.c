/* The time to take or refuse a header is in proportion to its size, times the logarithm of the
   number of its tensors, whatever stands in it. Not seconds are measured but reads of bytes, which
   are the same on every machine; with a number of megabytes as its argument the program prints
   seconds too. */
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

/* ---- Hostile headers ------------------------------------------------------------------------- */

static char *header;
static size_t length, tensors, data_size;

static void add(const char *text)
{
    const size_t more = strlen(text);
    memcpy(header + length, text, more);
    length += more;
}

static void fill(const char *text, size_t times)
{
    while (times-- > 0) add(text);
}

/* The part of a tensor behind its name, of `size` bytes. */
static void describe(size_t size, const char *extra)
{
    char text[200];
    sprintf(text, "\":{%s\"dtype\":\"U8\",\"shape\":[%lu],\"data_offsets\":[%lu,%lu]}", extra,
            (unsigned long)size, (unsigned long)data_size, (unsigned long)(data_size + size));
    add(text);
    data_size += size;
    tensors++;
}

static void number(size_t n)
{
    char text[32];
    sprintf(text, "%lu", (unsigned long)n);
    add(text);
}

/* Each maker fills a header of about `size` bytes, which begins with `{` already and is closed
   behind it. */
typedef void (*maker)(size_t size);

static void many_tensors(size_t size)
{
    size_t i;
    for (i = 0; length < size; i++) {
        add(i ? ",\"" : "\"");
        number((i * 7919 + i * i * 104729) % 1000003);
        describe(i % 2, "");
    }
}

static void many_keys(size_t size)
{
    size_t i;
    add("\"__metadata__\":{");
    for (i = 0; length < size; i++) {
        add(i ? ",\"" : "\"");
        number(i);
        add("\":\"\"");
    }
    add("}");
}

/* `count` names of the text, many times, and a number. */
static void long_names(size_t size, size_t count, const char *text, const char *end)
{
    const size_t times = size / count > 100 ? (size / count - 100) / strlen(text) : 1;
    size_t i;
    for (i = 0; i < count; i++) {
        add(i ? ",\"" : "\"");
        fill(text, times);
        number((i * 7919 + i * i * 104729) % 1000003);
        add(end);
        describe(1, "");
    }
}

static void short_names(size_t size)
{
    long_names(size, size / 250, "a", "");
}

/* A merge sort compares a long text no more often than it moves one; a heap sort would. */
static void two_long_names(size_t size)
{
    size_t i;
    for (i = 0; i < 2; i++) {
        add(i ? ",\"" : "\"");
        fill("x", size / 4);
        number(i);
        describe(1, "");
    }
    for (i = 0; length < size; i++) {
        add(",\"");
        add(i % 2 ? "y" : "w");
        number(i);
        describe(1, "");
    }
}

static void one_long_value(size_t size)
{
    add("\"__metadata__\":{\"a\":\"");
    fill("\\ud83d\\ude00\xf0\x9f\x98\x80", size / 16);
    add("\"}");
}

static void spaces(size_t size)
{
    fill(" \t\r\n", size / 8);
    add("\"__metadata__\":{");
    fill(" ", size / 2);
    add("}");
}

static void many_brackets(size_t size)
{
    size_t i;
    for (i = 0; length < size; i++) {
        add(i ? ",\"" : "\"");
        number(i);
        describe(1, "\"x\":[[[[[[[[{\"a\":{\"b\":[]}}]]]]]]]],");
    }
}

static void many_extra_keys(size_t size)
{
    size_t i;
    add("\"a\":{");
    for (i = 0; length < size; i++) add("\"dtyp\":-1.5e-3,");
    add("\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}");
}

static void many_dimensions(size_t size)
{
    add("\"a\":{\"dtype\":\"U8\",\"shape\":[");
    while (length < size) add("1,");
    add("1],\"data_offsets\":[0,1]}");
    data_size = 1;
}

/* The data in the order opposite to that of the header. */
static void backwards(size_t size)
{
    size_t i, count = size / 64;
    char text[200];
    for (i = 0; i < count; i++) {
        sprintf(text, "%s\"%lu\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%lu,%lu]}",
                i ? "," : "", (unsigned long)(count - i), (unsigned long)(count - 1 - i),
                (unsigned long)(count - i));
        add(text);
    }
    tensors = data_size = count;
}

/* Refused only at the last tensor: it is there twice. */
static void twice(size_t size)
{
    many_tensors(size);
    add(",\"0");
    describe(0, "");
}

static const struct hostile {
    const char *name;
    maker make; /* NULL: long_names, with the values behind it */
    size_t count;
    const char *text, *end;
} hostiles[] = {
    {"many tensors", many_tensors, 0, "", ""},
    {"many keys", many_keys, 0, "", ""},
    {"ten names", NULL, 10, "a", ""},
    {"a thousand names", NULL, 1000, "a", ""},
    {"short names", short_names, 0, "", ""},
    {"digits", NULL, 1000, "9", ""},
    {"zeros", NULL, 1000, "0", ""},
    {"numbers", NULL, 1000, "0a", ""},
    {"escapes", NULL, 1000, "\\u0061", ""},
    {"escaped digits", NULL, 1000, "\\u0030", ""},
    {"not ASCII", NULL, 1000, "\xc3\xa9", ""},
    {"dots", NULL, 1000, ".weight.bias", ".weight"},
    {"layers", NULL, 1000, "layer", ".weight"},
    {"one long name", NULL, 1, ".weigh.bia", ""},
    {"two long names", two_long_names, 0, "", ""},
    {"one long value", one_long_value, 0, "", ""},
    {"spaces", spaces, 0, "", ""},
    {"many brackets", many_brackets, 0, "", ""},
    {"many extra keys", many_extra_keys, 0, "", ""},
    {"many dimensions", many_dimensions, 0, "", ""},
    {"backwards", backwards, 0, "", ""},
    {"twice", twice, 0, "", ""},
};

/* A file with the header, and as much data as it announces. */
static bytes make_hostile(const struct hostile *hostile, size_t size)
{
    bytes b;
    header = (char *)malloc(size + size / 2 + 10000);
    if (!header) exit(2);
    length = tensors = data_size = 0;
    add("{");
    if (hostile->make)
        hostile->make(size);
    else
        long_names(size, hostile->count, hostile->text, hostile->end);
    add("}");
    b = make_bytes(8 + length + data_size);
    memset(b.at, 0, b.size);
    put_length(b.at, length);
    memcpy(b.at + 8, header, length);
    free(header);
    return b;
}

/* The binary logarithm, rounded up. */
static int log2_of(size_t n)
{
    int log = 0;
    while (((size_t)1 << log) < n) log++;
    return log;
}

static double megabytes; /* 0: only the reads are checked */

static void test_headers(void)
{
    static const nn_layer layer[] = {NN_DENSE(1, NN_LINEAR)};
    const size_t size = megabytes > 0 ? (size_t)(megabytes * 1e6) : 500000;
    nn_model *model = make_model(1, layer, 1, 1);
    int i;

    for (i = 0; i < COUNT_OF(hostiles); i++) {
        bytes file = make_hostile(&hostiles[i], size);
        nn_location place;
        nn_status status;
        clock_t start = clock();
        double each;

        reads = 0;
        status = nn_load_parameters_memory(model, file.at, file.size, NULL, &place);
        CHECK(status == NN_ERROR_TENSOR); /* none has the one layer of the model */
        each = reads / (double)length;
        CHECK(each <= 40 + 5 * log2_of(tensors + 1));
        if (megabytes > 0)
            printf("%-16s %8lu bytes, %7lu tensors, %5.1f reads of each byte, %.3f s\n",
                   hostiles[i].name, (unsigned long)length, (unsigned long)tensors, each,
                   (double)(clock() - start) / CLOCKS_PER_SEC);
        free(file.at);
    }
    nn_model_free(model);
}

/* The same for many layers that the metadata describe: taken, and refused at the last one. */
static void test_layers(void)
{
    const int pools = megabytes > 0 ? (int)(megabytes * 1e6) / 32 : 20000;
    nn_layer *layers = (nn_layer *)malloc(((size_t)pools + 2) * sizeof *layers);
    nn_model *model, *loaded = NULL;
    bytes file;
    size_t at, widths;
    int i;

    if (!layers) exit(2);
    memset(layers, 0, ((size_t)pools + 2) * sizeof *layers);
    layers[0].kind = NN_LAYER_IMAGE;
    for (i = 1; i <= pools; i++) layers[i].kind = NN_LAYER_MAX_POOL;
    for (i = 0; i <= pools; i++) layers[i].height = layers[i].width = 1;
    layers[0].channels = 1;
    layers[pools + 1] = dense_layer(1, NN_TANH);
    model = make_model(1, layers, pools + 2, 1);
    reads = 0;
    file = save_model(model);
    CHECK(reads == 0 && file.size > 30 * (size_t)pools);
    CHECK(nn_load_memory(&loaded, file.at, file.size, NULL) == NN_OK);
    CHECK(same_parameters(model, loaded) && reads <= 40 * (double)file.size);
    nn_model_free(loaded);
    reads = 0;
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_OK);
    CHECK(reads <= 40 * (double)file.size);
    reads = 0;
    CHECK(nn_model_open_size(file.at, file.size) > (size_t)pools);
    CHECK(reads <= 10 * (double)file.size);
    at = (size_t)(find_value(file, "nn.layers", &widths) - file.at) + widths - 1;
    CHECK(file.at[at] == '1');
    file.at[at] = '2';
    CHECK(put_checksum(file));
    reads = 0;
    CHECK(nn_load_memory(&loaded, file.at, file.size, NULL) == NN_ERROR_TENSOR && !loaded);
    CHECK(nn_load_parameters_memory(model, file.at, file.size, NULL, NULL) == NN_ERROR_METADATA);
    CHECK(reads <= 80 * (double)file.size);
    nn_model_free(model);
    free(file.at);
    free(layers);
}

int main(int argc, char **argv)
{
    if (argc > 1) megabytes = atof(argv[1]);
    RUN(test_headers);
    RUN(test_layers);
    return test_done();
}
