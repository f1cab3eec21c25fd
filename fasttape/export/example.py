"""A program that calls the exported functions, to be begun from: it prints what they give for arguments made up here."""
from fasttape.export.tape import size_of
from fasttape.export.texts import wrapped


def array(kind, name, n):
    return f"    static {kind} {name}[{max(n, 1)}];"


def example_text(name, signatures):
    lines = [f"/* How {name}.c is used. Build and run:", " *",
             f" *     cc -std=c11 -O2 {name}_example.c {name}.c -lm -o {name}_example && ./{name}_example", " */",
             "#include <stdio.h>", "#include <stdlib.h>", "", f'#include "{name}.h"', ""]
    for signature in signatures:
        lines += called(signature)
    lines += ["int main(void) {", *[f"    if (try_{s.name}()) return 1;" for s in signatures], "    return 0;", "}"]
    return "\n".join(lines) + "\n"


def called(s):
    """A function that calls one: arguments are 0.5, elements 0.5, 0.6, 0.7, ... and over again."""
    t, lines, texts = s.function.t, [], []
    for k, name in enumerate(s.inputs):
        kind, n = "float" if t.narrow[k] else "double", size_of(t.dims[k])
        if t.dims[k]:
            lines.append(array(kind, name, n))
            lines += [f"    for (int at = 0; at < {n}; at++) {name}[at] = ({kind})(0.5 + 0.1 * (at % 5));"] * (n > 0)
        else:
            lines.append(f"    {kind} {name} = 0.5{'f' * t.narrow[k]};")
        texts.append(name)
    prints = []
    for i, name in zip(t.outputs, s.results, strict=False):
        kind, n = "float" if t.narrow[i] else "double", size_of(t.dims[i])
        if t.dims[i]:
            lines.append(array(kind, name, n))
            texts.append(name)
            prints += [f'    printf("{name}");', *([f"    for (int at = 0; at < {n}; at++) printf(\" %.17g\", {name}[at]);"] if n else []),
                       '    printf("\\n");']
        else:
            lines.append(f"    {kind} {name};")
            texts.append(f"&{name}")
            prints.append(f'    printf("{name} %.17g\\n", {name});')
    size = f"{s.name.upper()}_WORKSPACE"
    call = wrapped([*texts, "workspace"], indent="        ").strip()
    return [f"static int try_{s.name}(void) {{", *lines, f"    double *workspace = malloc({size} * sizeof *workspace);",
            "    if (!workspace) return -1;", f"    int unmet = {s.name}({call});", "    free(workspace);",
            f'    if (unmet) fprintf(stderr, "{s.name}: guard %d is unmet\\n", unmet);', "    else {",
            *["    " + line for line in prints], "    }", "    return unmet;", "}", ""]
