/* Moving elements between strided regions and contiguous memory, and between rows and places. */
#include "../vm.h"

/* Walk elements [start, start + n) of a region in C order, as inner lines: BODY sees `p`, the first
 * element of the line in the region, `q`, the offset in contiguous memory, `m` elements, `s` their
 * stride in the region. Offsets and strides count elements. */
#define WALK(ndim, dims, strides, start, n, BODY) do { \
    int64_t index_[FT_MAX_DIMS], rest_ = (start), left_ = (n), p = 0, q = 0; \
    int last_ = (ndim) - 1; \
    if (left_ <= 0) break; \
    if (last_ < 0) { int64_t m = 1, s = 1; (void)s; (void)m; BODY; break; } \
    for (int k_ = last_; k_ >= 0; k_--) { \
        index_[k_] = rest_ % (dims)[k_]; rest_ /= (dims)[k_]; p += index_[k_] * (strides)[k_]; \
    } \
    for (;;) { \
        int64_t m = (dims)[last_] - index_[last_], s = (strides)[last_]; \
        if (m > left_) m = left_; \
        BODY; \
        left_ -= m; q += m; \
        if (left_ <= 0) break; \
        p -= index_[last_] * s; index_[last_] = 0; \
        int k_ = last_ - 1; \
        for (; k_ >= 0; k_--) { \
            p += (strides)[k_]; \
            if (++index_[k_] < (dims)[k_]) break; \
            p -= (strides)[k_] * (dims)[k_]; index_[k_] = 0; \
        } \
    } } while (0)

#define REGION_KERNELS(T, suffix) \
    /* read, where the axes are one line along memory and one across it; 0 where it is otherwise */ \
    static int turn_##suffix(T *y, const T *a, int ndim, const int64_t *dims, const int64_t *strides, int64_t start, int64_t n) { \
        int64_t m = dims[ndim - 1], s = strides[ndim - 1], i, j; \
        int k = ndim - 2; \
        if (s == 1 || n <= 0) return 0; \
        for (; k > 0 && strides[k] == m * s; k--) m *= dims[k]; \
        if (k == 0 && strides[0] == 1 && m > 1) { \
            for (i = start / m, j = start % m; j && n; n--) { \
                *y++ = a[i + j * s]; \
                if (++j == m) i++, j = 0; \
            } \
            weave_##suffix(y, a + i, s, m, n / m); \
            i += n / m; \
            y += n / m * m; \
            for (j = 0; j < n % m; j++) y[j] = a[i + j * s]; \
            return 1; \
        } \
        for (k = ndim - 2, m = 1; k >= 0 && strides[k] == m; k--) m *= dims[k]; \
        if (k >= 0 || start || n != m * dims[ndim - 1]) return 0; \
        unweave_##suffix(y, a, s, m, dims[ndim - 1]); \
        return 1; \
    } \
    /* contiguous y = region of a, from element `start` of the region */ \
    static void read_##suffix(T *y, const T *a, int ndim, const int64_t *dims, const int64_t *strides, int64_t start, int64_t n) { \
        if (ndim > 1 && turn_##suffix(y, a, ndim, dims, strides, start, n)) return; \
        WALK(ndim, dims, strides, start, n, { \
            const T *from = a + p; T *to = y + q; \
            if (s == 1) { if (m < 16) for (int64_t j = 0; j < m; j++) to[j] = from[j]; else memcpy(to, from, (size_t)m * sizeof(T)); } \
            else if (s == 0) { T v = *from; for (int64_t j = 0; j < m; j++) to[j] = v; } \
            else for (int64_t j = 0; j < m; j++) to[j] = from[j * s]; }); \
    } \
    /* region of y = a, or one value of a throughout */ \
    static void write_##suffix(T *y, const T *a, int spread, int ndim, const int64_t *dims, const int64_t *strides, int64_t n) { \
        WALK(ndim, dims, strides, 0, n, { \
            T *to = y + p; const T *from = a + q; \
            if (spread) for (int64_t j = 0; j < m; j++) to[j * s] = *a; \
            else if (s == 1) memmove(to, from, (size_t)m * sizeof(T)); \
            else for (int64_t j = 0; j < m; j++) to[j * s] = from[j]; }); \
    } \
    /* region of y += a */ \
    static void add_##suffix(T *y, const T *a, int ndim, const int64_t *dims, const int64_t *strides, int64_t n) { \
        WALK(ndim, dims, strides, 0, n, { \
            T *to = y + p; const T *from = a + q; \
            if (s == 1) { FT_LOOP for (int64_t j = 0; j < m; j++) to[j] += from[j]; } \
            else for (int64_t j = 0; j < m; j++) to[j * s] += from[j]; }); \
    } \
    /* rows of `row` elements: y[i] = a[place[i]] */ \
    static void take_##suffix(T *y, const T *a, const int64_t *place, int64_t n, int64_t row) { \
        if (row == 1) for (int64_t i = 0; i < n; i++) y[i] = a[place[i]]; \
        else for (int64_t i = 0; i < n; i++) memcpy(y + i * row, a + place[i] * row, (size_t)row * sizeof(T)); \
    } \
    /* y[place[i]] += a[i] */ \
    static void put_add_##suffix(T *y, const T *a, const int64_t *place, int64_t n, int64_t row) { \
        for (int64_t i = 0; i < n; i++) { \
            T *to = y + place[i] * row; const T *from = a + i * row; \
            for (int64_t j = 0; j < row; j++) to[j] += from[j]; \
        } \
    }
REGION_KERNELS(double, d)
REGION_KERNELS(float, s)
