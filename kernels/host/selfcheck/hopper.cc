// Runs one case against the units of compute capability 9.0 of the host shim: `hopper CASE`. Prints "right", "wrong" or
// "error CODE".
#include <cstdio>
#include <cstring>
#include <string>
#include "../half.h"
#include "../launch.h"
#include "../tensor_map.h"

using rt_host::Kernel;
using rt_host::TensorMap;

namespace {

constexpr int side = 64;
constexpr size_t shared = side * side * 2 + 8;
alignas(64) u16 x[side * side], y[side * side];
alignas(64) float sums[128];

TensorMap map_of(u16* matrix, u32 box_height = side) {
  TensorMap map;
  encode(map, 2, matrix, {side, side}, 2 * side, {side, box_height}, true);
  return map;
}

std::string verdict(int error, bool right) {
  return error ? "error " + std::to_string(error) : right ? "right" : "wrong";
}

std::string run_copy(const Kernel& kernel) {
  const int error = rt_host::run(kernel, {1}, {128}, shared, rt_host::Options::of_process(), map_of(x), map_of(y));
  return verdict(error, std::memcmp(x, y, sizeof x) == 0);
}

// Two blocks, each with half of the box.
std::string run_sharing(const Kernel& kernel, u32 blocks) {
  const rt_host::Options& options = rt_host::Options::of_process();
  const TensorMap maps[] = {map_of(x, side / 2), map_of(y, side / 2)};
  const int error = rt_host::run(kernel, {blocks}, {64}, shared + 8, options, maps[0], maps[1]);
  return verdict(error, std::memcmp(x, y, sizeof x) == 0);
}

std::string run_product(const Kernel& kernel) {
  const int error = rt_host::run(kernel, {1}, {128}, shared, rt_host::Options::of_process(), map_of(x), (float*)sums);
  bool right = true;
  for (int column = 0; column < side; column++) {
    float sum = 0;  // integers: exact
    for (int k = 0; k < side; k++) sum += rt_host::widen(x[k]) * rt_host::widen(x[side * column + k]);
    right = right && sums[column] == sum;
  }
  return verdict(error, right);
}

std::string run_meeting(const Kernel& kernel) {
  const int error = rt_host::run(kernel, {1}, {128}, shared, rt_host::Options::of_process(), map_of(x), (float*)sums);
  bool right = true;
  for (int t = 0; t < 128; t++) right = right && sums[t] == (float)(t ^ 32);
  return verdict(error, right);
}

// What the driver is told of a matrix that the copying unit could not take.
std::string refused_maps() {
  alignas(64) TensorMap map;
  const bool narrow = encode(map, 2, x, {side, side}, 2 * side - 2, {side, side}, true);
  const bool moved = encode(map, 2, x + 1, {side, side}, 2 * side, {side, side}, true);
  const bool tall = encode(map, 2, x, {side, side}, 2 * side, {side, 257}, true);
  const bool wide = encode(map, 2, x, {side, side}, 2 * side, {128, side}, true);
  return verdict(0, narrow && moved && tall && wide);
}

std::string run_case(const std::string& name) {
  if (name == "maps") return refused_maps();
  if (name == "odd_grid") return run_sharing(*Kernel::find("shared_out"), 3);
  const Kernel* kernel = Kernel::find(name.c_str());
  if (!kernel) return "no such case";
  if (name.rfind("box", 0) == 0) return run_copy(*kernel);
  if (name.rfind("shared_out", 0) == 0) return run_sharing(*kernel, 2);
  return name.rfind("met", 0) == 0 ? run_meeting(*kernel) : run_product(*kernel);
}

}  // namespace

int main(int count, char** arguments) {
  for (int i = 0; i < side * side; i++) x[i] = rt_host::narrow((float)(i * 7 % 31 - 15));
  for (int i = 1; i < count; i++) std::printf("%s\n", run_case(arguments[i]).c_str());
}
