/* Loops whose body is a kept plan, and their reversal: steps in order, values handed from each to the next.
 *
 * What is handed on lies in records: the state (of the loop), the sweep (what the reversal hands back) and the
 * data (what a step leaves for its own reversal). A body's arguments and results are ports: places of the call,
 * parts of records, or the slices of arrays that belong to a step.
 */
#ifndef FT_SCAN_H
#define FT_SCAN_H
#include "vm.h"

enum { FT_P_STATE, FT_P_SWEEP, FT_P_DATA, FT_P_SLICE, FT_P_PLACE, FT_P_NONE };
enum { FT_RECORDS = 3 };

typedef struct {
    int32_t kind;
    int32_t narrow;             /* a number in an array of float32 */
    int64_t at;                 /* of a record: bytes from its start; else the place */
    int64_t size;               /* bytes: of a slice, of a part of a record */
} ft_port;

typedef struct {
    ft_call *call;              /* NULL: there is none */
    const ft_port *in, *out;    /* a port for each of its arguments and results */
    int64_t work;
} ft_body;

typedef struct {                /* what a loop leaves for its reversal */
    char *state;                /* records of the states 0, 1, ... */
    int64_t cap;
    int64_t length;             /* steps that were run; -1: nothing is left */
} ft_store;

typedef struct {
    int64_t length;
    ft_body step, back;         /* back: of a reversal alone */
    const ft_port *first;       /* by place among the arguments: where in a record it goes at the beginning */
    const ft_port *last;        /* by place among the results: where in a record it comes from at the end */
    int64_t n_first, n_last;
    int64_t state_size, sweep_size;
    int64_t place_of_store;     /* of a loop: the result that the store goes to; of a reversal: the argument */
    ft_store store;             /* of a loop; of a reversal: its own, if it is given none */
    char *state[2], *sweep[2];  /* two records each, which take turns */
    /* while it runs */
    const ft_store *given;
    int64_t k;                  /* steps that are done, forward or back */
    int phase, inside;
} ft_scan;

int ft_scan_forward(ft_call *, const ft_vm *, const ft_library *, const ft_step *place, int begun);
int ft_scan_reverse(ft_call *, const ft_vm *, const ft_library *, const ft_step *place, int begun);
void ft_scan_drop(ft_scan *);
#endif
