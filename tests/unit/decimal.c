/* Numbers as decimal text: nn__write_decimal against the C library's strtod and printf. */
#define NN_IMPLEMENTATION
#include "../fixtures.h"

#ifdef NN_DOUBLE
#define READ(text)  strtod(text, NULL)
#define MOST_DIGITS 17
#else
#define READ(text)  strtof(text, NULL)
#define MOST_DIGITS 9
#endif

static int same_bits(nn_real a, nn_real b)
{
    return !memcmp(&a, &b, sizeof a);
}

/* The digits of the text without zeros before and behind them. */
static int count_digits(const char *text)
{
    int digits = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9') continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        digits += digits || *text != '0';
    }
    return digits - (digits ? zeros : 0);
}

/* Whether the text is read as x, and no number of fewer digits is. */
static void check_text(nn_real x)
{
    char text[NN__DECIMAL_ROOM], printed[64];
    const int length = nn__write_decimal(text, x), digits = count_digits(text);

    CHECK((size_t)length == strlen(text) && length < (int)sizeof text);
    CHECK(same_bits(READ(text), x));
    CHECK(digits <= MOST_DIGITS);
    if (digits < 2) return;
    sprintf(printed, "%.*e", digits - 2, (double)x);
    CHECK(!same_bits(READ(printed), x));
}

static nn_real from_bits(uint64_t bits)
{
    const nn__bits low = (nn__bits)bits;
    nn_real x;
    memcpy(&x, &low, sizeof x);
    return x;
}

static void test_random_numbers(void)
{
    int i;
    for (i = 0; i < 20000; i++) {
        const nn_real x = from_bits(random_bits());
        if (isfinite(x)) check_text(x);
        check_text((nn_real)uniform(-1000, 1000));
        check_text((nn_real)(random_below(2000000) - 1000000) / 1000);
        check_text((nn_real)(random_below(1 << 26) >> random_below(26)));
    }
}

/* Each power of two, whose neighbour below is nearer than the one above, and the neighbours; the
   smallest and the largest numbers. */
static void test_every_exponent(void)
{
    const uint64_t last = (NN__ONE_BITS >> NN__MANTISSA) * 2;
    uint64_t exponent;
    int k;

    for (exponent = 0; exponent <= last; exponent++)
        for (k = -2; k <= 2; k++) {
            const uint64_t bits = (exponent << NN__MANTISSA) + (uint64_t)k;
            if (exponent == 0 && k < 1) continue;
            if (isfinite(from_bits(bits))) check_text(from_bits(bits));
            if (isfinite(from_bits(bits))) check_text(-from_bits(bits));
        }
    check_text(from_bits(((uint64_t)1 << NN__MANTISSA) - 1));
    check_text(from_bits((last << NN__MANTISSA) + ((uint64_t)1 << NN__MANTISSA) / 3));
}

static void check_form(nn_real x, const char *expected)
{
    char text[NN__DECIMAL_ROOM];
    (void)nn__write_decimal(text, x);
    if (!CHECK(strcmp(text, expected) == 0)) printf("    %s, not %s\n", text, expected);
}

static void test_forms(void)
{
    check_form(0, "0");
    check_form(-(nn_real)0, "-0");
    check_form(1, "1");
    check_form(10, "10");
    check_form(-12000, "-12000");
    check_form((nn_real)0.1, "0.1");
    check_form((nn_real)-2.5, "-2.5");
    check_form((nn_real)99.99, "99.99");
    check_form((nn_real)0.0001, "0.0001");
    check_form((nn_real)0.00001, "1e-05");
    check_form((nn_real)1e15, "1000000000000000");
    check_form((nn_real)1e16, "1e+16");
    check_form((nn_real)6.02e23, "6.02e+23");
    check_form((nn_real)1e-30, "1e-30");
#ifdef NN_DOUBLE
    check_form(1e23, "1e+23"); /* the midpoint of two numbers, of which this one is even */
    check_form(0.1 + 0.2, "0.30000000000000004");
    check_form(DBL_MAX, "1.7976931348623157e+308");
    check_form(5e-324, "5e-324");
    check_form(-2.2250738585072014e-308, "-2.2250738585072014e-308");
    check_form(9007199254740993.0, "9007199254740992");
#else
    check_form(16777216.0f, "16777216");
    check_form(FLT_MAX, "3.4028235e+38");
    check_form(1e-45f, "1e-45");
    check_form(-1.17549435e-38f, "-1.1754944e-38");
#endif
}

int main(int argc, char **argv)
{
    random_state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    printf("seed %llu\n", (unsigned long long)random_state);
    RUN(test_random_numbers);
    RUN(test_every_exponent);
    RUN(test_forms);
    return test_done();
}
