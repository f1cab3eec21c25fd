/* Where snapshots lie: in memory, or in a file each, with a checksum. */
#ifndef FT_SCAN_SLOTS_H
#define FT_SCAN_SLOTS_H
#include <errno.h>
#include <stdio.h>

#include "../memory.h"
#include "../scan.h"

enum { MOST_SLOTS = 1 << 24, MOST_PATH = 4096 };

static int grow(char **p, int64_t *cap, int64_t want) {
    if (want <= *cap) return 0;
    char *q = ft_grow_array(*p, (size_t)*cap, (size_t)want);
    if (!q) return -1;
    *p = q;
    *cap = want;
    return 0;
}

/* A slot, which is made if need be; NULL: no memory. */
static ft_slot *slot_at(ft_store *e, int disk, int64_t number) {
    if (number >= e->n_slot[disk]) {
        int64_t n = number + 1 > 2 * e->n_slot[disk] ? number + 1 : 2 * e->n_slot[disk];
        ft_slot *slots = ft_fails() ? NULL : realloc(e->slot[disk], (size_t)n * sizeof *slots);
        if (!slots) return NULL;
        memset(slots + e->n_slot[disk], 0, (size_t)(n - e->n_slot[disk]) * sizeof *slots);
        e->slot[disk] = slots;
        e->n_slot[disk] = n;
    }
    return e->slot[disk] + number;
}

typedef struct {
    char magic[8];
    int64_t step, size;
    uint64_t sum;
} header;

static const char MAGIC[8] = {'f', 't', 's', 'n', 'a', 'p', '0', '1'};

static uint64_t sum_of(const char *p, int64_t size, int64_t step) {
    uint64_t h = 0x9E3779B97F4A7C15u ^ (uint64_t)step, x;
    int64_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&x, p + i, 8);
        h = (h ^ x) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    x = 0;
    memcpy(&x, p + i, (size_t)(size - i));
    h = (h ^ x) * 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

static int path_of(const ft_store *e, int64_t number, char *path) {
    int n = snprintf(path, MOST_PATH, "%ssnapshot-%lld", e->folder, (long long)number);
    if (n > 0 && n < MOST_PATH) return 0;
    errno = ENAMETOOLONG;
    return -1;
}

static int write_slot(ft_store *e, int64_t number, int64_t step, const char *from, int64_t size) {
    char path[MOST_PATH];
    header h = {{0}, step, size, sum_of(from, size, step)};
    memcpy(h.magic, MAGIC, sizeof MAGIC);
    errno = 0;
    FILE *f = path_of(e, number, path) ? NULL : fopen(path, "wb");
    int failed = !f || fwrite(&h, sizeof h, 1, f) != 1 || (size && fwrite(from, (size_t)size, 1, f) != 1);
    if (failed) e->os_error = errno;
    if (f && fclose(f) && !failed) {
        failed = 1;
        e->os_error = errno;
    }
    if (failed && f) remove(path);
    return failed;
}

/* 0, or what is wrong: FT_E_READ or FT_E_DAMAGED. */
static int read_slot(ft_store *e, int64_t number, int64_t step, char *to, int64_t size) {
    char path[MOST_PATH];
    header h;
    errno = 0;
    FILE *f = path_of(e, number, path) ? NULL : fopen(path, "rb");
    e->os_error = errno;
    if (!f) return FT_E_READ;
    int whole = fread(&h, sizeof h, 1, f) == 1 && memcmp(h.magic, MAGIC, sizeof MAGIC) == 0 && h.step == step &&
                h.size == size && (!size || fread(to, (size_t)size, 1, f) == 1) && fgetc(f) == EOF;
    fclose(f);
    return whole && h.sum == sum_of(to, size, step) ? 0 : FT_E_DAMAGED;
}

static void remove_slot(const ft_store *e, int64_t number) {
    char path[MOST_PATH];
    if (e->folder && !path_of(e, number, path)) remove(path);
}
#endif
