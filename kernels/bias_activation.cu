// What follows a product: y = dropout(relu(y + bias)) in place, and its gradient dy = dy * slope, where the slope is
// `scale` where the stored output is above 0, else 0. One matrix y of `n` numbers, rows of `width`, for each run.
//
// Dropout: number i of a run is dropped where word i of its Philox4x32-7 stream is below `threshold`, the others are
// multiplied by `scale`. Counter (16 g + l, layer, step, 0) under the run's seed gives words 64 g + 16 w + l, w = 0..3,
// to one thread. A threshold of 0 needs no clock.
//
// Grid: (ceil(n / 1024), runs) blocks of 256 threads.
#include "rt.cuh"

constexpr int CLOCK = 12;  // words of a run's clock
enum Clock { SEED_LOW, SEED_HIGH, STEP };

RT_DEV void philox(u32 (&c)[4], u32 key0, u32 key1) {
#pragma unroll
  for (int round = 0; round < 7; round++) {
    const u64 p0 = (u64)0xd2511f53u * c[0], p1 = (u64)0xcd9e8d57u * c[2];
    const u32 c0 = (u32)(p1 >> 32) ^ c[1] ^ key0, c2 = (u32)(p0 >> 32) ^ c[3] ^ key1;
    c[0] = c0;
    c[1] = (u32)p1;
    c[2] = c2;
    c[3] = (u32)p0;
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
}

RT_KERNEL(256, 4) bias_activation(float* y, const float* bias, const u32* clock, u32 n, u32 width, u32 stride,
                                  u32 bias_stride, u32 relu, u32 layer, u32 threshold, float scale) {
  const u32 run = blockIdx.y, counter = blockIdx.x * 256 + threadIdx.x;
  u32 words[4] = {counter, layer, 0, 0};
  if (threshold != 0) {
    clock += run * CLOCK;
    words[2] = clock[STEP];
    philox(words, clock[SEED_LOW], clock[SEED_HIGH]);
  }
  y += (u64)run * stride;
  bias += (u64)run * bias_stride;
#pragma unroll
  for (int word = 0; word < 4; word++) {
#ifdef PLANT_WRONG_WORDS
    const u32 i = 4 * counter + word;
#else
    const u32 i = counter / 16 * 64 + word * 16 + counter % 16;
#endif
    if (i >= n) continue;
    float value = y[i] + bias[i % width];
    if (relu && value < 0.f) value = 0.f;
    if (threshold != 0) value = words[word] < threshold ? 0.f : value * scale;
    y[i] = value;
  }
}
RT_EXPORT(bias_activation)

RT_KERNEL(256, 4) bias_activation_gradient(const float* y, float* dy, u32 n, u32 stride, u32 dy_stride, float scale) {
  y += (u64)blockIdx.y * stride;
  dy += (u64)blockIdx.y * dy_stride;
#pragma unroll
  for (int part = 0; part < 4; part++) {
    const u32 i = blockIdx.x * 1024 + part * 256 + threadIdx.x;
    if (i < n) dy[i] = y[i] > 0.f ? dy[i] * scale : 0.f;
  }
}
RT_EXPORT(bias_activation_gradient)
