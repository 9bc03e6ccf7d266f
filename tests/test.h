/* The test harness: a test is a function; it fails when any CHECK in it fails. Each program prints
   "NAME: N passed, M failed" as its last line and returns 1 when M is not 0; tests/run adds them
   up. */
#ifndef TEST_H
#define TEST_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define TEST_FUNCTION static __attribute__((unused))
#else
#define TEST_FUNCTION static
#endif

/* The environment's NN_BACKEND forces a back-end of the header, which must be included later. */
#ifndef NN_BACKEND
#define NN_BACKEND test_backend()

TEST_FUNCTION const char *test_backend(void)
{
    return getenv("NN_BACKEND");
}
#endif

static int test_passed, test_failed, test_bad;

/* Counts a failure and goes on; prints the first few of each test. */
#define CHECK(condition) test_check((condition) ? 1 : 0, #condition, __FILE__, __LINE__)

/* |a - b| <= tolerance * max(|a|, |b|, floor), and both finite. Prints both values. */
#define CHECK_NEAR(a, b, tolerance, floor)                                                         \
    test_near((double)(a), (double)(b), (double)(tolerance), (double)(floor), #a " ~ " #b,         \
              __FILE__, __LINE__)

#define RUN(function)                                                                              \
    do {                                                                                           \
        test_bad = 0;                                                                              \
        function();                                                                                \
        test_end(#function);                                                                       \
    } while (0)

TEST_FUNCTION int test_check(int good, const char *text, const char *file, int line)
{
    if (!good && ++test_bad <= 5) printf("%s:%d: CHECK(%s) failed\n", file, line, text);
    return good;
}

TEST_FUNCTION int test_near(double a, double b, double tolerance, double floor_, const char *text,
                            const char *file, int line)
{
    double scale = fabs(a) > fabs(b) ? fabs(a) : fabs(b);
    int good;
    if (scale < floor_) scale = floor_;
    good = fabs(a - b) <= tolerance * scale && a - a == 0 && b - b == 0;
    if (!good && ++test_bad <= 5)
        printf("%s:%d: %s: %.17g and %.17g differ by %.3g relative\n", file, line, text, a, b,
               fabs(a - b) / scale);
    return good;
}

TEST_FUNCTION void test_end(const char *name)
{
    if (test_bad) {
        test_failed++;
        printf("FAILED %s (%d checks)\n", name, test_bad);
    } else {
        test_passed++;
    }
    fflush(stdout);
}

TEST_FUNCTION int test_done(const char *program)
{
    printf("%s: %d passed, %d failed\n", program, test_passed, test_failed);
    return test_failed != 0;
}

#endif
