/* What a callback of nn_fit saw. */
#ifndef RECORD_H
#define RECORD_H

#include "../fixtures.h"

typedef struct record {
    int calls, batch_calls, epochs, stop_at, best_epoch, last_epoch;
    double losses[300], best; /* validation losses, or training losses without one */
    nn_progress last;
    double clock;
    int bad;
} record;

static int write_record(const nn_progress *p, void *user)
{
    record *r = (record *)user;
    double loss = isnan(p->validation_loss) ? p->loss : p->validation_loss;
    r->calls++;
    if (p->elapsed < r->clock || !(p->remaining >= 0) || !p->trainer || !p->model) r->bad++;
    r->clock = p->elapsed;
    r->last = *p;
    if (p->batch > 0) {
        r->batch_calls++;
        if (!isnan(p->validation_loss) || !isnan(p->validation_accuracy)) r->bad++;
        if (p->batch > p->batches || p->epoch != r->epochs + 1) r->bad++;
        return 0;
    }
    if (r->epochs < 300) r->losses[r->epochs] = loss;
    if (r->epochs == 0 || loss < r->best) r->best = loss, r->best_epoch = p->epoch;
    r->epochs++;
    r->last_epoch = p->epoch;
    return r->stop_at && p->epoch >= r->stop_at;
}

static void watch(nn_options *how, record *r)
{
    memset(r, 0, sizeof *r);
    how->callback = write_record;
    how->user = r;
}

#endif
