"""STDR as a scikit-learn estimator."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state

from lapwing import _caller, _threads, _validate
from lapwing._optional import need
from lapwing._progress import Callback, Progress
from lapwing.exceptions import DisconnectedSimilarityWarning
from lapwing.phylo import SimilarityInfo, Tree, similarity_matrix
from lapwing.phylo._join import MOST_QUARTET_LEAVES
from lapwing.phylo._matrix import (
    Reals,
    check_distances,
    check_dtype,
    check_names,
    check_similarities,
    without_subnormals,
)
from lapwing.phylo._merge import MERGES, fit_lengths, shortened
from lapwing.phylo._similarity import (
    MISSING,
    MODELS,
    Encoded,
    Sites,
    check_encoded,
    distances_of,
    encode,
    sites_of,
)
from lapwing.trees.stdr import _base
from lapwing.trees.stdr._algorithm import Recovery, Split, assemble, partition
from lapwing.trees.stdr._large import near_lengths, recover_large
from lapwing.trees.stdr._support import split_support

__all__ = ["STDR"]

SIMILARITIES = (*MODELS, "precomputed", "precomputed_distance")
#: Characters for the states of an external program.
LETTERS = {4: b"ACGT", 20: b"ARNDCQEGHILKMFPSTWYV"}


class STDR(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Spectral top-down recovery: the tree of thousands of sequences, in pieces.

    The leaves are cut in two by the Fiedler vector of their similarities until a part has at most `tau` of
    them; a base method solves the parts; subtrees are merged at the edges where a spectral score says that
    they belong. With exact similarities every step is exact.

    Parameters
    ----------
    tau : int, default=64
        Most leaves that the base method gets, >= 3. More (128 to 256) for base methods that are better than
        neighbour joining.
    base : str or callable, default="nj"
        "nj", "bionj", "snj", "upgma" or, for `tau` <= 16, "quartet_exact" (see `quartet_tree`); the programs
        "fasttree", "iqtree" or "raxml-ng", if they are installed; or a function
        ``base(S, X, names, random_state)`` that gets the similarities, rows and names of a part and returns
        an unrooted `Tree` on these names.
    similarity : str or callable, default="jc69"
        A model of `similarity_matrix`; "precomputed" if `X` is a similarity matrix, "precomputed_distance" if
        it holds distances D: similarities ``exp(-alpha D)``; or a function from `X` to the matrix.
    alpha : float, default=1.0
        Power of the similarities.
    num_gaps : int, default=1
        Gaps of the Fiedler vector that are tried beside its signs, 0 to 20.
    min_split : int, default=1
        Least number of leaves on each side of a cut.
    merge : {"balanced", "spectral"}, default="balanced"
        What tells where two subtrees are joined: the length of the tree in the sense of balanced minimum
        evolution, or the spectral score of the paper. See `merge_trees`.
    polish : {"auto", True, False}, default="auto"
        Interchange subtrees where that makes the tree shorter in the sense of balanced minimum evolution, see
        `balanced_nni`, in the end. "auto": unless the parts are solved by an external program or a function,
        which may know better than distances do.
    normalization : {None, "rw"}, default=None
        Laplacian of the cuts: ``D - S``, or that of the random walk.
    eig_tol : float, default=1e-6
        Residual of the Fiedler vectors, relative to the norm of the Laplacian.
    n_states, missing : default=None
        See `similarity_matrix`.
    similarity_params : dict or None, default=None
        Further arguments of `similarity_matrix`: gamma, frequencies, pseudocount, min_overlap, on_no_overlap,
        rates.
    branch_lengths : {"ols", "nnls", None}, default="ols"
        Least squares on the distances ``-log S``, the same with lengths >= 0, or none.
    negative : {"clip", "keep"}, default="clip"
        For "ols": lengths below 0 become 0, or are kept.
    units : {"substitutions", "similarity"}, default="substitutions"
        Lengths in expected substitutions per site, where the model knows them; or of ``-log S``.
    root : {None, "midpoint", "min_var"} or sequence of str, default=None
        Where the root goes; the names of an outgroup; None: nowhere, the tree is displayed with three
        subtrees.
    n_bootstrap : int, default=0
        Number of times that the sites are drawn anew for the support of the edges.
    dtype : {"float64", "float32"}, default="float64"
        Of the matrices of similarities and distances. Sums, eigenvectors and scores are float64 either way.
    dense_limit : int, default=10000
        Most sequences whose similarities are all computed, at 16 bytes a pair (8 for float32), >= 16. Of
        more, landmarks are drawn by `random_state` and cut, the parts are solved, and merges and lengths look
        at what is near; `merge` and `branch_lengths` must then be the defaults (or no lengths).
    n_jobs : int or None, default=None
        Number of threads; None or -1: every core that the process may use. The result does not depend on it.
    random_state : int, RandomState or None, default=None
        Of the bootstrap, of external programs, and of landmarks.
    strict : bool, default=False
        Raise where no cut has `min_split` leaves on both sides, rather than cut in the middle.
    callback : callable or None, default=None
        Called with a progress record after each part. Returning True stops the cutting: what is left is
        solved by `base` in pieces as large as they are then.
    verbose : int, default=0
        Above 0: a progress bar.

    Attributes
    ----------
    tree_ : Tree
        The tree.
    newick_ : str
        The same in Newick format.
    similarity_ : float64 or float32 array of shape (m, m) or None
        Similarities; None: there are more than `dense_limit` leaves.
    similarity_info_ : SimilarityInfo
        What is known about them. Beyond `dense_limit` the saturated pairs are those of landmarks and parts.
    partition_tree_ : list of Split
        The cuts, in the order in which they were made.
    labels_ : int array of shape (m,)
        The part that each leaf was solved in.
    support_ : float64 array of shape (n_nodes,) or None
        With `n_bootstrap`: for the edge above each node, the part of the bootstrap trees that have its split;
        NaN for edges to leaves.
    diagnostics_ : dict
        "margins" of the merges (how much worse the second best edge was, for both trees), "scores",
        "sigma_ratio" of the cuts, "saturated" pairs, "seconds" of each stage, counts of "disconnected" parts,
        "blind_merges" (without similarity), "moved" edges (where the tree is shorter than with the best by
        the spectral score), "interchanges" of subtrees, "unconverged" eigenvectors, "fallbacks" (cuts in the
        middle), and whether `callback` "stopped" the cutting.
    names_in_ : tuple of str
        Names of the leaves.
    n_features_in_ : int
        Number of sites, or of columns of `X`.

    References
    ----------
    Yariv Aizenbud, Ariel Jaffe, Meng Wang, Amber Hu, Noah Amsel, Boaz Nadler, Joseph Chang, Yuval Kluger,
    "Spectral Top-Down Recovery of Latent Tree Models", 2021.

    Richard Desper, Olivier Gascuel, "Fast and accurate phylogeny reconstruction algorithms based on the
    minimum-evolution principle", 2002.

    Examples
    --------
    >>> from lapwing.trees import STDR, kingman, robinson_foulds, simulate_sequences
    >>> tree = kingman(100, random_state=1)
    >>> X = simulate_sequences(tree, 4000, rate=0.4, random_state=2)
    >>> model = STDR(tau=32).fit(X, names=tree.names)
    >>> robinson_foulds(model.tree_, tree, normalized=True) < 0.15
    True
    """

    def __init__(
        self,
        *,
        tau: int = 64,
        base: str | Callable[..., Tree] = "nj",
        similarity: str | Callable[[Any], Any] = "jc69",
        alpha: float = 1.0,
        num_gaps: int = 1,
        min_split: int = 1,
        merge: str = "balanced",
        polish: bool | str = "auto",
        normalization: str | None = None,
        eig_tol: float = 1e-6,
        n_states: int | None = None,
        missing: Any = None,
        similarity_params: dict[str, Any] | None = None,
        branch_lengths: str | None = "ols",
        negative: str = "clip",
        units: str = "substitutions",
        root: str | Sequence[str] | None = None,
        n_bootstrap: int = 0,
        dtype: Any = "float64",
        dense_limit: int = 10_000,
        n_jobs: int | None = None,
        random_state: Any = None,
        strict: bool = False,
        callback: Callback | None = None,
        verbose: int = 0,
    ) -> None:
        self.tau = tau
        self.base = base
        self.similarity = similarity
        self.alpha = alpha
        self.num_gaps = num_gaps
        self.min_split = min_split
        self.merge = merge
        self.polish = polish
        self.normalization = normalization
        self.eig_tol = eig_tol
        self.n_states = n_states
        self.missing = missing
        self.similarity_params = similarity_params
        self.branch_lengths = branch_lengths
        self.negative = negative
        self.units = units
        self.root = root
        self.n_bootstrap = n_bootstrap
        self.dtype = dtype
        self.dense_limit = dense_limit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.strict = strict
        self.callback = callback
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, *, names: Sequence[str] | None = None) -> STDR:
        """Recover the tree of the rows of `X`.

        Parameters
        ----------
        X : sequence of str, array of characters or integers of shape (m, n), or matrix of shape (m, m)
            Aligned sequences, leaves in rows; real observations; or similarities or distances: see
            `similarity`. A dask array is brought into memory; of more sequences than `dense_limit` the parts
            are then solved by dask's scheduler, each sequence being sent to one worker, and nothing is
            reported to `callback` from there.
        y : ignored
        names : sequence of str or None, default=None
            Names of the leaves; None: "0", "1", ...

        Returns
        -------
        STDR
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            `X` or a parameter is not as described.
        RuntimeError
            An external program is missing or failed.

        Warns
        -----
        DisconnectedSimilarityWarning
            Some leaves have no similarity to the others: where they belong is not known.
        UserWarning
            Most similarities are saturated, or negative ones were made 0.
        """
        self._check_parameters()
        threads = _threads.resolve(self.n_jobs)
        random = check_random_state(self.random_state)
        seed = int(random.randint(1, 2**31 - 1))
        start = time.perf_counter()
        data = self._observations(X)
        if not callable(self.similarity):
            self._check_leaves(len(data.codes if isinstance(data, Encoded) else data), names)
        S, info, sites = self._prepare(data)
        m = len(S) if S is not None else len(data.codes)
        self.names_in_ = self._check_leaves(m, names)
        seconds = {"similarity": time.perf_counter() - start}
        with Progress(self.callback, self.verbose, unit="leaf", n_leaves=m) as progress:
            if sites is None:
                assert S is not None
                found, D = self._recover(S, info, data, self.names_in_, threads, seed, progress.hook)
            else:
                found = self._recover_large(
                    sites, info, self.names_in_, threads, seed, progress.hook, hasattr(X, "__dask_graph__")
                )
                info = sites.info(found.saturated)
            self.support_ = None
            if self.n_bootstrap:
                trees = self._bootstrap(data, threads, random, progress.hook)
                found.tree = found.tree.with_support(split_support(found.tree, trees))
        for key, value in found.seconds.items():
            seconds[key] = seconds.get(key, 0.0) + value
        self._warn(found)
        start = time.perf_counter()
        if self.branch_lengths is None:
            tree = found.tree
        elif sites is not None:
            tree = self._in_units(near_lengths(sites, found.tree, _cap(info), self.negative == "clip"), info)
        else:
            fitted = fit_lengths(found.tree, D, self.branch_lengths, self.negative == "clip", threads)
            tree = self._in_units(fitted, info)
        if self.root is not None and m > 1:
            tree = (
                tree.root(self.root)
                if isinstance(self.root, str)
                else tree.root("outgroup", outgroup=self.root)
            )
        seconds["lengths"] = time.perf_counter() - start
        self.tree_, self.newick_ = tree, tree.newick()
        if self.n_bootstrap:
            self.support_ = np.array(tree.support)
        self.similarity_, self.similarity_info_ = S, info
        self.partition_tree_: list[Split] = found.splits
        self.labels_ = found.labels
        shape = np.shape(data.codes if isinstance(data, Encoded) else data)
        self.n_features_in_ = int(shape[1]) if len(shape) > 1 else m
        self.diagnostics_: dict[str, Any] = {
            "margins": np.array(found.margins).reshape(-1, 2),
            "scores": np.array(found.scores).reshape(-1, 2),
            "sigma_ratio": np.array([s.sigma2 / s.sigma1 if s.sigma1 else 0.0 for s in found.splits]),
            "saturated": info.saturated,
            "seconds": seconds,
            "disconnected": found.disconnected,
            "blind_merges": found.blind_merges,
            "moved": found.moved,
            "interchanges": found.interchanges,
            "unconverged": found.unconverged,
            "fallbacks": found.fallbacks,
            "stopped": found.stopped,
        }
        return self

    def _check_parameters(self) -> None:
        _validate.check_integer(self.tau, "tau", 3)
        if not callable(self.base):
            _validate.check_choice(self.base, "base", (*_base.OWN, *_base.EXTERNAL))
        if not callable(self.similarity):
            _validate.check_choice(self.similarity, "similarity", SIMILARITIES)
        _validate.check_positive(self.alpha, "alpha")
        _validate.check_integer(self.num_gaps, "num_gaps", 0, 20)
        _validate.check_integer(self.min_split, "min_split", 1)
        _validate.check_choice(self.merge, "merge", MERGES)
        if not (isinstance(self.polish, bool) or self.polish == "auto"):
            raise ValueError(f"polish must be 'auto', True or False, got {self.polish!r}")
        _validate.check_choice(self.normalization, "normalization", (None, "rw"))
        _validate.check_positive(self.eig_tol, "eig_tol")
        _validate.check_choice(self.branch_lengths, "branch_lengths", ("ols", "nnls", None))
        _validate.check_choice(self.negative, "negative", ("clip", "keep"))
        _validate.check_choice(self.units, "units", ("substitutions", "similarity"))
        _validate.check_integer(self.n_bootstrap, "n_bootstrap", 0)
        check_dtype(self.dtype)
        _validate.check_integer(self.dense_limit, "dense_limit", 16)
        if self.base == "quartet_exact" and self.tau > MOST_QUARTET_LEAVES:
            raise ValueError(
                f"base='quartet_exact' takes parts of at most {MOST_QUARTET_LEAVES} leaves, "
                f"got tau={self.tau}"
            )
        if isinstance(self.root, str) and self.root not in ("midpoint", "min_var"):
            raise ValueError(
                f"root must be None, 'midpoint', 'min_var' or the names of an outgroup, got {self.root!r}"
            )
        sequences = self.similarity in ("jc69", "tn93", "logdet")
        if self.base in _base.EXTERNAL:
            if not sequences:
                raise ValueError(f"base={self.base!r} needs sequences, but similarity is {self.similarity!r}")
            _base.find_program(str(self.base))
        if self.n_bootstrap and self.similarity in ("precomputed", "precomputed_distance"):
            raise ValueError("n_bootstrap needs observations, but X is a matrix of similarities or distances")
        allowed = {"gamma", "frequencies", "pseudocount", "min_overlap", "on_no_overlap", "rates"}
        unknown = sorted(set(self.similarity_params or {}) - allowed)
        if unknown:
            raise ValueError(f"similarity_params has unknown names: {', '.join(unknown)}")

    def _check_leaves(self, m: int, names: Sequence[str] | None) -> tuple[str, ...]:
        labels = check_names(names, m)
        if self.min_split > max(1, m // 2):
            raise ValueError(f"min_split must be at most {m // 2}, half of the leaves, got {self.min_split}")
        if self.root is not None and not isinstance(self.root, str):
            unknown = sorted(set(self.root) - set(labels))
            if unknown:
                raise ValueError(f"root has names that are not in the tree: {', '.join(unknown[:5])}")
        return labels

    def _observations(self, X: Any) -> Any:
        """Codes of the states, real numbers, a matrix, or whatever a function takes."""
        if hasattr(X, "tocsr"):
            raise TypeError("sparse input is not supported: X must be dense")
        if callable(self.similarity):
            return X
        if self.similarity in ("correlation", "gaussian_det", "precomputed", "precomputed_distance"):
            return np.asarray(X)
        states = 4 if self.similarity == "tn93" and self.n_states is None else self.n_states
        return check_encoded(encode(X, states, self.missing))

    def _similarities(self, data: Any, *, drawn: bool = False) -> tuple[Reals, SimilarityInfo]:
        dtype = check_dtype(self.dtype)
        if self.similarity == "precomputed":
            S, negative = check_similarities(data, "X", dtype)
            if negative:
                warnings.warn(
                    f"{negative} similarities are negative and were made 0",
                    UserWarning,
                    stacklevel=_caller.level(),
                )
            S = without_subnormals(S**self.alpha) if self.alpha != 1 else S
            return S, SimilarityInfo("precomputed", None, None, self.alpha, int((S == 0).sum()) // 2)
        if self.similarity == "precomputed_distance":
            S = without_subnormals(np.exp(-self.alpha * check_distances(data, "X", dtype)))
            return S, SimilarityInfo("precomputed_distance", None, 1.0, self.alpha, int((S == 0).sum()) // 2)
        return similarity_matrix(
            data, self.similarity, alpha=self.alpha, dtype=dtype, n_jobs=self.n_jobs, **self._options(drawn)
        )

    def _options(self, drawn: bool) -> dict[str, Any]:
        options = dict(self.similarity_params or {})
        if drawn:  # a pair may lose its joint sites
            options["on_no_overlap"] = "saturate"
        return options

    def _prepare(
        self, data: Any, *, drawn: bool = False
    ) -> tuple[Reals | None, SimilarityInfo, Sites | None]:
        """All similarities; or, of too many sequences, what they are computed from."""
        if not isinstance(data, Encoded):
            return *self._similarities(data), None
        most = min(len(data.codes), self.dense_limit)
        what = f"the similarities and distances of {most} leaves"
        size = check_dtype(self.dtype).itemsize
        _validate.check_memory(2.0 * size * most**2, what, "lower dense_limit")
        if len(data.codes) <= self.dense_limit:
            return *self._similarities(data, drawn=drawn), None
        for name, value, instead in (
            ("merge", self.merge, "balanced"), ("branch_lengths", self.branch_lengths, "ols"),
            ("frequencies", (self.similarity_params or {}).get("frequencies", "pair"), "pair"),
        ):  # fmt: skip
            if value not in (instead, None):
                raise ValueError(
                    f"{name}={value!r} needs the similarities of all pairs, but X has {len(data.codes)} "
                    f"leaves, more than dense_limit={self.dense_limit}"
                )
        sites = sites_of(
            data, str(self.similarity), alpha=self.alpha, n_jobs=self.n_jobs, **self._options(drawn)
        )
        return None, sites.info(0), sites

    def _recover_large(
        self,
        sites: Sites,
        info: SimilarityInfo,
        names: tuple[str, ...],
        threads: int,
        seed: int,
        report: Any,
        distributed: bool = False,
    ) -> Recovery:
        def cut(S: Reals, most: int) -> tuple[Recovery, list[NDArray[np.int32] | None]]:
            return partition(
                S, tau=most, num_gaps=self.num_gaps, min_split=self.min_split,
                normalization=self.normalization, eig_tol=self.eig_tol, strict=self.strict, threads=threads,
            )  # fmt: skip

        # what a worker elsewhere needs, and no more
        model = type(self)(**{**self.get_params(), "callback": None, "verbose": 0})

        def solve(parts: list[NDArray[np.int32]]) -> Iterator[Recovery]:
            tasks = [
                (sites.part(leaves), info, tuple(names[i] for i in leaves.tolist()), threads, seed)
                for leaves in parts
            ]
            if distributed:
                dask = need("dask", extra="dask", purpose="the parts of a dask array")
                # the same scheduler, or cluster, that computes the user's arrays
                yield from dask.compute(*(dask.delayed(_solve_part)(model, *task) for task in tasks))
                return
            done = 0
            for leaves, task in zip(parts, tasks, strict=True):

                def tell(stage: str, count: int, error: float, before: int = done) -> Any:
                    return report(stage, count if stage == "merge" else before + count, error)

                yield _solve_part(model, *task, tell if report is not None else None)
                done += len(leaves)

        found = recover_large(sites, names, self.dense_limit, cut, solve, cap=_cap(info), seed=seed)
        self._polish(found, sites, info, threads)
        return found

    def _recover(
        self,
        S: Reals,
        info: SimilarityInfo,
        data: Any,
        names: tuple[str, ...],
        threads: int,
        seed: int,
        report: Any,
    ) -> tuple[Recovery, Reals]:
        """The tree, and the distances."""
        result, plan = partition(
            S, tau=self.tau, num_gaps=self.num_gaps, min_split=self.min_split,
            normalization=self.normalization, eig_tol=self.eig_tol, strict=self.strict, threads=threads,
            report=report,
        )  # fmt: skip
        start = time.perf_counter()
        D = distances_of(S, threads)  # not before: the first cut needs a matrix of this size
        result.seconds["distances"] = time.perf_counter() - start
        assemble(
            result, plan, S, D if self.merge == "balanced" else None, names,
            self._solver(S, D, info, data, names, seed), cap=_cap(info), threads=threads,
            workers=_threads.effective(self.n_jobs) if self.base in _base.EXTERNAL else 1,
            report=report,
        )  # fmt: skip
        self._polish(result, D, info, threads)
        return result, D

    def _polish(self, found: Recovery, D: Reals | Sites, info: SimilarityInfo, threads: int) -> None:
        if self.polish is False or (self.polish == "auto" and self.base not in _base.OWN):
            return
        start = time.perf_counter()
        found.tree, count = shortened(found.tree, D, _cap(info), threads)
        found.interchanges += count
        found.seconds["polish"] = found.seconds.get("polish", 0.0) + time.perf_counter() - start

    def _solver(
        self, S: Reals, D: Reals, info: SimilarityInfo, data: Any, names: tuple[str, ...], seed: int
    ) -> Callable[[NDArray[np.int32]], Tree]:
        if callable(self.base):
            base = self.base
            if isinstance(data, Encoded):
                rows = data.codes.astype(np.int16)
                rows[rows == MISSING] = -1
            else:
                rows = np.asarray(data)

            def solve(leaves: NDArray[np.int32]) -> Tree:
                part = [names[i] for i in leaves.tolist()]
                if len(leaves) <= 2:
                    return Tree([-1] if len(leaves) == 1 else [2, 2, -1], None, part)
                return base(S[np.ix_(leaves, leaves)], rows[leaves], part, seed)

            return solve
        # one thread: a part is too small for more
        own = _base.from_matrix(
            str(self.base) if self.base in _base.OWN else "nj", S, D, names, info.resolved, 1
        )
        if self.base in _base.OWN:
            return own
        states = data.n_states
        if states not in LETTERS:
            raise ValueError(f"base={self.base!r} is for DNA and protein, but X has {states} states")
        table = np.full(256, ord("-"), dtype=np.uint8)
        table[:states] = np.frombuffer(LETTERS[states], dtype=np.uint8)
        return _base.external(str(self.base), table[data.codes], states, own, names, seed)

    def _bootstrap(self, data: Any, threads: int, random: Any, report: Any) -> list[Tree]:
        values = data.codes if isinstance(data, Encoded) else np.asarray(data)
        trees = []
        for b in range(self.n_bootstrap):
            columns = random.randint(values.shape[1], size=values.shape[1])
            drawn: Any = np.ascontiguousarray(values[:, columns])
            if isinstance(data, Encoded):
                drawn = Encoded(drawn, data.n_states, 0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # said once, of the data themselves
                S, info, sites = self._prepare(drawn, drawn=True)
            if sites is None:
                assert S is not None
                found, _ = self._recover(S, info, drawn, self.names_in_, threads, b + 1, None)
            else:
                found = self._recover_large(sites, info, self.names_in_, threads, b + 1, None)
            trees.append(found.tree)
            if report is not None and report("bootstrap", b + 1, 0.0):
                break
        return trees

    def _in_units(self, tree: Tree, info: SimilarityInfo) -> Tree:
        if self.units == "substitutions" and info.scale is not None:
            return tree.with_lengths(tree.length / (info.scale * info.alpha))
        return tree

    @staticmethod
    def _warn(found: Recovery) -> None:
        if found.disconnected:
            warnings.warn(
                f"{found.disconnected} parts fall into pieces that have no similarity: where these belong is "
                "not known",
                DisconnectedSimilarityWarning,
                stacklevel=_caller.level(),
            )
        if found.blind_merges > found.disconnected:
            warnings.warn(
                f"{found.blind_merges} merges had no similarity to go by",
                UserWarning,
                stacklevel=_caller.level(),
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.similarity in ("precomputed", "precomputed_distance")
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _solve_part(
    model: STDR,
    sites: Sites,
    info: SimilarityInfo,
    names: tuple[str, ...],
    threads: int,
    seed: int,
    report: Any = None,
) -> Recovery:
    """The tree of sequences that are few enough for all of their similarities."""
    start = time.perf_counter()
    S, saturated = sites.matrix(dtype=check_dtype(model.dtype))
    seconds = time.perf_counter() - start
    found, _ = model._recover(S, info, sites.encoded, names, threads, seed, report)
    found.saturated = saturated
    found.seconds["similarity"] = seconds
    return found


def _cap(info: SimilarityInfo) -> float:
    """The largest distance that means something."""
    return np.inf if info.resolved is None else info.resolved
