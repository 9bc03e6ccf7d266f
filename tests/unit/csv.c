/* CSV: quoting, headers, labels, bad cells with their place, options that are refused. The numbers
   in the cells, and random damage: csv_numbers.c. The tables of files make it long. */
#include "csv.h"
#include "refused.h"

/* ---- Shape and quoting ----------------------------------------------------------------------- */

typedef struct same {
    const char *text;
    char delimiter;
    const char *comment;
    nn_csv_header header;
} same;

#define BOM "\xef\xbb\xbf"

/* Every one of these is the table 1 2 -> 5, 3 4 -> 6. */
static const same sames[] = {
    {"1,2,5\n3,4,6\n", 0, NULL, NN_CSV_HEADER_AUTO},
    {"1,2,5\n3,4,6\n", 0, NULL, NN_CSV_HEADER_NO},
    {"a,b,c\n1,2,5\n3,4,6\n", 0, NULL, NN_CSV_HEADER_AUTO},
    {"a,b,c\n1,2,5\n3,4,6\n", 0, NULL, NN_CSV_HEADER_YES},
    {"a,b,2020\n1,2,5\n3,4,6\n", 0, NULL, NN_CSV_HEADER_AUTO}, /* only input cells tell a header */
    {"9,9,9\n1,2,5\n3,4,6\n", 0, NULL, NN_CSV_HEADER_YES},
    {"1,2,5\n3,4,6", 0, NULL, NN_CSV_HEADER_AUTO},
    {"1,2,5,\n3,4,6,,\n", 0, NULL, NN_CSV_HEADER_AUTO}, /* columns and rows of empty cells */
    {"a,,b,c,\n1,,2,5,\n,,\n3,,4,6,,,\n, ,\t,\n", 0, NULL, NN_CSV_HEADER_AUTO},
    {"1,2,5,\n3,4,6\n", 0, NULL, NN_CSV_HEADER_AUTO},
    {"1,2,5\r3,4,6", 0, NULL, NN_CSV_HEADER_AUTO},
    {"a,\"b\rb\",c\r1,2,5\r\r3,4,6\r", 0, NULL, NN_CSV_HEADER_AUTO},
    {" 1  2\t5\n3 4 6 \n", ' ', NULL, NN_CSV_HEADER_AUTO},
    {"a \"b b\" c\n\n 1 \"2\" 5\n  \n3   4 \t 6", ' ', NULL, NN_CSV_HEADER_AUTO},
    {"@x 1\n% 2\n1,2,5\n3,4,6\n", 0, "%@", NN_CSV_HEADER_NO},
    {"1,2,5\r\n3,4,6\r\n", 0, NULL, NN_CSV_HEADER_AUTO},
    {"a,b,c\r\n1,2,5\r\n3,4,6", 0, NULL, NN_CSV_HEADER_AUTO},
    {"\n\n1,2,5\n\n3,4,6\n\n\n", 0, NULL, NN_CSV_HEADER_AUTO},
    {"\r\n1,2,5\r\n\r\n3,4,6\r\n\r\n", 0, NULL, NN_CSV_HEADER_NO},
    {"\na,b,c\n\n1,2,5\n3,4,6\n", 0, NULL, NN_CSV_HEADER_AUTO},
    {BOM "1,2,5\n3,4,6\n", 0, NULL, NN_CSV_HEADER_AUTO},
    {BOM "1,2,5\n3,4,6\n", 0, NULL, NN_CSV_HEADER_NO},
    {BOM "a,b,c\n1,2,5\n3,4,6\n", 0, NULL, NN_CSV_HEADER_AUTO},
    {BOM "\"a,\",b,c\n1,2,5\n3,4,6\n", 0, NULL, NN_CSV_HEADER_AUTO},
    {"\"1\",\"2\",\"5\"\r\n3,\"4\",\"6\"\r\n", 0, NULL, NN_CSV_HEADER_AUTO},
    {"\"1\",\"2\",\"5\"\n\"3\",\"4\",\"6\"", 0, NULL, NN_CSV_HEADER_AUTO},
    {"\"two\nlines\",\"b,\"\"q\"\"\",\"\"\"\"\n1,2,5\n3,4,6\n", 0, NULL, NN_CSV_HEADER_AUTO},
    {"\"two\r\nlines\",b,c\r\n1,2,5\r\n3,4,6\r\n", 0, NULL, NN_CSV_HEADER_AUTO},
    {"1;2;5\n3;4;6\n", ';', NULL, NN_CSV_HEADER_AUTO},
    {"\"a;b\";b,c;c\n1;2;5\n3;4;6\n", ';', NULL, NN_CSV_HEADER_AUTO},
    {"a\tb c\tc\n1\t2\t5\n3\t4\t6\n", '\t', NULL, NN_CSV_HEADER_AUTO},
    {"1\t\t2\t5\n3\t\t4\t6\n", '\t', NULL, NN_CSV_HEADER_AUTO},    /* a tab is no blank here */
    {"\"a\nb\",b,c\r1,2,5\r3,4,6\r", 0, NULL, NN_CSV_HEADER_AUTO}, /* the first line end */
    {"\"a\rb\",b,c\r\n1,2,5\r\n3,4,6", 0, NULL, NN_CSV_HEADER_AUTO},
    {"# \"\r1,2,5\r3,4,6\r", 0, "#", NN_CSV_HEADER_AUTO},
    {"# one\n1,2,5\n# \"two\n3,4,6\n#", 0, "#", NN_CSV_HEADER_AUTO},
    {"# one\r\na,b,c\r\n#,,,,\r\n1,2,5\r\n3,4,6\r\n", 0, "#", NN_CSV_HEADER_AUTO},
    {"% x\n1,2,5\n3,4,6\n", 0, "%", NN_CSV_HEADER_NO},
    {"\"a\n# b\",b,c\n1,2,5\n3,4,6\n", 0, "#", NN_CSV_HEADER_YES}, /* not within quotes */
    {"+1,2.,5e0\n03,.4e1,0.6E+01\n", 0, NULL, NN_CSV_HEADER_AUTO},
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
        CHECK(data_is_zero(&data));
        nn_data_free(&data);
    }
}

/* A first line of about the size of the pieces in which a file is read; parse() compares a file
   with the text in memory. */
static void test_long_first_line(void)
{
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    static char text[70000];
    nn_data data;
    int i, length;
    for (i = 0; i < COUNT_OF(ends); i++)
        for (length = 65530; length < 65540; length++) {
            memset(text, 'a', (size_t)length);
            sprintf(text + length - 2, ",b%s1,2%s3,4%s", ends[i], ends[i], ends[i]);
            if (CHECK(parse(&data, text, NULL) == NN_OK))
                CHECK(data.rows == 2 && data.inputs == 1 && data.y[1] == 4);
            nn_data_free(&data);
        }
}

/* The last column begins far below the first row: the rows ahead of it are more than a piece of the
   file, and the first ones are dropped. */
static void test_late_column(void)
{
    enum { WIDE = 2000 };
    static char text[99 * (WIDE + 9) + 99];
    nn_csv_options how = plain();
    nn_data data;
    size_t length = 0;
    int i;
    for (i = 0; i < 99; i++)
        length += (size_t)sprintf(text + length, "%d,%*s,%s\n", i, WIDE, "2", i == 90 ? "5" : "");
    how.drop_bad_rows = 1;
    if (CHECK(parse(&data, text, &how) == NN_OK))
        CHECK(data.rows == 1 && data.inputs == 2 && data.x[0] == 90 && data.dropped == 98);
    nn_data_free(&data);
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

static void expect_targets(const char *text, nn_csv_options how, const nn_real *x, const nn_real *y,
                           int targets)
{
    nn_data data;
    if (!CHECK(parse(&data, text, &how) == NN_OK)) return;
    CHECK(data.rows == 2 && data.inputs + data.outputs == 4);
    CHECK(data.outputs == targets);
    CHECK(!memcmp(data.x, x, (size_t)(2 * data.inputs) * sizeof *x));
    CHECK(!memcmp(data.y, y, (size_t)(2 * data.outputs) * sizeof *y));
    nn_data_free(&data);
}

/* Targets by number and by name; outputs are in the order of the list. */
static void test_targets(void)
{
    static const char text[] = "a,\"b,\"\"\",c,d\n1,2,3,4\n5,6,7,8\n";
    static const nn_real last1_x[] = {1, 2, 3, 5, 6, 7}, last1_y[] = {4, 8};
    static const nn_real last2_x[] = {1, 2, 5, 6}, last2_y[] = {3, 4, 7, 8};
    static const nn_real b_x[] = {1, 3, 4, 5, 7, 8}, b_y[] = {2, 6};
    static const nn_real da_x[] = {2, 3, 6, 7}, da_y[] = {4, 1, 8, 5};
    static const char *const das[] = {"d,a", "4,1", "-1,-4", "d,1", "\"d\",\"a\""};
    static const char *const unknown[] = {"e", "5", "-5", "0", "a,e", "a,", "\"1\"", "d,d", "4,4"};
    nn_csv_options how = plain();
    nn_location place;
    nn_data data;
    int i;
    expect_targets(text, how, last1_x, last1_y, 1);
    how.targets = 2;
    expect_targets(text, how, last2_x, last2_y, 2);
    how.targets = 0;
    for (i = 0; i < COUNT_OF(das); i++) {
        how.target = das[i];
        expect_targets(text, how, da_x, da_y, 2);
    }
    how.target = "\"b,\"\"\"";
    expect_targets(text, how, b_x, b_y, 1);
    how.location = &place;
    for (i = 0; i < COUNT_OF(unknown); i++) {
        how.target = unknown[i];
        if (!CHECK(parse(&data, text, &how) == NN_ERROR_CSV_COLUMN)) puts(unknown[i]);
    }
    CHECK(!strcmp(place.name, "4") && !strcmp(place.expected, "a column that is listed once"));
    how.target = "a";
    CHECK(parse(&data, "1,2,3\n4,5,6\n", &how) == NN_ERROR_CSV_COLUMN); /* there is no header */
    CHECK(!strcmp(place.name, "a"));
    how = plain();
    how.targets = 4;
    CHECK(parse(&data, text, &how) != NN_OK); /* no column is left for the inputs */
    how.targets = 5;
    CHECK(parse(&data, text, &how) != NN_OK);
    how.targets = 0;
    CHECK(parse(&data, "1\n2\n", &how) != NN_OK);
}

/* ---- Labels ---------------------------------------------------------------------------------- */

/* Class names and the class of each row. */
static void expect_classes(const nn_data *data, int classes, const char *const *names,
                           const int *rows, int count)
{
    int i;
    if (!CHECK(data->classes == classes && data->rows == count && data->class_names)) return;
    if (!CHECK(data->outputs == (classes == 2 ? 1 : classes) && data->labels && !data->y)) return;
    for (i = 0; i < classes; i++) CHECK(!strcmp(data->class_names[i], names[i]));
    for (i = 0; i < count; i++) CHECK(data->labels[i] == rows[i]);
}

static void test_text_labels(void)
{
    static const char *const ab[] = {"a", "b"};
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
    how.target = "kind";
    if (CHECK(parse(&data, "kind,x\nb,1\na,2\nb,3", &how) == NN_OK)) {
        expect_classes(&data, 2, ab, two, 3);
        CHECK(data.inputs == 1 && data.x[0] == 1 && data.x[2] == 3);
    }
    nn_data_free(&data);
    if (CHECK(parse(&data, "1,\xc3\xa9\n1,b\n1,Z\n1,ab\n1,\"a\"\n1,\"say \"\"hi\"\",\ntwice\"\n",
                    NULL) == NN_OK))
        expect_classes(&data, 6, bytes, many, 6);
    nn_data_free(&data);
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
            right = right && data.labels[i] == CLASSES - 1 - i &&
                    data.x[i] == (nn_real)(CLASSES - 1 - i);
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
    static const char *const quoted[] = {"\"b", "\"\"\"b\""}, *const commas[] = {"2,5", "1,5"};
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
    CHECK(!strcmp(place.expected, "one of the given classes"));
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
    how.class_names = quoted;
    if (CHECK(parse(&test, "4,\"\"\"\"\"\"\"b\"\"\"\n5,\"\"\"\"\"\"\"b\"\"\"\n", &how) == NN_OK))
        expect_classes(&test, 2, quoted, two_rows, 2);
    nn_data_free(&test);
    how.class_names = commas; /* numbers, in the form of the table */
    how.delimiter = ';';
    how.decimal = ',';
    if (CHECK(parse(&test, "4;1,5\n5;1,50\n", &how) == NN_OK))
        expect_classes(&test, 2, commas, two_rows, 2);
    nn_data_free(&test);
}

/* ---- Bad files ------------------------------------------------------------------------------- */

typedef struct bad {
    const char *text;
    char delimiter;
    const char *comment;
    nn_status status;
    long line, column; /* 0: not checked */
    const char *name;  /* NULL: not checked */
} bad;

#define TEN   "xxxxxxxxxx"
#define SIXTY TEN TEN TEN TEN TEN TEN

static const bad bads[] = {
    {"1,x,3\n", 0, NULL, NN_ERROR_CSV_NUMBER, 1, 2, "x"},
    {"1,2,3\n4,,6\n", 0, NULL, NN_ERROR_CSV_NUMBER, 2, 2, ""},
    {"1,2,3\n4,\"\",6\n", 0, NULL, NN_ERROR_CSV_NUMBER, 2, 2, ""},
    {"1,2,3\n4,5,\n", 0, NULL, NN_ERROR_CSV_NUMBER, 2, 3, ""},
    {"1,2,a\n4,5,\n", 0, NULL, NN_ERROR_CSV_NUMBER, 2, 3, ""},
    {"1,2,3\nNA,5,6\n", 0, NULL, NN_ERROR_CSV_NUMBER, 2, 1, "NA"},
    {"1,2,3\n1,2,3\n \t,5,6\n", 0, NULL, NN_ERROR_CSV_NUMBER, 3, 1, NULL},
    {"a,\"b\nc\",d\r\n1,2,3\r\n4,oops,6\r\n", 0, NULL, NN_ERROR_CSV_NUMBER, 4, 2, "oops"},
    {"\n\r\n1,2,3\n\n1,\"b\nad\",3\n", 0, NULL, NN_ERROR_CSV_NUMBER, 5, 2, "b\nad"},
    {"1,2,3\n# no\n", 0, NULL, NN_ERROR_CSV_CELLS, 2, 0, NULL},
    {"#\n1,2,3\n#\n1,o,3\n", 0, "#", NN_ERROR_CSV_NUMBER, 4, 2, "o"},
    {"1,2,3\n1," SIXTY TEN ",3\n", 0, NULL, NN_ERROR_CSV_NUMBER, 2, 2, SIXTY "xxx"},
    {"1;1,5;3\n", ';', NULL, NN_ERROR_CSV_NUMBER, 1, 2, "1,5"},
    {"1,2,3\n4,5\n", 0, NULL, NN_ERROR_CSV_CELLS, 2, 0, NULL},
    {"1,2,3\n4,5,6,7\n", 0, NULL, NN_ERROR_CSV_CELLS, 2, 0, NULL},
    {"1,2,3\n\n4,5,6,,7\n", 0, NULL, NN_ERROR_CSV_CELLS, 3, 5, "7"},
    {"a,b\n1,2,3\n", 0, NULL, NN_ERROR_CSV_CELLS, 2, 0, NULL},
    {"a,b,c\n1,2\n", 0, NULL, NN_ERROR_CSV_CELLS, 2, 0, NULL},
    {"1,\"2\"x,3\n", 0, NULL, NN_ERROR_CSV_QUOTE, 1, 2, NULL},
    {"1,2,3\n4,5,\"6\" \n", 0, NULL, NN_ERROR_CSV_QUOTE, 2, 3, NULL},
    {"1,2\"x,3\n", 0, NULL, NN_ERROR_CSV_QUOTE, 1, 2, NULL},
    {"1,2,3\n4,5,a\"b\"\n", 0, NULL, NN_ERROR_CSV_QUOTE, 2, 3, NULL},
    {"1,2,\"3", 0, NULL, NN_ERROR_CSV_QUOTE, 1, 3, NULL},
    {"1,2,\"3\"\"", 0, NULL, NN_ERROR_CSV_QUOTE, 1, 3, NULL},
    {"1,2,\"", 0, NULL, NN_ERROR_CSV_QUOTE, 1, 3, NULL},
    {"1,2,3\n4,\"5,6\n7,8,9\n", 0, NULL, NN_ERROR_CSV_QUOTE, 0, 2, NULL},
    {"1,a\n2,a\n", 0, NULL, NN_ERROR_LABEL, 0, 0, NULL}, /* one class is nothing to learn */
    {"", 0, NULL, NN_ERROR_CSV_EMPTY, 0, 0, NULL},
    {"\n", 0, NULL, NN_ERROR_CSV_EMPTY, 0, 0, NULL},
    {"\r\n\r\n", 0, NULL, NN_ERROR_CSV_EMPTY, 0, 0, NULL},
    {BOM, 0, NULL, NN_ERROR_CSV_EMPTY, 0, 0, NULL},
    {"a,b,c", 0, NULL, NN_ERROR_CSV_EMPTY, 0, 0, NULL},
    {"a,b,c\r\n\r\n", 0, NULL, NN_ERROR_CSV_EMPTY, 0, 0, NULL},
    {"# only\n", 0, "#", NN_ERROR_CSV_EMPTY, 0, 0, NULL},
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
}

/* Not numbers, although strtod or a spreadsheet would take some of them. */
static void test_not_numbers(void)
{
    static const char *const cells[] = {
        "nan",  "NaN",   "-nan", "inf",   "Inf",   "-inf",  "infinity", "1e999", "-1e999",
        "0x10", "0x1p3", "1 2",  "1,5",   ".",     "+",     "-",        "e5",    "1e",
        "1e+",  "+-1",   "--1",  "1.2.3", "1e5.5", "1f",    "1_000",    "1e5e5", "1d5",
        "$1",   "1%",    "1.e",  ".e1",   "?",     "truer", "1\n2",     "0x",    "1e 5",
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
    nn_location place;
    nn_data data;
    how.drop_bad_rows = 1;
    if (CHECK(parse(&data, "a,b,t\n1,2,3\nNA,2,3\n4,5,6\n7,,8\n9,1,\n1e999,nan,0\n", &how) ==
              NN_OK)) {
        CHECK(data.rows == 2 && data.inputs == 2 && data.dropped == 4);
        CHECK(!memcmp(data.x, x, sizeof x) && !memcmp(data.y, y, sizeof y));
    }
    nn_data_free(&data);
    CHECK(data_is_zero(&data));
    if (CHECK(parse(&data, "1,a\n2,b\n?,a\n3,b\n", &how) == NN_OK))
        CHECK(data.rows == 3 && data.dropped == 1 && data.classes == 2 && data.labels[2] == 1);
    nn_data_free(&data);
    how.location = &place; /* all rows dropped: the first bad cell, and how many rows there were */
    CHECK(parse(&data, "a,b,t\n1,x,3\n,2,3\n4,,6\n", &how) == NN_ERROR_CSV_EMPTY);
    CHECK(place.line == 2 && place.column == 2 && !strcmp(place.name, "x") && place.dropped == 3);
    CHECK(parse(&data, "a,b,t\n,2,3\n4,5\n", &how) == NN_ERROR_CSV_CELLS);
    CHECK(place.line == 3 && place.dropped == 1);
    CHECK(parse(&data, "1,2,3\n4,5\n", &how) == NN_ERROR_CSV_CELLS);
    CHECK(parse(&data, "1,2,3\n4,5,\"6", &how) == NN_ERROR_CSV_QUOTE);
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
}

/* A class name is a C string: a label with a NUL byte must not become the name of another. */
static void test_odd_labels(void)
{
    static const char nul[] = "1,red\0\n2,red\n3,blue\n4,green\n";
    static const char longer[] = "1,red\0and more\n2,red\n";
    static const char head[] = "a,kind\0\n1,red\n2,blue\n";
    static const char *const names[] = {"red", "blue"};
    nn_csv_options how = plain();
    nn_data data;
    CHECK(parse_bytes(&data, nul, sizeof nul - 1, &how) != NN_OK);
    nn_data_free(&data);
    how.classes = 2;
    how.class_names = names;
    CHECK(parse_bytes(&data, longer, sizeof longer - 1, &how) != NN_OK);
    nn_data_free(&data);
    how = plain();
    how.target = "kind";
    CHECK(parse_bytes(&data, head, sizeof head - 1, &how) != NN_OK);
    nn_data_free(&data);
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
        how.labels = 1; /* x is a class, a missing mark is none */
        if (i < 2)
            CHECK(parse(&data, texts[i], &how) == NN_ERROR_CSV_NUMBER && place.line == i + 1);
        else if (CHECK(parse(&data, texts[i], &how) == NN_OK))
            CHECK(data.classes == 3);
        nn_data_free(&data);
        how.labels = 0;
    }
}

/* Reads a table with one bad row: an error that names the cell, or, with drop_bad_rows, `rows`
   other rows. Returns whether *data holds these. */
static int one_bad_row(nn_data *data, const char *text, int line, int column, int rows)
{
    nn_csv_options how = plain();
    nn_location place;
    how.location = &place;
    CHECK(parse(data, text, &how) == NN_ERROR_CSV_NUMBER);
    CHECK(place.line == line && place.column == column && place.dropped == 0);
    how.drop_bad_rows = 1;
    return CHECK(parse(data, text, &how) == NN_OK) &&
           CHECK(data->rows == rows && data->dropped == 1);
}

/* A missing class is no class, whatever its mark; where the caller has named the mark as a class,
   it is that class. */
static void test_missing_labels(void)
{
    static const char *const marks[] = {"",    "NA",   "na",   "N/A", "n/a", "nan",
                                        "NaN", "null", "NULL", "?",   " ? ", "\"NA\""};
    static const char *const names[] = {"NA", "no", "yes"};
    nn_csv_options how = plain();
    nn_data data;
    char text[99];
    int i;
    for (i = 0; i < COUNT_OF(marks); i++) {
        snprintf(text, sizeof text, "x,y\n0.5,yes\n0.7,no\n0.9,%s\n0.2,yes\n", marks[i]);
        if (!one_bad_row(&data, text, 4, 2, 3)) continue;
        CHECK(data.classes == 2);
        CHECK(!strcmp(data.class_names[0], "no") && !strcmp(data.class_names[1], "yes"));
        CHECK(data.labels[0] == 1 && data.labels[1] == 0 && data.labels[2] == 1);
        nn_data_free(&data);
    }
    how.classes = 3;
    how.class_names = names;
    if (CHECK(parse(&data, "x,y\n1,yes\n2,NA\n", &how) == NN_OK))
        CHECK(data.rows == 2 && data.labels[0] == 2 && data.labels[1] == 0);
    nn_data_free(&data);
}

/* A header is made of names: a row of missing marks is a row. As pandas writes its index, one
   column has no name. */
static void test_header_of_marks(void)
{
    static const char *const rows[] = {"NA,NA,1", "?,,1", ",,1", "null,nan,NA"};
    nn_data data;
    char text[99];
    int i;
    for (i = 0; i < COUNT_OF(rows); i++) {
        snprintf(text, sizeof text, "%s\n2,3,4\n4,5,6\n", rows[i]);
        (void)one_bad_row(&data, text, 1, 1, 2);
        nn_data_free(&data);
    }
    if (CHECK(parse(&data, ",a,y\n0,2,3\n1,4,5\n", NULL) == NN_OK))
        CHECK(data.rows == 2 && data.inputs == 2 && data.x[1] == 2);
    nn_data_free(&data);
}

/* Numbers may be names where the target's name is text above a column of numbers. */
static void test_header_of_numbers(void)
{
    static const char table[] = "0,1,2,label\n5.1,3.5,1.4,0\n4.9,3.0,1.3,1\n6.0,2.2,4.0,0\n";
    static const char text_target[] = "5.1,1.4,a\n4.9,1.3,b\n";
    nn_csv_options how = plain();
    nn_data data;
    int labels;
    for (labels = 0; labels < 2; labels++) {
        how.labels = labels;
        if (CHECK(parse(&data, table, &how) == NN_OK)) CHECK(data.rows == 3 && data.inputs == 3);
        if (data.rows == 3) CHECK(data.classes == 2 * labels && data.x[0] == (nn_real)5.1);
        nn_data_free(&data);
    }
    how.header = NN_CSV_HEADER_NO;
    if (CHECK(parse(&data, table, &how) == NN_OK)) CHECK(data.rows == 4 && data.classes == 3);
    nn_data_free(&data);
    how = plain();
    if (CHECK(parse(&data, text_target, &how) == NN_OK)) CHECK(data.rows == 2 && data.classes == 2);
    nn_data_free(&data);
}

/* Equal numbers are one class, and its name is the first of their forms. */
static void test_equal_labels(void)
{
    nn_csv_options how = plain();
    nn_data data;
    how.labels = 1;
    if (CHECK(parse(&data, "x,y\n0.5,1\n0.7,1.0\n0.9,0\n0.2,0.0\n0.1,+1e0\n", &how) == NN_OK)) {
        CHECK(data.rows == 5 && data.classes == 2 && data.outputs == 1);
        CHECK(!strcmp(data.class_names[0], "0") && !strcmp(data.class_names[1], "1"));
        CHECK(data.labels[0] == 1 && data.labels[1] == 1 && data.labels[2] == 0);
        CHECK(data.labels[3] == 0 && data.labels[4] == 1);
    }
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
    CHECK(data_is_zero(&data));
    memset(&data, 0xa5, sizeof data);
    CHECK(nn_read_csv(&data, "build", &how) == NN_ERROR_READ);
    CHECK(place.path && !strcmp(place.path, "build"));
    CHECK(data_is_zero(&data));
}

/* ---- Options --------------------------------------------------------------------------------- */

static void bad_csv(const nn_csv_options *how, nn_status expected)
{
    static const char text[] = "a,b,c\n1,2,3\n4,5,6\n";
    nn_data data;
    memset(&data, 0xa5, sizeof data);
    REFUSED(nn_parse_csv(&data, text, sizeof text - 1, how), expected);
    CHECK(data_is_zero(&data));
}

static void test_csv_options(void)
{
    static const char delimiters[] = {'"', '\n', '\r', '0', '9', '+', '-', 'e', 'E'};
    static const char *const comments[] = {"#\"", "\n", "\r", "%,"};
    static const char *const holes[] = {"a", NULL};
    nn_csv_options how, clean;
    size_t i;
    if (!begin()) return;
    memset(&clean, 0, sizeof clean);
    for (i = 0; i < sizeof delimiters; i++) {
        how = clean;
        how.delimiter = delimiters[i];
        bad_csv(&how, NN_ERROR_OPTION);
    }
    for (i = 0; i < sizeof comments / sizeof *comments; i++) {
        how = clean;
        how.comment = comments[i];
        bad_csv(&how, NN_ERROR_OPTION);
    }
    how = clean;
    how.header = (nn_csv_header)3;
    bad_csv(&how, NN_ERROR_OPTION);
    how = clean;
    how.targets = -1;
    bad_csv(&how, NN_ERROR_OPTION);
    how = clean;
    how.targets = 2;
    how.labels = 1;
    bad_csv(&how, NN_ERROR_OPTION);
    how = clean;
    how.classes = -1;
    how.class_names = holes;
    bad_csv(&how, NN_ERROR_OPTION);
    how.classes = 2;
    bad_csv(&how, NN_ERROR_NULL);
    how = clean;
    how.target = "c";
    how.targets = 1;
    bad_csv(&how, NN_ERROR_OPTION);
    how.targets = 0;
    how.header = NN_CSV_HEADER_NO; /* in which there are no names */
    bad_csv(&how, NN_ERROR_OPTION);
    how = clean;
    how.decimal = ',';
    bad_csv(&how, NN_ERROR_OPTION);
    how.decimal = ';';
    bad_csv(&how, NN_ERROR_OPTION);
    how = clean;
    how.classes = 2; /* without their names */
    bad_csv(&how, NN_ERROR_OPTION);
    how = clean;
    how.target = NN_NO_TARGET;
    how.labels = 1;
    bad_csv(&how, NN_ERROR_OPTION);
    end();
}

static void test_csv_nulls(void)
{
    nn_data data;
    CHECK(nn_parse_csv(NULL, "1,2", 3, NULL) == NN_ERROR_NULL);
    memset(&data, 0xa5, sizeof data);
    CHECK(nn_parse_csv(&data, NULL, 3, NULL) == NN_ERROR_NULL);
    CHECK(data_is_zero(&data));
    CHECK(nn_read_csv(NULL, "build/no such file", NULL) == NN_ERROR_NULL);
    memset(&data, 0xa5, sizeof data);
    CHECK(nn_read_csv(&data, NULL, NULL) == NN_ERROR_NULL);
    CHECK(data_is_zero(&data));
}

int main(void)
{
    RUN(test_same_table);
    RUN(test_long_first_line);
    RUN(test_late_column);
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
    RUN(test_missing_labels);
    RUN(test_header_of_marks);
    RUN(test_header_of_numbers);
    RUN(test_equal_labels);
    RUN(test_paths);
    RUN(test_csv_options);
    RUN(test_csv_nulls);
    remove(temporary("table.csv"));
    return test_done();
}
