// Runs one case against the host shim: `shim CASE`. Prints "right", "wrong", "NaN" or "error CODE".
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include "../half.h"
#include "../launch.h"

using rt_host::Kernel;
extern "C" const Kernel host_reverse, host_reverse_without_barrier, host_copy, host_copy_without_wait,
    host_copy_misaligned, host_load_misaligned, host_divergent, host_deadlocked, host_half_returns,
    host_shuffle_of_half, host_write_shared, host_read_fresh_shared, host_overflow_stack, host_scale_by_struct,
    host_small_product, host_take_numbers;

namespace {

alignas(16) float x[256], y[256];
struct Scale {
  float factor[3];
  int n;
};

// The verdict on y[0..n] against `expected(i)`.
template <class F> std::string compare(int error, int n, F expected) {
  if (error) return "error " + std::to_string(error);
  std::string verdict = "right";
  for (int i = 0; i < n; i++) {
    if (std::isnan(y[i])) return "NaN";
    if (y[i] != expected(i)) verdict = "wrong";
  }
  return verdict;
}

// A launch of one block of a kernel (x, y).
int run_block(const Kernel& kernel, u32 threads, size_t shared) {
  const rt_host::Options& options = rt_host::Options::of_process();
  return rt_host::run(kernel, {1}, {threads}, shared, options, (const float*)x, (float*)y);
}
std::string run_plain(const Kernel& kernel, u32 threads = 256, size_t shared = 1024) {
  return compare(run_block(kernel, threads, shared), 0, [](int) { return 0.0f; });
}
std::string run_reverse(const Kernel& kernel, u32 threads, int n) {
  return compare(run_block(kernel, threads, 1024), n, [=](int i) { return x[n - 1 - i]; });
}
std::string run_copy(const Kernel& kernel) {
  return compare(run_block(kernel, 64, 1024), 256, [](int i) { return x[i]; });
}
std::string run_write_shared(int at, size_t shared) {
  const int error =
      rt_host::run(host_write_shared, {1}, {32}, shared, rt_host::Options::of_process(), (const float*)x, at);
  return compare(error, 0, [](int) { return 0.0f; });
}
std::string run_with_one_argument() {
  return compare(rt_host::run(host_reverse, {1}, {32}, 1024, {}, (float*)x), 0, [](int) { return 0.0f; });
}
std::string run_struct() {
  const Scale scale = {{1, 2, 3}, 200};
  const int error = rt_host::run(host_scale_by_struct, {4}, {32, 2}, 0, rt_host::Options::of_process(), (const float*)x,
                                 (float*)y, scale);
  return compare(error, 256, [](int i) { return i < 200 ? 2 * x[i] : 0.0f; });
}

std::string run_product() {
  alignas(16) u16 a[16 * 16], b[8 * 16];
  for (int i = 0; i < 256; i++) a[i] = rt_host::narrow((float)(i * 7 % 31 - 15));
  for (int i = 0; i < 128; i++) b[i] = rt_host::narrow((float)(i * 5 % 23 - 11));
  struct f16* halves_a = (struct f16*)a;
  struct f16* halves_b = (struct f16*)b;
  const int error = rt_host::run(host_small_product, {1}, {32}, 768, rt_host::Options::of_process(),
                                 (const struct f16*)halves_a, (const struct f16*)halves_b, (float*)y);
  return compare(error, 128, [&](int i) {
    float sum = 0;  // integers: exact
    for (int k = 0; k < 16; k++) sum += rt_host::widen(a[16 * (i / 8) + k]) * rt_host::widen(b[16 * (i % 8) + k]);
    return sum;
  });
}

std::string run_take_numbers() {
  alignas(16) u32 taken[4] = {};
  const rt_host::Options& options = rt_host::Options::of_process();
  const int error = rt_host::run(host_take_numbers, {8}, {32}, 0, options, (u32*)taken, (float*)y);
  return compare(error, 256, [](int i) { return (float)i; });
}

// The conversions against each other: every half, and floats around and between all halves.
std::string run_halves() {
  for (u32 h = 0; h < 65536; h++) {
    const float f = rt_host::soft_widen((u16)h);
    if (rt_host::float_bits(rt_host::widen((u16)h)) != rt_host::float_bits(f)) return "wrong";
    const bool nan = f != f;
    if (!nan && (rt_host::soft_narrow(f) != h || rt_host::narrow(f) != h)) return "wrong";
    for (u32 offset : {0u, 1u, 0xfffu, 0x1000u, 0x1001u, 0x1fffu}) {
      const float near = rt_host::bits_float(rt_host::float_bits(f) + offset);
      if (rt_host::soft_narrow(near) != rt_host::narrow(near)) return "wrong";
    }
  }
  for (float tiny : {0x1p-24f, 0x1p-25f, 0x1.8p-25f, 0x1.000002p-25f, 0x1p-26f, 0x1.7p-17f, 65519.0f, 65520.0f}) {
    if (rt_host::soft_narrow(tiny) != rt_host::narrow(tiny)) return "wrong";
  }
  return "right";
}

std::string run_case(const std::string& name) {
  if (name == "barrier") return run_reverse(host_reverse, 256, 256);
  if (name == "missing-barrier") return run_reverse(host_reverse_without_barrier, 256, 256);
  if (name == "half-returns") return run_reverse(host_half_returns, 256, 128);
  if (name == "wait") return run_copy(host_copy);
  if (name == "missing-wait") return run_copy(host_copy_without_wait);
  if (name == "misaligned-copy") return run_plain(host_copy_misaligned);
  if (name == "misaligned-load") return run_plain(host_load_misaligned, 1);
  if (name == "divergent") return run_plain(host_divergent);
  if (name == "deadlock") return run_plain(host_deadlocked);
  if (name == "absent-lanes") return run_plain(host_shuffle_of_half);
  if (name == "stack") return run_plain(host_overflow_stack);
  if (name == "shared-inside") return run_write_shared(255, 1024);
  if (name == "shared-past-end") return run_write_shared(256, 1024);
  if (name == "shared-slack") return run_write_shared(250, 1000);
  if (name == "too-many-threads") return run_plain(host_reverse, 257);
  if (name == "too-much-shared") return run_plain(host_reverse, 256, (227 << 10) + 1);
  if (name == "too-few-arguments") return run_with_one_argument();
  if (name == "struct") return run_struct();
  if (name == "product") return run_product();
  if (name == "numbers") return run_take_numbers();
  if (name == "halves") return run_halves();
  if (name == "fresh-shared") {
    run_plain(host_read_fresh_shared);
    return compare(0, 256, [](int) { return 0.0f; });
  }
  return "no such case";
}

}  // namespace

int main(int count, char** arguments) {
  for (int i = 0; i < 256; i++) x[i] = (float)(i + 1);
  for (int i = 1; i < count; i++) {
    std::memset(y, 0, sizeof y);
    std::printf("%s\n", run_case(arguments[i]).c_str());
  }
}
