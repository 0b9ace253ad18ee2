"""Embeddings of an AnnData object by any of the estimators of one dataset."""

from __future__ import annotations

from typing import Any

import numpy as np

from lapwing._optional import need

__all__ = ["embed_anndata"]


def embed_anndata(
    adata: Any,
    estimator: Any,
    *,
    layer: str | None = None,
    obsm: str | None = None,
    obsp: str | None = None,
    use_highly_variable: bool | None = None,
    key_added: str | None = None,
) -> Any:
    """Fit an estimator to an AnnData object and write the coordinates into it.

    Parameters
    ----------
    adata : anndata.AnnData of shape (n, p)
        The dataset; changed in place.
    estimator : SpectralEmbedding, DiffusionMaps or HeatGeodesic
        With the parameters that are wanted.
    layer : str or None, default=None
        The layer to embed; None: `X`.
    obsm : str or None, default=None
        Embed ``obsm[obsm]``, for example "X_pca", instead.
    obsp : str or None, default=None
        Embed the graph with the weights ``obsp[obsp]``, for example "connectivities"; the estimator must have
        ``affinity="precomputed"``. (Distances: ``affinity="precomputed_nearest_neighbors"``.)
    use_highly_variable : bool or None, default=None
        Restrict to the features marked in ``var["highly_variable"]``. None: where there is this column.
    key_added : str or None, default=None
        ``obsm[key_added]`` gets the coordinates, ``uns[key_added]`` the eigenvalues and the parameters; None:
        ``"X_"`` and the name of the class in lower case.

    Returns
    -------
    estimator
        `estimator`, fitted.

    Raises
    ------
    ImportError
        When anndata is not installed.
    TypeError
        `adata` is not an AnnData object.
    ValueError
        A name is not in `adata`, more than one of `layer`, `obsm` and `obsp` is given, or as the estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing import SpectralEmbedding
    >>> from lapwing.embedding import embed_anndata
    >>> from anndata import AnnData
    >>> data = AnnData(np.random.default_rng(0).normal(size=(50, 4)))
    >>> model = embed_anndata(data, SpectralEmbedding(3))
    >>> data.obsm["X_spectralembedding"].shape
    (50, 3)
    """
    anndata = need("anndata", extra="anndata", purpose="embed_anndata")
    if not isinstance(adata, anndata.AnnData):
        raise TypeError(f"adata must be an AnnData object, got {type(adata).__name__}")
    given = {"layer": layer, "obsm": obsm, "obsp": obsp}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise ValueError(f"{' and '.join(named)} exclude each other")
    affinity = getattr(estimator, "affinity", None)
    pairwise = isinstance(affinity, str) and affinity.startswith("precomputed")
    if (obsp is not None) != pairwise:
        raise ValueError(f"obsp={obsp!r} does not go with an estimator of affinity={affinity!r}")
    values = _values(adata, layer, obsm, obsp)
    if obsp is None and obsm is None:
        marked = _highly_variable(adata, use_highly_variable)
        if marked is not None:
            values = values[:, marked]
        if hasattr(values, "toarray"):
            values = values.toarray()
    elif use_highly_variable:
        raise ValueError("use_highly_variable=True is for X and layers")
    coordinates = estimator.fit_transform(values)
    key = key_added if key_added is not None else f"X_{type(estimator).__name__.lower()}"
    adata.obsm[key] = np.asarray(coordinates)
    report = {"params": {k: v for k, v in estimator.get_params().items() if _plain(v)}}
    if hasattr(estimator, "eigenvalues_"):
        report["eigenvalues"] = estimator.eigenvalues_
    adata.uns[key] = report
    return estimator


def _values(adata: Any, layer: str | None, obsm: str | None, obsp: str | None) -> Any:
    for name, key in (("layers", layer), ("obsm", obsm), ("obsp", obsp)):
        if key is not None:
            place = getattr(adata, name)
            if key not in place:
                raise ValueError(f"adata.{name} has no {key!r}, only {sorted(place)}")
            value = place[key]
            return value if hasattr(value, "toarray") else np.asarray(value)
    if adata.X is None:
        raise ValueError("adata has no X; name a layer")
    return adata.X[:] if getattr(adata, "isbacked", False) else adata.X


def _highly_variable(adata: Any, wanted: bool | None) -> Any:
    if wanted is False:
        return None
    if "highly_variable" not in adata.var:
        if wanted:
            raise ValueError("use_highly_variable=True, but adata.var has no column 'highly_variable'")
        return None
    marked = np.asarray(adata.var["highly_variable"], dtype=bool)
    if not marked.any():
        raise ValueError("no feature of adata is highly variable")
    return marked


def _plain(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str))
