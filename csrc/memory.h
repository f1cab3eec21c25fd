/* Arrays that grow. On Linux a large one is a mapping of its own, which grows without being copied and
 * asks for huge pages: a tape is written front to back, and its page faults would cost more than the
 * recording itself. Elsewhere, and for small arrays, it is malloc's. */
#ifndef FT_MEMORY_H
#define FT_MEMORY_H
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(_MSC_VER)
#include <intrin.h>
#endif

#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { FT_LARGE = 4 << 20, FT_PAGE = 1 << 16 };

/* Tests make one allocation fail: the ft_rigged-th from now, or none if 0. */
static long long ft_rigged = 0;
static inline int ft_fails(void) { return ft_rigged > 0 && --ft_rigged == 0; }

static inline void *ft_allocate(size_t n) { return ft_fails() ? NULL : malloc(n); }

/* Counters that all threads share. */
static inline void ft_count(int64_t *at, int64_t n) {
#if defined(_MSC_VER)
    _InterlockedExchangeAdd64(at, n);
#else
    __atomic_fetch_add(at, n, __ATOMIC_RELAXED);
#endif
}

static inline int64_t ft_counted(int64_t *at) {
#if defined(_MSC_VER)
    return _InterlockedExchangeAdd64(at, 0);
#else
    return __atomic_load_n(at, __ATOMIC_RELAXED);
#endif
}

static inline void ft_raise(int64_t *most, int64_t n) {
    int64_t old = ft_counted(most);
#if defined(_MSC_VER)
    for (int64_t seen; n > old && (seen = _InterlockedCompareExchange64(most, n, old)) != old; old = seen) {}
#else
    while (n > old && !__atomic_compare_exchange_n(most, &old, n, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
#endif
}

static inline size_t ft_pages(size_t n) { return (n + FT_PAGE - 1) & ~(size_t)(FT_PAGE - 1); }

static inline void ft_free_array(void *p, size_t n) {
#if defined(__linux__)
    if (n >= FT_LARGE) {
        munmap(p, ft_pages(n));
        return;
    }
#endif
    (void)n;
    free(p);
}

/* An array of `want` bytes with the contents of p, which had `have`; NULL, and p as it was, on failure. */
static inline void *ft_grow_array(void *p, size_t have, size_t want) {
    if (ft_fails()) return NULL;
#if defined(__linux__)
    if (want >= FT_LARGE) {
        void *q;
        if (have >= FT_LARGE) {
            q = mremap(p, ft_pages(have), ft_pages(want), MREMAP_MAYMOVE);
            return q == MAP_FAILED ? NULL : q;
        }
        q = mmap(NULL, ft_pages(want), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (q == MAP_FAILED) return NULL;
        madvise(q, ft_pages(want), MADV_HUGEPAGE);
        if (p) memcpy(q, p, have);
        free(p);
        return q;
    }
#endif
    (void)have;
    return realloc(p, want);
}
#endif
