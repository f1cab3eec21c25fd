/* Matrix products through NumPy's own inner loop, which calls its BLAS. */
#include <fenv.h>
#include "../vm.h"

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
