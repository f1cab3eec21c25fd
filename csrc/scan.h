/* Loops whose body is a kept plan, and their reversal: steps in order, values handed from each to the next.
 *
 * What is handed on lies in records: the state (of the loop), the sweep (what the reversal hands back) and the
 * data (what a step leaves for its own reversal), the sums (of the sweep what is only added to, and stays where it
 * is). A body's arguments and results are ports: places of the call,
 * parts of records, or the slices of arrays that belong to a step. In which order steps are run, which states
 * are kept and where, a schedule says, row by row.
 */
#ifndef FT_SCAN_H
#define FT_SCAN_H
#include "vm.h"

enum { FT_P_STATE, FT_P_SWEEP, FT_P_DATA, FT_P_SUM, FT_P_SLICE, FT_P_PLACE, FT_P_NONE };
enum { FT_RECORDS = 3 };

typedef struct {
    int32_t kind;
    int32_t narrow;             /* a number in an array of float32 */
    int64_t at;                 /* of a record: bytes from its start; else the place */
    int64_t size;               /* bytes: of a slice, of a part of a record */
} ft_port;

/* A body of numbers alone, as a loop over steps (loop.h), whose carries are the numbers of a record. */
typedef struct {
    const ft_loop *loop;        /* NULL: there is none */
    ft_loop_fn code;            /* NULL: interpreted */
    const ft_port *stream;
    double *values;
} ft_steps;

/* A pointer of a body's plan that differs from step to step: into a record, `base` being its kind, of those that are
 * written FT_RECORDS more; or into a slice. */
typedef struct {
    char **at;
    int64_t delta, size;
    int32_t base, place;
} ft_patch;

typedef struct {
    ft_call *call;              /* NULL: there is no such body */
    const ft_port *in, *out;    /* a port for each of its arguments and results */
    const ft_patch *patch;      /* those into records, then those into slices */
    int64_t n_record_patch, n_patch;
    const int32_t *number;      /* arguments that are numbers and differ from step to step */
    const int32_t *copied;      /* results that are not computed where they belong */
    int64_t n_number, n_copied;
    int64_t work;
    ft_steps steps;
} ft_body;

/* Rows of a schedule: kind, start or step, stop, slot, flags, 0. */
enum { FT_ADVANCE, FT_SNAPSHOT, FT_RESTORE, FT_TURN, FT_REVERSE, FT_ROW = 6 };
enum { FT_KEEP = 1, FT_DISK = 2, FT_DATA = 4, FT_FREE = 8 };

enum { FT_GO_ON, FT_RESTART, FT_ENDED };            /* what is asked of `feed`; ended: an open loop is */
enum { FT_E_NONE, FT_E_MEMORY, FT_E_FEED, FT_E_ROW, FT_E_WRITE, FT_E_READ, FT_E_DAMAGED };

typedef struct {
    char *p;                    /* in memory */
    int64_t cap, step;
    int32_t holds;              /* 0: nothing; 1: a state; 2: data */
} ft_slot;

/* A run of a schedule: what a loop begins and its reversal ends. */
typedef struct ft_store {
    int64_t length;             /* of an open loop: as it turned out */
    int64_t state_size, data_size;
    int64_t go;                 /* of an open loop: where in the state the number is that ends it by being 0; -1: none */
    int light;                  /* the data of a step is the state before it */
    char *state[2], *now;       /* the current state lies in one of two records, the next goes to the other */
    int64_t at;                 /* its number */
    char *work;                 /* records of data of n_work steps from `from` on */
    int64_t cap_work, from, n_work;
    ft_slot *slot[2];           /* in memory, on disk */
    int64_t n_slot[2];
    const char *folder;         /* of files, ends in a separator */
    const int64_t *row;
    int64_t n_row, next;
    int (*feed)(struct ft_store *, int what);       /* sets row and n_row, none at the end; not 0: it failed */
    void *feeder;
    int64_t tag;                /* whose data this is */
    int64_t back_to;            /* steps from here on have been reversed */
    int64_t k;                  /* steps of the row that are done */
    int open;                   /* the end of the loop is not known yet */
    int turned, inside;         /* turned: the forward sweep is over, and nothing is reversed yet */
    int64_t steps;              /* forward steps that were run */
    int error, os_error;
    int64_t error_step;
} ft_store;

typedef struct {
    ft_body step, keep, back;   /* keep: a step that leaves data; back: of a reversal alone */
    const ft_port *first;       /* by place among the arguments: where in a record it goes at the beginning */
    const ft_port *last;        /* by place among the results: where in a record it comes from at the end */
    int64_t n_first, n_last, sweep_size;
    int64_t place_of_store;     /* of a loop: the result that the store goes to; of a reversal: the argument */
    ft_store store;             /* of a loop; of a reversal: its own, if it is given none */
    char *sweep[2], *behind;    /* two records, which take turns */
    char *sums;
    ft_store *used;             /* while a reversal runs */
    int phase, scheduled;       /* scheduled: a store is wanted */
} ft_scan;

int ft_scan_forward(ft_call *, const ft_vm *, const ft_library *, const ft_step *place, int begun);
int ft_scan_reverse(ft_call *, const ft_vm *, const ft_library *, const ft_step *place, int begun);
int64_t ft_steps_run(void);              /* forward steps of all loops so far, counted where they are run */
int64_t ft_snapshots_held(int64_t *most); /* by all loops; and the most that were since this was asked before */
void ft_store_clear(ft_store *);        /* what its slots hold is forgotten, files are removed */
void ft_store_drop(ft_store *);         /* its memory too */
#endif
