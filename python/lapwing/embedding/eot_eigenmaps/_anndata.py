"""EOT eigenmaps of two AnnData objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lapwing._optional import need

from ._estimator import EOTEigenmaps

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["certificate", "eot_eigenmaps_anndata", "shared_features"]


def shared_features(
    first: Any, second: Any, *, names: tuple[str, str] = ("the first dataset", "the second dataset")
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions of the features that two lists of names have in common, in the order of the first.

    Raises
    ------
    ValueError
        A name occurs twice in a list, or none is shared.
    """
    places = []
    for labels, which in zip((first, second), names, strict=True):
        place = {str(label): i for i, label in enumerate(labels)}
        if len(place) < len(labels):
            seen: set[str] = set()
            twice = next(s for s in map(str, labels) if s in seen or seen.add(s))  # type: ignore[func-returns-value]
            raise ValueError(f"the feature names of {which} must be unique, {twice!r} occurs twice")
        places.append(place)
    shared = [name for name in places[0] if name in places[1]]
    if not shared:
        raise ValueError(
            f"{names[0]} and {names[1]} have no feature name in common "
            f"({len(places[0])} and {len(places[1])} names)"
        )
    i, j = (np.array([place[name] for name in shared], dtype=np.intp) for place in places)
    return i, j


def certificate(model: EOTEigenmaps) -> dict[str, Any]:
    """What tells whether a fit is to be trusted, as plain numbers."""
    return {
        "converged": model.converged_,
        "status": str(model.plan_.status),
        "marginal_error": model.marginal_error_,
        "n_sweeps": model.n_sweeps_,
        "svd_residual": float(model.svd_residuals_.max() / model.singular_values_[1]),
        "bandwidth": model.bandwidth_,
        "n_components": model.n_components_,
        "singular_values": [float(s) for s in model.singular_values_],
    }


def _highly_variable(data: Any, name: str, required: bool) -> NDArray[np.bool_] | None:
    if "highly_variable" in data.var:
        return np.asarray(data.var["highly_variable"], dtype=bool)
    if required:
        raise ValueError(f"use_highly_variable=True, but {name}.var has no column 'highly_variable'")
    return None


def _values(data: Any, layer: str | None, name: str) -> Any:
    if layer is None:
        if data.X is None:
            raise ValueError(f"{name} has no X; name a layer")
        return data.X[:] if getattr(data, "isbacked", False) else data.X
    if layer not in data.layers:
        raise ValueError(f"{name} has no layer {layer!r}, only {sorted(data.layers)}")
    return data.layers[layer]


def eot_eigenmaps_anndata(
    adata_x: Any,
    adata_y: Any,
    n_components: int | float | str = 15,
    *,
    layer: str | None = None,
    use_highly_variable: bool | None = None,
    key_added: str = "X_eot",
    **params: Any,
) -> EOTEigenmaps:
    """Embed two AnnData objects jointly and write the coordinates into them.

    The features are matched by `var_names`; only the shared ones are used. Values are taken as they are:
    normalise and log-transform counts before.

    Parameters
    ----------
    adata_x, adata_y : anndata.AnnData of shape (m, p1) and (n, p2)
        The datasets; changed in place.
    n_components : int, float, "gap" or "reference", default=15
        Number of coordinates, as in `EOTEigenmaps`.
    layer : str or None, default=None
        The layer to embed; None: `X`.
    use_highly_variable : bool or None, default=None
        Restrict to the features that are marked in ``var["highly_variable"]`` of both objects. None: of
        those objects that have this column.
    key_added : str, default="X_eot"
        ``obsm[key_added]`` gets the coordinates, of shape (m, r) and (n, r); ``uns[key_added]`` the
        bandwidth, the singular values and the certificate.
    **params
        All other parameters of `EOTEigenmaps`.

    Returns
    -------
    EOTEigenmaps
        The fitted estimator; `feature_names_in_` holds the shared features.

    Raises
    ------
    ImportError
        When anndata is not installed.
    TypeError
        When an argument is not an AnnData object.
    ValueError
        When feature names occur twice or none is shared, when the layer or column is missing, and as
        `EOTEigenmaps.fit`.
    """
    anndata = need("anndata", extra="anndata", purpose="eot_eigenmaps_anndata")
    pair = ((adata_x, "adata_x"), (adata_y, "adata_y"))
    for data, name in pair:
        if not isinstance(data, anndata.AnnData):
            raise TypeError(f"{name} must be an AnnData object, got {type(data).__name__}")
    i, j = shared_features(adata_x.var_names, adata_y.var_names, names=("adata_x", "adata_y"))
    if use_highly_variable is not False:
        keep = np.ones(len(i), dtype=bool)
        for (data, name), index in zip(pair, (i, j), strict=True):
            marked = _highly_variable(data, name, required=use_highly_variable is True)
            if marked is not None:
                keep &= marked[index]
        if not keep.any():
            raise ValueError("adata_x and adata_y share no feature that is highly variable in both")
        i, j = i[keep], j[keep]
    x, y = (_values(data, layer, name)[:, index] for (data, name), index in zip(pair, (i, j), strict=True))
    model = EOTEigenmaps(n_components, **params).fit(x, y)
    model.feature_names_in_ = np.asarray(adata_x.var_names[i], dtype=object)
    report = certificate(model)
    report["singular_values"] = model.singular_values_
    for (data, _), coordinates in zip(pair, (model.embedding_x_, model.embedding_y_), strict=True):
        data.obsm[key_added] = coordinates
        data.uns[key_added] = dict(report)
    return model
