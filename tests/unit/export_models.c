/* Writes every model of export_models.h as C into one file, each as it is and with int8 weights,
   and behind them a table of their functions: export_models FILE */
#include <stdio.h>
#include <stdlib.h>

#define NN_IMPLEMENTATION
#include "../../nn.h"

#include "export_models.h"

static void fail(const char *what)
{
    fprintf(stderr, "export_models: %s\n", what);
    exit(1);
}

static void write_model(FILE *file, const nn_model *model, const char *name, int int8)
{
    nn_export_options how = {NULL, 0, 0};
    size_t size;
    char *text;

    how.name = name;
    how.class_names = nn_class_name(model, 0) != NULL;
    how.int8 = int8;
    if (nn_export_c_memory(model, &how, NULL, 0, &size) != NN_OK) fail("cannot be exported");
    text = (char *)malloc(size);
    if (!text || nn_export_c_memory(model, &how, text, size, &size) != NN_OK) fail("no memory");
    if (fwrite(text, 1, size, file) != size) fail("cannot write");
    free(text);
}

int main(int argc, char **argv)
{
    const char *type = sizeof(nn_real) == sizeof(float) ? "float" : "double";
    FILE *file = argc == 2 ? fopen(argv[1], "wb") : NULL;
    int i;

    if (!file) fail("which file?");
    for (i = 0; i < MODELS; i++) {
        nn_model *model = export_model(i);
        if (!model) fail("no memory");
        write_model(file, model, model_specs[i].name, 0);
        write_model(file, model, model_specs[i].int8_name, 1);
        nn_model_free(model);
    }
    fprintf(file, "\nstatic void (*const exported[][2])(const %s *, %s *) = {\n", type, type);
    for (i = 0; i < MODELS; i++)
        fprintf(file, "    {%s, %s},\n", model_specs[i].name ? model_specs[i].name : "predict",
                model_specs[i].int8_name);
    fprintf(file, "};\n\nstatic const char *const *const exported_classes[][2] = {\n");
    for (i = 0; i < MODELS; i++) {
        const model_spec *spec = &model_specs[i];
        if (class_count(spec))
            fprintf(file, "    {%s_classes, %s_classes},\n", spec->name, spec->int8_name);
        else
            fprintf(file, "    {NULL, NULL},\n");
    }
    fprintf(file, "};\n");
    if (fclose(file)) fail("cannot write");
    return 0;
}
