// The part of the driver interface that the self-check calls; handles are plain pointers.
#pragma once
#include <cstddef>
#include "../types.h"

#define CU extern "C" int
CU cuInit(u32);
CU cuDevicePrimaryCtxRetain(void**, int);
CU cuCtxSetCurrent(void*);
CU cuCtxSynchronize();
CU cuMemGetInfo_v2(size_t*, size_t*);
CU cuMemAlloc_v2(u64*, size_t);
CU cuMemAllocAsync(u64*, size_t, void*);
CU cuMemFree_v2(u64);
CU cuMemHostAlloc(void**, size_t, u32);
CU cuMemFreeHost(void*);
CU cuMemcpyHtoD_v2(u64, const void*, size_t);
CU cuMemcpyDtoH_v2(void*, u64, size_t);
CU cuMemcpyHtoDAsync_v2(u64, const void*, size_t, void*);
CU cuMemcpyDtoHAsync_v2(void*, u64, size_t, void*);
CU cuMemsetD32Async(u64, u32, size_t, void*);
CU cuStreamCreate(void**, u32);
CU cuStreamSynchronize(void*);
CU cuStreamQuery(void*);
CU cuStreamWaitEvent(void*, void*, u32);
CU cuStreamBeginCapture_v2(void*, u32);
CU cuStreamEndCapture(void*, void**);
CU cuStreamIsCapturing(void*, int*);
CU cuGraphInstantiateWithFlags(void**, void*, u64);
CU cuGraphLaunch(void*, void*);
CU cuEventCreate(void**, u32);
CU cuEventRecord(void*, void*);
CU cuEventSynchronize(void*);
CU cuEventQuery(void*);
CU cuModuleLoadData(void**, const void*);
CU cuModuleGetFunction(void**, void*, const char*);
CU cuFuncSetAttribute(void*, int, int);
CU cuLaunchKernel(void*, u32, u32, u32, u32, u32, u32, u32, void*, void**, void**);
extern "C" void standin_fail_alloc_at(long, int);
extern "C" void standin_configure(int, u32, int);
extern "C" void standin_reset();
