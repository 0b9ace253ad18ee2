"""The flat tree, Newick, rooting, least squares lengths, against networkx, other packages and linear
algebra."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapwing.phylo import Tree, edge_lengths, read_newick, write_newick
from lapwing.trees import birth_death, caterpillar, kingman, robinson_foulds

TEXT = st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=8)


def random_tree(seed: int, m: int, *, binary: bool = False) -> Tree:
    """Any shape: nodes of many children and of one, some lengths unknown."""
    rng = np.random.default_rng(seed)
    if binary:
        tree = birth_death(m, random_state=seed)
        return tree.with_lengths(rng.uniform(0.05, 2, tree.n_nodes))
    nodes, up = list(range(m)), {}
    count = m
    while len(nodes) > 1:
        k = int(rng.integers(1, min(4, len(nodes)) + 1))
        chosen = rng.choice(len(nodes), k, replace=False).tolist()
        for i in chosen:
            up[nodes[i]] = count
        nodes = [x for i, x in enumerate(nodes) if i not in chosen] + [count]
        count += 1
        if count > 6 * m + 6:
            for x in nodes:
                up[x] = count
            nodes = [count]
            count += 1
    parent = np.array([up.get(i, -1) for i in range(count)])
    length = np.where(rng.random(count) < 0.2, np.nan, rng.exponential(size=count))
    return Tree(parent, length, [f"n{i}" for i in range(m)])


def graph(tree: Tree) -> nx.Graph:
    G = nx.Graph()
    G.add_node(tree.n_nodes - 1)
    for i, p in enumerate(tree.parent[:-1].tolist()):
        G.add_edge(i, p, weight=0.0 if np.isnan(tree.length[i]) else tree.length[i])
    return G


def plain_paths(tree: Tree) -> np.ndarray:
    lengths = dict(nx.all_pairs_dijkstra_path_length(graph(tree)))
    return np.array([[lengths[i][j] for j in range(tree.n_leaves)] for i in range(tree.n_leaves)])


def plain_splits(tree: Tree) -> set[frozenset[str]]:
    """Sides without the first leaf, of edges taken out of the graph."""
    G, out = graph(tree), set()
    for i, p in enumerate(tree.parent[:-1].tolist()):
        G.remove_edge(i, p)
        below = {x for x in nx.node_connected_component(G, i) if x < tree.n_leaves}
        G.add_edge(i, p)
        if 0 in below:
            below = set(range(tree.n_leaves)) - below
        if 2 <= len(below) <= tree.n_leaves - 2:
            out.add(frozenset(tree.names[x] for x in below))
    return out


@given(st.integers(1, 30), st.integers(0, 10**6))
def test_layout_and_paths(m: int, seed: int) -> None:
    tree = random_tree(seed, m)
    assert tree.n_leaves == m
    order, first, last = tree.layout
    assert sorted(order.tolist()) == list(range(m))
    G = nx.DiGraph()
    G.add_nodes_from(range(tree.n_nodes))
    G.add_edges_from((p, i) for i, p in enumerate(tree.parent[:-1].tolist()))
    for i in range(tree.n_nodes):
        below = {x for x in {i, *nx.descendants(G, i)} if x < m}
        assert set(order[first[i] : last[i]].tolist()) == below
    # post-order: children before parents, and the leaves below an inner node before those of later ones
    assert all(p > i for i, p in enumerate(tree.parent[:-1].tolist()))
    inner_ends = last[m:].tolist()
    assert inner_ends == sorted(inner_ends)
    assert np.allclose(tree.path_lengths(), plain_paths(tree))
    assert {frozenset(s) for s in tree.splits()} == plain_splits(tree)


@given(st.integers(1, 25), st.integers(0, 10**6))
def test_newick_round_trip(m: int, seed: int) -> None:
    tree = random_tree(seed, m)
    again = read_newick(tree.newick(precision=17))
    assert again.reordered(tree.names) == tree if m > 1 else again.names == tree.names


def plain_newick(tree: Tree, precision: int, lengths: bool, support: bool) -> str:
    """Straight from the definition, node by node."""
    below = tree.children()

    def label(text: str) -> str:
        return "'" + text.replace("'", "''") + "'" if set(text) & set(" '():;,[]{}\n") or not text else text

    def text(i: int) -> str:
        out = "(" + ",".join(map(text, below[i])) + ")" if below[i] else label(tree.names[i])
        if below[i] and i in tree.labels:
            name = label(tree.labels[i])
            out += f"'{name}'" if name[0] in "-+.0123456789" else name
        elif below[i] and support and not np.isnan(tree.support[i]):
            out += f"{tree.support[i]:.{precision}g}"
        if lengths and i < tree.n_nodes - 1 and not np.isnan(tree.length[i]):
            out += f":{tree.length[i]:.{precision}g}"
        return out

    return text(tree.n_nodes - 1) + ";"


@given(st.integers(1, 25), st.integers(0, 10**6), st.booleans(), st.booleans(), st.integers(1, 17))
def test_newick_is_its_definition(m: int, seed: int, lengths: bool, support: bool, precision: int) -> None:
    tree = random_tree(seed, m)
    rng = np.random.default_rng(seed)
    inner = range(m, tree.n_nodes)
    strange = ["root", "95", ".5x", "-1", "a b", "it's", "", "(x)", "%s{}"]
    tree = Tree(
        tree.parent, tree.length * 10.0 ** rng.integers(-20, 20, tree.n_nodes),
        [rng.choice(["", "it's ", "a:"]) + name if seed % 2 else name for name in tree.names],
        support=np.where(rng.random(tree.n_nodes) < 0.5, np.nan, 100 * rng.random(tree.n_nodes)),
        labels={i: str(rng.choice(strange)) for i in inner if rng.random() < 0.3},
    )  # fmt: skip
    expected = plain_newick(tree, precision, lengths, support)
    options = {"precision": precision, "lengths": lengths, "support": support}
    assert tree.newick(**options) == expected
    marker = "[&R] " if tree.rooted else "[&U] "
    assert tree.newick(rooted_marker=True, **options) == marker + expected


@given(st.lists(TEXT, min_size=3, max_size=8, unique_by=lambda x: x.strip()))
def test_any_name_survives(names: list[str]) -> None:
    tree = Tree([len(names)] * len(names) + [-1], names=names)
    assert read_newick(tree.newick()).names == tuple(names)


def test_newick_of_others() -> None:
    text = "((A_1:1e-3,'it''s':2.5E+1)0.95:.5,[a comment; with (all) 'sorts']B b [x]:1,(C,D)label)root:3 ;\n"
    tree = read_newick(text)
    assert tree.names == ("A_1", "it's", "B b", "C", "D")
    assert tree.length[:3].tolist() == [1e-3, 25.0, 1.0]
    assert tree.support[5] == 0.95
    assert tree.labels == {6: "label", 7: "root"}
    assert tree.length[5] == 0.5
    assert np.isnan(tree.length[[3, 4, 6]]).all()
    assert read_newick(tree.newick()) == tree
    assert read_newick("(a,(b));").n_nodes == 4  # a node with one child stays
    assert read_newick("a;").names == ("a",)
    assert read_newick("((a,b)'12',c);").labels == {3: "12"}
    assert read_newick(read_newick("((a,b)'12',c);").newick()).labels == {3: "12"}
    assert read_newick("(a,b,c);").newick(rooted_marker=True) == "[&U] (a,b,c);"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("   ", "empty"),
        (";", "empty"),
        ("(a,b)", "';' is missing"),
        ("((a,b);", "1 brackets are not closed before ';' at character 6"),
        ("(a,b));", "character 5 closes nothing"),
        ("(a,b),c;", "',' at character 5 is outside"),
        ("(a,a);", "'a' comes twice"),
        ("(a,,b);", "leaf without a name before character 3"),
        ("(a,b)(c,d);", "must follow"),
        ("(a:x,b);", "cannot read ':x,b);' at character 2"),
        ("(a:1:2,b);", "character 4"),
        ("(a,b);c", "something follows ';' at character 6"),
        ("(a[oops,b);", "comment that begins at character 2 does not end"),
        ("(a,'b);", "character 3"),
    ],
)
def test_newick_errors_name_the_place(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="Newick") as raised:
        read_newick(text if "(" in text or ";" in text else text + "")
    assert words in str(raised.value)


def test_newick_files(tmp_path: Any) -> None:
    tree = kingman(9)
    write_newick(tree, tmp_path / "t.nwk", precision=17)
    assert read_newick(tmp_path / "t.nwk").reordered(tree.names) == tree
    assert read_newick(str(tmp_path / "t.nwk")).n_leaves == 9
    with pytest.raises(FileNotFoundError):
        read_newick(tmp_path / "none.nwk")


def test_deep_trees_do_not_recurse() -> None:
    m = 100_000
    tree = caterpillar(m)
    text = tree.newick()
    again = read_newick(text)
    assert again.n_leaves == m
    assert robinson_foulds(tree, again) == 0
    rooted = again.root("midpoint")
    assert rooted.n_leaves == m
    assert robinson_foulds(rooted, tree) == 0
    assert again.root("outgroup", outgroup=["0", "1"]).rooted


@pytest.mark.parametrize(
    ("parent", "words"),
    [
        ([], "vector of integers"),
        ([1.5, -1], "vector of integers"),
        ([2, 2, 5], "no other node"),
        ([2, 2, 2], "no other node"),
        ([-1, -1], "is for 2"),
        ([2, 4, 3, 2, -1], "cycle"),
        ([3, 0, 3, -1], "leaves must be nodes 0 to 1"),
    ],
)
def test_bad_parents(parent: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Tree(np.array(parent))


def test_bad_tree_arguments() -> None:
    with pytest.raises(ValueError, match=r"length must have shape \(4,\)"):
        Tree([3, 3, 3, -1], [1.0])
    with pytest.raises(ValueError, match=r"length\[0\] is infinite"):
        Tree([2, 2, -1], [np.inf, 1, 0])
    with pytest.raises(TypeError, match="one string"):
        Tree([2, 2, -1], names="ab")
    tree = kingman(5)
    with pytest.raises(ValueError, match="node must be between 0 and 7"):
        tree.rerooted(8)
    with pytest.raises(ValueError, match="fraction"):
        tree.rerooted(1, 2.0)
    with pytest.raises(ValueError, match="does not have: x"):
        tree.pruned(["x"])
    with pytest.raises(ValueError, match="no edge of the tree separates"):
        read_newick("((a,b),(c,d));").root("outgroup", outgroup=["a", "c"])
    with pytest.raises(ValueError, match="not in the tree: z"):
        tree.root("outgroup", outgroup=["z"])
    with pytest.raises(ValueError, match="needs the lengths"):
        read_newick("((a,b),(c,d));").root("midpoint")
    with pytest.raises(ValueError, match="how must be one of"):
        tree.root("best")
    with pytest.raises(ValueError, match="read-only"):
        tree.parent[0] = 3


@given(st.integers(3, 25), st.integers(0, 10**6))
def test_rerooting_keeps_paths_and_splits(m: int, seed: int) -> None:
    tree = random_tree(seed, m)
    D = plain_paths(tree)
    rng = np.random.default_rng(seed)
    node = int(rng.integers(tree.n_nodes - 1))
    for other in (tree.unrooted(), tree.rerooted(node, float(rng.random()))):
        assert other.names == tree.names
        assert np.allclose(other.path_lengths(), D)
        assert {frozenset(s) for s in other.splits()} == plain_splits(tree)
        assert (other.degrees[m:-1] >= 2).all()
    assert tree.unrooted().degrees[-1] >= 3
    below = tree.layout.order[tree.layout.first[node] : tree.layout.last[node]]
    if len(below) < m:
        rooted = tree.rerooted(node)
        assert rooted.rooted
        a, b = rooted.children()[-1]
        _, first, last = rooted.layout
        assert len(below) in (last[a] - first[a], last[b] - first[b])


@given(st.integers(3, 20), st.integers(0, 10**6))
def test_pruning_keeps_paths(m: int, seed: int) -> None:
    tree = random_tree(seed, m)
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.choice(m, int(rng.integers(1, m + 1)), replace=False))
    small = tree.pruned([tree.names[i] for i in kept])
    assert small.names == tuple(tree.names[i] for i in kept)
    assert np.allclose(small.path_lengths(), plain_paths(tree)[np.ix_(kept, kept)])
    assert (small.degrees[small.n_leaves :] != 1).all()


@given(st.integers(3, 20), st.integers(0, 10**6))
def test_midpoint_and_least_variance(m: int, seed: int) -> None:
    tree = random_tree(seed, m, binary=True)
    D = tree.path_lengths()
    middle = tree.root("midpoint")
    depth = middle.depths()[:m]
    assert np.allclose(middle.path_lengths(), D)
    assert np.isclose(depth.max(), D.max() / 2)
    a, b = middle.children()[-1]
    _, first, last = middle.layout
    order = middle.layout.order
    for child in (a, b):  # the longest path goes through the root
        assert np.isclose(depth[order[first[child] : last[child]]].max(), D.max() / 2)
    least = tree.root("min_var")
    assert np.allclose(least.path_lengths(), D)
    variance = least.depths()[:m].var()
    unrooted = tree.unrooted()
    for node in range(unrooted.n_nodes - 1):  # a grid of all points of the tree
        for fraction in (0.0, 0.25, 0.5, 0.75, 1.0):
            assert variance <= unrooted.rerooted(node, fraction).depths()[:m].var() + 1e-9


def test_outgroup() -> None:
    tree = read_newick("((a:1,b:1):1,(c:1,(d:1,e:1):1):1);")
    rooted = tree.root("outgroup", outgroup=["d", "e"])
    assert rooted.newick() == "((a:1,b:1):2,c:1):0.5,(d:1,e:1):0.5);".join(["(", ""])
    assert tree.root("outgroup", outgroup=["a", "b", "c"]).newick() == rooted.newick()
    assert tree.root("outgroup", outgroup=["c"]).rooted


def design(tree: Tree) -> np.ndarray:
    """Which edges the path of each pair of leaves takes."""
    order, first, last = tree.layout
    m = tree.n_leaves
    inside = np.zeros((tree.n_nodes - 1, m), dtype=bool)
    for e in range(tree.n_nodes - 1):
        inside[e, order[first[e] : last[e]]] = True
    i, j = np.triu_indices(m, 1)
    return (inside[:, i] != inside[:, j]).T.astype(float)


@given(st.integers(2, 22), st.integers(0, 10**6), st.booleans())
def test_lengths_are_least_squares(m: int, seed: int, rooted: bool) -> None:
    tree = random_tree(seed, m, binary=True)
    if not rooted:
        tree = tree.unrooted()
    rng = np.random.default_rng(seed)
    D = np.triu(rng.uniform(0.5, 2, (m, m)), 1)
    D = D + D.T
    found = edge_lengths(tree, D, negative="keep")
    A = design(tree)
    expected = np.linalg.lstsq(A, D[np.triu_indices(m, 1)], rcond=None)[0]
    assert np.allclose(A @ found.length[:-1], A @ expected, atol=1e-10)
    if tree.rooted and m > 2:  # the two halves of one edge
        a, b = tree.children()[-1]
        assert found.length[a] == found.length[b]
    elif m > 2:
        assert np.allclose(found.length[:-1], expected, atol=1e-10)
    assert (edge_lengths(tree, D).length >= 0).all()


@given(st.integers(3, 16), st.integers(0, 10**6))
def test_lengths_of_other_trees(m: int, seed: int) -> None:
    """Nodes of many children: from the normal equations."""
    tree = random_tree(seed, m).unrooted()
    rng = np.random.default_rng(seed)
    D = np.triu(rng.uniform(0.5, 2, (m, m)), 1)
    D = D + D.T
    A = design(tree)
    expected = np.linalg.lstsq(A, D[np.triu_indices(m, 1)], rcond=None)[0]
    found = edge_lengths(tree, D, negative="keep").length[:-1]
    assert np.allclose(A @ found, A @ expected, atol=1e-8)


@given(st.integers(4, 14), st.integers(0, 10**6))
def test_lengths_that_are_not_negative(m: int, seed: int) -> None:
    from scipy.optimize import nnls

    tree = random_tree(seed, m, binary=True).unrooted()
    rng = np.random.default_rng(seed)
    D = np.triu(rng.uniform(0.1, 2, (m, m)), 1)
    D = D + D.T
    A, d = design(tree), D[np.triu_indices(m, 1)]
    found = edge_lengths(tree, D, method="nnls").length[:-1]
    assert (found >= 0).all()
    assert np.linalg.norm(A @ found - d) <= nnls(A, d)[1] * (1 + 1e-9)


def test_lengths_do_not_depend_on_threads() -> None:
    tree = kingman(300, random_state=1).unrooted()
    D = tree.path_lengths() * np.exp(0.1 * np.random.default_rng(0).normal(size=(300, 300)))
    D = (D + D.T) / 2
    one = edge_lengths(tree, D, n_jobs=1).length
    for n_jobs in (2, 4):
        assert np.array_equal(one, edge_lengths(tree, D, n_jobs=n_jobs).length)
    with pytest.raises(ValueError, match="D has 299 rows, but the tree has 300"):
        edge_lengths(tree, D[:299, :299])
