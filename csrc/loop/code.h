/* The memory of emitted code: what emit.c asks of pages.c. */
#ifndef FT_LOOP_CODE_H
#define FT_LOOP_CODE_H
#include "../loop.h"

int ft_code_room(ft_code *, int64_t more);      /* 0, or -1 if there is no memory */
void *ft_code_scratch(int64_t size);
void ft_code_release(void *);
long long ft_rig_code(long long k);             /* the k-th request from now fails; returns what was left */
#endif
