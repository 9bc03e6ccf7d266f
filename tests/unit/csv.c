/* CSV: quoting, headers, labels, bad cells with their place, and numbers right to the last bit.
   Usage: test_csv [seed] */
#include "../test.h"

#include <float.h>
#include <locale.h>
#include <stdint.h>

#include "../counted_heap.h"
#define NN_IMPLEMENTATION
#include "../../nn.h"

#ifdef NN_DOUBLE
#define PROGRAM "test_csv_double"
#else
#define PROGRAM "test_csv"
#endif
#define FILE_PATH "build/" PROGRAM ".csv"

static uint64_t random_state, random_seed = 1;

/* splitmix64 */
static uint64_t random_bits(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int random_below(int n)
{
    return (int)(random_bits() % (uint64_t)n);
}

static void check_zero(const nn_data *data)
{
    CHECK(data->rows == 0 && data->inputs == 0 && data->outputs == 0);
    CHECK(data->classes == 0 && data->dropped == 0);
    CHECK(!data->x && !data->y && !data->weight && !data->class_names && !data->memory);
}

static void check_equal(const nn_data *a, const nn_data *b)
{
    size_t n = (size_t)a->rows;
    int i;
    if (!CHECK(a->rows == b->rows && a->inputs == b->inputs && a->outputs == b->outputs)) return;
    CHECK(a->classes == b->classes && a->dropped == b->dropped);
    CHECK(!memcmp(a->x, b->x, n * (size_t)a->inputs * sizeof *a->x));
    CHECK(!memcmp(a->y, b->y, n * (size_t)a->outputs * sizeof *a->y));
    if (!CHECK(!a->class_names == !b->class_names) || !a->class_names) return;
    for (i = 0; i < a->classes; i++) CHECK(!strcmp(a->class_names[i], b->class_names[i]));
}

/* The text has no terminating zero, so that ASan sees a read past its end; it is gone before the
   result is looked at, and the result starts as rubbish. */
static nn_status parse_bytes(nn_data *data, const char *text, size_t length,
                             const nn_csv_options *how)
{
    char *copy = (char *)malloc(length ? length : 1);
    nn_status status;
    if (!CHECK(copy != NULL)) return NN_ERROR_MEMORY;
    memcpy(copy, text, length);
    memset(data, 0xa5, sizeof *data);
    status = nn_parse_csv(data, copy, length, how);
    memset(copy, '#', length);
    free(copy);
    if (status != NN_OK) check_zero(data);
    return status;
}

static int write_file(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    size_t written;
    if (!file) return 0;
    written = fwrite(bytes, 1, length, file);
    return fclose(file) == 0 && written == length;
}

/* From memory and from a file: both must give the same, and the same place. */
static nn_status parse(nn_data *data, const char *text, const nn_csv_options *how)
{
    nn_data from_file;
    nn_location place;
    nn_status status, file_status;
    memset(&from_file, 0xa5, sizeof from_file);
    memset(&place, 0, sizeof place);
    if (how && how->location) memset(how->location, 0xa5, sizeof place);
    CHECK(write_file(FILE_PATH, text, strlen(text)));
    file_status = nn_read_csv(&from_file, FILE_PATH, how);
    if (how && how->location) {
        place = *how->location;
        memset(how->location, 0xa5, sizeof place);
    }
    status = parse_bytes(data, text, strlen(text), how);
    CHECK(status == file_status);
    if (status == NN_OK && file_status == NN_OK) check_equal(data, &from_file);
    if (file_status != NN_OK) check_zero(&from_file);
    if (status != NN_OK && how && how->location) {
        CHECK(how->location->path == NULL);
        CHECK(place.path && !strcmp(place.path, FILE_PATH));
        CHECK(place.line == how->location->line && place.column == how->location->column);
        CHECK(!strcmp(place.name, how->location->name));
    }
    nn_data_free(&from_file);
    return status;
}

static nn_csv_options plain(void)
{
    nn_csv_options how;
    memset(&how, 0, sizeof how);
    return how;
}

/* ---- Shape and quoting ----------------------------------------------------------------------- */

typedef struct same {
    const char *text;
    char delimiter, comment;
    nn_csv_header header;
} same;

#define BOM "\xef\xbb\xbf"

/* Every one of these is the table 1 2 -> 5, 3 4 -> 6. */
static const same sames[] = {
    {"1,2,5\n3,4,6\n", 0, 0, NN_CSV_HEADER_AUTO},
    {"1,2,5\n3,4,6\n", 0, 0, NN_CSV_HEADER_NO},
    {"a,b,c\n1,2,5\n3,4,6\n", 0, 0, NN_CSV_HEADER_AUTO},
    {"a,b,c\n1,2,5\n3,4,6\n", 0, 0, NN_CSV_HEADER_YES},
    {"a,b,2020\n1,2,5\n3,4,6\n", 0, 0, NN_CSV_HEADER_AUTO}, /* only input cells tell a header */
    {"9,9,9\n1,2,5\n3,4,6\n", 0, 0, NN_CSV_HEADER_YES},
    {"1,2,5\n3,4,6", 0, 0, NN_CSV_HEADER_AUTO},
    {"1,2,5\r\n3,4,6\r\n", 0, 0, NN_CSV_HEADER_AUTO},
    {"a,b,c\r\n1,2,5\r\n3,4,6", 0, 0, NN_CSV_HEADER_AUTO},
    {"\n\n1,2,5\n\n3,4,6\n\n\n", 0, 0, NN_CSV_HEADER_AUTO},
    {"\r\n1,2,5\r\n\r\n3,4,6\r\n\r\n", 0, 0, NN_CSV_HEADER_NO},
    {"\na,b,c\n\n1,2,5\n3,4,6\n", 0, 0, NN_CSV_HEADER_AUTO},
    {BOM "1,2,5\n3,4,6\n", 0, 0, NN_CSV_HEADER_AUTO},
    {BOM "1,2,5\n3,4,6\n", 0, 0, NN_CSV_HEADER_NO},
    {BOM "a,b,c\n1,2,5\n3,4,6\n", 0, 0, NN_CSV_HEADER_AUTO},
    {BOM "\"a,\",b,c\n1,2,5\n3,4,6\n", 0, 0, NN_CSV_HEADER_AUTO},
    {"\"1\",\"2\",\"5\"\r\n3,\"4\",\"6\"\r\n", 0, 0, NN_CSV_HEADER_AUTO},
    {"\"1\",\"2\",\"5\"\n\"3\",\"4\",\"6\"", 0, 0, NN_CSV_HEADER_AUTO},
    {"\"two\nlines\",\"b,\"\"q\"\"\",\"\"\"\"\n1,2,5\n3,4,6\n", 0, 0, NN_CSV_HEADER_AUTO},
    {"\"two\r\nlines\",b,c\r\n1,2,5\r\n3,4,6\r\n", 0, 0, NN_CSV_HEADER_AUTO},
    {"1;2;5\n3;4;6\n", ';', 0, NN_CSV_HEADER_AUTO},
    {"\"a;b\";b,c;c\n1;2;5\n3;4;6\n", ';', 0, NN_CSV_HEADER_AUTO},
    {"a\tb c\tc\n1\t2\t5\n3\t4\t6\n", '\t', 0, NN_CSV_HEADER_AUTO},
    {"# one\n1,2,5\n# \"two\n3,4,6\n#", 0, '#', NN_CSV_HEADER_AUTO},
    {"# one\r\na,b,c\r\n#,,,,\r\n1,2,5\r\n3,4,6\r\n", 0, '#', NN_CSV_HEADER_AUTO},
    {"% x\n1,2,5\n3,4,6\n", 0, '%', NN_CSV_HEADER_NO},
    {"\"a\n# b\",b,c\n1,2,5\n3,4,6\n", 0, '#', NN_CSV_HEADER_YES}, /* not within quotes */
    {"+1,2.,5e0\n03,.4e1,0.6E+01\n", 0, 0, NN_CSV_HEADER_AUTO},
};

static void test_same_table(void)
{
    static const nn_real x[] = {1, 2, 3, 4}, y[] = {5, 6};
    size_t i;
    for (i = 0; i < sizeof sames / sizeof *sames; i++) {
        nn_csv_options how = plain();
        nn_data data;
        nn_status status;
        how.delimiter = sames[i].delimiter;
        how.comment = sames[i].comment;
        how.header = sames[i].header;
        status = parse(&data, sames[i].text, &how);
        if (!CHECK(status == NN_OK && data.rows == 2 && data.inputs == 2 && data.outputs == 1)) {
            printf("table %d: %s\n%s\n", (int)i, nn_status_text(status), sames[i].text);
            nn_data_free(&data);
            continue;
        }
        CHECK(!memcmp(data.x, x, sizeof x) && !memcmp(data.y, y, sizeof y));
        CHECK(data.classes == 0 && !data.class_names && !data.weight && data.dropped == 0);
        nn_data_free(&data);
        check_zero(&data);
        nn_data_free(&data);
    }
    CHECK(live_blocks == 0);
}

/* No options at all are the defaults. */
static void test_no_options(void)
{
    static const nn_real x[] = {1, 3}, y[] = {2, 4};
    nn_data data;
    if (CHECK(parse(&data, "a,b\n1,2\n3,4\n", NULL) == NN_OK && data.rows == 2))
        CHECK(!memcmp(data.x, x, sizeof x) && !memcmp(data.y, y, sizeof y));
    nn_data_free(&data);
    CHECK(parse(&data, "1,2\n#,4\n", NULL) == NN_ERROR_CSV_NUMBER);
}

static void expect_targets(const char *text, nn_csv_options how, const nn_real *x, const nn_real *y)
{
    nn_data data;
    if (!CHECK(parse(&data, text, &how) == NN_OK)) return;
    CHECK(data.rows == 2 && data.inputs + data.outputs == 4);
    CHECK(data.outputs == (how.targets ? how.targets : 1));
    CHECK(!memcmp(data.x, x, (size_t)(2 * data.inputs) * sizeof *x));
    CHECK(!memcmp(data.y, y, (size_t)(2 * data.outputs) * sizeof *y));
    nn_data_free(&data);
}

/* Targets by place and by name; outputs are in the order of target_names. */
static void test_targets(void)
{
    static const char text[] = "a,\"b,\"\"\",c,d\n1,2,3,4\n5,6,7,8\n";
    static const char *const b[] = {"b,\""}, *const da[] = {"d", "a"}, *const e[] = {"e"};
    static const nn_real last1_x[] = {1, 2, 3, 5, 6, 7}, last1_y[] = {4, 8};
    static const nn_real last2_x[] = {1, 2, 5, 6}, last2_y[] = {3, 4, 7, 8};
    static const nn_real b_x[] = {1, 3, 4, 5, 7, 8}, b_y[] = {2, 6};
    static const nn_real da_x[] = {2, 3, 6, 7}, da_y[] = {4, 1, 8, 5};
    nn_csv_options how = plain();
    nn_data data;
    expect_targets(text, how, last1_x, last1_y);
    how.targets = 2;
    expect_targets(text, how, last2_x, last2_y);
    how.target_names = da;
    expect_targets(text, how, da_x, da_y);
    how.targets = 1;
    how.target_names = b;
    expect_targets(text, how, b_x, b_y);
    how.target_names = e;
    CHECK(parse(&data, text, &how) == NN_ERROR_CSV_TARGET);
    how.target_names = b;
    CHECK(parse(&data, "1,2,3\n4,5,6\n", &how) != NN_OK); /* no header to look in */
    how = plain();
    how.targets = 4;
    CHECK(parse(&data, text, &how) != NN_OK); /* no column is left for the inputs */
    how.targets = 5;
    CHECK(parse(&data, text, &how) != NN_OK);
    how.targets = 0;
    CHECK(parse(&data, "1\n2\n", &how) != NN_OK);
    CHECK(live_blocks == 0);
}

/* ---- Labels ---------------------------------------------------------------------------------- */

/* Class names and the class of each row, whatever the encoding of y. */
static void expect_classes(const nn_data *data, int classes, const char *const *names,
                           const int *rows, int count)
{
    int i, k;
    if (!CHECK(data->classes == classes && data->rows == count && data->class_names)) return;
    if (!CHECK(data->outputs == (classes == 2 ? 1 : classes))) return;
    for (i = 0; i < classes; i++) CHECK(!strcmp(data->class_names[i], names[i]));
    for (i = 0; i < count; i++) {
        const nn_real *y = data->y + (size_t)i * (size_t)data->outputs;
        if (classes == 2)
            CHECK(y[0] == (nn_real)rows[i]);
        else
            for (k = 0; k < classes; k++) CHECK(y[k] == (nn_real)(k == rows[i]));
    }
}

static void test_text_labels(void)
{
    static const char *const ab[] = {"a", "b"}, *const kind[] = {"kind"};
    static const char *const bytes[] = {"Z", "a", "ab", "b", "say \"hi\",\ntwice", "\xc3\xa9"};
    static const int two[] = {1, 0, 1}, many[] = {5, 3, 0, 2, 1, 4};
    nn_csv_options how = plain();
    nn_data data;
    if (CHECK(parse(&data, "1,b\r\n2,a\r\n3,b\r\n", NULL) == NN_OK))
        expect_classes(&data, 2, ab, two, 3);
    nn_data_free(&data);
    if (CHECK(parse(&data, "x,kind\n1,b\n2,a\n3,b", NULL) == NN_OK))
        expect_classes(&data, 2, ab, two, 3);
    nn_data_free(&data);
    how.target_names = kind;
    if (CHECK(parse(&data, "kind,x\nb,1\na,2\nb,3", &how) == NN_OK)) {
        expect_classes(&data, 2, ab, two, 3);
        CHECK(data.inputs == 1 && data.x[0] == 1 && data.x[2] == 3);
    }
    nn_data_free(&data);
    if (CHECK(parse(&data, "1,\xc3\xa9\n1,b\n1,Z\n1,ab\n1,\"a\"\n1,\"say \"\"hi\"\",\ntwice\"\n",
                    NULL) == NN_OK))
        expect_classes(&data, 6, bytes, many, 6);
    nn_data_free(&data);
    CHECK(live_blocks == 0);
}

/* Labels that are numbers are sorted as numbers, and are classes only when asked. */
static void test_numeric_labels(void)
{
    static const char *const names[] = {"-1", "9", "10"};
    static const int rows[] = {2, 1, 0, 1};
    nn_csv_options how = plain();
    nn_data data;
    how.labels = 1;
    if (CHECK(parse(&data, "0,10\n0,9\n0,-1\n0,9\n", &how) == NN_OK))
        expect_classes(&data, 3, names, rows, 4);
    nn_data_free(&data);
    how.labels = 0;
    if (CHECK(parse(&data, "0,10\n0,9\n0,-1\n0,9\n", &how) == NN_OK))
        CHECK(data.classes == 0 && data.outputs == 1 && data.y[0] == 10 && !data.class_names);
    nn_data_free(&data);
}

static void test_many_classes(void)
{
    enum { CLASSES = 300 };
    static char text[CLASSES * 16];
    size_t length = 0;
    nn_data data;
    int i, right = 1;
    for (i = CLASSES; i-- > 0;) length += (size_t)sprintf(text + length, "%d,n%03d\n", i, i);
    if (CHECK(parse(&data, text, NULL) == NN_OK && data.outputs == CLASSES)) {
        for (i = 0; i < CLASSES; i++) {
            const nn_real *y = data.y + (size_t)i * CLASSES;
            right = right && y[CLASSES - 1 - i] == 1 && data.x[i] == (nn_real)(CLASSES - 1 - i);
            right = right && atoi(data.class_names[i] + 1) == i;
        }
        CHECK(right);
    }
    nn_data_free(&data);
}

/* A test set takes the classes of its training set: all of them, in that order, and no other. */
static void test_fixed_classes(void)
{
    static const int train_rows[] = {2, 0, 1}, test_rows[] = {1, 2}, two_rows[] = {1, 1};
    static const char *const names[] = {"a", "b", "c"}, *const unsorted[] = {"z", "a"};
    nn_csv_options how = plain();
    nn_location place;
    nn_data train, test;
    CHECK(parse(&train, "1,c\n2,a\n3,b\n", NULL) == NN_OK);
    expect_classes(&train, 3, names, train_rows, 3);
    how.classes = train.classes;
    how.class_names = train.class_names;
    how.location = &place;
    CHECK(parse(&test, "4,d\n", &how) == NN_ERROR_LABEL);
    CHECK(place.line == 1 && place.column == 2 && !strcmp(place.name, "d"));
    CHECK(parse(&test, "x,y\n\n4,b\n5,bb\n", &how) == NN_ERROR_LABEL);
    CHECK(place.line == 4 && place.column == 2 && !strcmp(place.name, "bb"));
    CHECK(parse(&test, "4,b\n5,c\n", &how) == NN_OK);
    nn_data_free(&train);
    expect_classes(&test, 3, names, test_rows, 2); /* its names are its own */
    nn_data_free(&test);
    how.classes = 2;
    how.class_names = unsorted;
    if (CHECK(parse(&test, "4,a\n5,a\n", &how) == NN_OK))
        expect_classes(&test, 2, unsorted, two_rows, 2);
    nn_data_free(&test);
    CHECK(live_blocks == 0);
}

/* ---- Bad files ------------------------------------------------------------------------------- */

typedef struct bad {
    const char *text;
    char delimiter, comment;
    nn_status status;
    long line, column; /* 0: not checked */
    const char *name;  /* NULL: not checked */
} bad;

#define TEN   "xxxxxxxxxx"
#define SIXTY TEN TEN TEN TEN TEN TEN

static const bad bads[] = {
    {"1,x,3\n", 0, 0, NN_ERROR_CSV_NUMBER, 1, 2, "x"},
    {"1,2,3\n4,,6\n", 0, 0, NN_ERROR_CSV_NUMBER, 2, 2, ""},
    {"1,2,3\n4,\"\",6\n", 0, 0, NN_ERROR_CSV_NUMBER, 2, 2, ""},
    {"1,2,3\n4,5,\n", 0, 0, NN_ERROR_CSV_NUMBER, 2, 3, ""},
    {"1,2,a\n4,5,\n", 0, 0, NN_ERROR_CSV_NUMBER, 2, 3, ""},
    {"1,2,3\nNA,5,6\n", 0, 0, NN_ERROR_CSV_NUMBER, 2, 1, "NA"},
    {"1,2,3\n1,2,3\n \t,5,6\n", 0, 0, NN_ERROR_CSV_NUMBER, 3, 1, NULL},
    {"a,\"b\nc\",d\r\n1,2,3\r\n4,oops,6\r\n", 0, 0, NN_ERROR_CSV_NUMBER, 4, 2, "oops"},
    {"\n\r\n1,2,3\n\n1,\"b\nad\",3\n", 0, 0, NN_ERROR_CSV_NUMBER, 5, 2, "b\nad"},
    {"1,2,3\n# no\n", 0, 0, NN_ERROR_CSV_CELLS, 2, 0, NULL},
    {"#\n1,2,3\n#\n1,o,3\n", 0, '#', NN_ERROR_CSV_NUMBER, 4, 2, "o"},
    {"1,2,3\n1," SIXTY TEN ",3\n", 0, 0, NN_ERROR_CSV_NUMBER, 2, 2, SIXTY "xxx"},
    {"1;1,5;3\n", ';', 0, NN_ERROR_CSV_NUMBER, 1, 2, "1,5"},
    {"1,2,3\n4,5\n", 0, 0, NN_ERROR_CSV_CELLS, 2, 0, NULL},
    {"1,2,3\n4,5,6,7\n", 0, 0, NN_ERROR_CSV_CELLS, 2, 0, NULL},
    {"1,2,3\n\n4,5,6,\n", 0, 0, NN_ERROR_CSV_CELLS, 3, 0, NULL},
    {"a,b\n1,2,3\n", 0, 0, NN_ERROR_CSV_CELLS, 2, 0, NULL},
    {"a,b,c\n1,2\n", 0, 0, NN_ERROR_CSV_CELLS, 2, 0, NULL},
    {"1,\"2\"x,3\n", 0, 0, NN_ERROR_CSV_QUOTE, 1, 2, NULL},
    {"1,2,3\n4,5,\"6\" \n", 0, 0, NN_ERROR_CSV_QUOTE, 2, 3, NULL},
    {"1,2\"x,3\n", 0, 0, NN_ERROR_CSV_QUOTE, 1, 2, NULL},
    {"1,2,3\n4,5,a\"b\"\n", 0, 0, NN_ERROR_CSV_QUOTE, 2, 3, NULL},
    {"1,2,\"3", 0, 0, NN_ERROR_CSV_QUOTE, 1, 3, NULL},
    {"1,2,\"3\"\"", 0, 0, NN_ERROR_CSV_QUOTE, 1, 3, NULL},
    {"1,2,\"", 0, 0, NN_ERROR_CSV_QUOTE, 1, 3, NULL},
    {"1,2,3\n4,\"5,6\n7,8,9\n", 0, 0, NN_ERROR_CSV_QUOTE, 0, 2, NULL},
    {"1,a\n2,a\n", 0, 0, NN_ERROR_LABEL, 0, 0, NULL}, /* one class is nothing to learn */
    {"", 0, 0, NN_ERROR_CSV_EMPTY, 0, 0, NULL},
    {"\n", 0, 0, NN_ERROR_CSV_EMPTY, 0, 0, NULL},
    {"\r\n\r\n", 0, 0, NN_ERROR_CSV_EMPTY, 0, 0, NULL},
    {BOM, 0, 0, NN_ERROR_CSV_EMPTY, 0, 0, NULL},
    {"a,b,c", 0, 0, NN_ERROR_CSV_EMPTY, 0, 0, NULL},
    {"a,b,c\r\n\r\n", 0, 0, NN_ERROR_CSV_EMPTY, 0, 0, NULL},
    {"# only\n", 0, '#', NN_ERROR_CSV_EMPTY, 0, 0, NULL},
};

static void test_bad_files(void)
{
    size_t i;
    for (i = 0; i < sizeof bads / sizeof *bads; i++) {
        const bad *b = bads + i;
        nn_csv_options how = plain();
        nn_location place;
        nn_data data;
        nn_status status;
        int good;
        how.delimiter = b->delimiter;
        how.comment = b->comment;
        how.location = &place;
        status = parse(&data, b->text, &how);
        good = CHECK(status == b->status);
        if (status == NN_OK) nn_data_free(&data);
        if (b->line) good = CHECK(place.line == b->line) && good;
        if (b->column) good = CHECK(place.column == b->column) && good;
        if (b->name) good = CHECK(!strcmp(place.name, b->name)) && good;
        if (!good)
            printf("file %d: status %d, line %ld, column %ld, name \"%.63s\"\n", (int)i,
                   (int)status, place.line, place.column, place.name);
        how.location = NULL; /* it is optional */
        CHECK(parse(&data, b->text, &how) == b->status);
    }
    CHECK(live_blocks == 0);
}

/* Not numbers, although strtod or a spreadsheet would take some of them. */
static void test_not_numbers(void)
{
    static const char *const cells[] = {
        "nan",  "NaN",   "-nan", "inf",   "Inf",   "-inf", "infinity", "1e999", "-1e999",
        "0x10", "0x1p3", "1 2",  "1,5",   ".",     "+",    "-",        "e5",    "1e",
        "1e+",  "+-1",   "--1",  "1.2.3", "1e5.5", "1f",   "1_000",    "1e5e5", "1d5",
        "$1",   "1%",    "1.e",  ".e1",   "?",     "true", "1\n2",     "0x",    "1e 5",
    };
    nn_csv_options how = plain();
    nn_location place;
    nn_data data;
    char text[128];
    size_t i;
    how.location = &place;
    for (i = 0; i < sizeof cells / sizeof *cells; i++) {
        sprintf(text, "1,2,3\n4,\"%s\",6\n", cells[i]);
        if (!CHECK(parse(&data, text, &how) == NN_ERROR_CSV_NUMBER))
            printf("cell \"%s\"\n", cells[i]);
        CHECK(place.line == 2 && place.column == 2 && !strcmp(place.name, cells[i]));
        nn_data_free(&data);
    }
    CHECK(parse_bytes(&data, "1,2\0,3\n", 7, &how) == NN_ERROR_CSV_NUMBER); /* a NUL byte */
    CHECK(parse_bytes(&data, "1,\0,3\n", 6, &how) == NN_ERROR_CSV_NUMBER);
}

/* Asked to drop rows: those with a bad cell go and are counted; a broken file stays an error. */
static void test_drop(void)
{
    static const nn_real x[] = {1, 2, 4, 5}, y[] = {3, 6};
    nn_csv_options how = plain();
    nn_data data;
    how.drop_bad_rows = 1;
    if (CHECK(parse(&data, "a,b,t\n1,2,3\nNA,2,3\n4,5,6\n7,,8\n9,1,\n1e999,nan,0\n", &how) ==
              NN_OK)) {
        CHECK(data.rows == 2 && data.inputs == 2 && data.dropped == 4);
        CHECK(!memcmp(data.x, x, sizeof x) && !memcmp(data.y, y, sizeof y));
    }
    nn_data_free(&data);
    check_zero(&data);
    if (CHECK(parse(&data, "1,a\n2,b\n?,a\n3,b\n", &how) == NN_OK))
        CHECK(data.rows == 3 && data.dropped == 1 && data.classes == 2 && data.y[2] == 1);
    nn_data_free(&data);
    CHECK(parse(&data, "a,b,t\n,2,3\n4,,6\n", &how) == NN_ERROR_CSV_EMPTY);
    CHECK(parse(&data, "1,2,3\n4,5\n", &how) == NN_ERROR_CSV_CELLS);
    CHECK(parse(&data, "1,2,3\n4,5,\"6", &how) == NN_ERROR_CSV_QUOTE);
    CHECK(live_blocks == 0);
}

/* A dropped row leaves no trace in its neighbours or in y, wherever it stands; the sizes put the
   end of x and of y on every boundary of their block. */
static void check_dropped(int rows, int inputs, int at)
{
    char text[2048];
    size_t length = 0;
    nn_csv_options how = plain();
    nn_data data;
    int i, k, right = 1;
    for (i = 0; i <= rows; i++) {
        const int row = i - (i > at);
        for (k = 0; k < inputs; k++)
            length += (size_t)sprintf(text + length, "%d,", i == at ? 9999 : 10 * row + k);
        if (i == at && inputs > 1) length -= 5; /* takes back the last input */
        if (i == at)
            length += (size_t)sprintf(text + length, inputs > 1 ? ",77\n" : "\n");
        else
            length += (size_t)sprintf(text + length, "%d\n", row);
    }
    how.drop_bad_rows = 1;
    if (CHECK(parse_bytes(&data, text, length, &how) == NN_OK && data.rows == rows)) {
        CHECK(data.dropped == 1 && data.inputs == inputs && data.outputs == 1);
        for (i = 0; i < rows; i++) {
            for (k = 0; k < inputs; k++)
                right = right && data.x[i * inputs + k] == (nn_real)(10 * i + k);
            right = right && data.y[i] == (nn_real)i;
        }
        if (!CHECK(right)) printf("%d rows, %d inputs, row %d is dropped\n", rows, inputs, at);
    }
    nn_data_free(&data);
}

static void test_drop_places(void)
{
    int rows, inputs, at;
    for (rows = 1; rows <= 33; rows++)
        for (inputs = 1; inputs <= 4; inputs++)
            for (at = 1; at <= rows; at++) check_dropped(rows, inputs, at);
    CHECK(live_blocks == 0);
}

/* A class name is a C string: a label with a NUL byte must not become the name of another. */
static void test_odd_labels(void)
{
    static const char nul[] = "1,red\0\n2,red\n3,blue\n4,green\n";
    static const char longer[] = "1,red\0and more\n2,red\n";
    static const char head[] = "a,kind\0\n1,red\n2,blue\n";
    static const char *const names[] = {"red", "blue"}, *const kind[] = {"kind"};
    nn_csv_options how = plain();
    nn_data data;
    CHECK(parse_bytes(&data, nul, sizeof nul - 1, &how) != NN_OK);
    nn_data_free(&data);
    how.classes = 2;
    how.class_names = names;
    CHECK(parse_bytes(&data, longer, sizeof longer - 1, &how) != NN_OK);
    nn_data_free(&data);
    how = plain();
    how.target_names = kind;
    CHECK(parse_bytes(&data, head, sizeof head - 1, &how) != NN_OK);
    nn_data_free(&data);
    CHECK(live_blocks == 0);
}

/* One bad cell in a column of numbers, also the first, is an error and makes no classes of it. */
static void test_text_among_numbers(void)
{
    static const char *const texts[] = {"1,?\n2,3\n4,5\n", "1,2\n2,nan\n4,5\n", "1,2\n2,3\n4,x\n"};
    nn_csv_options how = plain();
    nn_location place;
    nn_data data;
    int i;
    how.location = &place;
    for (i = 0; i < 3; i++) {
        CHECK(parse(&data, texts[i], &how) == NN_ERROR_CSV_NUMBER);
        CHECK(place.line == i + 1 && place.column == 2);
        how.labels = 1;
        if (CHECK(parse(&data, texts[i], &how) == NN_OK)) CHECK(data.classes == 3);
        nn_data_free(&data);
        how.labels = 0;
    }
    CHECK(live_blocks == 0);
}

/* One column cannot be two targets: the second would be read from nowhere. */
static void test_target_named_twice(void)
{
    static const char *const names[] = {"b", "b"};
    nn_csv_options how = plain();
    nn_location place;
    nn_data data;
    how.location = &place;
    how.targets = 2;
    how.target_names = names;
    CHECK(parse(&data, "a,b,c\n1,2,3\n4,5,6\n", &how) == NN_ERROR_CSV_TARGET);
    CHECK(!strcmp(place.name, "b"));
    if (CHECK(parse(&data, "a,b,b\n1,2,3\n4,5,6\n", &how) == NN_OK))
        CHECK(data.inputs == 1 && data.y[0] == 2 && data.y[1] == 3 && data.y[3] == 6);
    nn_data_free(&data);
}

static void test_paths(void)
{
    static const char missing[] = "build/no such folder/no such file.csv";
    nn_csv_options how = plain();
    nn_location place;
    nn_data data;
    how.location = &place;
    memset(&data, 0xa5, sizeof data);
    memset(&place, 0xa5, sizeof place);
    CHECK(nn_read_csv(&data, missing, &how) == NN_ERROR_OPEN);
    CHECK(place.path && !strcmp(place.path, missing) && place.line == 0 && place.column == 0);
    check_zero(&data);
    memset(&data, 0xa5, sizeof data);
    CHECK(nn_read_csv(&data, "build", &how) == NN_ERROR_READ);
    CHECK(place.path && !strcmp(place.path, "build"));
    check_zero(&data);
    CHECK(live_blocks == 0);
}

/* ---- Numbers --------------------------------------------------------------------------------- */

enum { CELL = 2000 };

/* The nearest nn_real; glibc, musl and the BSDs round correctly. */
static nn_real nearest(const char *text)
{
#ifdef NN_DOUBLE
    return strtod(text, NULL);
#else
    return strtof(text, NULL);
#endif
}

/* A finite nn_real of any exponent, or a denormal. */
static nn_real random_real(int denormal)
{
    nn_real value;
    do {
#ifdef NN_DOUBLE
        uint64_t bits = random_bits() >> (denormal ? 12 : 0);
#else
        uint32_t bits = (uint32_t)(random_bits() >> 32) >> (denormal ? 9 : 0);
#endif
        memcpy(&value, &bits, sizeof value);
    } while (value != value || value - value != 0);
    return value;
}

/* Cuts the zeros at the end of the mantissa. */
static void trim_zeros(char *text)
{
    char *end = strchr(text, 'e');
    char *last = end ? end : text + strlen(text);
    char *from = last;
    while (from[-1] == '0') from--;
    memmove(from, last, strlen(last) + 1);
}

/* The number halfway between |a| and the next, in all its digits; long double holds it exactly. */
static void print_halfway(char *text, nn_real a)
{
    nn_real next;
#ifdef NN_DOUBLE
    uint64_t bits;
#else
    uint32_t bits;
#endif
    long double middle;
    a = a < 0 ? -a : a;
    memcpy(&bits, &a, sizeof a);
    bits++;
    memcpy(&next, &bits, sizeof a);
    if (next - next != 0) next = a;
    middle = a + ((long double)next - a) / 2;
    if (middle > 1e-30L && middle < 1e30L && random_below(2))
        sprintf(text, "%.250Lf", middle);
    else
        sprintf(text, "%.*Le", sizeof a == 4 ? 160 : 800, middle);
    trim_zeros(text);
}

/* Adds -1 or 1 to the last digit of the mantissa. */
static void bump_last(char *text, int by)
{
    char *end = strchr(text, 'e');
    char *at = end ? end : text + strlen(text);
    while (at > text && (at[-1] < '1' || at[-1] > '8')) at--;
    if (at > text) at[-1] = (char)(at[-1] + by);
}

/* Puts zeros after the mantissa, and perhaps a 1 after them: however far, it breaks the tie. */
static void extend(char *text)
{
    char *end = strchr(text, 'e');
    size_t zeros = 1 + (size_t)random_below(900), length = strlen(text);
    if (!strchr(text, '.')) return;
    if (!end) end = text + length;
    memmove(end + zeros, end, strlen(end) + 1);
    memset(end, '0', zeros);
    if (random_below(2)) end[zeros - 1] = '1';
}

/* Digits without meaning, a point somewhere, an exponent that may undo it. */
static void print_digits(char *text, int digits, int zeros, int exponent)
{
    int i, n = 0, point = random_below(digits + 1);
    if (random_below(3) == 0) text[n++] = random_below(2) ? '-' : '+';
    for (i = 0; i < zeros; i++) text[n++] = '0';
    for (i = 0; i < digits; i++) {
        if (i == point) text[n++] = '.';
        if (zeros > 0 && i < point) text[n++] = '0';
        text[n++] = (char)('0' + random_below(10));
    }
    if (exponent)
        sprintf(text + n, "%c%+d", random_below(2) ? 'e' : 'E', exponent);
    else
        text[n] = 0;
}

static void print_random(char *text)
{
    int range = sizeof(nn_real) == 4 ? 60 : 340;
    int kind = random_below(14);
    double value = (double)random_real(kind == 11);
    switch (kind) {
    case 0: sprintf(text, "%.*g", 1 + random_below(20), value); break;
    case 1: sprintf(text, "%.*e", random_below(40), value); break;
    case 2:
        sprintf(text, "%.*f", random_below(30), ldexp((double)random_below(1 << 30), -20));
        break;
    case 3: print_digits(text, 1 + random_below(40), 0, random_below(2 * range) - range); break;
    case 4: print_digits(text, 1 + random_below(20), random_below(500), 0); break;
    case 5: print_digits(text, 300 + random_below(300), 0, -random_below(2 * range)); break;
    case 6: sprintf(text, "%llu", (unsigned long long)(random_bits() >> random_below(64))); break;
    case 7: sprintf(text, "%de%d", random_below(1000), random_below(2 * range) - range); break;
    default:
        print_halfway(text, (nn_real)value);
        if (kind == 9) bump_last(text, 1);
        if (kind == 10) bump_last(text, -1);
        if (kind >= 12) extend(text);
    }
}

/* Reads all cells in one table, beside their index; those that are infinite must be dropped. */
static void check_cells(char (*cells)[CELL], int count)
{
    size_t length = 0;
    char *text = (char *)malloc((size_t)count * (CELL + 16));
    nn_csv_options how = plain();
    nn_data data;
    int i, row = 0;
    if (!CHECK(text != NULL)) return;
    for (i = 0; i < count; i++) length += (size_t)sprintf(text + length, "%s,%d,0\n", cells[i], i);
    how.header = NN_CSV_HEADER_NO;
    how.drop_bad_rows = 1;
    if (CHECK(parse_bytes(&data, text, length, &how) == NN_OK)) {
        for (i = 0; i < count; i++) {
            nn_real want = nearest(cells[i]);
            const nn_real *got = data.x + 2 * row;
            if (want - want != 0) continue;
            if (!CHECK(row < data.rows && got[1] == (nn_real)i)) break;
            if (!CHECK(!memcmp(got, &want, sizeof want)))
                printf("\"%s\": %.17g, not %.17g\n", cells[i], (double)got[0], (double)want);
            row++;
        }
        CHECK(row == data.rows && row + data.dropped == count);
    }
    nn_data_free(&data);
    free(text);
}

static void test_random_numbers(void)
{
    enum { COUNT = 4000, ROUNDS = 10 };
    static char cells[COUNT][CELL];
    int i, round;
    random_state = random_seed;
#if defined(NN_DOUBLE) && LDBL_MANT_DIG <= DBL_MANT_DIG
    printf("halfway cases not tested: long double is double\n");
#endif
    for (round = 0; round < ROUNDS; round++) {
        for (i = 0; i < COUNT; i++) print_random(cells[i]);
        check_cells(cells, COUNT);
    }
    if (test_bad) printf("seed %llu\n", (unsigned long long)random_seed);
}

/* The ends of the range, and spellings at the edge of the grammar. */
static void test_special_numbers(void)
{
    /* clang-format off */
    static const char *const fixed[] = {
        "+1", ".5", "5.", "-.5", "+5.", "1e+05", "1E5", "1e05", "1e-05", "-0", "0", "-0.0e10",
        "00000000000000000000001.5", "0e999999999999999999999", "1e-999999999999999999999",
        "0.1e-9999999999", "16777217", "16777219", "9007199254740993", "18446744073709551616",
        "3.4028235e38", "3.40282346638528859811704183484516925440e+38",
        "3.4028235677973366163753939545814256844e38", "3.4028235677973366163753939545814256843e38",
        "340282356779733661637539395458142568447", "340282356779733661637539395458142568448",
        "3.4028235677973366163753939545814256845e38", "1.17549435e-38", "1.1754943e-38",
        "1.40129846e-45", "7.0064923216240853546186479164495807e-46",
        "7.0064923216240853546186479164495806e-46", "7.006492321624085354618647916449580e-46",
        "1.7976931348623157e308", "1.7976931348623158079372897140530341507993e308",
        "1.7976931348623158079372897140530341508e308", "1.797693134862315807e308",
        "2.2250738585072014e-308", "2.2250738585072011e-308", "4.9406564584124654e-324",
        "2.4703282292062327e-324", "2.4703282292062328e-324", "-3.4028235e38", "-1e-46", "-1e-400",
        "0.30000001192092895507812500000000000000000000000000000000000000000000000000000001",
    };
    /* clang-format on */
    static char cells[sizeof fixed / sizeof *fixed + 4][CELL];
    int i, count = (int)(sizeof fixed / sizeof *fixed);
    for (i = 0; i < count; i++) strcpy(cells[i], fixed[i]);
    /* 400 zeros on either side, undone by the exponent; and 1500 digits. */
    sprintf(cells[count++], "1%0400de-400", 0);
    sprintf(cells[count++], "0.%0400d1e401", 0);
    sprintf(cells[count++], "0.%01500d", 7);
    memset(cells[count], '9', 1500);
    strcpy(cells[count++] + 1500, "e-1500");
    check_cells(cells, count);
}

/* The decimal point is a point, whatever the program's locale says. */
static void test_locale(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8",  "de_DE",       "fr_FR.UTF-8",
                                        "fr_FR.utf8",  "fr_FR",       "it_IT.UTF-8", "es_ES.UTF-8",
                                        "pt_BR.UTF-8", "ru_RU.UTF-8", "German"};
    nn_data data;
    nn_csv_options how = plain();
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_ALL, names[i]) && *localeconv()->decimal_point == ',') break;
    if (i == sizeof names / sizeof *names) {
        setlocale(LC_ALL, "C");
        printf("skipped: no locale with a decimal comma is installed\n");
        return;
    }
    if (CHECK(parse(&data, "1.5,-2.25e-1,0.125\n", NULL) == NN_OK))
        CHECK(data.x[0] == (nn_real)1.5 && data.x[1] == (nn_real)-0.225 && data.y[0] == 0.125f);
    nn_data_free(&data);
    how.delimiter = ';';
    CHECK(parse(&data, "1,5;2;3\n", &how) == NN_ERROR_CSV_NUMBER);
    setlocale(LC_ALL, "C");
}

/* ---- Fuzz ------------------------------------------------------------------------------------ */

/* What any accepted file must be. */
static void check_valid(const nn_data *data)
{
    int i, k;
    int sound = data->rows > 0 && data->inputs > 0 && data->outputs > 0 && data->dropped >= 0;
    if (!CHECK(sound && data->x && data->y)) return;
    for (i = 0; i < data->rows * data->inputs; i++) sound = sound && data->x[i] - data->x[i] == 0;
    for (i = 0; i < data->rows; i++) {
        const nn_real *y = data->y + i * data->outputs;
        nn_real sum = 0;
        for (k = 0; k < data->outputs; k++) {
            sound = sound && y[k] - y[k] == 0;
            if (data->classes) sound = sound && (y[k] == 0 || y[k] == 1);
            sum += y[k];
        }
        if (data->classes > 2) sound = sound && sum == 1;
    }
    CHECK(sound);
    if (data->classes == 0) return;
    CHECK(data->outputs == (data->classes == 2 ? 1 : data->classes));
    CHECK(data->classes >= 2);
    if (!CHECK(data->class_names != NULL)) return;
    for (i = 0; i < data->classes; i++)
        for (k = 0; k < i; k++) CHECK(strcmp(data->class_names[i], data->class_names[k]));
}

static nn_status try_options(const char *text, size_t length, int variant, int *accepted)
{
    static const char *const names[] = {"red", "green", "blue"}, *const kind[] = {"kind"};
    nn_csv_options how = plain();
    nn_location place;
    nn_data data;
    nn_status status;
    how.location = &place;
    if (variant == 1) how.labels = 1;
    if (variant == 2) how.drop_bad_rows = 1;
    if (variant == 3) how.comment = '#';
    if (variant == 4) how.target_names = kind;
    if (variant == 5) how.classes = 3, how.class_names = names;
    if (variant == 6) how.targets = 2;
    status = parse_bytes(&data, text, length, &how);
    CHECK((int)status >= 0 && status < NN_STATUS_COUNT);
    if (status == NN_OK) {
        check_valid(&data);
        ++*accepted;
    }
    nn_data_free(&data);
    return status;
}

static const char fuzz_base[] = BOM "width,\"the \"\"height\"\"\",kind\r\n1.5,-2e3,red\r\n"
                                    "\"3\",.25,\"green\"\n\n#4,5,red\n0.1,1e-7,blue\n7,8,red\n";

static void test_mutations(void)
{
    static const char interesting[] = "\",\n\r;#0123456789.eE+- \t\0\xff\xef\xbb\xbf"
                                      "aN";
    enum { ROUNDS = 30000, LENGTH = (int)sizeof fuzz_base - 1 };
    int i, k, accepted = 0;
    random_state = random_seed + 1;
    for (i = 0; i < ROUNDS; i++) {
        char text[LENGTH];
        int changes = 1 + random_below(6);
        memcpy(text, fuzz_base, LENGTH);
        for (k = 0; k < changes; k++)
            text[random_below(LENGTH)] = random_below(4)
                                             ? interesting[random_below((int)sizeof interesting)]
                                             : (char)random_below(256);
        try_options(text, LENGTH, i % 7, &accepted);
    }
    CHECK(accepted > 100 && accepted < ROUNDS);
    if (test_bad) printf("seed %llu, accepted %d\n", (unsigned long long)random_seed, accepted);
    CHECK(live_blocks == 0);
}

static void test_prefixes(void)
{
    int variant, accepted = 0;
    size_t length;
    for (variant = 0; variant < 7; variant++)
        for (length = 0; length < sizeof fuzz_base; length++)
            try_options(fuzz_base, length, variant, &accepted);
    CHECK(accepted > 0);
    CHECK(live_blocks == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1) random_seed = strtoull(argv[1], NULL, 10);
    RUN(test_same_table);
    RUN(test_no_options);
    RUN(test_targets);
    RUN(test_text_labels);
    RUN(test_numeric_labels);
    RUN(test_many_classes);
    RUN(test_fixed_classes);
    RUN(test_bad_files);
    RUN(test_not_numbers);
    RUN(test_drop);
    RUN(test_drop_places);
    RUN(test_odd_labels);
    RUN(test_text_among_numbers);
    RUN(test_target_named_twice);
    RUN(test_paths);
    RUN(test_random_numbers);
    RUN(test_special_numbers);
    RUN(test_locale);
    RUN(test_mutations);
    RUN(test_prefixes);
    remove(FILE_PATH);
    return test_done(PROGRAM);
}
