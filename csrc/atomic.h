/* Numbers by which threads agree: whoever reads one sees all that was written before it was changed. */
#ifndef FT_ATOMIC_H
#define FT_ATOMIC_H
#include <stdint.h>
#include <time.h>
#if defined(_MSC_VER)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#include <intrin.h>
#else
#include <sched.h>
#endif

#if defined(_MSC_VER)
static inline int64_t ft_add(int64_t *at, int64_t n) { return _InterlockedExchangeAdd64(at, n); }
static inline int64_t ft_swap(int64_t *at, int64_t n) { return _InterlockedExchange64(at, n); }
static inline int ft_change(int64_t *at, int64_t from, int64_t to) { return _InterlockedCompareExchange64(at, to, from) == from; }
static inline int64_t ft_get(int64_t *at) { return _InterlockedExchangeAdd64(at, 0); }
#else
static inline int64_t ft_add(int64_t *at, int64_t n) { return __atomic_fetch_add(at, n, __ATOMIC_SEQ_CST); }
static inline int64_t ft_swap(int64_t *at, int64_t n) { return __atomic_exchange_n(at, n, __ATOMIC_SEQ_CST); }
/* Change it if it is `from`; whether it was. */
static inline int ft_change(int64_t *at, int64_t from, int64_t to) {
    return __atomic_compare_exchange_n(at, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline int64_t ft_get(int64_t *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
#endif

/* What a thread does that waits for less than sleeping takes. */
static inline void ft_pause(void) {
#if defined(_M_X64)
    _mm_pause();
#elif defined(_M_ARM64)
    __yield();
#elif defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Let another thread run that waits for this processor. */
static inline void ft_yield(void) {
#if defined(_MSC_VER)
    SwitchToThread();
#else
    sched_yield();
#endif
}

static inline int64_t ft_nanoseconds(void) {
    struct timespec t;
#if defined(_MSC_VER)
    timespec_get(&t, TIME_UTC);
#else
    clock_gettime(CLOCK_MONOTONIC, &t);
#endif
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
#endif
