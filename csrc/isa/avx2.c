/* The virtual machine for avx2; setup.py gives this file its compiler flags. */
#define FT_ISA avx2
#include "../vm.c"
