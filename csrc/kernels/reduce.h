/* Sums, maxima and minima. The order of a summation follows from the shape alone: a contiguous span
 * is cut into blocks of FT_BLOCK elements, a block is summed in 16 interleaved parts, and blocks are
 * added pairwise, so the error grows with the logarithm of the length. float32 is summed in float64.
 */

#include "../vm.h"

static double combine16(const double *s) {
    double t[8];
    for (int j = 0; j < 8; j++) t[j] = s[j] + s[j + 8];
    return ((t[0] + t[4]) + (t[2] + t[6])) + ((t[1] + t[5]) + (t[3] + t[7]));
}

#define SUM_BLOCK(T, name) \
    static double name(const T *a, int64_t n) { \
        double s[16] = {0}; \
        int64_t i = 0; \
        if (n < 16) { \
            double t = n ? a[0] : 0.0; \
            for (i = 1; i < n; i++) t += a[i]; \
            return t; \
        } \
        for (; i + 16 <= n; i += 16) \
            for (int j = 0; j < 16; j++) s[j] += a[i + j]; \
        for (int j = 0; i < n; i++, j++) s[j] += a[i]; \
        return combine16(s); \
    }
SUM_BLOCK(double, sum_block_d)
SUM_BLOCK(float, sum_block_s)

static double sum_block(const void *a, int f32, int64_t n) {
    return f32 ? sum_block_s(a, n) : sum_block_d(a, n);
}

/* Pairwise sum of a stream: a binary counter of partial sums, one per power of two of blocks. */
typedef struct {
    double level[64];
    uint64_t blocks;
} ft_cascade;

static inline void cascade_add(ft_cascade *c, double s) {
    int k = 0;
    for (uint64_t m = c->blocks++; m & 1; m >>= 1) s = c->level[k++] + s;
    c->level[k] = s;
}

static inline double cascade_total(const ft_cascade *c) {
    double s = 0;
    int first = 1, k = 0;
    for (uint64_t m = c->blocks; m; m >>= 1, k++)
        if (m & 1) s = first ? c->level[k] : c->level[k] + s, first = 0;
    return s;
}

static double sum_span(const char *a, int f32, int64_t n) {
    ft_cascade c = {.blocks = 0};
    int size = f32 ? 4 : 8;
    if (n <= FT_BLOCK) return sum_block(a, f32, n);
    for (int64_t i = 0; i < n; i += FT_BLOCK)
        cascade_add(&c, sum_block(a + i * size, f32, n - i < FT_BLOCK ? n - i : FT_BLOCK));
    return cascade_total(&c);
}

static inline double larger(double a, double b) { return (a >= b || a != a) ? a : b; }
static inline double smaller(double a, double b) { return (a <= b || a != a) ? a : b; }

static inline double fetch(const char *p, int f32) { return f32 ? *(const float *)p : *(const double *)p; }

/* Reduce n > 0 elements that lie `step` bytes apart. A strided span is gathered block by block, so
 * that its sum has the bits of the same span laid out contiguously. */
static double reduce_line(int op, const char *a, int f32, int64_t step, int64_t n) {
    if (op == OP_sum) {
        double block[FT_BLOCK];
        ft_cascade c = {.blocks = 0};
        if (step == (f32 ? 4 : 8)) return sum_span(a, f32, n);
        for (int64_t i = 0; i < n; i += FT_BLOCK) {
            int64_t m = n - i < FT_BLOCK ? n - i : FT_BLOCK;
            for (int64_t j = 0; j < m; j++) block[j] = fetch(a + (i + j) * step, f32);
            cascade_add(&c, sum_block_d(block, m));
        }
        return cascade_total(&c);
    }
    double s = fetch(a, f32);
    if (op == OP_max) for (int64_t i = 1; i < n; i++) s = larger(s, fetch(a + i * step, f32));
    else for (int64_t i = 1; i < n; i++) s = smaller(s, fetch(a + i * step, f32));
    return s;
}

/* y[i] = y[i] (op) a[i] over a contiguous row. */
static void reduce_row(int op, double *restrict y, const char *restrict a, int f32, int64_t n) {
    if (f32) {
        const float *p = (const float *)a;
        if (op == OP_sum) for (int64_t i = 0; i < n; i++) y[i] += p[i];
        else if (op == OP_max) for (int64_t i = 0; i < n; i++) y[i] = larger(y[i], p[i]);
        else for (int64_t i = 0; i < n; i++) y[i] = smaller(y[i], p[i]);
    } else {
        const double *p = (const double *)a;
        if (op == OP_sum) for (int64_t i = 0; i < n; i++) y[i] += p[i];
        else if (op == OP_max) for (int64_t i = 0; i < n; i++) y[i] = larger(y[i], p[i]);
        else for (int64_t i = 0; i < n; i++) y[i] = smaller(y[i], p[i]);
    }
}

static inline double join(int op, double a, double b) {
    return op == OP_sum ? a + b : op == OP_max ? larger(a, b) : smaller(a, b);
}

static inline void store(char *y, int f32, int64_t i, double v) {
    if (f32) ((float *)y)[i] = (float)v;
    else ((double *)y)[i] = v;
}

typedef struct {                /* some axes of a strided operand: extents and strides in bytes */
    int n;
    int64_t extent[FT_MAX_DIMS], stride[FT_MAX_DIMS];
} ft_axes;

static void axes_push(ft_axes *x, int64_t extent, int64_t stride) {
    if (x->n && x->stride[x->n - 1] == extent * stride) {   /* one axis with its neighbour */
        x->extent[x->n - 1] *= extent;
        x->stride[x->n - 1] = stride;
    } else {
        x->extent[x->n] = extent;
        x->stride[x->n++] = stride;
    }
}

/* Step a counter over all axes but the last `skip`; returns 0 when it wraps. */
static int axes_next(const ft_axes *x, int skip, int64_t *index, int64_t *offset) {
    for (int k = x->n - 1 - skip; k >= 0; k--) {
        *offset += x->stride[k];
        if (++index[k] < x->extent[k]) return 1;
        *offset -= x->stride[k] * x->extent[k];
        index[k] = 0;
    }
    return 0;
}

/* y (contiguous) = a reduced over the axes of `mask`; bit j is axis -1-j. Nothing is empty but, in a
 * sum, the reduced axes. */
static void reduce(int op, char *y, const char *a, int f32, int ndim, const int64_t *dims,
                   const int64_t *strides, int64_t mask) {
    ft_axes kept = {0}, gone = {0};
    int size = f32 ? 4 : 8, inner_kept = ndim > 0 && !(mask & 1) && dims[ndim - 1] > 1;
    int64_t n_kept = 1, n_gone = 1, out = 0;
    for (int k = 0; k < ndim; k++) {
        int reduced = (int)(mask >> (ndim - 1 - k)) & 1;
        if (reduced) n_gone *= dims[k];
        else n_kept *= dims[k];
        if (dims[k] != 1) axes_push(reduced ? &gone : &kept, dims[k], strides[k] * size);
    }
    if (n_kept == 0) return;
    if (n_gone == 0) {
        memset(y, 0, (size_t)(n_kept * size));
        return;
    }
    int64_t at[FT_MAX_DIMS] = {0}, offset = 0;
    if (inner_kept && kept.stride[kept.n - 1] == size) {    /* rows of results, row by row */
        int64_t row = kept.extent[kept.n - 1];
        do {
            for (int64_t c = 0; c < row; c += FT_BLOCK) {
                double acc[FT_BLOCK];
                int64_t m = row - c < FT_BLOCK ? row - c : FT_BLOCK, in[FT_MAX_DIMS] = {0}, o = 0;
                const char *p = a + offset + c * size;
                for (int64_t j = 0; j < m; j++) acc[j] = fetch(p + j * size, f32);
                while (axes_next(&gone, 0, in, &o)) reduce_row(op, acc, p + o, f32, m);
                for (int64_t j = 0; j < m; j++) store(y, f32, out + c + j, acc[j]);
            }
            out += row;
        } while (axes_next(&kept, 1, at, &offset));
        return;
    }
    int64_t line = gone.n ? gone.extent[gone.n - 1] : 1, step = gone.n ? gone.stride[gone.n - 1] : size;
    do {                                                    /* each result from its own lines */
        int64_t in[FT_MAX_DIMS] = {0}, o = 0;
        double s = reduce_line(op, a + offset, f32, step, line);
        while (axes_next(&gone, 1, in, &o)) s = join(op, s, reduce_line(op, a + offset + o, f32, step, line));
        store(y, f32, out++, s);
    } while (axes_next(&kept, 0, at, &offset));
}
