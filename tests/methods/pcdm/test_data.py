"""Images that need not be in memory: blocks of Dask, datasets, streams."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lapwing.generative import PCDM  # noqa: E402
from lapwing.generative.pcdm._data import Images, source  # noqa: E402
from lapwing.nn import Trainer  # noqa: E402

from .conftest import SMALL  # noqa: E402

QUICK = {**SMALL, "n_steps": 12, "batch_size": 16}


class Pairs(torch.utils.data.Dataset):
    """Images with labels, as torch's datasets have them."""

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return torch.from_numpy(self.X[i]), 3


def parameters(model):
    return [p for net in model.networks_ for p in net.parameters()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(parameters(a), parameters(b), strict=True))


def test_a_dataset_is_what_it_holds(digits):
    X = digits[0][:200]
    assert same(PCDM(**QUICK).fit(Pairs(X)), PCDM(**QUICK).fit(X))


def test_blocks_hold_what_there_is(digits):
    da = pytest.importorskip("dask.array")
    X = digits[0][:230]
    lazy = da.from_array(X, chunks=(64, 8, 8))
    images = source(lazy, lambda x, reset=False: np.asarray(x)[:, None])
    assert len(images) == 230
    assert images.blocks == [64, 64, 64, 38]
    some = np.random.default_rng(0).permutation(230)[:50]
    np.testing.assert_array_equal(images[some][:, 0], X[some])
    np.testing.assert_array_equal(images[60:130][:, 0], X[60:130])
    model = PCDM(**QUICK).fit(lazy)
    assert same(model, PCDM(**QUICK).fit(lazy))
    one = PCDM(**QUICK).fit(da.from_array(X, chunks=(230, 8, 8)))
    assert not same(model, one)  # the order of an epoch is another
    assert np.isfinite(model.bits_per_dim(X[:20], n_t=4))


def test_an_epoch_goes_through_blocks():
    blocks = [5, 1, 4]
    seen = []

    def loss(batch):
        seen.extend(batch.indices.tolist())
        return {"x": (net(torch.ones(1, 1)) ** 2).sum()}

    net = torch.nn.Linear(1, 1)
    Trainer({"net": net}, loss, 10, 10, 2, 1e-3, blocks=blocks).run()
    first, second = seen[:10], seen[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    block_of = np.repeat([0, 1, 2], blocks)
    for epoch in (first, second):
        changes = (np.diff(block_of[epoch]) != 0).sum()
        assert changes == 2


def batches(X, size):
    return [X[i : i + size] for i in range(0, len(X), size)]


def test_a_stream_is_read_in_order_and_again(digits):
    X = digits[0][:70]
    loader = torch.utils.data.DataLoader(Pairs(X), batch_size=20)
    images = source(loader, lambda x, reset=False: np.asarray(x)[:, None])
    assert images.endless
    assert images.epoch(32) == 32
    rounds = np.concatenate([X, X, X])
    for step in range(6):
        np.testing.assert_array_equal(images.batch(step, None)[:, 0], rounds[32 * step : 32 * (step + 1)])
    # one that goes on from step 4
    images = source(batches_again(X), lambda x, reset=False: np.asarray(x)[:, None])
    images.epoch(32)
    np.testing.assert_array_equal(images.batch(4, None)[:, 0], rounds[128:160])


class batches_again:
    """Batches of images, as often as one likes."""

    def __init__(self, X):
        self.X = X

    def __iter__(self):
        return iter(batches(self.X, 9))


def test_a_stream_trains_and_goes_on_from_its_checkpoint(digits, tmp_path):
    X = digits[0][:150]
    whole = PCDM(**QUICK).fit(batches_again(X))
    assert same(whole, PCDM(**QUICK).fit(torch.utils.data.DataLoader(Pairs(X), batch_size=40)))
    PCDM(**QUICK, checkpoint=tmp_path, callback=lambda info: info.iteration >= 5).fit(batches_again(X))
    assert same(PCDM(**QUICK, checkpoint=tmp_path).fit(batches_again(X)), whole)
    assert whole.train_scale_mean_.shape == (3,)
    with pytest.raises(ValueError, match="another run: X differ"):
        PCDM(**QUICK, checkpoint=tmp_path).fit(batches_again(X[::-1]))


def test_a_stream_that_ends(digits):
    X = digits[0]
    PCDM(**QUICK).fit(iter(batches(X, 100)))  # long enough
    with pytest.raises(ValueError, match="can be read once, ended at step 3"):
        PCDM(**QUICK).fit(x for x in batches(X[:50], 10))


@pytest.mark.parametrize(
    ("X", "error", "text"),
    [
        (iter([]), ValueError, "stream without a batch"),
        (Pairs(np.zeros((0, 8, 8), np.uint8)), ValueError, "without items"),
        (iter([np.zeros((4, 8, 8))]), TypeError, "integer grey values"),
        (iter([np.full((4, 8, 8), 99)]), ValueError, "got values from 99"),
        (iter([np.zeros((4, 8, 8), int), np.zeros((4, 8, 6), int)]), ValueError, "images of shape"),
        (iter([np.zeros((1, 8, 8), int)]), ValueError, "at least 2 images"),
        (Pairs(np.full((9, 8, 8), 99)), ValueError, "got values from 99"),
    ],
)
def test_bad_sources(X, error, text):
    with pytest.raises(error, match=text):
        PCDM(**QUICK).fit(X)


def test_labels_of_a_stream():
    with pytest.raises(ValueError, match="y must be None where X is a stream"):
        PCDM(**QUICK).fit(iter([np.zeros((4, 8, 8), int)]), y=np.zeros(4))


def test_fingerprints_tell_images_apart(digits):
    X = digits[0][:100, None]
    assert Images(X).fingerprint() == Images(X.copy()).fingerprint()
    assert Images(X).fingerprint() != Images(X[::-1]).fingerprint()
