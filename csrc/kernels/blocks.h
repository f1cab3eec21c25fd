/* The columns of a sparse matrix that is made of dense blocks. */
#include "../vm.h"

enum { FT_STROKE = 64 };        /* bytes that are written at once */

/* y[lane][row][..] for each row of each block: the columns of its parts, one after the other. What is written too far is
 * written again, but for the last lanes: their last strokes would go beyond the end. */
#define BLOCK_KERNEL(T, suffix) \
    static void columns_##suffix(T *restrict y, int64_t lanes, int64_t rows, const ft_part *part, int64_t n) { \
        enum { WIDE = FT_STROKE / (int)sizeof(T) }; \
        int64_t m = 0; \
        for (int64_t j = 0; j < n; j++) m += part[j].size; \
        T *end = y + lanes * rows * m; \
        for (int64_t lane = 0; lane < lanes; lane++) { \
            int exact = end - y < rows * m + WIDE; \
            for (int64_t k = 0; k < rows * m * (int64_t)sizeof(T); k += 64) FT_WILL_WRITE((char *)y + k + FT_AHEAD); \
            for (int64_t row = 0; row < rows; row++) \
                for (int64_t j = 0; j < n; j++) { \
                    int64_t size = part[j].size, run = part[j].index ? part[j].index[lane] : lane * part[j].step; \
                    T first = (T)(part[j].begin + run * size); \
                    if (exact) for (int64_t k = 0; k < size; k++) y[k] = first + (T)k; \
                    else for (int64_t k = 0; k < size; k += WIDE) for (int i = 0; i < WIDE; i++) y[k + i] = first + (T)(k + i); \
                    y += size; \
                } \
        } \
    }
BLOCK_KERNEL(int32_t, i)
BLOCK_KERNEL(int64_t, l)
