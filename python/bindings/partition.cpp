// lapwing::partition for Python.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <lapwing/partition.hpp>
#include <optional>
#include <string>
#include <vector>

#include "convert.hpp"

namespace {

using namespace nb::literals;
using namespace lapwing;
using python::csr, python::mat_in, python::vec_in, python::vec_out, python::run, python::view;

template <std::size_t n>
int one_of(const std::string& text, const char* const (&names)[n], const char* what) {
  for (std::size_t i = 0; i < n; ++i)
    if (text == names[i]) return static_cast<int>(i);
  std::string all;
  for (const char* name : names) all += (all.empty() ? "'" : ", '") + std::string(name) + "'";
  check(false, what, " must be one of ", all, ", got '", text, "'");
  return -1;
}

partition::objective objective(const std::string& text) {
  return static_cast<partition::objective>(
      one_of(text, {"cut", "ratio", "ncut", "conductance"}, "objective"));
}

partition::options options(std::vector<double> targets, std::vector<double> limits, const std::string& refine,
                           const std::string& goal, const std::optional<vec_in<double>>& volume, int trials,
                           std::uint64_t seed, const std::optional<mat_in<double>>& directions) {
  partition::options o;
  o.targets = std::move(targets);
  o.limits = std::move(limits);
  o.refine =
      static_cast<partition::refinement>(one_of(refine, {"none", "fm", "flow", "multilevel"}, "refine"));
  o.goal = objective(goal);
  if (volume) o.volume = view<double>(*volume);
  o.trials = trials;
  o.seed = seed;
  if (directions) o.directions = view<double>(*directions);
  return o;
}

nb::dict answer(const partition::result& r) {
  nb::dict d;
  d["cut"] = r.cut;
  d["feasible"] = r.feasible;
  d["stopped"] = r.stopped;
  return d;
}

using entry = partition::result(const context&, csr_view<const double>, std::span<const double>,
                                const partition::options&, std::span<std::int32_t>);

void define(nb::module_& m, const char* name, entry* f, const char* text) {
  m.def(
      name,
      [f](const vec_in<std::int64_t>& offsets, const vec_in<std::int32_t>& indices,
          const vec_in<double>& values, const vec_in<double>& node, std::vector<double> targets,
          std::vector<double> limits, const std::string& refine, const std::string& goal,
          const std::optional<vec_in<double>>& volume, int trials, std::uint64_t seed,
          const std::optional<mat_in<double>>& directions, const vec_out<std::int32_t>& labels, int threads,
          const nb::object& callback) {
        const auto w = csr(offsets, indices, values, static_cast<std::ptrdiff_t>(offsets.size()) - 1);
        const partition::options o =
            options(std::move(targets), std::move(limits), refine, goal, volume, trials, seed, directions);
        return answer(run(threads, callback, [&](const context& ctx) {
          return f(ctx, w, view<double>(node), o, view<std::int32_t>(labels));
        }));
      },
      "offsets"_a.noconvert(), "indices"_a.noconvert(), "values"_a.noconvert(), "node"_a.noconvert(),
      "targets"_a, "limits"_a, "refine"_a, "objective"_a, "volume"_a.noconvert().none(), "trials"_a, "seed"_a,
      "directions"_a.noconvert().none(), "labels"_a.noconvert(), "threads"_a, "callback"_a.none(), text);
}

}  // namespace

void bind_partition(nb::module_& m) {
  m.def(
      "sweep",
      [](const vec_in<std::int64_t>& offsets, const vec_in<std::int32_t>& indices,
         const vec_in<double>& values, const vec_in<double>& v, const vec_in<double>& node,
         const vec_in<double>& volume, const std::string& goal, double low, double high,
         const vec_out<std::int32_t>& order, const vec_out<double>& profile, int threads) {
        const auto w = csr(offsets, indices, values, static_cast<std::ptrdiff_t>(offsets.size()) - 1);
        const partition::sweep_options o{.goal = objective(goal), .low = low, .high = high};
        const auto r = run(threads, nb::none(), [&](const context& ctx) {
          return partition::sweep(ctx, w, view<double>(v), view<double>(node), view<double>(volume), o,
                                  view<std::int32_t>(order), view<double>(profile));
        });
        return nb::make_tuple(r.size, r.value, r.cut, r.feasible);
      },
      "offsets"_a.noconvert(), "indices"_a.noconvert(), "values"_a.noconvert(), "v"_a.noconvert(),
      "node"_a.noconvert(), "volume"_a.noconvert(), "objective"_a, "low"_a, "high"_a, "order"_a.noconvert(),
      "profile"_a.noconvert(), "threads"_a,
      "Best prefix of the nodes by v; fills `order` and `profile`, returns size, value, cut and "
      "feasibility.");
  m.def(
      "cut_measures",
      [](const vec_in<std::int64_t>& offsets, const vec_in<std::int32_t>& indices,
         const vec_in<double>& values, const vec_in<double>& node, const vec_in<double>& volume,
         const vec_in<std::int32_t>& labels, std::ptrdiff_t k) {
        const auto w = csr(offsets, indices, values, static_cast<std::ptrdiff_t>(offsets.size()) - 1);
        const auto r = run(1, nb::none(), [&](const context& ctx) {
          return partition::measure(ctx, w, view<double>(node), view<double>(volume),
                                    view<std::int32_t>(labels), k);
        });
        return nb::make_tuple(r.cut, r.weights, r.volumes, r.leaving, r.pieces, r.boundary);
      },
      "offsets"_a.noconvert(), "indices"_a.noconvert(), "values"_a.noconvert(), "node"_a.noconvert(),
      "volume"_a.noconvert(), "labels"_a.noconvert(), "k"_a,
      "Cut; weight, volume, weight of leaving edges and pieces of each part; nodes at the boundary.");
  define(m, "partition", &partition::split, "Parts of small cut; fills `labels`.");
  define(m, "partition_refine", &partition::refine, "Improves the partition in `labels`.");
}
