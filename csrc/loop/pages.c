/* The memory of emitted code: bytes that grow while they are written, pages once they can be called. */
#define _GNU_SOURCE 1         /* mremap; before any header of the system */
#define _DARWIN_C_SOURCE 1
#include "../memory.h"
#include "code.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <sys/mman.h>
#if !defined(MAP_ANONYMOUS)
#define MAP_ANONYMOUS MAP_ANON
#endif
#endif

int ft_code_room(ft_code *code, int64_t more) {
    if (code->n + more <= code->cap) return 0;
    int64_t cap = 2 * (code->n + more) + 4096;
    void *bytes = ft_grow_array(code->bytes, (size_t)code->cap, (size_t)cap);
    if (!bytes) return -1;
    code->bytes = bytes;
    code->cap = cap;
    return 0;
}

void ft_free_code(ft_code *code) {
    if (code->bytes) ft_free_array(code->bytes, (size_t)code->cap);
    memset(code, 0, sizeof *code);
}

void *ft_code_scratch(int64_t size) { return ft_allocate((size_t)size); }

void ft_code_release(void *p) { free(p); }

long long ft_rig_code(long long k) {
    long long left = ft_rigged;
    ft_rigged = k;
    return left;
}

int ft_seal(const ft_code *code, ft_sealed *pages) {
    uint8_t *p;
    memset(pages, 0, sizeof *pages);
    if (code->n == 0 || ft_fails()) return -1;
    size_t size = ((size_t)code->n + 4095) & ~(size_t)4095;
#if defined(_WIN32)
    DWORD before;
    p = VirtualAlloc(NULL, size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    if (!p) return -1;
    memcpy(p, code->bytes, (size_t)code->n);
    if (!VirtualProtect(p, size, PAGE_EXECUTE_READ, &before)) {
        VirtualFree(p, 0, MEM_RELEASE);
        return -1;
    }
    FlushInstructionCache(GetCurrentProcess(), p, size);
#else
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return -1;
    memcpy(p, code->bytes, (size_t)code->n);
    if (mprotect(p, size, PROT_READ | PROT_EXEC) != 0) {
        munmap(p, size);
        return -1;
    }
#endif
    pages->bytes = p;
    pages->size = (int64_t)size;
    return 0;
}

void ft_free_sealed(ft_sealed *pages) {
    if (pages->bytes) {
#if defined(_WIN32)
        VirtualFree(pages->bytes, 0, MEM_RELEASE);
#else
        munmap(pages->bytes, (size_t)pages->size);
#endif
    }
    memset(pages, 0, sizeof *pages);
}
