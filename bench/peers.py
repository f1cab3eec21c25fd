"""The same problems in JAX, as its users would write them: value and gradient, compiled, in float64, on one thread.

A scan alone keeps what each step leaves; scans of checkpointed chunks keep the state before each chunk, and run a
chunk again on the way back. Nothing here knows of fasttape.
"""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + (
    " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import jax
import jax.numpy as jnp
import numpy as np
import workloads

jax.config.update("jax_enable_x64", True)


def chunked(step, chunk):
    """`chunk` steps as one, which is computed again for its reversal."""
    return jax.checkpoint(lambda carry: jax.lax.scan(lambda c, _: (step(c), None), carry, length=chunk)[0])


def repeat(step, carry, length):
    return jax.lax.scan(lambda c, _: (step(c), None), carry, length=length)[0]


def callable_of(f, x):
    """Value and gradient of f at x as NumPy's, compiled here and now."""
    compiled = jax.jit(jax.value_and_grad(f)).lower(x).compile()

    def value_and_gradient():
        value, gradient = compiled(x)
        return np.float64(value), np.asarray(gradient)

    return value_and_gradient


def burgers(u, steps, chunk):
    """Energy after explicit steps; `chunk` divides their number."""
    if steps % chunk:
        raise ValueError(f"burgers: {steps} steps are no whole number of chunks of {chunk}")

    def step(u):
        left, centre, right = u[:-2], u[1:-1], u[2:]
        advection = workloads.ADVECTION * centre * (right - left)
        inner = centre - advection + workloads.DIFFUSION * (right - 2.0 * centre + left)
        return jnp.concatenate((u[:1], inner, u[-1:]))

    def energy(u):
        u = repeat(chunked(step, chunk), u, steps // chunk)
        return jnp.sum(u * u) / workloads.CELLS

    return callable_of(energy, jnp.asarray(u))


def lotka_volterra(parameters, steps=1000, dt=0.02, checkpointed=False):
    """Prey plus predators after `steps` steps of Runge-Kutta; `checkpointed`: a step's stages are computed again."""

    def end(p):
        def slope(state):
            return jnp.stack(workloads.growth(*state, *p[:4]))

        def step(state):
            k1 = slope(state)
            k2 = slope(state + 0.5 * dt * k1)
            k3 = slope(state + 0.5 * dt * k2)
            k4 = slope(state + dt * k3)
            return state + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)

        return jnp.sum(repeat(jax.checkpoint(step) if checkpointed else step, p[4:], steps))

    return callable_of(end, jnp.asarray(parameters))
