/* Tables as they are found: which columns are read, text as categories, missing cells, and the
   recipe by which another table is read in the same way. Rows and cells: csv.c. The tables stand
   beside what must come out of them, which makes it long. */
#include "csv.h"

#include <time.h>

/* Reads text and compares it with what is expected: the names of the inputs, with blanks, and all
   numbers of all rows, the class or the targets last. */
typedef struct expected {
    int rows, inputs, outputs, classes, dropped, imputed, unknown;
    const char *names, *classes_are;
    const nn_real *numbers; /* [rows x (inputs + 1 or outputs)] */
} expected;

static void check_names(const char *const *names, int count, const char *expected)
{
    char all[999] = "";
    int i;
    for (i = 0; i < count; i++) {
        if (i) strcat(all, " ");
        strcat(all, names[i]);
    }
    if (!CHECK(!strcmp(all, expected))) printf("%s instead of %s\n", all, expected);
}

static void check_data(const nn_data *data, const expected *e)
{
    const nn_real *n = e->numbers;
    int i, j, right = 1;
    if (!CHECK(data->rows == e->rows && data->inputs == e->inputs)) return;
    CHECK(data->outputs == e->outputs && data->classes == e->classes);
    CHECK(data->dropped == e->dropped && data->imputed == e->imputed);
    CHECK(data->unknown == e->unknown);
    check_names(data->input_names, data->inputs, e->names);
    if (e->classes) check_names(data->class_names, data->classes, e->classes_are);
    for (i = 0; i < data->rows; i++) {
        for (j = 0; j < data->inputs; j++) right = right && data->x[i * data->inputs + j] == *n++;
        if (data->labels) right = right && data->labels[i] == (int)*n++;
        for (j = 0; data->y && j < data->outputs; j++)
            right = right && data->y[i * data->outputs + j] == *n++;
    }
    CHECK(right);
}

static void expect(const char *text, const nn_csv_options *how, const expected *e)
{
    nn_data data;
    const nn_status status = parse(&data, text, how);
    if (CHECK(status == NN_OK))
        check_data(&data, e);
    else
        printf("%s\n%s\n", nn_status_text(status), text);
    nn_data_free(&data);
}

static void expect_error(const char *text, nn_csv_options how, nn_status expected_status, long line,
                         long column, const char *name, const char *expected_text)
{
    nn_location place;
    nn_data data;
    nn_status status;
    how.location = &place;
    status = parse(&data, text, &how);
    if (CHECK(status == expected_status) && CHECK(place.line == line && place.column == column) &&
        CHECK(!strcmp(place.name, name) && !strcmp(place.expected, expected_text)))
        return;
    printf("%s, line %ld, column %ld, \"%s\", expected %s\n%s\n", nn_status_text(status),
           place.line, place.column, place.name, place.expected, text);
    if (status == NN_OK) nn_data_free(&data);
}

/* ---- Columns --------------------------------------------------------------------------------- */

/* Targets anywhere, inputs that are named, left out, or all others. */
static void test_columns(void)
{
    static const char text[] = "id,a,kind,b,date\n7,1,x,2,1-1\n8,3,y,4,2-1\n";
    static const nn_real numbers[] = {1, 2, 0, 3, 4, 1};
    static const struct {
        const char *target, *use, *ignore;
    } ways[] = {{"kind", "a,b", NULL},        {"kind", "2,4", NULL},      {"3", "b,a", NULL},
                {"kind", NULL, "id,date"},    {"-3", NULL, "1,-1"},       {"kind", "2,b", "id"},
                {"\"kind\"", NULL, "date,1"}, {"kind", "a,b", "id,date"}, {"3", "-4,-2", NULL}};
    static const expected e = {2, 2, 1, 2, 0, 0, 0, "a b", "x y", numbers};
    nn_csv_options how = plain();
    int i;
    for (i = 0; i < COUNT_OF(ways); i++) {
        how.target = ways[i].target;
        how.use = ways[i].use;
        how.ignore = ways[i].ignore;
        expect(text, &how, &e);
    }
    how.target = "kind";
    how.use = "kind,a";
    expect_error(text, how, NN_ERROR_CSV_COLUMN, 1, 0, "kind", "a column that is listed once");
    how.use = "a";
    how.ignore = "a";
    expect_error(text, how, NN_ERROR_CSV_COLUMN, 1, 0, "a", "a column that is listed once");
    how.use = NULL;
    how.ignore = "6";
    expect_error(text, how, NN_ERROR_CSV_COLUMN, 1, 0, "6", "the name or the number of a column");
    how.ignore = "1,2,4,5";
    expect_error(text, how, NN_ERROR_CSV_CELLS, 1, 5, "", "2 columns at least");
}

/* A target without a single number is an error: no NaN comes out of a file. */
static void test_empty_target(void)
{
    nn_csv_options how = plain();
    how.target = "2";
    expect_error("1,,3\n4,,6\n", how, NN_ERROR_CSV_NUMBER, 1, 2, "", "a number or a class");
    how.target = "2,3";
    expect_error("1,,3\n4,,6\n", how, NN_ERROR_CSV_NUMBER, 1, 2, "", "a number");
    how.drop_bad_rows = 1;
    expect_error("1,,3\n4,,6\n", how, NN_ERROR_CSV_EMPTY, 1, 2, "", "a number");
}

/* A name that occurs twice does not say which column is meant. */
static void test_same_names(void)
{
    static const char text[] = "x,y,x,t\n1,2,3,4\n5,6,7,8\n";
    static const nn_real numbers[] = {2, 3, 4, 1, 6, 7, 8, 5};
    static const expected e = {2, 3, 1, 0, 0, 0, 0, "y x t", "", numbers};
    nn_csv_options how = plain();
    how.target = "x";
    expect_error(text, how, NN_ERROR_CSV_COLUMN, 1, 0, "x", "a name that occurs once, or a number");
    how.target = NULL;
    how.ignore = "x";
    expect_error(text, how, NN_ERROR_CSV_COLUMN, 1, 0, "x", "a name that occurs once, or a number");
    how.ignore = NULL;
    how.use = "y,x";
    expect_error(text, how, NN_ERROR_CSV_COLUMN, 1, 0, "x", "a name that occurs once, or a number");
    how.use = NULL;
    how.target = "1";
    expect(text, &how, &e);
}

/* The class in the first column of a table without a header; names that are numbers. */
static void test_numbers_and_names(void)
{
    static const char first[] = "1,14.5,1.5\n2,12.5,0.5\n3,13,2\n1,13.5,1.75\n";
    static const nn_real class_first[] = {14.5f, 1.5f, 0, 12.5f, 0.5f,  1,
                                          13,    2,    2, 13.5f, 1.75f, 0};
    static const expected e = {4, 2, 3, 3, 0, 0, 0, "x1 x2", "1 2 3", class_first};
    static const nn_real third[] = {5, 3, 1, 6, 4, 2};
    static const expected numbered = {2, 2, 1, 0, 0, 0, 0, "0 1", "", third};
    nn_csv_options how = plain();
    how.target = "1";
    how.labels = 1;
    expect(first, &how, &e);
    how = plain();
    how.target = "\"2\"";
    expect("0,1,2\n5,3,1\n6,4,2\n", &how, &numbered); /* a name makes the first row a header */
    how.target = NULL;
    expect("0,1,y\n5,3,1\n6,4,2\n", &how, &numbered);
}

static void test_no_target(void)
{
    static const nn_real numbers[] = {1, 2, 4, 5};
    static const expected e = {2, 2, 0, 0, 0, 0, 0, "a b", "", numbers};
    nn_csv_options how = plain();
    nn_data data, train, test;
    how.target = NN_NO_TARGET;
    expect("a,b\n1,2\n4,5\n", &how, &e);
    if (!CHECK(parse(&data, "a,b\n1,2\n4,5\n", &how) == NN_OK)) return;
    CHECK(!data.y && !data.labels && !data.class_names);
    if (CHECK(nn_split(&data, 0.5f, 1, &train, &test) == NN_OK)) {
        CHECK(train.rows == 1 && !strcmp(train.input_names[1], "b"));
        CHECK(!strcmp(test.recipe, data.recipe));
    }
    nn_data_free(&train);
    nn_data_free(&test);
    nn_data_free(&data);
}

/* ---- Cells ----------------------------------------------------------------------------------- */

/* Numbers with the other decimal point are no categories and no classes. */
static void test_other_decimal(void)
{
    static const char decimal[] = "a number: is the decimal point right?";
    nn_csv_options how = plain();
    nn_data data;
    how.text_columns = 1;
    how.delimiter = ';';
    expect_error("a;y\n0,5;1\n0,75;2\n", how, NN_ERROR_CSV_NUMBER, 2, 1, "0,5", decimal);
    expect_error("a;y\n1;0,5\n2;0,75\n", how, NN_ERROR_CSV_NUMBER, 2, 2, "0,5", decimal);
    expect_error("a;y\n1;2\n1,5;3\n", how, NN_ERROR_CSV_NUMBER, 3, 1, "1,5", decimal);
    if (CHECK(parse(&data, "a;y\n0,5;1\n0,75;2\nx;3\n", &how) == NN_OK)) CHECK(data.inputs == 3);
    nn_data_free(&data);
    how.decimal = ',';
    expect_error("a;y\n0.5;1\n0.75;2\n", how, NN_ERROR_CSV_NUMBER, 2, 1, "0.5", decimal);
    how.labels = 1; /* who says so gets classes */
    if (CHECK(parse(&data, "a;y\n1;0.5\n2;0.75\n", &how) == NN_OK)) CHECK(data.classes == 2);
    nn_data_free(&data);
}

static void test_decimal_comma(void)
{
    static const nn_real numbers[] = {1.5f, 2, -3.25f, 4500, 5, 6};
    static const expected e = {2, 2, 1, 0, 0, 0, 0, "a b", "", numbers};
    nn_csv_options how = plain();
    how.delimiter = ';';
    how.decimal = ',';
    expect("a;b;y\n1,5;2,0;-3,25\n4,5e3;5;6\n", &how, &e);
    expect_error("a;b;y\n1.5;2;3\n", how, NN_ERROR_CSV_NUMBER, 2, 1, "1.5", "a number");
    how.delimiter = '\t';
    expect("a\tb\ty\n1,5\t2,0\t-3,25\n4,5e3\t5\t6\n", &how, &e);
    how.delimiter = ' ';
    expect("a b y\n1,5 2,0  -3,25\n 4,5e3 5 6\n", &how, &e);
}

/* true, yes, false and no are 1 and 0, in any case, as inputs. */
static void test_booleans(void)
{
    static const nn_real numbers[] = {1, 0, 3, 0, 1, 6};
    static const expected e = {2, 2, 1, 0, 0, 0, 0, "a b", "", numbers};
    static const char maybe[] = "a,b,y\nyes,1,1\nno,2,2\nmaybe,3,3\n";
    static const nn_real three[] = {0, 0, 1, 1, 1, 0, 1, 0, 2, 2, 1, 0, 0, 3, 3};
    static const expected categories = {3, 4, 1, 0, 0, 0, 0, "a=maybe a=no a=yes b", "", three};
    nn_csv_options how = plain();
    expect("a,b,y\nTrue,no,3\nFalse,YES,6\n", &how, &e);
    expect_error("a,b,y\nyes,1,true\n", how, NN_ERROR_LABEL, 0, 3, "", "two classes or more");
    expect_error(maybe, how, NN_ERROR_CSV_NUMBER, 4, 1, "maybe", "a number");
    how.text_columns = 1;
    expect("a,b,y\nTrue,no,3\nFalse,YES,6\n", &how, &e);
    expect(maybe, &how, &categories);
}

static void test_encodings(void)
{
    static const char little[] = "\xff\xfe"
                                 "1\0,\0"
                                 "2\0\n",
                      big[] = "\xfe\xff\0"
                              "1\0,\0"
                              "2\0\n";
    static const char bare[] = "1\0,\0"
                               "2\0\n";
    static const char zeros[4] = {0}; /* as in a file without an end, such as /dev/zero */
    nn_csv_options how = plain(), use = plain();
    nn_location place;
    nn_data data;
    how.location = &place;
    CHECK(parse_bytes(&data, little, sizeof little - 1, &how) == NN_ERROR_CSV_ENCODING);
    CHECK(parse_bytes(&data, big, sizeof big - 1, &how) == NN_ERROR_CSV_ENCODING);
    CHECK(parse_bytes(&data, bare, sizeof bare - 1, &how) == NN_ERROR_CSV_ENCODING);
    CHECK(place.line == 1 && !strcmp(place.expected, "UTF-8, not UTF-16"));
    CHECK(parse_bytes(&data, zeros, sizeof zeros, &how) == NN_ERROR_CSV_ENCODING);
    expect_error("gr\xf6\xdf"
                 "e,y\n1,2\n3,4\n",
                 how, NN_ERROR_CSV_ENCODING, 0, 0, "", "UTF-8");
    expect_error("x,y\n1,\xe4\n3,b\n", how, NN_ERROR_CSV_ENCODING, 0, 0, "", "UTF-8");
    use.ignore = "2";
    CHECK(parse(&data, "x,\xe4,y\n1,\xe4,2\n3,\xe4,4\n", &use) == NN_OK); /* it is not used */
    nn_data_free(&data);
}

static void test_arff(void)
{
    static const char text[] =
        "% \"a comment\n@relation t\n@attribute a numeric\n@data\n1,p\n%\n2,q\n";
    static const nn_real numbers[] = {1, 0, 2, 1};
    static const expected e = {2, 1, 1, 2, 0, 0, 0, "x1", "p q", numbers};
    nn_csv_options how = plain();
    how.comment = "%@";
    expect(text, &how, &e);
    how.header = NN_CSV_HEADER_NO;
    expect(text, &how, &e);
}

/* ---- Categories ------------------------------------------------------------------------------ */

static void test_categories(void)
{
    static const nn_real numbers[] = {1, 0, 0.5f, 0, 0, 1, 0, 1, 1.5f, 1, 0, 0,
                                      0, 1, 2.5f, 0, 1, 0, 1, 0, 3.5f, 1, 0, 1};
    static const expected e = {
        4,          5,      1, 2, 0, 0, 0, "colour=blue colour=red size doors=2 doors=5more",
        "bad good", numbers};
    static const char text[] =
        "colour,size,doors,y\nblue,0.5,5more,bad\nred,1.5,2,bad\nred,2.5,5more,bad\nblue,3.5,2.0,"
        "good\n";
    static const nn_real right[] = {1, 0, 0.5f, 0, 1, 0, 0, 1, 1.5f, 1, 0, 0,
                                    0, 1, 2.5f, 0, 1, 0, 1, 0, 3.5f, 1, 0, 1};
    expected all = e;
    nn_csv_options how = plain();
    all.numbers = right;
    how.text_columns = 1;
    expect(text, &how, &all);
    how.text_columns = 0;
    expect_error(text, how, NN_ERROR_CSV_NUMBER, 2, 1, "blue", "a number");
}

/* A category that is a number is named as where it occurs first, also when the first row is only
   known to be no header after the last. */
static void test_spelling(void)
{
    static const char text[] = "0.50,1.0,p\n.5,2,q\n5%,+1,p\n";
    static const char names[] = "x1=0.50 x1=5% x2";
    nn_csv_options how = plain();
    nn_data data;
    int header;
    how.text_columns = 1;
    for (header = NN_CSV_HEADER_AUTO; header <= NN_CSV_HEADER_NO; header += NN_CSV_HEADER_NO) {
        how.header = (nn_csv_header)header;
        if (CHECK(parse(&data, text, &how) == NN_OK)) check_names(data.input_names, 3, names);
        nn_data_free(&data);
    }
}

/* Is the first row of a table that is all text a header? When an input is numbers below it, or when
   none of its texts occurs again in its column. */
static void test_header_of_text(void)
{
    static const struct {
        const char *text, *names;
        int rows;
    } tables[] = {
        {"vhigh,2,low,bad\nlow,3,high,good\nlow,more,low,bad\n", NULL, 3},
        {"buying,doors,safety,class\nvhigh,2,low,bad\nlow,3,high,good\n", "buying=", 2},
        {"x,s,n,p\nx,s,y,e\nb,s,w,p\n", NULL, 3},
        {"cap,shape,odour,class\nx,s,n,p\nx,s,y,e\nb,s,w,p\n", "cap=", 3},
        {"cap,x,odour,class\nx,s,n,p\nx,x,y,e\nb,s,w,p\n", NULL, 4}, /* x occurs again */
        {"cap,weight,class\nx,1,p\nx,2,e\n", "cap=", 2},
        {"a,1,x\nb,2,y\n", NULL, 2},
        {"a,1,2\nb,2,3\n", NULL, 2},
    };
    nn_csv_options how = plain();
    nn_data data;
    int i;
    how.text_columns = 1;
    for (i = 0; i < COUNT_OF(tables); i++) {
        const char *names = tables[i].names ? tables[i].names : "x1=";
        if (!CHECK(parse(&data, tables[i].text, &how) == NN_OK)) continue;
        if (!CHECK(data.rows == tables[i].rows &&
                   !strncmp(data.input_names[0], names, strlen(names))))
            printf("table %d\n", i);
        nn_data_free(&data);
    }
}

/* Numbers with a text among them are categories only while there are few different ones. */
static void test_mixed_columns(void)
{
    char text[4096];
    size_t length;
    nn_csv_options how = plain();
    nn_data data;
    int numbers, i;
    how.text_columns = 1;
    for (numbers = 15; numbers <= 18; numbers++) {
        length = (size_t)sprintf(text, "a,y\n");
        for (i = 0; i < 3 * numbers; i++)
            length += (size_t)sprintf(text + length, "%d.5,%d\n", i % numbers, i);
        length += (size_t)sprintf(text + length, "5more,3\n");
        how.drop_bad_rows = 0;
        if (numbers <= 16) {
            if (CHECK(parse(&data, text, &how) == NN_OK)) CHECK(data.inputs == numbers + 1);
        } else {
            expect_error(text, how, NN_ERROR_CSV_NUMBER, 3 * numbers + 2, 1, "5more", "a number");
            how.drop_bad_rows = 1;
            if (CHECK(parse(&data, text, &how) == NN_OK))
                CHECK(data.inputs == 1 && data.dropped == 1 && data.x[0] == 0.5f);
        }
        nn_data_free(&data);
    }
}

static void test_too_many_texts(void)
{
    enum { MOST = 256 };
    static char text[MOST * 24 + 99];
    size_t length = (size_t)sprintf(text, "name,y\n");
    nn_csv_options how = plain();
    nn_data data;
    int i;
    how.text_columns = 1;
    for (i = 0; i < MOST; i++) length += (size_t)sprintf(text + length, "Mr. %d,%d\n", i, i);
    if (CHECK(parse(&data, text, &how) == NN_OK)) CHECK(data.inputs == MOST);
    nn_data_free(&data);
    sprintf(text + length, "Mrs.,1\n");
    expect_error(text, how, NN_ERROR_CSV_TEXT, MOST + 2, 1, "Mrs.", "256 different texts at most");
    how.ignore = "name";
    CHECK(parse(&data, text, &how) == NN_ERROR_CSV_CELLS); /* no input is left */
}

/* ---- Missing cells --------------------------------------------------------------------------- */

static void test_missing(void)
{
    static const char text[] = "a,b,c,y\n1,x,,1\n,y,2,2\n3,,4,3\nNA,x,?,4\n";
    static const nn_real numbers[] = {1, 1, 0, 0, 3, 1, 2, 0, 1, 0, 2, 2,
                                      3, 0, 0, 1, 4, 3, 2, 1, 0, 0, 3, 4};
    static const expected e = {4, 5, 1, 0, 0, 5, 0, "a b=x b=y b=(missing) c", "", numbers};
    static const nn_real first[] = {3, 4, 1, 2, 3, 4, 4, 5, 6};
    static const expected all_missing = {3, 2, 1, 0, 0, 2, 0, "x1 x2", "", first};
    static const expected dropped = {2, 2, 1, 0, 1, 0, 0, "x1 x2", "", first + 3};
    nn_csv_options how = plain();
    how.text_columns = 1;
    expect_error(text, how, NN_ERROR_CSV_NUMBER, 2, 3, "", "a cell that is not missing");
    how.impute = 1;
    expect(text, &how, &e);
    expect("NA,NA,1\n2,3,4\n4,5,6\n", &how, &all_missing);
    expect_error("a,b,y\n1,2,3\n1,2,NA\n", how, NN_ERROR_CSV_NUMBER, 3, 3, "NA",
                 "a number or a class");
    expect_error("a,b,y\n1,,3\n1,,4\n", how, NN_ERROR_CSV_NUMBER, 2, 2, "",
                 "a number in one of the rows");
    how = plain();
    expect_error("NA,NA,1\n2,3,4\n4,5,6\n", how, NN_ERROR_CSV_NUMBER, 1, 1, "NA", "a number");
    how.drop_bad_rows = 1;
    expect("NA,NA,1\n2,3,4\n4,5,6\n", &how, &dropped);
}

static void test_marks(void)
{
    static const nn_real numbers[] = {1, 2, 1, 2, 2, 2, 3, 2, 3};
    static const expected e = {3, 2, 1, 0, 0, 2, 0, "a b", "", numbers};
    nn_csv_options how = plain();
    how.impute = 1;
    how.missing = "-999,none";
    expect("a,b,y\n1,2,1\n-999,2,2\n3,NONE,3\n", &how, &e);
    expect("a,b,y\n1,2,1\n,2,2\n3,\"\",3\n", &how, &e); /* the empty cell always is one */
    expect_error("a,b,y\n1,2,1\nNA,2,2\n3,2,3\n", how, NN_ERROR_CSV_NUMBER, 3, 1, "NA", "a number");
    how.delimiter = ';';
    how.decimal = ',';
    how.missing = "none,\"-9,5\",\",7\"";
    expect("a;b;y\n1;2;1\n-9,5;2;2\n3;,7;3\n", &how, &e);
}

/* ---- Recipes --------------------------------------------------------------------------------- */

static const char trained_on[] =
    "id,colour,size,y\n1,red,1,cat\n2,blue,,dog\n3,,3,cat\n4,red,5,owl\n";

/* Another table, whose columns stand in another order, is read as the first one. */
static void test_like(void)
{
    static const nn_real first[] = {0, 1, 0, 1, 0, 1, 0, 0, 3, 1, 0, 0, 1, 3, 0, 0, 1, 0, 5, 2};
    static const expected e = {
        4, 4, 3, 3, 0, 2, 0, "colour=blue colour=red colour=(missing) size", "cat dog owl", first};
    static const nn_real second[] = {0, 1, 0, 2.5f, 1, 0, 0, 1, 3, 2, 0, 0, 0, 4, 0};
    static const expected other = {
        3, 4, 3, 3, 0, 2, 1, "colour=blue colour=red colour=(missing) size", "cat dog owl", second};
    static const expected unlabelled = {
        3, 4, 3, 3, 0, 2, 1, "colour=blue colour=red colour=(missing) size", "cat dog owl", NULL};
    nn_csv_options how = plain(), again = plain();
    nn_data data, no_targets;
    int i;
    how.text_columns = how.impute = 1;
    how.ignore = "id";
    expect(trained_on, &how, &e);
    if (!CHECK(parse(&data, trained_on, &how) == NN_OK)) return;
    again.like = &data;
    expect(trained_on, &again, &e);
    expect("y,size,new,colour\ndog,2.5,x,red\nowl,NA,x,\ncat,4,x,green\n", &again, &other);
    if (CHECK(parse(&no_targets, "size,colour\n2.5,red\nNA,\n4,green\n", &again) == NN_OK)) {
        expected with = unlabelled;
        nn_real numbers[12];
        for (i = 0; i < 12; i++) numbers[i] = second[i / 4 * 5 + i % 4];
        with.numbers = numbers;
        check_data(&no_targets, &with);
        CHECK(!no_targets.y && !no_targets.labels);
    }
    nn_data_free(&no_targets);
    again.target = NN_NO_TARGET; /* whatever stands in the target's column */
    if (CHECK(parse(&no_targets, "y,size,colour\n?,2.5,red\nbird,4,green\n", &again) == NN_OK))
        CHECK(no_targets.rows == 2 && !no_targets.labels && no_targets.unknown == 1);
    nn_data_free(&no_targets);
    again.target = NULL;
    expect_error("y,size,colour\nbird,4,red\n", again, NN_ERROR_LABEL, 2, 1, "bird",
                 "one of the given classes");
    expect_error("y,colour\ncat,red\n", again, NN_ERROR_CSV_COLUMN, 1, 0, "size",
                 "a column of this name");
    expect_error("y,size,colour\ncat,x,red\n", again, NN_ERROR_CSV_NUMBER, 2, 2, "x", "a number");
    nn_data_free(&data);
}

/* A name that occurs twice says nothing: the recipe must not take the wrong one of the two. */
static void test_like_ambiguous(void)
{
    static const char text[] = "y,a,y,b\n1,2,3,4\n5,6,7,8\n";
    static const nn_real numbers[] = {2, 4, 1, 6, 8, 5};
    static const expected e = {2, 2, 1, 0, 0, 0, 0, "a b", "", numbers};
    nn_csv_options how = plain(), again = plain();
    nn_data data;
    how.target = "1";
    how.ignore = "3";
    if (!CHECK(parse(&data, text, &how) == NN_OK)) return;
    again.like = &data;
    expect_error(text, again, NN_ERROR_CSV_COLUMN, 1, 0, "y", "a name that occurs once");
    expect("b,c,y,c,a\n4,0,1,0,2\n8,0,5,0,6\n", &again, &e); /* c is not used */
    expect_error("b,y,a,b\n4,1,2,0\n", again, NN_ERROR_CSV_COLUMN, 1, 0, "b",
                 "a name that occurs once");
    nn_data_free(&data);
}

/* A table whose last column has no name in the header; a comment character that is the default
   delimiter but not the table's; a target of numbers and yes: by its recipe the same table is the
   same data. */
static void test_like_itself(void)
{
    static const char *const texts[] = {"a,b,\n1,2,3\n4,5,6\n", "a b c\n,2\n1 2 3\n",
                                        "a,b,y\n1,2,yes\n3,4,30\n"};
    int i;
    for (i = 0; i < COUNT_OF(texts); i++) {
        nn_csv_options how = plain(), again = plain();
        nn_data data, same;
        how.delimiter = i == 1 ? ' ' : ',';
        how.comment = again.comment = i == 1 ? "," : NULL;
        if (!CHECK(parse(&data, texts[i], &how) == NN_OK && data.inputs == 2)) return;
        again.like = &data;
        if (CHECK(parse(&same, texts[i], &again) == NN_OK)) check_equal(&data, &same);
        nn_data_free(&same);
        nn_data_free(&data);
    }
}

/* A class that only dropped rows have is none; by the recipe the rows are dropped too, also where the
   column of the missing cell has no name. */
static void test_like_drops(void)
{
    static const char text[] = ",k\nx,a\n,c\ny,b\n";
    nn_csv_options how = plain(), again = plain();
    nn_data data, same;
    how.header = NN_CSV_HEADER_YES;
    how.text_columns = 1;
    how.drop_bad_rows = again.drop_bad_rows = 1;
    if (!CHECK(parse(&data, text, &how) == NN_OK && data.dropped == 1 && data.classes == 2)) return;
    again.like = &data;
    if (CHECK(parse(&same, text, &again) == NN_OK)) check_equal(&data, &same);
    nn_data_free(&same);
    nn_data_free(&data);
}

/* A number that is a mark of missing cells stays one by the recipe, though a category has its value. */
static void test_like_marks(void)
{
    static const char text[] = "0000,1\n0,2\nx,3\n0,4\n";
    nn_csv_options how = plain(), again = plain();
    nn_data data, same;
    how.text_columns = how.impute = 1;
    how.missing = "0";
    if (!CHECK(parse(&data, text, &how) == NN_OK && data.imputed == 2 && data.inputs == 3)) return;
    again.like = &data;
    if (CHECK(parse(&same, text, &again) == NN_OK)) check_equal(&data, &same);
    nn_data_free(&same);
    nn_data_free(&data);
}

/* Columns are found by name in a time that grows with their number, in whatever order they are. */
static void test_many_names(void)
{
    enum { COLUMNS = 20000 };
    static char text[COLUMNS * 20 + 99], reversed[COLUMNS * 20 + 99];
    size_t length = 0, other = 0;
    nn_csv_options again = plain();
    nn_data data, same;
    clock_t begin;
    int i;
    for (i = 0; i < COLUMNS; i++) {
        length += (size_t)sprintf(text + length, "name%d,", i);
        other += (size_t)sprintf(reversed + other, "name%d,", COLUMNS - 1 - i);
    }
    length += (size_t)sprintf(text + length, "y\n");
    other += (size_t)sprintf(reversed + other, "y\n");
    for (i = 0; i < COLUMNS; i++) {
        length += (size_t)sprintf(text + length, "%d,", i);
        other += (size_t)sprintf(reversed + other, "%d,", COLUMNS - 1 - i);
    }
    length += (size_t)sprintf(text + length, "1\n");
    other += (size_t)sprintf(reversed + other, "1\n");
    begin = clock();
    if (!CHECK(nn_parse_csv(&data, text, length, NULL) == NN_OK)) return;
    again.like = &data;
    if (CHECK(nn_parse_csv(&same, reversed, other, &again) == NN_OK)) check_equal(&data, &same);
    CHECK((double)(clock() - begin) / CLOCKS_PER_SEC < 4); /* it takes 0.05 s, or a minute */
    nn_data_free(&same);
    nn_data_free(&data);
}

/* Without a header, columns are counted; the targets may be absent. */
static void test_like_without_header(void)
{
    static const nn_real numbers[] = {4, 5, 1, 6, 7, 0};
    static const expected e = {2, 2, 1, 2, 0, 0, 0, "x1 x2", "a b", numbers};
    static const expected gap = {2, 2, 1, 0, 0, 0, 0, "x1 x2", "", numbers};
    nn_csv_options again = plain(), how = plain();
    nn_data data, other;
    how.target = "2";
    if (!CHECK(parse(&data, "1,a,2\n3,b,4\n", &how) == NN_OK)) return;
    again.like = &data;
    expect("4,b,5\n6,a,7\n", &again, &e);
    if (CHECK(parse(&other, "4,5\n6,7\n", &again) == NN_OK)) {
        CHECK(other.rows == 2 && other.x[1] == 5 && other.x[2] == 6 && !other.labels);
        CHECK(other.classes == 2 && other.outputs == 1);
    }
    nn_data_free(&other);
    expect_error("4\n6\n", again, NN_ERROR_CSV_CELLS, 1, 1, "", "3 cells");
    expect_error("4,b,5,9\n", again, NN_ERROR_CSV_CELLS, 1, 4, "", "3 cells");
    nn_data_free(&data);
    how = plain(); /* an empty column has no number, so that the names are the same again */
    expect("4,,5,1\n6,,7,0\n", &how, &gap);
    if (!CHECK(parse(&data, "1,,2,3\n4,,5,6\n", &how) == NN_OK)) return;
    again.like = &data;
    expect("4,,5,1\n6,,7,0\n", &again, &gap);
    nn_data_free(&data);
}

/* Classes and categories that are numbers, or only look like some, in a table with decimal commas:
   the recipe reads them as the table does, and finds them in a table with points by their value. */
static void test_like_decimals(void)
{
    static const char text[] = "v;y\n1.5;0,5\n1,5;1,5\nx;1,5\n";
    static const nn_real points[] = {1, 0, 0, 1};
    static const nn_real commas[] = {0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1};
    static const expected e = {3, 3, 1, 2, 0, 0, 0, "v=1,5 v=1.5 v=x", "0,5 1,5", commas};
    static const expected other = {1, 3, 1, 2, 0, 0, 0, "v=1,5 v=1.5 v=x", "0,5 1,5", points};
    nn_csv_options how = plain();
    nn_data data;
    how.delimiter = ';';
    how.decimal = ',';
    how.labels = how.text_columns = 1;
    expect(text, &how, &e);
    if (!CHECK(parse(&data, text, &how) == NN_OK)) return;
    how = plain();
    how.like = &data;
    expect(text, &how, &e);
    how.delimiter = ',';
    how.decimal = '.';
    expect("v,y\n1.50,1.5\n", &how, &other);
    nn_data_free(&data);
}

/* What the recipe says is kept: the form of the file and the marks of missing cells. */
static void test_like_forms(void)
{
    static const char text[] = "a;b;y\n1,5;-1;3\n-9;5,5;6\n";
    static const nn_real numbers[] = {1.5f, -1, 3, 1.5f, 5.5f, 6};
    static const expected e = {2, 2, 1, 0, 0, 1, 0, "a b", "", numbers};
    nn_csv_options how = plain(), again = plain();
    nn_data data;
    how.delimiter = ';';
    how.decimal = ',';
    how.missing = "-9";
    how.impute = 1;
    expect(text, &how, &e);
    if (!CHECK(parse(&data, text, &how) == NN_OK)) return;
    again.like = &data;
    expect(text, &again, &e);
    again.delimiter = ','; /* another file may be of another form */
    again.decimal = '.';
    expect("a,b,y\n1.5,-1,3\n-9,5.5,6\n", &again, &e);
    again.decimal = 0; /* a comma, as in the recipe */
    expect_error("a,b,y\n1,-1,3\n", again, NN_ERROR_OPTION, 0, 0, "", "");
    again = plain();
    again.like = &data;
    again.comment = "#;";
    expect_error(text, again, NN_ERROR_OPTION, 0, 0, "", "");
    nn_data_free(&data);
}

static void test_like_refuses(void)
{
    nn_csv_options clean = plain(), how;
    nn_data data, none;
    memset(&none, 0, sizeof none);
    clean.like = &none;
    expect_error("1,2\n3,4\n", clean, NN_ERROR_METADATA, 0, 0, "", ""); /* it has no recipe */
    if (!CHECK(parse(&data, "a,y\n1,2\n3,4\n", NULL) == NN_OK)) return;
    clean.like = &data;
#define REFUSE(field, value)                                                                       \
    (how = clean, how.field = (value),                                                             \
     expect_error("a,y\n1,2\n", how, NN_ERROR_OPTION, 0, 0, "", ""))
    REFUSE(target, "y");
    REFUSE(targets, 1);
    REFUSE(use, "a");
    REFUSE(ignore, "a");
    REFUSE(labels, 1);
    REFUSE(text_columns, 1);
    REFUSE(impute, 1);
    REFUSE(missing, "?");
    REFUSE(header, NN_CSV_HEADER_YES);
    nn_data_free(&data);
}

/* A model keeps the recipe of the data that it was trained on, also in a file, and reads other
   tables by it. */
static void test_model(void)
{
    static const char other[] = "size,colour,comment\n2.5,red,a\nNA,blue,b\n4,green,c\n";
    nn_csv_options how = plain(), again = plain();
    nn_options training = make_options(NN_CROSS_ENTROPY, NN_ADAM, 0.01);
    nn_layer layers[1];
    nn_model *model, *loaded;
    nn_data data, read, from_file;
    nn_real y[9], z[9];
    training.epochs = 5;
    how.text_columns = how.impute = 1;
    how.ignore = "id";
    if (!CHECK(parse(&data, trained_on, &how) == NN_OK)) return;
    layers[0] = dense_layer(3, NN_SOFTMAX);
    model = make_model(data.inputs, layers, 1, 1);
    again.model = model;
    CHECK(parse(&read, other, &again) == NN_ERROR_METADATA); /* it has not been trained */
    CHECK(nn_fit(model, &data, &training) == NN_OK);
    CHECK(!strcmp(nn_class_name(model, 2), "owl") && !nn_class_name(model, 3));
    CHECK(!strcmp(nn_input_name(model, 2), "colour=(missing)") && !nn_input_name(model, 4));
    if (CHECK(parse(&read, other, &again) == NN_OK)) {
        CHECK(read.rows == 3 && read.inputs == 4 && !read.labels && read.classes == 3);
        CHECK(read.x[7] == 3 && read.imputed == 1 && read.unknown == 1);
        CHECK(nn_predict_data(model, &read, y, NULL) == NN_OK);
        CHECK(nn_evaluate(model, &read, &training, NULL) != NN_OK);
    }
    CHECK(nn_save(model, temporary("table.safetensors")) == NN_OK);
    if (CHECK(nn_load(&loaded, temporary("table.safetensors"), NULL) == NN_OK)) {
        again.model = loaded;
        if (CHECK(parse(&from_file, other, &again) == NN_OK)) {
            check_equal(&read, &from_file);
            CHECK(nn_predict_data(loaded, &from_file, z, NULL) == NN_OK);
            CHECK(!memcmp(y, z, sizeof y));
        }
        nn_data_free(&from_file);
        nn_model_free(loaded);
    }
    nn_model_free(model);
    model = make_model(data.inputs + 1, layers, 1, 1); /* another's recipe */
    CHECK(nn_set_metadata(model, "recipe", data.recipe) == NN_OK);
    again.model = model;
    CHECK(parse(&from_file, other, &again) == NN_ERROR_SHAPE);
    nn_model_free(model);
    nn_data_free(&read);
    nn_data_free(&data);
    remove(temporary("table.safetensors"));
}

/* A recipe comes with a model from a file, so that any of its characters may be wrong. */
static void test_broken_recipes(void)
{
    static const char *const broken[] = {"",
                                         "table",
                                         "table,2,header",
                                         "tablet,2,header,\",\",.\nnumber,a\ntarget,y\n",
                                         "table,0,header,\",\",.\nnumber,a\ntarget,y\n",
                                         "table,2,header,\",\",.\n",
                                         "table,2,header,\",\",.\ntarget,y\n",
                                         "table,2,header,\"\n\",.\nnumber,a\ntarget,y\n",
                                         "table,2,header,\",\",e\nnumber,a\ntarget,y\n",
                                         "table,2,header,\",\",.\nnumber,a,x\ntarget,y\n",
                                         "table,2,header,\",\",.\nnumber,a,1,2\ntarget,y\n",
                                         "table,2,header,\",\",.\nnumber\n",
                                         "table,2,header,\",\",.\nother,a\ntarget,y\n",
                                         "table,2,header,\",\",.\ntarget,y\nnumber,a\n",
                                         "table,2,header,\",\",.\nnumber,a\nclass,y,b,b\n",
                                         "table,2,numbers,\",\",.\nnumber,a\ntarget,2\n",
                                         "table,2,numbers,\",\",.\nnumber,1\ntarget,1\n",
                                         "table,2,numbers,\",\",.\nnumber,3\ntarget,2\n",
                                         "table,2,header,\",\",.\nnumber,\"a\n",
                                         "table,2,header,\",\",.\nnumber,a\ntarget,y,1\n",
                                         "table,2,header,\",\",.",
                                         "table,2,header,\",\"\nnumber,a\ntarget,y\n",
                                         "table,2,header,\"\r\",.\nnumber,a\ntarget,y\n",
                                         "table,2,header,\",\",.,1\nnumber,a\ntarget,y\n",
                                         "table,2,header,\",\",.\nnumber,\"a\"b\ntarget,y\n",
                                         "table,2,header,\",\",.\nnumber,a,\"1\ntarget,y\n",
                                         "table,2,header,\",\",.\ntext,a,\"1\"2\ntarget,y\n"};
    nn_csv_options how = plain();
    nn_data like, data;
    int i;
    memset(&like, 0, sizeof like);
    how.like = &like;
    for (i = 0; i < COUNT_OF(broken); i++) {
        like.recipe = broken[i];
        if (!CHECK(parse(&data, "a,y\n1,2\n3,4\n", &how) != NN_OK)) printf("recipe %d\n", i);
        nn_data_free(&data);
    }
    like.recipe = "table,2,header,\",\",.\ntext or missing,a\ntarget,y\n";
    like.inputs = like.outputs = 1;
    if (CHECK(parse(&data, "a,y\n,2\n", &how) == NN_OK)) /* a category of its own, and no other */
        CHECK(data.inputs == 1 && data.x[0] == 1 && !strcmp(data.input_names[0], "a=(missing)"));
    nn_data_free(&data);
}

/* A recipe with more categories or classes than a table can have. */
static void test_long_recipes(void)
{
    static char recipe[60000];
    static const char *const kinds[] = {"text,a", "class,y"};
    static const int most[] = {256, 4096};
    nn_csv_options how = plain();
    nn_data like, data;
    int kind, more, i;
    memset(&like, 0, sizeof like);
    like.recipe = recipe;
    how.like = &like;
    for (kind = 0; kind < 2; kind++)
        for (more = 0; more < 2; more++) {
            char *at = recipe + sprintf(recipe, "table,2,header,\",\",.\n%s%s",
                                        kind ? "number,a\n" : "", kinds[kind]);
            for (i = 0; i < most[kind] + more; i++) at += sprintf(at, ",t%05d", i);
            sprintf(at, "\n%s", kind ? "" : "target,y\n");
            like.inputs = kind ? 1 : most[kind] + more;
            like.outputs = kind ? most[kind] + more : 1;
            like.classes = kind ? most[kind] + more : 0;
            CHECK(parse(&data, kind ? "a,y\n1,t00007\n" : "a,y\nt00007,1\n", &how) ==
                  (more ? NN_ERROR_METADATA : NN_OK));
            if (!more && kind) CHECK(data.classes == 4096 && data.labels[0] == 7);
            if (!more && !kind) CHECK(data.inputs == 256 && data.x[7] == 1);
            nn_data_free(&data);
        }
}

/* Two classes for a model of two outputs: the table has them, too. */
static void test_two_outputs(void)
{
    static const char text[] = "a,kind\n1,red\n2,blue\n3,red\n";
    const nn_layer layer = dense_layer(2, NN_SOFTMAX);
    nn_options options = make_options(NN_CROSS_ENTROPY, NN_SGD, 0);
    nn_model *model = make_model(1, &layer, 1, 1);
    nn_csv_options how = plain();
    nn_data data, again;
    options.epochs = 1;
    CHECK(parse(&data, text, NULL) == NN_OK && data.classes == 2 && data.outputs == 1);
    data.outputs = 2;
    CHECK(nn_fit(model, &data, &options) == NN_OK);
    how.model = model;
    CHECK(parse(&again, text, &how) == NN_OK);
    CHECK(again.classes == 2 && again.outputs == 2);
    CHECK(again.rows == 3 && again.labels[0] == 1 && again.labels[1] == 0);
    nn_data_free(&data);
    nn_data_free(&again);
    nn_model_free(model);
}

/* ---- Options that are refused ---------------------------------------------------------------- */

static void refuse(const nn_csv_options *how, nn_status expected)
{
    nn_data data;
    CHECK(parse(&data, "a,b,y\n1,2,3\n4,5,6\n", how) == expected);
    nn_data_free(&data);
}

static void test_options_refused(void)
{
    static const char *const same[] = {"a", "a"}, *const same_numbers[] = {"1", "1.0"};
    static const char *const three[] = {"3", "6", "9"}, *const none[] = {"3", NULL};
    static const char *const unusual[] = {"1e999", "-"};
    nn_model *model = make_line(2);
    nn_csv_options how = plain();
    nn_data like;
    memset(&like, 0, sizeof like);
    how.model = model;
    how.like = &like;
    refuse(&how, NN_ERROR_OPTION);
    how = plain();
    how.class_names = same;
    how.classes = 2;
    refuse(&how, NN_ERROR_OPTION);
    how.class_names = same_numbers;
    refuse(&how, NN_ERROR_OPTION);
    how.class_names = none;
    refuse(&how, NN_ERROR_NULL);
    how.class_names = unusual;
    refuse(&how, NN_ERROR_LABEL);
    how.class_names = three;
    how.classes = 3;
    refuse(&how, NN_OK);
    how.targets = 2;
    refuse(&how, NN_ERROR_OPTION);
    how.targets = 0;
    how.classes = 1;
    refuse(&how, NN_ERROR_OPTION);
    how.classes = 4097;
    refuse(&how, NN_ERROR_OPTION);
    how = plain();
    how.delimiter = how.decimal = ',';
    refuse(&how, NN_ERROR_OPTION);
    how = plain();
    how.missing = "1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z";
    refuse(&how, NN_ERROR_OPTION);
    how.missing = "\"a";
    refuse(&how, NN_ERROR_OPTION);
    how = plain();
    how.ignore = "99999999999";
    refuse(&how, NN_ERROR_CSV_COLUMN);
    how = plain();
    how.header = NN_CSV_HEADER_NO;
    how.use = "a";
    refuse(&how, NN_ERROR_OPTION);
    how.use = "1";
    refuse(&how, NN_ERROR_CSV_NUMBER); /* the names are no numbers */
    how = plain();
    how.header = NN_CSV_HEADER_NO;
    how.ignore = "a";
    refuse(&how, NN_ERROR_OPTION);
    how.ignore = NULL;
    how.target = "y";
    refuse(&how, NN_ERROR_OPTION);
    nn_model_free(model);
}

/* A table whose columns are all empty but for the target. One with a name should have numbers. */
static void test_no_inputs(void)
{
    nn_csv_options how = plain();
    nn_data data;
    CHECK(parse(&data, ",y\n,1\n,2\n", NULL) == NN_ERROR_CSV_CELLS);
    how.impute = 1;
    CHECK(parse(&data, "a,y\n,1\n,2\n", &how) == NN_ERROR_CSV_NUMBER);
}

/* Random damage to a recipe: an error, or sound data. */
static void test_damaged_recipes(void)
{
    static const char interesting[] = "\",\n;.0123456789-atx ";
    nn_csv_options how = plain();
    nn_data data, other;
    char recipe[999];
    int i, k, accepted = 0, rounds = 20000;
    how.text_columns = how.impute = 1;
    if (!CHECK(parse(&data, trained_on, &how) == NN_OK)) return;
    how = plain();
    for (i = 0; i < rounds; i++) {
        nn_data like = data;
        const int length = (int)strlen(data.recipe), changes = 1 + (int)(rand() % 3);
        strcpy(recipe, data.recipe);
        for (k = 0; k < changes; k++)
            recipe[rand() % length] = interesting[rand() % (int)(sizeof interesting - 1)];
        like.recipe = recipe;
        how.like = &like;
        if (parse_bytes(&other, trained_on, sizeof trained_on - 1, &how) == NN_OK) {
            CHECK(other.rows > 0 && other.inputs > 0 && other.x[other.inputs - 1] < 1e30f);
            accepted++;
        }
        nn_data_free(&other);
    }
    CHECK(accepted > 100 && accepted < rounds);
    nn_data_free(&data);
}

/* ---- Memory and size ------------------------------------------------------------------------- */

/* A long table: rows that cross every boundary of the pieces in which a file is read and rows are
   kept, and no more memory than twice its arrays. */
static void test_long_table(void)
{
    enum { ROWS = 60000, INPUTS = 7 };
    char *text = (char *)malloc((size_t)ROWS * 100);
    size_t length = 0, arrays = (size_t)ROWS * (INPUTS + 1) * sizeof(nn_real), before;
    nn_data data;
    int i, j, right = 1;
    if (!CHECK(text != NULL)) return;
    for (i = 0; i < ROWS; i++) {
        for (j = 0; j < INPUTS; j++)
            length += (size_t)sprintf(text + length, i % 3 ? "%d.25," : "\"%d.25\",", i + j);
        length += (size_t)sprintf(text + length, "%d\n", i % 1000);
        if (i % 977 == 0) length += (size_t)sprintf(text + length, "%*s\n", i % 50, "");
    }
    write_file(temporary("long.csv"), text, length);
    free(text);
    before = heap_most = heap_bytes;
    if (CHECK(nn_read_csv(&data, temporary("long.csv"), NULL) == NN_OK && data.rows == ROWS)) {
        for (i = 0; i < ROWS; i++) {
            for (j = 0; j < INPUTS; j++)
                right = right && data.x[i * INPUTS + j] == (nn_real)(i + j) + 0.25f;
            right = right && data.y[i] == (nn_real)(i % 1000);
        }
        CHECK(right);
        CHECK(heap_most - before < 2 * arrays + 2000000);
    }
    nn_data_free(&data);
    remove(temporary("long.csv"));
}

/* A column of text takes some hundred bytes, and no more where there are many with one text each. */
static void test_columns_of_text(void)
{
    enum { COLUMNS = 100000 };
    char *text = (char *)malloc((size_t)COLUMNS * 2);
    nn_csv_options how = plain();
    nn_data data;
    const size_t before = heap_most = heap_bytes;
    int i;
    if (!CHECK(text != NULL)) return;
    for (i = 0; i < COLUMNS; i++) memcpy(text + 2 * i, "a,", 2);
    how.text_columns = 1;
    how.target = NN_NO_TARGET;
    how.header = NN_CSV_HEADER_NO;
    if (CHECK(nn_parse_csv(&data, text, (size_t)COLUMNS * 2, &how) == NN_OK))
        CHECK(data.inputs == COLUMNS && heap_most - before < (size_t)COLUMNS * 700);
    nn_data_free(&data);
    free(text);
}

/* Many columns take time in proportion to their number: a second at most, and not a minute. */
static void test_names_in_reverse(void)
{
    enum { NAMES = 400000 };
    char *text = (char *)malloc((size_t)NAMES * 12);
    const clock_t begin = clock();
    size_t length = 0;
    nn_data data;
    int i;
    if (!CHECK(text != NULL)) return;
    for (i = 1; i < NAMES; i++) length += (size_t)sprintf(text + length, "c%d,", i);
    length += (size_t)sprintf(text + length, "y\n");
    for (i = 1; i < NAMES; i++) length += (size_t)sprintf(text + length, "1,");
    length += (size_t)sprintf(text + length, "2\n");
    if (CHECK(nn_parse_csv(&data, text, length, NULL) == NN_OK))
        CHECK(data.inputs == NAMES - 1 && !strcmp(data.input_names[NAMES - 2], "c399999"));
    CHECK((double)(clock() - begin) / CLOCKS_PER_SEC < 4);
    nn_data_free(&data);
    free(text);
}

int main(void)
{
    RUN(test_columns);
    RUN(test_same_names);
    RUN(test_numbers_and_names);
    RUN(test_empty_target);
    RUN(test_no_target);
    RUN(test_decimal_comma);
    RUN(test_other_decimal);
    RUN(test_booleans);
    RUN(test_encodings);
    RUN(test_arff);
    RUN(test_categories);
    RUN(test_spelling);
    RUN(test_header_of_text);
    RUN(test_mixed_columns);
    RUN(test_too_many_texts);
    RUN(test_missing);
    RUN(test_marks);
    RUN(test_like);
    RUN(test_like_ambiguous);
    RUN(test_like_itself);
    RUN(test_like_drops);
    RUN(test_like_marks);
    RUN(test_columns_of_text);
    RUN(test_names_in_reverse);
    RUN(test_like_without_header);
    RUN(test_like_decimals);
    RUN(test_like_forms);
    RUN(test_like_refuses);
    RUN(test_model);
    RUN(test_broken_recipes);
    RUN(test_long_recipes);
    RUN(test_two_outputs);
    RUN(test_options_refused);
    RUN(test_no_inputs);
    RUN(test_damaged_recipes);
    RUN(test_long_table);
    RUN(test_many_names);
    remove(temporary("table.csv"));
    return test_done();
}
