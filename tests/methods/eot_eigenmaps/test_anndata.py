"""Two AnnData objects in, coordinates in their obsm."""

import numpy as np
import pytest
from scipy import sparse

from lapwing import EOTEigenmaps
from lapwing.embedding import eot_eigenmaps_anndata

anndata = pytest.importorskip("anndata")


def make(n, genes, seed, convert=np.asarray):
    rng = np.random.default_rng(seed)
    data = anndata.AnnData(convert(rng.normal(size=(n, len(genes)))))
    data.obs_names = [f"cell{seed}_{i}" for i in range(n)]
    data.var_names = genes
    return data


FIRST = ["g1", "g2", "g3", "g4", "g5"]
SECOND = ["g9", "g5", "g3", "g2", "g1"]


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_shared_genes_are_matched_by_name(convert):
    a, b = make(20, FIRST, 0, convert), make(15, SECOND, 1, convert)
    model = eot_eigenmaps_anndata(a, b, 2, random_state=0)
    shared = ["g1", "g2", "g3", "g5"]
    assert model.feature_names_in_.tolist() == shared
    x, y = (np.asarray(sparse.csr_matrix(d[:, shared].X).todense()) for d in (a, b))
    direct = EOTEigenmaps(2, random_state=0).fit(x, y)
    np.testing.assert_array_equal(a.obsm["X_eot"], direct.embedding_x_)
    np.testing.assert_array_equal(b.obsm["X_eot"], direct.embedding_y_)
    assert a.uns["X_eot"]["bandwidth"] == direct.bandwidth_
    np.testing.assert_array_equal(b.uns["X_eot"]["singular_values"], direct.singular_values_)
    assert a.uns["X_eot"]["converged"] is True


def test_results_can_be_written_and_read(tmp_path):
    a, b = make(20, FIRST, 0), make(15, SECOND, 1)
    eot_eigenmaps_anndata(a, b, 2, random_state=0, key_added="X_joint")
    a.write_h5ad(tmp_path / "a.h5ad")
    again = anndata.read_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(again.obsm["X_joint"], a.obsm["X_joint"])
    assert again.uns["X_joint"]["n_sweeps"] == a.uns["X_joint"]["n_sweeps"]
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    model = eot_eigenmaps_anndata(backed, b, 2, random_state=0)
    np.testing.assert_array_equal(model.embedding_x_, a.obsm["X_joint"])


def test_highly_variable_genes_of_both():
    a, b = make(20, FIRST, 0), make(15, SECOND, 1)
    a.var["highly_variable"] = [True, True, True, False, False]
    assert eot_eigenmaps_anndata(a, b, 2).feature_names_in_.tolist() == ["g1", "g2", "g3"]
    b.var["highly_variable"] = [True, True, False, True, True]
    assert eot_eigenmaps_anndata(a, b, 2).feature_names_in_.tolist() == ["g1", "g2"]
    everything = eot_eigenmaps_anndata(a, b, 2, use_highly_variable=False)
    assert everything.feature_names_in_.tolist() == ["g1", "g2", "g3", "g5"]
    del b.var["highly_variable"]
    with pytest.raises(ValueError, match=r"adata_y.var has no column 'highly_variable'"):
        eot_eigenmaps_anndata(a, b, 2, use_highly_variable=True)


def test_layers():
    a, b = make(20, FIRST, 0), make(15, SECOND, 1)
    for data in (a, b):
        data.layers["scaled"] = 3 * data.X
    plain = eot_eigenmaps_anndata(a, b, 2, random_state=0)
    layer = eot_eigenmaps_anndata(a, b, 2, layer="scaled", random_state=0)
    assert layer.bandwidth_ == pytest.approx(9 * plain.bandwidth_)
    with pytest.raises(ValueError, match=r"adata_x has no layer 'counts', only \['scaled'\]"):
        eot_eigenmaps_anndata(a, b, 2, layer="counts")


def test_bad_input():
    a, b = make(20, FIRST, 0), make(15, SECOND, 1)
    with pytest.raises(TypeError, match="adata_y must be an AnnData object, got ndarray"):
        eot_eigenmaps_anndata(a, np.zeros((3, 3)))
    with pytest.raises(TypeError, match="X is an AnnData object"):
        EOTEigenmaps(2).fit(a, b)
    with pytest.raises(ValueError, match=r"no feature name in common \(5 and 2 names\)"):
        eot_eigenmaps_anndata(a, make(10, ["h1", "h2"], 2))
    twice = make(10, ["g1", "g2", "g1"], 2)
    with pytest.raises(ValueError, match="the feature names of adata_y must be unique, 'g1' occurs twice"):
        eot_eigenmaps_anndata(a, twice)
    a.var["highly_variable"] = False
    with pytest.raises(ValueError, match="share no feature that is highly variable"):
        eot_eigenmaps_anndata(a, b)
    empty = anndata.AnnData(obs=make(5, FIRST, 0).obs, var=make(5, FIRST, 0).var)
    with pytest.raises(ValueError, match="adata_x has no X; name a layer"):
        eot_eigenmaps_anndata(empty, b)


def test_missing_package_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(ImportError, match=r'pip install "lapwing\[anndata\]"'):
        eot_eigenmaps_anndata(object(), object())
