/* Matrix products: of matrices through NumPy's own inner loop, which calls its BLAS; of a matrix and a
 * vector here, at the speed of memory, where BLAS takes a quarter as long again, and with the checksum
 * of a held matrix taken on the way.
 */
#include <fenv.h>
#include "../vm.h"

/* Four rows by a vector. A sum has four interleaved parts, and the rest is added one by one. Vectors of
 * 32 bytes: where numbers lie as NumPy puts them, 16 bytes off a cache line, every load of 64 bytes would
 * touch two. */
#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
static void four_dots(double *y, const double *p, int64_t step, const double *v, int64_t n) {
    const double *q = p + step, *r = q + step, *t = r + step;
    __m256d a = _mm256_setzero_pd(), b = a, c = a, d = a;
    double s[4][4];
    int64_t k = 0;
    for (; k + 4 <= n; k += 4) {
        __m256d x = _mm256_loadu_pd(v + k);
        a = _mm256_fmadd_pd(_mm256_loadu_pd(p + k), x, a);
        b = _mm256_fmadd_pd(_mm256_loadu_pd(q + k), x, b);
        c = _mm256_fmadd_pd(_mm256_loadu_pd(r + k), x, c);
        d = _mm256_fmadd_pd(_mm256_loadu_pd(t + k), x, d);
    }
    _mm256_storeu_pd(s[0], a);
    _mm256_storeu_pd(s[1], b);
    _mm256_storeu_pd(s[2], c);
    _mm256_storeu_pd(s[3], d);
    for (int i = 0; i < 4; i++) y[i] = (s[i][0] + s[i][2]) + (s[i][1] + s[i][3]);
    for (; k < n; k++)
        for (int i = 0; i < 4; i++) y[i] = FT_FMA(p[i * step + k], v[k], y[i]);
}
#else
static void four_dots(double *y, const double *p, int64_t step, const double *v, int64_t n) {
    for (int i = 0; i < 4; i++, p += step) {
        double s[4] = {0};
        int64_t k = 0;
        for (; k + 4 <= n; k += 4)
            for (int j = 0; j < 4; j++) s[j] = FT_FMA(p[k + j], v[k + j], s[j]);
        y[i] = (s[0] + s[2]) + (s[1] + s[3]);
        for (; k < n; k++) y[i] = FT_FMA(p[k], v[k], y[i]);
    }
}
#endif

/* y = M v */
static void rows_times_vector(double *y, const double *m, int64_t step, const double *v, int64_t rows, int64_t n) {
    double last[4];
    for (; rows >= 4; rows -= 4, m += 4 * step, y += 4) four_dots(y, m, step, v, n);
    for (; rows > 0; rows--, m += step) {
        four_dots(last, m, 0, v, n);
        *y++ = last[0];
    }
}

/* y += v M: row after row. */
#if defined(__AVX512F__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target("prefer-vector-width=256")))
#endif
static void vector_times_rows(double *restrict y, const double *restrict m, int64_t step, const double *restrict v,
                              int64_t rows, int64_t n) {
    for (int64_t c = 0; c < n; c += 1024) {     /* columns of y that stay in L1 */
        int64_t width = n - c < 1024 ? n - c : 1024, i = 0;
        const double *p = m + c;
        double *restrict z = y + c;
        for (; i + 8 <= rows; i += 8, p += 8 * step)
            for (int64_t j = 0; j < width; j++) {
                double s = z[j];
                for (int r = 0; r < 8; r++) s = FT_FMA(v[i + r], p[r * step + j], s);
                z[j] = s;
            }
        for (; i < rows; i++, p += step)
            for (int64_t j = 0; j < width; j++) z[j] = FT_FMA(v[i], p[j], z[j]);
    }
}

enum { ROWS_BYTES = 1 << 13 };  /* of a held matrix between two steps of its checksum: they stay in L1 */

/* y = a @ b where one of them is a vector and the other lies row by row or column by column; 0 if not
 * so. Strides in elements; dims are m, k, n. The matrix may be one that is watched. */
static int matvec(ft_watch *w, int64_t n_watch, double *y, const double *a, const double *b, const int64_t *dims,
                  const int64_t *sa, const int64_t *sb) {
    int64_t k = dims[1], rows, n, step;
    const double *matrix, *v;
    int dot;
    if (dims[2] == 1 && (sb[0] == 1 || k == 1)) {           /* M v */
        matrix = a;
        v = b;
        dot = sa[1] == 1 || k == 1;
        if (!dot && sa[0] != 1) return 0;
        rows = dot ? dims[0] : k;
        n = dot ? k : dims[0];
        step = dot ? sa[0] : sa[1];
    } else if (dims[0] == 1 && (sa[1] == 1 || k == 1)) {    /* v M */
        matrix = b;
        v = a;
        dot = sb[0] == 1;
        if (!dot && sb[1] != 1) return 0;
        rows = dot ? dims[2] : k;
        n = dot ? k : dims[2];
        step = dot ? sb[1] : sb[0];
    } else return 0;
    ft_watch *end = w + n_watch;
    while (w < end && (w->at != 0 || w->data != (const char *)matrix || w->size != rows * n * 8)) w++;
    int64_t chunk = w < end && step == n ? (ROWS_BYTES / (n * 8) & ~7) + 8 : rows;
    if (!dot) memset(y, 0, (size_t)n * 8);
    for (int64_t i = 0; i < rows; i += chunk) {
        int64_t some = rows - i < chunk ? rows - i : chunk;
        if (chunk < rows) check_upto(w, (i + some) * n * 8);
        if (dot) rows_times_vector(y + i, matrix + i * step, step, v, some, n);
        else vector_times_rows(y, matrix + i * step, step, v + i, some, n);
    }
    return 1;
}

/* y (contiguous) = a @ b over broadcast leading axes; strides in elements, 0 along a broadcast axis.
 * `dims` are the leading extents of y, then m, k, n. */
static void matmul(const ft_library *lib, char *y, const char *a, const char *b, int f32, int lead,
                   const int64_t *dims, const int64_t *sa, const int64_t *sb) {
    int64_t size = f32 ? 4 : 8, m = dims[lead], k = dims[lead + 1], n = dims[lead + 2];
    int64_t index[FT_MAX_DIMS] = {0}, inner = lead ? dims[lead - 1] : 1, total = 1;
    ptrdiff_t count[4] = {inner, m, k, n};
    ptrdiff_t step[9] = {lead ? sa[lead - 1] * size : 0, lead ? sb[lead - 1] * size : 0, m * n * size,
                         sa[lead] * size, sa[lead + 1] * size, sb[lead] * size, sb[lead + 1] * size,
                         n * size, size};
    for (int i = 0; i < lead; i++) total *= dims[i];
    if (total * m * n == 0) return;
    for (;;) {
        char *args[3] = {(char *)a, (char *)b, y};
        lib->matmul[f32](args, count, step, lib->matmul_data[f32]);
        y += inner * m * n * size;
        int i = lead - 2;
        for (; i >= 0; i--) {
            a += sa[i] * size;
            b += sb[i] * size;
            if (++index[i] < dims[i]) break;
            a -= sa[i] * dims[i] * size;
            b -= sb[i] * dims[i] * size;
            index[i] = 0;
        }
        if (i < 0) break;
    }
    feclearexcept(FE_ALL_EXCEPT);
}
