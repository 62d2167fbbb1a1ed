// Loss of a run's step and its gradient, in f64: over the known labels (those that are no NaN) of `n` logits,
//   binary cross-entropy   log(1 + e^z) - y z, slope 1 / (1 + e^-z) - y
//   squared error          (z - y)^2, slope 2 (z - y)
// gradient = slope / number of known labels, 0 at unknown ones. The sum of the loss and the number of known labels are
// added to the totals of the run. The order of the sum depends on n alone: thread t adds up t, t + 256, ..., then pairs
// of threads.
//
// Grid: (1, runs) blocks of 256 threads; 4096 bytes of shared memory.
#include "rt.cuh"

constexpr int THREADS = 256;

RT_DEV double loss_of(double z, double y, bool squared, double& slope) {
  if (squared) {
    slope = 2.0 * (z - y);
    return (z - y) * (z - y);
  }
  // log(1 + e^z) = max(z, 0) + log(1 + e^-|z|) does not overflow.
  const double power = exp(-fabs(z));
  slope = (z < 0.0 ? power : 1.0) / (1.0 + power) - y;
  return (z > 0.0 ? z : 0.0) + log1p(power) - y * z;
}

// The sum of all threads' values, known to all of them.
RT_DEV double block_sum(double* sums, double value) {
  sums[threadIdx.x] = value;
#ifndef PLANT_NO_BARRIER
  __syncthreads();
#endif
  for (int step = THREADS / 2; step > 0; step /= 2) {
    if ((int)threadIdx.x < step) sums[threadIdx.x] += sums[threadIdx.x + step];
    __syncthreads();
  }
  return sums[0];
}

RT_KERNEL(256, 1) pair_loss(const float* logits, const float* labels, float* gradient, double* totals, u32 n,
                            u32 logit_stride, u32 label_stride, u32 gradient_stride, u32 totals_stride,
                            u32 squared) {
  RT_DYNAMIC_SHARED(double, sums);  // [2, 256]
  const u64 run = blockIdx.y;
  logits += run * logit_stride;
  labels += run * label_stride;
  gradient += run * gradient_stride;
  double known = 0.0, loss = 0.0, slope;
  for (u32 i = threadIdx.x; i < n; i += THREADS) known += labels[i] == labels[i] ? 1.0 : 0.0;
  known = block_sum(sums, known);
  const double per_label = 1.0 / (known > 1.0 ? known : 1.0);
  for (u32 i = threadIdx.x; i < n; i += THREADS) {
    const double z = logits[i], y = labels[i];
    if (y == y) {
      loss += loss_of(z, y, squared, slope);
      gradient[i] = (float)(slope * per_label);
    } else {
      gradient[i] = 0.f;
    }
  }
  loss = block_sum(sums + THREADS, loss);
  if (threadIdx.x == 0) {
    totals[run * totals_stride] += loss;
    totals[run * totals_stride + 1] += known;
  }
}
RT_EXPORT(pair_loss)
