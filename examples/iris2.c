/* All steps with real data: classifies two species of iris by the length and width of their petals.
   The program reads and cleans a CSV file, splits it, chooses the network's width and learning rate
   by cross-validation, trains, evaluates, draws the decision boundary, saves the model, loads it
   again, and predicts. The second half of this file only draws.

       cc -O2 -I. examples/iris2.c -o iris2 -lm && ./iris2 [data.csv [folder]]

   data.csv has a header line, two columns of measurements and a column with the names of two
   classes. The default is examples/data/iris2.csv: run the program from the top folder of the
   repository. It writes the model and an SVG picture to the folder, by default its own. */

#define NN_IMPLEMENTATION
#include "../nn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED        1
#define FOLDS       5
#define EPOCHS      100
#define PRINT_EVERY 10 /* epochs */
#define PATH_SIZE   1024

static const char *const axis_names[2] = {"petal length (cm)", "petal width (cm)"};

/* Ends the program with a message when a call of the library failed. */
static void check(nn_status status, const char *doing, const nn_location *location)
{
    if (status == NN_OK) return;
    fprintf(stderr, "iris2: %s: %s\n", doing, nn_status_text(status));
    if (location && location->path) fprintf(stderr, "in %s", location->path);
    if (location && location->line)
        fprintf(stderr, ", line %ld, column %ld: '%s'", location->line, location->column,
                location->name);
    fprintf(stderr, "\n");
    exit(1);
}

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "iris2: %s %s\n", what, path);
    exit(1);
}

/* ---- Read, search, train --------------------------------------------------------------------- */

static void read_flowers(nn_data *data, const char *path)
{
    nn_csv_options csv;
    nn_location location;

    memset(&location, 0, sizeof location);
    memset(&csv, 0, sizeof csv); /* zero means default: the last column is the target */
    csv.labels = 1;
    csv.drop_bad_rows = 1; /* drop rows with a cell that is empty or not a number */
    csv.location = &location;
    check(nn_read_csv(data, path, &csv), "reading the data", &location);
    if (data->inputs != 2 || data->classes != 2)
        fail("not two measurements and two classes in", path);
    printf("%s: %d good rows, %d bad rows dropped\n", path, data->rows, data->dropped);
    printf("classes: %s, %s\n", data->class_names[0], data->class_names[1]);
}

/* Measures every pair of hidden width and learning rate by cross-validation on the training set.
   Sets *hidden and how->learning_rate to the pair with the lowest mean loss. The accuracy is too
   coarse for this choice: with so few rows, one flower can decide. */
static void search(const nn_data *train, nn_options *how, int *hidden)
{
    static const int widths[] = {4, 8, 16};
    static const nn_real rates[] = {0.003f, 0.01f, 0.03f};
    nn_layer layers[] = {NN_DENSE(0, NN_RELU), NN_DENSE(1, NN_SIGMOID)};
    const nn_shape shape = {2, layers, 2}; /* 2 inputs, 2 layers */
    nn_metrics results[FOLDS];
    double best_loss = HUGE_VAL;
    nn_real best_rate = 0;
    int i, fold;

    printf("\n%d-fold cross-validation on the training set:\n", FOLDS);
    printf("hidden units  learning rate    loss  accuracy\n");
    for (i = 0; i < 9; i++) {
        double loss = 0, accuracy = 0;
        layers[0].width = widths[i / 3];
        how->learning_rate = rates[i % 3];
        check(nn_cross_validate(&shape, train, how, FOLDS, results), "searching", NULL);
        for (fold = 0; fold < FOLDS; fold++) {
            loss += results[fold].loss / FOLDS;
            accuracy += results[fold].accuracy / FOLDS;
        }
        printf("%12d  %13g  %6.4f    %6.4f\n", layers[0].width, (double)how->learning_rate, loss,
               accuracy);
        if (loss < best_loss) {
            best_loss = loss;
            best_rate = how->learning_rate;
            *hidden = layers[0].width;
        }
    }
    how->learning_rate = best_rate;
    printf("lowest loss: %d hidden units, learning rate %g\n", *hidden, (double)best_rate);
}

/* The loss after each epoch, for the picture. */
typedef struct curves {
    double loss[2][EPOCHS]; /* of training, of validation */
} curves;

/* Called after each epoch: records the losses, and prints every tenth epoch. */
static int record(const nn_progress *progress, void *user)
{
    curves *history = (curves *)user;
    history->loss[0][progress->epoch - 1] = progress->loss;
    history->loss[1][progress->epoch - 1] = progress->validation_loss;
    if (progress->epoch != 1 && progress->epoch % PRINT_EVERY != 0) return 0;
    return nn_print_progress(progress, NULL);
}

static nn_model *train_network(const nn_data *train, nn_options *how, curves *history)
{
    nn_layer layers[] = {NN_DENSE(0, NN_RELU), NN_DENSE(1, NN_SIGMOID)};
    nn_model *model;

    memset(how, 0, sizeof *how);
    how->loss = NN_BINARY_CROSS_ENTROPY;
    how->optimizer = NN_ADAM;
    how->epochs = EPOCHS;
    how->batch_size = 16;
    how->scaling = NN_SCALE_STANDARD; /* fitted to the training rows only */
    how->seed = SEED;
    search(train, how, &layers[0].width);

    how->validation_fraction = 0.2f; /* of the training set */
    how->callback = record;
    how->user = history;
    printf("\n");
    check(nn_model_create(&model, 2, layers, 2, SEED), "building", NULL);
    check(nn_fit(model, train, how), "training", NULL);
    return model;
}

/* ---- Evaluate, save, reload, predict --------------------------------------------------------- */

static void evaluate(const nn_model *model, const nn_data *test, const nn_options *how,
                     nn_metrics *m)
{
    const char *const *names = test->class_names;
    int matrix[4], row;

    check(nn_evaluate(model, test, how, m), "evaluating", NULL);
    check(nn_confusion_matrix(model, test, matrix), "evaluating", NULL);
    printf("\ntest set (the positive class is %s):\n", names[1]);
    printf("loss %.4f, accuracy %.4f, precision %.4f, recall %.4f, F1 %.4f, ROC AUC %.4f\n",
           m->loss, m->accuracy, m->precision, m->recall, m->f1, m->auc);
    printf("\nconfusion matrix (rows: true class, columns: predicted class):\n%-14s%14s%14s\n", "",
           names[0], names[1]);
    for (row = 0; row < 2; row++)
        printf("%-14s%14d%14d\n", names[row], matrix[2 * row], matrix[2 * row + 1]);
}

static void save_and_reload(const nn_model *model, const char *path, const nn_data *test)
{
    size_t size = (size_t)test->rows * sizeof(nn_real);
    nn_real *before = (nn_real *)malloc(size), *after = (nn_real *)malloc(size);
    nn_model *loaded;
    nn_location location;
    int row;

    if (!before || !after) check(NN_ERROR_MEMORY, "predicting", NULL);
    memset(&location, 0, sizeof location);
    check(nn_predict(model, test->x, test->rows, before, NULL), "predicting", NULL);
    check(nn_save(model, path), path, NULL);
    check(nn_load(&loaded, path, &location), "loading", &location);
    check(nn_predict(loaded, test->x, test->rows, after, NULL), "predicting", NULL);
    if (memcmp(before, after, size) != 0) fail("the loaded model gives other outputs:", path);

    printf("\nsaved to %s; the loaded model gives the same outputs, bit for bit:\n", path);
    printf("%s  %s  probability of %s\n", axis_names[0], axis_names[1], test->class_names[1]);
    for (row = 0; row < test->rows; row += 1 + test->rows / 8)
        printf("%17.2f  %16.2f  %.4f (true class: %s)\n", (double)test->x[2 * row],
               (double)test->x[2 * row + 1], (double)after[row],
               test->class_names[test->labels[row]]);
    nn_model_free(loaded);
    free(after);
    free(before);
}

/* ---- The decision boundary in the terminal --------------------------------------------------- */

/* The part of the plane that is drawn: [0] is the horizontal axis, [1] the vertical one. */
typedef struct frame {
    double low[2], high[2];
} frame;

/* Makes the frame hold all of data, with a margin. */
static void make_frame(frame *view, const nn_data *data)
{
    int axis, row;
    for (axis = 0; axis < 2; axis++) {
        double low = HUGE_VAL, high = -HUGE_VAL, margin;
        for (row = 0; row < data->rows; row++) {
            low = fmin(low, (double)data->x[2 * row + axis]);
            high = fmax(high, (double)data->x[2 * row + axis]);
        }
        margin = high > low ? 0.06 * (high - low) : 1;
        view->low[axis] = low - margin;
        view->high[axis] = high + margin;
    }
}

/* The position of a value in the frame: 0 at the left and 1 at the right; 0 at the top and 1 at the
   bottom. */
static double from_left(const frame *view, double x)
{
    return (x - view->low[0]) / (view->high[0] - view->low[0]);
}

static double from_top(const frame *view, double y)
{
    return (view->high[1] - y) / (view->high[1] - view->low[1]);
}

#define GRID_COLUMNS 161
#define GRID_ROWS    135
#define TEXT_COLUMNS 65
#define TEXT_ROWS    21

/* p[rows x columns]: the model's output on a grid over the frame, top row first. */
static void predict_grid(const nn_model *model, const frame *view, int columns, int rows,
                         nn_real *p)
{
    double width = view->high[0] - view->low[0], height = view->high[1] - view->low[1];
    nn_real x[2 * GRID_COLUMNS];
    int row, column;

    for (row = 0; row < rows; row++) {
        for (column = 0; column < columns; column++) {
            x[2 * column] = (nn_real)(view->low[0] + width * column / (columns - 1));
            x[2 * column + 1] = (nn_real)(view->high[1] - height * row / (rows - 1));
        }
        check(nn_predict(model, x, columns, p + row * columns, NULL), "predicting", NULL);
    }
}

static void print_boundary(const nn_model *model, const nn_data *data, const frame *view)
{
    nn_real p[TEXT_ROWS * TEXT_COLUMNS];
    char text[TEXT_ROWS * TEXT_COLUMNS];
    int i;

    predict_grid(model, view, TEXT_COLUMNS, TEXT_ROWS, p);
    for (i = 0; i < TEXT_ROWS * TEXT_COLUMNS; i++) text[i] = p[i] < 0.5f ? ' ' : '.';
    for (i = 0; i < data->rows; i++) {
        double right = from_left(view, (double)data->x[2 * i]) * (TEXT_COLUMNS - 1);
        double down = from_top(view, (double)data->x[2 * i + 1]) * (TEXT_ROWS - 1);
        char *cell = text + (int)(down + 0.5) * TEXT_COLUMNS + (int)(right + 0.5);
        char mark = data->labels[i] ? 'x' : 'o';
        *cell = (char)(*cell == ' ' || *cell == '.' || *cell == mark ? mark : '*');
    }
    printf("\n   o %s   x %s   * both   . predicted as %s\n\n   %s\n", data->class_names[0],
           data->class_names[1], data->class_names[1], axis_names[1]);
    for (i = 0; i < TEXT_ROWS; i++) {
        double y = view->high[1] - (view->high[1] - view->low[1]) * i / (TEXT_ROWS - 1);
        if (i % 5 == 0)
            printf("%8.2f |", y);
        else
            printf("         |");
        printf("%.*s|\n", TEXT_COLUMNS, text + i * TEXT_COLUMNS);
    }
    printf("         +");
    for (i = 0; i < TEXT_COLUMNS; i++) putchar('-');
    printf("+\n          %-24.2f%-35s%6.2f\n", view->low[0], axis_names[0], view->high[0]);
}

/* ---- The picture ----------------------------------------------------------------------------- */

static const int class_colors[2][3] = {{31, 95, 168}, {208, 84, 16}}; /* blue, orange */

/* A rectangle of the picture, in pixels, and the part of the plane that it shows. */
typedef struct panel {
    FILE *file;
    double left, top, width, height;
    frame view;
} panel;

static double pixel_x(const panel *at, double x)
{
    return at->left + at->width * from_left(&at->view, x);
}

static double pixel_y(const panel *at, double y)
{
    return at->top + at->height * from_top(&at->view, y);
}

/* Writes text and escapes the characters that XML reserves; style is further attributes. */
static void put_text(FILE *file, double x, double y, const char *style, const char *text)
{
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, style);
    for (; *text; text++) fprintf(file, *text == '&' || *text == '<' ? "&#%d;" : "%c", *text);
    fprintf(file, "</text>\n");
}

/* A round distance (1, 2 or 5 times a power of ten) that divides range into about five. */
static double tick_step(double range)
{
    double power = pow(10, floor(log10(range / 5))), ratio = range / 5 / power;
    return power * (ratio < 1.5 ? 1 : ratio < 3.5 ? 2 : ratio < 7.5 ? 5 : 10);
}

/* Draws the frame of a panel, its title, its ticks, and the names of both axes. */
static void draw_axes(const panel *at, const char *title, const char *const *names)
{
    double bottom = at->top + at->height, across = at->left + at->width / 2;
    char label[64];
    int axis, tick;

    fprintf(at->file,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" "
            "stroke=\"#333\"/>\n",
            at->left, at->top, at->width, at->height);
    for (axis = 0; axis < 2; axis++) {
        double step = tick_step(at->view.high[axis] - at->view.low[axis]);
        int decimals = step < 1 ? (int)ceil(-log10(step)) : 0;
        for (tick = (int)ceil(at->view.low[axis] / step); tick * step <= at->view.high[axis];
             tick++) {
            double x = axis == 0 ? pixel_x(at, tick * step) : at->left;
            double y = axis == 0 ? bottom : pixel_y(at, tick * step);
            fprintf(at->file, "<path d=\"M%.1f %.1f%s\" stroke=\"#333\"/>\n", x, y,
                    axis == 0 ? "v5" : "h-5");
            snprintf(label, sizeof label, "%.*f", decimals, tick * step);
            if (axis == 0)
                put_text(at->file, x, y + 19, "text-anchor=\"middle\"", label);
            else
                put_text(at->file, x - 9, y + 4.5, "text-anchor=\"end\"", label);
        }
    }
    put_text(at->file, at->left, at->top - 36, "font-size=\"16\" font-weight=\"bold\"", title);
    put_text(at->file, across, bottom + 40, "text-anchor=\"middle\"", names[0]);
    fprintf(at->file, "<g transform=\"translate(%.1f %.1f) rotate(-90)\">", at->left - 44,
            at->top + at->height / 2);
    put_text(at->file, 0, 0, "text-anchor=\"middle\"", names[1]);
    fprintf(at->file, "</g>\n");
}

/* The mean probability at the corners of a cell of the grid, in tenths, rounded down: 0 to 9. */
static int cell_level(const nn_real *p, int row, int column)
{
    const nn_real *a = p + row * GRID_COLUMNS + column, *b = a + GRID_COLUMNS;
    double tenths = 2.5 * ((double)a[0] + (double)a[1] + (double)b[0] + (double)b[1]);
    return tenths < 9 ? (int)tenths : 9;
}

/* Shades the panel by probability, from blue through white to orange. Neighbouring cells of a row
   with the same level make one rectangle. */
static void draw_regions(const panel *at, const nn_real *p)
{
    double width = at->width / (GRID_COLUMNS - 1), height = at->height / (GRID_ROWS - 1);
    int row, start, end;

    fprintf(at->file, "<g shape-rendering=\"crispEdges\">\n");
    for (row = 0; row < GRID_ROWS - 1; row++) {
        for (start = 0; start < GRID_COLUMNS - 1; start = end) {
            int level = cell_level(p, row, start);
            const int *color = class_colors[level / 5];
            for (end = start + 1; end < GRID_COLUMNS - 1; end++)
                if (cell_level(p, row, end) != level) break;
            fprintf(at->file,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                    "fill=\"rgb(%d,%d,%d)\" fill-opacity=\"%.2f\"/>\n",
                    at->left + start * width, at->top + row * height, (end - start) * width, height,
                    color[0], color[1], color[2], 0.6 * fabs((level - 4.5) / 4.5));
        }
    }
    fprintf(at->file, "</g>\n");
}

/* Draws the line where p is 0.5 by marching squares: in each cell of the grid, it connects the
   points of the edges where p is 0.5, by linear interpolation. */
static void draw_boundary(const panel *at, const nn_real *p)
{
    static const int corners[5][2] = {{0, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 0}}; /* column, row */
    double width = at->width / (GRID_COLUMNS - 1), height = at->height / (GRID_ROWS - 1);
    int row, column, edge, points;

    fprintf(at->file, "<path stroke=\"#111\" stroke-width=\"2\" stroke-linecap=\"round\" d=\"");
    for (row = 0; row < GRID_ROWS - 1; row++) {
        for (column = 0; column < GRID_COLUMNS - 1; column++) {
            for (points = edge = 0; edge < 4; edge++) {
                const int *a = corners[edge], *b = corners[edge + 1];
                double pa = (double)p[(row + a[1]) * GRID_COLUMNS + column + a[0]];
                double pb = (double)p[(row + b[1]) * GRID_COLUMNS + column + b[0]];
                if ((pa < 0.5) == (pb < 0.5)) continue;
                fprintf(at->file, "%c%.1f %.1f", points++ % 2 == 0 ? 'M' : 'L',
                        at->left + width * (column + a[0] + (b[0] - a[0]) * (0.5 - pa) / (pb - pa)),
                        at->top + height * (row + a[1] + (b[1] - a[1]) * (0.5 - pa) / (pb - pa)));
            }
        }
    }
    fprintf(at->file, "\"/>\n");
}

/* Draws a row: a circle for class 0, a square for class 1, with a black edge for a test row. */
static void draw_mark(FILE *file, double x, double y, int of_class, int tested)
{
    const int *color = class_colors[of_class];
    fprintf(file, "<rect x=\"%.1f\" y=\"%.1f\" width=\"9\" height=\"9\" rx=\"%s\" ", x - 4.5,
            y - 4.5, of_class == 0 ? "4.5" : "0");
    fprintf(file, "fill=\"rgb(%d,%d,%d)\" stroke=\"%s\"/>\n", color[0], color[1], color[2],
            tested ? "#000\" stroke-width=\"2" : "#fff");
}

/* Draws the regions, the boundary, the rows of sets[0] (training) and sets[1] (test), a legend. */
static void draw_plane(const panel *at, const nn_model *model, const nn_data *sets)
{
    static nn_real p[GRID_ROWS * GRID_COLUMNS];
    double y = at->top - 14;
    char title[128];
    int i, row;

    predict_grid(model, &at->view, GRID_COLUMNS, GRID_ROWS, p);
    draw_regions(at, p);
    draw_boundary(at, p);
    for (i = 0; i < 2; i++)
        for (row = 0; row < sets[i].rows; row++)
            draw_mark(at->file, pixel_x(at, (double)sets[i].x[2 * row]),
                      pixel_y(at, (double)sets[i].x[2 * row + 1]), sets[i].labels[row], i);
    for (i = 0; i < 2; i++) {
        draw_mark(at->file, at->left + 6 + 130 * i, y, i, 0);
        put_text(at->file, at->left + 18 + 130 * i, y + 4.5, "", sets[0].class_names[i]);
        draw_mark(at->file, at->left + 266 + 12 * i, y, i, 1);
    }
    put_text(at->file, at->left + 292, y + 4.5, "", "test set");
    snprintf(title, sizeof title, "Probability of %.64s, and where it is 0.5",
             sets[0].class_names[1]);
    draw_axes(at, title, axis_names);
}

/* Draws the losses by epoch. */
static void draw_curves(panel *at, const curves *history)
{
    static const char *const names[2] = {"epoch", "binary cross-entropy"};
    static const char *const labels[2] = {"training", "validation"};
    static const char *const colors[2] = {"#333", "#b0307c"};
    double highest = 0, y = at->top - 14;
    int i, epoch;

    for (i = 0; i < 2; i++)
        for (epoch = 0; epoch < EPOCHS; epoch++) highest = fmax(highest, history->loss[i][epoch]);
    at->view.high[0] = EPOCHS;
    at->view.high[1] = 1.05 * highest;
    for (i = 0; i < 2; i++) {
        fprintf(at->file, "<g fill=\"none\" stroke=\"%s\" stroke-width=\"2\"><polyline points=\"",
                colors[i]);
        for (epoch = 0; epoch < EPOCHS; epoch++)
            fprintf(at->file, "%.1f,%.1f ", pixel_x(at, epoch + 1),
                    pixel_y(at, history->loss[i][epoch]));
        fprintf(at->file, "\"/><path d=\"M%.1f %.1fh24\"/></g>\n", at->left + 130 * i, y);
        put_text(at->file, at->left + 32 + 130 * i, y + 4.5, "", labels[i]);
    }
    draw_axes(at, "Loss", names);
}

static void write_svg(const char *path, const nn_model *model, const nn_data *sets,
                      const frame *view, const curves *history)
{
    FILE *file = fopen(path, "w");
    panel left = {file, 76, 66, 480, 402, *view}; /* cells of the grid: 3 x 3 */
    panel right = {file, 650, 66, 400, 402, {{0, 0}, {0, 0}}};
    int failed;

    if (!file) fail("cannot write", path);
    fprintf(file, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1080\" height=\"528\" "
                  "font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\">\n"
                  "<rect width=\"1080\" height=\"528\" fill=\"#fff\"/>\n");
    draw_plane(&left, model, sets);
    draw_curves(&right, history);
    fprintf(file, "</svg>\n");
    failed = ferror(file);
    if (fclose(file) != 0 || failed) fail("cannot write", path);
    printf("\nboundary, rows and loss curves drawn in %s\n", path);
}

/* ---- The program ----------------------------------------------------------------------------- */

/* path = folder/name, with the folder of the second argument, or else the program's own folder. */
static void make_path(char *path, int argc, char **argv, const char *name)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    int length;

    if (argc > 2)
        length = snprintf(path, PATH_SIZE, "%s/%s", argv[2], name);
    else if (slash)
        length = snprintf(path, PATH_SIZE, "%.*s/%s", (int)(slash - argv[0]), argv[0], name);
    else
        length = snprintf(path, PATH_SIZE, "%s", name);
    if (length < 0 || length >= PATH_SIZE) fail("too long a path to", name);
}

int main(int argc, char **argv)
{
    char model_path[PATH_SIZE], picture_path[PATH_SIZE];
    static curves history;
    nn_data data, sets[2]; /* the training set and the test set */
    nn_metrics metrics;
    nn_options how;
    nn_model *model;
    frame view;

    make_path(model_path, argc, argv, "iris2.safetensors");
    make_path(picture_path, argc, argv, "iris2.svg");
    read_flowers(&data, argc > 1 ? argv[1] : "examples/data/iris2.csv");
    check(nn_split(&data, 0.8f, SEED, &sets[0], &sets[1]), "splitting", NULL);
    printf("%d training rows, %d test rows\n", sets[0].rows, sets[1].rows);

    model = train_network(&sets[0], &how, &history);
    evaluate(model, &sets[1], &how, &metrics);

    make_frame(&view, &data);
    print_boundary(model, &data, &view);
    save_and_reload(model, model_path, &sets[1]);
    write_svg(picture_path, model, sets, &view, &history);
    printf("test accuracy %.4f (%d of %d)\n", metrics.accuracy, metrics.correct, metrics.rows);

    nn_model_free(model);
    nn_data_free(&sets[1]);
    nn_data_free(&sets[0]);
    nn_data_free(&data);
    return 0;
}
