/* Reinforcement learning with a training loop of its own: nn_forward, nn_backward, nn_update. The
   algorithm is REINFORCE (Williams 1992), which has no built-in loss. The network learns to walk
   through a grid from S to the goal G (reward 1), around a wall # and two traps X (reward -1).
   Every other step costs 0.04. One step in ten goes in a random direction. The program reads no
   files.

       cc -O2 -I. examples/policy_gradient.c -o policy_gradient -lm && ./policy_gradient */

#define NN_IMPLEMENTATION
#include "../nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIDE        4
#define CELLS       (SIDE * SIDE)
#define ACTIONS     4
#define STEPS       50 /* an episode ends after so many steps */
#define EPISODES    3000
#define BATCH       10  /* episodes for each update */
#define REPORT      250 /* episodes for each line printed */
#define SLIP        0.1
#define STEP_REWARD -0.04
#define DISCOUNT    0.95

static const char map[] = "S..."
                          ".#.X"
                          "...."
                          "X..G";
static const char arrows[] = "^>v<";

/* The states, actions and rewards of one episode. */
typedef struct episode {
    nn_real state[STEPS][CELLS]; /* one-hot */
    int cell[STEPS], action[STEPS];
    double reward[STEPS];
    int steps;
} episode;

/* Ends the program with a message when a call of the library failed. */
static void check(nn_status status)
{
    if (status == NN_OK) return;
    fprintf(stderr, "policy_gradient: %s\n", nn_status_text(status));
    exit(1);
}

/* The next number in [0, 1) of a linear congruential generator (Knuth's MMIX). */
static double random_unit(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0; /* 2^53 */
}

/* The cell after an action. Walls and edges stop the walker: it stays in its cell. */
static int move(int cell, int action)
{
    static const int down[ACTIONS] = {-1, 0, 1, 0}, right[ACTIONS] = {0, 1, 0, -1};
    int row = cell / SIDE + down[action], column = cell % SIDE + right[action];
    if (row < 0 || row >= SIDE || column < 0 || column >= SIDE) return cell;
    return map[row * SIDE + column] == '#' ? cell : row * SIDE + column;
}

/* Computes the probabilities of the actions in a cell; state receives the network's input. */
static void policy(const nn_model *model, int cell, nn_real *state, nn_real *probability)
{
    memset(state, 0, CELLS * sizeof *state);
    state[cell] = 1;
    check(nn_predict(model, state, 1, probability, NULL));
}

/* Plays one episode: from S to the goal, a trap, or the last step. */
static void play(const nn_model *model, episode *e, uint64_t *seed)
{
    nn_real probability[ACTIONS];
    int cell = 0, t;

    for (t = 0; t < STEPS && map[cell] != 'G' && map[cell] != 'X'; t++) {
        int action = 0;
        double left = random_unit(seed);
        policy(model, cell, e->state[t], probability);
        while (action < ACTIONS - 1 && left >= (double)probability[action])
            left -= (double)probability[action++];
        e->cell[t] = cell;
        e->action[t] = action;
        if (random_unit(seed) < SLIP) action = (int)(ACTIONS * random_unit(seed));
        cell = move(cell, action);
        e->reward[t] = map[cell] == 'G' ? 1 : map[cell] == 'X' ? -1 : STEP_REWARD;
    }
    e->steps = t;
}

/* Adds the gradient of L = -(sum over steps t of (return - baseline) * log p(action)). The
   discounted return is r[t] + DISCOUNT * r[t + 1] + ...; the baseline of a cell is the mean of all
   its returns so far. Gives the return of the whole episode. */
static double add_gradient(nn_trainer *trainer, const episode *e, double *baseline, int *visits)
{
    static nn_real dy[STEPS * ACTIONS]; /* dL/dp: not zero for the chosen actions only */
    const nn_real *p;
    double sum = 0;
    int t;

    check(nn_forward(trainer, e->state[0], e->steps, &p));
    memset(dy, 0, sizeof dy);
    for (t = e->steps - 1; t >= 0; t--) {
        int cell = e->cell[t], taken = t * ACTIONS + e->action[t];
        sum = e->reward[t] + DISCOUNT * sum;
        dy[taken] = (nn_real)(-(sum - baseline[cell]) / (double)p[taken]);
        baseline[cell] += (sum - baseline[cell]) / ++visits[cell];
    }
    check(nn_backward(trainer, dy, NULL));
    return sum;
}

/* Prints the map with the most probable action in each free cell. */
static void print_policy(const nn_model *model)
{
    nn_real state[CELLS], probability[ACTIONS];
    int cell, action, best;

    for (cell = 0; cell < CELLS; cell++) {
        policy(model, cell, state, probability);
        for (best = 0, action = 1; action < ACTIONS; action++)
            if (probability[action] > probability[best]) best = action;
        printf(" %c%s", strchr("#XG", map[cell]) ? map[cell] : arrows[best],
               cell % SIDE == SIDE - 1 ? "\n" : "");
    }
}

int main(void)
{
    const nn_layer layers[] = {NN_DENSE(32, NN_TANH), NN_DENSE(ACTIONS, NN_SOFTMAX)};
    static episode e;
    static double baseline[CELLS];
    static int visits[CELLS];
    double total = 0;
    uint64_t seed = 1;
    nn_options how;
    nn_model *model;
    nn_trainer *trainer;
    int n;

    memset(&how, 0, sizeof how); /* zero means default; this program does not use the loss */
    how.optimizer = NN_ADAM;
    how.learning_rate = 0.01f;
    how.batch_size = STEPS; /* nn_forward takes at most so many rows */

    check(nn_model_create(&model, CELLS, layers, 2, 1)); /* 2 layers, seed 1 */
    check(nn_trainer_create(&trainer, model, &how));

    for (n = 1; n <= EPISODES; n++) {
        play(model, &e, &seed);
        total += add_gradient(trainer, &e, baseline, visits);
        if (n % BATCH == 0) check(nn_update(trainer)); /* uses the sum of the gradients */
        if (n % REPORT == 0) {
            printf("episodes %4d to %4d: mean return %6.3f\n", n - REPORT + 1, n, total / REPORT);
            total = 0;
        }
    }
    printf("\nmost probable actions:\n");
    print_policy(model);
    nn_trainer_free(trainer);
    nn_model_free(model);
    return 0;
}
