// Operations of a whole warp: every lane brings its operands, the last one to arrive carries the operation out.
#pragma once
#include "block.h"

namespace rt_host {

// Another collective is another constant of this type and a struct of operands.
struct Operation {
  const char* name;
  void (*carry_out)(Warp& warp);  // reads and writes warp.operands
};

// All 32 lanes, the same operation; anything else is reported.
void collective(const Operation& operation, void* operands);

struct Shuffle {
  float value;
  u32 lane;  // whose value to take
  float result;
};
extern const Operation shuffle;

struct Any {
  bool condition;
  bool result;
};
extern const Operation any;

extern const Operation sync_warp;

}  // namespace rt_host
