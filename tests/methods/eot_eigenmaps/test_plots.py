"""Every plot returns what it drew, without a display."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError

from lapwing import EOTEigenmaps, plots
from lapwing.embedding.eot_eigenmaps import (
    plot_convergence,
    plot_embedding,
    plot_joint_embedding,
    plot_singular_values,
)
from lapwing.embedding.eot_eigenmaps._plots import layout


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    return EOTEigenmaps(4, random_state=0).fit(rng.normal(size=(40, 4)), rng.normal(size=(30, 4)))


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


LABELS_X, LABELS_Y = np.arange(40) % 3, np.arange(30) % 3


def offsets(ax):
    return np.sort(ax.collections[0].get_offsets().data, axis=0)


def test_embedding(model):
    ax = plot_embedding(model)
    assert isinstance(ax, Axes)
    joint = np.vstack([model.embedding_x_, model.embedding_y_])
    np.testing.assert_allclose(offsets(ax), np.sort(joint[:, :2], axis=0))
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["X", "Y"]
    _, own = plt.subplots()
    assert plot_embedding(model, labels_x=LABELS_X, labels_y=LABELS_Y, components=(2, 1), ax=own) is own
    np.testing.assert_allclose(offsets(own), np.sort(joint[:, [2, 1]], axis=0))
    assert [t.get_text() for t in own.get_legend().get_texts()] == ["0", "1", "2"]


def test_one_coordinate_and_missing_labels(model):
    rng = np.random.default_rng(0)
    single = EOTEigenmaps(1, random_state=0).fit(rng.normal(size=(9, 2)), rng.normal(size=(8, 2)))
    assert isinstance(plot_embedding(single), Axes)
    ax = plot_embedding(model, labels_x=np.array(["a"] * 40))
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "unknown"]


@pytest.mark.parametrize("method", ["components", "tsne"])
def test_joint_embedding_has_two_panels(model, method):
    figure = plot_joint_embedding(model, labels_x=LABELS_X, labels_y=LABELS_Y, method=method, title="both")
    assert isinstance(figure, Figure)
    assert [ax.get_title() for ax in figure.axes] == ["by dataset", "by label"]
    np.testing.assert_array_equal(offsets(figure.axes[0]), offsets(figure.axes[1]))
    assert len(plot_joint_embedding(model, method="components").axes) == 1


def test_tsne_is_seeded(model):
    np.testing.assert_array_equal(layout(model.embedding_x_), layout(model.embedding_x_))


def test_singular_values(model):
    ax = plot_singular_values(model)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), model.singular_values_[1:])
    assert ax.get_yscale() == "log"


def test_convergence():
    rng = np.random.default_rng(0)
    slow = EOTEigenmaps(2, bandwidth=0.1, random_state=0).fit(
        rng.normal(size=(40, 2)), rng.normal(size=(30, 2))
    )
    ax = plot_convergence(slow)
    errors = [entry.error for entry in slow.plan_.history]
    drawn = np.asarray(ax.lines[0].get_ydata())
    assert len(drawn) > 3
    assert set(drawn) <= set(errors)
    levels = len({entry.reg for entry in slow.plan_.history})
    assert len(ax.lines) == levels  # the curve, and a line wherever the regularisation was lowered


def test_saving(model, tmp_path):
    figure = plot_joint_embedding(model, method="components")
    plots.save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert not plt.fignum_exists(figure.number)


def test_bad_input(model):
    with pytest.raises(NotFittedError):
        plot_embedding(EOTEigenmaps())
    with pytest.raises(NotFittedError):
        plot_singular_values(EOTEigenmaps())
    with pytest.raises(ValueError, match=r"labels_y must have shape \(30,\), got \(3,\)"):
        plot_embedding(model, labels_x=LABELS_X, labels_y=[1, 2, 3])
    with pytest.raises(ValueError, match="components must be between 0 and 3"):
        plot_embedding(model, components=(0, 4))
    with pytest.raises(ValueError, match="method must be 'tsne' or 'components'"):
        plot_joint_embedding(model, method="umap")


def test_groups(model):
    _, ax = plt.subplots()
    points = model.embedding_x_[:, :2]
    assert plots.scatter_groups(ax, points) is ax
    many = plots.scatter_groups(ax, points, np.linspace(0, 1, 40))  # a colour bar in place of 40 names
    assert len(many.figure.axes) == 2
    with pytest.raises(ValueError, match=r"groups must have shape \(40,\)"):
        plots.scatter_groups(ax, points, [1, 2])
    with pytest.raises(ValueError, match=r"points must have shape \(n, 2\)"):
        plots.scatter_groups(ax, model.embedding_x_)


def test_missing_matplotlib_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'a plot needs matplotlib: pip install "lapwing\[plot\]"'):
        plots.new_figure()
