/* The test harness. A test is a function; it fails when a CHECK in it fails, or when it makes none.
   A program prints what failed and, as its last line, "N passed, M failed, S s", and returns 1 when
   M is not 0. "any back-end" follows where the program never asked for a back-end of the header:
   its results cannot depend on it. tests/run runs the programs and adds up their last lines. */
#ifndef TEST_H
#define TEST_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__GNUC__)
#define TEST_FUNCTION static __attribute__((unused))
#else
#define TEST_FUNCTION static
#endif

/* A program has the implementation of nn.h either in itself or, when it is compiled with
   TEST_LINKED and does not define NN_IMPLEMENTATION, from tests/library.c, with which it is linked.
   What both parts of a program must share is defined beside the implementation. */
#if defined(NN_IMPLEMENTATION) || !defined(TEST_LINKED)
#define TEST_SHARED(declaration, value) declaration = value
#else
#define TEST_SHARED(declaration, value) extern declaration
#endif

/* Whether the results depend on the back-end that is forced. */
TEST_SHARED(int test_needs_backend, 0);

/* A back-end to force in place of the environment's. */
TEST_SHARED(const char *test_backend_name, NULL);

/* The environment's NN_BACKEND forces a back-end of the header, which must be included later. */
#ifndef NN_BACKEND
#define NN_BACKEND test_backend()

TEST_FUNCTION const char *test_backend(void)
{
    test_needs_backend = 1;
    return test_backend_name ? test_backend_name : getenv("NN_BACKEND");
}
#endif

static int test_passed, test_failed; /* tests */
static int test_bad, test_skipped;   /* in this test: checks that failed; that it was skipped */
static long test_checks;             /* that this test has made */
static int test_one_is_enough;

/* Counts a failure and goes on; prints the first few of each test. */
#define CHECK(condition) test_check((condition) ? 1 : 0, #condition, __FILE__, __LINE__)

/* |a - b| <= tolerance * max(|a|, |b|, floor), and both finite. Prints both values. */
#define CHECK_NEAR(a, b, tolerance, floor)                                                         \
    test_near((double)(a), (double)(b), (double)(tolerance), (double)(floor), #a " ~ " #b,         \
              __FILE__, __LINE__)

#define RUN(function)                                                                              \
    do {                                                                                           \
        test_begin();                                                                              \
        function();                                                                                \
        test_end(#function);                                                                       \
    } while (0)

TEST_FUNCTION int test_check(int good, const char *text, const char *file, int line)
{
    test_checks++;
    if (!good && ++test_bad <= 5) printf("%s:%d: CHECK(%s) failed\n", file, line, text);
    return good;
}

TEST_FUNCTION int test_near(double a, double b, double tolerance, double floor_, const char *text,
                            const char *file, int line)
{
    double scale = fabs(a) > fabs(b) ? fabs(a) : fabs(b);
    int good;
    test_checks++;
    if (scale < floor_) scale = floor_;
    good = fabs(a - b) <= tolerance * scale && a - a == 0 && b - b == 0;
    if (!good && ++test_bad <= 5)
        printf("%s:%d: %s: %.17g and %.17g differ by %.3g relative\n", file, line, text, a, b,
               fabs(a - b) / scale);
    return good;
}

/* What the program tests is the same with each back-end, although it asks for one; a comment beside
   the call says why. */
TEST_FUNCTION void test_any_backend(void)
{
    test_one_is_enough = 1;
}

/* The test cannot be made here; the reader is told. */
TEST_FUNCTION void test_skip(const char *why)
{
    printf("skipped: %s\n", why);
    test_skipped = 1;
}

TEST_FUNCTION void test_begin(void)
{
    test_bad = test_skipped = 0;
    test_checks = 0;
}

TEST_FUNCTION void test_end(const char *name)
{
    if (!test_checks && !test_skipped) CHECK(!"a test that checks nothing");
    if (test_bad) {
        test_failed++;
        printf("FAILED %s (%d checks)\n", name, test_bad);
    } else {
        test_passed++;
    }
    fflush(stdout);
}

TEST_FUNCTION int test_done(void)
{
    printf("%d passed, %d failed, %.1f s%s\n", test_passed, test_failed,
           (double)clock() / CLOCKS_PER_SEC,
           test_needs_backend && !test_one_is_enough ? "" : ", any back-end");
    return test_failed != 0;
}

/* The path of a file that the program may write: in the folder that the environment's TEST_FOLDER
   names, which tests/run makes for each run, or else in build/. The same name gives the same
   pointer each time. */
TEST_FUNCTION const char *temporary(const char *name)
{
    static char paths[16][200];
    const char *folder = getenv("TEST_FOLDER");
    char path[200];
    int i;

    if (!folder) folder = "build";
    if (strlen(folder) + strlen(name) + 2 > sizeof path) exit(2);
    sprintf(path, "%s/%s", folder, name);
    for (i = 0; *paths[i] && strcmp(paths[i], path) != 0;)
        if (++i == 16) exit(2);
    return strcpy(paths[i], path);
}

#endif
