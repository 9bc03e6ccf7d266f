/* Tables at their edges: columns that are empty or end early, first rows that could be a header,
   numbers of many digits, and recipes by an author who tries what nn_read_csv would not write. What
   is usual is in csv.c and table.c. */
#include "csv.h"

/* Reads text, and compares all inputs of all rows with x; y has the targets or the classes, or is
   NULL where there are none. */
static void expect(const char *text, const nn_csv_options *how, int rows, int inputs,
                   const nn_real *x, const nn_real *y)
{
    nn_data data;
    const nn_status status = parse(&data, text, how);
    int i, right = 1;
    if (CHECK(status == NN_OK) && CHECK(data.rows == rows && data.inputs == inputs)) {
        for (i = 0; i < rows * inputs; i++) right = right && data.x[i] == x[i];
        CHECK((data.y || data.labels) == (y != NULL));
        for (i = 0; y && i < rows; i++)
            right = right && (data.labels ? (nn_real)data.labels[i] : data.y[i]) == y[i];
        if (!CHECK(right)) printf("%s\n", text);
    } else {
        printf("%s\n%s\n", nn_status_text(status), text);
    }
    nn_data_free(&data);
}

static void expect_error(const char *text, nn_csv_options how, nn_status status, long line,
                         long column, const char *expected)
{
    nn_location place;
    nn_data data;
    how.location = &place;
    if (!CHECK(parse(&data, text, &how) == status) || !CHECK(place.line == line) ||
        !CHECK(place.column == column && !strcmp(place.expected, expected)))
        printf("line %ld, column %ld, expected %s\n%s\n", place.line, place.column, place.expected,
               text);
    nn_data_free(&data);
}

/* ---- Columns and rows ------------------------------------------------------------------------ */

/* A column without a name and without a cell is left out, also where missing cells have a mean; one
   with a name is not. */
static void test_empty_columns(void)
{
    static const nn_real x[] = {1, 3}, y[] = {2, 4};
    nn_csv_options how = plain();
    how.impute = 1;
    expect("1,,2\n3,,4\n", &how, 2, 1, x, y);
    expect_error("a,b,y\n1,,2\n3,,4\n", how, NN_ERROR_CSV_NUMBER, 2, 2,
                 "a number in one of the rows");
}

/* A row may end before columns that are not used and have no name. */
static void test_short_rows(void)
{
    static const nn_real x[] = {1, 3, 6}, y[] = {2, 4, 7};
    static char text[1000];
    nn_csv_options how = plain();
    nn_data data;
    int i;
    how.ignore = "3,4";
    expect("1,2,,\n3,4,,5\n6,7\n", &how, 3, 1, x, y);
    memset(text, 0, sizeof text);
    for (i = 0; i < 100; i++) strcat(text, i ? "3,4\n" : "1,2,,\n");
    if (CHECK(parse(&data, text, NULL) == NN_OK)) CHECK(data.rows == 100 && data.inputs == 1);
    nn_data_free(&data);
    strcat(text, "3,4\n3,4,5\n"); /* the first row is long known then */
    expect_error(text, plain(), NN_ERROR_CSV_CELLS, 102, 3, "2 cells");
    expect_error("1,2,,\n3,4,,5\n6\n", how, NN_ERROR_CSV_CELLS, 3, 1, "4 cells");
}

/* A first row of quotes alone has no name in it. */
static void test_no_names(void)
{
    nn_csv_options how = plain();
    how.target = "y";
    expect_error("\"\",\"\"\n", how, NN_ERROR_CSV_COLUMN, 1, 0,
                 "the name or the number of a column");
}

/* A file whose lines end with CR ends within quotes. */
static void test_open_quote(void)
{
    expect_error("1,2\r3,\"4\r", plain(), NN_ERROR_CSV_QUOTE, 2, 2, "a delimiter or a line end");
}

/* ---- The first row --------------------------------------------------------------------------- */

/* Words that are 0 and 1 do not make a header, whatever stands above the classes. */
static void test_first_rows(void)
{
    static const nn_real numbers[] = {1, 2, 0, 3}, classes[] = {0, 1};
    static const nn_real mixed[] = {1, 5, 1, 2, 3, 4}, three[] = {2, 0, 1};
    static const nn_real words[] = {1, 0, 1};
    expect("yes,2,red\nno,3,tan\n", NULL, 2, 2, numbers, classes);
    expect("yes,5,label\n1,2,a\n3,4,b\n", NULL, 3, 2, mixed, three);
    expect("yes,label\nno,a\ntrue,b\n", NULL, 3, 1, words, three);
}

/* Text follows cells that are missing, which only then are an error. */
static void test_late_text(void)
{
    nn_csv_options how = plain();
    how.text_columns = 1;
    how.header = NN_CSV_HEADER_NO;
    expect_error(",1\n,2\nx,3\n", how, NN_ERROR_CSV_NUMBER, 1, 1, "a cell that is not missing");
}

/* ---- Numbers --------------------------------------------------------------------------------- */

/* Classes that are numbers of more than 19 digits differ where only the digits behind these do. */
static void test_long_numbers(void)
{
    static const nn_real x[] = {1, 2, 3, 4}, y[] = {1, 0, 1, 2};
    nn_csv_options how = plain();
    how.labels = 1;
    expect("1,12345678901234567890124\n2,12345678901234567890123\n"
           "3,12345678901234567890124\n4,12345678901234567890125\n",
           &how, 4, 1, x, y);
}

/* An exponent of any length is an exponent, also where all digits of the number are looked at. */
static void test_long_exponents(void)
{
    static const nn_real x[] = {0, 3}, y[] = {2, 4};
    expect("1.00000000000000000000001e-99999999999999999999,2\n3,4\n", NULL, 2, 1, x, y);
    expect_error("3,4\n1.00000000000000000000001e99999999999999999999,2\n", plain(),
                 NN_ERROR_CSV_NUMBER, 2, 1, "a number");
}

/* No mean of numbers whose sum is infinite. */
static void test_infinite_mean(void)
{
    char text[200];
    const char *huge = sizeof(nn_real) == 4 ? "3e38" : "1.7e308";
    nn_csv_options how = plain();
    nn_data data;
    how.impute = 1;
    sprintf(text, "%s,1\n%s,2\n,3\n", huge, huge);
    CHECK(parse(&data, text, &how) == NN_ERROR_CSV_NUMBER);
}

/* ---- Categories and classes ------------------------------------------------------------------ */

/* Given classes beside missing cells that have a mean. */
static void test_given_classes(void)
{
    static const char *const names[] = {"b", "a"};
    static const nn_real x[] = {1, 2, 3}, y[] = {0, 1, 0};
    nn_csv_options how = plain();
    how.impute = 1;
    how.class_names = names;
    how.classes = 2;
    expect("1,b\n,a\n3,b\n", &how, 3, 1, x, y);
}

/* Classes are one column: with a list of two targets, classes are refused. */
static void test_classes_of_two(void)
{
    static const char *const names[] = {"1", "2", "3"};
    static const char text[] = "a,b,c\n1,x,1\n2,y,2\n3,x,3\n";
    nn_csv_options how = plain();
    nn_data data;
    how.target = "b,a";
    how.labels = 1;
    CHECK(parse(&data, text, &how) == NN_ERROR_OPTION);
    how.labels = 0;
    how.class_names = names;
    how.classes = 3;
    CHECK(parse(&data, text, &how) == NN_ERROR_OPTION);
    how.target = "a";
    how.text_columns = 1;
    if (CHECK(parse(&data, text, &how) == NN_OK))
        CHECK(data.rows == 3 && data.labels[1] == 1 && data.labels[2] == 2);
    nn_data_free(&data);
}

/* More different classes than there may be, as text and as numbers that are given to be classes; a
   target of numbers with as many texts is numbers, and the texts are bad cells. */
static void test_too_many_classes(void)
{
    enum { MOST = 4096 };
    static char text[MOST * 16];
    nn_csv_options how = plain();
    nn_location place;
    nn_data data;
    size_t used;
    int kind, i;
    for (kind = 0; kind < 3; kind++) {
        how = plain();
        how.labels = kind == 1;
        how.location = &place;
        used = (size_t)sprintf(text, "%s", kind == 2 ? "1,5\n" : "");
        for (i = 0; i <= MOST; i++)
            used += (size_t)sprintf(text + used, kind == 1 ? "1,%d\n" : "1,c%d\n", i);
        how.header = NN_CSV_HEADER_NO;
        CHECK(parse(&data, text, &how) == (kind == 2 ? NN_ERROR_CSV_NUMBER : NN_ERROR_LABEL));
        if (kind < 2)
            CHECK(place.line == MOST + 1 &&
                  !strcmp(place.expected, "4096 different texts at most"));
        else
            CHECK(place.line == 2 && !strcmp(place.name, "c0"));
    }
}

/* ---- Recipes --------------------------------------------------------------------------------- */

/* Another table by the recipe of the first one. */
static nn_data read_like(const char *text)
{
    nn_csv_options how = plain();
    nn_data data;
    how.text_columns = how.impute = 1;
    CHECK(parse(&data, text, &how) == NN_OK);
    return data;
}

/* A category that is missing in the other table alone is none of them, and is counted. */
static void test_like_missing(void)
{
    static const nn_real x[] = {0, 0, 5, 0, 1, 6}, y[] = {1, 2};
    nn_data like = read_like("c,n,y\nred,1,2\ntan,2,3\n"), data;
    nn_csv_options how = plain();
    how.like = &like;
    expect("c,n,y\n,5,1\ntan,6,2\n", &how, 2, 3, x, y);
    CHECK(parse(&data, "c,n,y\n,5,1\ntan,6,2\n", &how) == NN_OK);
    CHECK(data.unknown == 1 && data.imputed == 0);
    nn_data_free(&data);
    nn_data_free(&like);
}

/* Targets that are not there; whose column has no cell; that are there twice; of which one is
   there. */
static void test_like_targets(void)
{
    static const nn_real x[] = {5, 6}, y[] = {7, 8};
    nn_csv_options how = plain(), two = plain();
    nn_data like = read_like("n,y\n1,2\n3,4\n");
    how.like = &like;
    expect("n,y\n5,7\n6,8\n", &how, 2, 1, x, y);
    expect_error("n,y\n5,\n6,\n", how, NN_ERROR_CSV_NUMBER, 2, 2, "a number");
    expect("n\n5\n6\n", &how, 2, 1, x, NULL);
    expect_error("y,n,y\n1,5,7\n1,6,8\n", how, NN_ERROR_CSV_COLUMN, 1, 0,
                 "a name that occurs once");
    nn_data_free(&like);

    two.targets = 2;
    CHECK(parse(&like, "n,y,z\n1,2,3\n3,4,5\n", &two) == NN_OK);
    expect_error("n,z\n5,7\n6,8\n", how, NN_ERROR_CSV_COLUMN, 1, 0, "a column of this name");
    nn_data_free(&like);
}

/* Two delimiters cannot be the same character as the decimal point. */
static void test_like_delimiters(void)
{
    nn_data like = read_like("n,y\n1,2\n3,4\n"), data;
    nn_csv_options how = plain();
    how.like = &like;
    how.delimiter = how.decimal = ',';
    CHECK(parse(&data, "n,y\n5,7\n", &how) != NN_OK);
    nn_data_free(&like);
}

/* Recipes that nn_read_csv does not write. */
static void test_recipes(void)
{
    static const char head[] = "table,3,numbers,\",\",.\nnumber,1\nnumber,2\n";
    static const nn_real x[] = {5, 6};
    static const char *const wrong[] = {"\n", " \n\n", "\r\r", "table\n", "table,3,numbers\n"};
    char recipe[100];
    nn_csv_options how = plain();
    nn_data like, data;
    int i;
    memset(&like, 0, sizeof like);
    like.inputs = 2;
    like.outputs = 1;
    like.rows = 1;
    like.x = x;
    like.recipe = recipe;
    how.like = &like;
    for (i = 0; i < COUNT_OF(wrong); i++) {
        strcpy(recipe, wrong[i]);
        if (!CHECK(parse(&data, "5,6\n", &how) == NN_ERROR_METADATA)) printf("recipe %d\n", i);
    }
    /* The target's column is not one of the three: without targets it does not matter where. */
    for (i = 0; i < 3; i++) {
        sprintf(recipe, "%starget,%s\n", head, i == 0 ? "3" : i == 1 ? "9" : "no");
        expect("5,6\n", &how, 1, 2, x, NULL);
        if (i) CHECK(parse(&data, "5,6,7\n", &how) == NN_ERROR_METADATA);
    }
}

/* Targets of a recipe may be absent in the table, but there are no more of them than outputs. */
static void test_absent_targets(void)
{
    nn_data data, like;
    nn_csv_options csv;

    memset(&like, 0, sizeof like);
    memset(&csv, 0, sizeof csv);
    like.recipe = "table,3,header,\",\",.\nnumber,x\ntarget,y\ntarget,z\n";
    like.inputs = 1;
    like.outputs = 2;
    csv.like = &like;
    CHECK(nn_parse_csv(&data, "x\n1\n", 4, &csv) == NN_OK && data.rows == 1 && !data.y);
    nn_data_free(&data);
    like.outputs = 1;
    CHECK(nn_parse_csv(&data, "x\n1\n", 4, &csv) == NN_ERROR_SHAPE && data_is_zero(&data));
}

int main(void)
{
    test_any_backend(); /* it is not asked for */
    RUN(test_empty_columns);
    RUN(test_short_rows);
    RUN(test_no_names);
    RUN(test_open_quote);
    RUN(test_first_rows);
    RUN(test_late_text);
    RUN(test_long_numbers);
    RUN(test_long_exponents);
    RUN(test_infinite_mean);
    RUN(test_given_classes);
    RUN(test_classes_of_two);
    RUN(test_too_many_classes);
    RUN(test_like_missing);
    RUN(test_like_targets);
    RUN(test_like_delimiters);
    RUN(test_recipes);
    remove(temporary("table.csv"));
    RUN(test_absent_targets);
    return test_done();
}
