#include "warp.h"
#include "failure.h"

namespace rt_host {
namespace {

void carry_out_shuffle(Warp& warp) {
  for (void* place : warp.operands) {
    Shuffle& to = *(Shuffle*)place;
    to.result = ((const Shuffle*)warp.operands[to.lane % warp_lanes])->value;
  }
}

void carry_out_any(Warp& warp) {
  bool result = false;
  for (const void* place : warp.operands) result = result || ((const Any*)place)->condition;
  for (void* place : warp.operands) ((Any*)place)->result = result;
}

}  // namespace

const Operation shuffle{"rt_shuffle", carry_out_shuffle};
const Operation any{"rt_any", carry_out_any};
const Operation sync_warp{"rt_sync_warp", [](Warp&) {}};

void collective(const Operation& operation, void* operands) {
  Thread& me = *current;
  Warp& warp = *me.warp;
  const u32 bit = 1u << me.lane;
  if (warp.absent) fail(cuda_launch_failed, "%s without all lanes: %08x are absent", operation.name, warp.absent);
  if (warp.arrived == 0) {
    warp.operation = &operation;
  } else if (warp.operation != &operation) {
    fail(cuda_launch_failed, "divergence: %s here, but lanes %08x are in %s", operation.name, warp.arrived,
         warp.operation->name);
  }
  warp.operands[me.lane] = operands;
  warp.arrived |= bit;
  if (warp.arrived != ~0u) {
    warp.ready &= ~bit;
    me.block->leave(me);
    return;
  }
  operation.carry_out(warp);
  warp.arrived = 0;
  warp.ready = ~0u;
  me.block->interrupt(me);
}

}  // namespace rt_host
