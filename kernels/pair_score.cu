// Every entry with every target by their folded operands; pairs whose value is not below the target's least value are
// written, in any order, and all of them are counted.
//   signed L1: z = o + sum_{k<n_positive} max(a_k, -b_k) - sum_{k>=n_positive} max(a_k, -b_k)
//   ReLU:      z = head(relu(a + b))
//   gate:      z = head(r + sigmoid(u + v)*(p - r)), the entry's tables p, u and the target's r, v
//   value = sum over the members of weight * z, or of weight * sigmoid(z)
// Rows of the tables have `row` numbers, a multiple of 8, zeros from the width on; entries are f16 or f32, targets f32.
// A pair has the same value in any list, tile and place. A value that is not a number is written.
//
// Blocks of 256 threads.
//   pair_score_l1_*_N: 128 entries by N = 16 or 128 targets, entries along x and targets along y of the grid;
//     shared memory = 16384 + 128 * N + 16 bytes, and 512 * N where there are members to add up
//   pair_score_head_*: `tile` = 8, 16 or 32 entries by one target, one target's tiles after the other along x;
//     with row(w) of head.cuh, x and layers 1, 3, ... in `even`, layers 0, 2, ... in `odd`, but for the last:
//     shared memory = 36864 + tile * (row(even) + row(odd)) + 4 * tile + 16 bytes
//   pair_score_relu_f16_N: two layers, d -> up to N = 64 or 128 -> 1; `tile` = 32, 64 or 128 entries by 32 targets
//     after 32; with S = 64 * (roundup(d, 32) / 32 | 1) bytes of a row and G = 32768 / (N * tile) targets at once:
//     shared memory = (N + tile) * S + 1024 * G + 128 * tile + 8 * N + 16 bytes
#include "pair_score.cuh"

// ---- Signed L1: thread (er, tr) of 16 by 16 has entries er + 16 i and targets tr + 16 j ----

constexpr int ENTRIES = 128;  // of a tile
constexpr int SLICE = 16;     // columns of both tables that lie in shared memory at a time, in f32

// Place of four columns in a slice: rows that are read together lie in different banks.
RT_DEV int slot(int row, int quad) { return row * SLICE + (quad ^ row / 2 % 4) * 4; }

// Copies columns k .. k + SLICE of rows `first` .. of an f32 table; zeros past its end. Unrolled it would not leave the
// sums enough registers.
template <int ROWS>
RT_DEV void copy_slice(float* slice, const float* __restrict__ table, u32 first, u32 n_rows, u32 k, u32 row) {
#pragma unroll 1
  for (int i = threadIdx.x; i < ROWS * 4; i += THREADS) {
    const int r = i / 4, quad = i % 4;
    const bool inside = first + r < n_rows && k + 4 * quad < row;
    rt_copy_async16(slice + slot(r, quad), inside ? table + (u64)(first + r) * row + k + 4 * quad : table, inside);
  }
}
// Entries in two steps, as halves are widened on their way: `held` is what a thread has between them.
RT_DEV void begin_entries(float* slice, v128&, const float* entries, u32 first, u32 n_rows, u32 k, u32 row) {
  copy_slice<ENTRIES>(slice, entries, first, n_rows, k, row);
}
RT_DEV void end_entries(float*, const v128&, const float*) {}
RT_DEV void begin_entries(float*, v128& held, const f16* __restrict__ entries, u32 first, u32 n_rows, u32 k, u32 row) {
  const u32 entry = first + threadIdx.x / 2, column = k + threadIdx.x % 2 * 8;
  held = v128{0, 0, 0, 0};
  if (entry < n_rows && column < row) held = rt_load16(entries + (u64)entry * row + column);
}
RT_DEV void end_entries(float* slice, const v128& held, const f16*) {
  const int r = threadIdx.x / 2, quad = threadIdx.x % 2 * 2;
  const u32 words[4] = {held.x, held.y, held.z, held.w};
#pragma unroll
  for (int i = 0; i < 4; i += 2) {
    rt_store16(slice + slot(r, quad + i / 2),
               v128{rt_float_bits(rt_low_f32(words[i])), rt_float_bits(rt_high_f32(words[i])),
                    rt_float_bits(rt_low_f32(words[i + 1])), rt_float_bits(rt_high_f32(words[i + 1]))});
  }
}

template <class T, int TARGETS>  // of a thread
RT_DEV void score_l1(const T* entries, const float* targets, const float* offsets, const float* least,
                     const Member* members, Found found, const PairShape& shape) {
  constexpr int TILE = 16 * TARGETS;
  RT_DYNAMIC_SHARED(float, a_slices);
  float* b_slices = a_slices + 2 * ENTRIES * SLICE;
  u32* room = reinterpret_cast<u32*>(b_slices + 2 * TILE * SLICE);
  float* values = reinterpret_cast<float*>(room + 4) + threadIdx.x;  // a thread's own, 256 apart
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int er = warp % 2 * 8 + lane % 8, tr = warp / 2 * 4 + lane / 8;
  const u32 first_entry = blockIdx.x * ENTRIES, first_target = blockIdx.y * TILE;
  v128 held;
  const auto begin = [&](u32 member, u32 k, int buffer) {
    begin_entries(a_slices + buffer * ENTRIES * SLICE, held, entries + (u64)member * shape.n_entries * shape.row,
                  first_entry, shape.n_entries, k, shape.row);
    copy_slice<TILE>(b_slices + buffer * TILE * SLICE, targets + (u64)member * shape.n_targets * shape.row,
                     first_target, shape.n_targets, k, shape.row);
  };
  const auto end = [&](int buffer) { end_entries(a_slices + buffer * ENTRIES * SLICE, held, entries); };

  float sum[8][TARGETS] = {};
  begin(0, 0, 0);
  end(0);
  rt_copy_commit();
  u32 member = 0, k = 0;
#pragma unroll 1
  for (int buffer = 0; member < shape.n_members; buffer ^= 1) {
#ifndef PLANT_NO_WAIT
    rt_copy_wait<0>();
#endif
#ifndef PLANT_NO_BARRIER
    __syncthreads();
#endif
    const bool is_last_slice = k + SLICE >= shape.width;
    const u32 next_member = is_last_slice ? member + 1 : member, next_k = is_last_slice ? 0 : k + SLICE;
    const bool is_last = next_member == shape.n_members;
    if (!is_last) begin(next_member, next_k, buffer ^ 1);
    rt_copy_commit();
    const float* a_slice = a_slices + buffer * ENTRIES * SLICE;
    const float* b_slice = b_slices + buffer * TILE * SLICE;
    const int positive = (int)members[member].n_positive - (int)k;
#pragma unroll 1
    for (int quad = 0; quad < 4; quad++) {
      float a[8][4], sign[4];
#pragma unroll
      for (int x = 0; x < 4; x++) sign[x] = 4 * quad + x < positive ? 1.f : -1.f;
#pragma unroll
      for (int i = 0; i < 8; i++) load4(a_slice + slot(er + 16 * i, quad), a[i]);
#pragma unroll
      for (int j = 0; j < TARGETS; j++) {
        float b[4];
        load4(b_slice + slot(tr + 16 * j, quad), b);
#pragma unroll
        for (int i = 0; i < 8; i++) {
#pragma unroll
          for (int x = 0; x < 4; x++) sum[i][j] = fmaf(sign[x], rt_max(a[i][x], -b[x]), sum[i][j]);
        }
      }
    }
    if (!is_last) end(buffer ^ 1);
    if (is_last_slice) {
      // From the member's logits to values.
      const float weight = members[member].weight;
#pragma unroll
      for (int j = 0; j < TARGETS; j++) {
        const u32 target = first_target + tr + 16 * j;
        const float offset = target < shape.n_targets ? offsets[(u64)member * shape.n_targets + target] : 0.f;
#pragma unroll
        for (int i = 0; i < 8; i++) {
          float value = weight * linked(shape, sum[i][j] + offset);
          float* sum_of_members = values + (i * TARGETS + j) * THREADS;
          if (member > 0) value += *sum_of_members;
          if (!is_last) *sum_of_members = value;
          sum[i][j] = is_last ? value : 0.f;
        }
      }
    }
    member = next_member;
    k = next_k;
  }
  report<8 * TARGETS>(shape, least, found, room, [&](int i) {
    const int j = i % TARGETS;
    return Scored{first_target + tr + 16 * j, first_entry + er + 16 * (i / TARGETS), sum[i / TARGETS][j]};
  });
}

// ---- Any head, by the layers of head.cuh ----

RT_DEV int head_width(const PairShape& shape, int parity) {
  int width = parity == 0 ? shape.width : 0;
  for (int i = 1 - parity; i + 1 < (int)shape.n_head; i += 2) width = larger(width, shape.head[i].d_out);
  return width;
}

// What the head of a member reads, one warp per pair: entries first .. of the tile, repeating the last one.
template <class T, int BLOCKS>
RT_DEV void meet(const T* __restrict__ entries, const float* __restrict__ targets, u32 member, u32 first, u32 target,
                 const PairShape& shape, Rows<T> x) {
  const u32 n_tables = shape.is_gate ? 2 : 1;
  const u64 entry_table = (u64)shape.n_entries * shape.row, target_table = (u64)shape.n_targets * shape.row;
  entries += member * n_tables * entry_table;
  targets += member * n_tables * target_table + (u64)target * shape.row;
#pragma unroll 1
  for (int pair = threadIdx.x / 32; pair < 8 * BLOCKS; pair += WARPS) {
    const u32 entry = first + pair < shape.n_entries ? first + pair : shape.n_entries - 1;
    const T* a = entries + (u64)entry * shape.row;
#pragma unroll 1
    for (int column = threadIdx.x % 32 * 8; column < padded<T>(shape.width); column += 256) {
      float out[8] = {};
      if (column < (int)shape.row) {
        float own[8], other[8];
        rt_load8(a + column, own);
        rt_load8(targets + column, other);
        if (shape.is_gate) {
          float u[8], v[8];
          rt_load8(a + entry_table + column, u);
          rt_load8(targets + target_table + column, v);
#pragma unroll
          for (int i = 0; i < 8; i++) out[i] = fmaf(rt_logistic(u[i] + v[i]), own[i] - other[i], other[i]);
        } else {
#pragma unroll
          for (int i = 0; i < 8; i++) out[i] = rt_max(own[i] + other[i], 0.f);
        }
      }
      rt_store8(x.data + pair * x.stride + column, out);
    }
  }
  __syncthreads();
}

template <class T, int BLOCKS>
RT_DEV void score_head(const T* entries, const float* targets, const float* least, const Member* members,
                       const T* parameters, Found found, const PairShape& shape) {
  RT_DYNAMIC_SHARED(T, tiles);
  const Rows<T> even = {tiles + 2 * OUTPUTS * WEIGHT_STRIDE<T>, row_stride<T>(head_width(shape, 0))};
  const Rows<T> odd = {even.data + 8 * BLOCKS * even.stride, row_stride<T>(head_width(shape, 1))};
  float* logits = reinterpret_cast<float*>(odd.data + 8 * BLOCKS * odd.stride);
  u32* room = reinterpret_cast<u32*>(logits + 8 * BLOCKS);
  const u32 n_tiles = (shape.n_entries + 8 * BLOCKS - 1) / (8 * BLOCKS);
  const u32 first = blockIdx.x % n_tiles * 8 * BLOCKS, target = blockIdx.x / n_tiles;
  const int last = shape.n_head - 1, mine = threadIdx.x;

  float value = 0.f;
#pragma unroll 1
  for (u32 member = 0; member < shape.n_members; member++) {
    meet<T, BLOCKS>(entries, targets, member, first, target, shape, even);
#pragma unroll 1
    for (int i = 0; i <= last; i++) {
      linear<T, BLOCKS>(tiles, parameters + (u64)member * shape.member_parameters, shape.head[i], i % 2 ? odd : even,
                        i % 2 ? even : odd, 0, i < last, i < last ? nullptr : logits, 8 * BLOCKS);
    }
    if (mine < 8 * BLOCKS) value += members[member].weight * linked(shape, logits[mine]);
  }
  report<1>(shape, least, found, room, [&](int) {
    return Scored{target, mine < 8 * BLOCKS ? first + mine : shape.n_entries, value};
  });
}

template <class T>
RT_DEV void pair_score_head(const T* entries, const float* targets, const float* least, const Member* members,
                            const T* parameters, Found found, const PairShape& shape, int tile) {
  if (tile == 8) {
    score_head<T, 1>(entries, targets, least, members, parameters, found, shape);
  } else if (tile == 16) {
    score_head<T, 2>(entries, targets, least, members, parameters, found, shape);
  } else {
    score_head<T, 4>(entries, targets, least, members, parameters, found, shape);
  }
}

// ---- relu(a + b) and two layers, on tensor cores: a warp has 16 entries and TARGETS targets at a time ----
//
// The rows of a product are entries, its columns the outputs of the first layer; relu(a + b) is made in registers,
// added up in f32 and rounded once. A lane brings what it has of 32 inputs in one piece: lane q of four has inputs
// 8q .. 8q + 7, of which the first product takes four and the second four. Weights are read in the same order.

constexpr int CHUNK = 32;  // targets between two reports
constexpr int PART = 128;  // inputs of the targets that lie in shared memory at a time

// Copies `n` rows of `width` halves, of which the table has `row`, to rows `stride` apart; zeros beyond.
RT_DEV void copy_rows(f16* to, int stride, int width, const f16* __restrict__ from, int n, int n_inside, int row) {
  const int pieces = width / 8;
#pragma unroll 2
  for (int i = threadIdx.x; i < n * pieces; i += THREADS) {
    const int r = i / pieces, column = i % pieces * 8;
    const bool inside = r < n_inside && column < row;
    rt_copy_async16(to + r * stride + column, inside ? from + (u64)r * row + column : from, inside);
  }
}

// relu(a + b) of two neighbours, packed.
RT_DEV u32 meet2(const float (&a)[8], const float (&b)[8], int i) {
  return rt_pack_relu_f16(a[i] + b[i], a[i + 1] + b[i + 1]);
}

template <int TILES, int TARGETS>  // of 8 outputs; of a warp
RT_DEV void score_relu(const f16* entries, const float* targets, const float* least, const Member* members,
                       const f16* parameters, Found found, const PairShape& shape, int tile) {
  constexpr int N = 8 * TILES;
  RT_DYNAMIC_SHARED(f16, weights);
  const int width = (shape.width + 31) / 32 * 32, stride = (width / 32 | 1) * 32;
  const int group = TARGETS * (128 / tile), n_parts = (width + PART - 1) / PART;
  f16* rows = weights + N * stride;
  float* parts = reinterpret_cast<float*>(rows + tile * stride);  // two of [group, PART]
  float* values = parts + 2 * group * PART;                       // [CHUNK, tile]
  float* ends = values + CHUNK * tile;                            // first bias, then last weights
  u32* room = reinterpret_cast<u32*>(ends + 2 * N);

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, q = lane % 4;
  const int own_row = warp % (tile / 16) * 16 + g, own_target = warp / (tile / 16) * TARGETS;
  const Layer hidden = shape.head[0], output = shape.head[1];
  const u32 first_entry = blockIdx.x * tile;
  const int n_rows = smaller(shape.n_entries - first_entry, tile);

#pragma unroll 1
  for (u32 first = blockIdx.y * CHUNK; first < shape.n_targets; first += gridDim.y * CHUNK) {
    const int n_steps = (smaller(shape.n_targets - first, CHUNK) + group - 1) / group * n_parts;
#pragma unroll 1
    for (u32 member = 0; member < shape.n_members; member++) {
      const f16* own = parameters + (u64)member * shape.member_parameters;
      const float* table = targets + (u64)member * shape.n_targets * shape.row;
      // Step by step through the parts of a group of targets, then those of the next group.
      const auto begin = [&](int step) {
        const int k = step % n_parts * PART;
        const u32 target = first + step / n_parts * group;
        float* part = parts + step % 2 * group * PART;
#pragma unroll 1
        for (int i = threadIdx.x; i < group * (PART / 4); i += THREADS) {
          const int r = i / (PART / 4), column = i % (PART / 4) * 4;
          const bool inside = target + r < shape.n_targets && k + column < (int)shape.row;
          rt_copy_async16(part + r * PART + column,
                          inside ? table + (u64)(target + r) * shape.row + k + column : table, inside);
        }
      };
      __syncthreads();
      if (shape.n_members > 1 || first == blockIdx.y * CHUNK) {
        copy_rows(weights, stride, width, own + hidden.weight, N, hidden.d_out, hidden.d_in);
        copy_rows(rows, stride, width, entries + ((u64)member * shape.n_entries + first_entry) * shape.row, tile,
                  n_rows, shape.row);
        for (int i = threadIdx.x; i < N; i += THREADS) {
          const bool inside = i < (int)hidden.d_out;
          ends[i] = inside ? rt_f32(own[hidden.bias + i]) : 0.f;
          ends[N + i] = inside ? rt_f32(own[output.weight + i]) : 0.f;
        }
      }
      begin(0);
      rt_copy_commit();
      const float weight = members[member].weight, last_bias = rt_f32(own[output.bias]);

      float sum[TARGETS][TILES][4];
#pragma unroll 1
      for (int step = 0; step < n_steps; step++) {
        const int k = step % n_parts * PART;
#ifndef PLANT_NO_WAIT
        rt_copy_wait<0>();
#endif
#ifndef PLANT_NO_BARRIER
        __syncthreads();
#endif
        if (step + 1 < n_steps) begin(step + 1);
        rt_copy_commit();
        if (k == 0) {
#pragma unroll
          for (int n = 0; n < TILES; n++) {
#pragma unroll
            for (int t = 0; t < TARGETS; t++) {
#pragma unroll
              for (int i = 0; i < 4; i++) sum[t][n][i] = ends[8 * n + 2 * q + i % 2];
            }
          }
        }
        const float* part = parts + step % 2 * group * PART + own_target * PART + 8 * q;
#pragma unroll 1
        for (int inner = 0; inner < PART && k + inner < width; inner += 32) {
          float a[2][8], b[8];
          const f16* row = rows + own_row * stride + k + inner + 8 * q;
          rt_load8(row, a[0]);
          rt_load8(row + 8 * stride, a[1]);
          u32 x[TARGETS][2][4];
#pragma unroll
          for (int t = 0; t < TARGETS; t++) {
            rt_load8(part + t * PART + inner, b);
#pragma unroll
            for (int half = 0; half < 2; half++) {
              x[t][half][0] = meet2(a[0], b, 4 * half);
              x[t][half][1] = meet2(a[1], b, 4 * half);
              x[t][half][2] = meet2(a[0], b, 4 * half + 2);
              x[t][half][3] = meet2(a[1], b, 4 * half + 2);
            }
          }
#pragma unroll
          for (int n = 0; n < TILES; n++) {
            const v128 w = rt_load16(weights + (8 * n + g) * stride + k + inner + 8 * q);
#pragma unroll
            for (int t = 0; t < TARGETS; t++) rt_mma_16816(sum[t][n], x[t][0], w.x, w.y);
#pragma unroll
            for (int t = 0; t < TARGETS; t++) rt_mma_16816(sum[t][n], x[t][1], w.z, w.w);
          }
        }
        if (k + PART < width) continue;

        // The group's last part. A lane keeps the sums of one target, for two entries.
        float z[2] = {0.f, 0.f};
#pragma unroll
        for (int t = 0; t < TARGETS; t++) {
#pragma unroll
          for (int half = 0; half < 2; half++) {
            float logit = 0.f;
#pragma unroll
            for (int n = 0; n < TILES; n++) {
#pragma unroll
              for (int i = 0; i < 2; i++) {
                logit = fmaf(rt_max(sum[t][n][2 * half + i], 0.f), ends[N + 8 * n + 2 * q + i], logit);
              }
            }
            logit += rt_shuffle_xor(logit, 1);
            logit += rt_shuffle_xor(logit, 2);
            if (q == t) z[half] = logit;
          }
        }
        if (q < TARGETS) {
          float* value = values + (step / n_parts * group + own_target + q) * tile + own_row;
#pragma unroll
          for (int half = 0; half < 2; half++) {
            const float more = weight * linked(shape, z[half] + last_bias);
            value[8 * half] = member == 0 ? more : value[8 * half] + more;
          }
        }
      }
    }
    __syncthreads();
    report<CHUNK * 128 / THREADS>(shape, least, found, room, [&](int i) {
      const int at = i * THREADS + threadIdx.x;
      if (at >= CHUNK * tile) return Scored{shape.n_targets, 0, 0.f};
      return Scored{first + at / tile, at % tile < n_rows ? first_entry + at % tile : shape.n_entries, values[at]};
    });
  }
}

// ---- Kernels ----

#define L1_KERNEL(T, NAME, TARGETS)                                                                                    \
  RT_KERNEL(256, 2) pair_score_l1_##NAME(const T* entries, const float* targets, const float* offsets,                 \
                                         const float* least, const Member* members, u32* count, u32* survivors,        \
                                         u32 capacity, PairShape shape) {                                              \
    score_l1<T, TARGETS>(entries, targets, offsets, least, members, Found{count, survivors, capacity}, shape);         \
  }                                                                                                                    \
  RT_EXPORT(pair_score_l1_##NAME)
L1_KERNEL(f16, f16_16, 1)
L1_KERNEL(f16, f16_128, 8)
L1_KERNEL(float, f32_16, 1)
L1_KERNEL(float, f32_128, 8)

#define HEAD_KERNEL(T, NAME)                                                                                           \
  RT_KERNEL(256, 2) pair_score_head_##NAME(const T* entries, const float* targets, const float* least,                 \
                                           const Member* members, const T* parameters, u32* count, u32* survivors,     \
                                           u32 capacity, PairShape shape, int tile) {                                  \
    pair_score_head(entries, targets, least, members, parameters, Found{count, survivors, capacity}, shape, tile);     \
  }                                                                                                                    \
  RT_EXPORT(pair_score_head_##NAME)
HEAD_KERNEL(f16, f16)
HEAD_KERNEL(float, f32)

#define RELU_KERNEL(N, TILES, TARGETS)                                                                                 \
  RT_KERNEL(256, 1) pair_score_relu_f16_##N(const f16* entries, const float* targets, const float* least,              \
                                            const Member* members, const f16* parameters, u32* count, u32* survivors,  \
                                            u32 capacity, PairShape shape, int tile) {                                 \
    score_relu<TILES, TARGETS>(entries, targets, least, members, parameters, Found{count, survivors, capacity}, shape, \
                               tile);                                                                                  \
  }                                                                                                                    \
  RT_EXPORT(pair_score_relu_f16_##N)
RELU_KERNEL(64, 8, 4)
RELU_KERNEL(128, 16, 2)
