/* CSV: the numbers in the cells, right to the last bit whatever the locale, and files with random
   damage. Usage: csv_numbers [SEED] */
#include <float.h>
#include <locale.h>

#include "csv.h"

static uint64_t random_seed = 1;

#define BOM "\xef\xbb\xbf"

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
            nn_real want = nearest(cells[i]) + 0; /* -0 is read as 0 */
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

/* Equal numbers are one text, so that -0 is 0 in every column and in every mean: a recipe reads the
   same numbers again. */
static void test_zeros(void)
{
#ifdef NN_DOUBLE
    static const char text[] = "0,-5e-324,1\n-0,0,2\n-1e-999,,3\n";
#else
    static const char text[] = "0,-1e-45,1\n-0,0,2\n-1e-999,,3\n";
#endif
    nn_csv_options how = plain(), again = plain();
    nn_data data, other;
    how.impute = 1;
    for (how.text_columns = 0; how.text_columns < 2; how.text_columns++) {
        if (!CHECK(parse(&data, text, &how) == NN_OK)) return;
        CHECK(!signbit(data.x[0]) && !signbit(data.x[2]) && !signbit(data.x[4]));
        CHECK(signbit(data.x[1]) && !signbit(data.x[5]));
        again.like = &data;
        if (CHECK(parse(&other, text, &again) == NN_OK)) check_equal(&data, &other);
        nn_data_free(&other);
        nn_data_free(&data);
    }
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
    int sound = data->rows > 0 && data->inputs > 0 && data->outputs >= 0 && data->dropped >= 0;
    if (!CHECK(sound && data->x && !(data->y && data->labels) && data->recipe)) return;
    CHECK((data->outputs > 0) == (data->y || data->labels));
    CHECK((data->classes > 0) == (data->labels != NULL));
    for (i = 0; i < data->rows * data->inputs; i++) sound = sound && data->x[i] - data->x[i] == 0;
    for (i = 0; data->y && i < data->rows * data->outputs; i++)
        sound = sound && data->y[i] - data->y[i] == 0;
    for (i = 0; data->labels && i < data->rows; i++)
        sound = sound && data->labels[i] >= 0 && data->labels[i] < data->classes;
    for (i = 0; i < data->inputs; i++) sound = sound && strlen(data->input_names[i]) < 999;
    CHECK(sound);
    if (data->classes == 0) return;
    CHECK(data->outputs == (data->classes == 2 ? 1 : data->classes));
    CHECK(data->classes >= 2);
    if (!CHECK(data->class_names != NULL)) return;
    for (i = 0; i < data->classes; i++)
        for (k = 0; k < i; k++) CHECK(strcmp(data->class_names[i], data->class_names[k]));
}

enum { VARIANTS = 10 };

/* A table that can be read can be read again by its recipe, and gives the same. */
static void read_again(const nn_data *data, const char *text, size_t length, nn_csv_options how)
{
    nn_csv_options again = plain();
    nn_data other;
    again.like = data;
    again.comment = how.comment;
    again.drop_bad_rows = how.drop_bad_rows;
    if (CHECK(parse_bytes(&other, text, length, &again) == NN_OK)) check_equal(data, &other);
    nn_data_free(&other);
}

static nn_status try_options(const char *text, size_t length, int variant, int *accepted)
{
    static const char *const names[] = {"red", "green", "blue"};
    nn_csv_options how = plain();
    nn_location place;
    nn_data data;
    nn_status status;
    how.location = &place;
    if (variant == 1) how.labels = 1;
    if (variant == 2) how.drop_bad_rows = 1;
    if (variant == 3) how.comment = "#";
    if (variant == 4) how.target = "kind";
    if (variant == 5) how.classes = 3, how.class_names = names;
    if (variant == 6) how.targets = 2;
    if (variant == 7) how.text_columns = how.impute = 1, how.target = "1";
    if (variant == 8) how.text_columns = how.drop_bad_rows = 1, how.ignore = "2", how.labels = 1;
    if (variant == 9) how.delimiter = ' ', how.decimal = ',', how.target = NN_NO_TARGET;
    status = parse_bytes(&data, text, length, &how);
    CHECK((int)status >= 0 && status < NN_STATUS_COUNT);
    if (status == NN_OK) {
        check_valid(&data);
        read_again(&data, text, length, how);
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
        try_options(text, LENGTH, i % VARIANTS, &accepted);
    }
    CHECK(accepted > 100 && accepted < ROUNDS);
    if (test_bad) printf("seed %llu, accepted %d\n", (unsigned long long)random_seed, accepted);
}

static void test_prefixes(void)
{
    int variant, accepted = 0;
    size_t length;
    for (variant = 0; variant < VARIANTS; variant++)
        for (length = 0; length < sizeof fuzz_base; length++)
            try_options(fuzz_base, length, variant, &accepted);
    CHECK(accepted > 0);
}

int main(int argc, char **argv)
{
    if (argc > 1) random_seed = strtoull(argv[1], NULL, 10);
    RUN(test_random_numbers);
    RUN(test_special_numbers);
    RUN(test_zeros);
    RUN(test_locale);
    RUN(test_mutations);
    RUN(test_prefixes);
    remove(temporary("table.csv"));
    return test_done();
}
