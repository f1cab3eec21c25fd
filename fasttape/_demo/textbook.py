"""x + x**2 at 3: the smallest function whose derivative shows both modes and a shared node."""
import fasttape as ft

from .console import Table, heading, paragraph, say


def f(x):
    """A node used twice, so that its two cotangents have to be added."""
    return x + x * x


def show():
    """Print values, tangents and cotangents of every node, and the derivative both ways."""
    x = 3.0
    rows = ft.table(f, x)

    heading("1. A textbook example: f(x) = x + x**2 at x = 3")
    paragraph("""Calling f records its operations as nodes k = 0, 1, 2. Each has a value s_k, a
              tangent t_k = d s_k / d x and a cotangent r_k = d f / d s_k.""")
    table = Table("k", "operation", "value s_k", "tangent t_k", "cotangent r_k")
    for row in rows:
        table.row(str(row.k), row.operation, f"{row.s:g}", f"{row.t:g}", f"{row.r:g}")

    x_node, square, total = rows
    from_total, from_square = total.r, 2 * x_node.s * square.r
    say()
    say("   forward mode    t_k = f_k'(s_(k-1)) t_(k-1)    down the table, from t_0 = 1")
    say(f"   reverse mode    r_k = r_(k+1) f_(k+1)'(s_k)    up the table, from r_{total.k} = 1")
    say("   shared node     x is used twice, so its cotangents add up: "
        f"{from_total:g} from the sum")
    say(f"                   and {from_square:g} from the square give {x_node.r:g}")
    say()
    forward, reverse = ft.jacobian(f, mode="forward")(x), ft.grad(f)(x)
    say(f"   f'(3) by forward mode: {forward:g}")
    say(f"   f'(3) by reverse mode: {reverse:g}")
