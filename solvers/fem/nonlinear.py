"""A problem with reaction: one factorisation for many samples at once.

Sample q asks for u with A u = M f(u) + F q. Around a *linearisation point*, a flux qbar with its state ubar and
Jacobian J = A - M f'(ubar), the difference w = u - ubar solves

    w = J^-1 F (q - qbar) + J^-1 M r(w),    r(w) = f(ubar + w) - f(ubar) - f'(ubar) w = O(w^2),

exactly, not approximately. The chord iteration evaluates the right-hand side over and over for a batch of samples, with
one frozen factorisation: its limit is the solution that Newton's method finds, without a factorisation a sample. What
makes it fast:

- samples start from the linear response J^-1 F (q - qbar), and each uses the nearest of several linearisation points;
- their first sweeps are in single precision, which is twice as fast and all that these need;
- Anderson acceleration of depth one (Walker and Ni, SIAM J. Numer. Anal. 49, 2011): a secant step for each sample;
- samples that have converged leave the batch.

A sample that stalls goes to Newton's method. Every solution's residual is checked in the assembled equation, and that
its concentration is nowhere negative; a sample that fails is named and stops the run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from fluxbench.arrays import Floats, Reals
from fluxbench.errors import InputError
from fluxbench.solvers.fem.assembly import System
from fluxbench.solvers.fem.direct import Factors
from fluxbench.solvers.fem.flux_simulator import FluxSimulator, UnsolvedError

TOLERANCE = 1e-10
"""Largest error of the iteration, relative to the concentration at the linearisation point."""
RESIDUAL = 1e-8
"""Largest residual of a solution, relative to the load of the prior's mean flux."""
SINGLE_SWEEPS = 4
"""Chord iterations in single precision before those in double precision."""
SWEEPS = 30
"""Chord iterations in double precision before a sample goes to Newton's method; most samples need two or three."""
NEWTON_STEPS = 50
"""Steps of Newton's method after which a sample counts as not solvable."""
BATCH, NUMBERS = 128, 400_000
"""Samples that are advanced together, fewer where their states would hold more numbers than this: caches are small."""
WIDTH = 16
"""Columns of which a batch has a multiple: BLAS sums other widths in another order, and bits must not change."""
STRIDE = 7
"""Convergence and secant are judged on one unknown of so many; the final residual is judged on all."""


@dataclass(frozen=True)
class LinearisationPoint:
    """A flux, its state, and the expansion around them that the chord iteration uses; letters as in the module.

    Attributes:
        flux: qbar, shape (d,).
        state: ubar, shape (N,).
        factors: of J.
        response: J^-1 F, shape (N, d).
        remainder: M f^(k)(ubar) / k! for k = 2, 3, ..., each of shape (N, 1): M r(w) = sum_k remainder_k w^k.
    """

    flux: Floats
    state: Floats
    factors: Factors
    response: Floats
    remainder: tuple[Floats, ...]

    @cached_property
    def rounded_factors(self) -> Factors:
        """Factors of J in single precision."""
        return self.factors.rounded()

    @cached_property
    def rounded_remainder(self) -> tuple[Reals, ...]:
        """Coefficients of the remainder in single precision."""
        return tuple(coefficient.astype(np.float32) for coefficient in self.remainder)

    @classmethod
    def at(cls, system: System, flux: Floats, state: Floats) -> "LinearisationPoint":
        """Linearise a system at a flux qbar (d,) and its state ubar (N,).

        Raises:
            InputError: if the Jacobian there is singular.
        """
        factors = system.linearised(state)
        load = system.load.copy()
        remainder, derivative = [], system.problem.reaction.derivative
        for k in range(2, system.problem.reaction.degree + 1):
            derivative = derivative.derivative
            remainder.append((system.mass * derivative(state) / factorial(k))[:, None])
        return cls(flux, state, factors, factors.solve(load, np.empty_like(load)), tuple(remainder))


@dataclass(frozen=True)
class NonlinearSimulator(FluxSimulator):
    """Noise-free sensor values of a problem with reaction.

    Attributes:
        system: the discrete problem.
        points: linearisation points, of which each sample uses the nearest.
    """

    system: System
    points: tuple[LinearisationPoint, ...]

    @cached_property
    def _first_guess(self) -> tuple[Floats, Floats]:
        """Linear response of the sensors to fluxes, (d, n), and of the linearisation points by it, (points, n)."""
        response = (self.system.sensing @ self.points[0].response).T
        return response, np.array([point.flux for point in self.points]) @ response

    def measure(self, flux: Floats) -> Floats:
        """Return the noise-free sensor values (B, n) of fluxes (B, d).

        Raises:
            UnsolvedError: naming the first sample of the batch that cannot be solved.
        """
        sensors = np.empty((len(flux), self.system.sensing.shape[0]))

        def read(samples: NDArray[np.int64], states: Floats) -> None:
            sensors[samples] = (self.system.sensing @ states).T

        self.solve(flux, read)
        return sensors

    def states(self, flux: Floats) -> Floats:
        """Return the concentration at the nodes, shape (N, B), of fluxes (B, d).

        Raises:
            UnsolvedError: naming the first sample of the batch that cannot be solved.
        """
        found = np.empty((len(self.system.mass), len(flux)))

        def keep(samples: NDArray[np.int64], states: Floats) -> None:
            found[:, samples] = states

        self.solve(flux, keep)
        return found

    def jacobian(self, flux: Floats) -> Floats:
        """Return the derivatives of the sensor values with respect to fluxes (B, d): P J(u)^-1 F, shape (B, n, d).

        By the tangent equation, one factorisation and d right-hand sides a sample: about as dear as measuring a
        hundred samples.
        """
        states = self.states(flux)
        return np.stack([self.system.sensing @ self._tangent(state)[1] for state in states.T])

    def hessian(self, flux: Floats) -> Floats:
        """Return the second derivatives of the sensor values with respect to fluxes (B, d), shape (B, n, d, d).

        J(u) u_jk = M f''(u) u_j u_k, with the tangents u_j: d (d + 1) / 2 right-hand sides a sample.
        """
        states, curvature = self.states(flux), self.system.problem.reaction.derivative.derivative
        first, second = np.triu_indices(flux.shape[1])
        found = np.empty((len(flux), self.system.sensing.shape[0], flux.shape[1], flux.shape[1]))
        for i, state in enumerate(states.T):
            factors, tangent = self._tangent(state)
            source = (self.system.mass * curvature(state))[:, None] * tangent[:, first] * tangent[:, second]
            values = self.system.sensing @ factors.solve(source, np.empty_like(source))
            found[i][:, first, second] = found[i][:, second, first] = values
        return found

    def _tangent(self, state: Floats) -> tuple[Factors, Floats]:
        """Return factors of the Jacobian at a state (N,), and the state's derivative by the flux, shape (N, d)."""
        factors, load = self.system.linearised(state), self.system.load.copy()
        return factors, factors.solve(load, np.empty_like(load))

    def solve(self, flux: Floats, take: Callable[[NDArray[np.int64], Floats], None]) -> None:
        """Solve for fluxes (B, d) and hand the states over as they converge.

        Args:
            flux: fluxes of the samples.
            take: called with indices of samples (k,) and their states (N, k).

        Raises:
            UnsolvedError: naming the first sample that cannot be solved.
        """
        batch = max(WIDTH, min(BATCH, NUMBERS // len(self.system.mass)))
        response, centres = self._first_guess
        distance = ((np.einsum("ij,jk->ik", flux, response)[:, None] - centres) ** 2).sum(axis=-1)
        nearest = distance.argmin(axis=1)
        for index, point in enumerate(self.points):
            group = np.flatnonzero(nearest == index)
            group = group[np.argsort(distance[group, index], kind="stable")]  # those together that take as long
            for first in range(0, len(group), batch):
                samples = group[first : first + batch]
                with np.errstate(over="ignore", invalid="ignore"):  # a sample that runs away stalls
                    states, solved = chord(point, flux[samples])
                for i in np.flatnonzero(~solved):
                    try:
                        states[:, i] = newton(self.system, flux[samples[i]])
                    except InputError as error:
                        raise UnsolvedError(int(samples[i]), str(error)) from error
                self._check(samples, states, flux[samples])
                take(samples, states)

    def _check(self, samples: NDArray[np.int64], states: Floats, flux: Floats) -> None:
        """Raise :class:`UnsolvedError` for the first sample whose residual is large or concentration negative."""
        residual, lowest = self.system.residual(states, flux.T), states.min(axis=0)
        rounding = 10.0 * TOLERANCE * np.abs(self.points[0].state).max()  # no flux at all gives zero
        for sample, r, low in zip(samples, residual, lowest, strict=True):
            if not (r <= RESIDUAL and low >= -rounding):
                expected = f"a residual of at most {RESIDUAL:g} and a concentration of at least 0"
                raise UnsolvedError(int(sample), f"expected {expected}, found {r:.2g} and {low:.3g}")


def linearise(system: System, points: int = 16) -> NonlinearSimulator:
    """Return a simulator with at most so many linearisation points, spread over the prior.

    They are the centres of clusters of the prior's fluxes, told apart by the linear response of the sensors.

    Raises:
        InputError: if the problem cannot be solved at one of them.
    """
    prior = system.problem.prior
    mean = np.full(prior.size, prior.clipped_moments[0])
    first = LinearisationPoint.at(system, mean, newton(system, mean))
    middle = NonlinearSimulator(system.problem, None, system, (first,))
    if points == 1:
        return middle
    flux = prior.sample(0, f"{system.problem.name}/linearisation", 0, 200 * points)
    response = flux @ (system.sensing @ middle.points[0].response).T
    label = kmeans2(response, points, minit="++", seed=0)[1]
    centres = np.array([flux[label == k].mean(axis=0) for k in range(points) if (label == k).any()])
    states = middle.states(centres).T
    return NonlinearSimulator(
        system.problem,
        None,
        system,
        tuple(LinearisationPoint.at(system, *each) for each in zip(centres, states, strict=True)),
    )


def newton(system: System, flux: Floats) -> Floats:
    """Solve for the state u (N,) of a flux (d,) by Newton's method from the problem's start.

    Raises:
        InputError: if the method does not converge.
    """
    u = np.full((len(system.mass), 1), system.problem.start)
    load = (system.load @ flux)[:, None]
    for _ in range(NEWTON_STEPS):
        gap = system.operator.apply(u) - system.mass[:, None] * system.problem.reaction(u) - load
        if not np.isfinite(gap).all():
            break
        step = system.linearised(u[:, 0]).solve(gap, np.empty_like(gap))
        u = u - step
        if np.abs(step).max() <= 1e-2 * TOLERANCE * np.abs(u).max():
            return u[:, 0]
    raise InputError(
        f"Newton's method from u = {system.problem.start:g} does not converge in {NEWTON_STEPS} steps; is there a "
        "steady state, and is the problem's start near it?"
    )


def chord(point: LinearisationPoint, flux: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Run the accelerated chord iteration around one linearisation point.

    Args:
        point: where the problem is linearised.
        flux: a batch of fluxes, shape (B, d).

    Returns:
        States (N, B), and which samples they solve, shape (B,); the others stalled.
    """
    count = len(flux)
    # The last sample is repeated to fill the batch up.
    active = np.minimum(np.arange(_filled(count)), count - 1)
    waiting = np.arange(len(active)) < count
    start = point.response @ (flux[active] - point.flux).T
    tolerance = TOLERANCE * np.abs(point.state).max()
    states = np.empty((len(point.state), count))
    w: Reals = _rough(point, start)
    secant = Secant()
    size_before = np.full(len(active), np.inf)

    for _ in range(SWEEPS):
        g = _sweep(point.factors, point.remainder, w, start)
        step = g[::STRIDE] - w[::STRIDE]
        size = np.abs(step).max(axis=0)
        # The error of g is at most size * rate / (1 - rate), with the rate of convergence as it was last seen.
        rate = np.clip(size / np.maximum(size_before, TOLERANCE * tolerance), 0.1, 0.9)
        ready = waiting & (size * rate <= (1.0 - rate) * tolerance)
        states[:, active[ready]] = g[:, ready] + point.state[:, None]
        waiting &= ~ready
        if not waiting.any():
            break
        w, size_before = secant.next(g, step), size
        width = _filled(int(waiting.sum()))
        if width < len(active):
            keep = np.sort(np.argsort(~waiting, kind="stable")[:width])  # all that wait, and some that do not
            active, waiting, size_before = active[keep], waiting[keep], size_before[keep]
            w, start = np.take(w, keep, axis=1), np.take(start, keep, axis=1)  # rows stay contiguous
            secant.keep(keep)
    solved = np.ones(count, dtype=bool)
    solved[active[waiting]] = False
    return states, solved


def _filled(count: int) -> int:
    """Return the least multiple of ``WIDTH`` that is not below a number of samples."""
    return -(-count // WIDTH) * WIDTH


def _sweep(factors: Factors, remainder: tuple[Reals, ...], w: Reals, start: Reals) -> Reals:
    """Return J^-1 F (q - qbar) + J^-1 M r(w) at w (N, B), the first term being ``start`` (N, B)."""
    if not remainder:  # an affine reaction: the linear response is the solution
        return start.copy()
    *lower, source = remainder
    for coefficient in reversed(lower):
        source = source * w + coefficient
    source = source * w
    source *= w
    g = factors.solve(source, out=np.empty_like(source))
    g += start
    return g


def _rough(point: LinearisationPoint, start: Floats) -> Floats:
    """Run the first sweeps from the linear response ``start`` (N, B) in single precision, which is twice as fast.

    ``WIDTH`` columns at a time: in wider products of single precision some kernels of BLAS compute the outer columns in
    another order than those between, and a sample's bits must not depend on its place in the batch.
    """
    if point.rounded_factors is point.factors:
        return start
    rough = np.empty_like(start)
    for first in range(0, start.shape[1], WIDTH):
        columns = slice(first, first + WIDTH)
        single, secant = start[:, columns].astype(np.float32), Secant()
        w: Reals = single
        for _ in range(SINGLE_SWEEPS):
            g = _sweep(point.rounded_factors, point.rounded_remainder, w, single)
            w = secant.next(g, g[::STRIDE] - w[::STRIDE])
        rough[:, columns] = w
    return rough


class Secant:
    """Anderson acceleration of depth one of a fixed-point iteration w = G(w), each column for itself."""

    def __init__(self) -> None:
        self.before: tuple[Reals, Reals] | None = None

    def next(self, g: Reals, step: Reals) -> Reals:
        """Return the next w (N, B), g - theta (g - g_before), after g = G(w) whose step g - w is known on some rows.

        theta makes the step, extrapolated along the last change, as small as can be. The array g of the call before is
        overwritten.
        """
        w = g
        if self.before is not None:
            g_before, step_before = self.before
            change = step - step_before
            norm = np.einsum("ij,ij->j", change, change)
            theta = np.einsum("ij,ij->j", step, change) / np.where(norm > 0.0, norm, 1.0)
            w = np.subtract(g_before, g, out=g_before)
            w *= theta
            w += g
        self.before = (g, step)
        return w

    def keep(self, columns: NDArray[np.int64]) -> None:
        """Keep the history of the given columns alone."""
        if self.before is not None:
            g, step = self.before
            self.before = (np.take(g, columns, axis=1), np.take(step, columns, axis=1))
