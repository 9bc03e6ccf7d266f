/* exp, tanh, sigmoid, log1p, erf and expm1 against the C library in a wider type, over the whole
   range of the argument: the largest error in ulp must be within what the header states, and that
   within 2. (With STRIDE 1 the float build takes all arguments, some minutes.) Also the cosine of
   the schedules, and the random order of rows. */
#define NN_IMPLEMENTATION
#include "../test.h"

#include "../../nn.h"
#include <float.h>

#ifdef NN_DOUBLE
typedef long double wide;
#define WIDE(name) name##l
#define STRIDE     UINT64_C(4611686018457) /* 4 million arguments */
#define LARGEST    DBL_MAX
#define DIGITS     DBL_MANT_DIG
#define LOWEST     DBL_MIN_EXP
#else
typedef double wide;
#define WIDE(name) name
#define STRIDE     997 /* 4.3 million arguments */
#define LARGEST    FLT_MAX
#define DIGITS     FLT_MANT_DIG
#define LOWEST     FLT_MIN_EXP
#endif

static wide sigmoid_wide(wide x)
{
    if (x < NN__EXP_LOW) return 0;
    return x < 0 ? WIDE(exp)(x) / (1 + WIDE(exp)(x)) : 1 / (1 + WIDE(exp)(-x));
}

/* The distance in units of the last place that the true value has in nn_real. */
static double ulp(nn_real got, wide want)
{
    int exponent;

    if (want != want) return got != got ? 0 : 1e9;
    if (WIDE(fabs)(want) > LARGEST) {
        /* within half an ulp of overflow either infinity or the largest number may be nearest */
        wide excess = WIDE(fabs)(want) / (wide)LARGEST;
        if (!nn__is_finite(got)) return (got > 0) == (want > 0) ? 0 : 1e9;
        return excess < 1.000001 ? 1 : 1e9;
    }
    if (!nn__is_finite(got)) return 1e9;
    WIDE(frexp)(want, &exponent);
    if (exponent < LOWEST) exponent = LOWEST;
    return (double)WIDE(fabs)(WIDE(ldexp)((wide)got - want, DIGITS - exponent));
}

static double largest_error(nn_real (*function)(nn_real), wide (*truth)(wide))
{
    double largest = 0, error;
    nn__bits bits = 0, last;

    do {
        nn_real x = nn__from_bits(bits);
        error = ulp(function(x), truth((wide)x));
        if (!(error <= 2) && test_bad < 5)
            printf("%.9g: %.9g, error %g ulp\n", (double)x, (double)function(x), error);
        if (!(error <= largest)) largest = error;
        last = bits;
        bits += (nn__bits)STRIDE;
    } while (bits > last);
    return largest;
}

static wide exp_wide(wide x)
{
    return x < NN__EXP_LOW ? 0 : WIDE(exp)(x);
}

static wide tanh_wide(wide x)
{
    return WIDE(tanh)(x);
}

static wide log1p_wide(wide x)
{
    return WIDE(log1p)(x);
}

static wide erf_wide(wide x)
{
    return WIDE(erf)(x);
}

/* The header's expm1 is for x <= 0. */
static nn_real expm1_of_less(nn_real x)
{
    return nn__expm1(x > 0 ? -x : x);
}

static wide expm1_wide(wide x)
{
    return WIDE(expm1)(x > 0 ? -x : x);
}

/* The header's table is read, so that it cannot claim what is not so: row `name`, column 0 to 5. */
static double stated(const char *name, int column)
{
    char line[256];
    double value[6] = {0, 0, 0, 0, 0, 0};
    FILE *file = fopen("nn.h", "r");

    while (file && fgets(line, sizeof line, file)) {
        char word[16];
        if (sscanf(line, " %15s %lf %lf %lf %lf %lf %lf", word, value, value + 1, value + 2,
                   value + 3, value + 4, value + 5) == 7 &&
            strcmp(word, name) == 0)
            break;
        memset(value, 0, sizeof value);
    }
    if (file) fclose(file);
    return value[column];
}

static void check_function(nn_real (*function)(nn_real), wide (*truth)(wide), const char *name,
                           int column)
{
    double error = largest_error(function, truth);
    double claim = stated(sizeof(nn_real) == 4 ? "float" : "double", column);

    printf("%s: largest error %.3f ulp, stated %.2f\n", name, error, claim);
    CHECK(error <= 2);
    CHECK(error <= claim);
    CHECK(error >=
          claim - 0.35); /* nor may it state far more; the two arithmetics differ a little */
}

static void test_exp(void)
{
    check_function(nn__exp, exp_wide, "exp", 0);
    CHECK(nn__exp(0) == 1);
}

/* exp and sigmoid are 0 where they would be denormal, from little above the smallest normal number
   on, which is given by the C library here. */
static void test_no_denormals(void)
{
    const nn_real smallest = sizeof(nn_real) == 4 ? (nn_real)FLT_MIN : (nn_real)DBL_MIN;
    const nn_real low = (nn_real)NN__EXP_LOW, below = (nn_real)(low * (1 + 3e-7));
    nn_real row[3] = {0, low, 0};
    CHECK(NN__SMALLEST == smallest && NN__NEGLIGIBLE == smallest * 67108864);
    CHECK(nn__exp(low) >= smallest && nn__exp(low) < (nn_real)1.01 * smallest);
    CHECK(nn__sigmoid(low) >= smallest && nn__softplus_tail(low) >= smallest);
    CHECK(nn__exp(below) == 0 && nn__sigmoid(below) == 0 && nn__softplus_tail(below) == 0);
    (void)nn__softmax_row_scalar(row, 3); /* exp(low) / 2 would be denormal */
    CHECK(row[0] == (nn_real)0.5 && row[1] == 0 && row[2] == (nn_real)0.5);
}

static void test_tanh(void)
{
    check_function(nn__tanh, tanh_wide, "tanh", 1);
}

static void test_sigmoid(void)
{
    check_function(nn__sigmoid, sigmoid_wide, "sigmoid", 2);
    CHECK(nn__sigmoid(0) == (nn_real)0.5);
}

static void test_log1p(void)
{
    check_function(nn__log1p, log1p_wide, "log1p", 3);
}

static void test_erf(void)
{
    check_function(nn__erf, erf_wide, "erf", 4);
    CHECK(nn__erf(6) == 1 && nn__erf(-6) == -1);
}

static void test_expm1(void)
{
    check_function(expm1_of_less, expm1_wide, "expm1", 5);
    CHECK(nn__expm1(0) == 0 && nn__expm1(-100) == -1);
}

static void test_ends(void)
{
    const nn_real infinity = (nn_real)HUGE_VAL, nan = infinity - infinity;
    const nn_real tiny = nn__from_bits(1);

    CHECK(nn__exp(infinity) == infinity && nn__exp(-infinity) == 0 && nn__exp(nan) != nn__exp(nan));
    CHECK(nn__tanh(infinity) == 1 && nn__tanh(-infinity) == -1 && nn__tanh(nan) != nn__tanh(nan));
    CHECK(nn__tanh(100) == 1 && nn__tanh(-100) == -1);
    CHECK(nn__sigmoid(infinity) == 1 && nn__sigmoid(-infinity) == 0);
    CHECK(nn__sigmoid(nan) != nn__sigmoid(nan));
    CHECK(nn__log1p(infinity) == infinity && nn__log1p(-1) == -infinity);
    CHECK(nn__log1p(-2) != nn__log1p(-2) && nn__log1p(nan) != nn__log1p(nan));
    CHECK(nn__log1p(-infinity) != nn__log1p(-infinity));
    CHECK(nn__tanh(tiny) == tiny && nn__tanh(-tiny) == -tiny && nn__log1p(tiny) == tiny);
    CHECK(nn__to_bits(nn__tanh(nn__from_bits(NN__SIGN_BIT))) == NN__SIGN_BIT); /* -0 */
    CHECK(nn__to_bits(nn__erf(nn__from_bits(NN__SIGN_BIT))) == NN__SIGN_BIT);
    CHECK(nn__erf(infinity) == 1 && nn__erf(-infinity) == -1 && nn__erf(nan) != nn__erf(nan));
    CHECK(nn__expm1(-infinity) == -1 && nn__expm1(nan) != nn__expm1(nan));
    CHECK(nn__erf(tiny) > 0 && nn__expm1(-tiny) == -tiny);
}

static void test_cosine(void)
{
    const double epsilon = sizeof(nn_real) == 4 ? (double)FLT_EPSILON : DBL_EPSILON;
    int i;

    for (i = 0; i <= 100000; i++) {
        nn_real x = (nn_real)i / 100000;
        double want = (double)cosl(3.141592653589793238462643383279502884L * (long double)x);
        CHECK(fabs((double)nn__cosine_of_pi(x) - want) <= 4 * epsilon);
    }
    CHECK(nn__cosine_of_pi((nn_real)0.5) == 0);
}

/* The fma for machines without one, against the C library's on random bits: all kinds of numbers,
   and sums that nearly cancel, where a second rounding would show. */
#if defined(NN__NEEDS_FMAF) && !defined(NN_NO_FMA)
static void test_fmaf(void)
{
    uint64_t state = nn__random_start(3);
    int i;

    for (i = 0; i < 3000000; i++) {
        float a = nn__from_bits(nn__random(&state)), b = nn__from_bits(nn__random(&state));
        float c = nn__from_bits(nn__random(&state)), got, want;
        if (i % 3 == 1) c = -(a * b) * (1 + 0x1p-22f * (float)(i % 7));
        if (i % 3 == 2) { /* products near the midpoints of c's last place */
            a = 1 + 0x1p-12f * (float)(nn__random(&state) & 4095);
            b = 1 + 0x1p-12f * (float)(nn__random(&state) & 4095);
            c = 0x1p-30f * (float)((int)(nn__random(&state) & 3) - 1);
        }
        got = nn__fmaf(a, b, c);
        want = fmaf(a, b, c);
        CHECK(got == want ? signbit(got) == signbit(want) : got != got && want != want);
    }
}
#endif

/* Every key gives each place once. */
static void test_shuffle_is_a_permutation(void)
{
    static unsigned char seen[1100];
    uint64_t state = nn__random_start(1);
    uint32_t n, i;

    for (n = 1; n <= 1100; n += n < 70 ? 1 : 37) {
        uint64_t key = ((uint64_t)nn__random(&state) << 32) | nn__random(&state);
        memset(seen, 0, sizeof seen);
        for (i = 0; i < n; i++) {
            uint32_t place = nn__permute(i, n, key);
            CHECK(place < n && !seen[place]);
            if (place < n) seen[place] = 1;
        }
    }
}

/* Chi-square over (first place, second place) of many shuffles: uniform over the ordered pairs. A
   rotation, say, or a shuffle with too few rounds, fails by orders of magnitude. */
static void check_pairs(uint32_t n, int shuffles)
{
    static int count[100][100];
    uint64_t state = nn__random_start(2);
    double pairs = (double)n * (n - 1), expected = shuffles / pairs, chi = 0;
    uint32_t i, k;
    int s;

    memset(count, 0, sizeof count);
    for (s = 0; s < shuffles; s++) {
        uint64_t key = ((uint64_t)nn__random(&state) << 32) | nn__random(&state);
        count[nn__permute(0, n, key)][nn__permute(n / 2, n, key)]++;
    }
    for (i = 0; i < n; i++)
        for (k = 0; k < n; k++)
            if (i != k) chi += (count[i][k] - expected) * (count[i][k] - expected) / expected;
    chi = (chi - (pairs - 1)) / sqrt(2 * (pairs - 1)); /* standard deviations from the mean */
    printf("shuffle of %u: %.1f\n", (unsigned)n, chi);
    CHECK(chi < 6);
}

static void test_shuffle_is_uniform(void)
{
    static const uint32_t sizes[] = {4, 5, 7, 10, 33, 64, 80, 100};
    size_t i;

    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) check_pairs(sizes[i], 400000);
}

int main(void)
{
    RUN(test_exp);
    RUN(test_no_denormals);
    RUN(test_tanh);
    RUN(test_sigmoid);
    RUN(test_log1p);
    RUN(test_erf);
    RUN(test_expm1);
    RUN(test_ends);
    RUN(test_cosine);
#if defined(NN__NEEDS_FMAF) && !defined(NN_NO_FMA)
    RUN(test_fmaf);
#endif
    RUN(test_shuffle_is_a_permutation);
    RUN(test_shuffle_is_uniform);
    return test_done();
}
