"""C source as text, for what writes C (fasttape/export): the value column of the op table, and the files of csrc that the build
put into this module (setup.py), since a wheel has no C in it. Knows nothing of either."""

cdef extern from *:
    """
    typedef struct { const char *name, *value; } ft_value_text;
    static const ft_value_text ft_value_texts[] = {
    #define VEC1(name, ...) {#name, 0},
    #define VEC2(name, ...) {#name, 0},
    #define MAP1(name, value, ...) {#name, #value},
    #define MAP2(name, value, ...) {#name, #value},
    #define MAP3(name, value, ...) {#name, #value},
    #define TEST1(name, value, ...) {#name, #value},
    #define TEST2(name, value, ...) {#name, #value},
    #include "ops.h"
    };
    """
    ctypedef struct ft_value_text:
        const char *name
        const char *value
    const ft_value_text ft_value_texts[]

cdef extern from "texts.h":
    ctypedef struct ft_text:
        const char *name
        const unsigned char *bytes
        Py_ssize_t n
    const ft_text ft_texts[]
    int FT_TEXTS

cdef extern from "vm.h":
    int FT_N_MAP


def values():
    """The C expression, in a, b and c, of each elementwise op by its name; None where it is ``ft_NAME`` of vmath."""
    cdef int k
    return {ft_value_texts[k].name.decode(): None if ft_value_texts[k].value == NULL else ft_value_texts[k].value.decode()
            for k in range(FT_N_MAP)}


def texts():
    """The files of csrc, by their names in it."""
    cdef int k
    return {ft_texts[k].name.decode(): (<const char *>ft_texts[k].bytes)[:ft_texts[k].n].decode() for k in range(FT_TEXTS)}
