/* The virtual machine for avx512; setup.py gives this file its compiler flags. */
#define FT_ISA avx512
#include "../vm.c"
