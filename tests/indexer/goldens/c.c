/* Orders and what they cost. */

#include <stdio.h>
#include <stdlib.h>
#include "order.h"

#define LIMIT 100
#define MAX(a, b) ((a) > (b) ? (a) : (b))

typedef struct {
    const char *name;
    long cents;
} line_t;

struct order {
    line_t lines[LIMIT];
    size_t count;
    int open;
};

static const double RATES[] = {
    0.2,
    0.1,
    0.05,
    0.0,
};

static int is_open(const struct order *o) { return o->open; }

/* Appends a line; -1 if the order is full or closed. */
int order_add(struct order *o, line_t line)
{
    size_t total = o->count;
    if (!is_open(o)) {
        return -1;
    }
    if (total >= LIMIT) {
        return -1;
    }
    o->lines[total] = line;
    o->count = total + 1;
    return 0;
}

double
order_sum(const struct order *o, int rate)
{
    double total = 0;
    for (size_t i = 0; i < o->count; i++) {
        total += o->lines[i].cents * (1 + RATES[rate]);
    }
    return MAX(total, 0);
}

#ifdef ORDER_MAIN
int main(int argc, char **argv)
{
    struct order *total = calloc(1, sizeof *total);
    if (total == NULL) {
        perror("calloc");
        return EXIT_FAILURE;
    }
    total->open = 1;
    for (int i = 1; i < argc; i++) {
        order_add(total, (line_t){argv[i], 100});
    }
    printf("%f\n", order_sum(total, 0));
    free(total);
    return EXIT_SUCCESS;
}
#endif
