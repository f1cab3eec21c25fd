/* The columns of a sparse matrix that is made of dense blocks. */
#include "../vm.h"

enum { FT_STROKE = 64 };        /* bytes that are written at once */
enum { FT_STROKES = 4 };        /* of a row, up to which it is put together so */
enum { FT_PARTS = 16 };         /* of a row, likewise */

#define FT_FIRST_COLUMN(part, lane) ((part).begin + ((part).index ? (part).index[lane] : (lane) * (part).step) * (part).size)

/* The columns of all rows of the lanes, as far as strokes stay within the array; returns how many lanes are done. All rows of
 * a lane are the same: up, which counts up from 0 in each part, and on top of that the part's first column, where the part is. */
#if defined(__GNUC__)
#define ROW_KERNEL(T, suffix) \
    typedef T ft_stroke_##suffix __attribute__((vector_size(FT_STROKE))); \
    typedef T ft_apart_##suffix __attribute__((vector_size(FT_STROKE), aligned(sizeof(T)), may_alias)); \
    typedef struct { \
        ft_stroke_##suffix up[FT_STROKES], where[FT_STROKES + FT_PARTS]; \
        int64_t whose[FT_STROKES + FT_PARTS], end[FT_STROKES]; \
    } ft_pattern_##suffix; \
    static inline __attribute__((always_inline)) void lay_rows_##suffix(T *y, int64_t lanes, int64_t rows, int64_t m, \
                                                                         const ft_part *part, int64_t n, const ft_pattern_##suffix *p, int strokes) { \
        enum { WIDE = FT_STROKE / (int)sizeof(T) }; \
        T first[FT_PARTS]; \
        for (int64_t lane = 0; lane < lanes; lane++) { \
            ft_stroke_##suffix row[FT_STROKES]; \
            for (int64_t k = 0; k < rows * m * (int64_t)sizeof(T); k += 64) FT_WILL_WRITE((char *)y + k + FT_AHEAD); \
            for (int64_t j = 0; j < n; j++) first[j] = (T)FT_FIRST_COLUMN(part[j], lane); \
            for (int64_t s = 0, k = 0; s < strokes; s++) { \
                row[s] = p->up[s]; \
                for (; k < p->end[s]; k++) row[s] += p->where[k] & first[p->whose[k]]; \
            } \
            for (int64_t r = 0; r < rows; r++, y += m) \
                for (int s = 0; s < strokes; s++) *(ft_apart_##suffix *)(y + s * WIDE) = row[s]; \
        } \
    } \
    static int64_t rows_##suffix(T *y, int64_t lanes, int64_t rows, int64_t m, const ft_part *part, int64_t n) { \
        enum { WIDE = FT_STROKE / (int)sizeof(T) }; \
        ft_pattern_##suffix p = {0}; \
        int64_t strokes = (m + WIDE - 1) / WIDE, k = 0; \
        if (strokes > FT_STROKES || n > FT_PARTS || !m || !rows) return 0; \
        lanes -= WIDE / (rows * m) + 1; \
        if (lanes <= 0) return 0; \
        for (int64_t s = 0; s < strokes; p.end[s++] = k) { \
            int64_t at = -s * WIDE; \
            for (int64_t j = 0; j < n; at += part[j++].size) { \
                if (at >= WIDE || at + part[j].size <= 0) continue; \
                for (int64_t i = 0; i < WIDE; i++) if (i >= at && i < at + part[j].size) p.where[k][i] = -1, p.up[s][i] = (T)(i - at); \
                p.whose[k++] = j; \
            } \
        } \
        switch (strokes) { \
        case 1: lay_rows_##suffix(y, lanes, rows, m, part, n, &p, 1); break; \
        case 2: lay_rows_##suffix(y, lanes, rows, m, part, n, &p, 2); break; \
        case 3: lay_rows_##suffix(y, lanes, rows, m, part, n, &p, 3); break; \
        default: lay_rows_##suffix(y, lanes, rows, m, part, n, &p, FT_STROKES); \
        } \
        return lanes; \
    }
#else
#define ROW_KERNEL(T, suffix) \
    static int64_t rows_##suffix(T *y, int64_t lanes, int64_t rows, int64_t m, const ft_part *part, int64_t n) { \
        (void)y, (void)lanes, (void)rows, (void)m, (void)part, (void)n; \
        return 0; \
    }
#endif

#define BLOCK_KERNEL(T, suffix) \
    ROW_KERNEL(T, suffix) \
    static void columns_##suffix(T *y, int64_t lanes, int64_t rows, const ft_part *part, int64_t n) { \
        int64_t m = 0, lane; \
        for (int64_t j = 0; j < n; j++) m += part[j].size; \
        lane = rows_##suffix(y, lanes, rows, m, part, n); \
        for (y += lane * rows * m; lane < lanes; lane++) \
            for (int64_t row = 0; row < rows; row++) \
                for (int64_t j = 0; j < n; j++) { \
                    T first = (T)FT_FIRST_COLUMN(part[j], lane); \
                    for (int64_t k = 0; k < part[j].size; k++) *y++ = first + (T)k; \
                } \
    }
BLOCK_KERNEL(int32_t, i)
BLOCK_KERNEL(int64_t, l)
