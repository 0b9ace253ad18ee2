"""Laplacian eigenmaps against dense algebra; extension to new points; every kind of input."""

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import eigh
from sklearn.base import BaseEstimator, clone
from sklearn.utils.estimator_checks import check_estimator

import lapwing
from lapwing import DisconnectedGraphWarning, SpectralEmbedding, graph


def swiss(n, seed=0):
    rng = np.random.default_rng(seed)
    t = 1.5 * np.pi * (1 + 2 * rng.uniform(size=n))
    return np.column_stack([t * np.cos(t), 10 * rng.uniform(size=n), t * np.sin(t)])


def two_parts(seed=0):
    rng = np.random.default_rng(seed)
    return np.vstack([rng.normal(size=(40, 3)), rng.normal(size=(25, 3)) + 100])


def generalized(W):
    W = np.asarray(W.todense()) if sparse.issparse(W) else np.array(W)
    np.fill_diagonal(W, 0)
    D = np.diag(W.sum(axis=1))
    return eigh(D - W, D), np.diag(D)


@pytest.mark.parametrize("options", [{}, {"affinity": "rbf", "gamma": 0.05}, {"kernel": "umap"}])
def test_solves_the_generalized_problem(options):
    X = swiss(200)
    model = SpectralEmbedding(4, random_state=0, **options).fit(X)
    (values, vectors), degrees = generalized(model.affinity_matrix_)
    np.testing.assert_allclose(model.eigenvalues_, values[1:5], atol=1e-12)
    gram = vectors[:, 1:5].T @ (degrees[:, None] * model.embedding_)
    np.testing.assert_allclose(np.abs(gram), np.eye(4), atol=1e-6)
    np.testing.assert_allclose(
        model.embedding_.T @ (degrees[:, None] * model.embedding_), np.eye(4), atol=1e-12
    )
    assert model.residuals_.max() < 1e-8
    assert model.n_components_graph_ == 1


def test_commute_times():
    X = swiss(60)
    model = SpectralEmbedding(59, n_neighbors=5, commute=True).fit(X)
    W = model.affinity_matrix_.toarray()
    degrees = W.sum(axis=1)
    inverse = np.linalg.pinv(np.diag(degrees) - W)
    resistance = np.diag(inverse)[:, None] + np.diag(inverse) - 2 * inverse
    Y = model.embedding_
    squared = ((Y[:, None] - Y) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared, resistance, rtol=1e-8, atol=1e-12)  # commute time over volume


KERNELS = ("binary", "gaussian", "selftuning", "adaptive", "alpha_decay", "laplace", "umap", "cosine")


@pytest.mark.parametrize("kernel", KERNELS)
def test_extension_reproduces_the_points_of_the_fit(kernel):
    X = swiss(300)
    model = SpectralEmbedding(3, kernel=kernel, random_state=0).fit(X)
    np.testing.assert_allclose(model.transform(X), model.embedding_, atol=1e-12)
    new = swiss(50, 1)
    together = model.transform(np.vstack([new, X[:5], new]))
    np.testing.assert_array_equal(together[:50], model.transform(new))  # no point knows of another
    np.testing.assert_array_equal(together[55:], together[:50])
    np.testing.assert_allclose(together[50:55], model.embedding_[:5], atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_extension_is_near_the_neighbours(kernel):
    X = swiss(1200)
    model = SpectralEmbedding(3, kernel=kernel, random_state=0).fit(X)
    Y = model.transform(X + 1e-4)
    spread = model.embedding_.std()
    assert np.abs(Y - model.embedding_).max() < 0.5 * spread
    assert np.corrcoef(Y.ravel(), model.embedding_.ravel())[0, 1] > 0.99


def test_extension_of_a_complete_kernel_is_exact():
    X = swiss(100)
    model = SpectralEmbedding(3, affinity="rbf", gamma=0.02, random_state=0).fit(X)
    np.testing.assert_allclose(model.transform(X), model.embedding_, atol=1e-12)
    x = X[:1] + 0.3
    w = np.exp(-0.02 * ((x - X) ** 2).sum(axis=1))
    expected = (w @ model.embedding_) / w.sum() / (1 - model.eigenvalues_)
    np.testing.assert_allclose(model.transform(x)[0], expected, rtol=1e-12)


def test_eigenvalues_near_one_are_refused():
    X = swiss(40)
    model = SpectralEmbedding(39, n_neighbors=6).fit(X)
    model.eigenvalues_[20] = 1.0
    with pytest.raises(ValueError, match="coordinate 20 cannot be extended"):
        model.transform(X)


def test_components():
    X = two_parts()
    with pytest.warns(DisconnectedGraphWarning, match="2 connected"):
        model = SpectralEmbedding(4, n_neighbors=5, random_state=0).fit(X)
    Y = model.embedding_
    assert model.n_components_graph_ == 2
    np.testing.assert_array_equal(model.eigenvalues_[:2], 0.0)
    assert (Y[:40, 0] != 0).all()
    assert (Y[40:, 0] == 0).all()
    assert (Y[40:, 1] != 0).all()
    assert (Y[:40, 1] == 0).all()
    np.testing.assert_allclose(model.transform(X), Y, atol=1e-7)
    one = SpectralEmbedding(2, n_neighbors=5, components="largest", random_state=0).fit(X)
    alone = SpectralEmbedding(2, n_neighbors=5, random_state=0).fit(X[:40])
    np.testing.assert_allclose(one.embedding_[:40], alone.embedding_, atol=1e-9)
    assert np.isnan(one.embedding_[40:]).all()
    Z = one.transform(X)
    np.testing.assert_allclose(Z[:40], alone.embedding_, atol=1e-7)
    assert np.isnan(Z[40:]).all()


def test_few_coordinates_of_many_components():
    W = sparse.block_diag([np.ones((4, 4)) - np.eye(4)] * 5).tocsr()
    with pytest.warns(DisconnectedGraphWarning) as told:
        model = SpectralEmbedding(3, affinity="precomputed").fit(W)
    assert len(told) == 1  # nothing about eigenvalues that were not asked for
    assert model.embedding_.shape == (20, 3)
    np.testing.assert_array_equal(model.eigenvalues_, 0.0)


def test_kinds_of_weights_agree():
    X = swiss(80)
    W = graph.affinity(X, n_neighbors=8)
    expected = SpectralEmbedding(3, affinity="precomputed", random_state=0).fit_transform(W)
    dense = SpectralEmbedding(3, affinity="precomputed", random_state=0).fit_transform(W.toarray())
    np.testing.assert_allclose(dense, expected, atol=1e-10)
    coo = SpectralEmbedding(3, affinity="precomputed", random_state=0).fit_transform(W.tocoo())
    np.testing.assert_array_equal(coo, expected)
    points = SpectralEmbedding(3, n_neighbors=8, random_state=0).fit_transform(X)
    np.testing.assert_array_equal(points, expected)
    distances = SpectralEmbedding(3, affinity="precomputed_nearest_neighbors", random_state=0)
    np.testing.assert_array_equal(distances.fit_transform(graph.knn_graph(X, 8)), expected)
    by_call = SpectralEmbedding(3, affinity=lambda X: graph.affinity(X, n_neighbors=8), random_state=0)
    np.testing.assert_array_equal(by_call.fit_transform(X), expected)


def test_graph_objects():
    networkx = pytest.importorskip("networkx")
    G = networkx.karate_club_graph()
    W = networkx.to_scipy_sparse_array(G, dtype=float)
    expected = SpectralEmbedding(2, affinity="precomputed").fit_transform(W)
    model = SpectralEmbedding(2, affinity="precomputed")
    np.testing.assert_allclose(model.fit_transform(G), expected, atol=1e-12)
    assert model.n_features_in_ == 34
    igraph = pytest.importorskip("igraph")
    H = igraph.Graph.from_networkx(G)
    np.testing.assert_allclose(model.fit_transform(H), expected, atol=1e-12)
    with pytest.raises(TypeError, match="directed"):
        model.fit(networkx.DiGraph(G))


def test_agrees_with_scikit_learn():
    from sklearn.manifold import SpectralEmbedding as Theirs

    X = swiss(150)
    W = graph.affinity(X, "gaussian", n_neighbors=10).toarray()
    theirs = Theirs(2, affinity="precomputed", random_state=0).fit_transform(W)
    ours = SpectralEmbedding(2, affinity="precomputed").fit_transform(W)
    correlation = np.abs(np.corrcoef(theirs.T, ours.T)[:2, 2:])
    np.testing.assert_allclose(np.diag(correlation), 1.0, atol=1e-4)


@pytest.mark.parametrize("affinity", ["nearest_neighbors", "rbf"])
@pytest.mark.parametrize("n", [300, 1700])
def test_threads_do_not_change_a_bit(affinity, n):
    if affinity == "rbf" and n > 1000:
        n = 1502  # just above the size that is solved at once
    X = swiss(n)
    found = [
        SpectralEmbedding(3, affinity=affinity, gamma=0.1, random_state=0, n_jobs=j).fit(X) for j in (1, 2, 4)
    ]
    new = swiss(20, 2)
    for other in found[1:]:
        np.testing.assert_array_equal(other.embedding_, found[0].embedding_)
        np.testing.assert_array_equal(other.transform(new), found[0].transform(new))


@pytest.mark.parametrize(
    ("options", "X", "error", "message"),
    [
        ({"affinity": "cosine"}, None, ValueError, "affinity"),
        ({"kernel": "box"}, None, ValueError, "kernel"),
        ({"components": "some"}, None, ValueError, "components"),
        ({"eigen_solver": "arpack"}, None, ValueError, "eigen_solver"),
        ({"eigen_tol": -1.0}, None, ValueError, "eigen_tol"),
        ({"eigen_tol": "low"}, None, ValueError, "eigen_tol"),
        ({"gamma": 0.0}, None, ValueError, "gamma"),
        ({"n_components": 0}, None, ValueError, "n_components"),
        ({"n_components": 2.5}, None, TypeError, "n_components"),
        ({"n_components": 20}, None, ValueError, "n_components must be at most 19"),
        ({"n_neighbors": 20}, None, ValueError, "n_neighbors"),
        ({"n_jobs": 0}, None, ValueError, "n_jobs"),
        ({"affinity": "precomputed"}, np.ones((4, 3)), ValueError, "square"),
        ({"affinity": "precomputed"}, np.array([[0.0, 1], [2, 0]]), ValueError, "symmetric"),
        ({"affinity": "precomputed"}, -np.ones((3, 3)), ValueError, "negative"),
        ({"affinity": "precomputed"}, np.zeros((3, 3)), ValueError, "no edges"),
        ({"affinity": "precomputed_nearest_neighbors"}, np.ones((3, 3)), TypeError, "sparse matrix"),
        ({}, np.array([[0.0], [np.nan], [1.0]]), ValueError, "NaN"),
        ({}, sparse.csr_array(np.ones((4, 2))), TypeError, "sparse|Sparse"),
    ],
)
def test_bad_input(options, X, error, message):
    X = swiss(20) if X is None else X
    with pytest.raises(error, match=message):
        SpectralEmbedding(**{"n_components": 2, **options}).fit(X)


def test_transform_needs_points():
    model = SpectralEmbedding(2, affinity="precomputed").fit(graph.affinity(swiss(50)))
    with pytest.raises(ValueError, match="transform needs"):
        model.transform(swiss(3))
    fitted = SpectralEmbedding(2).fit(swiss(50))
    with pytest.raises(ValueError, match="2 features"):
        fitted.transform(np.ones((3, 2)))


@pytest.mark.skipif(
    not hasattr(BaseEstimator, "__sklearn_tags__"), reason="checks of scikit-learn before 1.6"
)
@pytest.mark.parametrize("affinity", ["nearest_neighbors", "rbf"])
def test_scikit_learn_checks(affinity):
    results = check_estimator(
        SpectralEmbedding(2, affinity=affinity, random_state=0), on_fail=None, on_skip=None
    )
    failed = {r["check_name"]: repr(r["exception"]) for r in results if r["status"] == "failed"}
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 30


def test_names_and_clone():
    model = SpectralEmbedding(3, commute=True)
    assert clone(model).get_params() == model.get_params()
    model.fit(swiss(40))
    assert model.get_feature_names_out().tolist() == [f"spectralembedding{i}" for i in range(3)]
    assert lapwing.embedding.SpectralEmbedding is SpectralEmbedding


def test_anndata(tmp_path):
    anndata = pytest.importorskip("anndata")
    from lapwing.embedding import embed_anndata

    X = swiss(60)
    data = anndata.AnnData(sparse.csr_matrix(X))
    data.obsm["X_pca"] = X[:, :2]
    data.obsp["connectivities"] = sparse.csr_matrix(graph.affinity(X, n_neighbors=6))
    model = embed_anndata(data, SpectralEmbedding(3, n_neighbors=6, random_state=0), key_added="X_le")
    direct = SpectralEmbedding(3, n_neighbors=6, random_state=0).fit(X)
    np.testing.assert_array_equal(data.obsm["X_le"], direct.embedding_)
    np.testing.assert_array_equal(data.uns["X_le"]["eigenvalues"], model.eigenvalues_)
    embed_anndata(data, SpectralEmbedding(3, affinity="precomputed", random_state=0), obsp="connectivities")
    np.testing.assert_allclose(data.obsm["X_spectralembedding"], direct.embedding_, atol=1e-12)
    embed_anndata(data, SpectralEmbedding(2, random_state=0), obsm="X_pca", key_added="X_flat")
    flat = SpectralEmbedding(2, random_state=0).fit(X[:, :2])
    np.testing.assert_array_equal(data.obsm["X_flat"], flat.embedding_)
    data.write_h5ad(tmp_path / "a.h5ad")
    again = anndata.read_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(again.obsm["X_le"], direct.embedding_)
    data.var["highly_variable"] = [True, True, False]
    embed_anndata(data, SpectralEmbedding(2, random_state=0), key_added="X_hv")
    np.testing.assert_array_equal(data.obsm["X_hv"], flat.embedding_)
    with pytest.raises(ValueError, match="has no 'distances'"):
        embed_anndata(data, SpectralEmbedding(2, affinity="precomputed"), obsp="distances")
    with pytest.raises(ValueError, match="affinity"):
        embed_anndata(data, SpectralEmbedding(2), obsp="connectivities")
    with pytest.raises(ValueError, match="exclude each other"):
        embed_anndata(data, SpectralEmbedding(2), layer="a", obsm="X_pca")
    with pytest.raises(TypeError, match="AnnData"):
        embed_anndata(X, SpectralEmbedding(2))
    with pytest.raises(TypeError, match="embed_anndata"):
        SpectralEmbedding(2).fit(data)
