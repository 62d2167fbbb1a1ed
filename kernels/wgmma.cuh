// Products of a warpgroup on the tensor cores of compute capability 9.0 (wgmma), one instruction each. Of the 64 rows of
// sums, warp w of the group has rows 16 w to 16 w + 15; with g = lane / 4 and q = lane % 4, register i of a lane holds
// row g + 8 (i / 2 % 2) and column 8 (i / 4) + 2 q + i % 2. Operands in shared memory are named by a descriptor
// (rt_operand in hopper.cuh).
#pragma once

// Names of the registers of sums in an instruction: %0 to %(n - 1), and the operands behind them.
#define RT_NAMES_32 \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15" \
  ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define RT_NAMES_64 \
  RT_NAMES_32 \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
  ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define RT_NAMES_128 \
  RT_NAMES_64 \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79" \
  ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95" \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
  ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

#define RT_SUMS_4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define RT_SUMS_16(d, i) RT_SUMS_4(d, i), RT_SUMS_4(d, i + 4), RT_SUMS_4(d, i + 8), RT_SUMS_4(d, i + 12)
#define RT_SUMS_32(d, i) RT_SUMS_16(d, i), RT_SUMS_16(d, i + 16)
#define RT_SUMS_64(d, i) RT_SUMS_32(d, i), RT_SUMS_32(d, i + 32)
#define RT_SUMS_128(d, i) RT_SUMS_64(d, i), RT_SUMS_64(d, i + 64)

// sums += a b^T, both operands in shared memory with k along their rows.
#define RT_WGMMA(name, columns, shape, types, registers, a, b, on, tail)                                              \
  RT_DEV void name(Columns<columns>, float (&sums)[registers], u64 a_place, u64 b_place, bool accumulate) {           \
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %" on ", 0;\n"                                                       \
                 "wgmma.mma_async.sync.aligned." shape ".f32." types " {" RT_NAMES_##registers "}, %" a ", %" b        \
                 ", p, 1, 1" tail "; }"                                                                               \
                 : RT_SUMS_##registers(sums, 0)                                                                       \
                 : "l"(a_place), "l"(b_place), "r"((int)accumulate));                                                 \
  }
// sums += a b, a in registers (as rt_mma_16816 takes it), b in shared memory with the columns of the sums along its rows.
#define RT_WGMMA_TRANSPOSED(columns, shape, registers, a0, a1, a2, a3, b, on)                                         \
  RT_DEV void rt_wgmma_transposed(Columns<columns>, float (&sums)[registers], const u32 (&a)[4], u64 b_place,         \
                                  bool accumulate) {                                                                  \
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %" on ", 0;\n"                                                       \
                 "wgmma.mma_async.sync.aligned." shape ".f32.f16.f16 {" RT_NAMES_##registers "}, {%" a0 ", %" a1       \
                 ", %" a2 ", %" a3 "}, %" b ", p, 1, 1, 1; }"                                                         \
                 : RT_SUMS_##registers(sums, 0)                                                                       \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b_place), "r"((int)accumulate));                   \
  }

// Columns of the sums, as a type: the instructions differ by it.
template <int n> struct Columns {};

RT_WGMMA(rt_wgmma, 64, "m64n64k16", "f16.f16", 32, "32", "33", "34", ", 0, 0")
RT_WGMMA(rt_wgmma, 128, "m64n128k16", "f16.f16", 64, "64", "65", "66", ", 0, 0")
RT_WGMMA(rt_wgmma, 256, "m64n256k16", "f16.f16", 128, "128", "129", "130", ", 0, 0")
RT_WGMMA(rt_wgmma_e4m3, 64, "m64n64k32", "e4m3.e4m3", 32, "32", "33", "34", "")
RT_WGMMA(rt_wgmma_e4m3, 128, "m64n128k32", "e4m3.e4m3", 64, "64", "65", "66", "")
RT_WGMMA(rt_wgmma_e4m3, 256, "m64n256k32", "e4m3.e4m3", 128, "128", "129", "130", "")
RT_WGMMA_TRANSPOSED(64, "m64n64k16", 32, "32", "33", "34", "35", "36", "37")
RT_WGMMA_TRANSPOSED(128, "m64n128k16", 64, "64", "65", "66", "67", "68", "69")
