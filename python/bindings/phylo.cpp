// lapwing::phylo for Python.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <lapwing/phylo.hpp>
#include <optional>
#include <string>
#include <vector>

#include "convert.hpp"

namespace {

using namespace nb::literals;
using namespace lapwing;
using python::mat_in, python::mat_out, python::run, python::vec_in, python::vec_out, python::view;

template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> array(std::vector<T>&& v) {
  auto* kept = new std::vector<T>(std::move(v));
  const nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner);
}

nb::tuple joined(phylo::joined_tree&& t) {
  return nb::make_tuple(array(std::move(t.parent)), array(std::move(t.length)), t.scanned);
}

template <std::size_t N>
int choice(const std::string& text, const char* name, const char* const (&names)[N]) {
  for (std::size_t i = 0; i < N; ++i)
    if (text == names[i]) return static_cast<int>(i);
  check(false, name, " is '", text, "'");
  return 0;
}

// name, states, alpha, gamma, pooled, pseudocount, overlap
phylo::similarity_options options_of(const nb::tuple& t) {
  if (t.size() != 7) throw std::invalid_argument("model must have 7 entries");
  return {.model = static_cast<phylo::substitution_model>(
              choice(nb::cast<std::string>(t[0]), "model", {"jc", "tn93", "logdet"})),
          .states = nb::cast<int>(t[1]),
          .alpha = nb::cast<double>(t[2]),
          .gamma = nb::cast<double>(t[3]),
          .pooled = nb::cast<bool>(t[4]),
          .pseudocount = nb::cast<double>(t[5]),
          .overlap = nb::cast<std::ptrdiff_t>(t[6])};
}

// Functions of matrices, which may be of doubles or of floats.
template <class T>
void bind_matrices(nb::module_& m) {
  m.def(
      "phylo_similarity",
      [](const mat_in<std::uint8_t>& codes, const nb::tuple& model, std::ptrdiff_t split, const mat_out<T>& s,
         int threads) {
        phylo::similarity_options o = options_of(model);
        o.split = split;
        const auto r = run(threads, nb::none(), [&](const context& ctx) {
          return phylo::similarity(ctx, view<std::uint8_t>(codes), o, view<T>(s));
        });
        return nb::make_tuple(r.saturated, r.apart, r.first[0], r.first[1]);
      },
      "codes"_a.noconvert(), "model"_a, "split"_a, "s"_a.noconvert(), "threads"_a,
      "Fills `s`; returns the pairs that are saturated, those with too few joint sites, and the first of "
      "them. model: name, states, alpha, gamma, pooled, pseudocount, overlap.");
  m.def(
      "phylo_inspect",
      [](const mat_in<T>& x, int threads) {
        const auto f =
            run(threads, nb::none(), [&](const context& ctx) { return phylo::inspect(ctx, view<T>(x)); });
        nb::dict d;
        d["bad"] = f.bad;
        d["first_bad"] = f.first_bad;
        d["asymmetry"] = f.asymmetry;
        d["where_asymmetric"] = f.where_asymmetric;
        d["low"] = f.low;
        d["where_low"] = f.where_low;
        d["high"] = f.high;
        d["where_high"] = f.where_high;
        d["negative"] = f.negative;
        return d;
      },
      "x"_a.noconvert(), "threads"_a, "Whether a square matrix is finite and symmetric, and its range.");
  m.def(
      "phylo_distances",
      [](const mat_in<T>& s, const mat_out<T>& d, int threads) {
        return run(threads, nb::none(),
                   [&](const context& ctx) { return phylo::distances(ctx, view<T>(s), view<T>(d)); });
      },
      "s"_a.noconvert(), "d"_a.noconvert(), "threads"_a,
      "Fills `d` with -log s, cut off at the largest finite value.");
  m.def(
      "phylo_cut",
      [](const mat_in<T>& s, const vec_in<std::int32_t>& part, int gaps, std::ptrdiff_t least,
         bool random_walk, double tol, const vec_out<std::uint8_t>& side,
         const std::optional<vec_out<double>>& vector, int threads) {
        constexpr const char* names[] = {"sign", "gap", "component", "median"};
        const auto r = run(threads, nb::none(), [&](const context& ctx) {
          return phylo::cut(ctx, view<T>(s), view<std::int32_t>(part),
                            {.gaps = gaps, .least = least, .random_walk = random_walk, .tol = tol},
                            view<std::uint8_t>(side), vector ? view<double>(*vector) : vector_view<double>());
        });
        nb::dict d;
        d["kind"] = names[static_cast<int>(r.kind)];
        d["lambda2"] = r.lambda2;
        d["lambda3"] = r.lambda3;
        d["sigma1"] = r.sigma1;
        d["sigma2"] = r.sigma2;
        d["residual"] = r.residual;
        d["products"] = r.products;
        d["converged"] = r.converged;
        return d;
      },
      "s"_a.noconvert(), "part"_a.noconvert(), "gaps"_a, "least"_a, "random_walk"_a, "tol"_a,
      "side"_a.noconvert(), "vector"_a.noconvert().none(), "threads"_a,
      "Fills `side` (and the Fiedler `vector`).");
  m.def(
      "phylo_leading_pair",
      [](const mat_in<T>& s, const vec_in<std::int32_t>& rows, const vec_in<std::int32_t>& cols,
         const vec_out<double>& u, const vec_out<double>& v, int threads) {
        return run(threads, nb::none(), [&](const context& ctx) {
          return phylo::leading_pair(ctx, view<T>(s), view<std::int32_t>(rows), view<std::int32_t>(cols),
                                     view<double>(u), view<double>(v));
        });
      },
      "s"_a.noconvert(), "rows"_a.noconvert(), "cols"_a.noconvert(), "u"_a.noconvert(), "v"_a.noconvert(),
      "threads"_a, "Leading singular value of a block of `s`; fills its vectors.");
  m.def(
      "phylo_edge_scores",
      [](const mat_in<T>& s, const vec_in<std::int32_t>& leaves, const vec_in<std::int32_t>& parent,
         const vec_in<double>& u, const vec_out<double>& score, int threads) {
        run(threads, nb::none(), [&](const context& ctx) {
          phylo::edge_scores(ctx, view<T>(s), view<std::int32_t>(leaves), view<std::int32_t>(parent),
                             view<double>(u), view<double>(score));
        });
      },
      "s"_a.noconvert(), "leaves"_a.noconvert(), "parent"_a.noconvert(), "u"_a.noconvert(),
      "score"_a.noconvert(), "threads"_a, "Fills `score`, for the edge above each node.");
  m.def(
      "phylo_insertion_lengths",
      [](const mat_in<T>& d, const vec_in<std::int32_t>& leaves, const vec_in<std::int32_t>& parent,
         const vec_in<double>& delta, double cap, const vec_out<double>& excess, int threads) {
        run(threads, nb::none(), [&](const context& ctx) {
          phylo::insertion_lengths(ctx, view<T>(d), view<std::int32_t>(leaves), view<std::int32_t>(parent),
                                   view<double>(delta), cap, view<double>(excess));
        });
      },
      "d"_a.noconvert(), "leaves"_a.noconvert(), "parent"_a.noconvert(), "delta"_a.noconvert(), "cap"_a,
      "excess"_a.noconvert(), "threads"_a, "Fills `excess`, for the edge above each node.");
  m.def(
      "phylo_interchange",
      [](const mat_in<T>& d, double cap, const vec_out<std::int32_t>& parent, std::ptrdiff_t sweeps,
         int threads) {
        return run(threads, nb::none(), [&](const context& ctx) {
          return phylo::interchange(ctx, view<T>(d), cap, view<std::int32_t>(parent), sweeps);
        });
      },
      "d"_a.noconvert(), "cap"_a, "parent"_a.noconvert(), "sweeps"_a, "threads"_a,
      "Changes `parent` by interchanges that make the tree shorter; returns how many.");
  m.def(
      "phylo_lengths",
      [](const mat_in<T>& d, const vec_in<std::int32_t>& leaves, const vec_in<std::int32_t>& parent,
         const vec_out<double>& length, int threads) {
        run(threads, nb::none(), [&](const context& ctx) {
          phylo::least_squares_lengths(ctx, view<T>(d), view<std::int32_t>(leaves),
                                       view<std::int32_t>(parent), view<double>(length));
        });
      },
      "d"_a.noconvert(), "leaves"_a.noconvert(), "parent"_a.noconvert(), "length"_a.noconvert(), "threads"_a,
      "Fills `length`, for the edge above each node.");
}

}  // namespace

void bind_phylo(nb::module_& m) {
  bind_matrices<double>(m);
  bind_matrices<float>(m);
  m.def(
      "phylo_gram",
      [](const mat_in<double>& x, const mat_out<double>& out, int threads) {
        run(threads, nb::none(),
            [&](const context& ctx) { phylo::gram(ctx, view<double>(x), view<double>(out)); });
      },
      "x"_a.noconvert(), "out"_a.noconvert(), "threads"_a, "Fills `out` with x xᵀ.");
  m.def(
      "phylo_join",
      [](const mat_in<double>& d, const std::string& method, bool clip, int threads) {
        const auto kind = static_cast<phylo::joining>(choice(method, "method", {"nj", "bionj"}));
        return joined(run(threads, nb::none(),
                          [&](const context& ctx) { return phylo::join(ctx, view<double>(d), kind, clip); }));
      },
      "d"_a.noconvert(), "method"_a, "clip"_a, "threads"_a, "Parents, lengths, and the rows searched.");
  m.def(
      "phylo_join_in_place",
      [](const mat_out<double>& d, bool clip, int threads) {
        return joined(run(threads, nb::none(), [&](const context& ctx) {
          return phylo::join_in_place(ctx, view<double>(d), clip);
        }));
      },
      "d"_a.noconvert(), "clip"_a, "threads"_a, "The same (nj), with `d` as scratch memory.");
  m.def(
      "phylo_quartet_tree",
      [](const mat_in<double>& s, int threads) {
        return joined(run(threads, nb::none(),
                          [&](const context& ctx) { return phylo::quartet_tree(ctx, view<double>(s)); }));
      },
      "s"_a.noconvert(), "threads"_a, "Parents, lengths (0), and 0.");
  m.def(
      "phylo_spectral_join",
      [](const mat_in<double>& s, const std::string& criterion, int threads) {
        const auto kind = static_cast<phylo::rank_one_criterion>(
            choice(criterion, "criterion", {"sv2", "residual", "quartets"}));
        return joined(run(threads, nb::none(), [&](const context& ctx) {
          return phylo::spectral_join(ctx, view<double>(s), kind);
        }));
      },
      "s"_a.noconvert(), "criterion"_a, "threads"_a,
      "Parents, lengths (0), and the number of scores computed.");
  m.def(
      "phylo_insertion_lengths",
      [](const mat_in<std::uint8_t>& codes, const nb::tuple& model, const vec_in<std::int32_t>& leaves,
         const vec_in<std::int32_t>& parent, const vec_in<double>& delta, double cap,
         const vec_out<double>& excess, int threads) {
        const phylo::similarity_options o = options_of(model);
        run(threads, nb::none(), [&](const context& ctx) {
          phylo::insertion_lengths(ctx, view<std::uint8_t>(codes), o, view<std::int32_t>(leaves),
                                   view<std::int32_t>(parent), view<double>(delta), cap,
                                   view<double>(excess));
        });
      },
      "codes"_a.noconvert(), "model"_a, "leaves"_a.noconvert(), "parent"_a.noconvert(), "delta"_a.noconvert(),
      "cap"_a, "excess"_a.noconvert(), "threads"_a, "The same from sequences.");
  m.def(
      "phylo_interchange",
      [](const mat_in<std::uint8_t>& codes, const nb::tuple& model, double cap,
         const vec_out<std::int32_t>& parent, std::ptrdiff_t sweeps, int threads) {
        const phylo::similarity_options o = options_of(model);
        return run(threads, nb::none(), [&](const context& ctx) {
          return phylo::interchange(ctx, view<std::uint8_t>(codes), o, cap, view<std::int32_t>(parent),
                                    sweeps);
        });
      },
      "codes"_a.noconvert(), "model"_a, "cap"_a, "parent"_a.noconvert(), "sweeps"_a, "threads"_a,
      "The same from sequences.");
  m.def(
      "phylo_balanced_lengths",
      [](const mat_in<std::uint8_t>& codes, const nb::tuple& model, const vec_in<std::int32_t>& leaves,
         const vec_in<std::int32_t>& parent, double cap, const vec_out<double>& length, int threads) {
        const phylo::similarity_options o = options_of(model);
        run(threads, nb::none(), [&](const context& ctx) {
          phylo::balanced_lengths(ctx, view<std::uint8_t>(codes), o, view<std::int32_t>(leaves),
                                  view<std::int32_t>(parent), cap, view<double>(length));
        });
      },
      "codes"_a.noconvert(), "model"_a, "leaves"_a.noconvert(), "parent"_a.noconvert(), "cap"_a,
      "length"_a.noconvert(), "threads"_a, "Fills `length`, for the edge above each node.");
}
