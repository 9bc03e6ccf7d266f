/* The usual way to compute convolutions, to compare with: the patches of an image are copied to the
   rows of a matrix (im2col), and OpenBLAS multiplies it by the kernels. bench.c includes this file.
   It has what the named nets of bench.c need: no padding, steps of one pixel, pools without
   overlap, ReLU, softmax with the cross-entropy, and Adam. Images are [height x width x channels],
   and weights [patch x outputs], as in nn.h. A dense layer is a convolution with one position. */

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("O3,no-math-errno") /* it gets vectors without hand-written ones */
#endif

typedef struct stage {
    nn_layer_kind kind;
    int height, width, channels;           /* of the input */
    int kernel_height, kernel_width, step; /* the step is 1, or of a pool its window */
    int out_height, out_width, outputs;
    int patch, positions; /* numbers in a patch, positions of the kernel */
    int relu;
    const float *x;                /* the stage's input [rows x height * width * channels] */
    float *w, *b, *dw, *db;        /* parts of im2col_net.parameters and gradients */
    float *y, *dy;                 /* [rows x positions * outputs] */
    int *largest;                  /* of a pool, [rows x positions * outputs]: where it was in x */
    float *patches, *patches_grad; /* [positions x patch], of one row */
} stage;

typedef struct im2col_net {
    stage stages[LAYERS];
    int count, batch, steps;
    size_t parameter_count;
    float *parameters, *gradients, *first, *second;
} im2col_net;

static void *im2col_array(size_t count, size_t size)
{
    void *array = calloc(count ? count : 1, size);

    if (!array) fail("out of memory");
    return array;
}

/* The net of these layers, with the model's parameters, for so many rows at once. */
static im2col_net im2col_create(const struct named_net *named, nn_model *model, int batch)
{
    const nn_layer *layers = named->layers;
    im2col_net net = {0};
    int height = layers[0].height, width = layers[0].width, channels = layers[0].channels, i;
    float *parameters, *gradients;

    net.batch = batch;
    net.count = named->count - 1;
    net.parameter_count = nn_parameter_count(model);
    net.parameters = parameters = (float *)im2col_array(net.parameter_count, sizeof(float));
    net.gradients = gradients = (float *)im2col_array(net.parameter_count, sizeof(float));
    net.first = (float *)im2col_array(net.parameter_count, sizeof(float));
    net.second = (float *)im2col_array(net.parameter_count, sizeof(float));
    for (i = 0; i < net.count; i++) {
        const nn_layer *layer = layers + i + 1;
        const int pool = layer->kind == NN_LAYER_MAX_POOL || layer->kind == NN_LAYER_GLOBAL_AVERAGE;
        const int whole = layer->kind == NN_LAYER_DENSE || layer->kind == NN_LAYER_GLOBAL_AVERAGE;
        stage *s = net.stages + i;
        nn_layer_arrays arrays;
        size_t numbers;

        s->kind = layer->kind;
        s->height = height;
        s->width = width;
        s->channels = channels;
        s->kernel_height = whole ? height : layer->height;
        s->kernel_width = whole ? width : layer->width;
        s->step = layer->kind == NN_LAYER_MAX_POOL ? s->kernel_width : 1;
        s->out_height = (height - s->kernel_height) / s->step + 1;
        s->out_width = (width - s->kernel_width) / s->step + 1;
        s->positions = s->out_height * s->out_width;
        s->outputs = pool                            ? channels
                     : layer->kind == NN_LAYER_DENSE ? layer->width
                                                     : layer->channels;
        s->patch = s->kernel_height * s->kernel_width * channels;
        s->relu = layer->activation == NN_RELU;
        numbers = (size_t)batch * (size_t)s->positions * (size_t)s->outputs;
        s->y = (float *)im2col_array(numbers, sizeof(float));
        s->dy = (float *)im2col_array(numbers, sizeof(float));
        s->largest = (int *)im2col_array(numbers, sizeof(int));
        s->patches = (float *)im2col_array((size_t)s->positions * (size_t)s->patch, sizeof(float));
        s->patches_grad =
            (float *)im2col_array((size_t)s->positions * (size_t)s->patch, sizeof(float));
        check(nn_layer_parameters(model, i + 1, &arrays));
        if (!pool) {
            numbers = (size_t)s->patch * (size_t)s->outputs;
            s->w = parameters;
            s->b = s->w + numbers;
            s->dw = gradients;
            s->db = s->dw + numbers;
            memcpy(s->w, arrays.weights, numbers * sizeof(float));
            memcpy(s->b, arrays.biases, (size_t)s->outputs * sizeof(float));
            parameters = s->b + s->outputs;
            gradients = s->db + s->outputs;
        }
        height = s->out_height;
        width = s->out_width;
        channels = s->outputs;
    }
    return net;
}

static void im2col_free(im2col_net *net)
{
    int i;

    for (i = 0; i < net->count; i++) {
        stage *s = net->stages + i;

        free(s->y);
        free(s->dy);
        free(s->largest);
        free(s->patches);
        free(s->patches_grad);
    }
    free(net->parameters);
    free(net->gradients);
    free(net->first);
    free(net->second);
}

/* Copies the patches of an image to rows (back is 0), or adds the rows to the image. */
static void im2col_patches(const stage *s, float *image, float *rows, int back)
{
    const int run = s->kernel_width * s->channels;
    int top, left, i, k;

    for (top = 0; top < s->out_height; top++) {
        for (left = 0; left < s->out_width; left++) {
            for (i = 0; i < s->kernel_height; i++, rows += run) {
                float *pixels = image + ((top + i) * s->width + left) * s->channels;

                if (!back)
                    memcpy(rows, pixels, (size_t)run * sizeof(float));
                else
                    for (k = 0; k < run; k++) pixels[k] += rows[k];
            }
        }
    }
}

static void im2col_product(const stage *s, int rows)
{
    const int whole = s->positions == 1, m = whole ? rows : s->positions;
    const size_t inputs = (size_t)(s->height * s->width * s->channels);
    size_t i, count;
    int row;

    for (row = 0; row < rows * s->positions; row++)
        memcpy(s->y + (size_t)row * (size_t)s->outputs, s->b, (size_t)s->outputs * sizeof(float));
    for (row = 0; row < (whole ? 1 : rows); row++) {
        const float *a = s->x + (size_t)row * inputs;

        if (!whole) {
            im2col_patches(s, (float *)a, s->patches, 0);
            a = s->patches;
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, s->outputs, s->patch, 1, a,
                    s->patch, s->w, s->outputs, 1,
                    s->y + (size_t)row * (size_t)(s->positions * s->outputs), s->outputs);
    }
    count = (size_t)rows * (size_t)(s->positions * s->outputs);
    for (i = 0; s->relu && i < count; i++) s->y[i] = s->y[i] > 0 ? s->y[i] : 0;
}

/* The pool at one position: of each channel, where the largest number is, and it or the average. */
static void im2col_window(const stage *s, const float *x, int corner, float *y, int *largest)
{
    const float scale = 1 / (float)(s->kernel_height * s->kernel_width);
    int c, i, j;

    for (c = 0; c < s->channels; c++) {
        y[c] = x[corner + c];
        largest[c] = corner + c;
    }
    for (i = 0; i < s->kernel_height; i++) {
        for (j = i == 0; j < s->kernel_width; j++) {
            const int k = corner + (i * s->width + j) * s->channels;

            if (s->kind == NN_LAYER_MAX_POOL) {
                for (c = 0; c < s->channels; c++) {
                    largest[c] = x[k + c] > y[c] ? k + c : largest[c];
                    y[c] = x[k + c] > y[c] ? x[k + c] : y[c];
                }
            } else {
                for (c = 0; c < s->channels; c++) y[c] += x[k + c];
            }
        }
    }
    for (c = 0; s->kind != NN_LAYER_MAX_POOL && c < s->channels; c++) y[c] *= scale;
}

static void im2col_pool(const stage *s, int rows)
{
    const int inputs = s->height * s->width * s->channels;
    int row, top, left, at = 0;

    for (row = 0; row < rows; row++)
        for (top = 0; top < s->out_height; top++)
            for (left = 0; left < s->out_width; left++, at += s->channels)
                im2col_window(s, s->x + row * inputs,
                              (top * s->width + left) * s->step * s->channels, s->y + at,
                              s->largest + at);
}

/* The outputs of the last layer [rows x outputs], after softmax. */
static float *im2col_forward(im2col_net *net, const float *x, int rows)
{
    const stage *last = net->stages + net->count - 1;
    int i, row, k;

    for (i = 0; i < net->count; i++) {
        stage *s = net->stages + i;

        s->x = x;
        if (s->w)
            im2col_product(s, rows);
        else
            im2col_pool(s, rows);
        x = s->y;
    }
    for (row = 0; row < rows; row++) {
        float *y = last->y + row * last->outputs, most = y[0], sum = 0;

        for (k = 1; k < last->outputs; k++) most = y[k] > most ? y[k] : most;
        for (k = 0; k < last->outputs; k++) sum += y[k] = expf(y[k] - most);
        for (k = 0; k < last->outputs; k++) y[k] /= sum;
    }
    return last->y;
}

/* From s->dy: the gradients of the weights and biases, and dx, where it is not NULL. */
static void im2col_product_gradient(const stage *s, float *dx, int rows)
{
    const int whole = s->positions == 1, k = whole ? rows : s->positions;
    const size_t inputs = (size_t)(s->height * s->width * s->channels);
    const size_t count = (size_t)rows * (size_t)(s->positions * s->outputs);
    size_t i;
    int row, j;

    for (i = 0; s->relu && i < count; i++) s->dy[i] = s->y[i] > 0 ? s->dy[i] : 0;
    for (i = 0; i < count; i += (size_t)s->outputs)
        for (j = 0; j < s->outputs; j++) s->db[j] += s->dy[i + (size_t)j];
    for (row = 0; row < (whole ? 1 : rows); row++) {
        const float *dz = s->dy + (size_t)row * (size_t)(s->positions * s->outputs);
        const float *a = s->x + (size_t)row * inputs;

        if (!whole) {
            im2col_patches(s, (float *)a, s->patches, 0);
            a = s->patches;
        }
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, s->patch, s->outputs, k, 1, a,
                    s->patch, dz, s->outputs, 1, s->dw, s->outputs);
        if (!dx) continue;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, k, s->patch, s->outputs, 1, dz,
                    s->outputs, s->w, s->outputs, 0, whole ? dx : s->patches_grad, s->patch);
        if (!whole) im2col_patches(s, dx + (size_t)row * inputs, s->patches_grad, 1);
    }
}

static void im2col_pool_gradient(const stage *s, float *dx, int rows)
{
    const int inputs = s->height * s->width * s->channels, outputs = s->positions * s->outputs;
    int row, at, i;

    for (row = 0; row < rows; row++, dx += inputs) {
        for (at = row * outputs; at < (row + 1) * outputs; at++) {
            if (s->kind == NN_LAYER_MAX_POOL) {
                dx[s->largest[at]] += s->dy[at];
            } else {
                const float part = s->dy[at] / (float)(s->height * s->width);

                for (i = at % s->channels; i < inputs; i += s->channels) dx[i] += part;
            }
        }
    }
}

/* A step of Adam with the mean cross-entropy of these rows, which it returns. */
static float im2col_train(im2col_net *net, const float *x, const float *targets, int rows)
{
    const stage *last = net->stages + net->count - 1;
    const int outputs = last->outputs;
    const float *y = im2col_forward(net, x, rows);
    float loss = 0, rate, root;
    size_t i;
    int n;

    for (n = 0; n < rows * outputs; n++) {
        if (targets[n] > 0) loss -= logf(y[n]);
        last->dy[n] = (y[n] - targets[n]) / (float)rows;
    }
    memset(net->gradients, 0, net->parameter_count * sizeof(float));
    for (n = net->count - 1; n >= 0; n--) {
        const stage *s = net->stages + n, *before = n ? s - 1 : NULL;
        const size_t count = (size_t)rows * (size_t)(s->height * s->width * s->channels);

        if (before) memset(before->dy, 0, count * sizeof(float));
        if (s->w)
            im2col_product_gradient(s, before ? before->dy : NULL, rows);
        else
            im2col_pool_gradient(s, before->dy, rows);
    }
    net->steps++;
    rate = 1e-3f / (1 - powf(0.9f, (float)net->steps));
    root = sqrtf(1 - powf(0.999f, (float)net->steps));
    for (i = 0; i < net->parameter_count; i++) {
        const float g = net->gradients[i];

        net->first[i] = 0.9f * net->first[i] + 0.1f * g;
        net->second[i] = 0.999f * net->second[i] + 0.001f * g * g;
        net->parameters[i] -= rate * net->first[i] / (sqrtf(net->second[i]) / root + 1e-8f);
    }
    return loss / (float)rows;
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
