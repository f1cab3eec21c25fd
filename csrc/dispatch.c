/* Which copies of the virtual machine this build has, and which of them the processor can run. */
#include <string.h>

#include "vm.h"

extern const ft_vm ft_vm_baseline, ft_vm_avx2, ft_vm_avx512;

static int has_avx2(void) {
#ifdef FT_X86_64
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 0;
#endif
}

static int has_avx512(void) {
#ifdef FT_X86_64
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
    return 0;
#endif
}

const ft_vm *ft_vm_named(const char *name) {
    if (strcmp(name, "baseline") == 0) return &ft_vm_baseline;
#ifdef FT_X86_64
    if (strcmp(name, "avx2") == 0 && has_avx2()) return &ft_vm_avx2;
    if (strcmp(name, "avx512") == 0 && has_avx512()) return &ft_vm_avx512;
#endif
    (void)has_avx2;
    (void)has_avx512;
    return NULL;
}

const ft_vm *ft_choose_vm(void) {
    const ft_vm *vm = ft_vm_named("avx512");
    if (!vm) vm = ft_vm_named("avx2");
    return vm ? vm : &ft_vm_baseline;
}
