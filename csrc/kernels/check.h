/* A checksum of memory that is held, not copied: any one changed word changes it. It can be taken bit
 * by bit, so that a kernel which reads the memory anyway takes it on the way, from the cache. */
#include "../vm.h"

enum { CHECK_WORDS = sizeof ((ft_watch *)0)->sum / 8 };

static inline uint64_t turned(uint64_t x, int k) { return x << k | x >> (64 - k); }

/* Rotated between additions, so that a change of all elements alike (x *= 2, x *= -1) does not cancel
 * out as it does in a plain sum. */
static void check_words(ft_watch *w, const uint64_t *p, int64_t n) {
    uint64_t sum[CHECK_WORDS];                              /* kept in registers */
    memcpy(sum, w->sum, sizeof sum);
    for (int64_t i = 0; i + CHECK_WORDS <= n; i += CHECK_WORDS)
        for (int j = 0; j < CHECK_WORDS; j++) sum[j] = turned(sum[j] + p[i + j], 29);
    memcpy(w->sum, sum, sizeof sum);
}

static void check_odd(ft_watch *w, int64_t bytes) {         /* less than a row of words */
    uint64_t row[CHECK_WORDS] = {0};
    memcpy(row, w->data + w->at, (size_t)bytes);
    check_words(w, row, CHECK_WORDS);
    w->at += bytes;
}

/* Take the checksum of at least the first `upto` bytes but what falls short of a full row of words,
 * rows beginning where a cache line does. */
static void check_upto(ft_watch *w, int64_t upto) {
    int64_t row = CHECK_WORDS * 8, head = -(intptr_t)w->data & 63, rows;
    if (upto > w->size) upto = w->size;
    if (w->at == 0 && head && head <= upto) check_odd(w, head);
    rows = (upto - w->at) / row;
    if (rows > 0) {
        check_words(w, (const uint64_t *)(w->data + w->at), rows * CHECK_WORDS);
        w->at += rows * row;
    }
    if (upto == w->size && w->at < upto) check_odd(w, upto - w->at);
}
