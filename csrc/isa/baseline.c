/* The virtual machine for baseline; setup.py gives this file its compiler flags. */
#define FT_ISA baseline
#include "../vm.c"
