// RT_KERNEL and RT_EXPORT: how a kernel of a .cu file gets into the list of kernels.
#pragma once
#include <type_traits>
#include <utility>
#include "launch.h"

namespace rt_host {

// The bound of the RT_KERNEL above an RT_EXPORT: both are initialised in the order of the file.
struct Bounds {
  Bounds(u32 threads, u32 blocks, u32 cluster = 1);
};
// Puts the kernel into the list with that bound.
Kernel add_kernel(Kernel kernel, const Kernel* place);

template <class... A, size_t... I>
void call_with(void (*function)(A...), void** arguments, std::index_sequence<I...>) {
  function(*(std::remove_cv_t<A>*)arguments[I]...);
}
template <class... A> struct Signature {
  static constexpr u32 bytes[sizeof...(A) + 1] = {(u32)sizeof(A)..., 0};
  static void call(const Kernel& kernel, void** arguments) {
    call_with((void (*)(A...))kernel.function, arguments, std::index_sequence_for<A...>{});
  }
};
template <class... A> Kernel export_kernel(const char* name, void (*function)(A...), const Kernel* place) {
  static_assert(((sizeof(A) <= 256) && ...), "an argument of at most 256 bytes");
  using S = Signature<A...>;
  return add_kernel({name, 0, (u32)sizeof...(A), S::bytes, S::call, (void (*)())function}, place);
}

}  // namespace rt_host

#define RT_HOST_JOIN2(a, b) a##b
#define RT_HOST_JOIN(a, b) RT_HOST_JOIN2(a, b)
#define RT_HOST_BOUNDED(...)                                                                                           \
  static const rt_host::Bounds RT_HOST_JOIN(rt_host_bounds_, __COUNTER__)(__VA_ARGS__);                                \
  static void
#define RT_KERNEL(threads, blocks) RT_HOST_BOUNDED(threads, blocks)
#define RT_KERNEL_OF_CLUSTERS(threads, blocks, cluster) RT_HOST_BOUNDED(threads, blocks, cluster)
#define RT_EXPORT(kernel)                                                                                              \
  extern "C" {                                                                                                         \
  extern const rt_host::Kernel host_##kernel;                                                                          \
  const rt_host::Kernel host_##kernel = rt_host::export_kernel(#kernel, kernel, &host_##kernel);                       \
  }
