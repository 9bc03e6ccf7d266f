/* Several test programs in one, so that nn.h is compiled once for all of them:

       everywhere [no-page] PART...

   kernels: each vector kernel against its scalar definition, quickly; bits: the hash of training
   runs, with every back-end that there is; export: what nn_export_c wrote against nn_predict;
   saving: an old file is replaced, whatever system does that.
   portable.sh builds this for every machine, compiler and set of flags. A name that several of the
   programs define is renamed here for all but one of them. */
/* Two lines of kernels.c, for the heap that counts must come before nn.h. */
#define _DEFAULT_SOURCE
static const char *forced;
#define NN_BACKEND forced
#include "../counted_heap.h"
#undef _DEFAULT_SOURCE

#define main kernels_main
#include "../unit/kernels.c"
#undef main

#define main bits_main
#include "bits.c"
#undef main
#undef ROWS
#undef INPUTS
#undef OUTPUTS

#define main    export_main
#define compare export_compare
#define seed    export_seed
#define x       export_x
#define ROWS    EXPORT_ROWS
#include "../unit/export.c"
#undef main

/* The printed line says which back-end the machine chose by itself. */
static void test_bits(void)
{
#ifdef NN__SIMD
    int i;

    find_back_ends();
    for (i = 0; back_ends[i]; i++) continue;
    printf("best %s\n", back_ends[i - 1]->name);
    while (i-- > 0) {
        forced = back_ends[i]->name;
        test_hash();
        test_image_hash();
    }
    forced = NULL;
#else
    printf("best scalar\n");
    test_hash();
    test_image_hash();
#endif
}

static int test_kernels(int with_page)
{
#ifdef NN__SIMD
    static char program[] = "kernels", one[] = "1", few[] = "quick", no_page[] = "no-page";
    char *arguments[] = {program, one, few, no_page, NULL};

    return kernels_main(4 - with_page, arguments);
#else
    (void)with_page;
    return kernels_main();
#endif
}

static void check_saved(nn_model *model, const char *path)
{
    nn_model *loaded = NULL;

    CHECK(nn_save(model, path) == NN_OK);
    CHECK(nn_load(&loaded, path, NULL) == NN_OK);
    if (loaded) CHECK(same_parameters(model, loaded));
    nn_model_free(loaded);
}

static void test_saving(void)
{
    const char *path = temporary("model"), *mine = temporary("model.tmp");
    nn_model *a = example_model(1), *b = example_model(2);

    write_file(mine, "mine", 4);
    check_saved(a, path);
    check_saved(b, path);
    CHECK(nn_save(a, "") == NN_ERROR_OPEN);
    CHECK(nn_save(a, temporary("missing/model")) == NN_ERROR_OPEN);
    CHECK(nn_save(a, temporary("model/model")) == NN_ERROR_OPEN);
    CHECK(nn_save(a, temporary(".")) != NN_OK);
    CHECK(file_exists(mine) && remove(mine) == 0);
    check_saved(a, path);
    CHECK(remove(path) == 0);
    nn_model_free(a);
    nn_model_free(b);
}

int main(int argc, char **argv)
{
    int i, with_page = 1;

    for (i = 1; i < argc; i++)
        if (strcmp(argv[i], "no-page") == 0)
            with_page = 0;
        else if (strcmp(argv[i], "kernels") == 0)
            (void)test_kernels(with_page);
        else if (strcmp(argv[i], "bits") == 0)
            RUN(test_bits);
        else if (strcmp(argv[i], "export") == 0)
            (void)export_main(1, argv);
        else if (strcmp(argv[i], "saving") == 0)
            RUN(test_saving);
        else
            return 2;
    (void)bits_main;
    return test_done() || !test_passed;
}
