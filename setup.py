"""Build the extension modules: Cython in fasttape/_core, C in csrc, one copy of the virtual machine
per instruction set, chosen at import. Everything else about the package is in pyproject.toml."""
import glob
import os
import sysconfig

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# What is compiled for, which need not be what compiles: "linux-x86_64", "macosx-11.0-arm64", "win-amd64".
# A universal2 Python on macOS compiles one source for both, so it gets the baseline only.
PLATFORM = sysconfig.get_platform()
X86_64 = PLATFORM.endswith("x86_64")        # with the flags below: not win-amd64
ISA_FLAGS = {
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"],
}
C_FLAGS = ["-std=c11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off",
           "-fno-strict-aliasing", "-Wall", "-Wextra"]
CYTHON_FLAGS = ["-O3", "-ffp-contract=off", "-fno-strict-aliasing", "-Wno-unused-function"]
MSVC_FLAGS = ["/std:c11", "/O2", "/fp:precise"]
HEADERS = glob.glob("csrc/**/*.h", recursive=True) + ["csrc/vm.c"]
PXDS = glob.glob("fasttape/_core/*.pxd")


# What exported C may need of ours (fasttape/export); a wheel has no C source in it.
TEXTS = sorted(glob.glob("csrc/vmath/*.h")) + [f"csrc/{name}.h" for name in ("vm", "kernels/map", "kernels/reduce", "kernels/linalg")]
GENERATED = os.path.join("build", "generated")


def write_texts():
    """Put them into a header that sources.pyx includes: as bytes, since MSVC's string literals end at 16 kB. An unchanged
    header is left as it is, or what includes it would be built again."""
    parts, rows = ["/* Made by setup.py. */\n#include <stddef.h>\n"], []
    for k, path in enumerate(TEXTS):
        with open(path, "rb") as file:
            text = file.read().replace(b"\r\n", b"\n")
        numbers = [",".join(map(str, text[at:at + 32])) for at in range(0, len(text), 32)]
        parts.append(f"static const unsigned char ft_text_{k}[] = {{\n" + ",\n".join(numbers) + "};\n")
        rows.append(f'    {{"{path.replace(os.sep, "/")[5:]}", ft_text_{k}, sizeof ft_text_{k}}},\n')
    parts += ["typedef struct { const char *name; const unsigned char *bytes; ptrdiff_t n; } ft_text;\n",
              "static const ft_text ft_texts[] = {\n", *rows, f"}};\nenum {{ FT_TEXTS = {len(TEXTS)} }};\n"]
    path, new = os.path.join(GENERATED, "texts.h"), "".join(parts)
    os.makedirs(GENERATED, exist_ok=True)
    if os.path.exists(path):
        with open(path, encoding="ascii") as file:
            if file.read() == new:
                return path
    with open(path, "w", encoding="ascii") as file:
        file.write(new)
    return path


class Build(build_ext):
    """Gives each source its own flags, since an Extension has but one list for all of them."""

    def build_extensions(self):
        if self.compiler.compiler_type == "msvc":
            for extension in self.extensions:
                extension.extra_compile_args = MSVC_FLAGS
        else:
            compile_one = self.compiler._compile

            def compile_with_flags(obj, src, ext, cc_args, extra_postargs, pp_opts):
                name = os.path.splitext(os.path.basename(src))[0]
                ours = os.path.normpath(src).startswith("csrc")
                flags = C_FLAGS + ISA_FLAGS.get(name, []) if ours else CYTHON_FLAGS
                compile_one(obj, src, ext, cc_args, list(extra_postargs) + flags, pp_opts)

            self.compiler._compile = compile_with_flags
        super().build_extensions()


def kernels():
    isas = ["baseline", *ISA_FLAGS] if X86_64 else ["baseline"]
    return ["csrc/rows.c", "csrc/dispatch.c"] + [f"csrc/isa/{isa}.c" for isa in isas]


def extensions():
    macros = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")]
    if X86_64:
        macros.append(("FT_X86_64", "1"))
    for path in sorted(glob.glob("fasttape/**/*.pyx", recursive=True)):
        name = os.path.splitext(path)[0].replace(os.sep, ".")
        c = {"vm": kernels(), "loop": glob.glob("csrc/loop/*.c"), "feed": ["csrc/scan.c"]}.get(name.split(".")[-1], [])
        generated = [write_texts()] if name.endswith(".sources") else []
        yield Extension(name, [path] + sorted(c),
                        include_dirs=["csrc", numpy.get_include()] + [GENERATED] * len(generated), define_macros=macros,
                        depends=HEADERS + PXDS + generated)


DIRECTIVES = {"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True,
              "initializedcheck": False, "embedsignature": True, "freethreading_compatible": True}

setup(ext_modules=cythonize(list(extensions()), compiler_directives=DIRECTIVES),
      cmdclass={"build_ext": Build})
