/* Rows to columns and back, a square tile of vectors at a time: what lies lane by lane in memory, and what
 * is computed row by row. */
#include "../vm.h"

#if defined(__GNUC__)
#define FT_WILL_WRITE(p) __builtin_prefetch(p, 1)
#define FT_WILL_TOUCH(p) __builtin_prefetch(p, 0, 3)
#else
#define FT_WILL_WRITE(p) ((void)(p))
#define FT_WILL_TOUCH(p) ((void)(p))
#endif

enum { FT_TURN_BLOCK = 8 };     /* columns between two groups of rows: what is written goes along memory */
enum { FT_AHEAD = 4096 };       /* bytes: how far before it is written memory is asked for. Its latency took a third of the time */

#if defined(__AVX512F__) && defined(__GNUC__)
#include <immintrin.h>
enum { FT_TILE = 8 };
typedef __m512d ft_tile_row;

static inline ft_tile_row tile_read(const double *p, int n) {
    return n == FT_TILE ? _mm512_loadu_pd(p) : _mm512_maskz_loadu_pd((__mmask8)((1 << n) - 1), p);
}
static inline void tile_write(double *p, ft_tile_row v, int n) {
    if (n == FT_TILE) _mm512_storeu_pd(p, v);
    else _mm512_mask_storeu_pd(p, (__mmask8)((1 << n) - 1), v);
}
static inline void tile_turn(ft_tile_row *v) {
    ft_tile_row t[8];
    for (int k = 0; k < 8; k += 2) {            /* pairs, then fours, then eights */
        t[k] = _mm512_unpacklo_pd(v[k], v[k + 1]);
        t[k + 1] = _mm512_unpackhi_pd(v[k], v[k + 1]);
    }
    for (int k = 0; k < 8; k += 4)
        for (int j = 0; j < 2; j++) {
            v[k + j] = _mm512_shuffle_f64x2(t[k + j], t[k + j + 2], 0x88);
            v[k + j + 2] = _mm512_shuffle_f64x2(t[k + j], t[k + j + 2], 0xdd);
        }
    for (int j = 0; j < 4; j++) {
        t[j] = _mm512_shuffle_f64x2(v[j], v[j + 4], 0x88);
        t[j + 4] = _mm512_shuffle_f64x2(v[j], v[j + 4], 0xdd);
    }
    for (int k = 0; k < 8; k++) v[k] = t[k];
}
#elif defined(__AVX2__) && defined(__GNUC__)
#include <immintrin.h>
enum { FT_TILE = 4 };
typedef __m256d ft_tile_row;

static inline __m256i tile_mask(int n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
static inline ft_tile_row tile_read(const double *p, int n) {
    return n == FT_TILE ? _mm256_loadu_pd(p) : _mm256_maskload_pd(p, tile_mask(n));
}
static inline void tile_write(double *p, ft_tile_row v, int n) {
    if (n == FT_TILE) _mm256_storeu_pd(p, v);
    else _mm256_maskstore_pd(p, tile_mask(n), v);
}
static inline void tile_turn(ft_tile_row *v) {
    ft_tile_row a = _mm256_unpacklo_pd(v[0], v[1]), b = _mm256_unpackhi_pd(v[0], v[1]);
    ft_tile_row c = _mm256_unpacklo_pd(v[2], v[3]), d = _mm256_unpackhi_pd(v[2], v[3]);
    v[0] = _mm256_permute2f128_pd(a, c, 0x20);
    v[1] = _mm256_permute2f128_pd(b, d, 0x20);
    v[2] = _mm256_permute2f128_pd(a, c, 0x31);
    v[3] = _mm256_permute2f128_pd(b, d, 0x31);
}
#else
enum { FT_TILE = 8 };           /* lines of memory that are read or written side by side */
#endif

/* y[i * step + j] = row[j][i * move[j]] for FT_TILE columns j, of which `width` are written, and n numbers i from `begin` on;
 * y is where they go. Where move[j] is 0, row[j] has the number FT_TILE times. */
static void weave_group_d(double *restrict y, int64_t step, const double *const *row, const int64_t *move, int width, int64_t begin, int64_t n) {
    int64_t i = 0;
#if defined(__AVX2__) && defined(__GNUC__)
    for (; i + FT_TILE <= n; i += FT_TILE) {
        ft_tile_row v[FT_TILE];
        for (int j = 0; j < FT_TILE; j++) v[j] = tile_read(row[j] + (begin + i) * move[j], FT_TILE);
        tile_turn(v);
        for (int j = 0; j < FT_TILE; j++) tile_write(y + (i + j) * step, v[j], width);
    }
#endif
    for (; i < n; i++)
        for (int j = 0; j < width; j++) y[i * step + j] = row[j][(begin + i) * move[j]];
}

/* y[j * n_row + i] = a[i * step + j] for i < n, j < width <= FT_TILE */
static void unweave_group_d(double *restrict y, int64_t n_row, const double *restrict a, int64_t step, int width, int64_t n) {
    int64_t i = 0;
#if defined(__AVX2__) && defined(__GNUC__)
    for (; i + FT_TILE <= n; i += FT_TILE) {
        ft_tile_row v[FT_TILE];
        for (int j = 0; j < FT_TILE; j++) v[j] = tile_read(a + (i + j) * step, width);
        tile_turn(v);
        for (int j = 0; j < width; j++) tile_write(y + j * n_row + i, v[j], FT_TILE);
    }
#endif
    for (; i < n; i++)
        for (int j = 0; j < width; j++) y[j * n_row + i] = a[i * step + j];
}

static void weave_group_s(float *restrict y, int64_t step, const float *const *row, const int64_t *move, int width, int64_t begin, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < width; j++) y[i * step + j] = row[j][(begin + i) * move[j]];
}

static void unweave_group_s(float *restrict y, int64_t n_row, const float *restrict a, int64_t step, int width, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < width; j++) y[j * n_row + i] = a[i * step + j];
}

/* y[j * n_row + i] = a[place[i] * m + j] for i < n, j < width <= FT_TILE */
static void pick_group_d(double *restrict y, int64_t n_row, const double *restrict a, const int64_t *place, int64_t m, int width, int64_t n) {
    int64_t i = 0;
#if defined(__AVX2__) && defined(__GNUC__)
    for (; i + FT_TILE <= n; i += FT_TILE) {
        ft_tile_row v[FT_TILE];
        for (int j = 0; j < FT_TILE; j++) v[j] = tile_read(a + place[i + j] * m, width);
        tile_turn(v);
        for (int j = 0; j < width; j++) tile_write(y + j * n_row + i, v[j], FT_TILE);
    }
#endif
    for (; i < n; i++)
        for (int j = 0; j < width; j++) y[j * n_row + i] = a[place[i] * m + j];
}

static void pick_group_s(float *restrict y, int64_t n_row, const float *restrict a, const int64_t *place, int64_t m, int width, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < width; j++) y[j * n_row + i] = a[place[i] * m + j];
}

#define TURN_KERNELS(T, suffix) \
    /* n rows of m elements from m rows: y[i * m + j] = row[j][i * move[j]]. There are FT_TILE more of row and move. */ \
    static void weave_rows_##suffix(T *y, const T *const *row, const int64_t *move, int64_t m, int64_t n) { \
        for (int64_t i = 0; i < n; i += FT_TURN_BLOCK) { \
            const char *ahead = (const char *)(y + i * m) + FT_AHEAD; \
            for (int64_t k = 0; k < FT_TURN_BLOCK * m * (int64_t)sizeof(T); k += 64) FT_WILL_WRITE(ahead + k); \
            for (int64_t j = 0; j < m; j += FT_TILE) \
                weave_group_##suffix(y + i * m + j, m, row + j, move + j, m - j < FT_TILE ? (int)(m - j) : FT_TILE, i, \
                                     n - i < FT_TURN_BLOCK ? n - i : FT_TURN_BLOCK); \
        } \
    } \
    /* the same from rows that lie s elements apart: y[i * m + j] = a[i + j * s] */ \
    static void weave_##suffix(T *y, const T *a, int64_t s, int64_t m, int64_t n) { \
        const T *row[FT_TILE]; \
        int64_t move[FT_TILE]; \
        for (int64_t i = 0; i < n; i += FT_TURN_BLOCK) \
            for (int64_t j = 0; j < m; j += FT_TILE) { \
                int width = m - j < FT_TILE ? (int)(m - j) : FT_TILE; \
                for (int k = 0; k < FT_TILE; k++) row[k] = a + (j + (k < width ? k : 0)) * s, move[k] = 1; \
                weave_group_##suffix(y + i * m + j, m, row, move, width, i, n - i < FT_TURN_BLOCK ? n - i : FT_TURN_BLOCK); \
            } \
    } \
    /* m rows of n elements from n rows, which lie s elements apart: y[j * n + i] = a[i * s + j] */ \
    static void unweave_##suffix(T *y, const T *a, int64_t s, int64_t m, int64_t n) { \
        for (int64_t i = 0; i < n; i += FT_TURN_BLOCK) \
            for (int64_t j = 0; j < m; j += FT_TILE) \
                unweave_group_##suffix(y + j * n + i, n, a + i * s + j, s, m - j < FT_TILE ? (int)(m - j) : FT_TILE, \
                                       n - i < FT_TURN_BLOCK ? n - i : FT_TURN_BLOCK); \
    } \
    /* m rows of n elements from the rows of a at n places, in any order: y[j * n + i] = a[place[i] * m + j] */ \
    static void pick_##suffix(T *y, const T *a, const int64_t *place, int64_t m, int64_t n) { \
        for (int64_t i = 0; i < n; i += FT_TURN_BLOCK) \
            for (int64_t j = 0; j < m; j += FT_TILE) \
                pick_group_##suffix(y + j * n + i, n, a + j, place + i, m, m - j < FT_TILE ? (int)(m - j) : FT_TILE, \
                                    n - i < FT_TURN_BLOCK ? n - i : FT_TURN_BLOCK); \
    }
TURN_KERNELS(double, d)
TURN_KERNELS(float, s)
